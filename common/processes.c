/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The processes within each group, by name. Has the kernel forget what has not run for a while: it
 * enters it again when it runs.
 */
#include "processes.h"

#include <errno.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

#define FORGET_AFTER	 30   /* intervals in which an entry did not run */
#define SHARES_PER_GROUP 1024 /* names of one group that take part in one division */

/* What an entry of the kernel's map held when it was last read. */
struct process_entry {
	struct process_entry *next;
	struct process_key key;
	uint64_t cgroup_id; /* the slot's owner: another one makes it a stranger's */
	uint64_t last_used; /* in which interval */
	char name[PROCESS_NAME_MAX];
	struct cpu_usage counted[]; /* by socket */
};

static int compare_keys(const void *a, const void *b)
{
	const struct process_entry *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

int processes_init(struct processes *processes, const struct kernel *kernel, const struct topology *topology,
		   size_t most)
{
	*processes = (struct processes){.kernel = kernel, .topology = topology, .most = most};
	processes->shares = calloc(SHARES_PER_GROUP + 1, sizeof(*processes->shares));
	return processes->shares ? 0 : -ENOMEM;
}

static void keep(void *node)
{
	(void)node;
}

void processes_clear(struct processes *processes)
{
	tdestroy(processes->by_key, keep);
	while (processes->entries) {
		struct process_entry *entry = processes->entries;

		processes->entries = entry->next;
		free(entry);
	}
	free(processes->shares);
	*processes = (struct processes){0};
}

static void process_free(struct process *process)
{
	free(process->claims);
	free(process);
}

void process_free_all(struct process *first)
{
	while (first) {
		struct process *process = first;

		first = process->next;
		process_free(process);
	}
}

static struct process *find(struct process *first, const char *name)
{
	while (first && strncmp(first->name, name, sizeof(first->name)) != 0)
		first = first->next;
	return first;
}

void process_absorb_all(struct process **to, struct process **from)
{
	while (*from) {
		struct process *process = *from, *same = find(*to, process->name);

		*from = process->next;
		if (!same) {
			process->next = *to;
			*to = process;
			continue;
		}
		account_sums_add(&same->fresh, &process->fresh);
		account_sums_add(&same->told, &process->told);
		process_free(process);
	}
}

/* NULL: there is no room; its use stays the group's. */
static struct process *find_or_add(struct processes *processes, struct group *group, const char *name)
{
	struct process *process = find(group->processes, name);

	if (process)
		return process;
	process = processes->count < processes->most ? calloc(1, sizeof(*process)) : NULL;
	if (process)
		process->claims = calloc(processes->topology->socket_count, sizeof(*process->claims));
	if (!process || !process->claims) {
		free(process);
		processes->refused++;
		return NULL;
	}
	memcpy(process->name, name, sizeof(process->name));
	process->next = group->processes;
	group->processes = process;
	processes->count++;
	return process;
}

static struct process_entry *find_or_add_entry(struct processes *processes, const struct process_key *key,
					       uint64_t cgroup_id)
{
	struct process_entry wanted = {.key = *key};
	struct process_entry *const *known = tfind(&wanted, &processes->by_key, compare_keys);

	if (known)
		return *known;

	struct process_entry *entry =
	    calloc(1, sizeof(*entry) + processes->topology->socket_count * sizeof(entry->counted[0]));

	if (!entry)
		return NULL;
	entry->key = *key;
	entry->cgroup_id = cgroup_id;
	if (!tsearch(entry, &processes->by_key, compare_keys)) {
		free(entry);
		return NULL;
	}
	entry->next = processes->entries;
	processes->entries = entry;
	return entry;
}

/* Sums its CPUs by socket. */
static void sum_reading(const struct processes *processes, const struct process_reading *reading,
			struct cpu_usage *by_socket)
{
	const struct topology *topology = processes->topology;

	memset(by_socket, 0, topology->socket_count * sizeof(*by_socket));
	for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
		usage_add(&by_socket[topology->index_of_cpu[cpu]], process_reading_of_cpu(reading, cpu));
}

struct charging {
	struct processes *processes;
	struct cgroup *const *owners;
	bool by_cycles;
	uint32_t overlap_ratio_ppm;
};

static void charge_entry(void *user, const struct process_reading *reading)
{
	const struct charging *charging = user;
	struct processes *processes = charging->processes;
	const struct process_key *key = &reading->key;
	const struct cgroup *cgroup = charging->owners[key->slot];
	struct cpu_usage by_socket[ACCOUNT_SOCKETS_MAX];
	struct process_entry *entry;

	struct process *process = NULL;
	bool telling = cgroup && cgroup->group->kind == IDENTITY_CONTAINER;

	/* Even of one that is not told of, an entry is kept, to know when to delete the kernel's. */
	entry = find_or_add_entry(processes, key, cgroup ? cgroup->id : 0);
	if (!entry || !cgroup || entry->cgroup_id != cgroup->id)
		return;
	sum_reading(processes, reading, by_socket);
	memcpy(entry->name, reading->name, sizeof(entry->name));
	for (size_t socket = 0; socket < processes->topology->socket_count; socket++) {
		struct cpu_usage *used = &by_socket[socket];

		usage_advance(used, &entry->counted[socket]);
		if (!used->time_ns)
			continue;
		entry->last_used = processes->interval;
		if (telling && !process)
			process = find_or_add(processes, cgroup->group, entry->name);
		if (!process)
			continue;

		uint64_t weight = usage_weight(used, charging->by_cycles, charging->overlap_ratio_ppm);

		account_sums_use(&process->fresh, used, weight);
		process->claims[socket].weight += weight;
		process->claims[socket].cache_misses += used->counter[CPU_COUNTER_CACHE_MISSES];
		process->last_used = processes->interval;
	}
}

/*
 * Whether to keep an entry. A process that is in another pid namespace than we are seems to have ended: then
 * the kernel enters it again when it runs, and nothing but its entry is lost.
 */
static bool is_wanted(const struct processes *processes, const struct process_entry *entry,
		      const struct cgroup *owner)
{
	uint64_t unused = processes->interval - entry->last_used;

	if (!owner || owner->id != entry->cgroup_id)
		return false;
	return !unused || (unused < FORGET_AFTER && (kill((pid_t)entry->key.tgid, 0) == 0 || errno != ESRCH));
}

static void forget_entries(struct processes *processes, struct cgroup *const *owners)
{
	for (struct process_entry **link = &processes->entries; *link;) {
		struct process_entry *entry = *link;

		if (is_wanted(processes, entry, owners[entry->key.slot])) {
			link = &entry->next;
			continue;
		}
		kernel_forget_process(processes->kernel, &entry->key);
		tdelete(entry, &processes->by_key, compare_keys);
		*link = entry->next;
		free(entry);
	}
}

void processes_charge(struct processes *processes, struct cgroup *const *owners, bool by_cycles,
		      uint32_t overlap_ratio_ppm)
{
	struct charging charging = {processes, owners, by_cycles, overlap_ratio_ppm};

	processes->interval++;
	kernel_each_process(processes->kernel, charge_entry, &charging);
	forget_entries(processes, owners);
}

void processes_divide(struct processes *processes, struct group *group, enum energy_domain domain,
		      size_t socket, bool by_misses, uint64_t share_uj)
{
	const struct account_claim *whole = &group->account.claims[socket];
	uint64_t left = by_misses ? whole->cache_misses : whole->weight;
	struct ledger_share *shares = processes->shares;
	struct process *process = group->processes;
	size_t count = 0;

	for (; process && count < SHARES_PER_GROUP; process = process->next) {
		uint64_t weight =
		    by_misses ? process->claims[socket].cache_misses : process->claims[socket].weight;

		shares[count++] = (struct ledger_share){.weight = weight};
		left -= weight < left ? weight : left;
	}
	shares[count++] = (struct ledger_share){.weight = left};
	ledger_divide(share_uj, shares, count);
	process = group->processes;
	for (size_t i = 0; i + 1 < count; i++, process = process->next)
		process->fresh.energy_uj[domain] += shares[i].share;
}

/* The one of all groups that has not run for longest, if it is not wanted for the next report. */
static void drop_longest_unused(struct processes *processes, struct group *const *groups, size_t count)
{
	struct process **longest = NULL;

	for (size_t i = 0; i < count; i++)
		for (struct process **link = &groups[i]->processes; *link; link = &(*link)->next)
			if ((*link)->last_used < processes->interval && !(*link)->fresh.cpu_ns &&
			    (!longest || (*link)->last_used < (*longest)->last_used))
				longest = link;
	if (!longest)
		return;

	struct process *process = *longest;

	*longest = process->next;
	process_free(process);
	processes->count--;
}

void processes_end_interval(struct processes *processes, struct group *const *groups, size_t count)
{
	size_t sockets = processes->topology->socket_count;

	/* Groups that ended took theirs with them: so they are counted anew. */
	processes->count = 0;
	for (size_t i = 0; i < count; i++) {
		for (struct process *p = groups[i]->processes; p; p = p->next) {
			if (p->last_used == processes->interval)
				memset(p->claims, 0, sockets * sizeof(*p->claims));
			processes->count++;
		}
	}
	if (processes->count == processes->most)
		drop_longest_unused(processes, groups, count);
}

static bool uses_more(const struct process *a, const struct process *b)
{
	uint64_t left = a->fresh.energy_uj[ENERGY_PACKAGE], right = b->fresh.energy_uj[ENERGY_PACKAGE];

	return left != right ? left > right : a->fresh.weight > b->fresh.weight;
}

void processes_choose(struct group *group, size_t most)
{
	struct account_sums rest = group->account.used;

	account_sums_subtract(&rest, &group->account.reported);
	for (struct process *p = group->processes; p; p = p->next)
		p->telling = false;
	for (size_t chosen = 0; chosen < most; chosen++) {
		struct process *top = NULL;

		for (struct process *p = group->processes; p; p = p->next)
			if (!p->telling && p->fresh.cpu_ns && strcmp(p->name, PROCESS_UNTOLD) != 0 &&
			    (!top || uses_more(p, top)))
				top = p;
		if (!top)
			break;
		top->telling = true;
		account_sums_add(&top->told, &top->fresh);
		account_sums_subtract(&rest, &top->fresh);
	}
	group->untold_fresh = rest;
	account_sums_add(&group->untold, &rest);
}

void processes_told(struct group *group)
{
	for (struct process *p = group->processes; p; p = p->next)
		p->fresh = (struct account_sums){0};
}
