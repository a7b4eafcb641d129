/* SPDX-License-Identifier: GPL-3.0-only
 *
 * HTTP paths: how they are called, what is read of the kernel's rows, how rows go from one path to the next,
 * and that paths and the rest are always all that a container did.
 */
#include "../../common/cgroups.h"
#include "../../common/paths.h"

#include <check.h>
#include <stdlib.h>

#include "fake_kernel.h"

#define MOST	  8
#define SLOTS	  16
#define SECOND_NS 1000000000ull
#define CONTAINER "/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct groups groups;
static struct cgroups cgroups;
static struct hierarchy hierarchy;
static struct paths paths;
static struct path_row rows[MOST + 1];
static struct peer_slot slots[SLOTS];
static struct cgroup *owners[SLOTS];
static uint64_t now;

static void set_up(void)
{
	const struct path_maps maps = {.rows = rows, .slots = slots, .row_by_path = -1, .free_rows = -1};

	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, &hierarchy, NULL, &groups, 100);
	ck_assert_int_eq(paths_init(&paths, &maps, MOST, 2, 2), 0);
	now = SECOND_NS;
}

static void tear_down(void)
{
	paths_clear(&paths);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
}

/* A container of that number: its cgroup's id. */
static struct group *container(unsigned number)
{
	char path[128];
	struct cgroup *cgroup;

	snprintf(path, sizeof(path), CONTAINER "%02x", number);
	cgroup = cgroups_add(&cgroups, number, path);
	ck_assert(cgroup);
	cgroup->slot = CPU_SLOT_FIRST + number;
	return cgroup->group;
}

static struct path_key key_of(const char *path, bool cut)
{
	struct path_key key = {.method = HTTP_METHOD_GET, .side = NET_AS_SERVER, .cut = cut};

	ck_assert_uint_le(strlen(path), HTTP_PATH_MOST);
	memcpy(key.path.bytes, path, strlen(path));
	return key;
}

/* As the kernel does. */
static void fill(unsigned row, uint64_t cgroup_id, const char *path)
{
	rows[row].key = key_of(path, false);
	rows[row].key.cgroup_id = cgroup_id;
}

static void charge(uint64_t after_ns)
{
	now += after_ns;
	paths_charge(&paths, &cgroups, owners, SLOTS, now);
}

static const struct path *find_path(const struct group *group, const char *name)
{
	const struct path *found = NULL;

	for (const struct path *path = group->paths.first; path; path = path->next) {
		if (strcmp(path->name, name) != 0)
			continue;
		ck_assert_msg(!found, "two of the name %s", name);
		found = path;
	}
	return found;
}

static uint64_t fresh(const struct group *group, const char *name)
{
	const struct path *path = find_path(group, name);

	ck_assert_msg(path, "no path %s", name);
	return path->fresh.answered;
}

static size_t count_paths(const struct group *group)
{
	size_t count = 0;

	for (const struct path *path = group->paths.first; path; path = path->next)
		count++;
	return count;
}

/* ---- Names --------------------------------------------------------------------------------------- */

static const struct name {
	const char *path, *name;
	bool cut;
} names[] = {
    {"/", "/", false},
    {"/users/:id", "/users/:id", false},
    {"/users", "/users...", true},
    {"", "(none)", false},
    {"", "...", true},
    {"*", "*", false},
    {"(other)", "%28other)", false},
    {"/(other)", "/(other)", false},
    {"/\xc3\xbc\xe6\x97\xa5\xf0\x9f\x98\x80", "/\xc3\xbc\xe6\x97\xa5\xf0\x9f\x98\x80", false},
    {"/\xff\x80|\xed\xa0\x80|\xc0\xaf", "/%FF%80|%ED%A0%80|%C0%AF", false},
    {"/a\x7f\x01", "/a%7F%01", false},
    {"/a\xc3", "/a%C3...", true},
};

START_TEST(a_name)
{
	const struct path_key key = key_of(names[_i].path, names[_i].cut);
	char name[PATH_NAME_MAX];

	path_write_name(&key, name);
	ck_assert_str_eq(name, names[_i].name);
}
END_TEST

START_TEST(the_longest_name)
{
	struct path_key key = {.cut = 1};
	char name[PATH_NAME_MAX];

	memset(key.path.bytes, 0xff, HTTP_PATH_MOST);
	path_write_name(&key, name);
	ck_assert_uint_eq(strlen(name), 3 * HTTP_PATH_MOST + 3);
	ck_assert_str_eq(name + strlen(name) - 6, "%FF...");
}
END_TEST

START_TEST(methods)
{
	ck_assert_str_eq(path_method_name(HTTP_METHOD_GET), "GET");
	ck_assert_str_eq(path_method_name(HTTP_METHOD_PATCH), "PATCH");
	ck_assert_str_eq(path_method_name(HTTP_METHOD_OTHER), "other");
	ck_assert_str_eq(path_method_name(255), "other");
}
END_TEST

/* ---- Rows ---------------------------------------------------------------------------------------- */

START_TEST(what_was_added_since_the_last_time)
{
	struct group *group = container(1);

	charge(SECOND_NS);
	fill(1, 1, "/a");
	fill(2, 1, "/b");
	rows[2].used = (struct net_transactions){.answered = 5, .request_bytes = 2, .status = {4, 0, 1}};
	charge(SECOND_NS);
	ck_assert_ptr_null(find_path(group, "/a"));
	ck_assert_uint_eq(fresh(group, "/b"), 5);
	ck_assert_uint_eq(find_path(group, "/b")->fresh.request_bytes, 2);
	ck_assert_uint_eq(find_path(group, "/b")->fresh.status[2], 1);
	rows[2].used.answered += 7;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh(group, "/b"), 12);
	paths_told(&group->paths);
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh(group, "/b"), 0);
}
END_TEST

START_TEST(methods_and_roles_apart)
{
	struct group *group = container(1);

	for (unsigned row = 1; row <= 3; row++) {
		fill(row, 1, "/a");
		rows[row].used.answered = row;
	}
	rows[2].key.method = HTTP_METHOD_POST;
	rows[3].key.side = NET_AS_CLIENT;
	charge(SECOND_NS);
	ck_assert_uint_eq(count_paths(group), 3);
	for (const struct path *path = group->paths.first; path; path = path->next)
		ck_assert_uint_eq(path->fresh.answered, path->side == NET_AS_CLIENT	   ? 3
							: path->method == HTTP_METHOD_POST ? 2
											   : 1);
}
END_TEST

START_TEST(of_a_cgroup_that_is_not_known_yet)
{
	struct group *group;

	fill(1, 7, "/a");
	rows[1].used.answered = 9;
	charge(SECOND_NS);
	group = container(7);
	cgroups_find(&cgroups, 7)->slot = 0; /* which was taken since slots were looked at */
	charge(SECOND_NS);
	ck_assert_ptr_null(group->paths.first);
	cgroups_find(&cgroups, 7)->slot = CPU_SLOT_FIRST;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh(group, "/a"), 9);
}
END_TEST

START_TEST(system_groups_have_none)
{
	struct cgroup *unit = cgroups_add(&cgroups, 3, "/system.slice/cron.service");

	ck_assert(unit);
	owners[4] = unit;
	fill(1, 3, "/a");
	rows[1].used.answered = 9;
	charge(SECOND_NS);
	ck_assert_ptr_null(unit->group->paths.first);
	ck_assert_uint_eq(slots[4].unwanted, 3);
	owners[4] = NULL;
	charge(SECOND_NS);
	ck_assert(!slots[4].unwanted);
}
END_TEST

/* As long as there is room, a path keeps its row: an answer may take its time. */
START_TEST(a_row_is_kept)
{
	container(1);
	for (unsigned row = 1; row <= MOST / 2; row++)
		fill(row, 1, "/a");
	charge(SECOND_NS);
	for (int i = 0; i < 100; i++)
		charge(31 * SECOND_NS);
	for (unsigned row = 1; row <= MOST; row++)
		ck_assert_uint_eq(rows[row].serial, 0);
}
END_TEST

/* Where there is little, one that nobody uses goes back, in two steps; what is added in between is not lost.
 */
START_TEST(rows_go_back)
{
	struct group *group = container(1);
	char name[8];

	for (unsigned row = 1; row <= MOST - 2; row++) {
		snprintf(name, sizeof(name), "/%u", row);
		fill(row, 1, name);
		rows[row].used.answered = 9;
	}
	charge(SECOND_NS);
	charge(29 * SECOND_NS);
	ck_assert_uint_eq(rows[1].serial, 0);
	for (unsigned row = 2; row <= MOST - 2; row++)
		rows[row].used.answered++;
	charge(2 * SECOND_NS);
	ck_assert_uint_eq(rows[1].serial, 1);
	ck_assert_uint_eq(rows[2].serial, 0);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 1);
	/* A program that had looked at the serial before. */
	rows[1].used.answered += 10;
	charge(1000);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 1);
	charge(SECOND_NS);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 0);
	ck_assert_uint_eq(rows[1].serial, 1);
	ck_assert_uint_eq(fresh(group, "/1"), 19);
	/* The next has it from there on. */
	fill(1, 1, "/next");
	rows[1].used.answered += 4;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh(group, "/next"), 4);
	ck_assert_uint_eq(fresh(group, "/1"), 19);
}
END_TEST

START_TEST(rows_of_a_cgroup_that_is_gone)
{
	fill(1, 5, "/a");
	charge(SECOND_NS);
	charge(31 * SECOND_NS);
	ck_assert_uint_eq(rows[1].serial, 1);
	charge(SECOND_NS);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 0);
}
END_TEST

/* Of two CPUs that made one, the loser's row was nobody's: it may be anybody's at the next look. */
START_TEST(a_row_that_changed_hands_unseen)
{
	struct group *group = container(1);

	fill(1, 1, "/a");
	charge(SECOND_NS);
	fill(1, 1, "/b");
	rows[1].used.answered = 3;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh(group, "/b"), 3);
	ck_assert_ptr_null(find_path(group, "/a"));
	rows[1].key.cgroup_id = 0;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh(group, "/b"), 3);
}
END_TEST

/* ---- Reports ------------------------------------------------------------------------------------- */

START_TEST(what_is_told_and_the_rest)
{
	struct group *group = container(1);
	struct net_transactions all = {.answered = 100, .unanswered = 2, .request_bytes = 1000};
	uint64_t sum;

	fill(1, 1, "/1");
	fill(2, 1, "/2");
	fill(3, 1, "/3");
	rows[1].used = (struct net_transactions){.answered = 10, .request_bytes = 1000};
	rows[2].used.answered = 30;
	rows[3].used.unanswered = 20;
	charge(SECOND_NS);
	paths_choose(&paths, &group->paths, &all);
	ck_assert(!find_path(group, "/1")->telling);
	ck_assert(find_path(group, "/2")->telling);
	ck_assert(find_path(group, "/3")->telling);
	ck_assert_uint_eq(group->paths.untold.answered, 100 - 30);
	ck_assert_uint_eq(group->paths.untold.request_bytes, 1000);
	paths_told(&group->paths);
	/* Another leads now: its counter begins with what it had since, the others' stand still. */
	rows[1].used.answered += 50;
	all = (struct net_transactions){.answered = 50};
	charge(SECOND_NS);
	paths_choose(&paths, &group->paths, &all);
	ck_assert(!find_path(group, "/2")->telling);
	ck_assert_uint_eq(find_path(group, "/1")->told.answered, 50);
	ck_assert_uint_eq(find_path(group, "/2")->told.answered, 30);
	sum = group->paths.untold.answered;
	for (const struct path *path = group->paths.first; path; path = path->next)
		sum += path->told.answered;
	ck_assert_uint_eq(sum, 100 + 50);
}
END_TEST

static uint64_t count_latencies(const struct path *path)
{
	static struct histogram sum;

	return latencies_sum(&sum, path->latencies, 1u << LATENCY_HTTP_SERVER);
}

START_TEST(latencies_of_a_row)
{
	struct group *group = container(1);
	struct latency_fresh page = {.slot = 1, .kind = LATENCY_OF_PATH, .octave = 3, .sum_ns = 70};

	page.buckets.counts[5] = 7;
	/* Of one that nobody has, and of one past all. */
	ck_assert_int_eq(paths_charge_latency(&paths, &cgroups, &page), 0);
	page.slot = MOST + 1;
	ck_assert_int_eq(paths_charge_latency(&paths, &cgroups, &page), 0);
	page.slot = 1;
	fill(1, 1, "/a");
	rows[1].used.answered = 7;
	charge(SECOND_NS);
	ck_assert_uint_eq(count_latencies(find_path(group, "/a")), 0);
	ck_assert_int_eq(paths_charge_latency(&paths, &cgroups, &page), 0);
	ck_assert_uint_eq(count_latencies(find_path(group, "/a")), 7);
	paths_told(&group->paths);
	ck_assert_uint_eq(count_latencies(find_path(group, "/a")), 0);
}
END_TEST

/* Names are kept for longer than rows, so that counters go on, but not past the bound. */
START_TEST(names_have_a_bound)
{
	struct group *group = container(1);
	char name[32];

	for (unsigned i = 0; i < 5 * MOST; i++) {
		snprintf(name, sizeof(name), "/%u", i);
		fill(1 + i % MOST, 1, name);
		rows[1 + i % MOST].used.answered += 1;
		charge(31 * SECOND_NS / (MOST / 2));
		ck_assert_uint_eq(fresh(group, name), 1);
		paths_told(&group->paths);
		ck_assert_uint_le(count_paths(group), MOST);
	}
	ck_assert_uint_ge(count_paths(group), MOST / 2);
	ck_assert_uint_eq(paths.refused, 0);
}
END_TEST

/* What no report told of is not dropped; what finds no room is counted. */
START_TEST(names_that_find_no_room)
{
	struct group *group = container(1);
	char name[32];

	for (unsigned i = 0; i < 2 * MOST; i++) {
		snprintf(name, sizeof(name), "/%u", i);
		fill(1 + i % MOST, 1, name);
		rows[1 + i % MOST].used.answered += 1;
		charge(40 * SECOND_NS);
	}
	ck_assert_uint_eq(count_paths(group), MOST);
	ck_assert_uint_eq(fresh(group, "/0"), 1);
	ck_assert_uint_eq(paths.refused, MOST);
}
END_TEST

START_TEST(of_two_groups_that_become_one)
{
	struct group *to = container(1), *from = container(2);
	struct latency_fresh page = {.slot = 2, .kind = LATENCY_OF_PATH, .octave = 3, .sum_ns = 70};

	page.buckets.counts[5] = 7;
	fill(1, 1, "/a");
	fill(2, 2, "/a");
	fill(3, 2, "/b");
	rows[1].used.answered = rows[2].used.answered = rows[3].used.answered = 1;
	charge(SECOND_NS);
	ck_assert_int_eq(paths_charge_latency(&paths, &cgroups, &page), 0);
	from->paths.untold.answered = 5;
	path_list_absorb(&to->paths, &from->paths);
	ck_assert_uint_eq(fresh(to, "/a"), 2);
	ck_assert_uint_eq(count_latencies(find_path(to, "/a")), 7);
	ck_assert_uint_eq(fresh(to, "/b"), 1);
	ck_assert_uint_eq(to->paths.untold.answered, 5);
	ck_assert_ptr_null(from->paths.first);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("paths");
	TCase *all = tcase_create("paths");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_loop_test(all, a_name, 0, sizeof(names) / sizeof(names[0]));
	tcase_add_test(all, the_longest_name);
	tcase_add_test(all, methods);
	tcase_add_test(all, what_was_added_since_the_last_time);
	tcase_add_test(all, methods_and_roles_apart);
	tcase_add_test(all, of_a_cgroup_that_is_not_known_yet);
	tcase_add_test(all, system_groups_have_none);
	tcase_add_test(all, a_row_is_kept);
	tcase_add_test(all, rows_go_back);
	tcase_add_test(all, rows_of_a_cgroup_that_is_gone);
	tcase_add_test(all, a_row_that_changed_hands_unseen);
	tcase_add_test(all, what_is_told_and_the_rest);
	tcase_add_test(all, latencies_of_a_row);
	tcase_add_test(all, names_have_a_bound);
	tcase_add_test(all, names_that_find_no_room);
	tcase_add_test(all, of_two_groups_that_become_one);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
