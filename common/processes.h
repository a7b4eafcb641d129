/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The processes within each group, by name: what the kernel counted of them, and their part of what their
 * group is charged with. What is not told of single processes is their group's all the same.
 */
#ifndef DEEPMON_PROCESSES_H
#define DEEPMON_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "cgroups.h"
#include "kernel.h"
#include "topology.h"

/* What a report tells of no process goes by this name; a process that has it is told there too. */
#define PROCESS_UNTOLD "(other)"

/* All processes of one name in a group. */
struct process {
	struct process *next; /* in its group */
	char name[PROCESS_NAME_MAX];
	struct account_sums fresh;    /* used since the last report */
	struct account_sums told;     /* used in those reports that told of it */
	struct account_claim *claims; /* by socket, in the running interval */
	uint64_t last_used;	      /* in which interval */
	bool telling;		      /* the report that is being made tells of it */
};

struct processes {
	const struct kernel *kernel;
	const struct topology *topology;
	size_t most;	  /* names over all groups, and entries of the kernel's map */
	uint64_t refused; /* times that a name found no room; only grows */

	uint64_t interval;
	size_t count;
	struct process_entry *entries; /* those of the kernel's map: a list */
	void *by_key;		       /* tsearch tree of the same */
	struct ledger_share *shares;
};

/* Frees a group's, all of them. */
void process_free_all(struct process *first);
/* Moves those of another group over; of the same name they become one. */
void process_absorb_all(struct process **to, struct process **from);

/* `kernel` counts `most` processes apart. -ENOMEM. */
int processes_init(struct processes *processes, const struct kernel *kernel, const struct topology *topology,
		   size_t most);
void processes_clear(struct processes *processes);

/*
 * Takes what the kernel counted since the last call into the claims of each process. `owners`: the cgroup of
 * each slot, or NULL. Weight is by cycles, or by time, as that of groups is. Read before the slots, so that
 * what the processes used is never more than what their group did.
 */
void processes_charge(struct processes *processes, struct cgroup *const *owners, bool by_cycles,
		      uint32_t overlap_ratio_ppm);

/* Divides a group's share of a zone's energy among its processes. What is not theirs stays the group's. */
void processes_divide(struct processes *processes, struct group *group, enum energy_domain domain,
		      size_t socket, bool by_misses, uint64_t share_uj);

/* Once all zones are divided: claims are void, and names that have not run for longest make room. */
void processes_end_interval(struct processes *processes, struct group *const *groups, size_t count);

/*
 * Marks those that a report tells of: the `most` of the group that used most energy since the last, or CPU
 * time where no energy is known. The others' use goes to group->untold, as does all that no process has. To
 * be called before the group's account is reported; and after its report, processes_told.
 */
void processes_choose(struct group *group, size_t most);
void processes_told(struct group *group);

#endif
