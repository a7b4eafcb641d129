/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a report tells: figures that were measured and no others, of everybody once. A small host made by
 * hand, and hosts as chance will have them.
 */
#include "sample_look.h"

#include "../../common/footprint.h"
#include "random_host.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define SECOND	  (1000 * MS)
#define JOULE	  1000000ull
#define WEB_ID	  "0001aaaaaaaa0000000000000000000000000000000000000000000000000000"
#define WEB	  "/docker/" WEB_ID
#define UNIT	  "/system.slice/cron.service"

/* ---- A small host ------------------------------------------------------------------------------ */

enum { PACKAGE, DRAM, PSYS };
enum { WEB_CGROUP = 1, UNIT_CGROUP };

static void set_up_host(struct kernel *with, size_t zones_there)
{
	static const enum energy_domain domains[] = {ENERGY_PACKAGE, ENERGY_DRAM, ENERGY_PSYS};
	struct attribution_rules rules = {.overlap_ratio_ppm = SMT_RATIO_DEFAULT, .processes_told = 1};

	random_begin(0);
	kernel = with;
	topology =
	    (struct topology){.socket_count = 1, .socket = {0}, .cpu_count = 1, .index_of_cpu = index_of_cpu};
	index_of_cpu[0] = 0;
	now_ns = START_NS;
	fake_names_in_files = true;
	zone_count = zones_there;
	groups_init(&groups, 1, 16);
	cgroups_init(&cgroups, NULL, NULL, &groups, 16);
	for (size_t i = 0; i < zone_count && i < COUNT(domains); i++) {
		zones[i] = (struct energy_zone){.source = "fake"};
		energy_zone_identify(&zones[i], domains[i], 0, -1);
		energy_advance(&zones[i], 0, now_ns);
	}
	ck_assert_int_eq(
	    attribution_init(&attribution, kernel, &topology, &cgroups, &groups, zone_count, &rules), 0);
	if (kernel) {
		ck_assert_ptr_nonnull(cgroups_add(&cgroups, WEB_CGROUP, WEB));
		ck_assert_ptr_nonnull(cgroups_add(&cgroups, UNIT_CGROUP, UNIT));
		kernel->overlap = true;
		kernel->counter_mask = 15;
	}
}

static void set_up(void)
{
	set_up_host(fake_kernel_new(1, 16), 3);
}

static void tear_down(void)
{
	sample_clear(&sample);
	host_clear();
}

/* It runs: cycles and instructions as many as ns and twice, of a thousand references one missed. */
static void use(uint64_t cgroup, uint64_t time_ns)
{
	struct cpu_usage *usage =
	    fake_usage(kernel, 0, cgroup ? fake_slot(kernel, cgroup, 0) : CPU_SLOT_IDLE);

	usage->time_ns += time_ns;
	usage->overlap_ns += time_ns / 10;
	usage->counter[CPU_COUNTER_CYCLES] += time_ns;
	usage->counter[CPU_COUNTER_INSTRUCTIONS] += 2 * time_ns;
	usage->counter[CPU_COUNTER_CACHE_REFERENCES] += time_ns / 1000;
	usage->counter[CPU_COUNTER_CACHE_MISSES] += time_ns / 1000000;
	usage->switches += time_ns / MS;
}

/* Energy that each zone used in the second since the last charge; a negative one can't be read. */
static void charge(int64_t package_uj, int64_t dram_uj, int64_t psys_uj)
{
	const int64_t used[] = {package_uj, dram_uj, psys_uj};

	now_ns += SECOND;
	for (size_t i = 0; i < zone_count && i < COUNT(used); i++) {
		if (used[i] < 0) {
			zones[i].valid = false;
			zones[i].delta_uj = zones[i].elapsed_ns = 0;
		} else {
			energy_advance(&zones[i], zones[i].raw_uj + (uint64_t)used[i], now_ns);
		}
	}
	attribution_charge(&attribution, zones, now_ns);
}

static void report(uint64_t interval_ns)
{
	const struct sample_self self = {.cost = {.samples = 7},
					 .valid = 1ull << DEEPMON_INDEX_SELF_COST_samples};

	ck_assert_int_eq(sample_build(&sample, &attribution, zones, interval_ns, &self), 0);
	check_sample();
}

/* A second of which the container runs 0.3 s, the unit 0.1 s, and a report of it. */
static void a_second(int64_t package_uj)
{
	if (kernel) {
		use(WEB_CGROUP, 300 * MS);
		use(UNIT_CGROUP, 100 * MS);
		use(0, 600 * MS);
	}
	charge(package_uj, 8 * JOULE, 90 * JOULE);
	report(SECOND);
}

START_TEST(figures)
{
	const struct deepmon_record *web, *total;

	attribution.rules.idle_watts[ENERGY_PACKAGE] = 20;
	a_second(60 * JOULE);
	web = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", "");
	assert_told(web, "cpu_time_ns", 300 * MS);
	assert_told(web, "smt_overlap_ns", 30 * MS);
	assert_told(web, "context_switches", 300);
	assert_told(web, "cpu_usage_percent", 30);
	assert_told(web, "energy_weight", 300 * MS - 30 * MS * 0.45);
	web = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_PERF, "c0001", "");
	assert_told(web, "instructions", 600 * MS);
	assert_told(web, "instructions_per_cycle", 2);
	assert_told(web, "cache_miss_percent", 0.1);
	assert_told(web, "frequency_hertz", 1e9);
	assert_told(energy_of(DEEPMON_CONTAINER, "c0001"), "energy_joules", 30);
	assert_told(energy_of(DEEPMON_CONTAINER, "c0001"), "power_watts", 30);
	assert_told(energy_of(DEEPMON_SYSTEM, "cron.service"), "energy_joules", 10);
	assert_told(energy_of(DEEPMON_TOTAL, "idle"), "energy_joules", 20);
	assert_told(energy_of(DEEPMON_TOTAL, "unattributed"), "energy_joules", 0);
	assert_told(energy_of(DEEPMON_HOST, ""), "energy_joules", 60);
	total = find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU, "idle", "");
	assert_told(total, "cpu_time_ns", 600 * MS);
	assert_told(total, "cpu_usage_percent", 60);
	assert_told(total, "context_switches", 600);
	assert_untold(total, "energy_weight");
	assert_untold(total, "smt_overlap_ns");
	ck_assert_ptr_null(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_PERF, "idle", ""));
	ck_assert_ptr_null(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU, "unattributed", ""));
	assert_told(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, "container", ""), "reported", 1);
	assert_told(find(DEEPMON_ZONE, DEEPMON_SUBJECT_ENERGY, "package-0-dram", "fake"), "energy_joules", 8);
	assert_told(find(DEEPMON_SELF, DEEPMON_SUBJECT_SELF_COST, "", ""), "samples", 7);
	a_second(40 * JOULE);
	assert_told(energy_of(DEEPMON_CONTAINER, "c0001"), "energy_joules", 45);
	assert_told(energy_of(DEEPMON_CONTAINER, "c0001"), "power_watts", 15);
}
END_TEST

/* What its processes map is as old as it is, with its cgroup's files or without. */
START_TEST(memory_of_processes)
{
	const struct resident read = {.sum = {30, 20, 10}, .processes = 2, .read_ns = 5 * SECOND};
	struct group *web = cgroups_find(&cgroups, WEB_CGROUP)->group;
	const struct deepmon_record *told;

	a_second(60 * JOULE);
	ck_assert_ptr_null(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY, "c0001", ""));
	web->resident = read;
	sample.now_ns = 8 * SECOND;
	a_second(60 * JOULE);
	told = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY, "c0001", "");
	assert_told(told, "rss_bytes", 30);
	assert_told(told, "pss_bytes", 20);
	assert_told(told, "uss_bytes", 10);
	assert_told(told, "rss_processes", 2);
	assert_told(told, "rss_age_seconds", 3);
	assert_untold(told, "usage_bytes");
	ck_assert_ptr_null(find(DEEPMON_SYSTEM, DEEPMON_SUBJECT_MEMORY, "cron.service", ""));
	web->footprint = calloc(1, sizeof(*web->footprint));
	web->footprint->memory.usage_bytes = 40;
	web->footprint->memory_valid = 1ull << DEEPMON_INDEX_MEMORY_usage_bytes;
	sample.now_ns = 4 * SECOND;
	a_second(60 * JOULE);
	ck_assert_uint_eq(count_of(DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY), 1);
	told = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY, "c0001", "");
	assert_told(told, "usage_bytes", 40);
	assert_told(told, "rss_age_seconds", 0);
	web->resident = (struct resident){.read_ns = 9 * SECOND};
	a_second(60 * JOULE);
	told = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY, "c0001", "");
	assert_told(told, "usage_bytes", 40);
	assert_untold(told, "rss_bytes");
	assert_untold(told, "rss_age_seconds");
}
END_TEST

/* The platform contains the processors: it is the host's, and nobody's part. */
START_TEST(the_platform_is_the_hosts)
{
	a_second(60 * JOULE);
	assert_told(find(DEEPMON_HOST, DEEPMON_SUBJECT_ENERGY, "", "psys-fake"), "power_watts", 90);
	ck_assert_ptr_null(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_ENERGY, "idle", "psys-fake"));
	ck_assert_ptr_null(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_ENERGY, "c0001", "psys-fake"));
}
END_TEST

START_TEST(labels)
{
	static const struct deepmon_label of_web[] = {
	    {"container_id", WEB_ID, false},   {"container_image", "image", true},
	    {"container_name", "c0001", true}, {"container_version", "00", true},
	    {"domain", "package", true},       {"runtime", "docker", true},
	    {"source", "fake", true}};
	const struct deepmon_record *web;

	a_second(60 * JOULE);
	web = energy_of(DEEPMON_CONTAINER, "c0001");
	ck_assert_uint_eq(web->label_count, COUNT(of_web));
	for (size_t i = 0; i < COUNT(of_web); i++) {
		ck_assert_str_eq(web->labels[i].key, of_web[i].key);
		ck_assert_str_eq(web->labels[i].value, of_web[i].value);
		ck_assert_msg(web->labels[i].tag == of_web[i].tag, "%s", of_web[i].key);
	}
	ck_assert_uint_eq(find(DEEPMON_SYSTEM, DEEPMON_SUBJECT_CPU, "cron.service", "")->label_count, 1);
	/* One without a name yet has no image either. */
	fake_names_in_files = false;
	cgroups_add(&cgroups, 3, "/docker/0002bbbbbbbb0000000000000000000000000000000000000000000000000000");
	a_second(60 * JOULE);
	ck_assert_uint_eq(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "0002bbbbbbbb", "")->label_count, 3);
}
END_TEST

/* A sample is read when those that it tells of may be gone. */
START_TEST(texts_are_its_own)
{
	a_second(60 * JOULE);
	groups_clear(&groups);
	groups_init(&groups, 1, 16);
	ck_assert_str_eq(energy_of(DEEPMON_CONTAINER, "c0001")->labels[0].value, WEB_ID);
	cgroups_clear(&cgroups);
	cgroups_init(&cgroups, NULL, NULL, &groups, 16);
}
END_TEST

/* ---- What was not measured --------------------------------------------------------------------- */

START_TEST(without_a_kernel_energy_is_nobodys)
{
	tear_down();
	set_up_host(NULL, 3);
	a_second(60 * JOULE);
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_CPU), 0);
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_PERF), 0);
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_CHURN), 0);
	assert_told(energy_of(DEEPMON_TOTAL, "unattributed"), "power_watts", 60);
	assert_told(energy_of(DEEPMON_HOST, ""), "power_watts", 60);
	ck_assert_msg(count_of(DEEPMON_TOTAL, DEEPMON_SUBJECT_ENERGY) == 2,
		      "not measured is not 0 J: package and dram are told as unattributed alone");
}
END_TEST

START_TEST(without_zones_there_is_no_energy)
{
	tear_down();
	set_up_host(fake_kernel_new(1, 16), 0);
	a_second(0);
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_ENERGY), 0);
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_COUNTER), 0);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_usage_percent", 30);
}
END_TEST

START_TEST(a_counter_that_is_never_read)
{
	a_second(-1);
	ck_assert_ptr_null(energy_of(DEEPMON_CONTAINER, "c0001"));
	ck_assert_ptr_null(energy_of(DEEPMON_HOST, ""));
	ck_assert_ptr_null(find(DEEPMON_ZONE, DEEPMON_SUBJECT_ENERGY, "package-0", "fake"));
	assert_told(find(DEEPMON_ZONE, DEEPMON_SUBJECT_COUNTER, "package-0", "fake"), "anomalies", 0);
	assert_told(find(DEEPMON_HOST, DEEPMON_SUBJECT_ENERGY, "", "dram-fake"), "power_watts", 8);
}
END_TEST

/* Energy told, power not, of the package alone. */
static void assert_gap(uint64_t joules)
{
	const struct deepmon_record *records[] = {
	    energy_of(DEEPMON_TOTAL, "container"), energy_of(DEEPMON_HOST, ""),
	    find(DEEPMON_ZONE, DEEPMON_SUBJECT_ENERGY, "package-0", "fake")};

	for (size_t i = 0; i < COUNT(records); i++) {
		ck_assert(!isnan(value(records[i], "energy_joules")));
		assert_untold(records[i], "power_watts");
	}
	assert_told(energy_of(DEEPMON_HOST, ""), "energy_joules", joules);
	assert_told(find(DEEPMON_HOST, DEEPMON_SUBJECT_ENERGY, "", "dram-fake"), "power_watts", 8);
}

START_TEST(a_gap_within_a_report)
{
	a_second(60 * JOULE);
	charge(-1, 0, 0);
	a_second(60 * JOULE);
	assert_gap(120);
	a_second(60 * JOULE);
	assert_told(energy_of(DEEPMON_HOST, ""), "power_watts", 60);
}
END_TEST

/* The counter goes on while it can't be read: what it then shows is of more time than the report. */
START_TEST(a_gap_at_the_end_of_a_report)
{
	a_second(60 * JOULE);
	use(WEB_CGROUP, 10 * MS);
	charge(1 * JOULE, 0, 0);
	a_second(-1);
	assert_gap(61);
	a_second(120 * JOULE);
	assert_gap(181);
	a_second(60 * JOULE);
	assert_told(energy_of(DEEPMON_HOST, ""), "power_watts", 60);
	assert_told(energy_of(DEEPMON_TOTAL, "idle"), "energy_joules", 0);
}
END_TEST

/* A counter that is set back tells nothing of the time before, and all of the time after. */
START_TEST(a_counter_set_back_at_the_end_of_a_report)
{
	a_second(60 * JOULE);
	use(WEB_CGROUP, 10 * MS);
	charge(1 * JOULE, 0, 0);
	zones[PACKAGE].raw_uj = UINT64_MAX - 60 * JOULE;
	a_second(61 * JOULE);
	assert_gap(61);
	a_second(50 * JOULE);
	assert_told(energy_of(DEEPMON_HOST, ""), "power_watts", 50);
}
END_TEST

START_TEST(no_interval_no_rates)
{
	use(WEB_CGROUP, 300 * MS);
	charge(60 * JOULE, 0, 0);
	report(0);
	assert_told(energy_of(DEEPMON_CONTAINER, "c0001"), "energy_joules", 60);
	assert_untold(energy_of(DEEPMON_CONTAINER, "c0001"), "power_watts");
	assert_untold(energy_of(DEEPMON_HOST, ""), "power_watts");
	assert_untold(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_usage_percent");
}
END_TEST

START_TEST(overlap_that_is_not_accounted)
{
	kernel->overlap = false;
	a_second(60 * JOULE);
	assert_untold(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "smt_overlap_ns");
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_time_ns", 300 * MS);
	kernel->no_switches = true;
	a_second(60 * JOULE);
	assert_untold(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "context_switches");
}
END_TEST

/* Which counters there are, and what can be told of them. */
static const struct {
	uint32_t mask;
	bool cycles, per_cycle, misses, frequency;
} masks[] = {
    {15, true, true, true, true},
    {1u << CPU_COUNTER_CYCLES, true, false, false, true},
    {1u << CPU_COUNTER_CYCLES | 1u << CPU_COUNTER_INSTRUCTIONS, true, true, false, true},
    {1u << CPU_COUNTER_INSTRUCTIONS, false, false, false, false},
    {1u << CPU_COUNTER_CACHE_MISSES, false, false, false, false},
    {1u << CPU_COUNTER_CACHE_MISSES | 1u << CPU_COUNTER_CACHE_REFERENCES, false, false, true, false},
};

START_TEST(counters_that_are_there)
{
	const struct deepmon_record *web;

	kernel->counter_mask = masks[_i].mask;
	a_second(60 * JOULE);
	web = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_PERF, "c0001", "");
	ck_assert_int_eq(!isnan(value(web, "cycles")), masks[_i].cycles);
	ck_assert_int_eq(!isnan(value(web, "instructions_per_cycle")), masks[_i].per_cycle);
	ck_assert_int_eq(!isnan(value(web, "cache_miss_percent")), masks[_i].misses);
	ck_assert_int_eq(!isnan(value(web, "frequency_hertz")), masks[_i].frequency);
}
END_TEST

START_TEST(no_counters_no_records)
{
	kernel->counter_mask = 0;
	a_second(60 * JOULE);
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_PERF), 0);
}
END_TEST

/* What was counted is told, and no rate of it: some of it is missing. */
START_TEST(counters_that_fail)
{
	const struct deepmon_record *web;

	kernel->counters_failed = 1;
	charge(0, 0, 0);
	a_second(60 * JOULE);
	web = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_PERF, "c0001", "");
	assert_told(web, "cycles", 300 * MS);
	assert_untold(web, "instructions_per_cycle");
	assert_untold(web, "cache_miss_percent");
	assert_untold(web, "frequency_hertz");
	a_second(60 * JOULE);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_PERF, "c0001", ""), "frequency_hertz", 1e9);
}
END_TEST

/* Who did nothing has no rates, for they would be of nothing. */
START_TEST(idle_containers_have_no_rates)
{
	const struct deepmon_record *web;

	a_second(60 * JOULE);
	charge(60 * JOULE, 0, 0);
	report(SECOND);
	web = find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_PERF, "c0001", "");
	assert_told(web, "cycles", 300 * MS);
	assert_untold(web, "instructions_per_cycle");
	assert_untold(web, "cache_miss_percent");
	assert_untold(web, "frequency_hertz");
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_usage_percent", 0);
}
END_TEST

/* ---- Coming and going -------------------------------------------------------------------------- */

START_TEST(an_end_is_told_once)
{
	a_second(60 * JOULE);
	cgroups_remove(&cgroups, WEB_CGROUP, now_ns);
	a_second(60 * JOULE);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_time_ns", 600 * MS);
	assert_told(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, "container", ""), "ended_cgroups", 1);
	assert_told(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, "container", ""), "reported", 1);
	charge(60 * JOULE, 8 * JOULE, 0);
	report(SECOND);
	ck_assert_uint_eq(count_of(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU), 0);
	ck_assert_ptr_null(energy_of(DEEPMON_CONTAINER, "c0001"));
	assert_told(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU, "container", ""), "cpu_time_ns", 600 * MS);
	assert_told(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, "container", ""), "reported", 0);
	/* The name comes back: it goes on where it was. */
	cgroups_add(&cgroups, 3, "/docker/0001cccccccc0000000000000000000000000000000000000000000000000000");
	use(3, 100 * MS);
	charge(60 * JOULE, 8 * JOULE, 0);
	report(SECOND);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_time_ns", 700 * MS);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_usage_percent", 10);
}
END_TEST

/*
 * While a counter can't be read nobody is charged of it, so that who ends meanwhile has told all of its
 * energy in the reports before: what the counter shows later is of those that run then.
 */
START_TEST(an_end_in_a_gap_leaves_nothing_untold)
{
	const struct group *web = cgroups_find(&cgroups, WEB_CGROUP)->group;
	double told;

	a_second(60 * JOULE);
	told = value(energy_of(DEEPMON_CONTAINER, "c0001"), "energy_joules");
	cgroups_remove(&cgroups, WEB_CGROUP, now_ns);
	a_second(-1);
	ck_assert_uint_ne(web->ended_number, 0);
	ck_assert(web->reported);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU, "c0001", ""), "cpu_time_ns", 600 * MS);
	ck_assert_ptr_null(energy_of(DEEPMON_CONTAINER, "c0001"));
	ck_assert_double_eq(told * JOULE, (double)web->account.used.energy_uj[ENERGY_PACKAGE]);
	use(UNIT_CGROUP, 100 * MS);
	charge(120 * JOULE, 8 * JOULE, 0);
	report(SECOND);
	ck_assert_ptr_null(energy_of(DEEPMON_CONTAINER, "c0001"));
	ck_assert_double_eq(told * JOULE, (double)web->account.used.energy_uj[ENERGY_PACKAGE]);
	assert_told(energy_of(DEEPMON_TOTAL, "container"), "energy_joules", told);
}
END_TEST

static void add_tests(TCase *told, TCase *absent)
{
	tcase_add_test(told, figures);
	tcase_add_test(told, memory_of_processes);
	tcase_add_test(told, the_platform_is_the_hosts);
	tcase_add_test(told, labels);
	tcase_add_test(told, texts_are_its_own);
	tcase_add_test(told, an_end_is_told_once);
	tcase_add_test(told, an_end_in_a_gap_leaves_nothing_untold);
	tcase_add_test(absent, without_a_kernel_energy_is_nobodys);
	tcase_add_test(absent, without_zones_there_is_no_energy);
	tcase_add_test(absent, a_counter_that_is_never_read);
	tcase_add_test(absent, a_gap_within_a_report);
	tcase_add_test(absent, a_gap_at_the_end_of_a_report);
	tcase_add_test(absent, a_counter_set_back_at_the_end_of_a_report);
	tcase_add_test(absent, no_interval_no_rates);
	tcase_add_test(absent, overlap_that_is_not_accounted);
	tcase_add_loop_test(absent, counters_that_are_there, 0, COUNT(masks));
	tcase_add_test(absent, no_counters_no_records);
	tcase_add_test(absent, counters_that_fail);
	tcase_add_test(absent, idle_containers_have_no_rates);
}

int main(void)
{
	Suite *suite = suite_create("sample");
	TCase *told = tcase_create("told");
	TCase *absent = tcase_create("absent");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(told, set_up, tear_down);
	tcase_add_checked_fixture(absent, set_up, tear_down);
	add_tests(told, absent);
	suite_add_tcase(suite, told);
	suite_add_tcase(suite, absent);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
