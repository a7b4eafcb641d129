/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The catalogue of options and deepmon_options_set: every row, every type, and values that must be refused.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/deepmon.h"
#include "comma_locale.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static struct deepmon_options options;
static char why[256];

static void set_up(void)
{
	deepmon_options_init(&options);
	memset(why, 'x', sizeof(why));
}

static int set(const char *name, const char *value)
{
	return deepmon_options_set(&options, name, value, why, sizeof(why));
}

static void *target(const struct deepmon_option *option)
{
	return (char *)&options + option->offset;
}

/* What an option has now, as text. */
static const char *value_of(const struct deepmon_option *option, char *text, size_t size)
{
	switch (option->type) {
	case DEEPMON_OPTION_TEXT:
	case DEEPMON_OPTION_EVENT:
		snprintf(text, size, "%s", (const char *)target(option));
		break;
	case DEEPMON_OPTION_NUMBER:
		snprintf(text, size, "%.15g", *(double *)target(option));
		break;
	case DEEPMON_OPTION_COUNT:
	case DEEPMON_OPTION_CHOICE:
		snprintf(text, size, "%u", *(uint32_t *)target(option));
		break;
	case DEEPMON_OPTION_BOOL:
		snprintf(text, size, "%d", *(bool *)target(option));
		break;
	case DEEPMON_OPTION_LIST:
		snprintf(text, size, "%u", ((struct deepmon_list *)target(option))->count);
		break;
	}
	return text;
}

/* ---- The rows ---------------------------------------------------------------------------------- */

START_TEST(a_row_is_complete)
{
	const struct deepmon_option *option = &deepmon_option_table[_i];

	ck_assert_msg(*option->name && *option->help, "row %d", _i);
	ck_assert_ptr_eq(deepmon_option_find(option->name), option);
	if (option->type == DEEPMON_OPTION_NUMBER || option->type == DEEPMON_OPTION_COUNT)
		ck_assert_msg(option->least < option->most, "%s: it has no range", option->name);
	if (option->type == DEEPMON_OPTION_COUNT)
		ck_assert_msg(option->least >= 0 && option->most <= UINT32_MAX, "%s: the range is too wide",
			      option->name);
	for (const char *c = option->help; *c; c++)
		ck_assert_msg((unsigned char)*c >= 0x20, "%s: its help is more than a line", option->name);
}
END_TEST

START_TEST(a_default_is_valid)
{
	const struct deepmon_option *option = &deepmon_option_table[_i];
	char word[DEEPMON_TEXT_MAX], preset[DEEPMON_TEXT_MAX], again[DEEPMON_TEXT_MAX];

	snprintf(word, sizeof(word), "%s", option->preset);
	if (option->type == DEEPMON_OPTION_CHOICE)
		word[strcspn(word, "|")] = '\0';
	value_of(option, preset, sizeof(preset));
	ck_assert_msg(set(option->name, word) == 0, "%s", why);
	ck_assert_str_eq(value_of(option, again, sizeof(again)), preset);
	if (option->type == DEEPMON_OPTION_TEXT || option->type == DEEPMON_OPTION_NUMBER)
		ck_assert_str_eq(preset, option->preset);
}
END_TEST

START_TEST(a_bound_is_within_and_what_is_past_it_is_not)
{
	const struct deepmon_option *option = &deepmon_option_table[_i];
	char bound[64], before[DEEPMON_TEXT_MAX], after[DEEPMON_TEXT_MAX];

	if (option->type != DEEPMON_OPTION_NUMBER && option->type != DEEPMON_OPTION_COUNT)
		return;
	for (int high = 0; high < 2; high++) {
		double limit = high ? option->most : option->least;

		snprintf(bound, sizeof(bound), "%.15g", limit);
		ck_assert_msg(set(option->name, bound) == 0, "%s", why);
		value_of(option, before, sizeof(before));
		snprintf(bound, sizeof(bound), "%.15g", limit + (high ? 1 : -1));
		ck_assert_int_eq(set(option->name, bound), -ERANGE);
		ck_assert_msg(strstr(why, option->name) && strstr(why, bound), "%s", why);
		ck_assert_str_eq(value_of(option, after, sizeof(after)), before);
	}
}
END_TEST

/* Each word of a CHOICE is accepted, in any case, as its number. */
START_TEST(every_word_of_a_choice)
{
	const struct deepmon_option *option = &deepmon_option_table[_i];
	char words[DEEPMON_TEXT_MAX];
	uint32_t number = 0;

	if (option->type != DEEPMON_OPTION_CHOICE)
		return;
	snprintf(words, sizeof(words), "%s", option->preset);
	for (char *rest = NULL, *word = strtok_r(words, "|", &rest); word;
	     word = strtok_r(NULL, "|", &rest)) {
		ck_assert_msg(set(option->name, word) == 0, "%s", why);
		ck_assert_uint_eq(*(uint32_t *)target(option), number++);
		word[0] ^= 0x20;
		ck_assert_msg(set(option->name, word) == 0, "%s", why);
	}
	ck_assert_uint_ge(number, 2);
}
END_TEST

START_TEST(names_do_not_collide)
{
	for (size_t i = 0; i < deepmon_option_count; i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(deepmon_option_table[i].name, deepmon_option_table[j].name);
}
END_TEST

/* ---- Names ------------------------------------------------------------------------------------- */

static const struct {
	const char *given;
	const char *name; /* NULL: there is none */
} names[] = {
    {"SampleInterval", "SampleInterval"},
    {"sample-interval", "SampleInterval"},
    {"sample_interval", "SampleInterval"},
    {"SAMPLE-INTERVAL", "SampleInterval"},
    {"sampleinterval", "SampleInterval"},
    {"-sample--interval", "SampleInterval"},
    {"SampleInterva", NULL},
    {"SampleIntervals", NULL},
    {"Sample Interval", NULL},
    {"sample-interval ", NULL},
    {"", NULL},
    {"-", NULL},
    {"_", NULL},
};

START_TEST(a_name_is_found_or_not)
{
	const struct deepmon_option *option = deepmon_option_find(names[_i].given);

	ck_assert_msg((option != NULL) == (names[_i].name != NULL), "%s", names[_i].given);
	if (option)
		ck_assert_str_eq(option->name, names[_i].name);
}
END_TEST

/* ---- Values ------------------------------------------------------------------------------------ */

static const struct {
	const char *name, *value;
	int error;
	const char *words[5]; /* in the message */
} bad[] = {
    {"NoSuchOption", "1", -ENOENT, {"NoSuchOption"}},
    {"", "1", -ENOENT, {"no option"}},
    {"SampleInterval", "", -EINVAL, {"SampleInterval", "\"\"", "0.05 to 60 s"}},
    {"SampleInterval", "abc", -EINVAL, {"SampleInterval", "\"abc\"", "0.05 to 60 s"}},
    {"SampleInterval", "1s", -EINVAL, {"SampleInterval", "\"1s\"", "0.05 to 60 s"}},
    {"SampleInterval", "1,5", -EINVAL, {"SampleInterval", "\"1,5\"", "0.05 to 60 s"}},
    {"SampleInterval", "1 ", -EINVAL, {"SampleInterval", "\"1 \"", "0.05 to 60 s"}},
    {"SampleInterval", " 1", -EINVAL, {"SampleInterval", "\" 1\"", "0.05 to 60 s"}},
    {"SampleInterval", "nan", -EINVAL, {"SampleInterval", "\"nan\"", "0.05 to 60 s"}},
    {"SampleInterval", "inf", -EINVAL, {"SampleInterval", "\"inf\"", "0.05 to 60 s"}},
    {"SampleInterval", "1e999", -EINVAL, {"SampleInterval", "\"1e999\"", "0.05 to 60 s"}},
    {"SampleInterval", "0", -ERANGE, {"SampleInterval", "0 is out of range", "0.05 to 60 s"}},
    {"SampleInterval", "-1", -ERANGE, {"SampleInterval", "-1 is out of range", "0.05 to 60 s"}},
    {"SampleInterval", "60.001", -ERANGE, {"SampleInterval", "60.001 is out of range", "0.05 to 60 s"}},
    {"sample-interval", "900", -ERANGE, {"SampleInterval", "900 is out of range", "0.05 to 60 s"}},
    {"MaxCgroups", "1.5", -EINVAL, {"MaxCgroups", "\"1.5\" is not a whole number", "16 to 262144"}},
    {"MaxCgroups", "many", -EINVAL, {"MaxCgroups", "\"many\" is not a whole number", "16 to 262144"}},
    {"MaxCgroups", "-16", -ERANGE, {"MaxCgroups", "-16 is out of range", "16 to 262144"}},
    {"MaxCgroups", "15", -ERANGE, {"MaxCgroups", "15 is out of range", "16 to 262144"}},
    {"MaxCgroups", "1e18", -ERANGE, {"MaxCgroups", "1e18 is out of range", "16 to 262144"}},
    {"CgroupHierarchy", "", -EINVAL, {"CgroupHierarchy", "\"\"", "auto|unified|cpuacct"}},
    {"CgroupHierarchy", "blkio", -EINVAL, {"CgroupHierarchy", "\"blkio\"", "auto|unified|cpuacct"}},
    {"CgroupHierarchy", "auto|unified", -EINVAL, {"CgroupHierarchy", "\"auto|unified\""}},
    {"CgroupHierarchy", "aut", -EINVAL, {"CgroupHierarchy", "\"aut\""}},
    {"CyclesEvent", "cicles", -EINVAL, {"CyclesEvent", "\"cicles\"", "perf list", "r412e", "none"}},
    {"cache-misses-event", "r", -EINVAL, {"CacheMissesEvent", "\"r\""}},
    {"CacheMissesEvent", "r12345678901234567", -EINVAL, {"CacheMissesEvent"}},
    {"CacheMissesEvent", "r12g", -EINVAL, {"CacheMissesEvent", "\"r12g\""}},
    {"CacheMissesEvent", "cycles ", -EINVAL, {"CacheMissesEvent", "\"cycles \""}},
    /* What could break a log into lines does not come through. */
    {"SampleInterval", "1\n2", -EINVAL, {"SampleInterval", "\"1?2\"", "0.05 to 60 s"}},
    {"No\nOption", "1", -ENOENT, {"No?Option"}},
};

START_TEST(a_bad_value_is_refused_and_changes_nothing)
{
	struct deepmon_options before = options;
	int error = set(bad[_i].name, bad[_i].value);

	ck_assert_msg(error == bad[_i].error, "%s %s: %d: %s", bad[_i].name, bad[_i].value, error, why);
	for (size_t word = 0; word < COUNT(bad[_i].words) && bad[_i].words[word]; word++)
		ck_assert_msg(strstr(why, bad[_i].words[word]) != NULL, "\"%s\" is not in: %s",
			      bad[_i].words[word], why);
	ck_assert_msg(!strpbrk(why, "\r\n"), "more than a line: %s", why);
	ck_assert(!memcmp(&before, &options, sizeof(before)));
}
END_TEST

static const struct {
	const char *name, *value;
	double number;
} good[] = {
    {"SampleInterval", "0.05", 0.05}, {"SampleInterval", "60", 60},  {"sample-interval", ".5", 0.5},
    {"SampleInterval", "5e-1", 0.5},  {"SampleInterval", "+1", 1},   {"MaxCgroups", "16", 16},
    {"MaxCgroups", "262144", 262144}, {"max_cgroups", "1e3", 1000},  {"MaxCgroups", "100.0", 100},
    {"CgroupHierarchy", "auto", 0},   {"CgroupHierarchy", "CPU", 3},
};

static double number_of(const struct deepmon_option *option)
{
	return option->type == DEEPMON_OPTION_NUMBER ? *(double *)target(option)
						     : *(uint32_t *)target(option);
}

START_TEST(a_good_value_is_taken)
{
	ck_assert_msg(set(good[_i].name, good[_i].value) == 0, "%s", why);
	ck_assert_double_eq(number_of(deepmon_option_find(good[_i].name)), good[_i].number);
}
END_TEST

START_TEST(a_locale_with_a_comma_changes_nothing)
{
	use_comma_locale();
	ck_assert_int_eq(set("SampleInterval", "1.5"), 0);
	ck_assert_double_eq(options.sample_interval, 1.5);
	ck_assert_int_eq(set("SampleInterval", "1,5"), -EINVAL);
	deepmon_options_init(&options);
	ck_assert_double_eq(options.sample_interval, 1);
	ck_assert_int_eq(set("SampleInterval", "900"), -ERANGE);
}
END_TEST

START_TEST(text_is_as_long_as_it_may_be)
{
	char text[DEEPMON_TEXT_MAX + 1];

	memset(text, 'a', sizeof(text));
	text[DEEPMON_TEXT_MAX - 1] = '\0';
	ck_assert_int_eq(set("HostRoot", text), 0);
	ck_assert_str_eq(options.host_root, text);
	text[DEEPMON_TEXT_MAX - 1] = 'b';
	text[DEEPMON_TEXT_MAX] = '\0';
	ck_assert_int_eq(set("HostRoot", text), -ERANGE);
	ck_assert_msg(strstr(why, "HostRoot") && strstr(why, "1024") && strstr(why, "1023"), "%s", why);
	ck_assert_uint_eq(strlen(options.host_root), DEEPMON_TEXT_MAX - 1);
	ck_assert_int_eq(set("HostRoot", ""), 0);
	ck_assert_str_eq(options.host_root, "");
}
END_TEST

/* A long value or name is cut in the message, and the message to the room there is. */
START_TEST(a_message_fits)
{
	char text[DEEPMON_TEXT_MAX], little[8];

	memset(text, '9', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_ne(set("SampleInterval", text), 0);
	ck_assert_uint_lt(strlen(why), sizeof(why) - 1);
	ck_assert_int_eq(set(text, "1"), -ENOENT);
	ck_assert_uint_lt(strlen(why), sizeof(why) - 1);
	memset(little, 'x', sizeof(little));
	ck_assert_int_ne(deepmon_options_set(&options, "SampleInterval", "abc", little, sizeof(little)), 0);
	ck_assert_str_eq(little, "SampleI");
}
END_TEST

/* ---- Truth and lists --------------------------------------------------------------------------- */

static const struct {
	const char *value;
	int truth; /* -1: refused */
} truths[] = {{"true", 1}, {"Yes", 1}, {"on", 1}, {"1", 1},  {"false", 0}, {"no", 0},
	      {"OFF", 0},  {"0", 0},   {"", -1},  {"2", -1}, {"tru", -1},  {"true ", -1}};

START_TEST(a_truth_is_taken_or_refused)
{
	int r = set("ReportEnergy", "false");

	ck_assert_int_eq(r, 0);
	options.report_energy = truths[_i].truth != 1;
	r = set("ReportEnergy", truths[_i].value);
	if (truths[_i].truth < 0) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_msg(strstr(why, "ReportEnergy") && strstr(why, "neither true nor false"), "%s",
			      why);
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(options.report_energy, truths[_i].truth);
}
END_TEST

/* collectd makes true of an on that has no quotation marks. */
START_TEST(true_is_on_where_there_is_such_a_word)
{
	ck_assert_int_eq(set("Network", "true"), 0);
	ck_assert_uint_eq(options.network, 1);
	ck_assert_int_eq(set("Network", "false"), 0);
	ck_assert_uint_eq(options.network, 0);
	ck_assert_int_eq(set("Memory", "false"), 0);
	ck_assert_uint_eq(options.memory, 1);
	ck_assert_int_eq(set("IdlePolicy", "true"), -EINVAL);
}
END_TEST

static const char *const events[] = {"cycles", "Cache-Misses", "cpu-clock", "r1a2B", "r0", "none", ""};

START_TEST(an_event_is_taken)
{
	ck_assert_msg(set("CyclesEvent", events[_i]) == 0, "%s", why);
	ck_assert_str_eq(options.cycles_event, events[_i]);
}
END_TEST

START_TEST(a_list_grows)
{
	ck_assert_int_eq(set("Container", "web"), 0);
	ck_assert_int_eq(set("--container", "db,/^x/"), 0);
	ck_assert_uint_eq(options.container.count, 3);
	ck_assert_int_eq(set("Container", "a,/[/"), -EINVAL);
	ck_assert_msg(strstr(why, "Container: \"/[/\" is no regular expression"), "%s", why);
	ck_assert_uint_eq(options.container.count, 3);
	ck_assert_int_eq(set("Container", ""), 0);
	ck_assert_uint_eq(options.container.count, 3);
	ck_assert_uint_eq(options.image.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *rows = tcase_create("rows");
	TCase *values = tcase_create("values");
	SRunner *runner = srunner_create(suite);
	int count = (int)deepmon_option_count;

	tcase_add_checked_fixture(rows, set_up, NULL);
	tcase_add_loop_test(rows, a_row_is_complete, 0, count);
	tcase_add_loop_test(rows, a_default_is_valid, 0, count);
	tcase_add_loop_test(rows, a_bound_is_within_and_what_is_past_it_is_not, 0, count);
	tcase_add_loop_test(rows, every_word_of_a_choice, 0, count);
	tcase_add_test(rows, names_do_not_collide);
	tcase_add_checked_fixture(values, set_up, NULL);
	tcase_add_loop_test(values, a_name_is_found_or_not, 0, COUNT(names));
	tcase_add_loop_test(values, a_bad_value_is_refused_and_changes_nothing, 0, COUNT(bad));
	tcase_add_loop_test(values, a_good_value_is_taken, 0, COUNT(good));
	tcase_add_test(values, a_locale_with_a_comma_changes_nothing);
	tcase_add_test(values, text_is_as_long_as_it_may_be);
	tcase_add_test(values, a_message_fits);
	tcase_add_loop_test(rows, a_truth_is_taken_or_refused, 0, COUNT(truths));
	tcase_add_test(rows, true_is_on_where_there_is_such_a_word);
	tcase_add_loop_test(rows, an_event_is_taken, 0, COUNT(events));
	tcase_add_test(rows, a_list_grows);
	suite_add_tcase(suite, rows);
	suite_add_tcase(suite, values);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
