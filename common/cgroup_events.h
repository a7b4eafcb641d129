/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Hears of cgroups as they are made and removed.
 */
#ifndef DEEPMON_CGROUP_EVENTS_H
#define DEEPMON_CGROUP_EVENTS_H

#include <stdint.h>

#include "../bpf/cgroup.h"
#include "bpf_links.h"
#include "deepmon.h"
#include "hierarchy.h"

struct cgroup_events;

/* Gets each event, in the kernel's order, from within cgroup_events_read. */
typedef void cgroup_event_handler(void *user, const struct cgroup_event *event);

/* What stood in the way is said to the logger. -errno. */
int cgroup_events_open(struct cgroup_events **events, const struct hierarchy *hierarchy,
		       cgroup_event_handler *handle, void *user, const struct deepmon_logger *logger);
/* Takes NULL. */
void cgroup_events_close(struct cgroup_events *events);

/* Readable when there are events to read. */
/* As bpf_links_mend. */
void cgroup_events_mend(struct cgroup_events *events, struct bpf_links_state *state);

int cgroup_events_fd(const struct cgroup_events *events);
void cgroup_events_read(struct cgroup_events *events);

/* Events lost so far for want of room; only grows. */
uint64_t cgroup_events_dropped(const struct cgroup_events *events);

/* As bpf_object_add_run_time. */
int cgroup_events_add_run_time(const struct cgroup_events *events, uint64_t *run_time_ns, uint64_t *runs);

#endif
