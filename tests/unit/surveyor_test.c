/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Surveys of the memory of groups' processes: whose turn it is, within which budget, and what is said of what
 * can't be read. The thread runs for real, over trees.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/clock.h"
#include "../../common/surveyor.h"
#include "tree.h"

#define WEB    "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"
#define DB     "aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999"
#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

/* A kernel gives numbers up to 4194304. */
#define FIRST_PID 5000000

/* ---- The budget -------------------------------------------------------------------------------- */

START_TEST(work_is_followed_by_rest)
{
	struct pace pace = {.share = 0.01};

	pace_work(&pace, 100 * MS, 2 * MS);
	ck_assert_uint_eq(pace.free_ns, 98 * MS + 200 * MS);
	ck_assert_msg(pace.cpu_ns == 2 * MS, "what was used is accounted");
	pace_work(&pace, 100 * MS, 3 * MS);
	ck_assert_msg(pace.free_ns == 98 * MS + 300 * MS, "work before the end of the rest adds to it");
}
END_TEST

START_TEST(rest_gives_no_credit)
{
	struct pace pace = {.share = 0.5};

	pace_work(&pace, 100 * MS, 2 * MS);
	pace_work(&pace, 1000 * SECOND, 12 * MS);
	ck_assert_uint_eq(pace.free_ns, 1000 * SECOND - 10 * MS + 20 * MS);
}
END_TEST

START_TEST(all_of_a_cpu_needs_no_rest)
{
	struct pace pace = {.share = 1};

	for (uint64_t now = SECOND; now < 2 * SECOND; now += 10 * MS) {
		pace_work(&pace, now, now - SECOND + 10 * MS);
		ck_assert_uint_le(pace.free_ns, now);
	}
}
END_TEST

/* ---- A host ------------------------------------------------------------------------------------ */

static struct tree tree;
static struct deepmon_options options;
static struct hierarchy hierarchy;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct told told;
static struct surveyor surveyor;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned warnings, recoveries;
static char last_warning[1024];

static void keep_line(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user;
	if (level == DEEPMON_RECOVERED) {
		__atomic_add_fetch(&recoveries, 1, __ATOMIC_RELAXED);
		return;
	}
	warnings++;
	snprintf(last_warning, sizeof(last_warning), "%s", line);
}
static const struct deepmon_logger logger = {.log = keep_line};

static void set_up(void)
{
	char path[128];

	ck_assert_int_eq(tree_open(&tree), 0);
	ck_assert_int_eq(tree_make_directory(&tree, "cgroup/docker"), 0);
	ck_assert_int_eq(tree_make_directory(&tree, "proc/net"), 0);
	snprintf(path, sizeof(path), "%s/cgroup", tree.root);
	hierarchy.root_fd = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(hierarchy.root_fd, 0);
	deepmon_options_init(&options);
	snprintf(options.proc_root, sizeof(options.proc_root), "%s/proc", tree.root);
	strcpy(options.docker_root, "/nowhere");
	options.proportional_memory_interval = 0.1;
	options.proportional_memory_budget = 100;
	names_init(&names, &options);
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, &hierarchy, &names, &groups, 2000);
	cgroups.keeps_paths = true;
	ck_assert_int_eq(told_open(&told, &options), 0);
	warnings = recoveries = 0;
}

static void tear_down(void)
{
	surveyor_stop(&surveyor);
	told_close(&told);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	close(hierarchy.root_fd);
	tree_close(&tree);
}

static void start(void)
{
	ck_assert_int_eq(surveyor_start(&surveyor, &options, &cgroups, &told, &lock, &logger), 0);
}

static void make_process(unsigned pid, unsigned long kb)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "proc/%u/smaps_rollup", pid);
	snprintf(text, sizeof(text), "Rss: %lu kB\nPss: %lu kB\nPrivate_Clean: 0 kB\nPrivate_Dirty: %lu kB\n",
		 kb, kb / 2, kb / 4);
	ck_assert_int_eq(tree_write(&tree, path, text), 0);
}

/* A cgroup with one process, which has so many KiB and the cgroup's number. */
static struct cgroup *make(unsigned id, const char *path, unsigned long kb)
{
	char file[256], text[16];
	struct cgroup *cgroup;

	snprintf(file, sizeof(file), "cgroup%s/cgroup.procs", path[1] ? path : "");
	snprintf(text, sizeof(text), "%u\n", FIRST_PID + id);
	make_process(FIRST_PID + id, kb);
	ck_assert_int_eq(tree_write(&tree, file, text), 0);
	pthread_mutex_lock(&lock);
	cgroup = cgroups_add(&cgroups, id, path);
	pthread_mutex_unlock(&lock);
	ck_assert(cgroup);
	return cgroup;
}

/* What is known of the group of a cgroup. */
static struct resident look(const struct cgroup *cgroup)
{
	pthread_mutex_lock(&lock);

	struct resident resident = cgroup->group->resident;

	pthread_mutex_unlock(&lock);
	return resident;
}

/* Waits until its RSS is that many KiB. */
static struct resident await(const struct cgroup *cgroup, unsigned long kb)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + 20 * SECOND;
	struct resident resident;

	do {
		resident = look(cgroup);
		if (resident.processes && resident.sum.rss_bytes == kb * 1024)
			return resident;
		usleep(2000);
	} while (clock_ns(CLOCK_MONOTONIC) < end);
	ck_abort_msg("%s: %u processes with %lu bytes", cgroup->path, resident.processes,
		     resident.sum.rss_bytes);
	return resident;
}

/* Until all have been read once more, each by the one thread in turn. */
static void await_round(const struct cgroup *cgroup)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + 20 * SECOND, now = clock_ns(CLOCK_MONOTONIC);

	for (int round = 0; round < 2; round++, now = clock_ns(CLOCK_MONOTONIC))
		while (look(cgroup).read_ns < now) {
			ck_assert_uint_lt(clock_ns(CLOCK_MONOTONIC), end);
			usleep(2000);
		}
}

/* ---- Whose turn it is -------------------------------------------------------------------------- */

START_TEST(figures_come_and_are_renewed)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8), *unit = make(2, "/system.slice/nginx.service", 16);
	uint64_t before = clock_ns(CLOCK_MONOTONIC), changed;
	struct resident resident;

	start();
	resident = await(web, 8);
	ck_assert_uint_eq(resident.sum.pss_bytes, 4096);
	ck_assert_uint_eq(resident.sum.uss_bytes, 2048);
	ck_assert_uint_eq(resident.processes, 1);
	ck_assert_uint_ge(resident.read_ns, before);
	await(unit, 16);
	make_process(FIRST_PID + 1, 32);
	changed = clock_ns(CLOCK_MONOTONIC);
	await_round(web);
	resident = look(web);
	ck_assert_uint_ge(resident.read_ns, changed);
	ck_assert_msg(resident.sum.rss_bytes == 32768, "what was read from then on is new");
	ck_assert_uint_le(resident.read_ns, clock_ns(CLOCK_MONOTONIC));
	ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(who_comes_later_has_a_turn)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8), *db;

	start();
	await(web, 8);
	db = make(2, "/docker/" DB, 16);
	await(db, 16);
}
END_TEST

START_TEST(a_slice_that_holds_others_and_the_root_have_none)
{
	struct cgroup *root = make(1, "/", 8), *slice = make(2, "/system.slice", 16);
	struct cgroup *unit = make(3, "/system.slice/nginx.service", 32);

	start();
	await(unit, 32);
	await_round(unit);
	ck_assert_uint_eq(look(root).read_ns, 0);
	ck_assert_uint_eq(look(slice).read_ns, 0);
}
END_TEST

START_TEST(cgroups_of_one_name_are_summed)
{
	struct cgroup *one = make(1, "/user.slice/user-1.slice/app.scope", 8);
	struct cgroup *two = make(2, "/user.slice/user-2.slice/app.scope", 16);
	struct cgroup *between = make(3, "/user.slice/user-2.slice/other.scope", 32);

	start();
	await(two, 24);
	ck_assert_uint_eq(look(one).processes, 2);
	await(between, 32);
}
END_TEST

START_TEST(who_is_not_told_is_not_read)
{
	char why[128];
	struct cgroup *web = make(1, "/docker/" WEB, 8), *db = make(2, "/docker/" DB, 16);
	struct cgroup *unit = make(3, "/system.slice/nginx.service", 32);

	told_close(&told);
	ck_assert_int_eq(deepmon_options_set(&options, "Container", "/^4f1c/", why, sizeof(why)), 0);
	options.report_system = false;
	ck_assert_int_eq(told_open(&told, &options), 0);
	start();
	await(web, 8);
	await_round(web);
	ck_assert_uint_eq(look(db).read_ns, 0);
	ck_assert_uint_eq(look(unit).read_ns, 0);
}
END_TEST

START_TEST(who_has_ended_has_none)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8), *db = make(2, "/docker/" DB, 16);
	struct group *group = web->group;

	start();
	await(web, 8);
	pthread_mutex_lock(&lock);
	cgroups_remove(&cgroups, 1, 1);
	cgroups.removed = NULL;
	cgroups_forget(&cgroups, web);
	pthread_mutex_unlock(&lock);
	await(db, 16);
	await_round(db);
	ck_assert_uint_eq(group->resident.processes, 0);
	ck_assert_msg(group->resident.read_ns == 0, "it may come back under its name");
}
END_TEST

/* ---- How much, and when ------------------------------------------------------------------------ */

/* A thousand processes in a hundred groups. */
static void make_many(struct cgroup **all)
{
	for (unsigned i = 0; i < 100; i++) {
		char path[64], file[128], text[256] = "";

		snprintf(path, sizeof(path), "/unit%u.service", i);
		all[i] = make(i * 10 + 1, path, 8);
		for (unsigned pid = i * 10 + 1; pid <= i * 10 + 10; pid++) {
			make_process(FIRST_PID + pid, 8);
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u\n", FIRST_PID + pid);
		}
		snprintf(file, sizeof(file), "cgroup%s/cgroup.procs", path);
		ck_assert_int_eq(tree_write(&tree, file, text), 0);
	}
}

/* CPU time by the kernel's own count, so it is right however busy the host is. */
START_TEST(the_budget_is_kept)
{
	struct cgroup *all[100];
	uint64_t began, used, last = 0, oldest = UINT64_MAX;
	unsigned known = 0;

	make_many(all);
	options.proportional_memory_budget = 0.5;
	began = clock_ns(CLOCK_MONOTONIC);
	start();
	for (int i = 0; i < 150; i++) {
		usleep(10000);
		ck_assert(surveyor_cpu_time(&surveyor, &used));

		uint64_t most = (clock_ns(CLOCK_MONOTONIC) - began + 20 * MS) / 200;

		/* What may be on top is the work from one rest to the next: some processes, or the first
		 * look. */
		ck_assert_msg(used <= most + 2 * MS, "%lu ns were used of %lu", used, most);
		ck_assert_uint_ge(used, last);
		last = used;
	}
	ck_assert_msg(last > 0, "it did nothing");
	for (unsigned i = 0; i < 100; i++) {
		struct resident resident = look(all[i]);

		known += resident.processes == 10;
		if (resident.read_ns && resident.read_ns < oldest)
			oldest = resident.read_ns;
	}
	ck_assert_msg(known > 0, "nobody had a turn");
	if (known < 100)
		ck_assert_msg(oldest < clock_ns(CLOCK_MONOTONIC) - 100 * MS,
			      "those that were read early are older than the interval");
}
END_TEST

/* What is known already is spread over the interval: not all of it is read at once again. */
START_TEST(turns_are_spread)
{
	struct cgroup *all[100];
	uint64_t first = UINT64_MAX, last = 0;

	make_many(all);
	options.proportional_memory_interval = 1;
	start();
	for (unsigned i = 0; i < 100; i++)
		await(all[i], 80);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t before = look(all[i]).read_ns, now, end = clock_ns(CLOCK_MONOTONIC) + 20 * SECOND;

		while ((now = look(all[i]).read_ns) == before) {
			ck_assert_uint_lt(clock_ns(CLOCK_MONOTONIC), end);
			usleep(1000);
		}
		first = now < first ? now : first;
		last = now > last ? now : last;
	}
	/* By steps of a hundredth; a late one makes that longer, never shorter. */
	ck_assert_msg(last - first >= 800 * MS, "all within %lu ms", (last - first) / MS);
}
END_TEST

START_TEST(it_stops_while_it_rests)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8);
	uint64_t used, before;

	options.proportional_memory_interval = 86400;
	options.proportional_memory_budget = 0.01;
	start();
	await(web, 8);
	before = clock_ns(CLOCK_MONOTONIC);
	surveyor_stop(&surveyor);
	ck_assert_msg(clock_ns(CLOCK_MONOTONIC) - before < 10 * SECOND, "it did not wait for its next turn");
	ck_assert_msg(!surveyor_cpu_time(&surveyor, &used), "it does not run");
	surveyor_stop(&surveyor);
}
END_TEST

/* ---- What can't be read ------------------------------------------------------------------------ */

START_TEST(what_a_kernel_lacks_is_said_once)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8), *db = make(2, "/docker/" DB, 16);
	struct cgroup *unit = make(3, "/nginx.service", 32);

	ck_assert_int_eq(tree_write(&tree, "proc/5000001/stat", "5000001 (web) S\n"), 0);
	ck_assert_int_eq(tree_write(&tree, "proc/5000002/stat", "5000002 (db) S\n"), 0);
	ck_assert_int_eq(tree_remove(&tree, "proc/5000001/smaps_rollup"), 0);
	ck_assert_int_eq(tree_remove(&tree, "proc/5000002/smaps_rollup"), 0);
	start();
	await(unit, 32);
	await_round(unit);
	ck_assert_uint_eq(look(web).processes, 0);
	ck_assert_uint_eq(look(db).processes, 0);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_msg(strstr(last_warning, "CONFIG_PROC_PAGE_MONITOR"), "%s", last_warning);
	make_process(FIRST_PID + 1, 8);
	await(web, 8);
}
END_TEST

/* One that could be read and can't any more has no figures, not old ones. */
START_TEST(what_can_be_read_no_longer_is_absent)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8);
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + 20 * SECOND;

	start();
	await(web, 8);
	ck_assert_int_eq(tree_write(&tree, "proc/5000001/smaps_rollup", "Rss: many kB\n"), 0);
	while (look(web).processes) {
		ck_assert_uint_lt(clock_ns(CLOCK_MONOTONIC), end);
		usleep(2000);
	}
	await_round(web);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_msg(strstr(last_warning, "Invalid argument"), "%s", last_warning);
	ck_assert_uint_eq(recoveries, 0);
}
END_TEST

START_TEST(what_can_be_read_again_is_said_once_for_all)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8), *db = make(2, "/docker/" DB, 16);
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + 20 * SECOND;

	ck_assert_int_eq(tree_write(&tree, "proc/5000001/smaps_rollup", "Rss: many kB\n"), 0);
	ck_assert_int_eq(tree_write(&tree, "proc/5000002/smaps_rollup", "Rss: many kB\n"), 0);
	start();
	await_round(db);
	ck_assert_uint_eq(warnings, 1);
	make_process(FIRST_PID + 1, 8);
	await(web, 8);
	await_round(web);
	ck_assert_msg(!recoveries, "one of two can't be read still");
	make_process(FIRST_PID + 2, 16);
	while (!__atomic_load_n(&recoveries, __ATOMIC_RELAXED)) {
		ck_assert_uint_lt(clock_ns(CLOCK_MONOTONIC), end);
		usleep(2000);
	}
	await_round(db);
	ck_assert_uint_eq(recoveries, 1);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_int_eq(tree_write(&tree, "proc/5000002/smaps_rollup", "Rss: many kB\n"), 0);
	await_round(db);
	await_round(db);
	ck_assert_msg(warnings == 2, "what fails anew is said anew");
}
END_TEST

START_TEST(a_process_of_another_namespace_is_said_once)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8), *unit = make(2, "/nginx.service", 32);

	ck_assert_int_eq(tree_write(&tree, "cgroup/docker/" WEB "/cgroup.procs", "0\n5000001\n"), 0);
	start();
	await(unit, 32);
	await_round(unit);
	ck_assert_uint_eq(look(web).processes, 0);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_msg(strstr(last_warning, "hostPID"), "%s", last_warning);
}
END_TEST

/* The numbers in cgroup.procs are ours; in a /proc of another namespace they are others'. */
START_TEST(a_proc_of_another_namespace_is_not_read)
{
	uint64_t used;

	ck_assert_int_eq(tree_link(&tree, "proc/self", "5000009"), 0);
	ck_assert_int_eq(surveyor_start(&surveyor, &options, &cgroups, &told, &lock, &logger), -EXDEV);
	ck_assert(!surveyor_cpu_time(&surveyor, &used));
	ck_assert_uint_eq(warnings, 1);
	ck_assert_msg(strstr(last_warning, "hostPID"), "%s", last_warning);
}
END_TEST

START_TEST(a_proc_of_our_own_is_read)
{
	struct cgroup *web = make(1, "/docker/" WEB, 8);
	char self[16];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	ck_assert_int_eq(tree_link(&tree, "proc/self", self), 0);
	start();
	await(web, 8);
}
END_TEST

START_TEST(no_proc_at_all)
{
	strcpy(options.proc_root, "/nowhere/proc");
	ck_assert_int_eq(surveyor_start(&surveyor, &options, &cgroups, &told, &lock, &logger), -ENOENT);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_msg(strstr(last_warning, "/nowhere/proc"), "%s", last_warning);
}
END_TEST

START_TEST(it_is_off_by_default)
{
	char why[128];

	ck_assert(!surveyor_is_wanted(&options));
	ck_assert_int_eq(deepmon_options_set(&options, "proportional-memory", "on", why, sizeof(why)), 0);
	ck_assert(surveyor_is_wanted(&options));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("surveyor");
	TCase *pace = tcase_create("pace"), *tcase = tcase_create("surveys");

	tcase_add_test(pace, work_is_followed_by_rest);
	tcase_add_test(pace, rest_gives_no_credit);
	tcase_add_test(pace, all_of_a_cpu_needs_no_rest);
	suite_add_tcase(suite, pace);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, figures_come_and_are_renewed);
	tcase_add_test(tcase, who_comes_later_has_a_turn);
	tcase_add_test(tcase, a_slice_that_holds_others_and_the_root_have_none);
	tcase_add_test(tcase, cgroups_of_one_name_are_summed);
	tcase_add_test(tcase, who_is_not_told_is_not_read);
	tcase_add_test(tcase, who_has_ended_has_none);
	tcase_add_test(tcase, the_budget_is_kept);
	tcase_add_test(tcase, turns_are_spread);
	tcase_add_test(tcase, it_stops_while_it_rests);
	tcase_add_test(tcase, what_a_kernel_lacks_is_said_once);
	tcase_add_test(tcase, what_can_be_read_no_longer_is_absent);
	tcase_add_test(tcase, what_can_be_read_again_is_said_once_for_all);
	tcase_add_test(tcase, a_process_of_another_namespace_is_said_once);
	tcase_add_test(tcase, a_proc_of_another_namespace_is_not_read);
	tcase_add_test(tcase, a_proc_of_our_own_is_read);
	tcase_add_test(tcase, no_proc_at_all);
	tcase_add_test(tcase, it_is_off_by_default);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
