/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What somebody has used: the sums that samples are made of. Counters only grow.
 */
#ifndef DEEPMON_ACCOUNT_H
#define DEEPMON_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/cpu.h"
#include "energy.h"

#define ACCOUNT_SOCKETS_MAX 64

struct account_sums {
	uint64_t cpu_ns;
	uint64_t overlap_ns; /* of it, beside a busy sibling */
	uint64_t weight;     /* by which energy is shared: cycles, or ns where they are not counted */
	uint64_t counter[CPU_COUNTERS];
	uint64_t energy_uj[ENERGY_DOMAIN_COUNT];
};

/* What energy of one socket is shared by, in the running interval. */
struct account_claim {
	uint64_t weight;
	uint64_t cache_misses;
};

struct account {
	struct account_sums used;     /* since the collector was opened */
	struct account_sums reported; /* as of the last report */
	struct account_claim *claims; /* by socket */
	bool active;		      /* has a claim in the running interval */
};

/* The parts of the whole. Every nanosecond and every microjoule goes to exactly one. */
enum part {
	PART_CONTAINER,
	PART_SYSTEM,	   /* cgroups that are no container */
	PART_KERNEL,	   /* kernel threads */
	PART_OTHER,	   /* cgroups past MaxCgroups */
	PART_IDLE,	   /* CPU time unused; energy that flows without work, and of sockets without any */
	PART_UNATTRIBUTED, /* energy of a socket whose CPU time was not measured */
	PART_COUNT,
};

#endif
