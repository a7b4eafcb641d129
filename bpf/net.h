/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/net.bpf.c and common/network.c share: what each slot did on the network.
 */
#ifndef DEEPMON_BPF_NET_H
#define DEEPMON_BPF_NET_H

#include "transaction.h"

#include "latency.h"
#include "peer.h"

/* Counts of one slot: an element of the map `net_usage`. All CPUs add to it, atomically; it only grows. */
struct net_usage {
	__u64 tcp_sent_bytes, tcp_sent_messages; /* a message: a call that sent, or received, something */
	__u64 tcp_received_bytes, tcp_received_messages;
	__u64 udp_sent_bytes, udp_sent_messages;
	__u64 udp_received_bytes, udp_received_messages;
	__u64 tcp_opened_active;  /* connections that it asked for and got */
	__u64 tcp_opened_passive; /* those that it was asked for */
	__u64 tcp_failed;	  /* that it asked for and did not get: refused, unreachable, timed out */
	__u64 tcp_closed;	  /* of those opened, ended */
	__u64 tcp_resets_sent, tcp_resets_received;
	__u64 tcp_retransmits;	/* segments sent again */
	__u64 tcp_rtt_sum_us;	/* the smoothed round-trip time, read at each message received, */
	__u64 tcp_rtt_readings; /* so often */
	__u64 reserved[7];
};
_Static_assert(sizeof(struct net_usage) % 64 == 0, "whole cache lines, so that slots do not share any");

enum net_role {
	NET_UNKNOWN, /* it was open before we were */
	NET_CLIENT,
	NET_SERVER,
};

enum net_protocol { NET_TCP, NET_HTTP, NET_PROTOCOLS };
enum net_side { NET_AS_CLIENT, NET_AS_SERVER, NET_SIDES };

#define NET_STATUS_CLASSES 4 /* 2xx to 5xx */

/* Transactions of one slot. */
struct net_transactions {
	__u64 answered;
	__u64 unanswered; /* the connection ended before an answer began */
	__u64 request_bytes, answer_bytes;
	__u64 status[NET_STATUS_CLASSES]; /* of HTTP, those of the answered */
	/* What peers' are the parts of, where peers are told: the time of the answered, but for those of HTTP
	 * of which it is not known, and how many that leaves. */
	__u64 latency_ns, timed;
};

/* By protocol and side: an element of the map `net_dialogues`. It only grows, as net_usage does. */
struct net_dialogues {
	struct net_transactions of[NET_PROTOCOLS][NET_SIDES];
};
_Static_assert(sizeof(struct net_dialogues) % 64 == 0, "whole cache lines, so that slots do not share any");

/* What is kept with a socket. A listener's goes to the connections that it accepts. */
struct net_socket {
	__u64 cgroup_id; /* of whom it is charged to */
	__u32 slot;	 /* of that cgroup, as long as it owns it; 0: not known yet */
	__u8 role;	 /* enum net_role */
	__u8 open;	 /* whether its opening was counted */
	__u8 uncounted;	 /* an opening that waits for its owner to be known */
	__u8 padding;
	struct peer_place peer;
};

/* What the kernel's storage of sockets keeps: the same, and its transactions. */
struct net_conversation {
	struct net_socket socket; /* first: what is kept is one, wherever that is */
	struct transaction tcp;
	struct http_connection http;
	struct transaction_queue queue;
	struct latency_known latencies[NET_PROTOCOLS];
	__u32 http_pending; /* bytes of what may be the first request */
	__u32 sequences[2]; /* TCP's numbers of what comes next, by direction, as of the last call */
	__u8 followed;	    /* a bit for each direction (1: sent) of which those are known */
	__u8 reserved[3];
};

#endif
