/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon itself costs.
 */
#ifndef DEEPMON_SELF_METER_H
#define DEEPMON_SELF_METER_H

#include <stdint.h>

#include "attribution.h"
#include "cgroup_events.h"
#include "sample.h"
#include "surveyor.h"

struct self_meter {
	uint64_t programs_lost; /* found off their hooks */
	int stats_fd;		/* BPF statistics are on while it is open; -1: off */
	uint64_t samples, sample_cpu_ns, sample_duration_ns;
	uint64_t skew_ns; /* the longest since the last report */

	/* As of the last report. */
	uint64_t reported_ns, busy_ns, used_uj;
	uint64_t total_uj;
};

/* Turns BPF statistics on, if the option says so; what stands in the way is said to the logger. */
void self_meter_open(struct self_meter *meter, const struct deepmon_options *options,
		     const struct deepmon_logger *logger);
void self_meter_close(struct self_meter *meter);

/* What is measured of a collector, for a report over interval_ns. `kernel` and `events` may be NULL. */
struct self_sources {
	const struct attribution *attribution;
	const struct kernel *kernel;
	const struct cgroup_events *events;
	const struct counters *counters;
	const struct surveyor *surveyor;
	const struct latency *latency; /* NULL: nothing is timed */
	const struct files *files;     /* NULL: their operations are not counted */
	uint64_t interval_ns;
};
void self_meter_report(struct self_meter *meter, const struct self_sources *sources,
		       struct sample_self *self);

#endif
