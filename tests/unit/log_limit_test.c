/* SPDX-License-Identifier: GPL-3.0-only
 *
 * How many lines of log are said, and that those left out are told of.
 */
#include "../../common/log_limit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/log.h"

#define SECOND 1000000000ull

static struct log_limit limit;
static unsigned said;
static char last[LOG_LINE_MAX], before[LOG_LINE_MAX];

static void keep(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user;
	(void)level;
	said++;
	memcpy(before, last, sizeof(before));
	snprintf(last, sizeof(last), "%s", line);
}

static void set_up(void)
{
	const struct deepmon_logger logger = {.log = keep};

	said = 0;
	log_limit_init(&limit, &logger, 3);
}

static void tear_down(void)
{
	log_limit_destroy(&limit);
}

static unsigned take(uint64_t now_ns, unsigned times, uint64_t *left_out)
{
	unsigned taken = 0;

	*left_out = 0;
	for (unsigned i = 0; i < times; i++) {
		uint64_t more;

		taken += log_limit_take(&limit, now_ns, &more);
		*left_out += more;
	}
	return taken;
}

START_TEST(so_many_in_a_minute)
{
	uint64_t left_out;

	ck_assert_uint_eq(take(5 * SECOND, 2, &left_out), 2);
	ck_assert_uint_eq(take(64 * SECOND, 5, &left_out), 1);
	ck_assert_uint_eq(left_out, 0);
	/* A new minute: what was left out in the last is told once. */
	ck_assert_uint_eq(take(65 * SECOND, 2, &left_out), 2);
	ck_assert_uint_eq(left_out, 4);
	ck_assert_uint_eq(take(66 * SECOND, 2, &left_out), 1);
	ck_assert_uint_eq(left_out, 0);
	ck_assert_uint_eq(take(1000 * SECOND, 1, &left_out), 1);
	ck_assert_uint_eq(left_out, 1);
}
END_TEST

START_TEST(lines_past_the_limit_are_left_out)
{
	struct deepmon_logger logger = log_limit_logger(&limit);

	for (int i = 0; i < 10; i++)
		log_warning(&logger, "line %d", i);
	ck_assert_uint_eq(said, 3);
	ck_assert_str_eq(last, "line 2");
	for (int i = 0; i < 10; i++)
		log_debug(&logger, "debug %d", i);
	ck_assert_uint_eq(said, 13);

	limit.minute_ns -= 60 * SECOND;
	log_warning(&logger, "line 10");
	ck_assert_uint_eq(said, 15);
	ck_assert_str_eq(before, "7 lines of log were left out: MaxLogLines allows 3 in a minute");
	ck_assert_str_eq(last, "line 10");
}
END_TEST

START_TEST(nobody_to_tell)
{
	struct log_limit silent;
	struct deepmon_logger logger;

	log_limit_init(&silent, NULL, 3);
	logger = log_limit_logger(&silent);
	log_warning(&logger, "nobody hears it");
	log_limit_destroy(&silent);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log limit");
	TCase *lines = tcase_create("lines");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(lines, set_up, tear_down);
	tcase_add_test(lines, so_many_in_a_minute);
	tcase_add_test(lines, lines_past_the_limit_are_left_out);
	tcase_add_test(lines, nobody_to_tell);
	suite_add_tcase(suite, lines);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
