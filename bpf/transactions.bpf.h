/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Transactions of TCP connections: charges them and their latencies to slots. Included by bpf/net.bpf.c
 * alone.
 */
#ifndef DEEPMON_BPF_TRANSACTIONS_BPF_H
#define DEEPMON_BPF_TRANSACTIONS_BPF_H

#include "net_sockets.bpf.h"

#include "latency.bpf.h"
#include "peers.bpf.h"

#define SHUTDOWN_RECEIVE 1
#define SHUTDOWN_BOTH	 3

const volatile bool with_transactions; /* whether they are counted; fixed between open and load */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: slot_count */
	__type(key, __u32);
	__type(value, struct net_dialogues);
} net_dialogues SEC(".maps");

static __always_inline struct net_transactions *transactions_of(__u32 slot, __u32 protocol,
								const struct net_conversation *conversation)
{
	struct net_dialogues *dialogues = bpf_map_lookup_elem(&net_dialogues, &slot);

	return dialogues ? &dialogues->of[protocol][conversation->socket.role == NET_SERVER] : NULL;
}

static __always_inline void count_tcp(struct net_conversation *conversation, __u32 slot, __u32 outcome,
				      const struct transaction_result *result)
{
	struct net_transactions *transactions =
	    outcome == TRANSACTION_NONE ? NULL : transactions_of(slot, NET_TCP, conversation);

	if (!transactions)
		return;
	if (outcome == TRANSACTION_UNANSWERED) {
		__sync_fetch_and_add(&transactions->unanswered, 1);
		return;
	}
	__sync_fetch_and_add(&transactions->answered, 1);
	__sync_fetch_and_add(&transactions->request_bytes, result->request_bytes);
	__sync_fetch_and_add(&transactions->answer_bytes, result->answer_bytes);
	if (with_peers) {
		__sync_fetch_and_add(&transactions->latency_ns, result->latency_ns);
		count_peer_tcp(&conversation->socket, result);
	}
	latency_add_known(&conversation->latencies[NET_TCP], slot,
			  conversation->socket.role == NET_SERVER ? LATENCY_TCP_SERVER : LATENCY_TCP_CLIENT,
			  result->latency_ns);
}

/* Whether there is something that was received and not read; the end itself counts as one byte. */
static __always_inline bool has_unread(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	return BPF_CORE_READ(tcp, rcv_nxt) - BPF_CORE_READ(tcp, copied_seq) > 1;
}

/*
 * Whether a change of state means that the server sends no more. For a client it is the end that is read
 * which tells so; or that it closes, and reads nothing any more.
 */
static __always_inline bool ends_transactions(struct sock *sk, const struct net_conversation *conversation,
					      int after)
{
	bool server = conversation->socket.role == NET_SERVER;

	switch (after) {
	case STATE_FIN_WAIT1:
		return server || BPF_CORE_READ_BITFIELD_PROBED(sk, sk_shutdown) == SHUTDOWN_BOTH;
	case STATE_LAST_ACK:
	case STATE_CLOSE:
		return server || !has_unread(sk);
	default:
		return false;
	}
}

#endif
