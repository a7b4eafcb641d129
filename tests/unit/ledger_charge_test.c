/* SPDX-License-Identifier: GPL-3.0-only
 *
 * ledger_charge: what a counter read is charged to somebody or is idle, to the last unit, whatever the
 * numbers are. By a table, and by what holds for any case.
 */
#include "../../common/ledger.h"

#include <string.h>

#include "random.h"

#define COUNT(of)   (sizeof(of) / sizeof((of)[0]))
#define PARTIES_MAX 32
#define CASES	    100000 /* of one seed */
#define POLICIES    3

#define SEPARATE     LEDGER_IDLE_SEPARATE
#define PROPORTIONAL LEDGER_IDLE_PROPORTIONAL
#define EQUAL	     LEDGER_IDLE_EQUAL
#define HUGE	     UINT64_MAX

/* ---- A table ----------------------------------------------------------------------------------- */

static const struct {
	const char *what;
	uint64_t energy, idle;
	enum ledger_idle_policy policy;
	const char *bears; /* '+': bears idle energy, '-': does not; one for each party */
	uint64_t weights[4], shares[4];
	uint64_t returned;
} charges[] = {
    {"nobody there", 100, 30, SEPARATE, "", {0}, {0}, 100},
    {"nobody there, proportional", 100, 30, PROPORTIONAL, "", {0}, {0}, 100},
    {"nobody there, equal", 100, 30, EQUAL, "", {0}, {0}, 100},
    {"no energy", 0, 30, SEPARATE, "++", {1, 2}, {0, 0}, 0},
    {"no energy, equal", 0, 30, EQUAL, "++", {1, 2}, {0, 0}, 0},

    {"idle apart, the rest by weight", 100, 40, SEPARATE, "++", {1, 2}, {20, 40}, 40},
    {"nothing is idle", 100, 0, SEPARATE, "++", {1, 3}, {25, 75}, 0},
    {"all is idle", 100, 100, SEPARATE, "++", {1, 3}, {0, 0}, 100},
    {"more idle than there is", 100, 101, SEPARATE, "++", {1, 3}, {0, 0}, 100},
    {"as much idle as can be", 100, HUGE, SEPARATE, "++", {1, 3}, {0, 0}, 100},
    {"nobody works", 100, 40, SEPARATE, "++", {0, 0}, {0, 0}, 100},
    {"to bear means nothing when apart", 100, 40, SEPARATE, "+-", {1, 1}, {30, 30}, 40},

    {"idle by weight as well", 100, 40, PROPORTIONAL, "++", {1, 3}, {25, 75}, 0},
    {"more idle than there is, by weight", 100, HUGE, PROPORTIONAL, "++", {1, 3}, {25, 75}, 0},
    {"nobody works, by weight", 100, 40, PROPORTIONAL, "++", {0, 0}, {0, 0}, 100},
    {"to bear means nothing by weight", 100, 40, PROPORTIONAL, "--", {1, 3}, {25, 75}, 0},

    {"each the same and its work", 100, 40, EQUAL, "++", {1, 2}, {40, 60}, 0},
    {"who does not work bears too", 100, 40, EQUAL, "++", {0, 2}, {20, 80}, 0},
    {"who does not bear works only", 100, 40, EQUAL, "+-", {1, 2}, {60, 40}, 0},
    {"nobody works, all bear", 100, 40, EQUAL, "++", {0, 0}, {20, 20}, 60},
    {"nobody bears", 100, 40, EQUAL, "--", {1, 2}, {20, 40}, 40},
    {"nobody bears and nobody works", 100, 40, EQUAL, "--", {0, 0}, {0, 0}, 100},
    {"all is idle, equally", 100, 100, EQUAL, "++-", {1, 3, 9}, {50, 50, 0}, 0},
    {"the first bear a unit more", 5, 5, EQUAL, "-+++", {0, 0, 0, 0}, {0, 2, 2, 1}, 0},
    {"one unit, three to bear it", 1, 1, EQUAL, "+++", {7, 8, 9}, {1, 0, 0}, 0},

    {"all there is", HUGE, 0, SEPARATE, "++", {1, 1}, {HUGE / 2 + 1, HUGE / 2}, 0},
    {"all there is, half of it idle", HUGE, HUGE / 2, SEPARATE, "+", {1}, {HUGE / 2 + 1}, HUGE / 2},
    {"all there is, by the heaviest", HUGE, 0, SEPARATE, "++", {HUGE, HUGE}, {HUGE / 2 + 1, HUGE / 2}, 0},
    {"all there is, borne equally", HUGE, HUGE, EQUAL, "++", {0, 0}, {HUGE / 2 + 1, HUGE / 2}, 0},
};

START_TEST(a_charge)
{
	struct ledger_share shares[COUNT(charges[0].weights)];
	size_t count = strlen(charges[_i].bears);
	uint64_t returned;

	memset(shares, 0x5a, sizeof(shares));
	for (size_t i = 0; i < count; i++) {
		shares[i].weight = charges[_i].weights[i];
		shares[i].bears_idle = charges[_i].bears[i] == '+';
	}
	returned = ledger_charge(charges[_i].energy, charges[_i].idle, charges[_i].policy, shares, count);
	ck_assert_msg(returned == charges[_i].returned, "%s: returned %" PRIu64 ", not %" PRIu64,
		      charges[_i].what, returned, charges[_i].returned);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(shares[i].share == charges[_i].shares[i],
			      "%s: party %zu has %" PRIu64 ", not %" PRIu64, charges[_i].what, i,
			      shares[i].share, charges[_i].shares[i]);
}
END_TEST

/* ---- Any charge -------------------------------------------------------------------------------- */

struct charge {
	uint64_t energy, idle;
	enum ledger_idle_policy policy;
	size_t count;
	struct ledger_share shares[PARTIES_MAX];
	uint64_t returned;
};

/* Some without weight, many alike, some so heavy that the sum is past 64 bits. */
static uint64_t any_weight(uint64_t kind)
{
	switch (random_below(4) ? kind : random_below(5)) {
	case 0:
		return 0;
	case 1:
		return random_below(4);
	case 2:
		return random_sized(40);
	case 3:
		return random_sized(64);
	default:
		return HUGE - random_below(4);
	}
}

static void any_charge(struct charge *charge)
{
	uint64_t kind = random_below(5);

	charge->energy = random_once_in(16) ? (1ull << 63) - random_below(2) : random_sized(63);
	charge->idle =
	    random_once_in(2) ? charge->energy - random_below(charge->energy / 2 + 1) : random_sized(64);
	charge->policy = (enum ledger_idle_policy)random_below(POLICIES);
	charge->count = random_below(PARTIES_MAX + 1);
	for (size_t i = 0; i < charge->count; i++)
		charge->shares[i] = (struct ledger_share){.weight = any_weight(kind),
							  .bears_idle = random_below(kind + 2) > 0,
							  .share = random_number(),
							  .remainder = random_number()};
	charge->returned =
	    ledger_charge(charge->energy, charge->idle, charge->policy, charge->shares, charge->count);
}

/* Energy that was to be divided by weight. */
static uint64_t work_of(const struct charge *charge)
{
	if (charge->policy == PROPORTIONAL)
		return charge->energy;
	return charge->idle < charge->energy ? charge->energy - charge->idle : 0;
}

static void check_it_closes(const struct charge *charge)
{
	unsigned __int128 sum = charge->returned;
	bool equal = charge->policy == EQUAL;

	for (size_t i = 0; i < charge->count; i++) {
		const struct ledger_share *party = &charge->shares[i];

		sum += party->share;
		must(party->weight || (equal && party->bears_idle) || !party->share);
	}
	must(sum == charge->energy);
	if (charge->policy == SEPARATE)
		must(charge->returned >= charge->energy - work_of(charge));
}

/* What is left of each share without its part of the idle energy, which is checked here. */
static void take_idle_parts(const struct charge *charge, uint64_t *shares)
{
	uint64_t bearers = 0, idle = charge->energy - work_of(charge), more;

	for (size_t i = 0; i < charge->count; i++) {
		shares[i] = charge->shares[i].share;
		bearers += charge->shares[i].bears_idle;
	}
	if (charge->policy != EQUAL || !bearers)
		return;
	more = idle % bearers;
	for (size_t i = 0; i < charge->count; i++) {
		uint64_t part = idle / bearers + (more > 0);

		if (!charge->shares[i].bears_idle)
			continue;
		more -= more > 0;
		must(shares[i] >= part);
		shares[i] -= part;
	}
}

/* The weights as ledger.h says that they are taken: halved until their sum fits 64 bits. */
static uint64_t halve(const struct charge *charge, uint64_t *weights)
{
	unsigned __int128 sum;
	unsigned shift = 0;

	do {
		sum = 0;
		for (size_t i = 0; i < charge->count; i++)
			sum += weights[i] = charge->shares[i].weight >> shift;
		shift++;
	} while (sum > UINT64_MAX);
	return (uint64_t)sum;
}

static void check_work_is_by_weight(const struct charge *charge)
{
	uint64_t weights[PARTIES_MAX], shares[PARTIES_MAX], work = work_of(charge);
	uint64_t sum = halve(charge, weights);

	take_idle_parts(charge, shares);
	for (size_t i = 0; i < charge->count; i++) {
		unsigned __int128 exact = (unsigned __int128)work * weights[i];
		unsigned __int128 share = (unsigned __int128)shares[i] * sum;

		if (!sum) {
			must(!shares[i]);
			continue;
		}
		must(share < exact + sum && exact < share + sum);
		/* Who is heavier never has less; of those alike the earlier has at most a unit more. */
		if (i && weights[i] < weights[i - 1])
			must(shares[i] <= shares[i - 1]);
		if (i && weights[i] == weights[i - 1])
			must(shares[i] == shares[i - 1] || shares[i] + 1 == shares[i - 1]);
	}
}

/* In which unit weight is counted does not matter. */
static void check_scale_is_nothing(const struct charge *charge)
{
	struct ledger_share scaled[PARTIES_MAX];
	unsigned __int128 sum = 0;
	uint64_t factor, returned;

	for (size_t i = 0; i < charge->count; i++)
		sum += charge->shares[i].weight;
	if (sum > UINT64_MAX / 2)
		return;
	factor = 1 + random_below(UINT64_MAX / (uint64_t)(sum + 1));
	for (size_t i = 0; i < charge->count; i++) {
		scaled[i] = charge->shares[i];
		scaled[i].weight *= factor;
	}
	returned = ledger_charge(charge->energy, charge->idle, charge->policy, scaled, charge->count);
	must(returned == charge->returned);
	for (size_t i = 0; i < charge->count; i++)
		must(scaled[i].share == charge->shares[i].share);
}

static void check_seed(uint64_t seed)
{
	struct charge charge;

	random_begin(seed);
	for (; random_step < CASES; random_step++) {
		any_charge(&charge);
		check_it_closes(&charge);
		check_work_is_by_weight(&charge);
		if (random_once_in(4))
			check_scale_is_nothing(&charge);
	}
}

START_TEST(any_charge_closes)
{
	check_seed((uint64_t)_i);
}
END_TEST

START_TEST(charges_of_other_seeds_close)
{
	random_seeds("ledger_charge", check_seed, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger_charge");
	TCase *table = tcase_create("table");
	TCase *any = tcase_create("any");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(table, a_charge, 0, COUNT(charges));
	tcase_add_loop_test(any, any_charge_closes, 0, 20);
	tcase_add_test(any, charges_of_other_seeds_close);
	tcase_set_timeout(any, 120);
	suite_add_tcase(suite, table);
	suite_add_tcase(suite, any);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
