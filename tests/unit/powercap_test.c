/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The powercap source on trees like those of real hosts (tests/fixtures/powercap), through energy_open and
 * energy_read. Writes to a directory of its own only.
 */
#include "energy_tree.h"

#define FIXTURES "tests/fixtures/powercap/"
#define RANGE	 262143328850ULL /* 32 bits of 61 uJ */
#define RANGE_15 65712999613ULL	 /* 32 bits of 15.3 uJ */

static void load(const char *fixture)
{
	load_from(FIXTURES, fixture);
}

/* ---- The zoo ----------------------------------------------------------------------------------- */

static const struct expected zoo[] = {
    {"desktop", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE, 184467440737},
    {"desktop", "package-0-core", "powercap", ENERGY_CORE, 0, RANGE, 92233720368},
    {"desktop", "package-0-uncore", "powercap", ENERGY_UNCORE, 0, RANGE, 1152921504},
    {"desktop", "package-0-dram", "powercap", ENERGY_DRAM, 0, RANGE, 18446744073},
    {"desktop", "psys", "powercap", ENERGY_PSYS, HOST, RANGE, 261143328850},

    {"server", "package-1", "powercap", ENERGY_PACKAGE, 1, RANGE, 77309411328},
    {"server", "package-1-dram", "powercap", ENERGY_DRAM, 1, RANGE_15, 12345678901},
    {"server", "package-1-core", "powercap", ENERGY_CORE, 1, RANGE, 44444444444},
    {"server", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE, 200000000000},
    {"server", "package-0-core", "powercap", ENERGY_CORE, 0, RANGE, 99999999999},
    {"server", "package-0-dram", "powercap", ENERGY_DRAM, 0, RANGE_15, RANGE_15},

    {"dies", "package-0-die-0", "powercap", ENERGY_PACKAGE, 0, RANGE, 10000000000},
    {"dies", "package-0-die-0-dram", "powercap", ENERGY_DRAM, 0, RANGE_15, 1000000000},
    {"dies", "package-0-die-1", "powercap", ENERGY_PACKAGE, 0, RANGE, 20000000000},
    {"dies", "package-0-die-1-dram", "powercap", ENERGY_DRAM, 0, RANGE_15, 2000000000},

    {"server-no-pp0", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE, 123456789012},
    {"server-no-pp0", "package-0-dram", "powercap", ENERGY_DRAM, 0, RANGE_15, 3210987654},
    {"server-no-pp0", "psys", "powercap", ENERGY_PSYS, HOST, 4294967295000000, 60293987000000},
    {"server-no-pp0", "package-1", "powercap", ENERGY_PACKAGE, 1, RANGE, 111111111111},
    {"server-no-pp0", "package-1-dram", "powercap", ENERGY_DRAM, 1, RANGE_15, 2222222222},
    {"server-no-pp0", "psys-1", "powercap", ENERGY_PSYS, HOST, 4294967295000000, 0},

    {"amd", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE_15, 40123456789},

    {"amd-dies", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE_15, 40123456789},
    {"amd-dies", "package-1", "powercap", ENERGY_PACKAGE, 1, RANGE_15, 30123456795},

    {"mmio", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE, 55555555500},
    {"mmio", "package-0-core", "powercap", ENERGY_CORE, 0, RANGE, 22222222222},
    {"mmio", "package-0-uncore", "powercap", ENERGY_UNCORE, 0, RANGE, 1111111111},

    {"mmio-only", "package-0", "powercap", ENERGY_PACKAGE, 0, RANGE, 55555555555},

    {"simulated", "package-0", "simulated", ENERGY_PACKAGE, 0, 65500000000, 0},
    {"simulated", "package-0-dram", "simulated", ENERGY_DRAM, 0, 65500000000, 0},
};

static const char *const fixtures[] = {
    "desktop", "server", "dies", "server-no-pp0", "amd", "amd-dies", "mmio", "mmio-only", "simulated",
};

START_TEST(zoo_is_known)
{
	load(fixtures[_i]);
	open_tree();
	energy_read(energy);
	check_zones(fixtures[_i], zoo, COUNT(zoo));
	ck_assert_msg(!warnings, "%s: said\n%s", fixtures[_i], said);
}
END_TEST

/* Dies are counters of their own where they are not AMD's. */
START_TEST(dies_without_amd_are_not_mirrors)
{
	size_t count;

	load("amd-dies");
	ck_assert_int_eq(tree_remove(&tree, "devices/system"), 0);
	open_tree();
	energy_zones(energy, &count);
	ck_assert_uint_eq(count, 24);
}
END_TEST

/* ---- Reading ----------------------------------------------------------------------------------- */

#define PACKAGE "class/powercap/intel-rapl:0"
#define MEMORY	"class/powercap/intel-rapl:0:0"

START_TEST(energy_adds_up_over_a_wrap)
{
	load("simulated");
	apply(PACKAGE "/energy_uj = 65400000000");
	open_tree();
	energy_read(energy);
	apply(PACKAGE "/energy_uj = 65450000000\n" MEMORY "/energy_uj = 7");
	energy_read(energy);
	ck_assert(zone("package-0")->valid);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 50000000);
	ck_assert_uint_gt(zone("package-0")->elapsed_ns, 0);
	ck_assert_uint_eq(zone("package-0-dram")->delta_uj, 7);
	apply(PACKAGE "/energy_uj = 25000000");
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 75000000);
	ck_assert_uint_eq(zone("package-0")->total_uj, 125000000);
	ck_assert_uint_eq(zone("package-0")->wraps, 1);
	ck_assert_uint_eq(zone("package-0-dram")->delta_uj, 0);
	ck_assert(zone("package-0-dram")->valid);
	ck_assert_uint_eq(energy_read_within_ns(energy), 32650 * 1000000ULL);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(an_anomaly_is_said_once)
{
	load("simulated");
	apply(PACKAGE "/energy_uj = 30000000000");
	open_tree();
	energy_read(energy);
	forget_said();
	apply(PACKAGE "/energy_uj = 5");
	energy_read(energy);
	ck_assert(!zone("package-0")->valid);
	ck_assert_said("energy of package-0: the counter went from 30000000000 to 5 uJ");
	apply(PACKAGE "/energy_uj = 65500000001");
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->anomalies, 2);
	ck_assert_int_eq(warnings, 1);
	apply(PACKAGE "/energy_uj = 6");
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 1);
}
END_TEST

START_TEST(a_reading_above_the_range_is_said)
{
	load("simulated");
	apply(PACKAGE "/energy_uj = 65500000001");
	open_tree();
	forget_said();
	energy_read(energy);
	energy_read(energy);
	ck_assert_said("package-0: the counter says 65500000001 uJ, above its range of 65500000000");
	ck_assert_int_eq(warnings, 1);
}
END_TEST

/* ---- Failing and well again -------------------------------------------------------------------- */

static const struct {
	const char *what, *statement, *said;
} failures[] = {
    {"no number", PACKAGE "/energy_uj = abc", "energy_uj says \"abc\""},
    {"empty", PACKAGE "/energy_uj =", "energy_uj says \"\""},
    {"negative", PACKAGE "/energy_uj = -5", "energy_uj says \"-5\""},
    {"two numbers", PACKAGE "/energy_uj = 1 2", "energy_uj says \"1 2\""},
    {"too large", PACKAGE "/energy_uj = 18446744073709551616", "energy_uj says \"18446744073709551616\""},
    {"too long", PACKAGE "/energy_uj = 0000000000000000000000000000000000000001", "File too large"},
    {"away", NULL, "no zone in"},
    {"a directory", PACKAGE "/energy_uj/", "Is a directory"},
    {"a link in a circle", PACKAGE "/energy_uj -> energy_uj", "Too many levels"},
    {"a link to nowhere", PACKAGE "/energy_uj -> nowhere", "No such file"},
};

/* As if that much time had gone by since it was said. */
static void make_older(const char *name, uint64_t by_ns)
{
	((struct energy_zone *)zone(name))->said_ns -= by_ns;
}

static void fail_and_come_back(void)
{
	tree_remove(&tree, PACKAGE "/energy_uj");
	energy_read(energy);
	ck_assert(zone("package-0")->failing);
	apply(PACKAGE "/energy_uj = 1000");
	energy_read(energy);
	ck_assert(!zone("package-0")->failing);
}

START_TEST(one_that_comes_and_goes_is_said_now_and_then)
{
	load("simulated");
	open_tree();
	energy_read(energy);
	forget_said();
	for (int i = 0; i < 10; i++)
		fail_and_come_back();
	ck_assert_msg(warnings == 1 && infos == 1, "said %d and %d times:\n%s", warnings, infos, said);
	ck_assert_said("energy of package-0 is not measured for now: ");

	/* It fails for good, and says so when it may. */
	tree_remove(&tree, PACKAGE "/energy_uj");
	make_older("package-0", ENERGY_QUIET_NS - 10000000000);
	energy_read(energy);
	ck_assert_int_eq(warnings, 1);
	make_older("package-0", 10000000000);
	energy_read(energy);
	energy_read(energy);
	ck_assert_int_eq(warnings, 2);
	ck_assert_said("energy of package-0 is not measured for now (and 9 times in between): ");
	apply(PACKAGE "/energy_uj = 1000");
	energy_read(energy);
	ck_assert_msg(infos == 2, "what was said to fail is said to be well:\n%s", said);
	forget_said();
	make_older("package-0", ENERGY_QUIET_NS);
	fail_and_come_back();
	ck_assert_int_eq(warnings, 1);
	ck_assert_int_eq(infos, 1);
	ck_assert_said("is not measured for now: ");
}
END_TEST

START_TEST(fails_once_and_comes_back)
{
	load("simulated");
	open_tree();
	energy_read(energy);
	forget_said();
	if (failures[_i].statement) {
		tree_remove(&tree, PACKAGE "/energy_uj");
		apply("%s", failures[_i].statement);
	} else {
		tree_remove(&tree, PACKAGE);
		energy_read(energy); /* this one is said too: the file is gone */
		ck_assert_said("energy_uj: No such file or directory");
	}
	for (int i = 0; i < 3; i++)
		energy_read(energy);
	ck_assert(!zone("package-0")->valid && zone("package-0")->failing);
	ck_assert(zone("package-0-dram")->valid);
	if (failures[_i].statement)
		ck_assert_said(failures[_i].said);
	ck_assert_msg(warnings == 1, "%s: said %d times:\n%s", failures[_i].what, warnings, said);

	forget_said();
	tree_remove(&tree, PACKAGE "/energy_uj");
	apply("[" PACKAGE "]\nname = package-0\nenergy_uj = 1000\nmax_energy_range_uj = 65500000000");
	energy_read(energy);
	ck_assert(zone("package-0")->valid && !zone("package-0")->failing);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 1000);
	ck_assert_said("energy of package-0 is measured again");
	ck_assert_said("in the next figure");
	ck_assert_int_eq(warnings, 0);
}
END_TEST

/* Zones that were away come back under each other's number. */
START_TEST(numbers_are_no_names)
{
	load("simulated");
	apply("[class/powercap/intel-rapl:1]\nname = package-1\nenergy_uj = 5000000\n"
	      "max_energy_range_uj = 65500000000");
	open_tree();
	energy_read(energy);
	ck_assert_int_eq(tree_remove(&tree, "class/powercap"), 0);
	energy_read(energy);
	ck_assert(!zone("package-0")->valid && !zone("package-1")->valid);
	apply("[class/powercap]\nintel-rapl:0/name = package-1\nintel-rapl:0/energy_uj = 5000011\n"
	      "intel-rapl:1/name = package-0\nintel-rapl:1/energy_uj = 22\n"
	      "intel-rapl:1:4/name = dram\nintel-rapl:1:4/energy_uj = 33");
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 22);
	ck_assert_uint_eq(zone("package-1")->delta_uj, 11);
	ck_assert_uint_eq(zone("package-0-dram")->delta_uj, 33);
}
END_TEST

/* A number that is another zone's now is not read for the old one. */
START_TEST(a_zone_that_became_another_is_absent)
{
	load("simulated");
	open_tree();
	energy_read(energy);
	tree_remove(&tree, PACKAGE "/energy_uj");
	energy_read(energy);
	apply("[" PACKAGE "]\nname = package-5\nenergy_uj = 77");
	energy_read(energy);
	ck_assert(!zone("package-0")->valid && zone("package-0")->failing);
	ck_assert(!zone("package-0-dram")->failing);
}
END_TEST

START_TEST(zones_that_tell_nothing)
{
	static const char *const failing[] = {
	    "package-0", "package-0-core", "package-0-uncore", "package-1", "psys",
	};
	size_t count;

	load("unreadable");
	open_tree();
	ck_assert_said("/class/powercap/intel-rapl:5/name: Is a directory (and 2 more like it)");
	ck_assert_said("intel-rapl:0:2/max_energy_range_uj: no range: abc");
	ck_assert_said("intel-rapl:2/max_energy_range_uj: No such file or directory");
	ck_assert_int_eq(warnings, 3);
	forget_said();
	for (int i = 0; i < 3; i++)
		energy_read(energy);
	energy_zones(energy, &count);
	ck_assert_uint_eq(count, COUNT(failing) + 2);
	for (size_t i = 0; i < COUNT(failing); i++)
		ck_assert_msg(zone(failing[i])->failing, "%s is read", failing[i]);
	ck_assert(zone("package-0-dram")->valid && !zone("package-0-dram")->range_uj);
	ck_assert(zone("package-2")->valid && !zone("package-2")->range_uj);
	ck_assert_int_eq(warnings, COUNT(failing));
}
END_TEST

/* ---- Nothing to be had ------------------------------------------------------------------------- */

static const struct {
	const char *what, *text, *said;
} nothing[] = {
    {"no class", "class/", "/class/powercap: No such file or directory: on bare metal, load the driver"},
    {"an empty one", "class/powercap/", "no RAPL zone in"},
    {"a file", "class/powercap = x", "/class/powercap: Not a directory"},
    {"others only", "class/powercap/dtpm:0/name = package-0", "no RAPL zone in"},
    {"control types only", "class/powercap/intel-rapl/enabled = 1", "no RAPL zone in"},
    {"unknown names", "class/powercap/intel-rapl:0/name = package-", "no RAPL zone in"},
    {"a part without its whole", "class/powercap/intel-rapl:0:0/name = core", "no RAPL zone in"},
    {"a part of another kind",
     "class/powercap/intel-rapl:0/name = psys-\nclass/powercap/intel-rapl-mmio:0:0/name = core",
     "no RAPL zone in"},
    {"names that lead nowhere", "class/powercap/intel-rapl:0 -> gone\nclass/powercap/intel-rapl:1 -> gone",
     "intel-rapl:0/name: No such file or directory (and 1 more like it): give deepmon the host's whole /sys"},
};

START_TEST(nothing_is_said_once)
{
	char text[512];

	ck_assert_int_eq(tree_open(&tree), 0);
	snprintf(text, sizeof(text), "%s", nothing[_i].text);
	ck_assert_int_eq(tree_apply(&tree, text), 0);
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_int_eq(verdict("powercap")->error, -ENOENT);
	ck_assert_said("no energy: powercap: ");
	ck_assert_said(nothing[_i].said);
	ck_assert_msg(warnings == 1, "%s: said\n%s", nothing[_i].what, said);
}
END_TEST

START_TEST(needs_no_logger)
{
	load("unreadable");
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, NULL), 0);
	energy_read(energy);
	energy_close(NULL);
}
END_TEST

START_TEST(more_zones_than_fit)
{
	size_t count;

	ck_assert_int_eq(tree_open(&tree), 0);
	for (int i = 0; i < 300; i++)
		apply("[class/powercap/intel-rapl:%x]\nname = package-%d\nenergy_uj = 1\nmax_energy_range_uj "
		      "= 9",
		      i, i);
	open_tree();
	energy_read(energy);
	energy_zones(energy, &count);
	ck_assert_uint_eq(count, 256);
	ck_assert_said("has more than 256 zones");
	ck_assert_int_eq(warnings, 1);
}
END_TEST

/* ---- Permissions ------------------------------------------------------------------------------- */

static int open_denied(void)
{
	if (open_from(ENERGY_FROM_AUTO, &logger) || verdict("powercap")->error != -EACCES)
		return 1;
	if (warnings != 1)
		return 2;
	return strstr(said, "intel-rapl:0/energy_uj: Permission denied (and 1 more like it): run as root, "
			    "or grant the capability CAP_DAC_READ_SEARCH")
		   ? 0
		   : 3;
}

START_TEST(all_are_denied)
{
	load("simulated");
	restrict_file(PACKAGE "/energy_uj");
	restrict_file(MEMORY "/energy_uj");
	ck_assert_int_eq(as_nobody(open_denied), 0);
}
END_TEST

static int open_some(void)
{
	size_t count;

	if (open_from(ENERGY_FROM_AUTO, &logger))
		return 1;
	energy_read(energy);
	energy_zones(energy, &count);
	if (count != 1 || warnings != 1)
		return 2;
	return strstr(said, "energy zone left out: ") && strstr(said, "intel-rapl:0:0/energy_uj: Permission")
		   ? 0
		   : 3;
}

START_TEST(some_are_denied)
{
	load("simulated");
	restrict_file(MEMORY "/energy_uj");
	ck_assert_int_eq(as_nobody(open_some), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("powercap");
	TCase *all = tcase_create("powercap");

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_loop_test(all, zoo_is_known, 0, COUNT(fixtures));
	tcase_add_test(all, dies_without_amd_are_not_mirrors);
	tcase_add_test(all, energy_adds_up_over_a_wrap);
	tcase_add_test(all, an_anomaly_is_said_once);
	tcase_add_test(all, a_reading_above_the_range_is_said);
	tcase_add_loop_test(all, fails_once_and_comes_back, 0, COUNT(failures));
	tcase_add_test(all, one_that_comes_and_goes_is_said_now_and_then);
	tcase_add_test(all, numbers_are_no_names);
	tcase_add_test(all, a_zone_that_became_another_is_absent);
	tcase_add_test(all, zones_that_tell_nothing);
	tcase_add_loop_test(all, nothing_is_said_once, 0, COUNT(nothing));
	tcase_add_test(all, needs_no_logger);
	tcase_add_test(all, more_zones_than_fit);
	tcase_add_test(all, all_are_denied);
	tcase_add_test(all, some_are_denied);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
