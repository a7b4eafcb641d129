/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Somebody's histograms. Memory only.
 */
#include "latencies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t quantile_ppm[] = {500000, 750000, 900000, 990000, 999000, 999900, 999990};
#define QUANTILES (sizeof(quantile_ppm) / sizeof(quantile_ppm[0]))
_Static_assert(QUANTILES + 1 == LATENCY_FIGURES, "one for each row of the catalogue but the mean's");

static struct histogram_page *octave_of(struct latencies **latencies, enum latency_kind kind, uint32_t octave)
{
	struct histogram_page **page;

	if (!*latencies)
		*latencies = calloc(1, sizeof(**latencies));
	if (!*latencies)
		return NULL;
	page = &(*latencies)->of[kind].octaves[octave];
	if (!*page)
		*page = calloc(1, sizeof(**page));
	return *page;
}

static int add_page(struct latencies **to, enum latency_kind kind, uint32_t octave,
		    const struct histogram_page *buckets)
{
	struct histogram_page *page = octave_of(to, kind, octave);

	if (!page)
		return -ENOMEM;
	for (uint32_t sub = 0; sub < HISTOGRAM_SUBS; sub++)
		page->counts[sub] += buckets->counts[sub];
	return 0;
}

int latencies_add(struct latencies **to, const struct latency_fresh *fresh)
{
	int r = add_page(to, fresh->kind, fresh->octave, &fresh->buckets);

	if (!r)
		(*to)->of[fresh->kind].sum_ns += fresh->sum_ns;
	return r;
}

int latencies_merge(struct latencies **to, const struct latencies *from)
{
	int r = 0;

	for (int kind = 0; kind < LATENCY_KINDS && from && !r; kind++) {
		const struct latency_histogram *histogram = &from->of[kind];

		for (uint32_t octave = 0; octave < HISTOGRAM_OCTAVES && !r; octave++)
			if (histogram->octaves[octave])
				r = add_page(to, kind, octave, histogram->octaves[octave]);
		if (!r && histogram->sum_ns)
			(*to)->of[kind].sum_ns += histogram->sum_ns;
	}
	return r;
}

void latencies_empty(struct latencies *latencies)
{
	for (int kind = 0; kind < LATENCY_KINDS && latencies; kind++) {
		struct latency_histogram *histogram = &latencies->of[kind];

		for (int octave = 0; octave < HISTOGRAM_OCTAVES; octave++)
			free(histogram->octaves[octave]);
		*histogram = (struct latency_histogram){0};
	}
}

void latencies_free(struct latencies *latencies)
{
	latencies_empty(latencies);
	free(latencies);
}

uint64_t latencies_sum(struct histogram *sum, const struct latencies *latencies, uint32_t kinds)
{
	memset(sum, 0, sizeof(*sum));
	for (int kind = 0; kind < LATENCY_KINDS && latencies; kind++) {
		const struct latency_histogram *histogram = &latencies->of[kind];

		if (!(kinds & 1u << kind))
			continue;
		sum->sum_ns += histogram->sum_ns;
		for (uint32_t octave = 0; octave < HISTOGRAM_OCTAVES; octave++)
			if (histogram->octaves[octave])
				histogram_add_page(sum, octave, histogram->octaves[octave]);
	}
	return latencies ? histogram_count(sum) : 0;
}

void latency_figures(const struct histogram *sum, uint64_t count, double figures[LATENCY_FIGURES])
{
	__u64 ns[QUANTILES];

	histogram_quantiles_ns(sum, count, quantile_ppm, QUANTILES, ns);
	figures[0] = histogram_mean_ns(sum, count) / 1e9;
	for (size_t i = 0; i < QUANTILES; i++)
		figures[1 + i] = (double)ns[i] / 1e9;
}

#define KIND_NAME(CONSTANT, name) #name,

const char *latency_kind_name(enum latency_kind kind)
{
	static const char *const names[] = {LATENCY_KIND_ROWS(KIND_NAME)};

	return names[kind];
}
