/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What came to the kernel's histograms of latencies up to a sample, in plain memory: what the ledger reads
 * while it is recorded, and of a recording. See kernel_copy.h.
 */
#ifndef DEEPMON_LATENCY_COPY_H
#define DEEPMON_LATENCY_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "latency.h"
#include "recording.h"

#define LATENCY_COPY_PAGES_MAX (1u << 20)
#define LATENCY_COPY_KINDS_MAX 64

struct latency_copy {
	uint32_t page_count; /* 0: nothing is timed */
	uint32_t slot_count;
	struct latency_key *keys;    /* [page], as the recording numbers their kinds; slot 0: not known yet */
	struct latency_fresh *fresh; /* what came and was not taken yet; at most a page each */
	size_t fresh_count, fresh_capacity;
	uint32_t kind_count;		  /* of the recording */
	int kind[LATENCY_COPY_KINDS_MAX]; /* which of ours each is; -1: none, or none that is wanted */
};

/* -E2BIG: more pages than a copy is made of. -ENOMEM. */
int latency_copy_init(struct latency_copy *copy, uint32_t page_count, uint32_t slot_count);
void latency_copy_clear(struct latency_copy *copy);

/* Next to be taken. -ENOMEM; -E2BIG: there are as many as pages. */
int latency_copy_add(struct latency_copy *copy, const struct latency_fresh *fresh);
/* As latency_take. After the last there are none. */
bool latency_copy_take(struct latency_copy *copy, uint32_t *cursor, struct latency_fresh *fresh);

/* RECORDING_TIMED: what the histograms are like. */
void latency_copy_put_setup(const struct latency_copy *copy, struct recording_out *out);
/*
 * In place of latency_copy_init: those of a recording. `wanted`: a bit for each kind that is to be told.
 * -EBADMSG. -EPROTONOSUPPORT: they have another shape than ours.
 */
int latency_copy_take_setup(struct latency_copy *copy, struct recording_in *record, uint32_t slot_count,
			    uint32_t wanted);

/* RECORDING_LATENCIES: what came to a page, in a record that is open. Pages are in it once each. */
void latency_copy_put(struct latency_copy *copy, struct recording_out *out, uint32_t page,
		      const struct latency_fresh *fresh);
/* What is played is next to be taken. What is bad the record says. */
void latency_copy_play(struct latency_copy *copy, struct recording_in *record);

#endif
