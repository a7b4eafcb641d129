/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The hwmon source on trees like those of real hosts (tests/fixtures/hwmon), and the choice among the
 * sources. The clock that power is integrated over is the test's.
 */
#include <stdint.h>

static uint64_t clock_ns;

#define HWMON_CLOCK_NS() clock_ns
#include "../../common/energy_hwmon.c"

#include "energy_tree.h"

#define FIXTURES   "tests/fixtures/hwmon/"
#define NS_PER_S   1000000000ULL
#define J	   1000000ULL
#define FROM_HWMON (ENERGY_FROM_FIRST + 3)

static void setup_clock(void)
{
	setup();
	clock_ns = 1000 * NS_PER_S;
}

static void load(const char *fixture)
{
	load_from(FIXTURES, fixture);
}

/* ---- The zoo ----------------------------------------------------------------------------------- */

/* In place of the raw counter, what a second at the power of the fixture makes of it: W. */
static const struct expected zoo[] = {
    {"altra", "package-0", "hwmon", ENERGY_PACKAGE, 0, 0, 60 + 20 + 4},
    {"altra", "package-1", "hwmon", ENERGY_PACKAGE, 1, 0, 160 + 120 + 104},
    {"altra", "package-0-core", "hwmon", ENERGY_CORE, 0, 0, 60},
    {"altra", "package-1-core", "hwmon", ENERGY_CORE, 1, 0, 160},
    {"altra", "package-0-dram", "hwmon", ENERGY_DRAM, 0, 0, 5 + 6},
    {"altra", "package-1-dram", "hwmon", ENERGY_DRAM, 1, 0, 105 + 106},

    {"altra-half", "host-package", "hwmon", ENERGY_PACKAGE, HOST, 0, 60 + 20 + 4},
    {"altra-half", "host-core", "hwmon", ENERGY_CORE, HOST, 0, 60},
    {"altra-half", "host-dram", "hwmon", ENERGY_DRAM, HOST, 0, 5 + 6},

    {"xgene", "package-0", "hwmon", ENERGY_PACKAGE, 0, 0, 15 + 8},
    {"xgene", "package-0-core", "hwmon", ENERGY_CORE, 0, 0, 15},

    {"grace", "package-0", "hwmon", ENERGY_PACKAGE, 0, 0, 100},
    {"grace", "package-1", "hwmon", ENERGY_PACKAGE, 1, 0, 200},
    {"grace", "package-0-core", "hwmon", ENERGY_CORE, 0, 0, 70},
    {"grace", "package-1-core", "hwmon", ENERGY_CORE, 1, 0, 170},

    {"meter", "platform", "hwmon", ENERGY_PLATFORM, HOST, 0, 250},

    {"opteron", "package-0", "hwmon", ENERGY_PACKAGE, 0, 0, 90},
    {"opteron", "package-1", "hwmon", ENERGY_PACKAGE, 1, 0, 80},
};

static const char *const fixtures[] = {
    "altra", "altra-half", "xgene", "grace", "meter", "opteron",
};

START_TEST(zoo_is_known)
{
	struct expected rows[COUNT(zoo)];

	memcpy(rows, zoo, sizeof(zoo));
	for (size_t i = 0; i < COUNT(rows); i++)
		rows[i].raw = 0;
	load(fixtures[_i]);
	open_tree();
	energy_read(energy);
	check_zones(fixtures[_i], rows, COUNT(rows));
	clock_ns += NS_PER_S;
	energy_read(energy);
	for (size_t i = 0; i < COUNT(zoo); i++)
		if (!strcmp(zoo[i].fixture, fixtures[_i]))
			ck_assert_uint_eq(zone(zoo[i].name)->raw_uj, zoo[i].raw * J);
	ck_assert_uint_eq(energy_read_within_ns(energy), NS_PER_S);
	ck_assert_said(strcmp(fixtures[_i], "meter")
			   ? "energy is read from hwmon: "
			   : "no energy of containers, only the host's: powercap: ");
}
END_TEST

/* ---- Integration ------------------------------------------------------------------------------- */

START_TEST(power_is_integrated_over_the_time_that_passed)
{
	static const struct {
		uint64_t ns, uw, uj; /* all so far */
	} steps[] = {
	    {0, 10000000, 0},
	    {NS_PER_S, 10000000, 10000000},
	    {NS_PER_S / 2, 20000000, 17500000}, /* (10 + 20) / 2 W for half a second */
	    {NS_PER_S, 0, 27500000},
	    {NS_PER_S, 0, 27500000},
	    {1, 1000000, 27500000}, /* half a femtojoule, which is kept... */
	    {2000000, 1000000, 27502000},
	    {999, 1000000, 27502000},
	    {1, 1000000, 27502001}, /* ...until it is a whole microjoule */
	    {5 * NS_PER_S, 3000000, 37502001},
	};

	load("xgene");
	open_tree();
	for (size_t i = 0; i < COUNT(steps); i++) {
		clock_ns += steps[i].ns;
		apply("class/hwmon/hwmon0/power1_input = %" PRIu64, steps[i].uw);
		energy_read(energy);
		ck_assert_msg(zone("package-0-core")->raw_uj == steps[i].uj, "step %zu: %" PRIu64 " uJ", i,
			      zone("package-0-core")->raw_uj);
		ck_assert(zone("package-0-core")->valid == (i > 0));
	}
	ck_assert_uint_eq(zone("package-0-core")->anomalies, 0);
}
END_TEST

/* What it drew meanwhile nobody knows: the time is left out, and neither guessed nor zero. */
START_TEST(a_long_time_without_a_reading_is_a_gap)
{
	load("meter");
	open_tree();
	energy_read(energy);
	clock_ns += 5 * NS_PER_S + 1;
	energy_read(energy);
	ck_assert(!zone("platform")->valid && zone("platform")->has_reading);
	clock_ns += NS_PER_S;
	energy_read(energy);
	ck_assert_uint_eq(zone("platform")->delta_uj, 250 * J);
	ck_assert_uint_eq(zone("platform")->anomalies, 0);
}
END_TEST

static const struct {
	const char *text, *said;
} failures[] = {
    {"class/hwmon/hwmon1/power1_input = abc", "hwmon1/power1_input: Invalid argument"},
    {"class/hwmon/hwmon1/power1_input = -5", "hwmon1/power1_input: Invalid argument"},
    {"class/hwmon/hwmon1/power1_input = 18446744073709551615",
     "hwmon1/power2_input: Numerical result out of range"},
    {"class/hwmon/hwmon1/power1_input/", "hwmon1/power1_input: Is a directory"},
    {NULL, "hwmon1/power1_input: No such file or directory"},
};

/* The test's clock runs ahead of the real one, so its steps are short: more would not be plausible. */
START_TEST(fails_once_and_comes_back)
{
	load("altra");
	open_tree();
	energy_read(energy);
	forget_said();
	ck_assert_int_eq(tree_remove(&tree, "class/hwmon/hwmon1/power1_input"), 0);
	if (failures[_i].text)
		apply("%s", failures[_i].text);
	for (int i = 0; i < 3; i++) {
		clock_ns += NS_PER_S / 10;
		energy_read(energy);
	}
	ck_assert(!zone("package-0")->valid && zone("package-0")->failing);
	ck_assert(zone("package-0-dram")->valid && zone("package-1")->valid);
	ck_assert_said("energy of package-0 is not measured for now: ");
	ck_assert_said(failures[_i].said);
	tree_remove(&tree, "class/hwmon/hwmon1/power1_input");
	apply("class/hwmon/hwmon1/power1_input = 30000000");
	clock_ns += NS_PER_S / 10;
	energy_read(energy);
	ck_assert(!zone("package-0")->valid && !zone("package-0")->failing);
	ck_assert_said("energy of package-0 is measured again");
	ck_assert_said("left out");
	clock_ns += NS_PER_S / 10;
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->delta_uj, (30 + 20 + 4) * J / 10);
	ck_assert_uint_eq(zone("package-0")->anomalies, 0);
}
END_TEST

/* ---- The choice -------------------------------------------------------------------------------- */

START_TEST(the_platform_comes_to_rapl)
{
	load("server-with-meter");
	open_tree();
	ck_assert_uint_eq(zone_count(), 2);
	energy_read(energy);
	clock_ns += NS_PER_S;
	apply("class/powercap/intel-rapl:0/energy_uj = 1000100");
	energy_read(energy);

	const struct energy_zone *zones = energy_zones(energy, &(size_t){0});

	ck_assert_str_eq(zones[0].name, "package-0");
	ck_assert_str_eq(zones[0].source, "powercap");
	ck_assert_uint_eq(zones[0].delta_uj, 100);
	ck_assert_str_eq(zones[1].name, "platform");
	ck_assert_str_eq(zones[1].source, "hwmon");
	ck_assert_uint_eq(zones[1].delta_uj, 250 * J);
	ck_assert(energy_is_divided(zones[0].domain) && !energy_is_divided(zones[1].domain));
	ck_assert_uint_eq(energy_read_within_ns(energy), NS_PER_S);
	ck_assert_int_eq(warnings, 0);
	ck_assert_str_eq(said, "energy is read from powercap: 1 counter: package-0\n"
			       "energy is read from hwmon: 1 counter: platform\n");
	ck_assert(verdict("powercap")->used && verdict("hwmon")->used);
	ck_assert_str_eq(verdict("perf")->text, "not asked: one before it serves");
}
END_TEST

/* The meter fails: its line names its own file, and the processor's counter goes on. */
START_TEST(each_source_explains_its_own)
{
	load("server-with-meter");
	open_tree();
	energy_read(energy);
	forget_said();
	tree_remove(&tree, "class/hwmon/hwmon0/power1_average");
	clock_ns += NS_PER_S;
	energy_read(energy);
	ck_assert(zone("package-0")->valid && !zone("platform")->valid);
	ck_assert_said("energy of platform is not measured for now: ");
	ck_assert_said("hwmon0/power1_average: No such file or directory");
}
END_TEST

START_TEST(the_source_that_is_asked_for)
{
	load("server-with-meter");
	ck_assert_int_eq(open_from(FROM_HWMON, &logger), 0);
	ck_assert_uint_eq(zone_count(), 3);
	ck_assert_str_eq(zone("package-0")->source, "hwmon");
	zone("package-0-core");
	zone("platform");
	ck_assert_str_eq(verdict("powercap")->text, "not asked: EnergySource asks for another");
}
END_TEST

START_TEST(the_source_that_is_asked_for_and_is_not_there)
{
	load("server-with-meter");
	ck_assert_int_eq(open_from(ENERGY_FROM_FIRST + 2, &logger), 0);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_said("no energy: msr: ");
	ck_assert_int_eq(warnings, 1);
	ck_assert_int_eq(infos, 0);
}
END_TEST

START_TEST(none_is_asked_for)
{
	load("server-with-meter");
	ck_assert_int_eq(open_from(ENERGY_FROM_NONE, &logger), 0);
	energy_read(energy);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_uint_eq(energy_read_within_ns(energy), UINT64_MAX);
	ck_assert_str_eq(said, "");
	ck_assert_str_eq(verdict("hwmon")->text, "not asked: EnergySource is none");
}
END_TEST

/* The option's words and the sources are in the same order. */
START_TEST(words_are_sources)
{
	const struct deepmon_option *option = deepmon_option_find("EnergySource");
	const struct energy_verdict *verdicts;
	char words[128] = "auto";

	ck_assert_int_eq(tree_open(&tree), 0);
	ck_assert_int_eq(open_from(ENERGY_FROM_NONE, NULL), 0);

	size_t count = energy_verdicts(energy, &verdicts);

	for (size_t i = 0; i < count; i++) {
		strcat(words, "|");
		strcat(words, verdicts[i].source);
	}
	strcat(words, "|none");
	ck_assert_str_eq(option->preset, words);

	struct deepmon_options options;

	deepmon_options_init(&options);
	ck_assert_uint_eq(options.energy_source, ENERGY_FROM_AUTO);
	ck_assert_int_eq(deepmon_options_set(&options, "energy-source", "none", words, sizeof(words)), 0);
	ck_assert_uint_eq(options.energy_source, ENERGY_FROM_NONE);
	ck_assert_int_eq(deepmon_options_set(&options, "energy-source", "powercap", words, sizeof(words)), 0);
	ck_assert_uint_eq(options.energy_source, ENERGY_FROM_FIRST);
}
END_TEST

START_TEST(all_reasons_are_in_one_line)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_int_eq(warnings, 1);
	ck_assert_int_eq(infos, 0);
	ck_assert_said("no energy: powercap: ");
	ck_assert_said("modprobe intel_rapl_msr");
	ck_assert_said("; perf: no event of PMU `power`");
	ck_assert_said("; msr: ");
	ck_assert_said("; hwmon: none of the 0 chips in ");
}
END_TEST

static int open_denied(void)
{
	if (open_from(ENERGY_FROM_AUTO, &logger) || verdict("hwmon")->error != -EACCES)
		return 1;
	return strstr(said, "power1_average: Permission denied: run as root, or grant the capability "
			    "CAP_DAC_READ_SEARCH")
		   ? 0
		   : 2;
}

START_TEST(a_meter_is_denied)
{
	load("meter");
	restrict_file("class/hwmon/hwmon2/power1_average");
	ck_assert_int_eq(as_nobody(open_denied), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hwmon");
	TCase *meters = tcase_create("meters");
	TCase *choice = tcase_create("choice");

	tcase_add_checked_fixture(meters, setup_clock, teardown);
	tcase_add_loop_test(meters, zoo_is_known, 0, COUNT(fixtures));
	tcase_add_test(meters, power_is_integrated_over_the_time_that_passed);
	tcase_add_test(meters, a_long_time_without_a_reading_is_a_gap);
	tcase_add_loop_test(meters, fails_once_and_comes_back, 0, COUNT(failures));
	tcase_add_test(meters, a_meter_is_denied);
	tcase_add_checked_fixture(choice, setup_clock, teardown);
	tcase_add_test(choice, the_platform_comes_to_rapl);
	tcase_add_test(choice, each_source_explains_its_own);
	tcase_add_test(choice, the_source_that_is_asked_for);
	tcase_add_test(choice, the_source_that_is_asked_for_and_is_not_there);
	tcase_add_test(choice, none_is_asked_for);
	tcase_add_test(choice, words_are_sources);
	tcase_add_test(choice, all_reasons_are_in_one_line);
	suite_add_tcase(suite, meters);
	suite_add_tcase(suite, choice);
	return run_suite(suite);
}
