/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a performance counter counts, by its name.
 */
#ifndef DEEPMON_COUNTER_EVENT_H
#define DEEPMON_COUNTER_EVENT_H

#include <stdint.h>

/* As in struct perf_event_attr. */
struct counter_event {
	uint32_t type;
	uint64_t config;
};

/*
 * Reads an event's name as `perf list` has it ("cycles", "cache-misses", "page-faults") or a raw code as
 * perf takes it ("r1a2b"). -ENOENT: "" or "none", that counter is not wanted. -EINVAL: there is none.
 */
int counter_event_parse(const char *text, struct counter_event *event);

#endif
