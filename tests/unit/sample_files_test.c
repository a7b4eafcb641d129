/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Files in a report: those with most bytes, of the host and of a container, and the rest. Made by hand, in
 * place of common/files.c.
 */
#include "sample_look.h"

#include "fake_kernel.h"

#define WEB	   "/lxc.payload.web"
#define UNIT	   "/system.slice/cron.service"
#define WEB_CGROUP 5
#define OTHER	   "(other)"

enum { UNIT_CGROUP = WEB_CGROUP + 1 };

static struct kernel *kernel;
static struct topology topology;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct attribution attribution;
static struct top_files top_files;
static uint32_t slot_of[UNIT_CGROUP + 1];
static uint64_t times, now;

static void set_up(void)
{
	const struct attribution_rules rules = {.overlap_ratio_ppm = SMT_RATIO_DEFAULT};
	const size_t told[FILE_SCOPES] = {2, 1};

	memset(fake_file_sets, 0, sizeof(fake_file_sets));
	memset(fake_file_io, 0, sizeof(fake_file_io));
	fake_file_round = 1;
	now = 0;
	kernel = fake_kernel_new(1, 16);
	topology = (struct topology){.cpu_count = 1, .socket_count = 1};
	topology.index_of_cpu = calloc(1, sizeof(*topology.index_of_cpu));
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, NULL, &names, &groups, 16);
	ck_assert_int_eq(attribution_init(&attribution, kernel, &topology, &cgroups, &groups, 0, &rules), 0);
	fake_files = (struct files *)fake_file_sets;
	attribution.file_io = (struct file_io *)fake_file_io;
	attribution.top_files = &top_files;
	ck_assert_int_eq(top_files_init(&top_files, fake_files, 100, told), 0);
	ck_assert_ptr_nonnull(cgroups_add(&cgroups, WEB_CGROUP, WEB));
	ck_assert_ptr_nonnull(cgroups_add(&cgroups, UNIT_CGROUP, UNIT));
	slot_of[WEB_CGROUP] = fake_slot(kernel, WEB_CGROUP, 0);
	slot_of[UNIT_CGROUP] = fake_slot(kernel, UNIT_CGROUP, 0);
}

static void tear_down(void)
{
	sample_clear(&sample);
	attribution_clear(&attribution);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	top_files_clear(&top_files);
	free(topology.index_of_cpu);
	kernel_close(kernel);
}

/* As the kernel does it. */
static void use(uint64_t cgroup_id, uint64_t inode, uint64_t bytes)
{
	const struct file_key key = {.cgroup_id = cgroup_id, .inode = inode, .device = 8 << 20 | 3};
	struct file_set *set = &fake_file_sets[file_set_of(&key, FAKE_FILE_SETS)];

	file_set_begin(set, fake_file_round);
	file_entry_add(file_set_enter(set, &key), false, bytes);
	fake_file_io[slot_of[cgroup_id]].written_bytes += bytes;
	fake_file_io[slot_of[cgroup_id]].writes++;
	times++;
}

static void report(void)
{
	const struct sample_self self = {.valid = 1};

	attribution_charge(&attribution, NULL, ++now);
	ck_assert_int_eq(sample_build(&sample, &attribution, NULL, 1000, &self), 0);
	check_sample();
}

/* NAN: it is not told of. */
static double of_host(const char *instance, const char *file)
{
	return value(find(DEEPMON_FILE, DEEPMON_SUBJECT_FILE_USE, instance, file), "written_bytes");
}

static double of_web(const char *file)
{
	return value(find(DEEPMON_CONTAINER_FILE, DEEPMON_SUBJECT_FILE_USE, "web", file), "written_bytes");
}

START_TEST(those_with_most_and_the_rest)
{
	attribution_charge(&attribution, NULL, ++now);
	attribution_begin(&attribution);
	use(WEB_CGROUP, 1, 1000);
	use(WEB_CGROUP, 2, 500);
	use(WEB_CGROUP, 3, 100);
	use(UNIT_CGROUP, 9, 700);
	report();
	ck_assert_double_eq(of_host("web", "/1"), 1000);
	ck_assert_double_eq(of_host("cron.service", "/9"), 700);
	ck_assert_double_eq(of_host(OTHER, OTHER), 600);
	ck_assert_double_eq(of_web("/1"), 1000);
	ck_assert_double_eq(of_web(OTHER), 600);
	ck_assert_uint_eq(count_of(DEEPMON_FILE, DEEPMON_SUBJECT_FILE_USE), 3);
	ck_assert_uint_eq(count_of(DEEPMON_CONTAINER_FILE, DEEPMON_SUBJECT_FILE_USE), 2);

	/* What one had before it was told of stays in the rest; what is told of goes on. */
	use(WEB_CGROUP, 3, 5000);
	use(WEB_CGROUP, 1, 10);
	report();
	ck_assert_double_eq(of_host("web", "/3"), 5000);
	ck_assert_double_eq(of_host("web", "/1"), 1010);
	ck_assert_double_eq(of_host(OTHER, OTHER), 600);
	ck_assert_double_eq(of_web("/3"), 5000);
	ck_assert_double_eq(of_web(OTHER), 610);

	report();
	ck_assert_uint_eq(count_of(DEEPMON_FILE, DEEPMON_SUBJECT_FILE_USE), 1);
	ck_assert_double_eq(of_web(OTHER), 610);
}
END_TEST

/* Samples between reports take what comes, and a cgroup that ends leaves what its files had. */
START_TEST(samples_and_ends)
{
	attribution_begin(&attribution);
	use(WEB_CGROUP, 1, 10);
	attribution_charge(&attribution, NULL, ++now);
	use(WEB_CGROUP, 1, 20);
	cgroups_remove(&cgroups, WEB_CGROUP, 1);
	attribution_charge(&attribution, NULL, 2000000000);
	now = 2000000000;
	ck_assert_ptr_null(cgroups_find(&cgroups, WEB_CGROUP));
	report();
	ck_assert_double_eq(of_host("web", "/1"), 30);
	ck_assert_double_eq(of_web("/1"), 30);
	ck_assert_double_eq(of_host(OTHER, OTHER), 0);
}
END_TEST

START_TEST(one_without_a_path)
{
	attribution_begin(&attribution);
	use(WEB_CGROUP, 404, 10);
	report();
	ck_assert_double_eq(of_web("(inode 404 of 8:3)"), 10);
}
END_TEST

/* As of a log that was rotated: the name is that of the later one. */
START_TEST(two_of_one_path)
{
	attribution_begin(&attribution);
	use(WEB_CGROUP, 1, 10);
	attribution_charge(&attribution, NULL, ++now);
	use(WEB_CGROUP, 100001, 20);
	report();
	ck_assert_double_eq(of_host("web", "/1"), 20);
	ck_assert_double_eq(of_host("web", "/1 (inode 1)"), 10);
}
END_TEST

/* Many: no more are kept than there are places, and whatever is told, the whole is told. */
START_TEST(any_number_of_files)
{
	double told = 0;

	attribution_begin(&attribution);
	for (int round = 0; round < 20; round++) {
		for (uint64_t inode = 1000; inode < 1500; inode++)
			use(WEB_CGROUP, inode + (uint64_t)round * 500, 1);
		use(WEB_CGROUP, 7, 300);
		attribution_charge(&attribution, NULL, ++now);
		ck_assert_uint_le(top_files.count, top_files.most);
		if (round % 5 != 4)
			continue;
		report();
		ck_assert_double_ge(of_web("/7"), told + 300);
		told = of_web("/7");
		ck_assert_double_eq(told + of_web(OTHER), (round + 1) * (500 + 300));
		/* Two are told of the host; a container's want all their paths. */
		ck_assert_uint_eq(fake_file_worth, 0);
	}
}
END_TEST

/* As many others as there is room for are used meanwhile: whose bytes are told goes on. */
START_TEST(the_used_are_kept)
{
	attribution_begin(&attribution);
	for (uint64_t round = 0; round < 10; round++) {
		use(UNIT_CGROUP, 1, 1000);
		attribution_charge(&attribution, NULL, ++now);
		report();
		ck_assert_double_eq(of_host("cron.service", "/1"), 1000. * (double)(round + 1));
		/* All of the next sample begin with nothing. */
		for (uint64_t inode = 0; inode < FILE_PLACES; inode++)
			use(WEB_CGROUP, 1000 + round * FILE_PLACES + inode, 0);
		attribution_charge(&attribution, NULL, ++now);
	}
}
END_TEST

/* A path is asked for of those files alone that may be told of. */
START_TEST(worth_of_the_host_alone)
{
	top_files.told[FILE_SCOPE_CONTAINER] = 0;
	attribution_begin(&attribution);
	use(WEB_CGROUP, 1, 1000);
	report();
	ck_assert_uint_eq(fake_file_worth, 0);
	use(WEB_CGROUP, 1, 1000);
	use(WEB_CGROUP, 2, 400);
	use(WEB_CGROUP, 3, 10);
	report();
	ck_assert_uint_eq(fake_file_worth, 100);
	ck_assert_uint_eq(count_of(DEEPMON_CONTAINER_FILE, DEEPMON_SUBJECT_FILE_USE), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sample_files");
	TCase *test = tcase_create("files");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(test, set_up, tear_down);
	tcase_add_test(test, those_with_most_and_the_rest);
	tcase_add_test(test, samples_and_ends);
	tcase_add_test(test, one_without_a_path);
	tcase_add_test(test, two_of_one_path);
	tcase_add_test(test, any_number_of_files);
	tcase_add_test(test, the_used_are_kept);
	tcase_add_test(test, worth_of_the_host_alone);
	suite_add_tcase(suite, test);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
