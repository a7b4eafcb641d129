/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Charges an interval: what the kernel counted in each slot, and what the zones used, to whom it belongs.
 */
#include "attribution.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A task that is exiting may still run for some microseconds in a cgroup that is removed already. */
#define RETIRE_AFTER_NS 10000000

int attribution_init(struct attribution *attribution, struct kernel *kernel, const struct topology *topology,
		     struct cgroups *cgroups, struct groups *groups)
{
	size_t sockets = topology->socket_count;
	size_t slots = kernel ? kernel_slot_count(kernel) : 0;

	*attribution = (struct attribution){
	    .kernel = kernel, .topology = topology, .cgroups = cgroups, .groups = groups};
	attribution->slots_used = CPU_SLOT_FIRST;
	for (int part = 0; part < PART_COUNT; part++) {
		attribution->parts[part].weight_ns = calloc(sockets, sizeof(uint64_t));
		if (!attribution->parts[part].weight_ns)
			return -ENOMEM;
	}
	if (!kernel)
		return 0;

	size_t most = slots + PART_COUNT;

	attribution->counted_ns = calloc(slots * sockets, sizeof(uint64_t));
	attribution->owners = calloc(slots, sizeof(*attribution->owners));
	attribution->active = calloc(most, sizeof(*attribution->active));
	attribution->active_part = calloc(most, sizeof(*attribution->active_part));
	attribution->shares = calloc(most, sizeof(*attribution->shares));
	attribution->active_capacity = most;
	return attribution->counted_ns && attribution->owners && attribution->active &&
		       attribution->active_part && attribution->shares
		   ? 0
		   : -ENOMEM;
}

void attribution_clear(struct attribution *attribution)
{
	for (int part = 0; part < PART_COUNT; part++)
		free(attribution->parts[part].weight_ns);
	free(attribution->counted_ns);
	free(attribution->owners);
	free(attribution->active);
	free(attribution->active_part);
	free(attribution->shares);
	*attribution = (struct attribution){0};
}

/* What was counted in the slot and is not charged yet, added to by_socket; returns its sum. */
static uint64_t take_counted(struct attribution *attribution, uint32_t slot, uint64_t *by_socket)
{
	const struct topology *topology = attribution->topology;
	uint64_t *counted = attribution->counted_ns + (size_t)slot * topology->socket_count;
	uint64_t now[ACCOUNT_SOCKETS_MAX] = {0};
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
		now[topology->index_of_cpu[cpu]] +=
		    __atomic_load_n(&kernel_usage(attribution->kernel, cpu, slot)->time_ns, __ATOMIC_RELAXED);
	for (size_t socket = 0; socket < topology->socket_count; socket++) {
		uint64_t delta = now[socket] - counted[socket];

		counted[socket] = now[socket];
		by_socket[socket] += delta;
		sum += delta;
	}
	return sum;
}

static bool has_weight(const struct attribution *attribution, const struct account *account)
{
	for (size_t socket = 0; socket < attribution->topology->socket_count; socket++)
		if (account->weight_ns[socket])
			return true;
	return false;
}

/* Charges a slot's time to the account, and enters it among the active. */
static uint64_t charge_slot(struct attribution *attribution, uint32_t slot, struct account *account,
			    enum part part)
{
	bool was_active = has_weight(attribution, account);
	uint64_t time_ns = take_counted(attribution, slot, account->weight_ns);

	account->used.cpu_ns += time_ns;
	if (time_ns && !was_active && part != PART_IDLE) {
		attribution->active[attribution->active_count] = account;
		attribution->active_part[attribution->active_count] = part;
		attribution->active_count++;
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

		if (!cgroup && !searched) {
			cgroups_search(attribution->cgroups, now_ns);
			searched = true;
			cgroup = cgroups_find(attribution->cgroups, id);
		}
		/* Known by nothing but its time: in sum as "gone", so that nothing is lost. */
		if (!cgroup)
			cgroup = cgroups_add(attribution->cgroups, id, "/gone");
		if (!cgroup)
			continue;
		cgroup->slot = slot;
		attribution->owners[slot] = cgroup;
		if (slot >= attribution->slots_used) {
			attribution->slots_used = slot + 1;
			beyond = slot + 2 + attribution->topology->cpu_count;
		}
	}
}

static void charge_cpu_time(struct attribution *attribution, uint64_t now_ns)
{
	struct account *parts = attribution->parts;

	find_new_owners(attribution, now_ns);
	charge_slot(attribution, CPU_SLOT_IDLE, &parts[PART_IDLE], PART_IDLE);
	charge_slot(attribution, CPU_SLOT_KERNEL, &parts[PART_KERNEL], PART_KERNEL);
	charge_slot(attribution, CPU_SLOT_OTHER, &parts[PART_OTHER], PART_OTHER);
	for (uint32_t slot = CPU_SLOT_FIRST; slot < attribution->slots_used; slot++) {
		struct cgroup *cgroup = attribution->owners[slot];

		if (!cgroup)
			continue;

		enum part part = group_part(cgroup->group);
		uint64_t time_ns = charge_slot(attribution, slot, &cgroup->group->account, part);

		cgroup->cpu_ns += time_ns;
		parts[part].used.cpu_ns += time_ns;
	}
}

static void charge_zone(struct attribution *attribution, const struct energy_zone *zone)
{
	int socket = topology_find_socket(attribution->topology, zone->socket);
	struct account *parts = attribution->parts;
	uint64_t left = zone->delta_uj;

	if (socket >= 0 && attribution->kernel) {
		for (size_t i = 0; i < attribution->active_count; i++)
			attribution->shares[i].weight = attribution->active[i]->weight_ns[socket];
		left = ledger_divide(zone->delta_uj, attribution->shares, attribution->active_count);
		if (left) {
			parts[PART_IDLE].used.energy_uj[zone->domain] += left;
			return;
		}
		for (size_t i = 0; i < attribution->active_count; i++) {
			struct account *account = attribution->active[i];
			struct account *part = &parts[attribution->active_part[i]];

			account->used.energy_uj[zone->domain] += attribution->shares[i].share;
			if (part != account)
				part->used.energy_uj[zone->domain] += attribution->shares[i].share;
		}
		return;
	}
	parts[PART_UNATTRIBUTED].used.energy_uj[zone->domain] += left;
}

static void begin_interval(struct attribution *attribution)
{
	size_t size = attribution->topology->socket_count * sizeof(uint64_t);

	for (size_t i = 0; i < attribution->active_count; i++)
		memset(attribution->active[i]->weight_ns, 0, size);
	memset(attribution->parts[PART_IDLE].weight_ns, 0, size);
	attribution->active_count = 0;
}

static void retire(struct attribution *attribution, struct cgroup *cgroup)
{
	struct churn *churn = &attribution->churn[group_part(cgroup->group)];

	churn->ended_cgroups++;
	churn->ended_cpu_ns += cgroup->cpu_ns;
	if (cgroup->slot) {
		attribution->owners[cgroup->slot] = NULL;
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

void attribution_charge(struct attribution *attribution, const struct energy_zone *zones, size_t zone_count,
			uint64_t now_ns)
{
	if (attribution->kernel)
		charge_cpu_time(attribution, now_ns);
	for (size_t i = 0; i < zone_count; i++) {
		attribution->measured[zones[i].domain] |= zones[i].valid;
		attribution->gap[zones[i].domain] |= !zones[i].valid;
		if (zones[i].valid && energy_is_divided(zones[i].domain))
			charge_zone(attribution, &zones[i]);
	}
	begin_interval(attribution);
	if (attribution->kernel)
		retire_removed(attribution, now_ns);
}
