/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/latency.bpf.h and common/latency.c share: histograms of what took each slot how long.
 */
#ifndef DEEPMON_BPF_LATENCY_H
#define DEEPMON_BPF_LATENCY_H

#include "histogram.h"

/* What took that long: each slot has a histogram of each of these. X(constant, name) */
#define LATENCY_KIND_ROWS(X) \
	X(TCP_CLIENT, tcp_client) \
	X(TCP_SERVER, tcp_server) \
	X(HTTP_CLIENT, http_client) \
	X(HTTP_SERVER, http_server) \
	X(FILE_READ, file_read) \
	X(FILE_WRITE, file_write) \
	X(FILE_SYNC, file_sync)

#define LATENCY_KIND_CONSTANT(CONSTANT, name) LATENCY_##CONSTANT,
enum latency_kind { LATENCY_KIND_ROWS(LATENCY_KIND_CONSTANT) LATENCY_KINDS };

/* The kind of a histogram of an HTTP path's: its slot is the number of a row, see bpf/http_paths.h. */
#define LATENCY_OF_PATH LATENCY_KINDS

/* One octave of one histogram: a key of the map `latency_index`, whose value is a page's number. */
struct latency_key {
	__u32 slot; /* 0: nobody's */
	__u16 kind;
	__u16 octave;
};

/*
 * An element of the map `latency_pages`. Once taken it stays that octave's, also when the slot gets another
 * owner: counts only grow, user space subtracts. All CPUs add to it, atomically: to the bucket, then to
 * sum_ns, so that whoever finds sum_ns as it was has missed at most what is just being added.
 */
struct latency_page {
	struct latency_key key;
	__u64 sum_ns; /* modulo 2^64 */
	struct histogram_page buckets;
};
/* The page that somebody used last, which says itself what it is of. */
struct latency_known {
	__u32 number;
};

_Static_assert(sizeof(struct latency_page) % sizeof(__u64) == 0, "an array's elements have no gaps then");

#endif
