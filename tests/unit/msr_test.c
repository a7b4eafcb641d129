/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The msr source on trees like those of real hosts (tests/fixtures/msr). The registers of a CPU are a sparse
 * file, in which each has eight bytes of its own: in the real device neighbours have neighbouring offsets,
 * which of a file would overlap. The clock is the test's.
 */
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

static bool real;
static uint64_t clock_ns;
static int read_error; /* errno */

#define MSR_CLOCK_NS()		 clock_ns
#define MSR_READ(fd, value, reg) register_read(fd, value, reg)
static ssize_t register_read(int fd, uint64_t *value, uint32_t reg);
#include "../../common/energy_msr.c"

#include "energy_tree.h"

#define FIXTURES "tests/fixtures/msr/"
#define NS_PER_S 1000000000ULL
#define J	 1000000ULL

static ssize_t register_read(int fd, uint64_t *value, uint32_t reg)
{
	if (read_error) {
		errno = read_error;
		return -1;
	}
	return pread(fd, value, sizeof(*value), real ? (off_t)reg : (off_t)reg * 8);
}

static void setup_registers(void)
{
	setup();
	real = false;
	clock_ns = 1000 * NS_PER_S;
	read_error = 0;
}

static void load(const char *fixture)
{
	load_from(FIXTURES, fixture);
}

/* ---- The zoo ----------------------------------------------------------------------------------- */

#define RANGE_14 262144000000ULL /* 2^32 of 2^-14 J */
#define RANGE_16 65536000000ULL

static const struct expected zoo[] = {
    {"desktop", "package-0", "msr", ENERGY_PACKAGE, 0, RANGE_14, 1000 * J},
    {"desktop", "package-0-core", "msr", ENERGY_CORE, 0, RANGE_14, 1000 * J},
    {"desktop", "package-0-uncore", "msr", ENERGY_UNCORE, 0, RANGE_14, 100 * J},
    {"desktop", "package-0-dram", "msr", ENERGY_DRAM, 0, RANGE_14, 10 * J},
    {"desktop", "psys", "msr", ENERGY_PSYS, HOST, RANGE_14, 2000 * J},

    {"server", "package-0", "msr", ENERGY_PACKAGE, 0, RANGE_14, 1000 * J},
    {"server", "package-1", "msr", ENERGY_PACKAGE, 1, RANGE_14, 2000 * J},
    {"server", "package-0-dram", "msr", ENERGY_DRAM, 0, RANGE_16, 1000 * J},
    {"server", "package-1-dram", "msr", ENERGY_DRAM, 1, RANGE_16, 2000 * J},

    {"sapphire", "package-0", "msr", ENERGY_PACKAGE, 0, RANGE_14, 1000 * J},
    {"sapphire", "package-1", "msr", ENERGY_PACKAGE, 1, RANGE_14, 1000 * J},
    {"sapphire", "package-0-dram", "msr", ENERGY_DRAM, 0, RANGE_14, 1000 * J},
    {"sapphire", "package-1-dram", "msr", ENERGY_DRAM, 1, RANGE_14, 1000 * J},
    {"sapphire", "psys", "msr", ENERGY_PSYS, HOST, 4294967296 * J, 4000 * J},

    {"dies", "package-0-die-0", "msr", ENERGY_PACKAGE, 0, RANGE_14, 1000 * J},
    {"dies", "package-0-die-1", "msr", ENERGY_PACKAGE, 0, RANGE_14, 2000 * J},
    {"dies", "package-0-die-0-dram", "msr", ENERGY_DRAM, 0, RANGE_16, 1000 * J},
    {"dies", "package-0-die-1-dram", "msr", ENERGY_DRAM, 0, RANGE_16, 2000 * J},

    {"amd", "package-0", "msr", ENERGY_PACKAGE, 0, RANGE_16, 10000 * J},
    {"amd", "package-0-core", "msr", ENERGY_CORE, 0, 0, 3000 * J},
};

static const char *const fixtures[] = {"desktop", "server", "sapphire", "dies", "amd"};

START_TEST(zoo_is_known)
{
	load(fixtures[_i]);
	open_tree();
	energy_read(energy);
	check_zones(fixtures[_i], zoo, COUNT(zoo));
	ck_assert_msg(!warnings, "%s: said\n%s", fixtures[_i], said);
	ck_assert_said("no energy from powercap: ");
	ck_assert_said("no energy from perf: ");
	ck_assert_said("energy is read from msr: ");
}
END_TEST

START_TEST(a_register_that_is_missing_is_said)
{
	load("dies"); /* beyond 0x619 its files end, as if the processor refused */
	open_tree();
	ck_assert_said("energy counters left out: ");
	ck_assert_said(
	    "/dev/cpu/0/msr, register 0x639: Input/output error (and 4 more like it): this processor has "
	    "none there");
}
END_TEST

/* What no test above proves: the device is read at the register's own number. */
START_TEST(registers_are_offsets_of_the_device)
{
	const uint64_t unit = 0xA0E03, package = 16384000;

	real = true;
	load("desktop");
	ck_assert_int_eq(tree_remove(&tree, "dev/cpu/0/msr"), 0);
	ck_assert_int_eq(tree_write_at(&tree, "dev/cpu/0/msr", 0x606, &unit, sizeof(unit)), 0);
	ck_assert_int_eq(tree_write_at(&tree, "dev/cpu/0/msr", 0x611, &package, sizeof(package)), 0);
	open_tree();
	energy_read(energy);
	ck_assert_uint_eq(zone_count(), 1);
	ck_assert_uint_eq(zone("package-0")->raw_uj, 1000 * J);
}
END_TEST

/* ---- Reading ----------------------------------------------------------------------------------- */

START_TEST(a_package_wraps)
{
	load("amd");
	apply("dev/cpu/0/msr @0xC001029B = 0xFFFF0000");
	open_tree();
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->raw_uj, RANGE_16 - 1 * J);
	apply("dev/cpu/0/msr @0xC001029B = 0x7700010000"); /* what is above 32 bits is none of it */
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 2 * J);
	ck_assert_uint_eq(zone("package-0")->wraps, 1);
}
END_TEST

/* Each core's counter wraps by itself, the sum of them never. */
START_TEST(a_core_wraps_in_the_sum)
{
	load("amd");
	apply("dev/cpu/0/msr @0xC001029A = 0xFFFF0000\ndev/cpu/1/msr @0xC001029A = 0x80000000");
	open_tree();
	energy_read(energy);
	clock_ns += NS_PER_S;
	apply("dev/cpu/0/msr @0xC001029A = 0x00010000\ndev/cpu/1/msr @0xC001029A = 0x80030000");
	energy_read(energy);
	ck_assert(zone("package-0-core")->valid);
	ck_assert_uint_eq(zone("package-0-core")->delta_uj, 5 * J);
	ck_assert_uint_eq(zone("package-0-core")->anomalies, 0);
}
END_TEST

/* Over so long a core's counter may have wrapped and nobody saw it: a gap, and on it goes. */
START_TEST(a_sum_that_was_not_read_for_long)
{
	load("amd");
	open_tree();
	ck_assert_uint_eq(energy_read_within_ns(energy), RANGE_16 / 2000 * 1000 - 100000000);
	energy_read(energy);
	clock_ns += 33 * NS_PER_S;
	apply("dev/cpu/0/msr @0xC001029A = 65601536");
	energy_read(energy);
	ck_assert(!zone("package-0-core")->valid && !zone("package-0-core")->failing);
	clock_ns += NS_PER_S;
	apply("dev/cpu/0/msr @0xC001029A = 65667072");
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0-core")->delta_uj, 1 * J);
}
END_TEST

START_TEST(fails_once_and_comes_back)
{
	load("server");
	open_tree();
	energy_read(energy);
	forget_said();
	read_error = EIO;
	for (int i = 0; i < 3; i++)
		energy_read(energy);
	ck_assert_int_eq(warnings, 4);
	ck_assert_said("energy of package-1 is not measured for now: ");
	ck_assert_said("/dev/cpu/2/msr, register 0x611: Input/output error");
	read_error = 0;
	apply("dev/cpu/2/msr @0x611 = 32784384");
	energy_read(energy);
	ck_assert_uint_eq(zone("package-1")->delta_uj, 1 * J);
}
END_TEST

/* ---- Not there, or not allowed ----------------------------------------------------------------- */

static const struct {
	const char *what, *remove, *text, *said;
} nothing[] = {
    {"no driver", "dev/cpu", "dev/", "msr: "},
    {"no driver: the remedy", "dev/cpu", "dev/",
     "/msr: No such file or directory (and 9 more like it): load the driver: "
     "modprobe msr"},
    {"no cpuinfo", "proc", "proc/", "/proc/cpuinfo tells no processor of Intel or AMD"},
    {"no processor in it", "proc/cpuinfo", "proc/cpuinfo = processor : 0", "tells no processor"},
    {"another's", "proc/cpuinfo",
     "proc/cpuinfo += vendor_id : CentaurHauls\nproc/cpuinfo += cpu family : 6\nproc/cpuinfo += model : 9",
     "the registers of this processor are not known (family 6, model 9)"},
    {"an Atom with units of its own", "proc/cpuinfo",
     "proc/cpuinfo += vendor_id : GenuineIntel\nproc/cpuinfo += cpu family : 6\nproc/cpuinfo += model : 55",
     "the registers of this processor are not known (family 6, model 55)"},
    {"an AMD before RAPL", "proc/cpuinfo",
     "proc/cpuinfo += vendor_id : AuthenticAMD\nproc/cpuinfo += cpu family : 21\nproc/cpuinfo += model : 2",
     "the registers of this processor are not known (family 21, model 2)"},
    {"no CPU", "devices", "devices/", "/devices/system/cpu/online: give deepmon the host's whole /sys"},
    {"a list that is none", "devices", "devices/system/cpu/online = x", "no CPU in"},
    {"no registers", "dev/cpu", "dev/cpu/0/msr =\ndev/cpu/2/msr =", "register 0x606: Input/output error"},
};

START_TEST(nothing_is_said_once)
{
	char text[512];

	load("server");
	ck_assert_int_eq(tree_remove(&tree, nothing[_i].remove), 0);
	snprintf(text, sizeof(text), "%s", nothing[_i].text);
	ck_assert_int_eq(tree_apply(&tree, text), 0);
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_int_eq(verdict("msr")->error, -ENOENT);
	ck_assert_said(nothing[_i].said);
	ck_assert_msg(warnings == 1 && !infos, "%s: said\n%s", nothing[_i].what, said);
}
END_TEST

START_TEST(a_virtual_machine_has_none)
{
	load("virtual");
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_said("/dev/cpu/*/msr say 0, as in a virtual machine");
}
END_TEST

static int open_denied(void)
{
	if (open_from(ENERGY_FROM_AUTO, &logger) || verdict("msr")->error != -EACCES)
		return 1;
	if (warnings != 1)
		return 2;
	return strstr(
		   said,
		   "/dev/cpu/0/msr: Permission denied (and 4 more like it): run as root with the capability "
		   "CAP_SYS_RAWIO")
		   ? 0
		   : 3;
}

START_TEST(all_are_denied)
{
	load("desktop");
	restrict_file("dev/cpu/0/msr");
	ck_assert_int_eq(as_nobody(open_denied), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("msr");
	TCase *all = tcase_create("msr");

	tcase_add_checked_fixture(all, setup_registers, teardown);
	tcase_add_loop_test(all, zoo_is_known, 0, COUNT(fixtures));
	tcase_add_test(all, a_register_that_is_missing_is_said);
	tcase_add_test(all, registers_are_offsets_of_the_device);
	tcase_add_test(all, a_package_wraps);
	tcase_add_test(all, a_core_wraps_in_the_sum);
	tcase_add_test(all, a_sum_that_was_not_read_for_long);
	tcase_add_test(all, fails_once_and_comes_back);
	tcase_add_loop_test(all, nothing_is_said_once, 0, COUNT(nothing));
	tcase_add_test(all, a_virtual_machine_has_none);
	tcase_add_test(all, all_are_denied);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
