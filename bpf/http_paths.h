/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/http_paths.bpf.h and common/paths.c share: HTTP transactions of each cgroup by role, method and
 * path. Rows go round as those of bpf/peer.h do; what finds no row is counted for its cgroup all the same,
 * and so is part of (other).
 */
#ifndef DEEPMON_BPF_HTTP_PATHS_H
#define DEEPMON_BPF_HTTP_PATHS_H

#include "http_target.h"
#include "net.h"

/* Of the path, as many bytes as HTTPPathMax says make the key of a hash. */
struct path_key {
	__u64 cgroup_id; /* 0: the row is free */
	__u8 side;	 /* enum net_side */
	__u8 method;	 /* enum http_method */
	__u8 cut;	 /* whether the path is the beginning of longer ones */
	__u8 padding[5];
	union http_path path;
};

/* Of the key, where a path is of at most so many bytes. */
static __always_inline __u32 path_key_size(__u32 most)
{
	return (__u32)offsetof(struct path_key, path) + (most + 7) / 8 * 8;
}

/* An element of the map `path_rows`; the first is nobody's. Its latencies are those of the slot of its number
 * and of the kind LATENCY_OF_PATH. */
struct path_row {
	struct path_key key;
	__u32 serial; /* user space adds one when it takes the row back */
	__u32 padding;
	struct net_transactions used; /* only grow */
	__u64 reserved[3];
};
_Static_assert(sizeof(struct path_row) % 64 == 0, "whole cache lines, so that paths do not share any");

struct path_place {
	__u32 row; /* 0: none */
	__u32 serial;
};

/* What is kept with a socket that speaks HTTP. */
struct path_dialogue {
	struct path_key key;			       /* scratch */
	struct http_target target;		       /* of the request whose first line is being read */
	__u64 pending;				       /* bytes of it so far */
	struct path_place request;		       /* the request that is being read */
	struct path_place answers[TRANSACTION_STARTS]; /* as transaction_queue has their starts */
};

#endif
