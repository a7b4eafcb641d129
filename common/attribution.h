/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Charges an interval: CPU time and counters from the kernel's slots and energy from the zones, to groups
 * and parts.
 */
#ifndef DEEPMON_ATTRIBUTION_H
#define DEEPMON_ATTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "cgroup_cpu.h"
#include "cgroups.h"
#include "energy.h"
#include "file_io.h"
#include "idle_power.h"
#include "kernel.h"
#include "latency.h"
#include "ledger.h"
#include "network.h"
#include "processes.h"
#include "top_files.h"
#include "topology.h"

/* From the options. */
struct attribution_rules {
	uint32_t overlap_ratio_ppm; /* what time beside a busy sibling counts, in millionths */
	enum ledger_idle_policy idle_policy;
	double idle_watts[ENERGY_DOMAIN_COUNT]; /* of one zone; negative: learned */
	uint32_t processes_told;		/* of each container, at most */
};

struct churn {
	uint64_t ended_cgroups, ended_cpu_ns;
};

/* What programs on hooks tell of. */
enum attribution_source {
	ATTRIBUTION_CPU,
	ATTRIBUTION_EVENTS,
	ATTRIBUTION_NETWORK,
	ATTRIBUTION_FILE_IO,
	ATTRIBUTION_SOURCES,
};

/* What is kept of a zone between intervals and reports. */
struct zone_record {
	struct idle_power idle;
	uint64_t reported_uj; /* its total as of the last report */
	bool measured, gap;   /* since then it had a delta; it had none */
	bool behind;	      /* its next delta will be of more time than the interval */
	uint64_t read_ns;     /* when it was read, as of the last charge */
};

struct attribution {
	struct kernel *kernel;	       /* NULL: CPU time is not accounted by eBPF */
	struct cgroup_cpu *cgroup_cpu; /* but read from cgroups' files; NULL: it is not measured */
	uint32_t cpus_online;	       /* for that; set before each charge */
	const struct topology *topology;
	struct cgroups *cgroups;
	struct groups *groups;
	struct network *network;     /* NULL: it is not counted */
	struct file_io *file_io;     /* likewise */
	struct latency *latency;     /* NULL: nothing is timed */
	struct top_files *top_files; /* NULL: files are not told apart */
	struct processes *processes; /* NULL: they are not told apart */
	struct peers *peers;	     /* likewise */
	struct paths *paths;	     /* likewise */
	struct attribution_rules rules;

	struct cpu_usage *counted; /* [slot * sockets + socket]: charged so far */
	struct cgroup **owners;	   /* [slot] */
	uint32_t slots_used;	   /* one past the highest slot that ever had an owner */
	uint32_t slots_owned;	   /* those that have one */
	uint64_t owners_refused;   /* times that a cgroup that has one was not to be known */

	struct account parts[PART_COUNT];
	uint64_t latencies_lost;	/* for want of memory: in no histogram */
	struct churn churn[PART_COUNT]; /* of PART_CONTAINER and PART_SYSTEM */

	/* The running interval: who takes part in energy, how busy the sockets were, what was counted. */
	struct account **active;
	enum part *active_part;
	struct ledger_share *shares;
	size_t active_count, active_most;
	uint64_t busy_ns[ACCOUNT_SOCKETS_MAX], idle_ns[ACCOUNT_SOCKETS_MAX];
	bool counters_whole; /* no reading of a counter failed */
	bool by_cycles;	     /* weight is cycles, not time */
	uint64_t counters_failed;

	/* A bit for each source: set before each charge. */
	uint32_t
	    unseen;   /* its programs did not see all of the interval: whose energy that is, is not known */
	uint32_t off; /* they do not hang on their hooks: its figures stand still, and are not told */

	/* Since the last report. */
	struct zone_record *zones;
	size_t zone_count;
	bool counters_gap, time_gap; /* some reading of them failed; some CPU time was not seen */
};

/* `kernel` may be NULL. -ENOMEM. All that is passed but the rules must outlive it. */
int attribution_init(struct attribution *attribution, struct kernel *kernel, const struct topology *topology,
		     struct cgroups *cgroups, struct groups *groups, size_t zone_count,
		     const struct attribution_rules *rules);
void attribution_clear(struct attribution *attribution);

/* Whether CPU time is measured at all, and so known whose the energy is. */
static inline bool attribution_has_time(const struct attribution *attribution)
{
	return attribution->kernel || attribution->cgroup_cpu;
}

/*
 * Charges what was counted since the last call; the kernel was flushed and the zones, as many as it was
 * made for, read just before.
 */
void attribution_charge(struct attribution *attribution, const struct energy_zone *zones, uint64_t now_ns);

/*
 * What was charged so far, since the kernel began to account, is before the first report: its rates begin
 * here. That an energy counter's first reading has nothing before it is no gap.
 */
void attribution_begin(struct attribution *attribution);

#endif
