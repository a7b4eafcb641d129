/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The ledger closes: random hosts, and after each interval every nanosecond that the fake kernel counted and
 * every microjoule that the zones tell is somebody's, exactly. What each is charged with is computed here a
 * second time, in another way.
 */
#include "random_host.h"

#include <search.h>

#define SLOTS_MAX   (CPU_SLOT_FIRST + HOST_CGROUPS_MAX)
#define PARTIES_MAX 128
#define INTERVALS   250 /* of one seed */
#define SEEDS	    40	/* of one fixed test */

static uint64_t checks; /* of a zone in an interval */

/* ---- The same once more ------------------------------------------------------------------------ */

/* What is expected of a group. */
struct known {
	struct group *group;
	enum part part;
	struct account_sums used;
};
static struct known known[PARTIES_MAX];
static size_t known_count;
static struct account_sums dropped[PART_COUNT]; /* what groups had that are forgotten */

/* Who takes part in the interval: what each claims, had before it, and is to get of it. */
struct party {
	struct account *account;
	bool bears;
	uint64_t weight[HOST_SOCKETS_MAX], misses[HOST_SOCKETS_MAX];
	uint64_t before[ENERGY_DOMAIN_COUNT];
	uint64_t least[ENERGY_DOMAIN_COUNT], most[ENERGY_DOMAIN_COUNT];
};
static struct party parties[PARTIES_MAX];
static size_t party_count;
static struct account_sums parts[PART_COUNT]; /* expected, but for energy */
static uint64_t busy_ns[HOST_SOCKETS_MAX], idle_ns[HOST_SOCKETS_MAX];
static struct cpu_usage counted[SLOTS_MAX][HOST_SOCKETS_MAX]; /* charged so far */
static uint64_t counters_failed;
static bool whole; /* no reading of a counter failed in the interval */
static uint64_t unattributed[ENERGY_DOMAIN_COUNT];
static struct idle_power learned[HOST_ZONES_MAX];

static struct known *known_of(struct group *group)
{
	for (size_t i = 0; i < known_count; i++)
		if (known[i].group == group)
			return &known[i];
	must(known_count < PARTIES_MAX);
	known[known_count] = (struct known){.group = group, .part = group_part(group)};
	return &known[known_count++];
}

static struct party *party_of(struct account *account)
{
	for (size_t i = 0; i < party_count; i++)
		if (parties[i].account == account)
			return &parties[i];
	must(party_count < PARTIES_MAX);

	struct party *party = &parties[party_count++];

	*party = (struct party){.account = account};
	memcpy(party->before, account->used.energy_uj, sizeof(party->before));
	return party;
}

/* amount * (time - overlap * (1 - ratio)) / time, in one step. */
static uint64_t weight_by_formula(const struct cpu_usage *used)
{
	bool cycles = whole && kernel->counter_mask & 1u << CPU_COUNTER_CYCLES;
	uint64_t amount = cycles ? used->counter[CPU_COUNTER_CYCLES] : used->time_ns;
	uint32_t ratio = attribution.rules.overlap_ratio_ppm;
	unsigned __int128 millionths = (unsigned __int128)used->time_ns * SMT_PPM;

	millionths -= (unsigned __int128)used->overlap_ns * (ratio < SMT_PPM ? SMT_PPM - ratio : 0);
	return (uint64_t)(amount * millionths / ((unsigned __int128)used->time_ns * SMT_PPM));
}

/*
 * A container goes by its path's name, another one by its own; where two of one name live, by that and a
 * hash. Of one that is gone nothing is known here.
 */
static void check_identity(uint64_t id, const struct group *group)
{
	struct identity identity;

	for (size_t i = 0; i < FAKE_CGROUPS; i++) {
		if (fake_cgroups[i].id != id)
			continue;
		identity_from_path(fake_cgroups[i].path, &identity);
		must(group->kind == identity.kind);
		if (group->named)
			fake_name(&identity);
		must(strncmp(group->name, identity.name, strlen(identity.name)) == 0);
		must(strchr("~", group->name[strlen(identity.name)]));
	}
}

/* Whose slot it is, by the attribution's own list of cgroups; the account of those past the limit if none's.
 */
static struct account *account_of(uint32_t slot, enum part *part)
{
	static const enum part reserved[] = {PART_IDLE, PART_KERNEL, PART_OTHER};
	const struct cgroup *cgroup;

	if (slot < CPU_SLOT_FIRST) {
		*part = reserved[slot];
		return &attribution.parts[*part];
	}
	cgroup = cgroups_find(&cgroups, kernel->owners[slot]);
	if (!cgroup) {
		must(cgroups.count == cgroups.most);
		*part = PART_OTHER;
		return &attribution.parts[PART_OTHER];
	}
	check_identity(cgroup->id, cgroup->group);
	*part = cgroup->group->kind == IDENTITY_CONTAINER ? PART_CONTAINER : PART_SYSTEM;
	return &cgroup->group->account;
}

static void expect(struct account *account, enum part part, size_t socket, const struct cpu_usage *used)
{
	struct account_sums *sums[2] = {&parts[part], NULL};

	if (part == PART_IDLE) {
		idle_ns[socket] += used->time_ns;
		parts[PART_IDLE].cpu_ns += used->time_ns;
		return;
	}

	struct party *party = party_of(account);
	uint64_t weight = weight_by_formula(used);

	if (account != &attribution.parts[part])
		sums[1] = &known_of(group_of(account))->used;
	for (int i = 0; i < 2 && sums[i]; i++) {
		sums[i]->cpu_ns += used->time_ns;
		sums[i]->overlap_ns += used->overlap_ns;
		sums[i]->weight += weight;
		for (int counter = 0; counter < CPU_COUNTERS; counter++)
			sums[i]->counter[counter] += used->counter[counter];
	}
	party->weight[socket] += weight;
	party->misses[socket] += used->counter[CPU_COUNTER_CACHE_MISSES];
	busy_ns[socket] += used->time_ns;
}

/* All that were there when energy is about to be charged. */
static void find_bearers(void)
{
	for (size_t i = 0; i < groups.count; i++)
		if (groups.all[i]->kind == IDENTITY_CONTAINER && !groups.all[i]->ended_number)
			party_of(&groups.all[i]->account)->bears = true;
}

/* The attribution is about to charge that slot. */
static void before_reading(uint32_t slot)
{
	struct cpu_usage now[HOST_SOCKETS_MAX] = {0};
	enum part part;
	struct account *account = account_of(slot, &part);

	if (slot == CPU_SLOT_IDLE)
		find_bearers();
	for (uint32_t cpu = 0; cpu < topology.cpu_count; cpu++) {
		const struct cpu_usage *one = fake_usage(kernel, cpu, slot);
		struct cpu_usage *sum = &now[index_of_cpu[cpu]];

		sum->time_ns += one->time_ns;
		sum->overlap_ns += one->overlap_ns;
		for (int i = 0; i < CPU_COUNTERS; i++)
			sum->counter[i] += one->counter[i];
	}
	for (size_t socket = 0; socket < topology.socket_count; socket++) {
		struct cpu_usage used = now[socket], *last = &counted[slot][socket];

		/* Counts without time wait for it. */
		if (used.time_ns == last->time_ns)
			continue;
		used.time_ns -= last->time_ns;
		used.overlap_ns -= last->overlap_ns;
		for (int i = 0; i < CPU_COUNTERS; i++)
			used.counter[i] -= last->counter[i];
		*last = now[socket];
		expect(account, part, socket, &used);
	}
}

/* ---- Energy ------------------------------------------------------------------------------------ */

/* The rule of ledger.h for one zone, as far as it does not hang on the order of the parties. */
static void expect_energy(const struct energy_zone *zone, uint64_t idle, size_t socket)
{
	enum ledger_idle_policy policy = attribution.rules.idle_policy;
	unsigned __int128 sum = 0;
	uint64_t bearers = 0, work = zone->delta_uj;
	bool by_misses = false;

	if (policy != LEDGER_IDLE_PROPORTIONAL)
		work -= idle < work ? idle : work;
	idle = zone->delta_uj - work;
	for (size_t i = 0; i < party_count; i++) {
		by_misses |= zone->domain == ENERGY_DRAM && whole && parties[i].misses[socket];
		bearers += policy == LEDGER_IDLE_EQUAL && parties[i].bears;
	}
	for (size_t i = 0; i < party_count; i++)
		sum += by_misses ? parties[i].misses[socket] : parties[i].weight[socket];
	for (size_t i = 0; i < party_count; i++) {
		struct party *party = &parties[i];
		uint64_t weight = by_misses ? party->misses[socket] : party->weight[socket];
		unsigned __int128 product = (unsigned __int128)work * weight;
		bool bears = bearers && party->bears;

		party->least[zone->domain] +=
		    (sum ? (uint64_t)(product / sum) : 0) + (bears ? idle / bearers : 0);
		party->most[zone->domain] += (sum ? (uint64_t)((product + sum - 1) / sum) : 0) +
					     (bears ? (idle + bearers - 1) / bearers : 0);
	}
}

/* W times ns is nJ. What is learned of a reading is for idle_power_test.c; here, what is a reading. */
static uint64_t idle_uj(size_t zone, size_t socket)
{
	double watts = attribution.rules.idle_watts[zones[zone].domain];
	double elapsed_ns = (double)zones[zone].elapsed_ns, busy = (double)busy_ns[socket];

	if (watts < 0) {
		if (busy_ns[socket] + idle_ns[socket] && zones[zone].elapsed_ns >= IDLE_POWER_LEAST_NS)
			idle_power_learn(&learned[zone], busy / (busy + (double)idle_ns[socket]),
					 (double)zones[zone].delta_uj * 1e3 / elapsed_ns,
					 zones[zone].read_ns);
		watts = idle_power_watts(&learned[zone]);
	}
	return (uint64_t)(watts * elapsed_ns / 1e3);
}

static void expect_energies(void)
{
	for (size_t i = 0; i < zone_count; i++) {
		int socket = topology_find_socket(&topology, zones[i].socket);

		if (!zones[i].valid || !energy_is_divided(zones[i].domain))
			continue;
		if (socket < 0 || !kernel)
			unattributed[zones[i].domain] += zones[i].delta_uj;
		else
			expect_energy(&zones[i], idle_uj(i, (size_t)socket), (size_t)socket);
	}
	for (size_t i = 0; i < party_count; i++) {
		for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++) {
			uint64_t got = parties[i].account->used.energy_uj[domain] - parties[i].before[domain];

			must(got >= parties[i].least[domain] && got <= parties[i].most[domain]);
		}
	}
}

/* ---- Whether it closes ------------------------------------------------------------------------- */

/* Groups have what is expected, and never less energy than before. */
static void check_groups(void)
{
	for (size_t i = 0; i < groups.count; i++) {
		struct known *expected = known_of(groups.all[i]);
		const struct account_sums *used = &groups.all[i]->account.used;

		for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++) {
			must(used->energy_uj[domain] >= expected->used.energy_uj[domain]);
			expected->used.energy_uj[domain] = used->energy_uj[domain];
		}
		must(memcmp(used, &expected->used, sizeof(*used)) == 0);
	}
	must(known_count == groups.count);
}

void __real_groups_forget_ended(struct groups *of);
void __wrap_groups_forget_ended(struct groups *of);

/* Called when all is charged and before groups are dropped: what those had is kept. */
void __wrap_groups_forget_ended(struct groups *of)
{
	expect_energies();
	check_groups();
	__real_groups_forget_ended(of);
	for (size_t i = 0; i < known_count;) {
		const struct group *group = known[i].group;
		size_t at = 0;

		while (at < of->count && of->all[at] != group)
			at++;
		if (at < of->count) {
			i++;
			continue;
		}
		account_sums_add(&dropped[known[i].part], &known[i].used);
		known[i] = known[--known_count];
	}
	must(of->ended_count <= of->ended_most);
}

static void check_energy(void)
{
	const struct account *all = attribution.parts;

	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++) {
		uint64_t read = 0, charged = 0;

		for (size_t i = 0; i < zone_count; i++)
			read += zones[i].domain == (enum energy_domain)domain ? zones[i].total_uj : 0;
		for (int part = 0; part < PART_COUNT; part++)
			charged += all[part].used.energy_uj[domain];
		must(charged == (energy_is_divided((enum energy_domain)domain) ? read : 0));
		must(all[PART_UNATTRIBUTED].used.energy_uj[domain] == unattributed[domain]);
	}
	/* Not even an interval without a figure makes no number of what is learned. */
	for (size_t i = 0; i < zone_count; i++)
		must(attribution.zones[i].idle.mean.watts >= 0);
	checks += zone_count;
}

/* Parts are the sums of their groups, those that are forgotten included, and all together all time. */
static void check_parts(void)
{
	struct account_sums sums[PART_COUNT];
	uint64_t time_ns = 0;

	memcpy(sums, dropped, sizeof(sums));
	for (size_t i = 0; i < groups.count; i++)
		account_sums_add(&sums[group_part(groups.all[i])], &groups.all[i]->account.used);
	must(memcmp(&sums[PART_CONTAINER], &attribution.parts[PART_CONTAINER].used, sizeof(sums[0])) == 0);
	must(memcmp(&sums[PART_SYSTEM], &attribution.parts[PART_SYSTEM].used, sizeof(sums[0])) == 0);
	for (int part = 0; part < PART_COUNT; part++) {
		const struct account_sums *used = &attribution.parts[part].used;

		memcpy(parts[part].energy_uj, used->energy_uj, sizeof(used->energy_uj));
		must(memcmp(used, &parts[part], sizeof(*used)) == 0);
		time_ns += used->cpu_ns;
	}
	must(time_ns == all_ns);
}

/* Nothing that belongs to one interval is left for the next. */
static void check_claims(const struct account *account)
{
	must(!account->active);
	for (size_t socket = 0; socket < topology.socket_count; socket++)
		must(!account->claims[socket].weight && !account->claims[socket].cache_misses);
}

static void sum_cgroup(const void *node, VISIT visit, void *sums)
{
	const struct cgroup *cgroup = *(struct cgroup *const *)node;

	if (visit == postorder || visit == leaf)
		((uint64_t *)sums)[group_part(cgroup->group)] += cgroup->cpu_ns;
}

/* Cgroups, those that ended included, have their groups' time. */
static void check_cgroups(void)
{
	uint64_t sums[PART_COUNT] = {0}, owned = 0, ended = 0;

	twalk_r(cgroups.by_id, sum_cgroup, sums);
	for (int part = 0; part < PART_COUNT; part++)
		if (part <= PART_SYSTEM)
			must(sums[part] + attribution.churn[part].ended_cpu_ns == parts[part].cpu_ns);
	for (uint32_t slot = 0; kernel && slot < kernel->slot_count; slot++)
		owned += attribution.owners[slot] != NULL;
	must(owned == attribution.slots_owned);
	for (size_t i = 0; i < groups.count; i++)
		ended += groups.all[i]->ended_number != 0;
	must(ended == groups.ended_count);
}

static void charge(void)
{
	party_count = 0;
	memset(busy_ns, 0, sizeof(busy_ns));
	memset(idle_ns, 0, sizeof(idle_ns));
	whole = kernel && kernel->counters_failed == counters_failed;
	counters_failed = kernel ? kernel->counters_failed : 0;
	attribution_charge(&attribution, zones, now_ns);
	if (!kernel)
		expect_energies();
	check_energy();
	check_parts();
	check_cgroups();
	for (size_t i = 0; i < groups.count; i++)
		check_claims(&groups.all[i]->account);
	for (int part = 0; part < PART_COUNT; part++)
		check_claims(&attribution.parts[part]);
}

/* A name that is told late: what the two had that are one now is together. */
static void name_one(void)
{
	struct group *group = host_nameless(), *named;
	struct known moved;

	if (!group)
		return;
	moved = *known_of(group);
	named = host_name(group);
	if (named == group)
		return;
	for (size_t i = 0; i < known_count; i++)
		if (known[i].group == group)
			known[i] = known[--known_count];
	account_sums_add(&known_of(named)->used, &moved.used);
}

static void check_seed(uint64_t seed)
{
	random_begin(seed);
	known_count = 0;
	counters_failed = 0;
	memset(dropped, 0, sizeof(dropped));
	memset(parts, 0, sizeof(parts));
	memset(unattributed, 0, sizeof(unattributed));
	memset(learned, 0, sizeof(learned));
	memset(counted, 0, sizeof(counted));
	host_make(before_reading);
	for (; random_step < INTERVALS; random_step++) {
		host_run();
		charge();
		if (random_once_in(4))
			name_one();
	}
	host_clear();
}

START_TEST(any_host_closes)
{
	for (int i = 0; i < SEEDS; i++)
		check_seed((uint64_t)_i * SEEDS + i);
	ck_assert_uint_ge(checks, SEEDS * INTERVALS * 10);
}
END_TEST

START_TEST(hosts_of_other_seeds_close)
{
	random_seeds("attribution", check_seed, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attribution");
	TCase *any = tcase_create("any");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(any, any_host_closes, 0, 8);
	tcase_add_test(any, hosts_of_other_seeds_close);
	tcase_set_timeout(any, 120);
	suite_add_tcase(suite, any);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
