/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Whose it becomes, what is not known: energy of intervals that programs did not see all of, and what cgroups
 * use that are too many to be known.
 */
#include <check.h>
#include <stdlib.h>

#include "../../common/attribution.h"
#include "fake_kernel.h"

#define CPUS	1
#define CGROUPS 8
#define KNOWN	2
#define SECOND	1000000000ull

static struct kernel *kernel;
static struct topology topology;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct attribution attribution;
static struct energy_zone zone;
static uint64_t now_ns;

static void set_up(void)
{
	const struct attribution_rules rules = {.overlap_ratio_ppm = SMT_RATIO_DEFAULT,
						.idle_policy = LEDGER_IDLE_PROPORTIONAL};

	kernel = fake_kernel_new(CPUS, CGROUPS);
	topology = (struct topology){.cpu_count = CPUS, .socket_count = 1};
	topology.index_of_cpu = calloc(CPUS, sizeof(*topology.index_of_cpu));
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, NULL, &names, &groups, KNOWN);
	ck_assert_int_eq(attribution_init(&attribution, kernel, &topology, &cgroups, &groups, 1, &rules), 0);
	attribution.network = (struct network *)fake_traffic;
	fake_network_counted = NETWORK_TRAFFIC;
	zone = (struct energy_zone){.source = "powercap", .domain = ENERGY_PACKAGE, .valid = true};
	now_ns = 0;
}

static void tear_down(void)
{
	attribution_clear(&attribution);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	free(topology.index_of_cpu);
	kernel_close(kernel);
}

static void charge(uint32_t unseen, uint64_t uj)
{
	now_ns += SECOND;
	zone.delta_uj = uj;
	zone.elapsed_ns = SECOND;
	zone.read_ns = now_ns;
	attribution.unseen = unseen;
	attribution_charge(&attribution, &zone, now_ns);
}

static uint64_t energy(enum part part)
{
	return attribution.parts[part].used.energy_uj[ENERGY_PACKAGE];
}

static uint32_t run(uint64_t id, const char *path, uint64_t time_ns)
{
	uint32_t slot = fake_slot(kernel, id, 0);

	cgroups_add(&cgroups, id, path);
	fake_usage(kernel, 0, slot)->time_ns += time_ns;
	return slot;
}

START_TEST(energy_of_what_was_not_seen_is_nobodys)
{
	run(5, "/lxc.payload.web", SECOND / 2);
	charge(0, 1000);
	ck_assert_uint_eq(energy(PART_CONTAINER), 1000);
	ck_assert(!attribution.time_gap);
	run(5, "/lxc.payload.web", SECOND / 4);
	charge(1u << ATTRIBUTION_CPU, 700);
	ck_assert_uint_eq(energy(PART_CONTAINER), 1000);
	ck_assert_uint_eq(energy(PART_UNATTRIBUTED), 700);
	ck_assert_msg(attribution.parts[PART_CONTAINER].used.cpu_ns == SECOND / 4 * 3,
		      "time that was seen is told");
	ck_assert_msg(attribution.time_gap && attribution.counters_gap, "but no rate of it");
}
END_TEST

/* What was seen in part weighs nothing later. */
START_TEST(the_next_interval_is_divided_again)
{
	run(5, "/lxc.payload.web", SECOND);
	charge(1u << ATTRIBUTION_CPU, 700);
	run(6, "/system.slice/nginx.service", SECOND / 8);
	charge(0, 300);
	ck_assert_uint_eq(energy(PART_SYSTEM), 300);
	ck_assert_uint_eq(energy(PART_CONTAINER), 0);
	ck_assert_uint_eq(energy(PART_UNATTRIBUTED), 700);
}
END_TEST

/* The network's programs have nothing to do with energy. */
START_TEST(another_source_that_did_not_see_all_changes_nothing)
{
	run(5, "/lxc.payload.web", SECOND);
	charge(1u << ATTRIBUTION_NETWORK | 1u << ATTRIBUTION_FILE_IO, 500);
	ck_assert_uint_eq(energy(PART_CONTAINER), 500);
	ck_assert(!attribution.time_gap);
}
END_TEST

START_TEST(what_is_too_much_to_be_known_is_the_others)
{
	uint32_t slot;

	run(5, "/lxc.payload.web", 1000);
	run(6, "/lxc.payload.db", 1000);
	slot = run(7, "/lxc.payload.third", 5000);
	ck_assert_msg(!cgroups_find(&cgroups, 7), "there is room for %d", KNOWN);
	fake_traffic[slot].tcp_sent_bytes = 77;
	charge(0, 7000);
	ck_assert_uint_eq(attribution.parts[PART_OTHER].used.cpu_ns, 5000);
	ck_assert_uint_eq(attribution.parts[PART_OTHER].used.network.tcp_sent_bytes, 77);
	ck_assert_uint_eq(energy(PART_OTHER), 5000);
	ck_assert_uint_eq(attribution.owners_refused, 1);
}
END_TEST

/* One that ran and ended unheard of has no name, and keeps no slot. */
START_TEST(what_is_gone_gives_its_slot_back)
{
	uint32_t slot = fake_slot(kernel, 9, 0);

	fake_usage(kernel, 0, slot)->time_ns += 3000;
	charge(0, 3);
	ck_assert_uint_eq(attribution.parts[PART_SYSTEM].used.cpu_ns, 3000);
	charge(0, 3);
	ck_assert_uint_eq(kernel_slot_owner(kernel, slot), 0);
	ck_assert_uint_eq(attribution.slots_owned, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unseen");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, energy_of_what_was_not_seen_is_nobodys);
	tcase_add_test(tcase, the_next_interval_is_divided_again);
	tcase_add_test(tcase, another_source_that_did_not_see_all_changes_nothing);
	tcase_add_test(tcase, what_is_too_much_to_be_known_is_the_others);
	tcase_add_test(tcase, what_is_gone_gives_its_slot_back);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
