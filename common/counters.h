/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The performance counters behind the accounting: which event each counts, and one perf event of it on
 * every CPU, which the BPF programs read.
 */
#ifndef DEEPMON_COUNTERS_H
#define DEEPMON_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/cpu.h"
#include "counter_event.h"
#include "deepmon.h"

struct counters {
	uint32_t mask; /* a bit for each enum cpu_counter that is open on every CPU that is online */
	uint32_t cpu_count;
	struct counter_event event[CPU_COUNTERS];
	int *fds;	      /* [cpu * CPU_COUNTERS + counter]; -1: not open */
	uint64_t *enabled_ns; /* [cpu]; of its first counter, when counters_gone last looked; 0: never */
};

/*
 * Opens the events that the options name on cpu_count CPUs. What can't be is said to the logger, in one
 * line, and its bit stays clear: that is no failure. -ENOMEM.
 */
int counters_open(struct counters *counters, const struct deepmon_options *options, uint32_t cpu_count,
		  const struct deepmon_logger *logger);
void counters_close(struct counters *counters);

/* Opens those of one CPU again, for it was away. -errno of the first that can't be. */
int counters_open_cpu(struct counters *counters, uint32_t cpu);

/*
 * Whether a CPU's counters went without a word since the last call: it was away and is back, and what was
 * opened before stands still for good.
 */
bool counters_gone(struct counters *counters, uint32_t cpu);

/*
 * For how much of the time that the counters were enabled they ran, all of them together, from 0 to 1: less
 * than 1 when the PMU had fewer registers than were asked for and took turns. -ENODATA: none is open.
 */
int counters_running(const struct counters *counters, double *ratio);

#endif
