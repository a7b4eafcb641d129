/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory a cgroup uses: the formats of v1 and v2, where each layout has them, and files that are
 * missing, broken or huge.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/memory.h"
#include "tree.h"

#define VALID(field)		   (1ull << DEEPMON_INDEX_MEMORY_##field)
#define ck_assert_figure(f, value) check_figure(VALID(f), reading.figures.f, value, #f)
#define ck_assert_absent(f)	   ck_assert_msg(!(reading.valid & VALID(f)), "%s is there", #f)

static struct tree tree;
static struct memory memory;
static struct memory_reading reading;

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	memory.root_fd = memory.pressure_fd = -1;
}

static void tear_down(void)
{
	memory_close(&memory);
	tree_close(&tree);
}

static void apply(const char *text)
{
	char *copy = strdup(text);

	ck_assert_int_eq(tree_apply(&tree, copy), 0);
	free(copy);
}

static void check_figure(uint64_t valid, uint64_t got, uint64_t expected, const char *name)
{
	ck_assert_msg(reading.valid & valid, "%s is absent", name);
	ck_assert_msg(got == expected, "%s: expected %llu, got %llu", name, (unsigned long long)expected,
		      (unsigned long long)got);
}

static void read_web(void)
{
	memory_read(&memory, "/docker/web", &reading);
	memory_derive(&reading.figures, &reading.valid);
}

static void open_and_read(void)
{
	ck_assert_int_eq(memory_open(&memory, tree.root), 0);
	read_web();
}

/* Linux 6.1, in the order that it has. */
static const char unified[] = "cgroup.controllers = cpuset cpu io memory hugetlb pids\n"
			      "[docker/web]\n"
			      "memory.current = 104857600\n"
			      "memory.max = 209715200\n"
			      "memory.swap.current = 4096\n"
			      "memory.events = low 0\n"
			      "memory.events += high 3\n"
			      "memory.events += max 17\n"
			      "memory.events += oom 2\n"
			      "memory.events += oom_kill 1\n"
			      "memory.events += oom_group_kill 0\n"
			      "memory.stat = anon 50331648\n"
			      "memory.stat += file 41943040\n"
			      "memory.stat += kernel 8388608\n"
			      "memory.stat += kernel_stack 262144\n"
			      "memory.stat += shmem 16777216\n"
			      "memory.stat += inactive_anon 50331648\n"
			      "memory.stat += inactive_file 20971520\n"
			      "memory.stat += slab_reclaimable 1\n"
			      "memory.stat += slab 4194304\n"
			      "memory.stat += pgfault 1000\n"
			      "memory.stat += pgmajfault 10\n"
			      "memory.pressure = some avg10=1.50 avg60=0.70 avg300=0.10 total=123456\n"
			      "memory.pressure += full avg10=0.25 avg60=0.00 avg300=0.00 total=23456\n";

static const char v1[] = "memory/memory.usage_in_bytes = 1\n"
			 "[memory/docker/web]\n"
			 "memory.usage_in_bytes = 104857600\n"
			 "memory.limit_in_bytes = 209715200\n"
			 "memory.kmem.usage_in_bytes = 8388608\n"
			 "memory.oom_control = oom_kill_disable 0\n"
			 "memory.oom_control += under_oom 0\n"
			 "memory.oom_control += oom_kill 1\n"
			 "memory.stat = cache 1\n"
			 "memory.stat += rss 1\n"
			 "memory.stat += pgfault 1\n"
			 "memory.stat += inactive_file 1\n"
			 "memory.stat += hierarchical_memory_limit 209715200\n"
			 "memory.stat += total_cache 41943040\n"
			 "memory.stat += total_rss 50331648\n"
			 "memory.stat += total_shmem 16777216\n"
			 "memory.stat += total_swap 4096\n"
			 "memory.stat += total_pgfault 1000\n"
			 "memory.stat += total_pgmajfault 10\n"
			 "memory.stat += total_inactive_file 20971520\n";

static const char v1_pressure[] =
    "unified/cgroup.controllers =\n"
    "unified/docker/web/memory.pressure = some avg10=1.50 avg60=0.70 avg300=0.10 total=123456\n"
    "unified/docker/web/memory.pressure += full avg10=0.25 avg60=0.00 avg300=0.00 total=23456\n";

static void check_amounts(void)
{
	ck_assert_figure(usage_bytes, 104857600);
	ck_assert_figure(working_set_bytes, 104857600 - 20971520);
	ck_assert_figure(anonymous_bytes, 50331648);
	ck_assert_figure(page_cache_bytes, 41943040);
	ck_assert_figure(shared_bytes, 16777216);
	ck_assert_figure(kernel_bytes, 8388608);
	ck_assert_figure(swap_bytes, 4096);
	ck_assert_figure(limit_bytes, 209715200);
	ck_assert_figure(minor_faults, 990);
	ck_assert_figure(major_faults, 10);
	ck_assert_figure(oom_kills, 1);
	ck_assert(reading.valid & VALID(limit_percent));
	ck_assert_double_eq_tol(reading.figures.limit_percent, 40, 1e-9);
}

static void check_pressure(void)
{
	ck_assert_figure(pressure_some_ns, 123456000);
	ck_assert_figure(pressure_full_ns, 23456000);
	ck_assert(reading.valid & VALID(pressure_some_percent) &&
		  reading.valid & VALID(pressure_full_percent));
	ck_assert_double_eq(reading.figures.pressure_some_percent, 1.5);
	ck_assert_double_eq(reading.figures.pressure_full_percent, 0.25);
}

/* ---- Layouts ----------------------------------------------------------------------------------- */

START_TEST(the_unified_hierarchy)
{
	apply(unified);
	open_and_read();
	ck_assert(memory.unified);
	check_amounts();
	check_pressure();
}
END_TEST

START_TEST(v1_alone)
{
	apply(v1);
	open_and_read();
	ck_assert(!memory.unified);
	check_amounts();
	ck_assert_absent(pressure_some_ns);
	ck_assert_absent(pressure_full_percent);
}
END_TEST

START_TEST(v1_with_the_unified_hierarchy_beside_it)
{
	apply(v1);
	apply(v1_pressure);
	open_and_read();
	ck_assert(!memory.unified);
	check_amounts();
	check_pressure();
}
END_TEST

/* The controller was taken from v1, as with cgroup_no_v1=memory. */
START_TEST(the_controller_is_in_the_unified_hierarchy_beside_v1)
{
	apply("cpuacct/cpuacct.usage = 1\n"
	      "unified/cgroup.controllers = memory\n"
	      "unified/docker/web/memory.current = 5\n");
	open_and_read();
	ck_assert(memory.unified);
	ck_assert_figure(usage_bytes, 5);
}
END_TEST

START_TEST(no_controller_at_all)
{
	ck_assert_int_eq(memory_open(&memory, tree.root), -ENOENT);
	apply("cgroup.controllers = cpu memory.x io\nmemory/\n");
	ck_assert_int_eq(memory_open(&memory, tree.root), -ENOENT);
}
END_TEST

/* ---- Absent, never zero ------------------------------------------------------------------------ */

START_TEST(a_cgroup_that_is_gone_has_no_figures)
{
	apply(unified);
	ck_assert_int_eq(memory_open(&memory, tree.root), 0);
	memory_read(&memory, "/docker/db", &reading);
	ck_assert_uint_eq(reading.valid, 0);
}
END_TEST

static const struct {
	const char *file;
	uint64_t fields;
} files[] = {
    {"memory.current", VALID(usage_bytes) | VALID(working_set_bytes) | VALID(limit_percent)},
    {"memory.max", VALID(limit_bytes) | VALID(limit_percent)},
    {"memory.swap.current", VALID(swap_bytes)},
    {"memory.events", VALID(oom_kills)},
    {"memory.pressure", VALID(pressure_some_ns) | VALID(pressure_full_ns) | VALID(pressure_some_percent) |
			    VALID(pressure_full_percent)},
    {"memory.stat", VALID(working_set_bytes) | VALID(limit_percent) | VALID(anonymous_bytes) |
			VALID(page_cache_bytes) | VALID(shared_bytes) | VALID(kernel_bytes) |
			VALID(minor_faults) | VALID(major_faults)},
};

/* What the processes map is in no file of the cgroup's. */
#define PROCESSES \
	(VALID(rss_bytes) | VALID(pss_bytes) | VALID(uss_bytes) | VALID(rss_processes) | \
	 VALID(rss_age_seconds))
#define ALL (((1ull << DEEPMON_COUNT_OF_MEMORY) - 1) & ~PROCESSES)

START_TEST(what_a_missing_file_would_tell_is_absent)
{
	char path[64];

	apply(unified);
	snprintf(path, sizeof(path), "docker/web/%s", files[_i].file);
	ck_assert_int_eq(tree_remove(&tree, path), 0);
	open_and_read();
	ck_assert_uint_eq(reading.valid, ALL & ~files[_i].fields);
}
END_TEST

/* Nothing that is no number of this kind is taken for one, and a huge file ends nobody's memory. */
START_TEST(what_a_broken_file_would_tell_is_absent)
{
	static const char *const broken[] = {"",
					     " ",
					     "abc",
					     "-1",
					     "anon",
					     "anon abc",
					     "12 34",
					     "some avg10= total=",
					     "99999999999999999999999"};
	char text[256];

	apply(unified);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		snprintf(text, sizeof(text), "docker/web/%s = %s\n", files[_i].file, broken[i]);
		apply(text);
		memory_close(&memory);
		open_and_read();
		ck_assert_msg((reading.valid & files[_i].fields) == 0, "%s: \"%s\" gave %#llx",
			      files[_i].file, broken[i], (unsigned long long)reading.valid);
	}
}
END_TEST

START_TEST(what_a_huge_file_would_tell_is_absent)
{
	char *huge = malloc(1 << 20), path[64];

	memset(huge, '1', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	apply(unified);
	snprintf(path, sizeof(path), "docker/web/%s", files[_i].file);
	ck_assert_int_eq(tree_write(&tree, path, huge), 0);
	open_and_read();
	ck_assert_uint_eq(reading.valid, ALL & ~files[_i].fields);
	free(huge);
}
END_TEST

START_TEST(without_a_limit_there_is_no_per_cent_of_it)
{
	apply(unified);
	apply("docker/web/memory.max = max\n");
	open_and_read();
	ck_assert_absent(limit_bytes);
	ck_assert_absent(limit_percent);
	apply(v1);
	/* With pages of 4 KiB and of 64 KiB. */
	apply("memory/docker/web/memory.limit_in_bytes = 9223372036854771712\n");
	memory_close(&memory);
	open_and_read();
	ck_assert_absent(limit_bytes);
	apply("memory/docker/web/memory.limit_in_bytes = 9223372036854710272\n");
	read_web();
	ck_assert_absent(limit_bytes);
	apply("memory/docker/web/memory.limit_in_bytes = 0\n");
	read_web();
	ck_assert_figure(limit_bytes, 0);
	ck_assert_absent(limit_percent);
}
END_TEST

/* ---- Kernels ----------------------------------------------------------------------------------- */

START_TEST(before_5_18_kernel_memory_is_in_parts)
{
	apply(unified);
	apply("docker/web/memory.stat = anon 1\n"
	      "docker/web/memory.stat += kernel_stack 10\n"
	      "docker/web/memory.stat += pagetables 200\n"
	      "docker/web/memory.stat += percpu 3000\n"
	      "docker/web/memory.stat += sock 7\n"
	      "docker/web/memory.stat += slab_reclaimable 9\n"
	      "docker/web/memory.stat += slab 40000\n");
	open_and_read();
	ck_assert_figure(kernel_bytes, 43210);
	ck_assert_absent(minor_faults);
	ck_assert_absent(working_set_bytes);
}
END_TEST

/* The files are read one after the other, and v2 flushes its counts when it likes. */
START_TEST(figures_of_different_moments_do_not_wrap)
{
	apply(unified);
	apply("docker/web/memory.current = 4096\n"
	      "docker/web/memory.stat = inactive_file 8192\n"
	      "docker/web/memory.stat += pgfault 3\n"
	      "docker/web/memory.stat += pgmajfault 4\n");
	open_and_read();
	ck_assert_figure(working_set_bytes, 0);
	ck_assert_figure(major_faults, 4);
	ck_assert_absent(minor_faults);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("files");
	int count = sizeof(files) / sizeof(files[0]);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_unified_hierarchy);
	tcase_add_test(tcase, v1_alone);
	tcase_add_test(tcase, v1_with_the_unified_hierarchy_beside_it);
	tcase_add_test(tcase, the_controller_is_in_the_unified_hierarchy_beside_v1);
	tcase_add_test(tcase, no_controller_at_all);
	tcase_add_test(tcase, a_cgroup_that_is_gone_has_no_figures);
	tcase_add_loop_test(tcase, what_a_missing_file_would_tell_is_absent, 0, count);
	tcase_add_loop_test(tcase, what_a_broken_file_would_tell_is_absent, 0, count);
	tcase_add_loop_test(tcase, what_a_huge_file_would_tell_is_absent, 0, count);
	tcase_add_test(tcase, without_a_limit_there_is_no_per_cent_of_it);
	tcase_add_test(tcase, before_5_18_kernel_memory_is_in_parts);
	tcase_add_test(tcase, figures_of_different_moments_do_not_wrap);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
