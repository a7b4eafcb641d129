/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Histograms of latencies, exact to 1/128 (0.8 %) from 512 ns to 2,199 s. Arithmetic alone, for kernel and
 * user space.
 *
 * Each octave [2^k, 2^(k+1)) ns is cut into 64 buckets of the same width, so a bucket is found by the six
 * bits below the leading one, and its middle is off from what is in it by at most 1/128. The counts of an
 * octave are a page, so that whoever keeps many histograms stores the few pages of each that are not empty.
 * What is shorter goes to the first bucket, what is longer to the last.
 */
#ifndef DEEPMON_BPF_HISTOGRAM_H
#define DEEPMON_BPF_HISTOGRAM_H

/* Before linux/types.h, which would make it a mere wish. */
#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

#include <linux/types.h>
#include <stdbool.h>

#define HISTOGRAM_SUB_BITS    6
#define HISTOGRAM_SUBS	      (1 << HISTOGRAM_SUB_BITS) /* buckets of an octave */
#define HISTOGRAM_FIRST_POWER 9				/* the first octave begins at 2^9 ns */
#define HISTOGRAM_OCTAVES     32
#define HISTOGRAM_PPM	      1000000

struct histogram_bucket {
	__u32 octave; /* below HISTOGRAM_OCTAVES */
	__u32 sub;    /* below HISTOGRAM_SUBS */
};

/* How many fell into each bucket of one octave. */
struct histogram_page {
	__u64 counts[HISTOGRAM_SUBS];
};
_Static_assert(sizeof(struct histogram_page) == 512, "an eighth of a memory page");

static __always_inline struct histogram_bucket histogram_bucket_of(__u64 ns)
{
	struct histogram_bucket bucket = {0, 0};
	__u64 octaves = ns >> HISTOGRAM_FIRST_POWER;
	__u32 octave = 0;

	if (!octaves)
		return bucket;
	if (octaves >> HISTOGRAM_OCTAVES) {
		bucket.octave = HISTOGRAM_OCTAVES - 1;
		bucket.sub = HISTOGRAM_SUBS - 1;
		return bucket;
	}
	/* The place of the leading one: BPF has no instruction for it. */
	if (octaves >> 16)
		octave = 16;
	if (octaves >> octave >> 8)
		octave += 8;
	if (octaves >> octave >> 4)
		octave += 4;
	if (octaves >> octave >> 2)
		octave += 2;
	if (octaves >> octave >> 1)
		octave += 1;
	/* The masks change nothing; they are for the verifier. */
	bucket.octave = octave & (HISTOGRAM_OCTAVES - 1);
	bucket.sub = (ns >> (octave + HISTOGRAM_FIRST_POWER - HISTOGRAM_SUB_BITS)) & (HISTOGRAM_SUBS - 1);
	return bucket;
}

#ifndef __bpf__

/* The least value of a bucket; of the first, though 0 falls into it, 512 ns. */
static __always_inline __u64 histogram_low_ns(struct histogram_bucket bucket)
{
	return (__u64)(HISTOGRAM_SUBS + bucket.sub)
	       << (bucket.octave + HISTOGRAM_FIRST_POWER - HISTOGRAM_SUB_BITS);
}

/* The least value that is above a bucket; of the last, though all that is longer falls into it, 2^41 ns. */
static __always_inline __u64 histogram_high_ns(struct histogram_bucket bucket)
{
	return (__u64)(HISTOGRAM_SUBS + bucket.sub + 1)
	       << (bucket.octave + HISTOGRAM_FIRST_POWER - HISTOGRAM_SUB_BITS);
}

/* What a value in a bucket is taken to be. */
static __always_inline __u64 histogram_middle_ns(struct histogram_bucket bucket)
{
	return (histogram_low_ns(bucket) + histogram_high_ns(bucket)) / 2;
}

/* A whole one, with the exact sum of all values beside it. All zero is empty. */
struct histogram {
	__u64 sum_ns; /* modulo 2^64: differences are right */
	struct histogram_page pages[HISTOGRAM_OCTAVES];
};

static inline void histogram_add(struct histogram *to, __u64 ns)
{
	struct histogram_bucket bucket = histogram_bucket_of(ns);

	to->sum_ns += ns;
	to->pages[bucket.octave].counts[bucket.sub]++;
}

static inline void histogram_add_page(struct histogram *to, __u32 octave, const struct histogram_page *page)
{
	for (__u32 sub = 0; sub < HISTOGRAM_SUBS; sub++)
		to->pages[octave].counts[sub] += page->counts[sub];
}

static inline void histogram_merge(struct histogram *to, const struct histogram *from)
{
	to->sum_ns += from->sum_ns;
	for (__u32 octave = 0; octave < HISTOGRAM_OCTAVES; octave++)
		histogram_add_page(to, octave, &from->pages[octave]);
}

/* What came after `earlier`, of which `from` is the continuation. */
static inline void histogram_subtract(struct histogram *from, const struct histogram *earlier)
{
	from->sum_ns -= earlier->sum_ns;
	for (__u32 octave = 0; octave < HISTOGRAM_OCTAVES; octave++)
		for (__u32 sub = 0; sub < HISTOGRAM_SUBS; sub++)
			from->pages[octave].counts[sub] -= earlier->pages[octave].counts[sub];
}

static inline __u64 histogram_count(const struct histogram *of)
{
	__u64 count = 0;

	for (__u32 octave = 0; octave < HISTOGRAM_OCTAVES; octave++)
		for (__u32 sub = 0; sub < HISTOGRAM_SUBS; sub++)
			count += of->pages[octave].counts[sub];
	return count;
}

/* The exact mean; 0 if it is empty. `count` is histogram_count's. */
static inline double histogram_mean_ns(const struct histogram *of, __u64 count)
{
	return count ? (double)of->sum_ns / (double)count : 0;
}

/* The number of a quantile's value among `count` in order, from 1. */
static inline __u64 histogram_rank(__u64 count, __u32 ppm)
{
	unsigned __int128 product = (unsigned __int128)count * (ppm < HISTOGRAM_PPM ? ppm : HISTOGRAM_PPM);
	__u64 rank = (__u64)((product + HISTOGRAM_PPM - 1) / HISTOGRAM_PPM);

	return rank ? rank : 1;
}

/*
 * The quantiles of so many millionths each, which do not fall: of n values in order, number
 * ceil(n * ppm / 1,000,000) from 1, that is, the smallest of which so many are not above it. Each is the
 * middle of the bucket which that very value is in. 0 for an empty histogram: no bucket's middle is that.
 * `count` is histogram_count's; ppm counts as at most HISTOGRAM_PPM, the maximum, and 0 is the minimum.
 */
static inline void histogram_quantiles_ns(const struct histogram *of, __u64 count, const __u32 *ppm,
					  __u32 quantiles, __u64 *ns)
{
	struct histogram_bucket bucket;
	__u64 reached = 0;
	__u32 found = 0;

	for (bucket.octave = 0; bucket.octave < HISTOGRAM_OCTAVES; bucket.octave++) {
		for (bucket.sub = 0; bucket.sub < HISTOGRAM_SUBS; bucket.sub++) {
			reached += of->pages[bucket.octave].counts[bucket.sub];
			while (found < quantiles && reached >= histogram_rank(count, ppm[found]))
				ns[found++] = histogram_middle_ns(bucket);
		}
	}
	while (found < quantiles)
		ns[found++] = 0;
}

/* One of them. */
static inline __u64 histogram_quantile_ns(const struct histogram *of, __u64 count, __u32 ppm)
{
	__u64 ns;

	histogram_quantiles_ns(of, count, &ppm, 1, &ns);
	return ns;
}

#endif

#endif
