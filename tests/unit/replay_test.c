/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Replays through the public header alone, of a recording that the recorder wrote: a host with one energy
 * counter that uses 10 J from each report to the next, one second later, and 1 J more each time.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../common/recorder.h"
#include "../../common/topology.h"

#define SECOND	 1000000000ull
#define BEGAN_NS (1700000000ull * SECOND) /* CLOCK_REALTIME */
#define REPORTS	 10

static char path[] = "/tmp/deepmon-replay-XXXXXX";
static struct deepmon_options options;

static void set(struct deepmon_options *of, const char *name, const char *value)
{
	char why[256];

	ck_assert_msg(deepmon_options_set(of, name, value, why, sizeof(why)) == 0, "%s", why);
}

/* What had been used by the report with that number; 0 is the beginning. */
static uint64_t used_uj(uint64_t report)
{
	return 10000000 * report + 1000000 * report * (report - 1) / 2;
}

static void record_sample(struct recorder *recorder, uint64_t report)
{
	const struct energy_reading reading = {.raw_uj = 5000 + used_uj(report),
					       .now_ns = (100 + report) * SECOND};

	recorder_energy(recorder, 0, &reading);
	recorder_charge(recorder, reading.now_ns, 0, 0);
	recorder_frame(recorder, RECORDING_SAMPLE, BEGAN_NS + report * SECOND);
}

static void record_report(struct recorder *recorder, uint64_t report)
{
	static const struct deepmon_self_cost self = {.samples = 77};

	recorder_choose(recorder, (100 + report) * SECOND, !report);
	if (!report) {
		recorder_begin(recorder, 100 * SECOND);
		recorder_frame(recorder, RECORDING_SAMPLE, BEGAN_NS);
		return;
	}
	recorder_tell(recorder, (100 + report) * SECOND, BEGAN_NS + report * SECOND, &self,
		      1ull << DEEPMON_INDEX_SELF_COST_samples);
	recorder_frame(recorder, RECORDING_REPORT, BEGAN_NS + report * SECOND);
}

static void record_host(void)
{
	static uint8_t index_of_cpu[2];
	const struct topology topology = {.socket_count = 1, .cpu_count = 2, .index_of_cpu = index_of_cpu};
	struct energy_zone zone = {.source = "powercap", .range_uj = 262143328850};
	struct deepmon_logger silent = {0};
	struct recorder *recorder;

	deepmon_options_init(&options);
	set(&options, "Experiment", "night run");
	set(&options, "Container", "/a,b/");
	set(&options, "Record", path);
	energy_zone_identify(&zone, ENERGY_PACKAGE, 0, -1);
	ck_assert_int_eq(recorder_open(&recorder, &options, &silent), 0);
	recorder_host(recorder, &options);
	recorder_topology(recorder, &topology);
	recorder_zone(recorder, &zone);
	recorder_frame(recorder, RECORDING_SETUP, BEGAN_NS);
	for (uint64_t report = 0; report <= REPORTS; report++) {
		record_sample(recorder, report);
		record_report(recorder, report);
	}
	recorder_close(recorder);
}

static void begin(void)
{
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	record_host();
}

static void end(void)
{
	char old[sizeof(path) + 8];

	snprintf(old, sizeof(old), "%s.old", path);
	unlink(old);
	unlink(path);
}

static struct deepmon *open_replay(void)
{
	struct deepmon_options own;
	struct deepmon *collector;

	ck_assert_int_eq(deepmon_recording_read(path, NULL, &own), 0);
	ck_assert_int_eq(deepmon_open_replay(&collector, path, &own, NULL), 0);
	return collector;
}

/* Energy of the zone and its power. */
static void check(const struct deepmon_sample *sample, uint64_t report, uint64_t before)
{
	bool seen = false;

	ck_assert_uint_eq(sample->time_ns, BEGAN_NS + report * SECOND);
	ck_assert_uint_eq(sample->interval_ns, (report - before) * SECOND);
	for (size_t i = 0; i < sample->record_count; i++) {
		const struct deepmon_record *record = &sample->records[i];

		if (record->entity != DEEPMON_ZONE || record->subject != DEEPMON_SUBJECT_ENERGY)
			continue;
		seen = true;
		ck_assert_str_eq(record->instance, "package-0");
		ck_assert_uint_eq(record->values.energy.energy_joules, used_uj(report));
		ck_assert_double_eq_tol(
		    record->values.energy.power_watts,
		    (double)(used_uj(report) - used_uj(before)) / 1e6 / (double)(report - before), 1e-9);
	}
	ck_assert(seen);
}

START_TEST(what_it_is_of)
{
	struct deepmon_recording about;
	struct deepmon_options own;
	char why[256];

	ck_assert_int_eq(deepmon_recording_read(path, &about, &own), 0);
	ck_assert_uint_eq(about.samples, REPORTS);
	ck_assert_uint_eq(about.first_ns, BEGAN_NS + SECOND);
	ck_assert_uint_eq(about.last_ns, BEGAN_NS + REPORTS * SECOND);
	ck_assert(!about.cut);
	ck_assert_str_eq(about.version, DEEPMON_VERSION);
	ck_assert_str_eq(own.experiment, "night run");
	ck_assert_uint_eq(own.container.count, 1);
	ck_assert_str_eq(own.container.texts, "/a,b/");
	/* What is set then takes its place, if it can be set; what follows is added. */
	ck_assert_int_ne(deepmon_options_set(&own, "Container", "/(/", why, sizeof(why)), 0);
	ck_assert_str_eq(own.container.texts, "/a,b/");
	set(&own, "Container", "c");
	set(&own, "Container", "d");
	ck_assert_uint_eq(own.container.count, 2);
	ck_assert_str_eq(own.container.texts, "c");
	/* Else a replay would begin a recording. */
	ck_assert_str_eq(own.record, "");
}
END_TEST

START_TEST(one_after_another)
{
	struct deepmon *collector = open_replay();
	const struct deepmon_sample *sample;

	for (uint64_t report = 1; report <= REPORTS; report++) {
		ck_assert_int_eq(deepmon_read(collector, &sample), 0);
		check(sample, report, report - 1);
		for (size_t i = 0; i < sample->record_count; i++)
			if (sample->records[i].entity == DEEPMON_SELF)
				ck_assert_uint_eq(sample->records[i].values.self_cost.samples, 77);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(deepmon_read(collector, &sample), -ENODATA);
	deepmon_close(collector);
}
END_TEST

START_TEST(with_larger_steps)
{
	struct deepmon *collector = open_replay();
	const struct deepmon_sample *sample;

	ck_assert_int_eq(deepmon_read_at(collector, BEGAN_NS + 3 * SECOND, &sample), 0);
	check(sample, 3, 0);
	ck_assert_int_eq(deepmon_read_at(collector, BEGAN_NS + 5 * SECOND - 1, &sample), 0);
	check(sample, 5, 3);
	ck_assert_int_eq(deepmon_read_at(collector, BEGAN_NS, &sample), 0);
	check(sample, 6, 5);
	ck_assert_int_eq(deepmon_read_at(collector, BEGAN_NS + 100 * SECOND, &sample), -ENODATA);
	deepmon_close(collector);
}
END_TEST

START_TEST(there_and_back)
{
	static const uint64_t places[] = {7, 8, 3, 3, 10, 1, 9};
	struct deepmon *collector = open_replay();
	const struct deepmon_sample *sample;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		ck_assert_int_eq(deepmon_replay_seek(collector, BEGAN_NS + places[i] * SECOND - 5), 0);
		ck_assert_int_eq(deepmon_read(collector, &sample), 0);
		check(sample, places[i], places[i] - 1);
	}
	ck_assert_int_eq(deepmon_replay_seek(collector, BEGAN_NS + 11 * SECOND), -ENODATA);
	ck_assert_int_eq(deepmon_replay_seek(collector, 0), 0);
	ck_assert_int_eq(deepmon_read(collector, &sample), 0);
	check(sample, 1, 0);
	deepmon_close(collector);
}
END_TEST

/* Wherever it is cut it plays what is whole, and wherever a bit is wrong it says so and plays no more. */
START_TEST(cut_and_damaged_anywhere)
{
	struct deepmon_options own;
	struct stat whole;
	size_t opened = 0, ended = 0;

	ck_assert_int_eq(stat(path, &whole), 0);
	ck_assert_int_eq(deepmon_recording_read(path, NULL, &own), 0);
	for (off_t keep = whole.st_size - 1; keep > 0; keep -= 37) {
		struct deepmon *collector;
		const struct deepmon_sample *sample;
		uint64_t report = 0;

		ck_assert_int_eq(truncate(path, keep), 0);
		if (deepmon_open_replay(&collector, path, &own, NULL))
			continue;
		opened++;
		while (deepmon_read(collector, &sample) == 0) {
			report++;
			check(sample, report, report - 1);
		}
		ended += deepmon_read(collector, &sample) == -ENODATA;
		ck_assert_uint_lt(report, REPORTS);
		deepmon_close(collector);
	}
	ck_assert_uint_gt(opened, 10);
	ck_assert_uint_eq(ended, opened);
}
END_TEST

START_TEST(a_flipped_bit)
{
	struct stat whole;

	ck_assert_int_eq(stat(path, &whole), 0);
	for (off_t at = 0; at < whole.st_size; at += 53) {
		struct deepmon *collector = NULL;
		const struct deepmon_sample *sample;
		uint64_t report = 0;
		FILE *file = fopen(path, "r+");
		int byte;

		fseek(file, at, SEEK_SET);
		byte = fgetc(file);
		fseek(file, at, SEEK_SET);
		fputc(byte ^ 1 << at % 8, file);
		fclose(file);
		if (deepmon_open_replay(&collector, path, &options, NULL) == 0)
			while (deepmon_read(collector, &sample) == 0) {
				report++;
				check(sample, report, report - 1);
			}
		ck_assert_msg(report < REPORTS, "byte %ld", (long)at);
		deepmon_close(collector);
		file = fopen(path, "r+");
		fseek(file, at, SEEK_SET);
		fputc(byte, file);
		fclose(file);
	}
}
END_TEST

START_TEST(what_is_no_replay)
{
	struct deepmon *collector;
	struct deepmon_recording about;
	FILE *file;

	ck_assert_int_eq(deepmon_open_replay(&collector, "/nowhere/at/all", &options, NULL), -ENOENT);
	ck_assert_int_eq(deepmon_recording_read("/", &about, NULL), -EISDIR);
	file = fopen(path, "w");
	fputs("no recording at all", file);
	fclose(file);
	ck_assert_int_eq(deepmon_open_replay(&collector, path, &options, NULL), -EBADMSG);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(deepmon_open_replay(&collector, path, &options, NULL), -EBADMSG);
}
END_TEST

START_TEST(one_that_is_there_is_kept)
{
	char old[sizeof(path) + 8];
	struct stat before, after;

	snprintf(old, sizeof(old), "%s.old", path);
	ck_assert_int_eq(stat(path, &before), 0);
	record_host();
	ck_assert_int_eq(stat(old, &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_uint_eq(after.st_mode & 0777, 0600);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replay");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, begin, end);
	tcase_add_test(all, what_it_is_of);
	tcase_add_test(all, one_after_another);
	tcase_add_test(all, with_larger_steps);
	tcase_add_test(all, there_and_back);
	tcase_add_test(all, cut_and_damaged_anywhere);
	tcase_add_test(all, a_flipped_bit);
	tcase_add_test(all, what_is_no_replay);
	tcase_add_test(all, one_that_is_there_is_kept);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
