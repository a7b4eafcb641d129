/* SPDX-License-Identifier: GPL-3.0-only
 *
 * HTTP transactions of TCP connections: reads what goes over them as far as http.h asks for it, and charges
 * transactions and their latencies to slots. Included by bpf/net.bpf.c alone.
 */
#ifndef DEEPMON_BPF_HTTP_BPF_H
#define DEEPMON_BPF_HTTP_BPF_H

#include "http_head.h"
#include "http_paths.bpf.h"
#include "transactions.bpf.h"
#include "user_bytes.bpf.h"

/* Of one call; one that takes more is given up. A step takes at least a byte, mostly a line or a body. */
#define HTTP_STEPS_MAX 65536

const volatile bool with_http; /* whether it is looked for; fixed between open and load */

/* A call's bytes as they are put in. */
struct http_call {
	struct http_chunk chunk;
	__u32 position, length; /* within the chunk */
	__u64 left;		/* bytes of the call after the chunk */
	struct user_bytes bytes;
	__u64 now_ns;
	__u64 counted; /* bytes of HTTP that are not charged yet; */
	__u64 of_path; /* and not to the path of the message under way */
	__u64 taken;   /* by a step, */
	__u32 events;  /* and what it said */
	__u32 side;
	__u32 slot;
	__u32 unasked;		/* it has a final response to no request that is known */
	struct path_place path; /* of the request that the step answers */
};

/*
 * Not on the stack: see http.h. One for what is sent and one for what is received, by IPv4 and by IPv6, as
 * are the programs at fexit: those may be preempted, but not by themselves.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct http_call);
} http_calls SEC(".maps");

struct http_context {
	struct http_call *call;
	struct net_conversation *conversation;
	struct sock *sk;
};

static __always_inline __u32 status_class(const struct net_conversation *conversation)
{
	return conversation->http.responses.status / 100 - 2;
}

static __always_inline void count_http(struct net_conversation *conversation, __u32 slot, __u32 outcome,
				       __u64 latency_ns)
{
	struct net_transactions *transactions = transactions_of(slot, NET_HTTP, conversation);
	__u32 class = status_class(conversation);

	if (!transactions)
		return;
	__sync_fetch_and_add(&transactions->answered, 1);
	if (class < NET_STATUS_CLASSES)
		__sync_fetch_and_add(&transactions->status[class], 1);
	if (with_peers) {
		if (outcome == TRANSACTION_ANSWERED) {
			__sync_fetch_and_add(&transactions->timed, 1);
			__sync_fetch_and_add(&transactions->latency_ns, latency_ns);
		}
		count_peer_http(&conversation->socket, outcome == TRANSACTION_ANSWERED, latency_ns);
	}
	if (outcome == TRANSACTION_ANSWERED)
		latency_add_known(&conversation->latencies[NET_HTTP], slot,
				  conversation->socket.role == NET_SERVER ? LATENCY_HTTP_SERVER
									  : LATENCY_HTTP_CLIENT,
				  latency_ns);
}

/* That of the request which these events answer: to be asked for before they are handled. */
static __always_inline struct path_place
path_answered(struct sock *sk, const struct net_conversation *conversation, __u32 events)
{
	return with_paths && events & HTTP_ANSWERED ? end_path(sk, &conversation->queue)
						    : (struct path_place){0};
}

static __always_inline void handle_events(struct net_conversation *conversation, __u32 slot, __u32 side,
					  __u32 events, const struct path_place *path, __u64 now_ns)
{
	__u64 latency_ns = 0;
	__u32 outcome;

	if (!(events & (HTTP_BEGAN | HTTP_LINE | HTTP_ANSWERED)))
		return;
	outcome = transaction_http(&conversation->queue, side, events, now_ns, &latency_ns);
	if (outcome == TRANSACTION_NONE)
		return;
	count_http(conversation, slot, outcome, latency_ns);
	if (with_paths)
		count_path(path, slot, status_class(conversation), outcome, latency_ns);
}

/* Those of a step, global: the verifier looks at it but once. */
__noinline int handle_step_events(struct net_conversation *conversation, const struct http_call *call)
{
	if (conversation && call)
		handle_events(conversation, call->slot, call->side, call->events, &call->path, call->now_ns);
	return 0;
}

/* Bytes that a step took belong to HTTP; before the first request line is complete, they may. */
static __always_inline void count_bytes(struct http_call *call, struct net_conversation *conversation,
					__u8 phase, __u32 events, __u64 bytes)
{
	if (phase == HTTP_PHASE_FOLLOWED) {
		call->counted += bytes;
	} else if (phase == HTTP_PHASE_UNDECIDED) {
		if (events & HTTP_BEGAN)
			conversation->http_pending = 0;
		conversation->http_pending += (__u32)bytes;
		if (events & HTTP_LINE)
			call->counted += conversation->http_pending;
	}
}

/* The next bytes of the call, from one piece of memory. */
static __always_inline bool read_chunk(struct http_call *call)
{
	struct user_bytes *bytes = &call->bytes;
	__u64 length = call->left;

	call->position = call->length = 0;
	if (!user_bytes_turn(bytes))
		return false;
	if (length > bytes->left)
		length = bytes->left;
	if (length > HTTP_CHUNK)
		length = HTTP_CHUNK;
	if (bpf_probe_read_user(&call->chunk, length & (2 * HTTP_CHUNK - 1), (void *)bytes->base))
		return false;
	bytes->base += length;
	bytes->left -= length;
	call->left -= length;
	call->length = (__u32)length;
	return true;
}

/* Passes over bytes of the piece of memory that is at hand. */
static __always_inline __u64 skip_bytes(struct http_call *call, __u64 wants)
{
	struct user_bytes *bytes = &call->bytes;

	if (wants > call->left)
		wants = call->left;
	if (!user_bytes_turn(bytes))
		bytes->left = call->left;
	if (wants > bytes->left)
		wants = bytes->left;
	bytes->base += wants;
	bytes->left -= wants;
	call->left -= wants;
	return wants;
}

/* What is left of the chunk goes back, to be read again as the beginning of one. */
static __always_inline void give_back(struct http_call *call)
{
	__u32 rest = call->length - call->position;

	call->bytes.base -= rest;
	call->bytes.left += rest;
	call->left += rest;
	call->position = call->length = 0;
}

/* Some of the chunk, from `position`. */
static __always_inline void take_from_chunk(struct http_call *call, struct http_connection *connection,
					    __u32 position)
{
	__u32 next = 0;

	if (!position)
		next = http_head(connection, call->side, &call->chunk, call->length, &call->events);
	if (!next)
		next = http_next(connection, call->side, &call->chunk, position, call->length, &call->events);
	call->position = next;
	call->taken = next - position;
}

/* Some bytes that need not be read, or can't be: those are given up. */
static __always_inline void step_over(struct http_call *call, struct http_connection *connection, __u64 wants)
{
	call->taken = skip_bytes(call, wants ? wants : HTTP_ALL);
	http_skip(connection, call->side, call->taken, &call->events);
}

static __always_inline void count_http_bytes(const struct net_conversation *conversation, __u32 slot,
					     __u32 side, __u64 bytes)
{
	struct net_transactions *transactions = bytes ? transactions_of(slot, NET_HTTP, conversation) : NULL;

	if (transactions)
		__sync_fetch_and_add(side == HTTP_REQUESTS ? &transactions->request_bytes
							   : &transactions->answer_bytes,
				     bytes);
}

/* What the call holds goes to the slot, then to the path: a slot has no less than its paths. */
static __always_inline void charge_path(struct http_call *call, struct path_dialogue *paths,
					struct net_conversation *conversation)
{
	count_http_bytes(conversation, call->slot, call->side, call->counted);
	count_path_bytes(paths, conversation, call->slot, call->side, call->of_path);
	call->counted = call->of_path = 0;
}

static __always_inline bool is_in_target(__u32 side, __u8 state)
{
	return side == HTTP_REQUESTS && state >= HTTP_STATE_TARGET_BEGIN && state <= HTTP_STATE_VERSION_END;
}

/* A step of requests took bytes, of the chunk from `position` on if it took any of that. */
static __always_inline void follow_request(struct http_call *call, struct path_dialogue *paths,
					   struct net_conversation *conversation, __u32 position,
					   bool undecided)
{
	__u32 events = call->events;

	if (events & HTTP_BEGAN) {
		charge_path(call, paths, conversation);
		paths->request = (struct path_place){0};
		paths->pending = 0;
	}
	call->of_path += call->taken;
	if (call->position != position)
		http_target_follow(&paths->target, &call->chunk, position, call->position, events, path_most,
				   path_fold);
	if (events & HTTP_LINE) {
		charge_path(call, paths, conversation);
		if (undecided)
			paths->pending = conversation->http_pending;
		begin_path(paths, conversation, call->slot);
	}
	if (!(events & HTTP_ENDED))
		return;
	charge_path(call, paths, conversation);
	paths->request = (struct path_place){0};
}

/* What a step says to the paths, before handle_events. `state`: of the requests' reader before the step. */
static __always_inline void follow_path(struct sock *sk, struct http_call *call,
					struct net_conversation *conversation, __u32 position, __u8 state,
					bool undecided)
{
	bool requests = call->side == HTTP_REQUESTS;
	__u32 events = call->events;
	struct path_dialogue *paths;

	if (!(events & (HTTP_BEGAN | HTTP_TARGET | HTTP_LINE | HTTP_ENDED)) &&
	    !is_in_target(call->side, state)) {
		call->of_path += call->taken;
		return;
	}
	paths = bpf_sk_storage_get(
	    &path_dialogues, sk, NULL,
	    requests && events & (HTTP_TARGET | HTTP_LINE) ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!paths) {
		call->of_path = events & HTTP_BEGAN ? call->taken : call->of_path + call->taken;
	} else if (requests) {
		follow_request(call, paths, conversation, position, undecided);
	} else {
		call->of_path += call->taken;
		/* One that nobody asked for is none's. */
		if (events & HTTP_ANSWERED)
			charge_path(call, paths, conversation);
		else if (events & HTTP_ENDED)
			call->of_path = 0;
	}
}

/* One step of what http.h describes; 1: there are no more bytes. A head takes one, as does a body. */
static long http_step(__u32 index, struct http_context *context)
{
	struct http_call *call = context->call;
	struct net_conversation *conversation = context->conversation;
	struct http_connection *connection = &conversation->http;
	__u32 side = call->side, position;
	__u8 phase = connection->phase, state = connection->requests.state;
	__u64 wants;

	call->events = 0;
	call->taken = 0;
	/* The next message, which may have a head that can be taken at once. */
	if (call->position && connection->readers[side & 1].state == HTTP_STATE_START)
		give_back(call);
	if (call->position >= call->length) {
		wants = http_wants(connection, side);
		if (wants || !read_chunk(call))
			step_over(call, connection, wants);
	}
	position = call->position;
	if (position < call->length && position < HTTP_CHUNK)
		take_from_chunk(call, connection, position);
	count_bytes(call, conversation, phase, call->events, call->taken);
	if (call->events & HTTP_HEAD_ENDED && connection->responses.status >= 200 &&
	    !(connection->responses.flags & HTTP_IS_ANSWER))
		call->unasked = side == HTTP_RESPONSES;
	if (with_paths)
		follow_path(context->sk, call, conversation, position, state, phase == HTTP_PHASE_UNDECIDED);
	if (call->events) {
		if (with_paths)
			call->path = path_answered(context->sk, conversation, call->events);
		handle_step_events(conversation, call);
	}
	return !call->left && call->position >= call->length;
}

/* The call is over, and its message is not. */
static __always_inline void keep_path_bytes(struct sock *sk, struct net_conversation *conversation,
					    __u32 slot, __u32 side, __u64 bytes)
{
	struct path_dialogue *paths = bytes ? bpf_sk_storage_get(&path_dialogues, sk, NULL, 0) : NULL;

	if (paths)
		count_path_bytes(paths, conversation, slot, side, bytes);
}

/*
 * Whether a client is sending what is not told of yet: it is when the call ends, and another thread may read
 * the answer before. Then nobody can say which request an answer is to.
 */
static __always_inline bool is_sending(struct sock *sk, const struct net_conversation *conversation,
				       enum net_hook hook)
{
	return conversation->socket.role == NET_CLIENT && conversation->followed & 2 &&
	       TCP_FIELD(hook, sk, write_seq) != conversation->sequences[1];
}

/* Some of the call's bytes must be read. */
static __always_inline void read_http(struct sock *sk, struct net_conversation *conversation, __u32 slot,
				      __u32 side, __u64 length, bool sent, __u64 now_ns, enum net_hook hook)
{
	__u32 which = sent | (sk->__sk_common.skc_family == AF_INET6) << 1, events = 0;
	struct http_call *call = bpf_map_lookup_elem(&http_calls, &which);
	struct http_context context = {call, conversation, sk};

	if (!call || !user_bytes_find(&call->bytes, sent)) {
		http_skip(&conversation->http, side, length, &events);
		return;
	}
	call->position = call->length = 0;
	call->left = length;
	call->now_ns = now_ns;
	call->counted = call->of_path = 0;
	call->side = side;
	call->slot = slot;
	call->unasked = 0;
	bpf_loop(HTTP_STEPS_MAX, http_step, &context, 0);
	if (call->unasked && is_sending(sk, conversation, hook))
		conversation->http.phase = HTTP_PHASE_LOST;
	if (call->left)
		http_skip(&conversation->http, side, call->left + 1, &events);
	count_http_bytes(conversation, slot, side, call->counted);
	if (with_paths)
		keep_path_bytes(sk, conversation, slot, side, call->of_path);
}

/*
 * Bytes before those of this call that no call told of: taken by splice, say, or by mapping pages. TCP's own
 * numbers tell; where something is between the program and TCP they count other bytes.
 */
static __always_inline __u32 unseen_bytes(struct sock *sk, struct net_conversation *conversation,
					  __u64 length, bool sent, enum net_hook hook)
{
	__u32 next = sent ? TCP_FIELD(hook, sk, write_seq) : TCP_FIELD(hook, sk, copied_seq);
	__u32 *known = &conversation->sequences[sent], bit = 1u << sent;
	__u32 unseen = conversation->followed & bit ? next - *known - (__u32)length : 0;

	*known = next;
	conversation->followed |= bit;
	/* What went with the SYN was there when the connection was: no less is unseen for that. */
	if (!unseen || -unseen <= (__u32)length || TCP_FIELD(hook, sk, inet_conn.icsk_ulp_ops))
		return 0;
	/* The end of the stream counts as one byte, and is read with the last. */
	if (!sent && sk->sk_shutdown & SHUTDOWN_RECEIVE && next == TCP_FIELD(hook, sk, rcv_nxt))
		unseen--;
	return unseen;
}

/* Of what a client is going to send. */
static __always_inline void note_first_byte(struct sock *sk, struct net_conversation *conversation)
{
	conversation->sequences[1] = BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
	conversation->followed |= 2;
}

/* `told`: a call told of them; else nobody knows when they were taken, nor how long what they end took. */
static __always_inline void pass_over_unread(struct sock *sk, struct net_conversation *conversation,
					     __u32 slot, __u32 side, __u64 length, bool told, __u64 now_ns)
{
	struct transaction_queue *queue = &conversation->queue;
	__u8 phase = conversation->http.phase;
	struct path_place path;
	__u32 events = 0;

	http_skip(&conversation->http, side, length, &events);
	if (phase == HTTP_PHASE_FOLLOWED && !(events & HTTP_LOST)) {
		count_http_bytes(conversation, slot, side, length);
		if (with_paths)
			keep_path_bytes(sk, conversation, slot, side, length);
	}
	if (events & HTTP_ANSWERED && !told)
		queue->starts_ns[queue->ended % TRANSACTION_STARTS] = 0;
	path = path_answered(sk, conversation, events);
	handle_events(conversation, slot, side, events, &path, now_ns);
}

/* A call sent or received so many bytes. */
static __always_inline void feed_http(struct sock *sk, struct net_conversation *conversation, __u32 slot,
				      __u32 side, __u64 length, bool sent, __u64 now_ns, enum net_hook hook)
{
	struct http_connection *connection = &conversation->http;
	__u8 phase = connection->phase;
	__u32 events = 0, unseen;

	if (phase > HTTP_PHASE_FOLLOWED)
		return;
	http_begin(connection, side, &events);
	if (!sent && !http_is_outstanding(connection) && connection->phase == HTTP_PHASE_UNDECIDED &&
	    is_sending(sk, conversation, hook)) {
		connection->phase = HTTP_PHASE_LOST;
		return;
	}
	unseen = unseen_bytes(sk, conversation, length, sent, hook);
	if (unseen)
		pass_over_unread(sk, conversation, slot, side, unseen, false, now_ns);
	if (http_wants(connection, side) < length) {
		read_http(sk, conversation, slot, side, length, sent, now_ns, hook);
		return;
	}
	pass_over_unread(sk, conversation, slot, side, length, true, now_ns);
}

/* What a client took last, and no call told of. */
static __always_inline void take_unseen(struct sock *sk, struct net_conversation *conversation, __u32 slot)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 unseen, copied;

	if (conversation->socket.role != NET_CLIENT || conversation->http.phase != HTTP_PHASE_FOLLOWED ||
	    !(conversation->followed & 1) || BPF_CORE_READ(tcp, inet_conn.icsk_ulp_ops))
		return;
	copied = BPF_CORE_READ(tcp, copied_seq);
	unseen = copied - conversation->sequences[0];
	/* The end of the stream, if it was read, counts as one (tcp_fin, tcp_recvmsg_locked). */
	if (unseen && copied == BPF_CORE_READ(tcp, rcv_nxt) &&
	    BPF_CORE_READ(sk, __sk_common.skc_flags) & 1ul << SOCK_DONE)
		unseen--;
	if (unseen)
		pass_over_unread(sk, conversation, slot, HTTP_RESPONSES, unseen, false, 0);
}

/* The server sends no more. What it sent last was the end of the response. */
static __always_inline void end_http(struct sock *sk, struct net_conversation *conversation, __u32 slot)
{
	struct net_transactions *transactions;
	__u32 events = 0, outstanding;
	struct path_place path;

	if (conversation->http.phase != HTTP_PHASE_FOLLOWED)
		return;
	http_close(&conversation->http, &events);
	path = path_answered(sk, conversation, events);
	handle_events(conversation, slot, HTTP_RESPONSES, events, &path, conversation->tcp.answered_ns);
	outstanding = transaction_outstanding(&conversation->queue);
	transactions = outstanding ? transactions_of(slot, NET_HTTP, conversation) : NULL;
	if (transactions)
		__sync_fetch_and_add(&transactions->unanswered, outstanding);
	if (with_paths && outstanding)
		abandon_paths(bpf_sk_storage_get(&path_dialogues, sk, NULL, 0), conversation->queue.ended,
			      outstanding, slot);
	conversation->http.phase = HTTP_PHASE_NONE;
}

#endif
