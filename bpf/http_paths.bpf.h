/* SPDX-License-Identifier: GPL-3.0-only
 *
 * HTTP transactions by method and path. Included by http.bpf.h alone, which counts for the slot first: so a
 * slot never has less than its paths together.
 */
#ifndef DEEPMON_BPF_HTTP_PATHS_BPF_H
#define DEEPMON_BPF_HTTP_PATHS_BPF_H

#include "http_paths.h"
#include "latency.bpf.h"
#include "peers.bpf.h"

const volatile bool with_paths; /* these three are set at open */
const volatile __u32 path_most;
const volatile bool path_fold;

__u64 paths_refused; /* times that a path found no row */
bool paths_ready;    /* as peers_ready */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: MaxHTTPPaths + 1 */
	__type(key, __u32);
	__type(value, struct path_row);
} path_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);			   /* set at open: MaxHTTPPaths */
	__uint(key_size, sizeof(struct path_key)); /* and this, by HTTPPathMax */
	__uint(value_size, sizeof(__u32));
} row_by_path SEC(".maps");

/* As free_rows. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1); /* set at open: MaxHTTPPaths */
	__type(value, __u32);
} free_path_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct path_dialogue);
} path_dialogues SEC(".maps");

static __always_inline struct path_row *path_row_at(__u32 index)
{
	return index ? bpf_map_lookup_elem(&path_rows, &index) : NULL;
}

/* Gives a path its row. Two CPUs may try at once: the one that loses hands its row back. */
static __noinline __u32 take_path_row(const struct path_key *key)
{
	__u32 index = 0, *theirs;
	struct path_row *row;

	if (!key || bpf_map_pop_elem(&free_path_rows, &index)) {
		__sync_fetch_and_add(&paths_refused, 1);
		return 0;
	}
	row = path_row_at(index);
	if (!row)
		return 0;
	row->key = *key;
	if (!bpf_map_update_elem(&row_by_path, key, &index, BPF_NOEXIST))
		return index;
	theirs = bpf_map_lookup_elem(&row_by_path, key);
	row->key.cgroup_id = 0;
	bpf_map_push_elem(&free_path_rows, &index, BPF_ANY);
	return theirs ? *theirs : 0;
}

/* The row of the request whose first line is complete; 0 where nobody is to know of it. */
static __noinline __u32 find_path_row(struct path_dialogue *paths, __u32 slot, bool server, __u8 method)
{
	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);
	struct peer_slot *wanted = bpf_map_lookup_elem(&peer_slots, &slot);
	__u32 *known;

	if (!paths_ready || !paths || !owner || !owner->cgroup_id || !wanted ||
	    wanted->unwanted == owner->cgroup_id)
		return 0;
	paths->key.cgroup_id = owner->cgroup_id;
	paths->key.side = server ? NET_AS_SERVER : NET_AS_CLIENT;
	paths->key.method = method;
	paths->key.cut = paths->target.cut;
	paths->key.path = paths->target.path;
	known = bpf_map_lookup_elem(&row_by_path, &paths->key);
	return known ? *known : take_path_row(&paths->key);
}

/* NULL: it was taken back, or the slot is another's by now. */
static __always_inline struct path_row *path_row_of(const struct path_place *place, __u32 slot)
{
	struct path_row *row = path_row_at(place->row);
	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);

	return row && owner && row->serial == place->serial && row->key.cgroup_id == owner->cgroup_id ? row
												      : NULL;
}

/* Bytes of the message of a side that is under way. */
static __always_inline void count_path_bytes(struct path_dialogue *paths,
					     const struct net_conversation *conversation, __u32 slot,
					     __u32 side, __u64 bytes)
{
	const struct transaction_queue *queue = &conversation->queue;
	struct path_place place = paths->request;
	struct path_row *row;

	if (side == HTTP_RESPONSES)
		place = transaction_outstanding(queue) ? paths->answers[queue->ended % TRANSACTION_STARTS]
						       : (struct path_place){0};
	row = path_row_of(&place, slot);
	if (row)
		__sync_fetch_and_add(
		    side == HTTP_REQUESTS ? &row->used.request_bytes : &row->used.answer_bytes, bytes);
	else if (side == HTTP_REQUESTS)
		paths->pending += bytes;
}

/* The first line of a request is complete, which transaction_http is not told of yet. */
static __always_inline void begin_path(struct path_dialogue *paths,
				       const struct net_conversation *conversation, __u32 slot)
{
	const struct transaction_queue *queue = &conversation->queue;
	__u64 pending = paths->pending;
	struct path_row *row;
	__u32 index;

	paths->pending = 0;
	/* Of one whose start is not kept neither is the path. */
	if (transaction_outstanding(queue) >= TRANSACTION_STARTS)
		return;
	index = find_path_row(paths, slot, conversation->socket.role == NET_SERVER,
			      conversation->http.requests.method);
	row = path_row_at(index);
	paths->request = row ? (struct path_place){index, row->serial} : (struct path_place){0};
	paths->answers[queue->begun % TRANSACTION_STARTS] = paths->request;
	count_path_bytes(paths, conversation, slot, HTTP_REQUESTS, pending);
}

/* That of the request which is answered, before transaction_http is told of that. */
static __always_inline struct path_place end_path(struct sock *sk, const struct transaction_queue *queue)
{
	struct path_dialogue *paths = bpf_sk_storage_get(&path_dialogues, sk, NULL, 0);
	struct path_place place = {0};

	if (paths) {
		place = paths->answers[queue->ended % TRANSACTION_STARTS];
		paths->answers[queue->ended % TRANSACTION_STARTS] = (struct path_place){0};
	}
	return place;
}

/* An answered transaction, `class` that of its status. */
static __always_inline void count_path(const struct path_place *place, __u32 slot, __u32 class, __u32 outcome,
				       __u64 latency_ns)
{
	struct path_row *row = path_row_of(place, slot);

	if (!row)
		return;
	__sync_fetch_and_add(&row->used.answered, 1);
	if (class < NET_STATUS_CLASSES)
		__sync_fetch_and_add(&row->used.status[class], 1);
	if (outcome == TRANSACTION_ANSWERED)
		latency_add(place->row, LATENCY_OF_PATH, latency_ns);
}

static __always_inline void abandon_path(const struct path_place *place, __u32 slot)
{
	struct path_row *row = path_row_of(place, slot);

	if (row)
		__sync_fetch_and_add(&row->used.unanswered, 1);
}

/* The connection ended: those requests had no answer. Unrolled: there are kernels
 * that refuse a loop by its looks. */
static __noinline int abandon_paths(struct path_dialogue *paths, __u32 ended, __u32 outstanding, __u32 slot)
{
	if (!paths)
		return 0;
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < TRANSACTION_STARTS; i++)
		if (i < outstanding)
			abandon_path(&paths->answers[(ended + i) % TRANSACTION_STARTS], slot);
	return 0;
}

#endif
