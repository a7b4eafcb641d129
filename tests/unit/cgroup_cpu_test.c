/* SPDX-License-Identifier: GPL-3.0-only
 *
 * CPU time by cgroups' files: what is each one's own, and that nothing of the CPUs' time is lost or twice
 * there.
 */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/cgroup_cpu.h"
#include "../../common/file.h"
#include "tree.h"

#define CPUS 2

static struct tree tree;
static struct hierarchy hierarchy;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct cgroup_cpu *cgroup_cpu;
static unsigned warnings;
static uint64_t now_ns, all_ns, given_ns;

static void count_line(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user, (void)level, (void)line;
	warnings++;
}
static const struct deepmon_logger logger = {.log = count_line};

/* The usage of a cgroup, with all in it. */
static void say(const char *path, uint64_t usage_ns)
{
	char file[256], text[128];

	if (hierarchy.id) {
		snprintf(file, sizeof(file), "%s/cpuacct.usage", path + 1);
		snprintf(text, sizeof(text), "%" PRIu64 "\n", usage_ns);
	} else {
		snprintf(file, sizeof(file), "%s/cpu.stat", path + 1);
		snprintf(text, sizeof(text), "usage_usec %" PRIu64 "\nuser_usec 1\nsystem_usec 1\n",
			 usage_ns / 1000);
	}
	ck_assert_int_eq(tree_write(&tree, *file == '/' ? file + 1 : file, text), 0);
}

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	hierarchy = (struct hierarchy){
	    .controller = "cpuacct", .id = 4, .root_fd = open(tree.root, O_PATH | O_CLOEXEC)};
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, &hierarchy, &names, &groups, 100);
	cgroups.keeps_paths = true;
	warnings = 0;
	now_ns = 1000000000000;
	all_ns = given_ns = 0;
}

static void tear_down(void)
{
	cgroup_cpu_close(cgroup_cpu);
	cgroup_cpu = NULL;
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	file_close(&hierarchy.root_fd);
	tree_close(&tree);
}

/* What the cgroup with that id used itself; UINT64_MAX: it was not read. */
static uint64_t own_of(uint64_t id, const struct cgroup_cpu_use *uses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (uses[i].cgroup->id == id)
			return uses[i].ns;
	return UINT64_MAX;
}

struct round {
	const struct cgroup_cpu_use *uses;
	size_t count;
	uint64_t idle_ns;
};

static struct round read_after(uint64_t elapsed_ns)
{
	struct round round;

	now_ns += elapsed_ns;
	round.idle_ns = cgroup_cpu_read(cgroup_cpu, &cgroups, now_ns, CPUS, &round.uses, &round.count);
	given_ns += round.idle_ns;
	for (size_t i = 0; i < round.count; i++)
		given_ns += round.uses[i].ns;
	return round;
}

static void begin(void)
{
	struct round round;

	ck_assert_int_eq(cgroup_cpu_open(&cgroup_cpu, &hierarchy, &logger), 0);
	round = read_after(0);
	ck_assert_uint_eq(round.idle_ns, 0);
	for (size_t i = 0; i < round.count; i++)
		ck_assert_uint_eq(round.uses[i].ns, 0);
}

/* The root, a slice and two services in it. */
static void make_host(void)
{
	say("/", 50000000);
	say("/a.slice", 30000000);
	say("/a.slice/b.service", 20000000);
	say("/a.slice/c.service", 5000000);
	cgroups_add(&cgroups, 1, "/");
	cgroups_add(&cgroups, 2, "/a.slice");
	cgroups_add(&cgroups, 3, "/a.slice/b.service");
	cgroups_add(&cgroups, 4, "/a.slice/c.service");
	begin();
}

START_TEST(each_has_its_own_and_the_whole_is_all_time)
{
	struct round round;

	if (_i)
		hierarchy.id = 0;
	make_host();
	say("/", 50000000 + 900000);
	say("/a.slice", 30000000 + 600000);
	say("/a.slice/b.service", 20000000 + 400000);
	say("/a.slice/c.service", 5000000 + 150000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(1, round.uses, round.count), 300000);
	ck_assert_uint_eq(own_of(2, round.uses, round.count), 50000);
	ck_assert_uint_eq(own_of(3, round.uses, round.count), 400000);
	ck_assert_uint_eq(own_of(4, round.uses, round.count), 150000);
	ck_assert_uint_eq(round.idle_ns, 1100000);
	ck_assert_uint_eq(given_ns, CPUS * 1000000);
	ck_assert_uint_eq(warnings, 0);
}
END_TEST

/* Its file was read later than that of the slice: the slice makes up for it in the next round. */
START_TEST(one_that_is_ahead_is_made_good)
{
	struct round round;

	make_host();
	say("/", 50000000 + 300000);
	say("/a.slice", 30000000 + 300000);
	say("/a.slice/b.service", 20000000 + 310000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(2, round.uses, round.count), 0);
	ck_assert_uint_eq(own_of(3, round.uses, round.count), 310000);
	ck_assert_uint_eq(given_ns, CPUS * 1000000);
	say("/", 50000000 + 600000);
	say("/a.slice", 30000000 + 600000);
	say("/a.slice/b.service", 20000000 + 590000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(2, round.uses, round.count), 10000);
	ck_assert_uint_eq(given_ns, 2 * CPUS * 1000000);
}
END_TEST

/* The root of v2 is counted by ticks, which may miss what the scheduler's clock sees. */
START_TEST(a_root_that_lags_makes_no_time)
{
	struct round round;

	make_host();
	say("/", 50000000 + 100000);
	say("/a.slice", 30000000 + 600000);
	say("/a.slice/b.service", 20000000 + 600000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(1, round.uses, round.count), 0);
	ck_assert_uint_eq(own_of(3, round.uses, round.count), 600000);
	ck_assert_uint_eq(round.idle_ns, CPUS * 1000000 - 600000);
	ck_assert_uint_eq(given_ns, CPUS * 1000000);
}
END_TEST

/* What it did last is in the slice's own time, and in nobody's twice. */
START_TEST(one_that_ends_leaves_its_last_time_to_the_one_above)
{
	struct round round;

	make_host();
	ck_assert_int_eq(tree_remove(&tree, "a.slice/b.service"), 0);
	say("/", 50000000 + 500000);
	say("/a.slice", 30000000 + 500000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(3, round.uses, round.count), UINT64_MAX);
	ck_assert_uint_eq(own_of(2, round.uses, round.count), 500000);
	cgroups_remove(&cgroups, 3, now_ns);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(2, round.uses, round.count), 0);
	ck_assert_uint_eq(given_ns, 2 * CPUS * 1000000);
}
END_TEST

START_TEST(one_that_came_since_has_all_of_its_time)
{
	struct round round;

	make_host();
	cgroups_add(&cgroups, 5, "/a.slice/d.service");
	say("/a.slice/d.service", 250000);
	say("/a.slice", 30000000 + 260000);
	say("/", 50000000 + 300000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(5, round.uses, round.count), 250000);
	ck_assert_uint_eq(own_of(2, round.uses, round.count), 10000);
	ck_assert_uint_eq(own_of(1, round.uses, round.count), 40000);
	ck_assert_uint_eq(given_ns, CPUS * 1000000);
}
END_TEST

/* There was no room for it before: what it used then was charged to the one above. */
START_TEST(one_that_is_known_late_has_no_more_than_the_interval)
{
	struct round round;

	make_host();
	cgroups_add(&cgroups, 5, "/a.slice/d.service");
	say("/a.slice/d.service", 25000000);
	say("/a.slice", 30000000 + 260000);
	say("/", 50000000 + 300000);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(5, round.uses, round.count), 260000);
	ck_assert_uint_eq(given_ns, CPUS * 1000000);
}
END_TEST

/* Written to 0 by root (v1), or read as nonsense. */
START_TEST(one_that_goes_back_or_says_nothing_gives_nothing)
{
	struct round round;

	make_host();
	say("/a.slice/b.service", 0);
	ck_assert_int_eq(tree_write(&tree, "a.slice/c.service/cpuacct.usage", "x\n"), 0);
	round = read_after(1000000);
	ck_assert_uint_eq(own_of(3, round.uses, round.count), 0);
	ck_assert_uint_eq(own_of(4, round.uses, round.count), UINT64_MAX);
	ck_assert_uint_eq(round.idle_ns, CPUS * 1000000);
}
END_TEST

START_TEST(a_hierarchy_without_such_files_is_refused)
{
	cgroups_add(&cgroups, 1, "/");
	ck_assert_int_eq(cgroup_cpu_open(&cgroup_cpu, &hierarchy, &logger), -ENOENT);
	ck_assert_ptr_null(cgroup_cpu);
	ck_assert_uint_eq(warnings, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgroup_cpu");
	TCase *reading = tcase_create("reading");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(reading, set_up, tear_down);
	tcase_add_loop_test(reading, each_has_its_own_and_the_whole_is_all_time, 0, 2);
	tcase_add_test(reading, one_that_is_ahead_is_made_good);
	tcase_add_test(reading, a_root_that_lags_makes_no_time);
	tcase_add_test(reading, one_that_ends_leaves_its_last_time_to_the_one_above);
	tcase_add_test(reading, one_that_came_since_has_all_of_its_time);
	tcase_add_test(reading, one_that_is_known_late_has_no_more_than_the_interval);
	tcase_add_test(reading, one_that_goes_back_or_says_nothing_gives_nothing);
	tcase_add_test(reading, a_hierarchy_without_such_files_is_refused);
	suite_add_tcase(suite, reading);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
