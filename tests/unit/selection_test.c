/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Lists of names and regexes: how a value is parted, what is refused, and what matches.
 */
#include "../../common/selection.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static struct deepmon_list list;
static char why[256];

static int add(const char *value)
{
	return selection_add(&list, value, why, sizeof(why));
}

static void set_up(void)
{
	list = (struct deepmon_list){0};
}

static const struct {
	const char *value;
	const char *texts; /* each in <> */
} values[] = {
    {"", ""},
    {",", ""},
    {"web", "<web>"},
    {"web,db", "<web><db>"},
    {",web,,db,", "<web><db>"},
    {"a b", "<a b>"},
    {"/^web-[0-9]+$/", "</^web-[0-9]+$/>"},
    {"/a{1,3}/", "</a{1,3}/>"},
    {"/a{1,3}/,db", "</a{1,3}/><db>"},
    {"db,/a{1,3}/,/b,c/", "<db></a{1,3}/></b,c/>"},
    {"/", "</>"},
    {"//", "<//>"},
    {"/a/b", "</a/b>"},
    {"/not closed, it is a name", "</not closed, it is a name>"},
    {"shop/web/1", "<shop/web/1>"},
};

START_TEST(a_value_is_parted)
{
	char texts[1024] = "";

	ck_assert_int_eq(add(values[_i].value), 0);
	for (const char *text = selection_next(&list, NULL); text; text = selection_next(&list, text)) {
		strcat(texts, "<");
		strcat(texts, text);
		strcat(texts, ">");
	}
	ck_assert_str_eq(texts, values[_i].texts);
}
END_TEST

START_TEST(what_is_no_regex_is_refused)
{
	ck_assert_int_eq(add("web"), 0);
	ck_assert_int_eq(add("db,/(/,x"), -EINVAL);
	ck_assert_msg(strstr(why, "\"/(/\" is no regular expression"), "%s", why);
	ck_assert_int_eq(add("/(a{255}){255}/"), -EINVAL);
	ck_assert_int_eq(add("/a{99999999999999999999}/"), -EINVAL);
	ck_assert_int_eq(add("/((a{1,33}){2,33}){2}/"), -EINVAL);
	ck_assert_int_eq(add("/a{0}b{0,3}{/"), -EINVAL);
	ck_assert_uint_eq(list.count, 1);
	ck_assert_str_eq(selection_next(&list, NULL), "web");
	ck_assert_ptr_null(selection_next(&list, selection_next(&list, NULL)));
}
END_TEST

START_TEST(a_list_is_bounded)
{
	char value[DEEPMON_LIST_MAX + 2];
	uint32_t count;

	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	ck_assert_int_eq(add(value), -ERANGE);
	ck_assert_uint_eq(list.count, 0);
	value[DEEPMON_LIST_MAX - 1] = '\0';
	ck_assert_int_eq(add(value), 0);
	ck_assert_int_eq(add("y"), -ERANGE);
	ck_assert_msg(strstr(why, "4096"), "%s", why);
	set_up();
	for (count = 0; add("web") == 0;)
		count++;
	ck_assert_uint_eq(count, DEEPMON_LIST_MAX / 4);
	ck_assert_uint_eq(list.count, count);
}
END_TEST

static const struct {
	const char *list, *text;
	bool has;
} matches[] = {
    {"web", "web", true},
    {"web", "web-1", false},
    {"web", "Web", false},
    {"db,web", "web", true},
    {"/web/", "my-web-1", true},
    {"/^web$/", "web", true},
    {"/^web-[0-9]+$/", "web-12", true},
    {"/^web-[0-9]+$/", "web-a", false},
    {"/^(a|b)$/,c", "b", true},
    {"/^(a|b)$/,c", "c", true},
    {"/^(a|b)$/,c", "d", false},
    {"//", "", true},
    {"a.c", "abc", false},
    {"/", "/", true},
};

START_TEST(a_text_is_matched)
{
	struct selection *selection;

	ck_assert_int_eq(add(matches[_i].list), 0);
	ck_assert_int_eq(selection_open(&selection, &list), 0);
	ck_assert(!selection_is_empty(selection));
	ck_assert_msg(selection_has(selection, matches[_i].text) == matches[_i].has, "%s: %s",
		      matches[_i].list, matches[_i].text);
	selection_close(selection);
}
END_TEST

START_TEST(nothing_is_in_no_list)
{
	struct selection *selection;

	ck_assert_int_eq(selection_open(&selection, &list), 0);
	ck_assert(selection_is_empty(selection) && selection_is_empty(NULL));
	ck_assert(!selection_has(selection, "") && !selection_has(NULL, "web"));
	selection_close(selection);
	selection_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("selection");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, NULL);
	tcase_add_loop_test(all, a_value_is_parted, 0, COUNT(values));
	tcase_add_test(all, what_is_no_regex_is_refused);
	tcase_add_test(all, a_list_is_bounded);
	tcase_add_loop_test(all, a_text_is_matched, 0, COUNT(matches));
	tcase_add_test(all, nothing_is_in_no_list);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
