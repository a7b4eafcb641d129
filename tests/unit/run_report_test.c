/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a command used: mean and spread, what follows from other figures, and what is missing.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "../../telegraf-execd/run_report.h"

static struct run_report report;
static char *const command[] = {"a \"command\"", "in\nvalid \xff utf-8", "\xc3\xbc", NULL};

static void begin(void)
{
	report = (struct run_report){0};
}

static const struct run_figure *figure(const char *key)
{
	for (size_t i = 0; i < report.count; i++)
		if (!strcmp(report.figures[i].key, key))
			return &report.figures[i];
	ck_abort_msg("no figure %s", key);
	return NULL;
}

/* A run whose cgroup used so much. */
static void run(const struct deepmon_record *records, size_t count, uint64_t elapsed_ns)
{
	static struct deepmon_sample before;
	struct deepmon_sample sample = {.records = records, .record_count = count};
	struct run_outcome outcome = {.elapsed_ns = elapsed_ns, .usage = {.ru_nvcsw = 3}};

	run_report_begin(&report, &before);
	run_report_sample(&report, &sample, "mine.scope");
	run_report_end(&report, &outcome);
}

static struct deepmon_record cpu(const char *name, uint64_t cpu_ns)
{
	return (struct deepmon_record){.entity = DEEPMON_SYSTEM,
				       .subject = DEEPMON_SUBJECT_CPU,
				       .instance = name,
				       .qualifier = "",
				       .valid = 1ull << DEEPMON_INDEX_CPU_cpu_time_ns,
				       .values.cpu.cpu_time_ns = cpu_ns};
}

static struct deepmon_record joules(enum deepmon_entity entity, const char *name, uint64_t uj)
{
	return (struct deepmon_record){.entity = entity,
				       .subject = DEEPMON_SUBJECT_ENERGY,
				       .instance = name,
				       .qualifier = "",
				       .labels = {{"domain", "package", true}},
				       .label_count = 1,
				       .valid = 1ull << DEEPMON_INDEX_ENERGY_energy_joules,
				       .values.energy.energy_joules = uj};
}

/* By the definitions, in two passes. */
START_TEST(mean_and_spread)
{
	static const uint64_t values[] = {1000000007, 1000000013, 1000000019, 1000000101, 1000000003};
	const size_t count = sizeof(values) / sizeof(values[0]);
	double mean = 0, squares = 0;

	for (size_t i = 0; i < count; i++) {
		struct deepmon_record record = cpu("mine.scope", values[i]);

		mean += (double)values[i] / (double)count;
		run(&record, 1, 2000000000);
	}
	for (size_t i = 0; i < count; i++)
		squares += ((double)values[i] - mean) * ((double)values[i] - mean);
	ck_assert_uint_eq(report.runs, count);
	ck_assert_double_eq_tol(figure("cpu_time_ns")->mean, mean, 1e-3);
	ck_assert_double_eq_tol(run_figure_sd(figure("cpu_time_ns")), sqrt(squares / (double)(count - 1)),
				1e-3);
	ck_assert_double_eq_tol(run_figure_percent(figure("cpu_time_ns")),
				100 * sqrt(squares / (double)(count - 1) / (double)count) / mean, 1e-9);
	ck_assert_double_eq_tol(figure("cpus_used")->mean, mean / 2e9, 1e-9);
	ck_assert_double_eq(run_figure_sd(figure("voluntary_switches")), 0);
}
END_TEST

START_TEST(only_its_own_cgroup_counts)
{
	struct deepmon_record records[] = {cpu("mine.scope", 5), cpu("mine.scope2", 7),
					   cpu("other.scope", 9)};

	run(records, 3, 10);
	ck_assert_double_eq(figure("cpu_time_ns")->mean, 5);
}
END_TEST

START_TEST(energy_of_the_command_and_of_the_host)
{
	struct deepmon_record before = joules(DEEPMON_HOST, "", 5000000);
	struct deepmon_record after[] = {joules(DEEPMON_HOST, "", 9500000),
					 joules(DEEPMON_SYSTEM, "mine.scope", 2000000)};
	struct deepmon_sample begin_sample = {.records = &before, .record_count = 1};
	struct deepmon_sample end_sample = {.records = after, .record_count = 2};
	struct run_outcome outcome = {.elapsed_ns = 4000000000};

	run_report_begin(&report, &begin_sample);
	run_report_sample(&report, &end_sample, "mine.scope");
	run_report_end(&report, &outcome);
	ck_assert_double_eq(figure("package_energy_joules")->mean, 2);
	ck_assert_double_eq(figure("host_package_energy_joules")->mean, 4.5);
	ck_assert_double_eq(figure("package_power_watts")->mean, 0.5);
}
END_TEST

/* A figure that some runs lack is the mean of those that had it, and what follows from it lacks there, too.
 */
START_TEST(figures_that_not_all_runs_have)
{
	struct deepmon_record record = cpu("mine.scope", 100);

	run(&record, 1, 100);
	run(NULL, 0, 300);
	ck_assert_uint_eq(figure("cpu_time_ns")->runs, 1);
	ck_assert_uint_eq(figure("cpus_used")->runs, 1);
	ck_assert_double_eq(figure("cpus_used")->mean, 1);
	ck_assert_uint_eq(figure("elapsed_ns")->runs, 2);
	ck_assert_double_eq(figure("elapsed_ns")->mean, 200);
}
END_TEST

START_TEST(no_more_figures_than_there_is_room_for)
{
	char key[32];

	report.runs = 1;
	for (int i = 0; i < 2 * RUN_FIGURES_MAX; i++) {
		snprintf(key, sizeof(key), "figure_%d", i);
		run_report_add(&report, RUN_BLOCK, key, "", i);
	}
	ck_assert_uint_eq(report.count, RUN_FIGURES_MAX);
	ck_assert_double_eq(figure("figure_95")->mean, 95);
}
END_TEST

static char *print(bool json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (json)
		ck_assert_int_eq(run_report_json(&report, out, command, 7, "try 1"), 0);
	else
		run_report_text(&report, out, command, 7);
	fclose(out);
	return text;
}

START_TEST(as_json)
{
	struct deepmon_record record = cpu("mine.scope", 123456789);
	char *text;
	cJSON *root, *one;

	run_report_heard(&report, "no energy: a reason");
	run(&record, 1, 1000);
	text = print(true);
	root = cJSON_Parse(text);
	ck_assert_ptr_nonnull(root);
	ck_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "command"), 0)->valuestring,
			 command[0]);
	ck_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "command"), 1)->valuestring,
			 "in\nvalid ? utf-8");
	ck_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "command"), 2)->valuestring,
			 command[2]);
	ck_assert_int_eq(cJSON_GetObjectItem(root, "status")->valueint, 7);
	ck_assert_str_eq(cJSON_GetObjectItem(root, "experiment")->valuestring, "try 1");
	one = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "figures"), "cpu_time_ns");
	ck_assert_double_eq(cJSON_GetObjectItem(one, "mean")->valuedouble, 123456789);
	ck_assert_msg(!cJSON_GetObjectItem(one, "sd"), "one run has no spread");
	one = cJSON_GetObjectItem(root, "not_measured");
	ck_assert_str_eq(cJSON_GetObjectItem(one, "energy")->valuestring, "no energy: a reason");
	ck_assert_ptr_nonnull(cJSON_GetObjectItem(one, "network"));
	ck_assert_msg(!cJSON_GetObjectItem(one, "CPU time"), "CPU time was measured");
	cJSON_Delete(root);
	free(text);
}
END_TEST

START_TEST(as_text)
{
	struct deepmon_record record = cpu("mine.scope", 1234567890);
	char *text;

	run_report_heard(&report, "no energy: a reason");
	run(&record, 1, 1000);
	run(&record, 1, 1000);
	run_report_add(&report, RUN_MEMORY, "peak_bytes", "B", 12345678);
	text = print(false);
	ck_assert_ptr_nonnull(strstr(text, "1.234568 s"));
	ck_assert_ptr_nonnull(strstr(text, "cpu time"));
	ck_assert_ptr_nonnull(strstr(text, "12,345,678 B"));
	ck_assert_ptr_nonnull(strstr(text, "energy: not measured: no energy: a reason\n"));
	ck_assert_ptr_nonnull(strstr(text, "mean of 2 runs: a \"command\" in?valid"));
	ck_assert_ptr_nonnull(strstr(text, "status 7"));
	free(text);
}
END_TEST

/* Without the CPU accounting nothing of the cgroup is told: one reason is all reasons but energy's. */
START_TEST(one_reason_for_all)
{
	char *text;

	run_report_heard(&report, "eBPF: the CPU accounting can't be loaded (Operation not permitted)");
	run(NULL, 0, 10);
	text = print(false);
	ck_assert_ptr_nonnull(strstr(text, "network: not measured: eBPF: the CPU accounting"));
	ck_assert_ptr_nonnull(strstr(text, "file I/O: not measured: eBPF: the CPU accounting"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("run report");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, begin, NULL);
	tcase_add_test(all, mean_and_spread);
	tcase_add_test(all, only_its_own_cgroup_counts);
	tcase_add_test(all, energy_of_the_command_and_of_the_host);
	tcase_add_test(all, figures_that_not_all_runs_have);
	tcase_add_test(all, no_more_figures_than_there_is_room_for);
	tcase_add_test(all, as_json);
	tcase_add_test(all, as_text);
	tcase_add_test(all, one_reason_for_all);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
