/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/peers.bpf.h and common/peers.c share: what each cgroup did with each endpoint it talks with.
 *
 * A peer has a row. The kernel fills it and adds to it; user space takes it back when it was not used for a
 * while or its cgroup is gone: first it changes the serial number, by which every socket that had the row
 * looks again; then, at its next sample, nobody adds to it any more and it is free. What finds no row is
 * counted for its cgroup all the same, and so is part of (other).
 */
#ifndef DEEPMON_BPF_PEER_H
#define DEEPMON_BPF_PEER_H

#include <linux/types.h>

/* Which end of it the cgroup is. */
enum peer_role { PEER_AS_CLIENT, PEER_AS_SERVER };

/* Of a server's peers the port is 0: its clients' connections are one. */
struct peer_key {
	__u64 cgroup_id; /* 0: the row is free */
	__u8 address[16];
	__u16 port;    /* of the host's byte order */
	__u8 family;   /* 4 or 6; IPv4 in IPv6 is 4, its address in the first bytes */
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 role;     /* enum peer_role */
	__u8 padding[3];
};

/* All are sums, and only grow. */
struct peer_usage {
	__u64 sent_bytes, sent_messages;
	__u64 received_bytes, received_messages;
	__u64 opened, failed, closed; /* connections, of TCP */
	/* Transactions, the time that they took all together, and of HTTP, how many of them that is of. */
	__u64 tcp_answered, tcp_latency_ns, tcp_request_bytes, tcp_answer_bytes;
	__u64 http_answered, http_latency_ns, http_timed;
};

#define PEER_SEVERAL (~0ull) /* cgroups were seen at the other end */

/* An element of the map `peer_rows`; the first is nobody's. */
struct peer_row {
	struct peer_key key;
	__u32 serial; /* user space adds one when it takes the row back */
	__u32 padding;
	struct peer_usage used;
	__u64 other; /* the cgroup at the other end, where it was seen; 0: none was; PEER_SEVERAL */
	__u64 reserved[4];
};
_Static_assert(sizeof(struct peer_row) % 64 == 0, "whole cache lines, so that peers do not share any");

/* One end of a connection within a network namespace, until the other is seen. */
struct peer_end_key {
	__u32 netns;
	__u16 port, remote_port; /* in the network's byte order */
	__u32 addresses;
	__u32 family;
};
struct peer_end {
	__u64 cgroup_id;
	__u32 row, serial;
};

/* What is kept with a socket of it. */
struct peer_place {
	__u32 row; /* 0: none yet */
	__u32 serial;
};

/* What is to be known of slots: an element of the map `peer_slots`, written by user space. */
struct peer_slot {
	__u64 unwanted; /* the id of a cgroup that is no container: as long as that has the slot, no rows */
};

#endif
