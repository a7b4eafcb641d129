/* SPDX-License-Identifier: GPL-3.0-only
 *
 * How long things took: reads what the programs that include bpf/latency.bpf.h counted, by slot.
 */
#ifndef DEEPMON_LATENCY_H
#define DEEPMON_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/latency.h"
#include "deepmon.h"

struct bpf_map;
struct kernel_copy;
struct recording_out;

struct latency;

/* Makes the maps, with so many pages. What stood in the way is said to the logger. -errno. */
int latency_open(struct latency **latency, uint32_t page_count, const struct deepmon_logger *logger);
/* Takes NULL. */
void latency_close(struct latency *latency);

/* An opened object's maps of bpf/latency.bpf.h, which are to be the common ones. -errno. */
struct latency_maps {
	struct bpf_map *pages, *index, *free, *refused;
};
int latency_share(const struct latency *latency, const struct latency_maps *maps);

/* What came to one octave of a slot's histogram. */
struct latency_fresh {
	uint32_t slot;
	enum latency_kind kind;
	uint32_t octave;
	uint64_t sum_ns;
	struct histogram_page buckets;
};

/*
 * The next octave to which something came since the last round; *cursor is 0 at the beginning of a round.
 * False: there are no more.
 */
bool latency_take(struct latency *latency, uint32_t *cursor, struct latency_fresh *fresh);

/* Latencies that found no page; only grows. */
uint64_t latency_refused(const struct latency *latency);
/* Pages in use. */
uint32_t latency_pages_used(const struct latency *latency);

/*
 * For recordings. From now on what is taken is what the last capture brought, which wrote it down, too; with
 * no copy, what the maps say again. -E2BIG, -ENOMEM.
 */
int latency_keep_copy(struct latency *latency, struct kernel_copy *copy);
void latency_capture(struct latency *latency, struct recording_out *out);
/* One that is played to, through the kernel's copy, which has what there is. -ENOMEM. */
int latency_open_recorded(struct latency **latency, struct kernel_copy *copy);

#endif
