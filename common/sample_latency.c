/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Latencies in a sample: their figures, and the histograms themselves. Memory only.
 */
#include <stdio.h>
#include <string.h>

#include "sample_parts.h"

void sample_tell_latencies(struct sample *sample, struct deepmon_record *record, double *mean,
			   uint64_t mean_valid, const struct latencies *latencies, uint32_t kinds)
{
	uint64_t count = latencies_sum(&sample->histogram, latencies, kinds);

	if (!count)
		return;
	latency_figures(&sample->histogram, count, mean);
	record->valid |= mean_valid * ((1ull << LATENCY_FIGURES) - 1);
}

/* A bound in s, exactly: it is a whole number of ns. */
static const char *bound(struct sample *sample, uint64_t ns)
{
	char text[32];
	size_t length =
	    (size_t)snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(ns / 1000000000),
			     (unsigned long long)(ns % 1000000000));

	while (text[length - 1] == '0' && text[length - 2] != '.')
		text[--length] = '\0';
	return sample_keep_text(sample, text);
}

static void add_bucket(struct sample *sample, struct subject_of *of, struct histogram_bucket bucket,
		       uint64_t count)
{
	bool first = !bucket.octave && !bucket.sub;
	bool last = bucket.octave == HISTOGRAM_OCTAVES - 1 && bucket.sub == HISTOGRAM_SUBS - 1;
	struct deepmon_record *record;
	char qualifier[96];

	of->lower = first ? "0" : bound(sample, histogram_low_ns(bucket));
	of->upper = last ? "+Inf" : bound(sample, histogram_high_ns(bucket));
	snprintf(qualifier, sizeof(qualifier), "%s-%s-%s", of->latency, of->lower, of->upper);
	record = sample_add_of(sample, of, DEEPMON_SUBJECT_BUCKETS);
	record->qualifier = sample_keep_text(sample, qualifier);
	record->values.buckets.count = count;
	record->valid = VALID(BUCKETS, count);
}

void sample_add_buckets(struct sample *sample, const struct subject_of *whose, const struct account *account)
{
	struct subject_of of = *whose;
	struct histogram_bucket bucket;

	for (int kind = 0; kind < LATENCY_KINDS && sample->latency_buckets && account->latencies; kind++) {
		const struct latency_histogram *histogram = &account->latencies->of[kind];

		of.latency = latency_kind_name(kind);
		for (bucket.octave = 0; bucket.octave < HISTOGRAM_OCTAVES; bucket.octave++) {
			const struct histogram_page *page = histogram->octaves[bucket.octave];

			for (bucket.sub = 0; page && bucket.sub < HISTOGRAM_SUBS; bucket.sub++)
				if (page->counts[bucket.sub])
					add_bucket(sample, &of, bucket, page->counts[bucket.sub]);
		}
	}
}
