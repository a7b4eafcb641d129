/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory the processes of a group map: the sums of RSS, PSS and USS of those that its cgroups and all
 * that is nested in them hold.
 *
 * RSS counts a page once for each process that maps it, PSS once in all, USS if one process alone maps it.
 */
#ifndef DEEPMON_RESIDENT_H
#define DEEPMON_RESIDENT_H

#include <stdint.h>

#include "smaps.h"

struct resident {
	struct smaps sum;
	uint32_t processes; /* whose it is; 0: nothing is known, or there is none */
	uint64_t read_ns;   /* when the reading of them began, CLOCK_MONOTONIC; 0: never */
};

/* What one had is now part of the other's. The age is that of the older. */
void resident_absorb(struct resident *to, const struct resident *from);

#endif
