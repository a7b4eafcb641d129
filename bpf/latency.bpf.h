/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Adds how long something took to the histogram of its slot and kind. Each program that measures includes
 * this; the maps are one set for all of them, which common/latency.c makes and gives to each.
 *
 * An octave of a histogram gets a page when something falls into it. When there are no pages left, what
 * would need one is in no histogram, and counted as refused.
 */
#ifndef DEEPMON_BPF_LATENCY_BPF_H
#define DEEPMON_BPF_LATENCY_BPF_H

#include "latency.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* as many as user space made */
	__type(key, __u32);
	__type(value, struct latency_page);
} latency_pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* likewise */
	__type(key, struct latency_key);
	__type(value, __u32);
} latency_index SEC(".maps");

/* User space fills it, the lowest on top: pages in use stand together. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1); /* likewise */
	__type(value, __u32);
} latency_free SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} latency_refused SEC(".maps");

static __noinline int refuse_latency(void)
{
	__u32 zero = 0;
	__u64 *refused = bpf_map_lookup_elem(&latency_refused, &zero);

	if (refused)
		__sync_fetch_and_add(refused, 1);
	return 0;
}

/* Gives an octave its page, once its key is in it. Of two CPUs that try the one that loses hands back. */
static __noinline struct latency_page *take_page(const struct latency_key *key)
{
	struct latency_page *page;
	__u32 number, *theirs;

	if (!key || bpf_map_pop_elem(&latency_free, &number))
		return NULL;
	page = bpf_map_lookup_elem(&latency_pages, &number);
	if (!page)
		return NULL;
	page->key = *key;
	if (!bpf_map_update_elem(&latency_index, key, &number, BPF_NOEXIST))
		return page;
	page->key.slot = 0;
	bpf_map_push_elem(&latency_free, &number, BPF_ANY);
	theirs = bpf_map_lookup_elem(&latency_index, key);
	return theirs ? bpf_map_lookup_elem(&latency_pages, theirs) : NULL;
}

static __always_inline void add_to_page(struct latency_page *page, __u32 sub, __u64 ns)
{
	if (!page) {
		refuse_latency();
		return;
	}
	__sync_fetch_and_add(&page->buckets.counts[sub & (HISTOGRAM_SUBS - 1)], 1);
	/* The sum shows that there is something new: what took no time by two CPUs' clocks took 1 ns. */
	__sync_fetch_and_add(&page->sum_ns, ns ? ns : 1);
}

static __always_inline void latency_add(__u32 slot, __u32 kind, __u64 ns)
{
	struct histogram_bucket bucket = histogram_bucket_of(ns);
	struct latency_key key = {slot, (__u16)kind, (__u16)bucket.octave};
	__u32 *number = bpf_map_lookup_elem(&latency_index, &key);

	add_to_page(number ? bpf_map_lookup_elem(&latency_pages, number) : take_page(&key), bucket.sub, ns);
}

/* The same, where somebody's latencies tend to fall into the octave of his last one. */
static __always_inline void latency_add_known(struct latency_known *known, __u32 slot, __u32 kind, __u64 ns)
{
	struct histogram_bucket bucket = histogram_bucket_of(ns);
	struct latency_key key = {slot, (__u16)kind, (__u16)bucket.octave};
	__u32 number = known->number, *found;
	struct latency_page *page = bpf_map_lookup_elem(&latency_pages, &number);

	if (!page || page->key.slot != slot || page->key.kind != key.kind || page->key.octave != key.octave) {
		found = bpf_map_lookup_elem(&latency_index, &key);
		if (found)
			known->number = *found;
		page = found ? bpf_map_lookup_elem(&latency_pages, found) : take_page(&key);
	}
	add_to_page(page, bucket.sub, ns);
}

#endif
