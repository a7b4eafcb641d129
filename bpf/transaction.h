/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Transactions of a TCP connection and how long they took. Arithmetic alone, for kernel and user space.
 *
 * TCP: a transaction is a run of bytes towards the server and the run of bytes back. Its latency is the time
 * from the first byte of the request to the last of the answer, as this end sees them: a server's from the
 * first in to the last out, a client's from the first out to the last in. That the answer is complete shows
 * when the next request begins or the server sends no more. Requests that did not wait for one another are
 * one transaction; bytes of a server that nobody asked for are none.
 *
 * HTTP: every request with its final response is a transaction, latency likewise, pipelined or not, and ends
 * with the last byte of the response. The figures of TCP are about all connections, those of HTTP about the
 * part of them that is HTTP: what counts here counts there, too.
 */
#ifndef DEEPMON_BPF_TRANSACTION_H
#define DEEPMON_BPF_TRANSACTION_H

#include "http.h"

#define TRANSACTION_STARTS 16 /* outstanding HTTP requests of which the start is kept */

/* Whose bytes those are that a socket sent or received; `server`: it was accepted, not connected. */
static __always_inline __u32 transaction_side(bool server, bool sent)
{
	return server == sent ? HTTP_RESPONSES : HTTP_REQUESTS;
}

enum transaction_outcome {
	TRANSACTION_NONE,
	TRANSACTION_ANSWERED,	/* and the result is filled in */
	TRANSACTION_UNTIMED,	/* answered, but when it began was not kept; HTTP only */
	TRANSACTION_UNANSWERED, /* the connection ended before an answer began */
};

/* ---- TCP --------------------------------------------------------------------------------------- */

enum transaction_state {
	TRANSACTION_STATE_IDLE,
	TRANSACTION_STATE_REQUEST,
	TRANSACTION_STATE_ANSWER,
};

/* All zero is a new one. */
struct transaction {
	__u64 began_ns;	   /* first byte of the request */
	__u64 answered_ns; /* last byte of the answer so far */
	__u64 request_bytes;
	__u64 answer_bytes;
	__u32 state;
	__u32 reserved;
};
_Static_assert(sizeof(struct transaction) == 40, "one for each socket");

struct transaction_result {
	__u64 latency_ns;
	__u64 request_bytes;
	__u64 answer_bytes;
};

/* The clocks of two CPUs may differ a little. */
static __always_inline __u64 transaction_latency_ns(__u64 began_ns, __u64 ended_ns)
{
	return ended_ns > began_ns ? ended_ns - began_ns : 0;
}

/* The server sends no more, or the connection is closed: what was under way is complete. */
static __always_inline __u32 transaction_end(struct transaction *transaction,
					     struct transaction_result *result)
{
	__u32 state = transaction->state;

	transaction->state = TRANSACTION_STATE_IDLE;
	if (state == TRANSACTION_STATE_IDLE)
		return TRANSACTION_NONE;
	if (state == TRANSACTION_STATE_REQUEST)
		return TRANSACTION_UNANSWERED;
	result->latency_ns = transaction_latency_ns(transaction->began_ns, transaction->answered_ns);
	result->request_bytes = transaction->request_bytes;
	result->answer_bytes = transaction->answer_bytes;
	return TRANSACTION_ANSWERED;
}

/* `bytes` of a side went by. The outcome is that of the transaction before, which this may complete. */
static __always_inline __u32 transaction_feed(struct transaction *transaction, __u32 side, __u64 bytes,
					      __u64 now_ns, struct transaction_result *result)
{
	__u32 outcome = TRANSACTION_NONE;

	if (!bytes)
		return outcome;
	if (side == HTTP_RESPONSES) {
		if (transaction->state == TRANSACTION_STATE_IDLE)
			return outcome;
		transaction->state = TRANSACTION_STATE_ANSWER;
		transaction->answer_bytes += bytes;
		transaction->answered_ns = now_ns;
		return outcome;
	}
	if (transaction->state != TRANSACTION_STATE_REQUEST) {
		outcome = transaction_end(transaction, result);
		transaction->state = TRANSACTION_STATE_REQUEST;
		transaction->began_ns = now_ns;
		transaction->request_bytes = 0;
		transaction->answer_bytes = 0;
	}
	transaction->request_bytes += bytes;
	return outcome;
}

/* ---- HTTP -------------------------------------------------------------------------------------- */

/* When the outstanding requests began. Each side writes its own part. All zero is a new one. */
struct transaction_queue {
	__u64 began_ns;			     /* the request whose first line is being read */
	__u32 begun;			     /* requests so far */
	__u32 ended;			     /* answers so far */
	__u64 starts_ns[TRANSACTION_STARTS]; /* by a request's number modulo that; 0: not kept */
};
_Static_assert(sizeof(struct transaction_queue) == 144, "one for each socket");

/*
 * What http_next, http_skip or http_close said of a side at now_ns. With TRANSACTION_ANSWERED, *latency_ns is
 * that of the request; the response's status is http_connection's. Beyond TRANSACTION_STARTS outstanding,
 * transactions are UNTIMED.
 */
static __always_inline __u32 transaction_http(struct transaction_queue *queue, __u32 side, __u32 events,
					      __u64 now_ns, __u64 *latency_ns)
{
	__u64 start_ns;
	__u32 slot;

	if (side == HTTP_REQUESTS) {
		if (events & HTTP_BEGAN)
			queue->began_ns = now_ns;
		if (events & HTTP_LINE) {
			/* No more than that, so that the slot is free: its last answer emptied it. */
			if (queue->begun - queue->ended < TRANSACTION_STARTS)
				queue->starts_ns[queue->begun % TRANSACTION_STARTS] = queue->began_ns;
			queue->begun++;
		}
		return TRANSACTION_NONE;
	}
	if (!(events & HTTP_ANSWERED))
		return TRANSACTION_NONE;
	slot = queue->ended % TRANSACTION_STARTS;
	start_ns = queue->starts_ns[slot];
	queue->starts_ns[slot] = 0;
	queue->ended++;
	if (!start_ns)
		return TRANSACTION_UNTIMED;
	*latency_ns = transaction_latency_ns(start_ns, now_ns);
	return TRANSACTION_ANSWERED;
}

/* Requests that have no final response yet; when the connection is closed, those that got none. */
static __always_inline __u32 transaction_outstanding(const struct transaction_queue *queue)
{
	return queue->begun - queue->ended;
}

#endif
