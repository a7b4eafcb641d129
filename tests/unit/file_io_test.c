/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What slots read and wrote: whose it becomes, and that the parts are the whole.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/attribution.h"
#include "fake_kernel.h"

#define CPUS	3
#define CGROUPS 8

static struct kernel *kernel;
static struct topology topology;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct attribution attribution;

static void set_up(void)
{
	const struct attribution_rules rules = {.overlap_ratio_ppm = SMT_RATIO_DEFAULT};

	kernel = fake_kernel_new(CPUS, CGROUPS);
	topology = (struct topology){.cpu_count = CPUS, .socket_count = 1};
	topology.index_of_cpu = calloc(CPUS, sizeof(*topology.index_of_cpu));
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, NULL, &names, &groups, CGROUPS);
	ck_assert_int_eq(attribution_init(&attribution, kernel, &topology, &cgroups, &groups, 0, &rules), 0);
	attribution.file_io = (struct file_io *)fake_file_io;
	memset(fake_file_io, 0, sizeof(fake_file_io));
}

static void tear_down(void)
{
	attribution_clear(&attribution);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	free(topology.index_of_cpu);
	kernel_close(kernel);
}

static void use(uint32_t slot, uint64_t bytes)
{
	struct file_io_usage *used = &fake_file_io[slot];

	used->read_bytes += bytes;
	used->written_bytes += 2 * bytes;
	used->reads += 3 * bytes;
	used->writes += 4 * bytes;
}

static void check(const struct account *account, uint64_t bytes)
{
	const struct file_io_usage *used = &account->used.file_io;

	ck_assert_uint_eq(used->read_bytes, bytes);
	ck_assert_uint_eq(used->written_bytes, 2 * bytes);
	ck_assert_uint_eq(used->reads, 3 * bytes);
	ck_assert_uint_eq(used->writes, 4 * bytes);
}

static uint32_t run(const char *path, uint64_t id)
{
	ck_assert(cgroups_add(&cgroups, id, path));
	return fake_slot(kernel, id, 0);
}

START_TEST(it_goes_to_the_group_and_its_part)
{
	uint32_t web = run("/lxc.payload.web", 5), nested = run("/lxc.payload.web/init", 6);
	uint32_t unit = run("/system.slice/nginx.service", 7);

	use(web, 100);
	use(web, 11);
	use(nested, 1000);
	use(unit, 7);
	use(CPU_SLOT_KERNEL, 3);
	use(CPU_SLOT_OTHER, 4);
	attribution_charge(&attribution, NULL, 1);
	attribution_charge(&attribution, NULL, 2);
	check(&cgroups_find(&cgroups, 5)->group->account, 1111);
	check(&cgroups_find(&cgroups, 7)->group->account, 7);
	check(&attribution.parts[PART_CONTAINER], 1111);
	check(&attribution.parts[PART_SYSTEM], 7);
	check(&attribution.parts[PART_KERNEL], 3);
	check(&attribution.parts[PART_OTHER], 4);
	check(&attribution.parts[PART_IDLE], 0);
	use(web, 9);
	attribution_charge(&attribution, NULL, 3);
	check(&attribution.parts[PART_CONTAINER], 1120);
}
END_TEST

/* The next owner of a slot does not get what the one before used. */
START_TEST(a_slot_changes_its_owner)
{
	uint32_t slot = run("/lxc.payload.web", 5);

	use(slot, 100);
	attribution_charge(&attribution, NULL, 1);
	use(slot, 10);
	cgroups_remove(&cgroups, 5, 1);
	attribution_charge(&attribution, NULL, 1000000000);
	ck_assert_uint_eq(run("/lxc.payload.db", 6), slot);
	use(slot, 1);
	attribution_charge(&attribution, NULL, 1000000001);
	check(&cgroups_find(&cgroups, 6)->group->account, 1);
	check(&attribution.parts[PART_CONTAINER], 111);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file_io");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, it_goes_to_the_group_and_its_part);
	tcase_add_test(tcase, a_slot_changes_its_owner);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
