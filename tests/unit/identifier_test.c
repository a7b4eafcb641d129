/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names in collectd's identifiers: short enough, of what it takes, and different where what they name
 * differs.
 */
#include "../../collectd-plugin/identifier.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define NAME_SIZE 128 /* collectd's DATA_MAX_NAME_LEN */

static char joined[NAME_SIZE];

static const char *join(const char *first, const char *second)
{
	memset(joined, '#', sizeof(joined));
	identifier_join(joined, sizeof(joined), first, second, false);
	ck_assert(memchr(joined, '\0', sizeof(joined)));
	return joined;
}

static const struct {
	const char *first, *second, *name;
} plain[] = {
    {"container", "web", "container-web"},
    {"host", "", "host"},
    {"", "package-powercap", "package-powercap"},
    {"", "", ""},
    {"container", "shop/cart/web", "container-shop_cart_web"},
    {"container", "a_b", "container-a_b"},
    {"container", "a b,c=d\"e\\", "container-a b,c=d\"e\\"},
    {"container", "h\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3", "container-h\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3"},
};

START_TEST(what_fits_is_told_as_it_is)
{
	ck_assert_str_eq(join(plain[_i].first, plain[_i].second), plain[_i].name);
}
END_TEST

/* What is no text, and would be another's name without its hash. */
static const char *const strange[] = {"a\nb", "a\tb",
				      "a\x7f"
				      "b",
				      "a\xff"
				      "b",
				      "a\xed\xa0\x80"
				      "b"};

START_TEST(what_is_no_text_has_a_hash)
{
	static char others[COUNT(strange)][NAME_SIZE];
	const char *name = join("container", strange[_i]);
	const char *hash = strrchr(name, '~');

	ck_assert(hash && strlen(hash) == 17 && strspn(hash + 1, "0123456789abcdef") == 16);
	ck_assert(!strpbrk(name, "/\n\t\x7f\xff\xed"));
	for (size_t i = 0; i < COUNT(strange); i++) {
		snprintf(others[i], NAME_SIZE, "%s", join("container", strange[i]));
		for (size_t other = 0; other < i; other++)
			ck_assert_str_ne(others[i], others[other]);
	}
}
END_TEST

/* All that differ in their last byte only, of each length about that at which the daemon would cut. */
START_TEST(long_names_stay_apart)
{
	static const char prefix[] = "container-";
	char long_name[400], kept[2][NAME_SIZE];

	for (size_t length = 100; length < sizeof(long_name); length++) {
		memset(long_name, 'x', length);
		long_name[length] = '\0';
		for (int last = 0; last < 2; last++) {
			long_name[length - 1] = (char)('0' + last);
			snprintf(kept[last], NAME_SIZE, "%s", join("container", long_name));
		}
		ck_assert_str_ne(kept[0], kept[1]);
		ck_assert_int_eq(strncmp(kept[0], "container-xxxxxxxx", 18), 0);
		if (length + sizeof(prefix) <= NAME_SIZE)
			ck_assert_str_eq(kept[1] + sizeof(prefix) - 1, long_name);
		else
			ck_assert_uint_eq(strlen(kept[1]), NAME_SIZE - 1);
		/* The same each time: it is the series' name. */
		ck_assert_str_eq(join("container", long_name), kept[1]);
	}
}
END_TEST

START_TEST(a_character_is_not_cut_in_two)
{
	char name[400];

	for (size_t from = 80; from < 130; from++) {
		memset(name, 'x', from);
		name[from] = '\0';
		for (int i = 0; i < 20; i++)
			strcat(name, "\xe2\x82\xac");
		join("container", name);
		for (const char *c = joined; *c; c += deepmon_utf8_length(c))
			ck_assert_uint_gt(deepmon_utf8_length(c), 0);
	}
}
END_TEST

static const struct deepmon_record records[] = {
    {.entity = DEEPMON_SYSTEM, .instance = "a_b"},	{.entity = DEEPMON_CONTAINER, .instance = "c_d"},
    {.entity = DEEPMON_CONTAINER, .instance = "a/b"},	{.entity = DEEPMON_CONTAINER, .instance = "c/d"},
    {.entity = DEEPMON_CONTAINER, .instance = "plain"}, {.entity = DEEPMON_CONTAINER, .instance = "c_d"},
    {.entity = DEEPMON_CONTAINER, .instance = "e_f/g"}, {.entity = DEEPMON_CONTAINER, .instance = "e/f_g"},
    {.entity = DEEPMON_CONTAINER, .instance = "e/f/g"}, {.entity = DEEPMON_CONTAINER, .instance = "h_i/j"},
    {.entity = DEEPMON_CONTAINER, .instance = "c/d"},
};

/* "c/d" would be "c_d", which is there; "a_b" is of another entity, and nothing is like "h_i/j". */
START_TEST(one_gives_way_to_another)
{
	static const char *const begin[] = {"system-a_b",      "container-c_d",	   "container-a_b",
					    "container-c_d~",  "container-plain",  "container-c_d",
					    "container-e_f_g", "container-e_f_g~", "container-e_f_g~",
					    "container-h_i_j", "container-c_d~"};
	const struct deepmon_sample sample = {.records = records, .record_count = COUNT(records)};
	const struct deepmon_sample without = {.records = records + 2, .record_count = 3};
	struct identifiers identifiers = {0};

	ck_assert_int_eq(identifiers_take(&identifiers, &sample), 0);
	for (size_t i = 0; i < COUNT(records); i++) {
		size_t length = strlen(begin[i]);

		identifier_instance(&identifiers, &records[i], joined, sizeof(joined));
		ck_assert_msg(strncmp(joined, begin[i], length) == 0 &&
				  (begin[i][length - 1] == '~') == (joined[length] != '\0'),
			      "%s, not %s", joined, begin[i]);
	}
	ck_assert_int_eq(identifiers_take(&identifiers, &without), 0);
	identifier_instance(&identifiers, &records[3], joined, sizeof(joined));
	ck_assert_str_eq(joined, "container-c_d");
	identifiers_clear(&identifiers);
}
END_TEST

static const struct {
	const char *qualifier, *begin;
} qualifiers[] = {{"", "cycles"},
		  {"nginx", "cycles-nginx"},
		  {"kworker/0:1", "cycles-kworker_0:1"},
		  {"a_b", "cycles-a_b"},
		  {"a_b/0", "cycles-a_b_0~"}};

START_TEST(a_type_instance)
{
	const struct deepmon_metric metric = {.collectd_instance = "cycles"};
	const struct deepmon_record record = {.qualifier = qualifiers[_i].qualifier};
	size_t length = strlen(qualifiers[_i].begin);

	identifier_type_instance(&record, &metric, joined, sizeof(joined));
	ck_assert_int_eq(strncmp(joined, qualifiers[_i].begin, length), 0);
	ck_assert_int_eq(joined[length] != '\0', qualifiers[_i].begin[length - 1] == '~');
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("identifier");
	TCase *names = tcase_create("names");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(names, what_fits_is_told_as_it_is, 0, COUNT(plain));
	tcase_add_loop_test(names, what_is_no_text_has_a_hash, 0, COUNT(strange));
	tcase_add_test(names, long_names_stay_apart);
	tcase_add_test(names, a_character_is_not_cut_in_two);
	tcase_add_test(names, one_gives_way_to_another);
	tcase_add_loop_test(names, a_type_instance, 0, COUNT(qualifiers));
	suite_add_tcase(suite, names);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
