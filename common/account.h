/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What somebody has used: the sums that samples are made of. Counters only grow.
 */
#ifndef DEEPMON_ACCOUNT_H
#define DEEPMON_ACCOUNT_H

#include <stdint.h>

#include "energy.h"

#define ACCOUNT_SOCKETS_MAX 64

struct account_sums {
	uint64_t cpu_ns;
	uint64_t energy_uj[ENERGY_DOMAIN_COUNT];
};

struct account {
	struct account_sums used;     /* since the collector was opened */
	struct account_sums reported; /* as of the last report */
	uint64_t *weight_ns;	      /* CPU time in the running interval, by socket; NULL: none is kept */
};

/* The parts of the whole. Every nanosecond and every microjoule goes to exactly one. */
enum part {
	PART_CONTAINER,
	PART_SYSTEM,	   /* cgroups that are no container */
	PART_KERNEL,	   /* kernel threads */
	PART_OTHER,	   /* cgroups past MaxCgroups */
	PART_IDLE,	   /* CPU time unused; energy of a socket on which nothing ran */
	PART_UNATTRIBUTED, /* energy of a socket whose CPU time was not measured */
	PART_COUNT,
};

#endif
