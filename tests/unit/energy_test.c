/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The rule that makes energy of raw counters (energy_advance): by a table, and by random counters of which
 * the truth is known. Reads and writes nothing.
 */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/energy.h"

#define COUNT(of)   (sizeof(of) / sizeof((of)[0]))
#define NS_PER_S    1000000000ULL
#define NS_PER_MS   1000000ULL
#define UJ_PER_J    1000000ULL
#define RANGE_64K   (65500 * UJ_PER_J)
#define RANGE_262K  262143328850ULL
#define START_NS    (1000 * NS_PER_S)
#define PACKAGE_MAX 2000 /* W: energy_plausible_watts(ENERGY_PACKAGE) */

/* For loops of millions: Check's own assertions write a message each time. */
#define must(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

static struct energy_zone zone_of(enum energy_domain domain, uint64_t range_uj)
{
	struct energy_zone zone = {.name = "test", .domain = domain, .range_uj = range_uj};

	return zone;
}

/* ---- One step ---------------------------------------------------------------------------------- */

enum outcome { DELTA, WRAP, ANOMALY, NOT_TAKEN_ANOMALY, NOT_TAKEN };

static const struct step {
	const char *what;
	enum energy_domain domain;
	uint64_t range, before, now, elapsed_ns;
	enum outcome outcome;
	uint64_t delta;
} steps[] = {
    {"normal", ENERGY_PACKAGE, RANGE_262K, 1000, 101 * UJ_PER_J, NS_PER_S, DELTA, 101 * UJ_PER_J - 1000},
    {"no energy used", ENERGY_PACKAGE, RANGE_262K, 1000, 1000, NS_PER_S, DELTA, 0},
    {"wrap", ENERGY_PACKAGE, RANGE_64K, RANGE_64K - 150, 250, NS_PER_S, WRAP, 400},
    {"wrap from the last value to 0", ENERGY_PACKAGE, RANGE_64K, RANGE_64K, 0, NS_PER_S, WRAP, 0},
    {"wrap from the last value to 1", ENERGY_PACKAGE, RANGE_64K, RANGE_64K, 1, NS_PER_S, WRAP, 1},
    {"wrap to 0", ENERGY_PACKAGE, RANGE_64K, RANGE_64K - 1, 0, NS_PER_S, WRAP, 1},
    {"to the last value", ENERGY_PACKAGE, RANGE_64K, RANGE_64K - 9, RANGE_64K, NS_PER_S, DELTA, 9},
    {"a counter set back", ENERGY_PACKAGE, RANGE_262K, 130000 * UJ_PER_J, 0, NS_PER_S, ANOMALY, 0},
    {"a small step back", ENERGY_PACKAGE, RANGE_262K, 5000, 4999, NS_PER_S, ANOMALY, 0},
    {"a jump forward", ENERGY_PACKAGE, RANGE_262K, 0, 130000 * UJ_PER_J, NS_PER_S, ANOMALY, 0},
    {"as much as is plausible", ENERGY_PACKAGE, RANGE_262K, 0, 2200 * UJ_PER_J, NS_PER_S, DELTA,
     2200 * UJ_PER_J}, /* 2000 W for 1 s and 0.1 s of slack */
    {"a microjoule more", ENERGY_PACKAGE, RANGE_262K, 0, 2200 * UJ_PER_J + 1, NS_PER_S, ANOMALY, 0},
    {"a wrap of as much", ENERGY_PACKAGE, RANGE_262K, RANGE_262K - 2200 * UJ_PER_J, 0, NS_PER_S, WRAP,
     2200 * UJ_PER_J},
    {"a wrap of more", ENERGY_PACKAGE, RANGE_262K, RANGE_262K - 2200 * UJ_PER_J, 1, NS_PER_S, ANOMALY, 0},
    {"too much for memory", ENERGY_DRAM, RANGE_262K, 0, 1500 * UJ_PER_J, NS_PER_S, ANOMALY, 0},
    {"plausible for a platform", ENERGY_PSYS, RANGE_262K, 0, 9000 * UJ_PER_J, NS_PER_S, DELTA,
     9000 * UJ_PER_J},
    {"above the range", ENERGY_PACKAGE, RANGE_64K, 5, RANGE_64K + 1, NS_PER_S, NOT_TAKEN_ANOMALY, 0},
    {"no range, forward", ENERGY_PACKAGE, 0, 5, 405, NS_PER_S, DELTA, 400},
    {"no range, back", ENERGY_PACKAGE, 0, 405, 5, NS_PER_S, ANOMALY, 0},
    {"no range, back from the end", ENERGY_PACKAGE, 0, UINT64_MAX, 5, NS_PER_S, ANOMALY, 0},
    {"no range, very large", ENERGY_PACKAGE, 0, UINT64_MAX - 5, UINT64_MAX, NS_PER_S, DELTA, 5},
    {"no range, after a day", ENERGY_PACKAGE, 0, 0, 40000000 * UJ_PER_J, 86400 * NS_PER_S, DELTA,
     40000000 * UJ_PER_J},
    {"the largest range", ENERGY_PACKAGE, UINT64_MAX, UINT64_MAX - 5, 5, NS_PER_S, WRAP, 10},
    {"the largest range, any time", ENERGY_PSYS, UINT64_MAX, 0, 7, UINT64_MAX - START_NS, DELTA, 7},
    {"at the same time", ENERGY_PACKAGE, RANGE_64K, 5, 405, 0, NOT_TAKEN, 0},
    {"back at the same time", ENERGY_PACKAGE, RANGE_64K, 405, 5, 0, NOT_TAKEN, 0},
    {"a nanosecond later", ENERGY_PACKAGE, RANGE_64K, 5, 405, 1, DELTA, 400},
    {"a gap of 5 s", ENERGY_PACKAGE, RANGE_64K, 0, 2000 * UJ_PER_J, 5 * NS_PER_S, DELTA, 2000 * UJ_PER_J},
    {"a wrap in a gap of 20 s", ENERGY_PACKAGE, RANGE_64K, RANGE_64K - UJ_PER_J, 7999 * UJ_PER_J,
     20 * NS_PER_S, WRAP, 8000 * UJ_PER_J},
    {"not for 5 minutes", ENERGY_PACKAGE, RANGE_64K, 0, 54500 * UJ_PER_J, 300 * NS_PER_S, ANOMALY, 0},
    {"just in time", ENERGY_PACKAGE, RANGE_64K, 0, 1, 32650 * NS_PER_MS, DELTA, 1},
    {"on the limit", ENERGY_PACKAGE, RANGE_64K, 0, 0, 32650 * NS_PER_MS, ANOMALY, 0},
    {"just too late", ENERGY_PACKAGE, RANGE_64K, 0, 0, 32651 * NS_PER_MS, ANOMALY, 0},
    {"late, but there is one answer only", ENERGY_PACKAGE, RANGE_64K, 0, 60000 * UJ_PER_J, 40 * NS_PER_S,
     DELTA, 60000 * UJ_PER_J},
};

START_TEST(one_step)
{
	const struct step *step = &steps[_i];
	struct energy_zone zone = zone_of(step->domain, step->range);
	bool taken = step->outcome != NOT_TAKEN && step->outcome != NOT_TAKEN_ANOMALY;
	bool valid = step->outcome == DELTA || step->outcome == WRAP;
	bool anomaly = step->outcome == ANOMALY || step->outcome == NOT_TAKEN_ANOMALY;

	energy_advance(&zone, step->before, START_NS);
	energy_advance(&zone, step->now, START_NS + step->elapsed_ns);
	ck_assert_msg(zone.valid == valid, "%s: valid is %d", step->what, zone.valid);
	ck_assert_msg(zone.delta_uj == step->delta, "%s: delta is %" PRIu64, step->what, zone.delta_uj);
	ck_assert_msg(zone.elapsed_ns == (valid ? step->elapsed_ns : 0), "%s: elapsed is %" PRIu64,
		      step->what, zone.elapsed_ns);
	ck_assert_msg(zone.total_uj == step->delta, "%s: total is %" PRIu64, step->what, zone.total_uj);
	ck_assert_msg(zone.wraps == (step->outcome == WRAP), "%s: wraps are %" PRIu64, step->what,
		      zone.wraps);
	ck_assert_msg(zone.anomalies == anomaly, "%s: anomalies are %" PRIu64, step->what, zone.anomalies);
	ck_assert_msg(zone.raw_uj == (taken ? step->now : step->before), "%s: the base is %" PRIu64,
		      step->what, zone.raw_uj);
	ck_assert_msg(zone.read_ns == (taken ? START_NS + step->elapsed_ns : START_NS),
		      "%s: the base's time is %" PRIu64, step->what, zone.read_ns);
}
END_TEST

START_TEST(first_reading_is_a_base_and_no_energy)
{
	struct energy_zone zone = zone_of(ENERGY_PACKAGE, RANGE_262K);

	energy_advance(&zone, 12345, START_NS);
	ck_assert(zone.has_reading);
	ck_assert(!zone.valid);
	ck_assert_uint_eq(zone.total_uj, 0);
	ck_assert_uint_eq(zone.anomalies, 0);
}
END_TEST

START_TEST(first_reading_above_the_range_is_no_base)
{
	struct energy_zone zone = zone_of(ENERGY_PACKAGE, RANGE_64K);

	energy_advance(&zone, RANGE_64K + 1, START_NS);
	ck_assert(!zone.has_reading);
	ck_assert_uint_eq(zone.anomalies, 1);
	energy_advance(&zone, 100, START_NS + NS_PER_S);
	ck_assert(zone.has_reading && !zone.valid);
}
END_TEST

START_TEST(after_an_anomaly_it_goes_on)
{
	struct energy_zone zone = zone_of(ENERGY_PACKAGE, RANGE_262K);

	energy_advance(&zone, 130000 * UJ_PER_J, START_NS);
	energy_advance(&zone, 5, START_NS + NS_PER_S);
	ck_assert(!zone.valid);
	energy_advance(&zone, 105, START_NS + 2 * NS_PER_S);
	ck_assert(zone.valid);
	ck_assert_uint_eq(zone.delta_uj, 100);
	ck_assert_uint_eq(zone.total_uj, 100);
	ck_assert_uint_eq(zone.anomalies, 1);
}
END_TEST

START_TEST(after_a_reading_above_the_range_nothing_is_lost)
{
	struct energy_zone zone = zone_of(ENERGY_PACKAGE, RANGE_64K);

	energy_advance(&zone, 1000, START_NS);
	energy_advance(&zone, UINT64_MAX, START_NS + NS_PER_S);
	energy_advance(&zone, 9000, START_NS + 2 * NS_PER_S);
	ck_assert(zone.valid);
	ck_assert_uint_eq(zone.delta_uj, 8000);
	ck_assert_uint_eq(zone.elapsed_ns, 2 * NS_PER_S);
}
END_TEST

START_TEST(plausible_watts_are_those_of_the_table)
{
	ck_assert_uint_eq(energy_plausible_watts(ENERGY_PACKAGE), PACKAGE_MAX);
	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++) {
		ck_assert_ptr_nonnull(energy_domain_name((enum energy_domain)domain));
		ck_assert_uint_ge(energy_plausible_watts((enum energy_domain)domain), 1000);
	}
}
END_TEST

static const struct {
	enum energy_domain domain;
	int package, die;
	const char *name;
	int socket;
	bool divided;
} names[] = {
    {ENERGY_PACKAGE, 0, -1, "package-0", 0, true},
    {ENERGY_PACKAGE, 3, 1, "package-3-die-1", 3, true},
    {ENERGY_CORE, 1, -1, "package-1-core", 1, true},
    {ENERGY_UNCORE, 0, 0, "package-0-die-0-uncore", 0, true},
    {ENERGY_DRAM, 0, -1, "package-0-dram", 0, true},
    {ENERGY_PSYS, 0, -1, "psys", ENERGY_SOCKET_NONE, false},
    {ENERGY_PSYS, 1, -1, "psys-1", ENERGY_SOCKET_NONE, false},
    {ENERGY_PLATFORM, 0, -1, "platform", ENERGY_SOCKET_NONE, false},
    {ENERGY_PLATFORM, 2, -1, "platform-2", ENERGY_SOCKET_NONE, false},
};

START_TEST(zones_are_named_as_powercap_does)
{
	struct energy_zone zone = {0};

	energy_zone_identify(&zone, names[_i].domain, names[_i].package, names[_i].die);
	ck_assert_str_eq(zone.name, names[_i].name);
	ck_assert_int_eq(zone.domain, names[_i].domain);
	ck_assert_int_eq(zone.socket, names[_i].socket);
	ck_assert_int_eq(energy_is_divided(zone.domain), names[_i].divided);
}
END_TEST

/* A counter of 64 bits that the source made of shorter ones: no wrap is in doubt however late it is read. */
START_TEST(without_a_range_any_time_will_do)
{
	struct energy_zone zone = zone_of(ENERGY_PACKAGE, 0);

	energy_advance(&zone, 5, START_NS);
	energy_advance(&zone, 5 + 86400 * 300 * UJ_PER_J, START_NS + 86400 * NS_PER_S);
	ck_assert(zone.valid);
	ck_assert_uint_eq(zone.delta_uj, 86400 * 300 * UJ_PER_J);
	energy_advance(&zone, 4, START_NS + 86401 * NS_PER_S);
	ck_assert(!zone.valid);
	ck_assert_uint_eq(zone.anomalies, 1);
	ck_assert_uint_eq(zone.wraps, 0);
}
END_TEST

/* ---- Many steps -------------------------------------------------------------------------------- */

/* The sampler reads each second, the agent every five minutes: 65.5 kJ wrap in 2.7 minutes at 400 W. */
START_TEST(a_small_range_and_a_slow_agent)
{
	struct energy_zone sampled = zone_of(ENERGY_PACKAGE, RANGE_64K);
	struct energy_zone slow = zone_of(ENERGY_PACKAGE, RANGE_64K);
	uint64_t first = 60000 * UJ_PER_J;

	for (uint64_t second = 0; second <= 3600; second++) {
		uint64_t used = second * 400 * UJ_PER_J;
		uint64_t raw = (first + used) % RANGE_64K;

		energy_advance(&sampled, raw, START_NS + second * NS_PER_S);
		if (second % 300)
			continue;
		ck_assert_uint_eq(sampled.total_uj, used);
		ck_assert_uint_eq(sampled.wraps, (first + used) / RANGE_64K);
		energy_advance(&slow, raw, START_NS + second * NS_PER_S);
		ck_assert(!slow.valid); /* absent, rather than a range or two short */
	}
	ck_assert_uint_eq(sampled.anomalies, 0);
	ck_assert_uint_eq(slow.total_uj, 0);
	ck_assert_uint_eq(slow.anomalies, 12);
}
END_TEST

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 2685821657736338717ULL) % limit;
}

/* What a domain that takes at most `watts` uses in that time. */
static uint64_t random_energy(unsigned watts, uint64_t elapsed_ns)
{
	uint64_t most = elapsed_ns / 1000 * watts;

	return random_below(4) ? random_below(most / 4 + 1) : random_below(most + 1);
}

/* One counter, read often enough: all of its energy, to the microjoule. */
static void check_total_is_the_truth(uint64_t range, enum energy_domain domain)
{
	struct energy_zone zone = zone_of(domain, range);
	unsigned watts = energy_plausible_watts(domain);
	uint64_t truth = random_below(range), first = truth, now = START_NS;
	uint64_t longest_ns = (range / watts - 100000) * 1000;

	energy_advance(&zone, truth % range, now);
	for (int i = 0; i < 2000; i++) {
		uint64_t elapsed = 1000 + random_below(random_below(8) ? NS_PER_S : longest_ns - 1000);

		truth += random_energy(watts, elapsed);
		now += elapsed;
		energy_advance(&zone, truth % range, now);
		if (!zone.valid || zone.total_uj != truth - first || zone.wraps != truth / range)
			ck_abort_msg("range %" PRIu64 ", reading %d: total %" PRIu64 ", truth %" PRIu64,
				     range, i, zone.total_uj, truth - first);
	}
	ck_assert_uint_eq(zone.anomalies, 0);
}

START_TEST(total_is_the_truth_if_read_often_enough)
{
	static const uint64_t ranges[] = {RANGE_64K, 65712999613ULL, RANGE_262K, 4294967295000000ULL};

	for (random_state = 1; random_state < 1000000; random_state = random_state * 3 + 7) {
		uint64_t seed = random_state;

		for (size_t i = 0; i < COUNT(ranges); i++)
			for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++)
				check_total_is_the_truth(ranges[i], (enum energy_domain)domain);
		random_state = seed;
	}
}
END_TEST

/* However late the readings: what is told is true, and what is not told is counted. */
START_TEST(a_delta_is_right_or_absent)
{
	uint64_t gaps = 0;

	random_state = 42;
	for (int round = 0; round < 500; round++) {
		struct energy_zone zone = zone_of(ENERGY_PACKAGE, RANGE_64K);
		uint64_t truth = random_below(RANGE_64K), now = START_NS, told = truth;

		energy_advance(&zone, truth % RANGE_64K, now);
		for (int i = 0; i < 500; i++) {
			uint64_t elapsed = 1000 + random_below((random_below(3) ? 20 : 600) * NS_PER_S);
			uint64_t anomalies = zone.anomalies;

			truth += random_energy(PACKAGE_MAX, elapsed);
			now += elapsed;
			energy_advance(&zone, truth % RANGE_64K, now);
			if (zone.valid)
				must(zone.delta_uj == truth - told);
			else
				must(zone.anomalies == anomalies + 1);
			gaps += !zone.valid;
			told = truth;
		}
	}
	ck_assert_uint_gt(gaps, 1000);
}
END_TEST

/* Whatever a counter says, totals only grow and no more than is plausible. */
START_TEST(any_readings_at_all)
{
	random_state = 7;
	for (int round = 0; round < 2000; round++) {
		struct energy_zone zone = zone_of(ENERGY_DRAM, random_below(3) ? random_below(1 << 20) : 0);
		uint64_t now = START_NS;

		for (int i = 0; i < 100; i++) {
			uint64_t total = zone.total_uj, raw = random_below(1 << 21);

			now += random_below(4) * random_below(1000);
			energy_advance(&zone, raw, now);
			must(zone.total_uj == total + zone.delta_uj);
			must(zone.valid || !zone.delta_uj);
			must(!zone.valid || zone.elapsed_ns);
			must(!zone.range_uj || zone.delta_uj <= zone.range_uj);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("energy");
	TCase *step = tcase_create("step");
	TCase *many = tcase_create("many");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(step, one_step, 0, COUNT(steps));
	tcase_add_test(step, first_reading_is_a_base_and_no_energy);
	tcase_add_test(step, first_reading_above_the_range_is_no_base);
	tcase_add_test(step, after_an_anomaly_it_goes_on);
	tcase_add_test(step, after_a_reading_above_the_range_nothing_is_lost);
	tcase_add_test(step, plausible_watts_are_those_of_the_table);
	tcase_add_loop_test(step, zones_are_named_as_powercap_does, 0, COUNT(names));
	tcase_add_test(step, without_a_range_any_time_will_do);
	tcase_add_test(many, a_small_range_and_a_slow_agent);
	tcase_add_test(many, total_is_the_truth_if_read_often_enough);
	tcase_add_test(many, a_delta_is_right_or_absent);
	tcase_add_test(many, any_readings_at_all);
	tcase_set_timeout(many, 60);
	suite_add_tcase(suite, step);
	suite_add_tcase(suite, many);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
