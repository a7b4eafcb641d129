/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Charges an interval: what the kernel counted in each slot, and what the zones used, to whom it belongs.
 * Its inputs are memory; it does no I/O but through cgroups.h, when a cgroup is new.
 */
#include "attribution.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A task that is exiting may still run for some microseconds in a cgroup that is removed already. */
#define RETIRE_AFTER_NS 10000000

static int init_slots(struct attribution *attribution, size_t sockets)
{
	size_t slots = kernel_slot_count(attribution->kernel);

	attribution->counted = calloc(slots * sockets, sizeof(*attribution->counted));
	attribution->owners = calloc(slots, sizeof(*attribution->owners));
	return attribution->counted && attribution->owners ? 0 : -ENOMEM;
}

static int init_shares(struct attribution *attribution)
{
	/* Who can take part: every cgroup that may be known is at worst a group of its own. */
	size_t most = attribution->cgroups->most + PART_COUNT;

	attribution->active = calloc(most, sizeof(*attribution->active));
	attribution->active_part = calloc(most, sizeof(*attribution->active_part));
	attribution->shares = calloc(most, sizeof(*attribution->shares));
	attribution->active_most = most;
	return attribution->active && attribution->active_part && attribution->shares ? 0 : -ENOMEM;
}

int attribution_init(struct attribution *attribution, struct kernel *kernel, const struct topology *topology,
		     struct cgroups *cgroups, struct groups *groups, size_t zone_count,
		     const struct attribution_rules *rules)
{
	size_t sockets = topology->socket_count;

	*attribution = (struct attribution){.kernel = kernel,
					    .topology = topology,
					    .cgroups = cgroups,
					    .groups = groups,
					    .rules = *rules,
					    .zone_count = zone_count};
	attribution->slots_used = CPU_SLOT_FIRST;
	attribution->zones = calloc(zone_count ? zone_count : 1, sizeof(*attribution->zones));
	if (!attribution->zones)
		return -ENOMEM;
	for (int part = 0; part < PART_COUNT; part++) {
		attribution->parts[part].claims = calloc(sockets, sizeof(struct account_claim));
		if (!attribution->parts[part].claims)
			return -ENOMEM;
	}
	if (init_shares(attribution))
		return -ENOMEM;
	return kernel ? init_slots(attribution, sockets) : 0;
}

void attribution_clear(struct attribution *attribution)
{
	for (int part = 0; part < PART_COUNT; part++)
		account_free(&attribution->parts[part]);
	free(attribution->counted);
	free(attribution->owners);
	free(attribution->active);
	free(attribution->active_part);
	free(attribution->shares);
	free(attribution->zones);
	*attribution = (struct attribution){0};
}

/* What was counted in the slot and is not charged yet, by socket. */
static void take_counted(struct attribution *attribution, uint32_t slot, struct cpu_usage *by_socket)
{
	const struct topology *topology = attribution->topology;
	struct cpu_usage *counted = attribution->counted + (size_t)slot * topology->socket_count;

	memset(by_socket, 0, topology->socket_count * sizeof(*by_socket));
	for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
		usage_add(&by_socket[topology->index_of_cpu[cpu]],
			  kernel_usage(attribution->kernel, cpu, slot));
	for (size_t socket = 0; socket < topology->socket_count; socket++)
		usage_advance(&by_socket[socket], &counted[socket]);
}

static void activate(struct attribution *attribution, struct account *account, enum part part)
{
	if (account->active || attribution->active_count == attribution->active_most)
		return;
	account->active = true;
	attribution->active[attribution->active_count] = account;
	attribution->active_part[attribution->active_count] = part;
	attribution->active_count++;
}

/* Charges what was counted in a slot to the account and to its part; returns the time. */
static uint64_t charge_slot(struct attribution *attribution, uint32_t slot, struct account *account,
			    enum part part)
{
	struct cpu_usage by_socket[ACCOUNT_SOCKETS_MAX];
	struct account *whole = &attribution->parts[part];
	uint32_t ratio = attribution->rules.overlap_ratio_ppm;
	uint64_t time_ns = 0;

	take_counted(attribution, slot, by_socket);
	for (size_t socket = 0; socket < attribution->topology->socket_count; socket++) {
		const struct cpu_usage *used = &by_socket[socket];

		if (!used->time_ns)
			continue;
		if (part == PART_IDLE) {
			attribution->idle_ns[socket] += used->time_ns;
			account->used.cpu_ns += used->time_ns;
			account->used.switches += used->switches;
			continue;
		}

		uint64_t weight = usage_weight(used, attribution->by_cycles, ratio);

		account_sums_use(&account->used, used, weight);
		if (whole != account)
			account_sums_use(&whole->used, used, weight);
		account->claims[socket].weight += weight;
		account->claims[socket].cache_misses += used->counter[CPU_COUNTER_CACHE_MISSES];
		attribution->busy_ns[socket] += used->time_ns;
		time_ns += used->time_ns;
		activate(attribution, account, part);
	}
	return time_ns;
}

/*
 * Slots are taken from the lowest up, but two CPUs that want one for the same cgroup leave a hole for a
 * while: so a hole ends the search only when it is wider than there are CPUs.
 */
static void find_new_owners(struct attribution *attribution, uint64_t now_ns)
{
	uint32_t slot_count = kernel_slot_count(attribution->kernel);
	uint32_t beyond = attribution->slots_used + attribution->topology->cpu_count + 1;
	bool searched = false;

	for (uint32_t slot = CPU_SLOT_FIRST; slot < slot_count && slot < beyond; slot++) {
		uint64_t id = kernel_slot_owner(attribution->kernel, slot);

		if (!id || attribution->owners[slot])
			continue;

		struct cgroup *cgroup = cgroups_find(attribution->cgroups, id);

		/* Where none can be added, a search adds none. */
		if (!cgroup && !searched && attribution->cgroups->count < attribution->cgroups->most) {
			cgroups_search(attribution->cgroups, now_ns);
			searched = true;
			cgroup = cgroups_find(attribution->cgroups, id);
		}
		/* Known by nothing but its time: in sum as "gone", so that nothing is lost. It has ended. */
		if (!cgroup) {
			cgroup = cgroups_add(attribution->cgroups, id, "/gone");
			cgroups_remove(attribution->cgroups, id, now_ns);
		}
		/* One that has a slot already gets no other from any kernel; a recording may say so. */
		if (cgroup && !cgroup->slot) {
			cgroup->slot = slot;
			attribution->owners[slot] = cgroup;
			attribution->slots_owned++;
		} else {
			/* No more cgroups are to be known: as if it had found no slot. */
			attribution->owners_refused++;
			charge_slot(attribution, slot, &attribution->parts[PART_OTHER], PART_OTHER);
		}
		if (slot >= attribution->slots_used) {
			attribution->slots_used = slot + 1;
			beyond = slot + 2 + attribution->topology->cpu_count;
		}
	}
}

static void charge_network(struct attribution *attribution, uint32_t slot, struct account *account,
			   enum part part)
{
	struct account *whole = &attribution->parts[part];
	struct net_usage used;
	struct net_dialogues dialogues;

	network_take(attribution->network, slot, &used);
	sums_add(&account->used.network, &used, sizeof(used));
	if (whole != account)
		sums_add(&whole->used.network, &used, sizeof(used));
	if (!(network_counted(attribution->network) & NETWORK_TRANSACTIONS))
		return;
	network_take_dialogues(attribution->network, slot, &dialogues);
	sums_add(&account->used.dialogues, &dialogues, sizeof(dialogues));
	if (whole != account)
		sums_add(&whole->used.dialogues, &dialogues, sizeof(dialogues));
}

/*
 * The network charges tasks, of which the idle one is none. A cgroup that is not to be known is as one that
 * found no slot.
 */
static void charge_networks(struct attribution *attribution)
{
	charge_network(attribution, CPU_SLOT_KERNEL, &attribution->parts[PART_KERNEL], PART_KERNEL);
	charge_network(attribution, CPU_SLOT_OTHER, &attribution->parts[PART_OTHER], PART_OTHER);
	for (uint32_t slot = CPU_SLOT_FIRST; slot < attribution->slots_used; slot++) {
		struct group *group = attribution->owners[slot] ? attribution->owners[slot]->group : NULL;

		charge_network(attribution, slot, group ? &group->account : &attribution->parts[PART_OTHER],
			       group ? group_part(group) : PART_OTHER);
	}
}

static void charge_slot_file_io(struct attribution *attribution, uint32_t slot, struct account *account,
				enum part part)
{
	struct account *whole = &attribution->parts[part];
	struct file_io_usage used;

	file_io_take(attribution->file_io, slot, &used);
	file_io_usage_add(&account->used.file_io, &used);
	if (whole != account)
		file_io_usage_add(&whole->used.file_io, &used);
}

/* Likewise. */
static void charge_file_io(struct attribution *attribution)
{
	struct account *parts = attribution->parts;

	charge_slot_file_io(attribution, CPU_SLOT_KERNEL, &parts[PART_KERNEL], PART_KERNEL);
	charge_slot_file_io(attribution, CPU_SLOT_OTHER, &parts[PART_OTHER], PART_OTHER);
	for (uint32_t slot = CPU_SLOT_FIRST; slot < attribution->slots_used; slot++) {
		struct group *group = attribution->owners[slot] ? attribution->owners[slot]->group : NULL;

		charge_slot_file_io(attribution, slot, group ? &group->account : &parts[PART_OTHER],
				    group ? group_part(group) : PART_OTHER);
	}
}

static void add_latencies(struct attribution *attribution, struct account *account,
			  const struct latency_fresh *fresh)
{
	if (latencies_add(&account->latencies, fresh))
		attribution->latencies_lost++;
}

static void charge_path_latency(struct attribution *attribution, struct latency_fresh *fresh)
{
	if (attribution->paths && paths_charge_latency(attribution->paths, attribution->cgroups, fresh))
		attribution->latencies_lost++;
}

/* To whom the slot belongs; a cgroup that is not to be known is as one that found no slot. */
static void charge_latencies(struct attribution *attribution)
{
	struct account *parts = attribution->parts;
	struct latency_fresh fresh;
	uint32_t cursor = 0;

	while (latency_take(attribution->latency, &cursor, &fresh)) {
		if (fresh.kind == LATENCY_OF_PATH) {
			charge_path_latency(attribution, &fresh);
			continue;
		}

		struct cgroup *owner =
		    fresh.slot < attribution->slots_used ? attribution->owners[fresh.slot] : NULL;
		enum part part = owner				 ? group_part(owner->group)
				 : fresh.slot == CPU_SLOT_KERNEL ? PART_KERNEL
								 : PART_OTHER;

		add_latencies(attribution, &parts[part], &fresh);
		if (owner)
			add_latencies(attribution, &owner->group->account, &fresh);
	}
}

static void charge_cpu_time(struct attribution *attribution, uint64_t now_ns)
{
	uint64_t failed = kernel_counters_failed(attribution->kernel);

	attribution->counters_whole = failed == attribution->counters_failed;
	attribution->counters_gap |= !attribution->counters_whole;
	attribution->counters_failed = failed;
	attribution->by_cycles = attribution->counters_whole &&
				 kernel_counter_mask(attribution->kernel) & 1u << CPU_COUNTER_CYCLES;
	find_new_owners(attribution, now_ns);
	if (attribution->processes)
		processes_charge(attribution->processes, attribution->owners, attribution->by_cycles,
				 attribution->rules.overlap_ratio_ppm);
	charge_slot(attribution, CPU_SLOT_IDLE, &attribution->parts[PART_IDLE], PART_IDLE);
	charge_slot(attribution, CPU_SLOT_KERNEL, &attribution->parts[PART_KERNEL], PART_KERNEL);
	charge_slot(attribution, CPU_SLOT_OTHER, &attribution->parts[PART_OTHER], PART_OTHER);
	for (uint32_t slot = CPU_SLOT_FIRST; slot < attribution->slots_used; slot++) {
		struct cgroup *cgroup = attribution->owners[slot];

		if (cgroup)
			cgroup->cpu_ns += charge_slot(attribution, slot, &cgroup->group->account,
						      group_part(cgroup->group));
	}
}

/*
 * Files do not tell on which CPU it was: as if each socket had its part of everybody's time, so that each
 * divides its energy alike.
 */
static void charge_use(struct attribution *attribution, const struct cgroup_cpu_use *use)
{
	struct account *account = &use->cgroup->group->account;
	enum part part = group_part(use->cgroup->group);
	const struct cpu_usage used = {.time_ns = use->ns};
	size_t sockets = attribution->topology->socket_count;

	if (!use->ns)
		return;
	account_sums_use(&account->used, &used, use->ns);
	account_sums_use(&attribution->parts[part].used, &used, use->ns);
	use->cgroup->cpu_ns += use->ns;
	for (size_t socket = 0; socket < sockets; socket++) {
		account->claims[socket].weight += use->ns;
		attribution->busy_ns[socket] += use->ns / sockets;
	}
	activate(attribution, account, part);
}

static void charge_files(struct attribution *attribution, uint64_t now_ns)
{
	const struct cgroup_cpu_use *uses;
	size_t count, sockets = attribution->topology->socket_count;
	uint64_t idle_ns = cgroup_cpu_read(attribution->cgroup_cpu, attribution->cgroups, now_ns,
					   attribution->cpus_online, &uses, &count);

	attribution->by_cycles = false;
	attribution->parts[PART_IDLE].used.cpu_ns += idle_ns;
	for (size_t socket = 0; socket < sockets; socket++)
		attribution->idle_ns[socket] += idle_ns / sockets;
	for (size_t i = 0; i < count; i++)
		charge_use(attribution, &uses[i]);
}

/* Containers bear idle energy where that is divided equally, whether they run or not. */
static void activate_containers(struct attribution *attribution)
{
	for (size_t i = 0; i < attribution->groups->count; i++) {
		struct group *group = attribution->groups->all[i];

		if (group->kind == IDENTITY_CONTAINER && !group->ended_number)
			activate(attribution, &group->account, PART_CONTAINER);
	}
}

/* How much of the zone's energy flowed without any work, as far as that is known. */
static uint64_t idle_energy(struct attribution *attribution, const struct energy_zone *zone,
			    struct zone_record *record, size_t socket)
{
	double busy_ns = (double)attribution->busy_ns[socket];
	double all_ns = busy_ns + (double)attribution->idle_ns[socket];
	double watts = attribution->rules.idle_watts[zone->domain];

	if (watts < 0) {
		if (all_ns > 0 && zone->elapsed_ns >= IDLE_POWER_LEAST_NS)
			idle_power_learn(&record->idle, busy_ns / all_ns,
					 (double)zone->delta_uj * 1e3 / (double)zone->elapsed_ns,
					 zone->read_ns);
		watts = idle_power_watts(&record->idle);
	}
	/* W times ns is nJ. */
	return watts > 0 ? (uint64_t)(watts * (double)zone->elapsed_ns / 1e3) : 0;
}

/* Memory draws by what goes past the caches, where that is counted; all else by weight. Whether it was. */
static bool fill_shares(struct attribution *attribution, enum energy_domain domain, size_t socket)
{
	bool misses = false;

	if (domain == ENERGY_DRAM && attribution->counters_whole)
		for (size_t i = 0; i < attribution->active_count && !misses; i++)
			misses = attribution->active[i]->claims[socket].cache_misses > 0;
	for (size_t i = 0; i < attribution->active_count; i++) {
		const struct account_claim *claim = &attribution->active[i]->claims[socket];

		attribution->shares[i].weight = misses ? claim->cache_misses : claim->weight;
		attribution->shares[i].bears_idle = attribution->active_part[i] == PART_CONTAINER;
	}
	return misses;
}

static void charge_zone(struct attribution *attribution, const struct energy_zone *zone,
			struct zone_record *record)
{
	int socket = topology_find_socket(attribution->topology, zone->socket);
	enum energy_domain domain = zone->domain;
	struct account *parts = attribution->parts;

	if (socket < 0 || !attribution_has_time(attribution) || attribution->unseen & 1u << ATTRIBUTION_CPU) {
		parts[PART_UNATTRIBUTED].used.energy_uj[domain] += zone->delta_uj;
		return;
	}

	bool misses = fill_shares(attribution, domain, (size_t)socket);

	parts[PART_IDLE].used.energy_uj[domain] +=
	    ledger_charge(zone->delta_uj, idle_energy(attribution, zone, record, (size_t)socket),
			  attribution->rules.idle_policy, attribution->shares, attribution->active_count);
	for (size_t i = 0; i < attribution->active_count; i++) {
		struct account *account = attribution->active[i];
		struct account *part = &parts[attribution->active_part[i]];

		account->used.energy_uj[domain] += attribution->shares[i].share;
		if (part != account)
			part->used.energy_uj[domain] += attribution->shares[i].share;
		if (attribution->processes && attribution->active_part[i] == PART_CONTAINER)
			processes_divide(attribution->processes, group_of(account), domain, (size_t)socket,
					 misses, attribution->shares[i].share);
	}
}

static void begin_interval(struct attribution *attribution)
{
	size_t sockets = attribution->topology->socket_count;

	for (size_t i = 0; i < attribution->active_count; i++) {
		memset(attribution->active[i]->claims, 0, sockets * sizeof(struct account_claim));
		attribution->active[i]->active = false;
	}
	attribution->active_count = 0;
	memset(attribution->busy_ns, 0, sizeof(attribution->busy_ns));
	memset(attribution->idle_ns, 0, sizeof(attribution->idle_ns));
}

static void retire(struct attribution *attribution, struct cgroup *cgroup)
{
	struct churn *churn = &attribution->churn[group_part(cgroup->group)];

	churn->ended_cgroups++;
	churn->ended_cpu_ns += cgroup->cpu_ns;
	if (cgroup->slot) {
		attribution->owners[cgroup->slot] = NULL;
		attribution->slots_owned--;
		kernel_free_slot(attribution->kernel, cgroup->slot);
	}
	cgroups_forget(attribution->cgroups, cgroup);
}

static void retire_removed(struct attribution *attribution, uint64_t now_ns)
{
	struct cgroup **link = &attribution->cgroups->removed;

	while (*link) {
		struct cgroup *cgroup = *link;

		if (now_ns - cgroup->removed_ns < RETIRE_AFTER_NS) {
			link = &cgroup->next;
			continue;
		}
		*link = cgroup->next;
		retire(attribution, cgroup);
	}
	groups_forget_ended(attribution->groups);
}

void attribution_charge(struct attribution *attribution, const struct energy_zone *zones, uint64_t now_ns)
{
	attribution->time_gap |= (attribution->unseen & 1u << ATTRIBUTION_CPU) != 0;
	attribution->counters_gap |= attribution->time_gap;
	if (attribution->kernel)
		charge_cpu_time(attribution, now_ns);
	else if (attribution->cgroup_cpu)
		charge_files(attribution, now_ns);
	if (attribution->peers)
		peers_charge(attribution->peers, attribution->cgroups, attribution->owners,
			     attribution->slots_used, now_ns);
	if (attribution->paths)
		paths_charge(attribution->paths, attribution->cgroups, attribution->owners,
			     attribution->slots_used, now_ns);
	if (attribution->network)
		charge_networks(attribution);
	if (attribution->file_io)
		charge_file_io(attribution);
	if (attribution->top_files)
		top_files_charge(attribution->top_files, attribution->cgroups, attribution->groups);
	if (attribution->latency)
		charge_latencies(attribution);
	if (attribution_has_time(attribution) && attribution->rules.idle_policy == LEDGER_IDLE_EQUAL)
		activate_containers(attribution);
	for (size_t i = 0; i < attribution->zone_count; i++) {
		struct zone_record *record = &attribution->zones[i];

		record->measured |= zones[i].valid;
		record->gap |= !zones[i].valid;
		record->behind = zones[i].read_ns == record->read_ns;
		record->read_ns = zones[i].read_ns;
		if (zones[i].valid && energy_is_divided(zones[i].domain))
			charge_zone(attribution, &zones[i], record);
	}
	if (attribution->processes)
		processes_end_interval(attribution->processes, attribution->groups->all,
				       attribution->groups->count);
	begin_interval(attribution);
	if (attribution_has_time(attribution))
		retire_removed(attribution, now_ns);
}

void attribution_begin(struct attribution *attribution)
{
	for (size_t i = 0; i < attribution->groups->count; i++) {
		struct group *group = attribution->groups->all[i];

		account_told(&group->account);
		processes_told(group);
		peers_told(&group->peers);
		paths_told(&group->paths);
	}
	for (int part = 0; part < PART_COUNT; part++)
		account_told(&attribution->parts[part]);
	if (attribution->top_files)
		top_files_told(attribution->top_files, attribution->groups);
	for (size_t i = 0; i < attribution->zone_count; i++)
		attribution->zones[i].gap = false;
}
