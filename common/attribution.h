/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Charges an interval: CPU time from the kernel's slots and energy from the zones, to groups and parts.
 */
#ifndef DEEPMON_ATTRIBUTION_H
#define DEEPMON_ATTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "cgroups.h"
#include "energy.h"
#include "kernel.h"
#include "ledger.h"
#include "topology.h"

struct churn {
	uint64_t ended_cgroups, ended_cpu_ns;
};

struct attribution {
	struct kernel *kernel; /* NULL: CPU time is not measured */
	const struct topology *topology;
	struct cgroups *cgroups;
	struct groups *groups;

	uint64_t *counted_ns; /* [slot * sockets + socket]: charged so far */
	struct cgroup **owners; /* [slot] */
	uint32_t slots_used;	/* one past the highest slot that ever had an owner */

	struct account parts[PART_COUNT];
	struct churn churn[PART_COUNT]; /* of PART_CONTAINER and PART_SYSTEM */

	struct account **active; /* those with weight in the running interval */
	enum part *active_part;
	struct ledger_share *shares;
	size_t active_count, active_capacity;

	/* By domain, since the last report. */
	bool measured[ENERGY_DOMAIN_COUNT]; /* some zone had a delta */
	bool gap[ENERGY_DOMAIN_COUNT];	    /* some zone had none */
};

/* `kernel` may be NULL. -ENOMEM. All that is passed must outlive it. */
int attribution_init(struct attribution *attribution, struct kernel *kernel, const struct topology *topology,
		     struct cgroups *cgroups, struct groups *groups);
void attribution_clear(struct attribution *attribution);

/* Charges what was counted since the last call; the kernel was flushed and the zones read just before. */
void attribution_charge(struct attribution *attribution, const struct energy_zone *zones, size_t zone_count,
			uint64_t now_ns);

#endif
