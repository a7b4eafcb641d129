/* SPDX-License-Identifier: GPL-3.0-only
 *
 * How long things took somebody since the last report: histograms of each kind, and what they tell. Memory
 * only.
 */
#ifndef DEEPMON_LATENCIES_H
#define DEEPMON_LATENCIES_H

#include <stdbool.h>
#include <stdint.h>

#include "deepmon.h"
#include "latency.h"

/* As struct histogram, but with those octaves alone into which something fell. All zero is empty. */
struct latency_histogram {
	uint64_t sum_ns;
	struct histogram_page *octaves[HISTOGRAM_OCTAVES];
};

struct latencies {
	struct latency_histogram of[LATENCY_KINDS];
};

/* *to is made if need be. -ENOMEM: nothing was added. */
int latencies_add(struct latencies **to, const struct latency_fresh *fresh);
/* *to += from, which may be NULL. -ENOMEM: something is missing. */
int latencies_merge(struct latencies **to, const struct latencies *from);
/* Makes them empty; takes NULL. */
void latencies_empty(struct latencies *latencies);
/* Takes NULL. */
void latencies_free(struct latencies *latencies);

/* Several kinds together, a bit for each. `latencies` may be NULL: none. Returns how many there are. */
uint64_t latencies_sum(struct histogram *sum, const struct latencies *latencies, uint32_t kinds);

/*
 * In s: the mean, and then the quantiles, as DEEPMON_LATENCY_METRICS has them. `count` is not 0.
 */
#define LATENCY_FIGURE(SUBJECT, field, ...) LATENCY_FIGURE_##field,
enum latency_figure { DEEPMON_LATENCY_METRICS(LATENCY_FIGURE, _) LATENCY_FIGURES };
void latency_figures(const struct histogram *sum, uint64_t count, double figures[LATENCY_FIGURES]);

/* "tcp_client" */
const char *latency_kind_name(enum latency_kind kind);

#endif
