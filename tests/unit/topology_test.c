/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPU is of which socket and core: trees of /sys, and CPUs that go and come back.
 */
#include "../../common/topology.h"

#include <check.h>
#include <errno.h>

#include "tree.h"

#define CPUS 8

static struct tree tree;
static struct topology topology;

/* Sockets 4 and 2 in that order, cores of two threads; CPU 5 is offline. */
static const char host[] = "[devices/system/cpu]\n"
			   "cpu0/topology/physical_package_id = 4\ncpu0/topology/core_cpus_list = 0,6\n"
			   "cpu1/topology/physical_package_id = 4\ncpu1/topology/core_cpus_list = 1,7\n"
			   "cpu2/topology/physical_package_id = 2\ncpu2/topology/core_cpus_list = 2-3\n"
			   "cpu3/topology/physical_package_id = 2\ncpu3/topology/core_cpus_list = 2-3\n"
			   "cpu4/topology/physical_package_id = 2\ncpu4/topology/thread_siblings_list = 4\n"
			   "cpu6/topology/physical_package_id = 4\ncpu6/topology/core_cpus_list = 0,6\n"
			   "cpu7/topology/physical_package_id = 4\ncpu7/topology/core_cpus_list = 1,7\n";

static void apply(const char *text)
{
	char copy[2048];

	snprintf(copy, sizeof(copy), "%s", text);
	ck_assert_int_eq(tree_apply(&tree, copy), 0);
}

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	apply(host);
	ck_assert_int_eq(topology_read(&topology, tree.root, CPUS, NULL), 0);
}

static void tear_down(void)
{
	topology_clear(&topology);
	tree_close(&tree);
}

static int socket_of(uint32_t cpu)
{
	return topology.socket[topology.index_of_cpu[cpu]];
}

START_TEST(sockets_and_cores)
{
	static const int sockets[CPUS] = {4, 4, 2, 2, 2, 4, 4, 4};
	static const uint32_t cores[CPUS] = {0, 1, 2, 2, 4, 5, 0, 1};

	ck_assert_uint_eq(topology.socket_count, 2);
	ck_assert(topology.has_siblings);
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		ck_assert_msg(socket_of(cpu) == sockets[cpu], "CPU %u: socket %d", cpu, socket_of(cpu));
		ck_assert_msg(topology.core_of_cpu[cpu] == cores[cpu], "CPU %u: core %u", cpu,
			      topology.core_of_cpu[cpu]);
	}
	ck_assert_int_eq(topology_find_socket(&topology, 2), 1);
	ck_assert_int_eq(topology_find_socket(&topology, 0), -ENOENT);
	ck_assert_int_eq(topology_find_socket(&topology, ENERGY_SOCKET_NONE), -ENOENT);
}
END_TEST

START_TEST(a_host_that_tells_nothing)
{
	topology_clear(&topology);
	ck_assert_int_eq(tree_remove(&tree, "devices"), 0);
	ck_assert_int_eq(topology_read(&topology, tree.root, CPUS, NULL), 0);
	ck_assert_uint_eq(topology.socket_count, 1);
	ck_assert(!topology.has_siblings);
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		ck_assert_int_eq(socket_of(cpu), 0);
		ck_assert_uint_eq(topology.core_of_cpu[cpu], cpu);
	}
}
END_TEST

START_TEST(a_cpu_that_comes)
{
	apply("devices/system/cpu/cpu5/topology/physical_package_id = 2\n"
	      "devices/system/cpu/cpu5/topology/core_cpus_list = 4-5\n");
	topology_read_cpu(&topology, tree.root, 5);
	ck_assert_int_eq(socket_of(5), 2);
	ck_assert_uint_eq(topology.core_of_cpu[5], 4);
}
END_TEST

/* Its counts are its socket's already: elsewhere they would be missed there and be twice here. */
START_TEST(a_cpu_that_is_gone_again_stays_where_it_was)
{
	ck_assert_int_eq(tree_remove(&tree, "devices/system/cpu/cpu3"), 0);
	topology_read_cpu(&topology, tree.root, 3);
	ck_assert_int_eq(socket_of(3), 2);
}
END_TEST

START_TEST(a_socket_that_comes_is_not_added)
{
	apply("devices/system/cpu/cpu5/topology/physical_package_id = 9\n");
	topology_read_cpu(&topology, tree.root, 5);
	ck_assert_uint_eq(topology.socket_count, 2);
	ck_assert_int_eq(socket_of(5), 4);
}
END_TEST

START_TEST(sockets_past_those_told_apart)
{
	uint32_t cpus = ACCOUNT_SOCKETS_MAX + 2;
	char line[128];

	topology_clear(&topology);
	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		snprintf(line, sizeof(line), "devices/system/cpu/cpu%u/topology/physical_package_id = %u\n",
			 cpu, 100 + cpu);
		apply(line);
	}
	ck_assert_int_eq(topology_read(&topology, tree.root, cpus, NULL), 0);
	ck_assert_uint_eq(topology.socket_count, ACCOUNT_SOCKETS_MAX);
	ck_assert_int_eq(socket_of(ACCOUNT_SOCKETS_MAX - 1), 100 + ACCOUNT_SOCKETS_MAX - 1);
	ck_assert_int_eq(socket_of(ACCOUNT_SOCKETS_MAX), 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topology");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, sockets_and_cores);
	tcase_add_test(all, a_host_that_tells_nothing);
	tcase_add_test(all, a_cpu_that_comes);
	tcase_add_test(all, a_cpu_that_is_gone_again_stays_where_it_was);
	tcase_add_test(all, a_socket_that_comes_is_not_added);
	tcase_add_test(all, sockets_past_those_told_apart);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
