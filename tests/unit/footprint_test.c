/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What groups use of memory and block devices: which cgroups are read, and that counters go on as cgroups,
 * names and devices come and go.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/cgroups.h"
#include "../../common/footprint.h"
#include "tree.h"

#define WEB "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"
#define DB  "aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999"

#define MEMORY_VALID(field) (1ull << DEEPMON_INDEX_MEMORY_##field)

static struct tree tree;
static struct deepmon_options options;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct footprints footprints;
static unsigned warnings;
static uint64_t now_ns;
static bool cpu_known;

static void count_line(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user, (void)level, (void)line;
	warnings++;
}
static const struct deepmon_logger logger = {.log = count_line};

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	ck_assert_int_eq(tree_write(&tree, "cgroup.controllers", "io memory\n"), 0);
	deepmon_options_init(&options);
	strcpy(options.cgroup_root, tree.root);
	strcpy(options.sys_root, tree.root);
	strcpy(options.docker_root, "/nowhere");
	names_init(&names, &options);
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, NULL, &names, &groups, 100);
	cgroups.keeps_paths = true;
	warnings = 0;
	now_ns = 1000000000000;
	cpu_known = false;
	footprints_open(&footprints, &options, &logger);
}

static void tear_down(void)
{
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	footprints_close(&footprints);
	tree_close(&tree);
}

static void say(const char *path, const char *file, const char *text)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s%s", path + 1, path[1] ? "/" : "", file);
	ck_assert_int_eq(tree_write(&tree, full, text), 0);
}

/* A cgroup that has used so much, and is known. */
static struct cgroup *make(uint64_t id, const char *path, const char *usage, const char *faults)
{
	char stat[64];

	say(path, "memory.current", usage);
	snprintf(stat, sizeof(stat), "pgfault %s\npgmajfault 0\n", faults);
	say(path, "memory.stat", stat);

	struct cgroup *cgroup = cgroups_add(&cgroups, id, path);

	ck_assert(cgroup);
	return cgroup;
}

static void end(struct cgroup *cgroup)
{
	cgroups_remove(&cgroups, cgroup->id, 1);
	ck_assert_ptr_eq(cgroups.removed, cgroup);
	cgroups.removed = NULL;
	cgroups_forget(&cgroups, cgroup);
}

static void read_now(bool first)
{
	footprints_choose(&footprints, &cgroups, now_ns, cpu_known, first);
	footprints_read(&footprints);
	footprints_tell(&footprints, &groups);
}

static void read_all(void)
{
	now_ns += 1000000000;
	read_now(false);
}

static const struct footprint *of(const struct cgroup *cgroup)
{
	ck_assert(cgroup->group->footprint);
	return cgroup->group->footprint;
}

#define ck_assert_usage(cgroup, bytes) \
	do { \
		ck_assert(of(cgroup)->memory_valid &MEMORY_VALID(usage_bytes)); \
		ck_assert_uint_eq(of(cgroup)->memory.usage_bytes, bytes); \
	} while (0)
#define ck_assert_faults(cgroup, count) ck_assert_uint_eq(of(cgroup)->memory.minor_faults, count)

/* ---- Which cgroups are read -------------------------------------------------------------------- */

START_TEST(what_is_nested_is_contained)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "5");

	make(2, "/docker/" WEB "/init", "30", "3");
	make(3, "/docker/" WEB "/init/deeper", "30", "3");
	read_all();
	ck_assert_usage(web, 100);
	ck_assert_faults(web, 5);
}
END_TEST

/* What holds other groups has no figures of its own; with names that sort before '/' in between. */
START_TEST(a_system_group_that_holds_others_is_left_out)
{
	struct cgroup *root = make(1, "/", "1000", "50");
	struct cgroup *slice = make(2, "/system.slice", "100", "5");
	struct cgroup *other = make(3, "/system.slice-too", "7", "7");
	struct cgroup *unit = make(4, "/system.slice/nginx.service", "60", "3");
	struct cgroup *empty = make(5, "/user.slice", "20", "2");

	make(6, "/system.slice/nginx.service/worker", "50", "2");
	read_all();
	ck_assert_ptr_null(root->group->footprint);
	ck_assert_ptr_null(slice->group->footprint);
	ck_assert_usage(unit, 60);
	ck_assert_usage(empty, 20);
	ck_assert_usage(other, 7);
}
END_TEST

START_TEST(the_root_is_the_host)
{
	struct cgroup *root = make(1, "/", "1000", "50");

	read_all();
	ck_assert_ptr_null(root->group->footprint);
}
END_TEST

/* Its limits hold for those too. */
START_TEST(a_container_in_a_container_is_in_both)
{
	struct cgroup *outer = make(1, "/docker/" WEB, "100", "5");
	struct cgroup *inner = make(2, "/docker/" WEB "/docker/" DB, "30", "3");

	read_all();
	ck_assert_ptr_ne(outer->group, inner->group);
	ck_assert_usage(outer, 100);
	ck_assert_usage(inner, 30);
}
END_TEST

START_TEST(cgroups_of_one_name_are_summed)
{
	struct cgroup *one = make(1, "/user.slice/user-1.slice/app.scope", "100", "5");
	struct cgroup *two = make(2, "/user.slice/user-2.slice/app.scope", "30", "3");

	say("/user.slice/user-1.slice/app.scope", "memory.max", "200\n");
	read_all();
	ck_assert_ptr_eq(one->group, two->group);
	ck_assert_usage(one, 130);
	ck_assert_faults(one, 8);
	ck_assert_msg(!(of(one)->memory_valid & MEMORY_VALID(limit_bytes)), "one of them has no limit");
	say("/user.slice/user-2.slice/app.scope", "memory.max", "300\n");
	read_all();
	ck_assert_uint_eq(of(one)->memory.limit_bytes, 500);
}
END_TEST

START_TEST(paths_are_kept_only_where_files_are_read)
{
	cgroups.keeps_paths = false;

	struct cgroup *web = make(1, "/docker/" WEB, "100", "5");

	read_all();
	ck_assert_ptr_null(web->path);
	ck_assert_ptr_null(web->group->footprint);
}
END_TEST

/* ---- Counters ---------------------------------------------------------------------------------- */

START_TEST(counters_begin_when_the_collector_does)
{
	struct cgroup *before = make(1, "/docker/" WEB, "100", "1000"), *after;

	read_now(true);
	after = make(2, "/docker/" DB, "100", "7");
	make(1, "/docker/" WEB, "100", "1004");
	read_all();
	ck_assert_faults(before, 4);
	ck_assert_faults(after, 7);
	read_all();
	ck_assert_faults(before, 4);
	ck_assert_faults(after, 7);
}
END_TEST

START_TEST(counters_go_on_when_a_container_comes_back)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "1000");
	struct group *group = web->group;

	read_all();
	end(web);
	read_all();
	ck_assert_uint_eq(group->footprint->memory.minor_faults, 1000);
	ck_assert_msg(!(group->footprint->memory_valid & MEMORY_VALID(usage_bytes)), "it has ended");
	ck_assert(group->footprint->memory_valid & MEMORY_VALID(minor_faults));
	web = make(2, "/docker/" WEB, "50", "10");
	ck_assert_ptr_eq(web->group, group);
	read_all();
	ck_assert_faults(web, 1010);
	ck_assert_usage(web, 50);
}
END_TEST

/* One whose removal was missed while another took its path. */
START_TEST(two_of_one_path_are_told_apart)
{
	struct cgroup *old = make(1, "/docker/" WEB, "100", "10");
	struct cgroup *new = make(2, "/docker/" WEB, "100", "10");

	ck_assert_ptr_ne(old, new);
	end(old);
	read_all();
	ck_assert_usage(new, 100);
}
END_TEST

START_TEST(a_name_takes_what_was_used_without_it)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");
	struct cgroup *db = make(2, "/docker/" DB, "1", "1");
	struct identity identity = {.kind = IDENTITY_CONTAINER, .named = true};
	struct group *nameless = db->group;

	say("/docker/" WEB, "io.stat", "8:0 rbytes=5\n");
	say("/docker/" DB, "io.stat", "8:0 rbytes=6\n8:16 rbytes=7\n");
	read_all();
	strcpy(identity.name, web->group->name);
	strcpy(identity.id, DB);
	cgroups_regroup(&cgroups, nameless, groups_name(&groups, nameless, &identity));
	ck_assert_ptr_eq(web->group, db->group);
	ck_assert_faults(web, 11);
	read_all();
	ck_assert_faults(web, 11);
	ck_assert_usage(web, 101);
	ck_assert_uint_eq(of(web)->device_count, 2);
	ck_assert_uint_eq(of(web)->devices->used.read_bytes, 11);
	ck_assert_uint_eq(of(web)->devices->next->used.read_bytes, 7);
}
END_TEST

/* Its files tell of what was nested in it, too: that is others' already. */
START_TEST(what_held_others_begins_anew)
{
	struct cgroup *early = make(1, "/early", "100", "1000"), *late = make(2, "/late", "100", "20");
	struct cgroup *nested = make(3, "/early/docker-" WEB ".scope", "50", "900");

	say("/early", "io.stat", "8:0 rbytes=7\n");
	read_now(true);
	make(2, "/late", "100", "25");
	read_all();
	ck_assert_faults(late, 5);
	end(nested);
	nested = make(4, "/late/docker-" DB ".scope", "50", "600");
	make(1, "/early", "100", "1003");
	make(2, "/late", "100", "625");
	read_all();
	ck_assert_faults(early, 0);
	end(nested);
	read_all();
	ck_assert_faults(late, 5);
	make(1, "/early", "100", "1010");
	make(2, "/late", "100", "627");
	say("/early", "io.stat", "8:0 rbytes=9\n");
	read_all();
	ck_assert_faults(early, 7);
	ck_assert_faults(late, 7);
	ck_assert_uint_eq(of(early)->devices->used.read_bytes, 2);
}
END_TEST

/* A file that could not be read for once: what it told before is where it goes on. */
START_TEST(counters_go_on_after_a_reading_that_failed)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "1000");

	say("/docker/" WEB, "io.stat", "8:0 rbytes=500\n");
	read_all();
	ck_assert_int_eq(tree_remove(&tree, "docker/" WEB "/memory.stat"), 0);
	ck_assert_int_eq(tree_remove(&tree, "docker/" WEB "/io.stat"), 0);
	ck_assert_int_eq(tree_make_directory(&tree, "docker/" WEB "/io.stat"), 0);
	read_all();
	ck_assert_faults(web, 1000);
	ck_assert_int_eq(tree_remove(&tree, "docker/" WEB "/io.stat"), 0);
	say("/docker/" WEB, "io.stat", "8:0 rbytes=501\n");
	make(1, "/docker/" WEB, "100", "1001");
	read_all();
	ck_assert_faults(web, 1001);
	ck_assert_uint_eq(of(web)->devices->used.read_bytes, 501);
}
END_TEST

/* The kernel's counts of a moment may not fit together: they are left out until they do. */
START_TEST(counters_go_on_after_figures_that_did_not_fit)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "1000");

	read_all();
	say("/docker/" WEB, "memory.stat", "pgfault 1000\npgmajfault 1001\n");
	read_all();
	ck_assert_faults(web, 1000);
	say("/docker/" WEB, "memory.stat", "pgfault 2010\npgmajfault 1001\n");
	read_all();
	ck_assert_faults(web, 1009);
	say("/docker/" WEB, "memory.stat", "pgfault 2010\npgmajfault 1003\n");
	read_all();
	ck_assert_faults(web, 1009);
	say("/docker/" WEB, "memory.stat", "pgfault 2013\npgmajfault 1003\n");
	read_all();
	ck_assert_faults(web, 1010);
}
END_TEST

/* What it was at the start could not be read: all that is known is what it grew by from then on. */
START_TEST(counters_of_a_first_reading_that_failed)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "1000");

	ck_assert_int_eq(tree_remove(&tree, "docker/" WEB "/memory.stat"), 0);
	ck_assert_int_eq(tree_make_directory(&tree, "docker/" WEB "/io.stat"), 0);
	read_now(true);
	ck_assert_int_eq(tree_remove(&tree, "docker/" WEB "/io.stat"), 0);
	say("/docker/" WEB, "io.stat", "8:0 rbytes=500\n");
	make(1, "/docker/" WEB, "100", "1001");
	read_all();
	ck_assert_faults(web, 0);
	say("/docker/" WEB, "io.stat", "8:0 rbytes=504\n");
	make(1, "/docker/" WEB, "100", "1005");
	read_all();
	ck_assert_faults(web, 4);
	ck_assert_uint_eq(of(web)->devices->used.read_bytes, 4);
}
END_TEST

/* Runtimes make a container's cgroups one hierarchy after the other. */
START_TEST(counters_of_a_cgroup_whose_files_come_later)
{
	struct cgroup *web = cgroups_add(&cgroups, 1, "/docker/" WEB);

	ck_assert(web);
	read_all();
	make(1, "/docker/" WEB, "100", "7");
	say("/docker/" WEB, "io.stat", "8:0 rbytes=500\n");
	read_all();
	ck_assert_faults(web, 7);
	ck_assert_uint_eq(of(web)->devices->used.read_bytes, 500);
}
END_TEST

/* ---- While files are read ----------------------------------------------------------------------- */

/* Others go on in between: one ends, one gets another's name, one is made. */
START_TEST(what_happens_while_files_are_read)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");
	struct cgroup *db = make(2, "/docker/" DB, "1", "1");
	struct cgroup *unit = make(3, "/nginx.service", "30", "3"), *late;
	struct identity identity = {.kind = IDENTITY_CONTAINER, .named = true};
	struct group *nameless = db->group;

	footprints_choose(&footprints, &cgroups, now_ns, cpu_known, false);
	cgroups_remove(&cgroups, unit->id, 1);
	strcpy(identity.name, web->group->name);
	strcpy(identity.id, DB);
	footprints_read(&footprints);
	cgroups_regroup(&cgroups, nameless, groups_name(&groups, nameless, &identity));
	late = make(4, "/late.service", "7", "7");
	footprints_tell(&footprints, &groups);
	ck_assert_usage(web, 101);
	ck_assert_faults(web, 11);
	ck_assert_faults(unit, 3);
	ck_assert_ptr_null(late->group->footprint);
	read_all();
	ck_assert_usage(web, 101);
	ck_assert_faults(web, 11);
	ck_assert_faults(unit, 3);
	ck_assert_msg(!(of(unit)->memory_valid & MEMORY_VALID(usage_bytes)), "it has ended");
	ck_assert_faults(late, 7);
}
END_TEST

/* ---- Those that idle --------------------------------------------------------------------------- */

/* What uses no CPU time is read again after a while, and its figures stand until then. */
START_TEST(the_idle_are_read_now_and_then)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");
	unsigned read_after = 0;

	cpu_known = true;
	read_all();
	web->group->account.used.cpu_ns++;
	read_all();
	make(1, "/docker/" WEB, "100", "11");
	read_all();
	ck_assert_msg(of(web)->memory.minor_faults == 11, "once more after it has come to rest");
	make(1, "/docker/" WEB, "200", "12");
	while (of(web)->memory.usage_bytes == 100) {
		ck_assert_usage(web, 100);
		ck_assert_faults(web, 11);
		read_all();
		read_after++;
	}
	ck_assert_uint_eq(read_after, 60);
	ck_assert_usage(web, 200);
	ck_assert_faults(web, 12);
}
END_TEST

START_TEST(who_used_cpu_time_is_read)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");

	cpu_known = true;
	read_all();
	make(1, "/docker/" WEB, "200", "12");
	web->group->account.used.cpu_ns++;
	read_all();
	ck_assert_usage(web, 200);
}
END_TEST

START_TEST(another_cgroup_of_the_name_is_read)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "5");

	cpu_known = true;
	read_all();
	make(2, "/elsewhere/docker/" WEB, "10", "1");
	read_all();
	ck_assert_usage(web, 110);
}
END_TEST

/* The CPU time of what is nested in it is another's. */
START_TEST(who_holds_others_is_always_read)
{
	struct cgroup *outer = make(1, "/docker/" WEB, "100", "5");

	make(2, "/docker/" WEB "/docker/" DB, "30", "3");
	cpu_known = true;
	read_all();
	make(1, "/docker/" WEB, "200", "12");
	read_all();
	ck_assert_usage(outer, 200);
}
END_TEST

/* Those that were there at the start take turns. */
START_TEST(the_idle_are_not_all_read_at_once)
{
	unsigned read[60] = {0};
	struct cgroup *all[60];

	for (unsigned i = 0; i < 60; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/unit%u.service", i);
		all[i] = make(i + 1, path, "100", "10");
	}
	cpu_known = true;
	read_now(true);
	for (unsigned i = 0; i < 60; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/unit%u.service", i);
		make(i + 1, path, "200", "10");
	}
	for (unsigned second = 0; second < 60; second++) {
		unsigned fresh = 0;

		read_all();
		for (unsigned i = 0; i < 60; i++)
			fresh += of(all[i])->memory.usage_bytes == 200;
		read[second] = fresh;
	}
	ck_assert_uint_eq(read[59], 60);
	for (unsigned second = 1; second < 60; second++)
		ck_assert_msg(read[second] - read[second - 1] <= 6, "%u in one second",
			      read[second] - read[second - 1]);
}
END_TEST

/* ---- Devices ----------------------------------------------------------------------------------- */

static const struct footprint_device *device(const struct cgroup *cgroup, const char *name)
{
	for (const struct footprint_device *one = of(cgroup)->devices; one; one = one->next)
		if (!strcmp(one->name, name))
			return one;
	ck_abort_msg("no device %s", name);
	return NULL;
}

START_TEST(a_device_is_told_from_its_first_use_on)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");

	say("/docker/" WEB, "io.stat", "8:0 rbytes=0 wbytes=0\n8:16 rbytes=0 wbytes=5\n");
	ck_assert_int_eq(tree_link(&tree, "dev/block/8:16", "../../block/sdb"), 0);
	read_all();
	ck_assert_uint_eq(of(web)->device_count, 1);
	ck_assert_uint_eq(device(web, "sdb")->used.written_bytes, 5);
	say("/docker/" WEB, "io.stat", "8:0 rbytes=4 wbytes=0\n8:16 rbytes=0 wbytes=7\n");
	read_all();
	ck_assert_uint_eq(device(web, "8:0")->used.read_bytes, 4);
	ck_assert_uint_eq(device(web, "sdb")->used.written_bytes, 7);
}
END_TEST

START_TEST(a_device_that_comes_back_begins_anew)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");

	say("/docker/" WEB, "io.stat", "7:0 rbytes=100\n");
	read_all();
	say("/docker/" WEB, "io.stat", "7:0 rbytes=30\n");
	read_all();
	ck_assert_uint_eq(device(web, "7:0")->used.read_bytes, 130);
	say("/docker/" WEB, "io.stat", "\n");
	read_all();
	ck_assert_uint_eq(device(web, "7:0")->used.read_bytes, 130);
}
END_TEST

START_TEST(devices_past_the_limit_are_one)
{
	struct cgroup *web = make(1, "/docker/" WEB, "100", "10");

	footprints.devices_told = 2;
	say("/docker/" WEB, "io.stat", "7:0 rbytes=1\n7:1 rbytes=2\n7:2 rbytes=4\n7:3 rbytes=8\n");
	read_all();
	say("/docker/" WEB, "io.stat", "7:3 rbytes=18\n7:2 rbytes=24\n7:1 rbytes=32\n7:0 rbytes=41\n");
	read_all();
	ck_assert_uint_eq(device(web, "7:0")->used.read_bytes, 41);
	ck_assert_uint_eq(device(web, "7:1")->used.read_bytes, 32);
	ck_assert_uint_eq(device(web, FOOTPRINT_OTHER_DEVICES)->used.read_bytes, 42);
	ck_assert_uint_eq(of(web)->device_count, 3);
}
END_TEST

/* ---- Options ----------------------------------------------------------------------------------- */

START_TEST(what_is_not_there_is_said_once)
{
	ck_assert(footprints_any(&footprints));
	ck_assert_uint_eq(warnings, 0);
	footprints_close(&footprints);
	ck_assert_int_eq(tree_write(&tree, "cgroup.controllers", "pids\n"), 0);
	footprints_open(&footprints, &options, &logger);
	ck_assert(!footprints_any(&footprints));
	ck_assert_uint_eq(warnings, 2);
	footprints_close(&footprints);
	ck_assert_int_eq(deepmon_options_set(&options, "Memory", "off", NULL, 0), 0);
	options.block_devices = 0;
	footprints_open(&footprints, &options, &logger);
	ck_assert_msg(warnings == 2, "what is not asked for is not missed");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("footprint");
	TCase *tcase = tcase_create("groups");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, what_is_nested_is_contained);
	tcase_add_test(tcase, a_system_group_that_holds_others_is_left_out);
	tcase_add_test(tcase, the_root_is_the_host);
	tcase_add_test(tcase, a_container_in_a_container_is_in_both);
	tcase_add_test(tcase, cgroups_of_one_name_are_summed);
	tcase_add_test(tcase, paths_are_kept_only_where_files_are_read);
	tcase_add_test(tcase, counters_begin_when_the_collector_does);
	tcase_add_test(tcase, counters_go_on_when_a_container_comes_back);
	tcase_add_test(tcase, two_of_one_path_are_told_apart);
	tcase_add_test(tcase, a_name_takes_what_was_used_without_it);
	tcase_add_test(tcase, what_held_others_begins_anew);
	tcase_add_test(tcase, counters_go_on_after_a_reading_that_failed);
	tcase_add_test(tcase, counters_go_on_after_figures_that_did_not_fit);
	tcase_add_test(tcase, counters_of_a_first_reading_that_failed);
	tcase_add_test(tcase, counters_of_a_cgroup_whose_files_come_later);
	tcase_add_test(tcase, what_happens_while_files_are_read);
	tcase_add_test(tcase, the_idle_are_read_now_and_then);
	tcase_add_test(tcase, who_used_cpu_time_is_read);
	tcase_add_test(tcase, another_cgroup_of_the_name_is_read);
	tcase_add_test(tcase, who_holds_others_is_always_read);
	tcase_add_test(tcase, the_idle_are_not_all_read_at_once);
	tcase_add_test(tcase, a_device_is_told_from_its_first_use_on);
	tcase_add_test(tcase, a_device_that_comes_back_begins_anew);
	tcase_add_test(tcase, devices_past_the_limit_are_one);
	tcase_add_test(tcase, what_is_not_there_is_said_once);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
