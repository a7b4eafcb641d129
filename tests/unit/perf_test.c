/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The perf source on trees like those of real hosts (tests/fixtures/perf). Their counters are simulated: the
 * source is included here, with two functions in place of the system calls. One test has the kernel's own,
 * with an event that every kernel counts.
 */
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <time.h>

static int event_open(struct perf_event_attr *attr, unsigned cpu);
static long event_read(int fd, unsigned long *count);

#define PERF_EVENT_OPEN(attr, cpu) event_open(attr, cpu)
#define PERF_EVENT_READ(fd, count) event_read(fd, (unsigned long *)(count))
#include "../../common/energy_perf.c"

#include "energy_tree.h"

#define FIXTURES "tests/fixtures/perf/"
#define CPUS	 8

/* ---- The kernel -------------------------------------------------------------------------------- */

static bool real;
static int open_error, read_error; /* errno */
static unsigned error_cpu = CPUS;  /* the only one that these are of; CPUS: all */
static unsigned opened, closed_by_kernel;
static struct {
	unsigned type, cpu;
	unsigned long config, count;
} events[64];

/* Energy so far at that counter: different for each, so that none can be taken for another. */
static unsigned long first_count(unsigned type, unsigned long config, unsigned cpu)
{
	return ((unsigned long)type * 100 + config * 10 + cpu) << 32;
}

static int event_open(struct perf_event_attr *attr, unsigned cpu)
{
	if (real)
		return (int)syscall(SYS_perf_event_open, attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (open_error && (error_cpu == CPUS || error_cpu == cpu)) {
		errno = open_error;
		return -1;
	}

	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert(fd >= 0 && fd < (int)COUNT(events));
	ck_assert_uint_eq(attr->size, sizeof(*attr));
	events[fd].type = attr->type;
	events[fd].cpu = cpu;
	events[fd].config = attr->config;
	events[fd].count = first_count(attr->type, attr->config, cpu);
	opened++;
	return fd;
}

static long event_read(int fd, unsigned long *count)
{
	if (real)
		return read(fd, count, sizeof(*count));
	if (closed_by_kernel && (error_cpu == CPUS || error_cpu == events[fd].cpu))
		return 0;
	if (read_error && (error_cpu == CPUS || error_cpu == events[fd].cpu)) {
		errno = read_error;
		return -1;
	}
	*count = events[fd].count;
	return sizeof(*count);
}

static void count_on(unsigned cpu, unsigned long config, unsigned long more)
{
	for (size_t fd = 0; fd < COUNT(events); fd++)
		if (events[fd].type && events[fd].cpu == cpu && events[fd].config == config)
			events[fd].count += more;
}

static void setup_kernel(void)
{
	setup();
	real = false;
	open_error = read_error = 0;
	closed_by_kernel = opened = 0;
	error_cpu = CPUS;
	memset(events, 0, sizeof(events));
}

static void load(const char *fixture)
{
	load_from(FIXTURES, fixture);
}

/* ---- The zoo ----------------------------------------------------------------------------------- */

#define J 1000000ULL

/* J as first_count: type, config and CPU are its digits; cores are sums. */
static const struct expected zoo[] = {
    {"desktop", "package-0", "perf", ENERGY_PACKAGE, 0, 0, 2320 * J},
    {"desktop", "package-0-core", "perf", ENERGY_CORE, 0, 0, 2310 * J},
    {"desktop", "package-0-uncore", "perf", ENERGY_UNCORE, 0, 0, 2340 * J},
    {"desktop", "package-0-dram", "perf", ENERGY_DRAM, 0, 0, 2330 * J},
    {"desktop", "psys", "perf", ENERGY_PSYS, HOST, 0, 2350 * J},

    {"server", "package-0", "perf", ENERGY_PACKAGE, 0, 0, 1620 * J},
    {"server", "package-1", "perf", ENERGY_PACKAGE, 1, 0, 1622 * J},
    {"server", "package-0-dram", "perf", ENERGY_DRAM, 0, 0, 1630 * J},
    {"server", "package-1-dram", "perf", ENERGY_DRAM, 1, 0, 1632 * J},

    {"dies", "package-0-die-0", "perf", ENERGY_PACKAGE, 0, 0, 1620 * J},
    {"dies", "package-0-die-1", "perf", ENERGY_PACKAGE, 0, 0, 1621 * J},
    {"dies", "package-1-die-0", "perf", ENERGY_PACKAGE, 1, 0, 1622 * J},
    {"dies", "package-1-die-1", "perf", ENERGY_PACKAGE, 1, 0, 1623 * J},
    {"dies", "package-0-die-0-dram", "perf", ENERGY_DRAM, 0, 0, 1630 * J},
    {"dies", "package-0-die-1-dram", "perf", ENERGY_DRAM, 0, 0, 1631 * J},
    {"dies", "package-1-die-0-dram", "perf", ENERGY_DRAM, 1, 0, 1632 * J},
    {"dies", "package-1-die-1-dram", "perf", ENERGY_DRAM, 1, 0, 1633 * J},

    {"amd", "package-0", "perf", ENERGY_PACKAGE, 0, 0, 1620 * J},
    {"amd", "package-1", "perf", ENERGY_PACKAGE, 1, 0, 1622 * J},
    {"amd", "package-0-core", "perf", ENERGY_CORE, 0, 0, (1710 + 1711) * J},
    {"amd", "package-1-core", "perf", ENERGY_CORE, 1, 0, (1712 + 1713) * J},

    {"amd-dies", "package-0", "perf", ENERGY_PACKAGE, 0, 0, 1620 * J},
    {"amd-dies", "package-1", "perf", ENERGY_PACKAGE, 1, 0, 1622 * J},
};

static const char *const fixtures[] = {"desktop", "server", "dies", "amd", "amd-dies"};

START_TEST(zoo_is_known)
{
	load(fixtures[_i]);
	open_tree();
	energy_read(energy);
	check_zones(fixtures[_i], zoo, COUNT(zoo));
	ck_assert_msg(!warnings, "%s: said\n%s", fixtures[_i], said);
	ck_assert_said("no energy from powercap: ");
	ck_assert_said("energy is read from perf: ");
	ck_assert_int_eq(infos, 2);
	ck_assert(verdict("perf")->used && !verdict("perf")->error);
	ck_assert(energy_read_within_ns(energy) == UINT64_MAX);
}
END_TEST

START_TEST(what_is_not_understood_is_left_out)
{
	load("strange");
	open_tree();
	ck_assert_uint_eq(zone_count(), 1);
	zone("package-0-dram");
	ck_assert_said("power/events/energy-pkg is not understood");
	ck_assert_said("power/events/energy-cores.scale is not understood");
	ck_assert_said("power/events/energy-gpu.unit is not understood");
	ck_assert_said("power/events/energy-psys.scale is not understood");
	ck_assert_int_eq(warnings, 4);
}
END_TEST

static const struct {
	const char *cpumask, *said;
} masks[] = {
    {"cpumask = 0-", "power/cpumask: Invalid argument"},
    {"cpumask = 3-1", "power/cpumask: Invalid argument"},
    {"cpumask = 0,,1", "power/cpumask: Invalid argument"},
    {"cpumask = 0-99999", "power/cpumask: Argument list too long"},
    {"cpumask = 99999999999999999999", "power/cpumask: Argument list too long"},
    {"cpumask/", "power/cpumask: Is a directory"},
    {"cpumask = 5", "1 CPUs of"},
};

START_TEST(a_strange_cpumask)
{
	load("server");
	ck_assert_int_eq(tree_remove(&tree, "bus/event_source/devices/power/cpumask"), 0);
	apply("[bus/event_source/devices/power]\n%s", masks[_i].cpumask);
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_said(masks[_i].said);
}
END_TEST

/* ---- Counting ---------------------------------------------------------------------------------- */

START_TEST(counts_become_microjoules_exactly)
{
	load("amd");
	open_tree();
	energy_read(energy);
	count_on(2, 2, (50ul << 32) + (1ul << 31)); /* 50.5 J */
	count_on(0, 1, 4294968);		    /* 1000.0000... uJ of one core */
	count_on(1, 1, 4294967);
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0")->delta_uj, 0);
	ck_assert_uint_eq(zone("package-1")->delta_uj, 50500000);
	/* (4294968 + 4294967) / 2^32 * 1e6 is 1999.99999..: the sum is divided, not its parts. */
	ck_assert_uint_eq(zone("package-0-core")->delta_uj, 2000);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

static const struct {
	unsigned long count;
	double scale;
	uint64_t uj;
} scales[] = {
    {0, 0x1p-32, 0},
    {1ul << 32, 0x1p-32, 1000000},
    {UINT64_MAX, 0x1p-32, 4294967295999999},
    {123456789, 1e-6, 123456789},
    {3, 0.5, 1500000},
    {1000000000, 1e-7, 100000000},
};

START_TEST(scale)
{
	uint64_t uj = 0;

	ck_assert_int_eq(to_microjoules(scales[_i].count, scales[_i].scale, &uj), 0);
	ck_assert_uint_eq(uj, scales[_i].uj);
}
END_TEST

START_TEST(a_scale_that_leads_out_of_range)
{
	uint64_t uj;

	ck_assert_int_eq(to_microjoules(UINT64_MAX, 1, &uj), -ERANGE);
}
END_TEST

/* Opened again it counts from where it may: that is a new base, neither energy nor an anomaly. */
START_TEST(a_counter_that_ends_is_opened_again)
{
	load("amd");
	open_tree();
	energy_read(energy);
	forget_said();
	error_cpu = 1;
	closed_by_kernel = 1;
	for (int i = 0; i < 3; i++)
		energy_read(energy);
	ck_assert(zone("package-0-core")->failing && !zone("package-0-core")->valid);
	ck_assert(zone("package-1-core")->valid && zone("package-0")->valid);
	ck_assert_said(
	    "energy of package-0-core is not measured for now: perf event power_core/energy-core/ on CPU 1: "
	    "No such device");
	ck_assert_int_eq(warnings, 1);
	closed_by_kernel = 0;
	count_on(0, 1, 77ul << 32);
	energy_read(energy);
	ck_assert(!zone("package-0-core")->failing && !zone("package-0-core")->valid);
	count_on(1, 1, 2ul << 32);
	energy_read(energy);
	ck_assert_uint_eq(zone("package-0-core")->delta_uj, 2 * J);
	ck_assert_uint_eq(zone("package-0-core")->anomalies, 0);
}
END_TEST

/* ---- Not allowed, or not there ----------------------------------------------------------------- */

static const struct {
	int error, expected;
	const char *said;
} refusals[] = {
    {EACCES, -EACCES,
     "perf: perf event power/energy-pkg/ on CPU 0: Permission denied (and 3 more like it): "
     "run as root, or grant the capability CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8) and, where that is "
     "not enough, as on Debian, set the sysctl kernel.perf_event_paranoid to 2"},
    {EPERM, -EACCES,
     "perf: perf event power/energy-pkg/ on CPU 0: Operation not permitted (and 3 more like it): "
     "run as root"},
    {ENOENT, -ENOENT, "perf: perf event power/energy-pkg/ on CPU 0: No such file or directory (and 3 more"},
};

START_TEST(refused)
{
	load("server");
	open_error = refusals[_i].error;
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_uint_eq(zone_count(), 0);
	ck_assert_int_eq(verdict("perf")->error, refusals[_i].expected);
	ck_assert_said(refusals[_i].said);
	ck_assert_int_eq(warnings, 1);
	ck_assert_int_eq(infos, 0);
}
END_TEST

START_TEST(one_socket_is_refused)
{
	load("server");
	open_error = EACCES;
	error_cpu = 2;
	open_tree();
	ck_assert_uint_eq(zone_count(), 2);
	ck_assert_said(
	    "energy counter left out: perf event power/energy-pkg/ on CPU 2: Permission denied (and 1 more");
	ck_assert_int_eq(warnings, 1);
}
END_TEST

START_TEST(no_pmu)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	ck_assert_int_eq(open_from(ENERGY_FROM_FIRST + 1, &logger), 0);
	ck_assert_said("no energy: perf: no event of PMU `power` in ");
	ck_assert_said("modprobe rapl");
	ck_assert_int_eq(warnings, 1);
}
END_TEST

/* ---- Live -------------------------------------------------------------------------------------- */

/* A CPU's clock runs at 1 s/s: at 1e-7 J for each ns it is a package of 100 W. */
START_TEST(the_kernel_counts)
{
	const struct timespec while_it_counts = {.tv_nsec = 200000000};

	real = true;
	load("software");
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	if (!zone_count()) {
		/* Not allowed here: then it must have said so. */
		ck_assert_int_eq(verdict("perf")->error, -EACCES);
		ck_assert_said("kernel.perf_event_paranoid");
		return;
	}
	energy_read(energy);
	nanosleep(&while_it_counts, NULL);
	energy_read(energy);

	const struct energy_zone *found = zone("package-0");
	double watts = (double)found->delta_uj * 1e3 / (double)found->elapsed_ns;

	ck_assert(found->valid && found->elapsed_ns >= 200000000);
	ck_assert_msg(watts > 90 && watts < 110, "%g W, not 100", watts);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("perf");
	TCase *all = tcase_create("perf");

	tcase_add_checked_fixture(all, setup_kernel, teardown);
	tcase_add_loop_test(all, zoo_is_known, 0, COUNT(fixtures));
	tcase_add_test(all, what_is_not_understood_is_left_out);
	tcase_add_loop_test(all, a_strange_cpumask, 0, COUNT(masks));
	tcase_add_test(all, counts_become_microjoules_exactly);
	tcase_add_loop_test(all, scale, 0, COUNT(scales));
	tcase_add_test(all, a_scale_that_leads_out_of_range);
	tcase_add_test(all, a_counter_that_ends_is_opened_again);
	tcase_add_loop_test(all, refused, 0, COUNT(refusals));
	tcase_add_test(all, one_socket_is_refused);
	tcase_add_test(all, no_pmu);
	tcase_add_test(all, the_kernel_counts);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
