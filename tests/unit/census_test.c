/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory the processes of cgroups map: who is counted, and what happens when some can't be.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/census.h"
#include "tree.h"

#define KB 1024ull

static struct tree tree;
static struct hierarchy hierarchy;
static struct census census;
static struct resident resident;
static unsigned pauses;

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	ck_assert_int_eq(tree_make_directory(&tree, "cgroup/web"), 0);
	ck_assert_int_eq(tree_make_directory(&tree, "proc/net"), 0);

	int root = open(tree.root, O_PATH | O_DIRECTORY);

	hierarchy.root_fd = openat(root, "cgroup", O_RDONLY | O_DIRECTORY);
	census = (struct census){.hierarchy = &hierarchy, .proc_fd = openat(root, "proc", O_PATH)};
	close(root);
	ck_assert_int_ge(hierarchy.root_fd, 0);
	ck_assert_int_ge(census.proc_fd, 0);
	resident = (struct resident){.read_ns = 7};
	pauses = 0;
}

static void tear_down(void)
{
	close(hierarchy.root_fd);
	close(census.proc_fd);
	tree_close(&tree);
}

static void say(const char *path, const char *text)
{
	ck_assert_int_eq(tree_write(&tree, path, text), 0);
}

/* A process with so many KiB, of which it shares a half with one other. No kernel gives such numbers. */
static void make_process(unsigned pid, unsigned long kb)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "proc/%u/smaps_rollup", pid);
	snprintf(text, sizeof(text), "Rss: %lu kB\nPss: %lu kB\nPrivate_Clean: 0 kB\nPrivate_Dirty: %lu kB\n",
		 kb, kb * 3 / 4, kb / 2);
	say(path, text);
}

static int take(const char *path)
{
	return census_take(&census, &path, 1, &resident);
}

#define ck_assert_resident(count, kb) \
	do { \
		ck_assert_uint_eq(resident.processes, count); \
		ck_assert_uint_eq(resident.sum.rss_bytes, (kb)*KB); \
		ck_assert_uint_eq(resident.sum.pss_bytes, (kb)*KB * 3 / 4); \
		ck_assert_uint_eq(resident.sum.uss_bytes, (kb)*KB / 2); \
		ck_assert_uint_eq(resident.read_ns, 7); \
	} while (0)

/* ---- Who is counted ---------------------------------------------------------------------------- */

START_TEST(all_of_a_cgroup_and_what_is_nested)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n");
	say("cgroup/web/init/cgroup.procs", "5000003\n");
	say("cgroup/web/init/deeper/cgroup.procs", "5000004\n");
	say("cgroup/web-too/cgroup.procs", "5000005\n");
	for (unsigned i = 1; i <= 5; i++)
		make_process(5000000 + i, 8ul << i);
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(4, 16 + 32 + 64 + 128);
	ck_assert_int_eq(take("/"), 0);
	ck_assert_resident(5, 16 + 32 + 64 + 128 + 256);
}
END_TEST

START_TEST(of_several_cgroups)
{
	const char *paths[] = {"/web", "/gone", "/db"};

	say("cgroup/web/cgroup.procs", "5000001\n");
	say("cgroup/db/cgroup.procs", "5000002\n");
	make_process(5000001, 8);
	make_process(5000002, 16);
	ck_assert_int_eq(census_take(&census, paths, 3, &resident), 0);
	ck_assert_resident(2, 24);
}
END_TEST

/* In v1 its threads may be in several. */
START_TEST(a_process_counts_once)
{
	say("cgroup/web/cgroup.procs", "5000002\n5000001\n5000002\n");
	say("cgroup/web/init/cgroup.procs", "5000001\n");
	make_process(5000001, 8);
	make_process(5000002, 16);
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(2, 24);
}
END_TEST

START_TEST(nobody)
{
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(0, 0);
	ck_assert_int_eq(take("/gone"), 0);
	ck_assert_resident(0, 0);
	say("cgroup/web/cgroup.procs", "");
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(0, 0);
}
END_TEST

/* ---- Who goes meanwhile ------------------------------------------------------------------------ */

START_TEST(who_has_ended_is_not_in_it)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n5000003\n");
	make_process(5000001, 8);
	say("proc/5000002/smaps_rollup", "");
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(1, 8);
}
END_TEST

static bool end_the_next(void *user)
{
	(void)user;
	if (pauses++ == 0)
		ck_assert_int_eq(tree_remove(&tree, "proc/5000002"), 0);
	return true;
}

START_TEST(who_ends_midway_is_not_in_it)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n5000003\n");
	for (unsigned i = 1; i <= 3; i++)
		make_process(5000000 + i, 8);
	census.pause = end_the_next;
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(2, 16);
	ck_assert_uint_eq(pauses, 3);
}
END_TEST

static bool stop_at_the_second(void *user)
{
	(void)user;
	return ++pauses < 2;
}

START_TEST(enough)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n5000003\n");
	for (unsigned i = 1; i <= 3; i++)
		make_process(5000000 + i, 8);
	census.pause = stop_at_the_second;
	ck_assert_int_eq(take("/web"), -ECANCELED);
	ck_assert_uint_eq(resident.processes, 0);
	ck_assert_uint_eq(pauses, 2);
}
END_TEST

/* ---- What can't be read: a part of the sum is no sum ------------------------------------------- */

static void expect_none(int r)
{
	make_process(5000001, 8);
	ck_assert_int_eq(take("/web"), r);
	ck_assert_uint_eq(resident.processes, 0);
}

START_TEST(one_whose_file_is_missing)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n");
	say("proc/5000002/stat", "5000002 (web) S\n");
	expect_none(-ENOSYS);
}
END_TEST

START_TEST(one_that_makes_no_sense)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n");
	say("proc/5000002/smaps_rollup", "Rss: many\n");
	expect_none(-EINVAL);
}
END_TEST

START_TEST(one_of_another_namespace)
{
	say("cgroup/web/cgroup.procs", "5000001\n0\n");
	expect_none(-EXDEV);
}
END_TEST

START_TEST(one_of_another_namespace_that_is_nested)
{
	say("cgroup/web/cgroup.procs", "5000001\n");
	say("cgroup/web/init/cgroup.procs", "0\n");
	expect_none(-EXDEV);
}
END_TEST

static const char *const strange[] = {
    "web\n", "-1\n", "5000001\n\n5000001\n", "4294967297\n", "99999999999999999999\n", "5000001 x\n"};

START_TEST(a_list_that_makes_no_sense)
{
	say("cgroup/web/cgroup.procs", strange[_i]);
	expect_none(-EINVAL);
}
END_TEST

START_TEST(a_sum_that_is_too_large)
{
	say("cgroup/web/cgroup.procs", "5000001\n5000002\n");
	make_process(5000002, UINT64_MAX / KB - 4);
	expect_none(-EOVERFLOW);
}
END_TEST

/* The limit is the file's size. */
START_TEST(a_cgroup_of_a_million_bytes)
{
	static char text[(1 << 20) + 9];

	for (size_t at = 0; at < 1 << 20; at += 8)
		memcpy(text + at, "5000001\n", 8);
	say("cgroup/web/cgroup.procs", text);
	make_process(5000001, 8);
	ck_assert_int_eq(take("/web"), 0);
	ck_assert_resident(1, 8);
	memcpy(text + (1 << 20), "5000001\n", 8);
	say("cgroup/web/cgroup.procs", text);
	expect_none(-EFBIG);
}
END_TEST

/* ---- Two that become one ------------------------------------------------------------------------ */

START_TEST(sums_of_two)
{
	struct resident one = {.sum = {1, 2, 3}, .processes = 4, .read_ns = 20};
	struct resident other = {.sum = {10, 20, 30}, .processes = 40, .read_ns = 10},
			nothing = {.read_ns = 5};

	resident_absorb(&one, &nothing);
	ck_assert_uint_eq(one.processes, 4);
	ck_assert_uint_eq(one.read_ns, 20);
	resident_absorb(&one, &other);
	ck_assert_uint_eq(one.sum.rss_bytes, 11);
	ck_assert_uint_eq(one.sum.pss_bytes, 22);
	ck_assert_uint_eq(one.sum.uss_bytes, 33);
	ck_assert_uint_eq(one.processes, 44);
	ck_assert_uint_eq(one.read_ns, 10);
	resident_absorb(&nothing, &one);
	ck_assert_uint_eq(nothing.processes, 44);
	other.sum.pss_bytes = UINT64_MAX;
	resident_absorb(&one, &other);
	ck_assert_uint_eq(one.processes, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("census");
	TCase *tcase = tcase_create("census");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, all_of_a_cgroup_and_what_is_nested);
	tcase_add_test(tcase, of_several_cgroups);
	tcase_add_test(tcase, a_process_counts_once);
	tcase_add_test(tcase, nobody);
	tcase_add_test(tcase, who_has_ended_is_not_in_it);
	tcase_add_test(tcase, who_ends_midway_is_not_in_it);
	tcase_add_test(tcase, enough);
	tcase_add_test(tcase, one_whose_file_is_missing);
	tcase_add_test(tcase, one_that_makes_no_sense);
	tcase_add_test(tcase, one_of_another_namespace);
	tcase_add_test(tcase, one_of_another_namespace_that_is_nested);
	tcase_add_loop_test(tcase, a_list_that_makes_no_sense, 0, sizeof(strange) / sizeof(strange[0]));
	tcase_add_test(tcase, a_sum_that_is_too_large);
	tcase_add_test(tcase, a_cgroup_of_a_million_bytes);
	tcase_add_test(tcase, sums_of_two);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
