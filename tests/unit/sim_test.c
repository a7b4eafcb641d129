/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The arithmetic of the RAPL simulator: what it calls the truth must be true, or every test held against
 * it is worth nothing. Reads and writes nothing.
 */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/cputime.h"
#include "../sim/model.h"

#define NS_PER_S  1000000000ULL
#define UJ_PER_J  1000000ULL
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static const struct sim_watts defaults = {.idle = 10, .busy = 20, .dram_idle = 2, .dram_busy = 3};

static struct sim_model model_of(unsigned int sockets)
{
	struct sim_model model;

	sim_model_set(&model, sockets, &defaults);
	return model;
}

/* ---- Energy ------------------------------------------------------------------------------------ */

/* 10 s; socket 0 busy for 4 CPU seconds, socket 1 for 15 (two CPUs). Worked out by hand. */
static const struct {
	enum sim_domain domain;
	unsigned int socket;
	uint64_t uj;
} energies[] = {
    {SIM_PACKAGE, 0, 180 * UJ_PER_J},				    /* 10 W * 10 s + 20 W * 4 s */
    {SIM_PACKAGE, 1, 400 * UJ_PER_J},				    /* 10 W * 10 s + 20 W * 15 s */
    {SIM_CORE, 0, 64 * UJ_PER_J},				    /* 0.8 * 80 J */
    {SIM_CORE, 1, 240 * UJ_PER_J},				    /* 0.8 * 300 J */
    {SIM_UNCORE, 0, 10 * UJ_PER_J},				    /* 0.1 * 100 J */
    {SIM_UNCORE, 1, 10 * UJ_PER_J},   {SIM_DRAM, 0, 32 * UJ_PER_J}, /* 2 W * 10 s + 3 W * 4 s */
    {SIM_DRAM, 1, 65 * UJ_PER_J},				    /* 2 W * 10 s + 3 W * 15 s */
    {SIM_PSYS, 0, 866250 * 1000ULL}, /* 1.25 * (180 + 400 + 32 + 65) J + 2 W * 10 s */
};

START_TEST(energy_follows_the_stated_model)
{
	struct sim_model model = model_of(2);
	struct sim_span span = {10 * NS_PER_S, {4 * NS_PER_S, 15 * NS_PER_S}};

	ck_assert_uint_eq(sim_uj(sim_energy(&model, &span, energies[_i].domain, energies[_i].socket)),
			  energies[_i].uj);
}
END_TEST

START_TEST(idle_is_the_part_without_busy_time)
{
	struct sim_model model = model_of(2);
	struct sim_span span = {10 * NS_PER_S, {4 * NS_PER_S, 15 * NS_PER_S}};

	ck_assert_uint_eq(sim_uj(sim_idle_energy(&model, &span, SIM_PACKAGE)), 200 * UJ_PER_J);
	ck_assert_uint_eq(sim_uj(sim_idle_energy(&model, &span, SIM_CORE)), 0);
	ck_assert_uint_eq(sim_uj(sim_idle_energy(&model, &span, SIM_UNCORE)), 20 * UJ_PER_J);
	ck_assert_uint_eq(sim_uj(sim_idle_energy(&model, &span, SIM_DRAM)), 40 * UJ_PER_J);
	ck_assert_uint_eq(sim_uj(sim_idle_energy(&model, &span, SIM_PSYS)), 320 * UJ_PER_J);
}
END_TEST

START_TEST(core_and_uncore_stay_within_package)
{
	struct sim_model model = model_of(1);

	for (uint64_t busy = 0; busy <= 64; busy++) {
		struct sim_span span = {NS_PER_S, {busy * NS_PER_S}};

		ck_assert(sim_energy(&model, &span, SIM_CORE, 0) + sim_energy(&model, &span, SIM_UNCORE, 0) <=
			  sim_energy(&model, &span, SIM_PACKAGE, 0));
	}
}
END_TEST

/* Steps of 7 ns at odd powers: each is far below a microjoule, and none may be lost. */
START_TEST(a_million_small_steps_lose_nothing)
{
	static const struct sim_watts odd = {0.333333333, 1.234567891, 0.1, 0.7};
	const uint64_t steps = 1000000;
	const struct sim_span step = {7, {3, 1}};
	const struct sim_span at_once = {7 * steps, {3 * steps, steps}};
	struct sim_model model;
	struct sim_span total = {0};
	uint64_t shown = 0;

	sim_model_set(&model, 2, &odd);
	for (uint64_t i = 0; i < steps; i++) {
		sim_span_add(&total, &step, 2);

		uint64_t now = sim_uj(sim_energy(&model, &total, SIM_PACKAGE, 0));

		ck_assert_uint_ge(now, shown);
		shown = now;
	}
	for (enum sim_domain d = SIM_PACKAGE; d < SIM_DOMAIN_COUNT; d++)
		for (unsigned int s = 0; s < 2; s++)
			ck_assert(sim_energy(&model, &total, d, s) == sim_energy(&model, &at_once, d, s));
	/* 0.333333333 W * 7 ms + 1.234567891 W * 3 ms = 6037.037... uJ */
	ck_assert_uint_eq(shown, 6037);
}
END_TEST

/* ---- The counter ------------------------------------------------------------------------------- */

static const struct {
	uint64_t start_uj, energy_uj, range_uj, shown_uj;
} counters[] = {
    {0, 0, 1000, 0},
    {0, 999, 1000, 999},
    {0, 1000, 1000, 0},
    {0, 1001, 1000, 1},
    {999, 0, 1000, 999},
    {999, 1, 1000, 0},
    {999, 2, 1000, 1},
    {500, 10500, 1000, 0},
    {0, 5000, 0, 5000},
    {7, 5000, 0, 5007},
    {0, 0, 1, 0},
    {0, 5, 1, 0},
    {0, 262143328849, 262143328850, 262143328849},
    {1, 262143328849, 262143328850, 0},
};

START_TEST(counter_wraps_at_its_range)
{
	sim_aj energy = (sim_aj)counters[_i].energy_uj * SIM_AJ_PER_UJ;

	ck_assert_uint_eq(sim_counter_uj(counters[_i].start_uj, energy, counters[_i].range_uj),
			  counters[_i].shown_uj);
	/* A microjoule that is not whole yet is not shown. */
	ck_assert_uint_eq(
	    sim_counter_uj(counters[_i].start_uj, energy + SIM_AJ_PER_UJ - 1, counters[_i].range_uj),
	    counters[_i].shown_uj);
}
END_TEST

/* A reader that adds range - old + new at each step back gets the energy, over thousands of wraps. */
START_TEST(readers_of_a_wrapping_counter_get_it_all)
{
	const uint64_t range_uj = 65535, start_uj = 65000;
	struct sim_model model = model_of(1);
	struct sim_span total = {0};
	uint64_t sum_uj = 0, old_uj = start_uj, wraps = 0;

	for (unsigned int i = 0; i < 100000; i++) {
		struct sim_span step = {1000003, {i % 2 ? 999983 : 0}};

		sim_span_add(&total, &step, 1);

		uint64_t new_uj =
		    sim_counter_uj(start_uj, sim_energy(&model, &total, SIM_PACKAGE, 0), range_uj);

		ck_assert_uint_lt(new_uj, range_uj);
		sum_uj += new_uj >= old_uj ? new_uj - old_uj : range_uj - old_uj + new_uj;
		wraps += new_uj < old_uj;
		old_uj = new_uj;
	}
	ck_assert_uint_gt(wraps, 10000);
	ck_assert_uint_eq(sum_uj, sim_uj(sim_energy(&model, &total, SIM_PACKAGE, 0)));
}
END_TEST

/* ---- Shares ------------------------------------------------------------------------------------ */

START_TEST(share_is_exact_and_does_not_overflow)
{
	const sim_aj most = (sim_aj)1 << 110;

	ck_assert(sim_share(1000, 1, 3) == 333);
	ck_assert(sim_share(1000, 3, 3) == 1000);
	ck_assert(sim_share(1000, 0, 3) == 0);
	ck_assert(sim_share(most, UINT64_MAX, UINT64_MAX) == most);
	ck_assert(sim_share(most, UINT64_MAX / 2 + 1, UINT64_MAX) >= most / 2);
}
END_TEST

/*
 * Three cgroups that make all of the busy time between them, unevenly and changing: their shares are the
 * zones, less the idle part for the dynamic ones.
 */
START_TEST(shares_sum_up_to_the_zones)
{
	struct sim_model model = model_of(2);
	struct sim_account accounts[3] = {0};
	struct sim_span total = {0};
	const uint64_t steps = 100000;

	srand(1);
	for (uint64_t i = 0; i < steps; i++) {
		struct sim_span step = {.elapsed_ns = 50000000 + (uint64_t)rand() % 1000000};

		for (unsigned int c = 0; c < 3; c++) {
			/* One at least is busy on each socket, so that no step's idle part goes uncharged. */
			uint64_t used_ns[2] = {(uint64_t)rand() % 30000000 + 1, (uint64_t)rand() % 977 + 1};

			if (c && rand() % 4 == 0)
				used_ns[0] = 0;
			step.busy_ns[0] += used_ns[0];
			step.busy_ns[1] += used_ns[1];
			sim_account_use(&accounts[c], used_ns, 2);
		}
		for (unsigned int c = 0; c < 3; c++)
			sim_account_charge(&model, &step, &accounts[c]);
		sim_span_add(&total, &step, 2);
	}
	for (enum sim_domain d = SIM_PACKAGE; d < SIM_DOMAIN_COUNT; d++) {
		sim_aj zones = sim_energy(&model, &total, d, 0);
		sim_aj proportional = 0, dynamic = 0;

		if (d != SIM_PSYS)
			zones += sim_energy(&model, &total, d, 1);
		for (unsigned int c = 0; c < 3; c++) {
			proportional += accounts[c].proportional_aj[d];
			dynamic += sim_account_dynamic(&model, &accounts[c], d);
		}
		ck_assert(dynamic + sim_idle_energy(&model, &total, d) == zones);
		/* Rounded down by less than 1 aJ for each step, socket and cgroup. */
		ck_assert(proportional <= zones);
		ck_assert(zones - proportional <= steps * 2 * 3);
	}
}
END_TEST

START_TEST(charge_by_hand)
{
	struct sim_model model = model_of(2);
	struct sim_span step = {NS_PER_S, {NS_PER_S, NS_PER_S / 2}};
	struct sim_account account = {0};
	uint64_t used_ns[2] = {NS_PER_S / 4, NS_PER_S / 2};

	sim_account_use(&account, used_ns, 2);
	sim_account_charge(&model, &step, &account);
	ck_assert_uint_eq(account.cpu_ns, 3 * NS_PER_S / 4);
	/* A quarter of 30 J, and all of 20 J. */
	ck_assert_uint_eq(sim_uj(account.proportional_aj[SIM_PACKAGE]), 27500000);
	/* A quarter of 5 J, and all of 3.5 J. */
	ck_assert_uint_eq(sim_uj(account.proportional_aj[SIM_DRAM]), 4750000);
	/* Half the busy time: half of 1.25 * (30 + 20 + 5 + 3.5) + 2 J. */
	ck_assert_uint_eq(sim_uj(account.proportional_aj[SIM_PSYS]), 37562500);
	ck_assert_uint_eq(sim_uj(sim_account_dynamic(&model, &account, SIM_PACKAGE)), 15000000);
	ck_assert_uint_eq(sim_uj(sim_account_dynamic(&model, &account, SIM_CORE)), 12000000);
	ck_assert_uint_eq(sim_uj(sim_account_dynamic(&model, &account, SIM_UNCORE)), 0);
	ck_assert_uint_eq(sim_uj(sim_account_dynamic(&model, &account, SIM_DRAM)), 2250000);
}
END_TEST

/* A tick can fall between reading the cgroup and the host: it counts one step later, not never. */
START_TEST(more_than_the_host_waits_for_the_next_step)
{
	struct sim_model model = model_of(1);
	struct sim_account account = {0};
	struct sim_span idle = {NS_PER_S, {0}}, busy = {NS_PER_S, {600}};
	uint64_t used_ns[1] = {1000};

	sim_account_use(&account, used_ns, 1);
	sim_account_charge(&model, &idle, &account);
	ck_assert_uint_eq(account.charged_ns[0], 0);
	ck_assert(account.proportional_aj[SIM_PACKAGE] == 0);
	sim_account_charge(&model, &busy, &account);
	ck_assert_uint_eq(account.charged_ns[0], 600);
	ck_assert(account.proportional_aj[SIM_PACKAGE] == sim_energy(&model, &busy, SIM_PACKAGE, 0));
	sim_account_charge(&model, &busy, &account);
	ck_assert_uint_eq(account.charged_ns[0], 1000);
	ck_assert_uint_eq(account.pending_ns[0], 0);
	ck_assert_uint_eq(account.cpu_ns, 1000);
}
END_TEST

START_TEST(unsplit_time_lies_as_all_busy_time_does)
{
	struct sim_model model = model_of(3);
	struct sim_account account = {0};
	struct sim_span idle = {NS_PER_S, {0}}, busy = {NS_PER_S, {1000, 0, 2001}};

	sim_account_use_unsplit(&account, 1000);
	sim_account_charge(&model, &idle, &account);
	ck_assert_uint_eq(account.unsplit_ns, 1000);
	sim_account_charge(&model, &busy, &account);
	ck_assert_uint_eq(account.unsplit_ns, 0);
	ck_assert_uint_eq(account.charged_ns[0], 333);
	ck_assert_uint_eq(account.charged_ns[1], 0);
	ck_assert_uint_eq(account.charged_ns[2], 667);
	ck_assert_uint_eq(account.cpu_ns, 1000);
}
END_TEST

static const struct {
	const char *what;
	uint64_t id, now_ns, delta_ns;
} readings[] = {
    {"appears: all that it says is new", 5, 100, 100},
    {"goes on", 5, 150, 50},
    {"stands still", 5, 150, 0},
    {"seems to go back: nothing, and the base stays", 5, 140, 0},
    {"goes on from the base", 5, 160, 10},
    {"another cgroup under the path, further on than the last", 6, 500, 500},
    {"another one, less far", 7, 20, 20},
};

START_TEST(cgroups_come_and_go)
{
	struct sim_reading last = {0};

	for (size_t i = 0; i < COUNT(readings); i++) {
		uint64_t delta_ns;

		sim_reading_advance(&last, readings[i].id, &readings[i].now_ns, 1, &delta_ns);
		ck_assert_msg(delta_ns == readings[i].delta_ns, "%s: expected %" PRIu64 ", got %" PRIu64,
			      readings[i].what, readings[i].delta_ns, delta_ns);
	}
}
END_TEST

/* ---- What the machine says --------------------------------------------------------------------- */

static const struct {
	const char *text;
	int error;
	unsigned int count, last;
} lists[] = {
    {"0\n", 0, 1, 0},	      {"0-3\n", 0, 4, 3},
    {"0-1,4,8-9\n", 0, 5, 9}, {"7", 0, 1, 7},
    {"\n", -EINVAL, 0, 0},    {"", -EINVAL, 0, 0},
    {"a\n", -EINVAL, 0, 0},   {"0-3x\n", -EINVAL, 0, 0},
    {"3-1\n", -ERANGE, 0, 0}, {"0-4096\n", -ERANGE, 0, 0},
    {"1,1\n", -EINVAL, 0, 0},
};

START_TEST(cpu_lists)
{
	static struct cpu_list list;
	int error = cpu_list_parse(lists[_i].text, &list);
	char *printed = NULL;
	size_t size;
	FILE *out;

	ck_assert_int_eq(error, lists[_i].error);
	if (error)
		return;
	ck_assert_uint_eq(list.count, lists[_i].count);
	ck_assert_uint_eq(list.cpu[list.count - 1], lists[_i].last);
	out = open_memstream(&printed, &size);
	cpu_list_print(out, &list);
	fclose(out);
	ck_assert(!strncmp(printed, lists[_i].text, strlen(lists[_i].text)));
	free(printed);
}
END_TEST

/* CPUs 0, 1, 4 and 5 online of 0 to 5, over two sockets, ticks of 10 ms. */
static struct cputime *four_cpus(void)
{
	static struct cputime cputime;

	cputime.tick_ns = 10000000;
	ck_assert_int_eq(cpu_list_parse("0-1,4-5", &cputime.online), 0);
	ck_assert_int_eq(cpu_list_parse("0-5", &cputime.possible), 0);
	cputime_deal(&cputime, 2);
	return &cputime;
}

START_TEST(cpus_are_dealt_out_in_order)
{
	const struct cputime *cputime = four_cpus();

	ck_assert_int_eq(cputime->socket_of[0], 0);
	ck_assert_int_eq(cputime->socket_of[1], 0);
	ck_assert_int_eq(cputime->socket_of[2], -1);
	ck_assert_int_eq(cputime->socket_of[4], 1);
	ck_assert_int_eq(cputime->socket_of[5], 1);
}
END_TEST

START_TEST(usage_percpu)
{
	uint64_t busy_ns[SIM_SOCKETS_MAX];
	const struct cputime *cputime = four_cpus();

	ck_assert_int_eq(cputime_parse_percpu(cputime, "1 20 300 4000 50000 600000 \n", busy_ns), 0);
	ck_assert_uint_eq(busy_ns[0], 21);
	ck_assert_uint_eq(busy_ns[1], 650000);
	ck_assert_int_eq(cputime_parse_percpu(cputime, "1 20 300\n", busy_ns), -EINVAL);
	ck_assert_int_eq(cputime_parse_percpu(cputime, "1 2 3 4 5 6 7\n", busy_ns), -EINVAL);
	ck_assert_int_eq(cputime_parse_percpu(cputime, "1 2 3 4 5 -6\n", busy_ns), -EINVAL);
	ck_assert_int_eq(cputime_parse_percpu(cputime, "", busy_ns), -EINVAL);
}
END_TEST

START_TEST(proc_stat)
{
	static const char text[] = "cpu  99 99 99 99 99 99 99 99 0 0\n"
				   "cpu0 1 2 3 1000 2000 4 5 9000 0 0\n"
				   "cpu1 10 0 0 0 0 0 0 0 0 0\n"
				   "cpu4 0 0 100 7 7 0 0 7 0 0\n"
				   "intr 1 2 3\n"
				   "cpu5 50 0 0 0 0 0 0 0 0 0\n";
	uint64_t busy_ns[SIM_SOCKETS_MAX];

	ck_assert_int_eq(cputime_parse_stat(four_cpus(), text, busy_ns), 0);
	ck_assert_uint_eq(busy_ns[0], 25 * 10000000ULL);
	ck_assert_uint_eq(busy_ns[1], 100 * 10000000ULL); /* cpu5 stands where no CPU line belongs */
	ck_assert_int_eq(cputime_parse_stat(four_cpus(), "intr 1\n", busy_ns), -EINVAL);
}
END_TEST

START_TEST(cpu_stat_of_v2)
{
	uint64_t usage_ns;

	ck_assert_int_eq(cputime_parse_usage_usec("usage_usec 42\nuser_usec 1\n", &usage_ns), 0);
	ck_assert_uint_eq(usage_ns, 42000);
	ck_assert_int_eq(cputime_parse_usage_usec("x 1\nusage_usec 7\n", &usage_ns), 0);
	ck_assert_uint_eq(usage_ns, 7000);
	ck_assert_int_eq(cputime_parse_usage_usec("nr_periods 0\n", &usage_ns), -ENOENT);
	ck_assert_int_eq(cputime_parse_usage_usec("", &usage_ns), -ENOENT);
}
END_TEST

#define LINE_ROOT "31 23 0:28 / / rw,relatime - ext4 /dev/vda rw\n"

static const struct {
	const char *what, *text, *mount;
} mounts[] = {
    {"alone", LINE_ROOT "33 31 0:30 / /cg/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n", "/cg/cpuacct"},
    {"with cpu, shared", "33 31 0:30 / /cg/both rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n", "/cg/both"},
    {"cpu alone", LINE_ROOT "33 31 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu\n", NULL},
    {"v2", LINE_ROOT "33 31 0:30 / /cg rw - cgroup2 cgroup2 rw,cpuacct\n", NULL},
    {"a part of it", "33 31 0:30 /docker/1 /cg/cpuacct rw - cgroup cgroup rw,cpuacct\n", NULL},
    {"nothing", "", NULL},
};

START_TEST(mountinfo)
{
	char text[512], mount[64];

	snprintf(text, sizeof(text), "%s", mounts[_i].text);

	int error = cputime_parse_mountinfo(text, mount, sizeof(mount));

	ck_assert_msg(error == (mounts[_i].mount ? 0 : -ENOENT), "%s: got %d", mounts[_i].what, error);
	if (!error)
		ck_assert_str_eq(mount, mounts[_i].mount);
}
END_TEST

static Suite *sim_suite(void)
{
	Suite *suite = suite_create("sim");
	TCase *model = tcase_create("model");
	TCase *machine = tcase_create("machine");

	tcase_add_loop_test(model, energy_follows_the_stated_model, 0, COUNT(energies));
	tcase_add_test(model, idle_is_the_part_without_busy_time);
	tcase_add_test(model, core_and_uncore_stay_within_package);
	tcase_add_test(model, a_million_small_steps_lose_nothing);
	tcase_add_loop_test(model, counter_wraps_at_its_range, 0, COUNT(counters));
	tcase_add_test(model, readers_of_a_wrapping_counter_get_it_all);
	tcase_add_test(model, share_is_exact_and_does_not_overflow);
	tcase_add_test(model, shares_sum_up_to_the_zones);
	tcase_add_test(model, charge_by_hand);
	tcase_add_test(model, more_than_the_host_waits_for_the_next_step);
	tcase_add_test(model, unsplit_time_lies_as_all_busy_time_does);
	tcase_add_test(model, cgroups_come_and_go);
	tcase_add_loop_test(machine, cpu_lists, 0, COUNT(lists));
	tcase_add_test(machine, cpus_are_dealt_out_in_order);
	tcase_add_test(machine, usage_percpu);
	tcase_add_test(machine, proc_stat);
	tcase_add_test(machine, cpu_stat_of_v2);
	tcase_add_loop_test(machine, mountinfo, 0, COUNT(mounts));
	tcase_set_timeout(model, 60);
	suite_add_tcase(suite, model);
	suite_add_tcase(suite, machine);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(sim_suite());

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? 1 : 0;
}
