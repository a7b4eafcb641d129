/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Lists of CPUs, their places and their model: tables.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/cpus.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static const struct {
	const char *text;
	long count;
	unsigned cpus[8];
} lists[] = {
    {"0\n", 1, {0}},
    {"0", 1, {0}},
    {"0-3,8\n", 5, {0, 1, 2, 3, 8}},
    {"7,3", 2, {7, 3}},
    {"8191", 1, {8191}},
    {"5-5", 1, {5}},
    {"", 0, {0}},
    {"\n", 0, {0}},
    {"0-7\n", 8, {0, 1, 2, 3, 4, 5, 6, 7}},
    {"0-8", -E2BIG, {0}},
    {"8192", -E2BIG, {0}},
    {"0-4294967296", -E2BIG, {0}},
    {"99999999999999999999999", -E2BIG, {0}},
    {"3-1", -EINVAL, {0}},
    {"-1", -EINVAL, {0}},
    {"1-", -EINVAL, {0}},
    {"1,", -EINVAL, {0}},
    {",1", -EINVAL, {0}},
    {"1,,2", -EINVAL, {0}},
    {"1 2", -EINVAL, {0}},
    {"0-3:1/2", -EINVAL, {0}},
    {"a", -EINVAL, {0}},
};

START_TEST(list)
{
	unsigned cpus[8];
	long count = cpus_parse_list(lists[_i].text, cpus, COUNT(cpus));

	ck_assert_msg(count == lists[_i].count, "\"%s\": %ld", lists[_i].text, count);
	for (long i = 0; i < count; i++)
		ck_assert_uint_eq(cpus[i], lists[_i].cpus[i]);
}
END_TEST

static const struct {
	const char *cpuinfo;
	bool known;
	enum cpu_vendor vendor;
	unsigned family, model;
} models[] = {
    {"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 106\nmodel name\t: Xeon 7\n",
     true, CPU_INTEL, 6, 106},
    {"vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: 9\nmodel\t\t: 1\n\nvendor_id\t: "
     "GenuineIntel\n",
     true, CPU_AMD, 25, 1},
    {"vendor_id : HygonGenuine\ncpu family : 24\nmodel : 0\n", true, CPU_AMD, 24, 0},
    {"vendor_id : GenuineIntelX\ncpu family : 6\nmodel : 1\n", true, CPU_OTHER, 6, 1},
    {"vendor_id : GenuineIntel\ncpu family : 6\n", false, CPU_INTEL, 0, 0},
    {"vendor_id : GenuineIntel\ncpu family : six\nmodel : 1\n", false, CPU_INTEL, 0, 0},
    {"processor : 0\nCPU implementer : 0x41\n", false, CPU_OTHER, 0, 0},
    {"vendor_id", false, CPU_OTHER, 0, 0},
    {"vendor_id :", false, CPU_OTHER, 0, 0},
    {"", false, CPU_OTHER, 0, 0},
};

START_TEST(model)
{
	struct cpu_model got;
	bool known = cpus_parse_model(models[_i].cpuinfo, &got);

	ck_assert_msg(known == models[_i].known, "%s", models[_i].cpuinfo);
	ck_assert_int_eq(got.vendor, models[_i].vendor);
	if (known) {
		ck_assert_uint_eq(got.family, models[_i].family);
		ck_assert_uint_eq(got.model, models[_i].model);
	}
}
END_TEST

static const struct {
	bool (*same)(const struct cpu_place *left, const struct cpu_place *right);
	size_t count;
	unsigned cpus[6];
} kept[] = {
    {cpus_same_core, 5, {2, 4, 0, 5, 1}},
    {cpus_same_die, 3, {2, 0, 1}},
    {cpus_same_package, 2, {2, 1}},
};

START_TEST(first_of_each)
{
	/* Package 3 has two dies; CPUs 0 and 3 are threads of one core. */
	struct cpu_place places[] = {
	    {.cpu = 5, .package = 3, .die = 1, .core = 7}, {.cpu = 3, .package = 3, .die = 1, .core = 6},
	    {.cpu = 0, .package = 3, .die = 1, .core = 6}, {.cpu = 4, .package = 3, .die = 0, .core = 6},
	    {.cpu = 2, .package = 3, .die = 0, .core = 0}, {.cpu = 1, .package = 9, .die = 0, .core = 0},
	};

	ck_assert_uint_eq(cpus_keep_first(places, COUNT(places), kept[_i].same), kept[_i].count);
	for (size_t i = 0; i < kept[_i].count; i++)
		ck_assert_uint_eq(places[i].cpu, kept[_i].cpus[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cpus");
	TCase *all = tcase_create("cpus");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(all, list, 0, COUNT(lists));
	tcase_add_loop_test(all, model, 0, COUNT(models));
	tcase_add_loop_test(all, first_of_each, 0, COUNT(kept));
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
