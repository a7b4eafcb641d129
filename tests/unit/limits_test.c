/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What is said of limits that were passed, and that it is said once.
 */
#include "../../common/limits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/log.h"

#define VALID(field) (1ull << DEEPMON_INDEX_SELF_COST_##field)

static struct deepmon_options options;
static struct limits limits;
static unsigned said;
static char last[LOG_LINE_MAX];

static void keep(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user;
	ck_assert_int_eq(level, DEEPMON_WARNING);
	said++;
	strcpy(last, line);
}

static const struct deepmon_logger logger = {.log = keep};

static void set_up(void)
{
	deepmon_options_init(&options);
	limits = (struct limits){0};
	said = 0;
}

static void report(struct deepmon_self_cost cost, uint64_t valid)
{
	limits_say(&limits, &cost, valid, &options, &logger);
}

START_TEST(nothing_is_said_while_nothing_is_past_it)
{
	report((struct deepmon_self_cost){.samples = 5}, ~0ull);
	ck_assert_uint_eq(said, 0);
}
END_TEST

START_TEST(the_option_and_its_value_are_named)
{
	options.max_cgroups = 77;
	report((struct deepmon_self_cost){.slots_refused = 1}, VALID(slots_refused));
	ck_assert_uint_eq(said, 1);
	ck_assert_msg(strstr(last, "MaxCgroups: more than 77 ") && strstr(last, "other"), "%s", last);
}
END_TEST

START_TEST(each_is_said_once)
{
	const struct deepmon_self_cost first = {.peers_refused = 1},
				       later = {.peers_refused = 9, .events_dropped = 2};

	report(first, ~0ull);
	report(first, ~0ull);
	ck_assert_uint_eq(said, 1);
	report(later, ~0ull);
	report(later, ~0ull);
	ck_assert_uint_eq(said, 2);
	ck_assert_msg(strstr(last, "by search"), "%s", last);
}
END_TEST

START_TEST(what_was_not_measured_says_nothing)
{
	report((struct deepmon_self_cost){.slots_refused = 3}, ~VALID(slots_refused));
	ck_assert_uint_eq(said, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tests = tcase_create("limits");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, nothing_is_said_while_nothing_is_past_it);
	tcase_add_test(tests, the_option_and_its_value_are_named);
	tcase_add_test(tests, each_is_said_once);
	tcase_add_test(tests, what_was_not_measured_says_nothing);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
