/* SPDX-License-Identifier: GPL-3.0-only
 *
 * ledger_divide: by a table, and by random cases against Hamilton's method done the plain way.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/ledger.h"

#define COUNT(of)   (sizeof(of) / sizeof((of)[0]))
#define PARTIES_MAX 40

/* For loops of millions: Check's own assertions write a message each time. */
#define must(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

/* ---- A table ----------------------------------------------------------------------------------- */

static const struct {
	const char *what;
	uint64_t whole;
	size_t count;
	uint64_t weights[6], shares[6];
	uint64_t undivided;
} divisions[] = {
    {"nobody", 7, 0, {0}, {0}, 7},
    {"nobody and nothing", 0, 0, {0}, {0}, 0},
    {"nobody with weight", 7, 3, {0, 0, 0}, {0, 0, 0}, 7},
    {"nothing to divide", 0, 3, {1, 2, 3}, {0, 0, 0}, 0},
    {"all to one", 7, 1, {3}, {7}, 0},
    {"all to the one with weight", 7, 3, {0, 9, 0}, {0, 7, 0}, 0},
    {"evenly", 9, 3, {5, 5, 5}, {3, 3, 3}, 0},
    {"equal remainders: the earlier first", 10, 3, {1, 1, 1}, {4, 3, 3}, 0},
    {"equal remainders, two units left", 11, 3, {1, 1, 1}, {4, 4, 3}, 0},
    {"the largest remainder first", 10, 3, {1, 1, 2}, {3, 2, 5}, 0},
    {"by remainder and not by weight", 100, 3, {503, 298, 199}, {50, 30, 20}, 0},
    {"one unit for many", 1, 4, {1, 1, 1, 1}, {1, 0, 0, 0}, 0},
    {"one unit goes to the heaviest", 1, 4, {1, 2, 1, 1}, {0, 1, 0, 0}, 0},
    {"no weight, no share, whatever is left", 2, 4, {0, 1, 0, 1}, {0, 1, 0, 1}, 0},
    {"all there is", UINT64_MAX, 2, {1, 1}, {UINT64_MAX / 2 + 1, UINT64_MAX / 2}, 0},
    {"the heaviest there are", 10, 2, {UINT64_MAX, UINT64_MAX}, {5, 5}, 0},
    {"both", UINT64_MAX, 2, {UINT64_MAX, UINT64_MAX}, {UINT64_MAX / 2 + 1, UINT64_MAX / 2}, 0},
    {"a light one among heavy ones", 10, 3, {UINT64_MAX, 1, UINT64_MAX}, {5, 0, 5}, 0},
    {"three heavy ones", 9, 3, {UINT64_MAX, UINT64_MAX, UINT64_MAX}, {3, 3, 3}, 0},
};

START_TEST(a_division)
{
	struct ledger_share shares[COUNT(divisions[0].weights)] = {0};

	for (size_t i = 0; i < divisions[_i].count; i++)
		shares[i].weight = divisions[_i].weights[i];
	ck_assert_uint_eq(ledger_divide(divisions[_i].whole, shares, divisions[_i].count),
			  divisions[_i].undivided);
	for (size_t i = 0; i < divisions[_i].count; i++)
		ck_assert_msg(shares[i].share == divisions[_i].shares[i], "%s: party %zu has %llu, not %llu",
			      divisions[_i].what, i, (unsigned long long)shares[i].share,
			      (unsigned long long)divisions[_i].shares[i]);
}
END_TEST

/* What stood in a share before does not matter. */
START_TEST(shares_are_written_anew)
{
	struct ledger_share shares[] = {{.weight = 1, .share = 99, .remainder = 98},
					{.weight = 0, .share = 97, .remainder = 96},
					{.weight = 1, .share = 95, .remainder = 94}};

	ck_assert_uint_eq(ledger_divide(4, shares, 3), 0);
	ck_assert_uint_eq(shares[0].share, 2);
	ck_assert_uint_eq(shares[1].share, 0);
	ck_assert_uint_eq(shares[2].share, 2);
	shares[0].weight = shares[2].weight = 0;
	ck_assert_uint_eq(ledger_divide(4, shares, 3), 4);
	ck_assert_uint_eq(shares[0].share + shares[1].share + shares[2].share, 0);
}
END_TEST

/* ---- Any ---------------------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of any size: as many of few bits as of many. */
static uint64_t random_sized(void)
{
	return random_number() >> random_number() % 64;
}

/* Some without weight, many alike, some as heavy as can be. */
static uint64_t random_weight(unsigned mode)
{
	switch (random_number() % 4) {
	case 0:
		return 0;
	case 1:
		return mode & 1 ? random_number() % 4 : random_sized();
	case 2:
		return mode & 2 ? UINT64_MAX - random_number() % 3 : random_sized();
	default:
		return random_sized();
	}
}

/* The weights as ledger.h says they are taken: halved until their sum fits 64 bits. */
static unsigned __int128 halve(const struct ledger_share *shares, size_t count, uint64_t *weights)
{
	unsigned __int128 sum;
	unsigned shift = 0;

	do {
		sum = 0;
		for (size_t i = 0; i < count; i++)
			sum += weights[i] = shares[i].weight >> shift;
		shift++;
	} while (sum > UINT64_MAX);
	return sum;
}

/* Hamilton's method: whole quotients, then a unit at a time to the largest remainder, the earlier first. */
static void divide_plainly(uint64_t whole, const uint64_t *weights, size_t count, uint64_t sum,
			   uint64_t *shares)
{
	uint64_t remainders[PARTIES_MAX], left = whole;

	for (size_t i = 0; i < count; i++) {
		unsigned __int128 product = (unsigned __int128)whole * weights[i];

		shares[i] = (uint64_t)(product / sum);
		remainders[i] = (uint64_t)(product % sum);
		left -= shares[i];
	}
	for (; left; left--) {
		size_t largest = 0;

		for (size_t i = 1; i < count; i++)
			if (remainders[i] > remainders[largest])
				largest = i;
		shares[largest]++;
		remainders[largest] = 0;
	}
}

static void check_division(uint64_t whole, const struct ledger_share *shares, size_t count,
			   uint64_t undivided)
{
	uint64_t weights[PARTIES_MAX], plain[PARTIES_MAX], divided = 0;
	unsigned __int128 sum = halve(shares, count, weights);

	must(undivided == (sum ? 0 : whole));
	if (!sum)
		return;
	divide_plainly(whole, weights, count, (uint64_t)sum, plain);
	for (size_t i = 0; i < count; i++) {
		unsigned __int128 exact = (unsigned __int128)whole * weights[i];
		unsigned __int128 share = (unsigned __int128)shares[i].share * sum;

		must(share < exact + sum && exact < share + sum);
		must(weights[i] || !shares[i].share);
		must(shares[i].share == plain[i]);
		divided += shares[i].share;
	}
	must(divided == whole);
}

START_TEST(any_division)
{
	struct ledger_share shares[PARTIES_MAX];

	for (int round = 0; round < 200000; round++) {
		size_t count = random_number() % (PARTIES_MAX + 1);
		uint64_t whole = random_sized();
		unsigned mode = (unsigned)random_number() % 4;

		memset(shares, 0x5a, sizeof(shares));
		for (size_t i = 0; i < count; i++)
			shares[i].weight = random_weight(mode);
		check_division(whole, shares, count, ledger_divide(whole, shares, count));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *divide = tcase_create("divide");
	TCase *any = tcase_create("any");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(divide, a_division, 0, COUNT(divisions));
	tcase_add_test(divide, shares_are_written_anew);
	tcase_add_test(any, any_division);
	tcase_set_timeout(any, 60);
	suite_add_tcase(suite, divide);
	suite_add_tcase(suite, any);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
