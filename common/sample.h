/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Puts a sample together: records in one array, their texts copied, so that it outlives what it tells of.
 */
#ifndef DEEPMON_SAMPLE_H
#define DEEPMON_SAMPLE_H

#include "attribution.h"
#include "deepmon.h"
#include "texts.h"
#include "told.h"

/* A domain's zones, as the report tells of them. */
struct domain_state {
	const char *source; /* NULL: there is no such zone */
	bool measured, gap; /* some had a figure since the last report; some lacked one */
	uint64_t total_uj, reported_uj;
};

struct sample {
	struct told *told; /* what is told at all; NULL: everything, of everybody */
	struct deepmon_sample view;
	struct deepmon_record *records;
	size_t capacity;
	const char *experiment; /* a label of all records; "" or NULL: none */
	/* When what it tells of was so, CLOCK_REALTIME and CLOCK_MONOTONIC; set by the caller of
	 * sample_build. */
	uint64_t taken_ns, now_ns;
	struct texts texts;
	bool failed; /* out of memory: the sample is not whole */
	struct domain_state domains[ENERGY_DOMAIN_COUNT];
	struct histogram histogram; /* scratch */
	bool latency_buckets;	    /* the option */
};

struct sample_self {
	struct deepmon_self_cost cost;
	uint64_t valid;
};

/*
 * Tells of everything since the last sample, over interval_ns, and marks it as reported. -ENOMEM: the
 * sample is not whole, and what could not be told goes into the next.
 */
int sample_build(struct sample *sample, struct attribution *attribution, const struct energy_zone *zones,
		 uint64_t interval_ns, const struct sample_self *self);
void sample_clear(struct sample *sample);

#endif
