/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Findings: what is kept of them, and that each line still comes to the front end.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/findings.h"
#include "../../common/log.h"

static unsigned lines;

static void count_line(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user, (void)level, (void)line;
	lines++;
}

static struct findings findings;
static struct deepmon_logger logger;

static void setup(void)
{
	const struct deepmon_logger front = {.log = count_line};

	lines = 0;
	findings_init(&findings, &front, &logger);
}

static void teardown(void)
{
	findings_clear(&findings);
}

START_TEST(a_row_is_kept_with_its_texts)
{
	ck_assert(finding_add(&logger, DEEPMON_FOUND_LESS, "zone", "package-0", "modprobe x", "%d wraps", 3));
	ck_assert_uint_eq(findings.count, 1);
	ck_assert_str_eq(findings.rows[0].subject, "zone");
	ck_assert_str_eq(findings.rows[0].name, "package-0");
	ck_assert_str_eq(findings.rows[0].reason, "3 wraps");
	ck_assert_str_eq(findings.rows[0].remedy, "modprobe x");
	ck_assert_str_eq(deepmon_finding_state_name(findings.rows[0].state), "degraded");
}
END_TEST

START_TEST(the_first_of_a_name_stands)
{
	ck_assert(finding_add(&logger, DEEPMON_FOUND_WELL, "map", "cpus", "", "first"));
	ck_assert(!finding_add(&logger, DEEPMON_FOUND_WELL, "map", "cpus", "", "second"));
	ck_assert(finding_add(&logger, DEEPMON_FOUND_WELL, "hook", "cpus", "", "of another subject"));
	ck_assert_uint_eq(findings.count, 2);
	ck_assert_str_eq(findings.rows[0].reason, "first");
}
END_TEST

START_TEST(other_peoples_bytes_are_of_one_line)
{
	finding_add(&logger, DEEPMON_FOUND_FACT, "zone", "a\nb", "c\x1b", "d\re%s", "\x7f");
	ck_assert_str_eq(findings.rows[0].name, "a?b");
	ck_assert_str_eq(findings.rows[0].remedy, "c?");
	ck_assert_str_eq(findings.rows[0].reason, "d?e?");
}
END_TEST

START_TEST(rows_are_bounded)
{
	char name[16];
	unsigned kept = 0;

	for (unsigned i = 0; i < 4 * FINDINGS_MOST; i++) {
		snprintf(name, sizeof(name), "%u", i);
		kept += finding_add(&logger, DEEPMON_FOUND_FACT, "zone", name, "", "%s", "");
	}
	ck_assert_uint_eq(kept, FINDINGS_MOST);
	ck_assert_uint_eq(findings.count, FINDINGS_MOST);
}
END_TEST

START_TEST(none_is_made_once_the_collector_is_open)
{
	findings.complete = true;
	ck_assert(!finding_add(&logger, DEEPMON_FOUND_FACT, "zone", "late", "", "%s", ""));
	ck_assert_uint_eq(findings.count, 0);
}
END_TEST

START_TEST(lines_pass_and_loggers_of_others_keep_nothing)
{
	const struct deepmon_logger other = {.log = count_line, .user = &findings};

	log_warning(&logger, "a line");
	ck_assert_uint_eq(lines, 1);
	ck_assert(!finding_add(&other, DEEPMON_FOUND_FACT, "zone", "x", "", "%s", ""));
	ck_assert(!finding_add(NULL, DEEPMON_FOUND_FACT, "zone", "x", "", "%s", ""));
	ck_assert_uint_eq(findings.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("findings");
	TCase *keeping = tcase_create("keeping");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(keeping, setup, teardown);
	tcase_add_test(keeping, a_row_is_kept_with_its_texts);
	tcase_add_test(keeping, the_first_of_a_name_stands);
	tcase_add_test(keeping, other_peoples_bytes_are_of_one_line);
	tcase_add_test(keeping, rows_are_bounded);
	tcase_add_test(keeping, none_is_made_once_the_collector_is_open);
	tcase_add_test(keeping, lines_pass_and_loggers_of_others_keep_nothing);
	suite_add_tcase(suite, keeping);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
