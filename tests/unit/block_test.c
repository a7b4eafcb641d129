/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a cgroup reads from and writes to block devices: the formats of v1 and v2, the devices' names, and
 * files that are missing, broken or huge.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/block.h"
#include "tree.h"

#define VALID(field)			    (1ull << DEEPMON_INDEX_BLOCK_##field)
#define ck_assert_figure(reading, f, value) check_figure(reading, VALID(f), (reading)->figures.f, value, #f)
#define ck_assert_absent(reading, f)	    ck_assert_msg(!((reading)->valid & VALID(f)), "%s is there", #f)

static struct tree tree;
static struct block block;
static struct block_readings readings;

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	block = (struct block){.root_fd = -1};
}

static void tear_down(void)
{
	block_readings_clear(&readings);
	block_close(&block);
	tree_close(&tree);
}

static void apply(const char *text)
{
	char *copy = strdup(text);

	ck_assert_int_eq(tree_apply(&tree, copy), 0);
	free(copy);
}

static void check_figure(const struct block_reading *reading, uint64_t valid, uint64_t got, uint64_t expected,
			 const char *name)
{
	ck_assert_msg(reading->valid & valid, "%s is absent", name);
	ck_assert_msg(got == expected, "%s: expected %llu, got %llu", name, (unsigned long long)expected,
		      (unsigned long long)got);
}

static void read_web(void)
{
	block_begin(&block);
	block_read(&block, "/docker/web", &readings);
}

static void open_and_read(void)
{
	block_close(&block);
	ck_assert_int_eq(block_open(&block, tree.root, tree.root), 0);
	read_web();
}

static const struct block_reading *device(uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < readings.count; i++)
		if (readings.all[i].major == major && readings.all[i].minor == minor)
			return &readings.all[i];
	ck_abort_msg("no device %u:%u of %zu", major, minor, readings.count);
	return NULL;
}

/* ---- v2 ---------------------------------------------------------------------------------------- */

START_TEST(the_unified_hierarchy)
{
	const struct block_reading *disk;

	apply("cgroup.controllers = io memory\n"
	      "docker/web/io.stat = 8:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=7 dios=2\n"
	      "docker/web/io.stat += 259:3 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0 cost.wait=9 "
	      "cost.usage=5\n");
	open_and_read();
	ck_assert(block.unified);
	ck_assert_uint_eq(readings.count, 2);
	disk = device(8, 0);
	ck_assert_figure(disk, read_bytes, 1459200);
	ck_assert_figure(disk, written_bytes, 314773504);
	ck_assert_figure(disk, read_operations, 192);
	ck_assert_figure(disk, write_operations, 353);
	ck_assert_figure(disk, discarded_bytes, 7);
	ck_assert_figure(disk, discard_operations, 2);
	ck_assert_absent(disk, read_time_ns);
	ck_assert_figure(device(259, 3), read_bytes, 4096);
}
END_TEST

/* As kernels really write them: a device without figures, one that is gone. */
START_TEST(strange_lines_are_left_out)
{
	apply("cgroup.controllers = io\n"
	      "docker/web/io.stat = 7:7 7:6 7:5 8:0 rbytes=5 wios=x rios=\n"
	      "docker/web/io.stat += (unknown) rbytes=5\n"
	      "docker/web/io.stat += 8:16 \n"
	      "docker/web/io.stat += 8:\n"
	      "docker/web/io.stat += :\n"
	      "docker/web/io.stat += 99999999999:1 rbytes=5\n"
	      "docker/web/io.stat += 8:32 rbytes=-5 wbytes=99999999999999999999999 rbytes\n");
	open_and_read();
	for (size_t i = 0; i < readings.count; i++)
		ck_assert_msg(!(readings.all[i].valid & ~VALID(read_bytes)), "%u:%u has %#llx",
			      readings.all[i].major, readings.all[i].minor,
			      (unsigned long long)readings.all[i].valid);
	ck_assert_uint_eq(device(8, 16)->valid, 0);
	ck_assert_uint_eq(device(8, 32)->valid, 0);
}
END_TEST

/* ---- v1 ---------------------------------------------------------------------------------------- */

static const char throttle[] = "[blkio]\n"
			       "blkio.reset_stats =\n"
			       "blkio.throttle.io_service_bytes_recursive = 8:0 Read 1\n"
			       "blkio.throttle.io_serviced_recursive = 8:0 Read 1\n"
			       "[blkio/docker/web]\n"
			       "blkio.throttle.io_service_bytes_recursive = 8:0 Read 1459200\n"
			       "blkio.throttle.io_service_bytes_recursive += 8:0 Write 314773504\n"
			       "blkio.throttle.io_service_bytes_recursive += 8:0 Sync 5\n"
			       "blkio.throttle.io_service_bytes_recursive += 8:0 Discard 7\n"
			       "blkio.throttle.io_service_bytes_recursive += 8:0 Total 6\n"
			       "blkio.throttle.io_service_bytes_recursive += Total 6\n"
			       "blkio.throttle.io_serviced_recursive = 8:0 Read 192\n"
			       "blkio.throttle.io_serviced_recursive += 8:0 Write 353\n"
			       "blkio.throttle.io_serviced_recursive += Total 545\n";

START_TEST(v1_by_throttling)
{
	const struct block_reading *disk;

	apply(throttle);
	open_and_read();
	ck_assert(!block.unified);
	ck_assert_uint_eq(readings.count, 1);
	disk = device(8, 0);
	ck_assert_figure(disk, read_bytes, 1459200);
	ck_assert_figure(disk, written_bytes, 314773504);
	ck_assert_figure(disk, discarded_bytes, 7);
	ck_assert_figure(disk, read_operations, 192);
	ck_assert_figure(disk, write_operations, 353);
	ck_assert_absent(disk, discard_operations);
	ck_assert_absent(disk, read_time_ns);
}
END_TEST

/* Each has a device that the other does not count; of one that both do, throttling began later. */
START_TEST(v1_by_throttling_and_by_the_scheduler)
{
	apply(throttle);
	apply("[blkio]\n"
	      "blkio.bfq.io_service_bytes_recursive = 8:16 Read 0\n"
	      "blkio.bfq.io_service_time_recursive = 8:16 Read 0\n"
	      "[blkio/docker/web]\n"
	      "blkio.bfq.io_service_bytes_recursive = 8:16 Read 4096\n"
	      "blkio.bfq.io_service_bytes_recursive += 8:0 Read 1459201\n"
	      "blkio.bfq.io_service_time_recursive = 8:16 Read 55\n"
	      "blkio.bfq.io_service_time_recursive += 8:16 Write 66\n");
	open_and_read();
	ck_assert_uint_eq(readings.count, 2);
	ck_assert_figure(device(8, 16), read_bytes, 4096);
	ck_assert_figure(device(8, 16), read_time_ns, 55);
	ck_assert_figure(device(8, 16), write_time_ns, 66);
	ck_assert_absent(device(8, 16), read_operations);
	ck_assert_figure(device(8, 0), read_bytes, 1459201);
}
END_TEST

/* Where nothing is counted on any device, the cgroups' files are not opened at all. */
START_TEST(v1_counts_nothing)
{
	apply(throttle);
	apply("blkio/blkio.throttle.io_service_bytes_recursive = Total 0\n"
	      "blkio/blkio.throttle.io_serviced_recursive = Total 0\n");
	open_and_read();
	ck_assert_uint_eq(readings.count, 0);
	apply("blkio/blkio.throttle.io_service_bytes_recursive = 8:0 Read 0\n");
	read_web();
	ck_assert_uint_eq(readings.count, 1);
}
END_TEST

START_TEST(v1_of_old_kernels)
{
	apply("[blkio]\n"
	      "blkio.reset_stats =\n"
	      "blkio.throttle.io_service_bytes = 8:0 Read 1\n"
	      "blkio.io_serviced_recursive = 8:0 Read 1\n"
	      "[blkio/docker/web]\n"
	      "blkio.throttle.io_service_bytes = 8:0 Read 11\n"
	      "blkio.io_serviced_recursive = 8:0 Read 22\n");
	open_and_read();
	ck_assert_figure(device(8, 0), read_bytes, 11);
	ck_assert_figure(device(8, 0), read_operations, 22);
}
END_TEST

/* ---- Both -------------------------------------------------------------------------------------- */

START_TEST(no_controller_at_all)
{
	apply("cgroup.controllers = memory\nblkio/\n");
	ck_assert_int_eq(block_open(&block, tree.root, tree.root), -ENOENT);
}
END_TEST

START_TEST(a_cgroup_that_is_gone_has_no_figures)
{
	apply("cgroup.controllers = io\n");
	open_and_read();
	ck_assert_uint_eq(readings.count, 0);
}
END_TEST

START_TEST(many_devices)
{
	char *text = malloc(100000), *end = text;

	for (int i = 0; i < 1000; i++)
		end += sprintf(end, "253:%d rbytes=%d wbytes=0 rios=0 wios=0 dbytes=0 dios=0\n", i, i);
	apply("cgroup.controllers = io\n");
	ck_assert_int_eq(tree_write(&tree, "docker/web/io.stat", text), 0);
	open_and_read();
	ck_assert_uint_eq(readings.count, 1000);
	ck_assert_figure(device(253, 999), read_bytes, 999);
	free(text);
}
END_TEST

START_TEST(a_huge_file_is_left_out)
{
	char *huge = malloc(1 << 20);

	memset(huge, '1', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	apply("cgroup.controllers = io\n");
	ck_assert_int_eq(tree_write(&tree, "docker/web/io.stat", huge), 0);
	open_and_read();
	ck_assert_uint_eq(readings.count, 0);
	free(huge);
}
END_TEST

static void check_name(uint32_t major, uint32_t minor, const char *expected)
{
	char name[BLOCK_NAME_MAX];

	block_name(&block, major, minor, name);
	ck_assert_str_eq(name, expected);
}

START_TEST(devices_go_by_their_names)
{
	apply("cgroup.controllers = io\n"
	      "dev/block/254:0 -> ../../devices/pci0000:00/virtio1/block/vda\n"
	      "dev/block/8:0 -> sda\n");
	open_and_read();
	check_name(254, 0, "vda");
	check_name(254, 1, "254:1");
	check_name(8, 0, "8:0");
	check_name(UINT32_MAX, UINT32_MAX, "4294967295:4294967295");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("block");
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_unified_hierarchy);
	tcase_add_test(tcase, strange_lines_are_left_out);
	tcase_add_test(tcase, v1_by_throttling);
	tcase_add_test(tcase, v1_by_throttling_and_by_the_scheduler);
	tcase_add_test(tcase, v1_counts_nothing);
	tcase_add_test(tcase, v1_of_old_kernels);
	tcase_add_test(tcase, no_controller_at_all);
	tcase_add_test(tcase, a_cgroup_that_is_gone_has_no_figures);
	tcase_add_test(tcase, many_devices);
	tcase_add_test(tcase, a_huge_file_is_left_out);
	tcase_add_test(tcase, devices_go_by_their_names);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
