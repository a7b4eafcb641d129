/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Files with most bytes: the sets that the kernel keeps them in, and what becomes of them in groups.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/top_files.h"
#include "../../common/group_files.h"
#include "random.h"

#define SETS	  64
#define PLACES	  (SETS * FILE_PLACES)
#define COLD	  100000
#define COLD_SIZE 4096

static struct file_set sets[SETS];
static uint64_t went[SETS]; /* bytes into each, in this round */
static uint32_t rounds;

static void set_up(void)
{
	memset(sets, 0, sizeof(sets));
	memset(went, 0, sizeof(went));
	rounds = 1;
}

static struct file_key key_of(uint64_t inode)
{
	return (struct file_key){.cgroup_id = 7, .inode = inode, .device = 8 << 20, .generation = 3};
}

static void use(uint64_t inode, uint64_t bytes, bool reads)
{
	const struct file_key key = key_of(inode);
	uint32_t number = file_set_of(&key, SETS);

	file_set_begin(&sets[number], rounds);
	file_entry_add(file_set_enter(&sets[number], &key), reads, bytes);
	went[number] += bytes;
}

/* NULL: it has no place. */
static struct file_entry *entry_of(uint64_t inode)
{
	const struct file_key key = key_of(inode);
	struct file_set *set = &sets[file_set_of(&key, SETS)];

	for (int i = 0; i < FILE_PLACES; i++)
		if (!file_key_difference(&set->places[i].key, &key))
			return &set->places[i];
	return NULL;
}

START_TEST(a_file_keeps_its_place)
{
	use(1, 100, true);
	use(1, 50, false);
	use(2, 7, true);
	ck_assert_uint_eq(entry_of(1)->counts.read_bytes, 100);
	ck_assert_uint_eq(entry_of(1)->counts.written_bytes, 50);
	ck_assert_uint_eq(entry_of(1)->counts.reads, 1);
	ck_assert_uint_eq(entry_of(1)->counts.writes, 1);
	ck_assert_uint_eq(entry_of(1)->weight, 150);
	ck_assert_uint_eq(entry_of(1)->missed, 0);
	ck_assert_uint_eq(entry_of(2)->counts.read_bytes, 7);
}
END_TEST

START_TEST(files_differ_in_each_part_of_the_key)
{
	struct file_key keys[5];
	struct file_set set = {0};

	for (int i = 0; i < 5; i++)
		keys[i] = key_of(1);
	keys[1].cgroup_id++;
	keys[2].inode++;
	keys[3].device++;
	keys[4].generation++;
	for (int i = 0; i < 5; i++)
		file_entry_add(file_set_enter(&set, &keys[i]), true, 10);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(set.places[i].counts.reads, 1);
}
END_TEST

/* What is missed of each is never more than it says, and what has more than its set's eighth is there. */
START_TEST(what_is_missed_is_bounded)
{
	static uint64_t truth[3000];

	random_begin((uint64_t)_i + 1);
	memset(truth, 0, sizeof(truth));
	for (int i = 0; i < 50000; i++) {
		/* Few of them often. */
		uint64_t inode = 1 + random_below(1 + random_below(2999));
		uint64_t bytes = random_below(10000);

		use(inode, bytes, random_below(2));
		truth[inode] += bytes;
	}
	for (uint64_t inode = 1; inode < 3000; inode++) {
		const struct file_key key = key_of(inode);
		const struct file_entry *entry = entry_of(inode);
		uint64_t most = went[file_set_of(&key, SETS)] / FILE_PLACES;

		if (!entry) {
			ck_assert_uint_le(truth[inode], most);
			continue;
		}

		uint64_t seen = entry->counts.read_bytes + entry->counts.written_bytes;

		ck_assert_uint_le(seen, truth[inode]);
		ck_assert_uint_le(truth[inode], seen + entry->missed);
		ck_assert_uint_le(entry->missed, most);
		ck_assert_uint_eq(entry->weight, seen + entry->missed);
	}
}
END_TEST

/* Three among 100,000 that are touched once, from whenever on they are used. */
START_TEST(the_hottest_of_many_are_kept)
{
	const uint64_t begin = (uint64_t)_i * COLD / 4;

	for (uint64_t i = 0; i < COLD; i++) {
		use(1000 + i, COLD_SIZE, false);
		if (i >= begin && i % 20 == 0)
			for (uint64_t hot = 1; hot <= 3; hot++)
				use(hot, hot * 2 * COLD_SIZE, true);
	}
	for (uint64_t hot = 1; hot <= 3; hot++) {
		const struct file_entry *entry = entry_of(hot);
		uint64_t all = (COLD - begin) / 20 * hot * 2 * COLD_SIZE;

		ck_assert_ptr_nonnull(entry);
		ck_assert_uint_le(entry->counts.read_bytes, all);
		ck_assert_uint_ge(entry->counts.read_bytes + entry->missed, all);
	}
}
END_TEST

/* A place that was heavy does not stay so, and its counts go on. */
START_TEST(a_round_begins_with_nothing)
{
	use(1, 1000000, true);
	rounds++;
	use(1, 5, true);
	ck_assert_uint_eq(entry_of(1)->weight, 5);
	ck_assert_uint_eq(entry_of(1)->counts.read_bytes, 1000005);
}
END_TEST

/* ---- In a group --------------------------------------------------------------------------------- */

static struct group_file *add(struct group_files *files, uint64_t inode, uint64_t bytes)
{
	const struct file_key key = key_of(inode);
	bool added;
	struct group_file *file = group_files_find_or_add(files, &key, &added);

	file->fresh.read_bytes += bytes;
	file->told[FILE_SCOPE_HOST].reads += bytes;
	return file;
}

START_TEST(groups_absorb)
{
	struct group_files to = {0}, from = {0};

	add(&to, 1, 10);
	add(&to, 2, 20);
	add(&from, 2, 5)->path = strdup("/two");
	add(&from, 3, 30);
	group_files_absorb(&to, &from);
	ck_assert_ptr_null(from.first);
	ck_assert_uint_eq(add(&to, 1, 0)->fresh.read_bytes, 10);
	ck_assert_uint_eq(add(&to, 2, 0)->fresh.read_bytes, 25);
	ck_assert_uint_eq(add(&to, 2, 0)->told[FILE_SCOPE_HOST].reads, 25);
	ck_assert_uint_eq(add(&to, 3, 0)->fresh.read_bytes, 30);
	group_files_clear(&to);
}
END_TEST

START_TEST(the_unwanted_are_swept)
{
	struct group_files files = {0};

	for (uint64_t inode = 1; inode <= 10; inode++)
		add(&files, inode, inode)->unwanted = inode % 3 != 0;
	group_files_sweep(&files);
	for (const struct group_file *file = files.first; file; file = file->next)
		ck_assert_uint_eq(file->inode % 3, 0);
	ck_assert_uint_eq(add(&files, 3, 0)->fresh.read_bytes, 3);
	ck_assert_uint_eq(add(&files, 4, 0)->fresh.read_bytes, 0);
	group_files_clear(&files);
	ck_assert_ptr_null(files.first);
}
END_TEST

/* Files may be told of what is in the sum later: then the rest waits for it, and never falls. */
START_TEST(the_rest_and_the_files_are_the_whole)
{
	static const struct {
		uint64_t all, told, untold;
	} steps[] = {{100, 60, 40}, {0, 0, 40}, {50, 70, 40}, {10, 0, 40}, {30, 5, 55}, {5, 5, 55}};
	struct file_rest rest = {0};
	uint64_t all = 0, told = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct file_io_usage used = {.written_bytes = steps[i].all};
		const struct file_counts files = {.written_bytes = steps[i].told};

		file_rest_add(&rest, &used, &files);
		ck_assert_uint_eq(rest.untold.written_bytes, steps[i].untold);
		ck_assert_uint_eq(rest.untold.read_bytes, 0);
		all += steps[i].all;
		told += steps[i].told;
		ck_assert_uint_eq(rest.untold.written_bytes + told, all + rest.ahead.written_bytes);
	}
	ck_assert_uint_eq(rest.ahead.written_bytes, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top_files");
	TCase *kept = tcase_create("kept"), *group = tcase_create("group");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(kept, set_up, NULL);
	tcase_add_test(kept, a_file_keeps_its_place);
	tcase_add_test(kept, files_differ_in_each_part_of_the_key);
	tcase_add_loop_test(kept, what_is_missed_is_bounded, 0, 10);
	tcase_add_loop_test(kept, the_hottest_of_many_are_kept, 0, 3);
	tcase_add_test(kept, a_round_begins_with_nothing);
	tcase_add_test(group, groups_absorb);
	tcase_add_test(group, the_unwanted_are_swept);
	tcase_add_test(group, the_rest_and_the_files_are_the_whole);
	suite_add_tcase(suite, kept);
	suite_add_tcase(suite, group);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
