/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Bytes, messages and connections by the endpoint at the other side. Included by net.bpf.c alone, which
 * counts for the slot first: so a slot never has less than its peers together.
 */
#ifndef DEEPMON_BPF_PEERS_BPF_H
#define DEEPMON_BPF_PEERS_BPF_H

#include "net_sockets.bpf.h"

#include "peer.h"

#define BOUND_PORT 8 /* SOCK_BINDPORT_LOCK: the program chose its own port */

const volatile bool with_peers; /* set at open */

__u64 peers_refused; /* times that an endpoint found no row */
bool peers_ready;    /* set by user space, once all rows are free and it is known who is to have none */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: MaxPeers + 1 */
	__type(key, __u32);
	__type(value, struct peer_row);
} peer_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at open: MaxPeers */
	__type(key, struct peer_key);
	__type(value, __u32);
} row_by_peer SEC(".maps");

/* As free_slots: user space fills it, the lowest on top. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1); /* set at open: MaxPeers */
	__type(value, __u32);
} free_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: slot_count */
	__type(key, __u32);
	__type(value, struct peer_slot);
} peer_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at open: MaxPeers; what finds no room goes without a name */
	__type(key, struct peer_end_key);
	__type(value, struct peer_end);
} peer_ends SEC(".maps");

static __always_inline struct peer_row *row_at(__u32 index)
{
	return index ? bpf_map_lookup_elem(&peer_rows, &index) : NULL;
}

/* Gives an endpoint its row. Two CPUs may try at once: the one that loses hands its row back. */
static __noinline __u32 take_row(struct peer_key *key)
{
	__u32 index = 0;
	struct peer_row *row;

	if (!key || bpf_map_pop_elem(&free_rows, &index)) {
		__sync_fetch_and_add(&peers_refused, 1);
		return 0;
	}
	row = row_at(index);
	if (!row)
		return 0;
	row->other = 0;
	row->key = *key;
	if (bpf_map_update_elem(&row_by_peer, key, &index, BPF_NOEXIST)) {
		__u32 *theirs = bpf_map_lookup_elem(&row_by_peer, key);

		row->key.cgroup_id = 0;
		bpf_map_push_elem(&free_rows, &index, BPF_ANY);
		return theirs ? *theirs : 0;
	}
	return index;
}

/* The address at the other side, and of the socket itself. Returns 4 or 6; IPv4 through an IPv6 socket is 4.
 */
static __always_inline __u8 read_addresses(struct sock_common *common, __u32 there[4], __u32 here[4])
{
	if (BPF_CORE_READ(common, skc_family) == AF_INET6 && bpf_core_field_exists(common->skc_v6_daddr)) {
		bpf_core_read(there, 16, &common->skc_v6_daddr);
		bpf_core_read(here, 16, &common->skc_v6_rcv_saddr);
		if (there[0] || there[1] || there[2] != __builtin_bswap32(0xffff))
			return 6;
	}
	/* An IPv6 socket has these, too. */
	there[0] = BPF_CORE_READ(common, skc_daddr);
	here[0] = BPF_CORE_READ(common, skc_rcv_saddr);
	there[1] = there[2] = there[3] = here[1] = here[2] = here[3] = 0;
	return 4;
}

/* Fills in who is at the other side. False: nobody, or nobody in particular. */
static __always_inline bool find_endpoint(struct sock *sk, struct peer_key *key)
{
	struct sock_common *common = &sk->__sk_common;
	__u16 port = BPF_CORE_READ(common, skc_dport);
	__u32 there[4], here[4];

	if (!port)
		return false;
	key->port = key->role == PEER_AS_SERVER ? 0 : __builtin_bswap16(port);
	key->family = read_addresses(common, there, here);
	__builtin_memcpy(key->address, there, sizeof(there));
	return true;
}

/* Of UDP, whoever was bound to a port by its program serves there. */
static __always_inline __u8 role_of(struct sock *sk, const struct net_socket *socket, __u16 protocol)
{
	if (protocol == IPPROTO_UDP)
		return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & BOUND_PORT ? PEER_AS_SERVER
										    : PEER_AS_CLIENT;
	return is_server(sk, socket) ? PEER_AS_SERVER : PEER_AS_CLIENT;
}

static __noinline __u32 find_row(struct sock *sk, const struct net_socket *socket, __u32 slot, __u16 protocol)
{
	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);
	struct peer_slot *wanted = bpf_map_lookup_elem(&peer_slots, &slot);
	struct peer_key key = {.protocol = (__u8)protocol};
	__u32 *known;

	if (!peers_ready || !owner || !owner->cgroup_id || !wanted || wanted->unwanted == owner->cgroup_id)
		return 0;
	key.cgroup_id = owner->cgroup_id;
	key.role = role_of(sk, socket, protocol);
	if (!find_endpoint(sk, &key))
		return 0;
	known = bpf_map_lookup_elem(&row_by_peer, &key);
	return known ? *known : take_row(&key);
}

/*
 * What an end of a connection within its own network namespace goes by: to the loopback, or to an address of
 * its own. The addresses are in it so that both ends have the same. False: it is none.
 */
static __always_inline bool end_key(struct sock *sk, bool reverse, struct peer_end_key *key)
{
	struct sock_common *common = &sk->__sk_common;
	__u32 there[4], here[4];
	__u8 family = read_addresses(common, there, here);
	__u16 remote = BPF_CORE_READ(common, skc_dport), port;

	/* Not skc_num, which is gone before the end is heard of. */
	port = BPF_CORE_READ((struct inet_sock *)sk, inet_sport);
	*key = (struct peer_end_key){.netns = BPF_CORE_READ(common, skc_net.net, ns.inum),
				     .port = reverse ? remote : port,
				     .remote_port = reverse ? port : remote,
				     .addresses = there[0] ^ here[0],
				     .family = family};
	if (family == 4)
		return there[0] == here[0] ||
		       (there[0] & __builtin_bswap32(0xff000000)) == __builtin_bswap32(0x7f000000);
	return there[0] == here[0] && there[1] == here[1] && there[2] == here[2] && there[3] == here[3];
}

static __always_inline void see_other(struct peer_row *row, __u64 cgroup_id)
{
	__u64 before = row->other;

	if (before != cgroup_id)
		row->other = before ? PEER_SEVERAL : cgroup_id;
}

/*
 * Within a network namespace addresses tell nothing of who is at the other end, as in a pod: there each end
 * waits here for the other, and they tell each other.
 */
static __noinline int meet_other_end(struct sock *sk, __u32 index)
{
	struct peer_row *row = row_at(index), *others;
	struct peer_end_key key;
	struct peer_end *other, own;

	if (!row || BPF_CORE_READ(sk, __sk_common.skc_state) == STATE_CLOSE || !end_key(sk, true, &key))
		return 0;
	other = bpf_map_lookup_elem(&peer_ends, &key);
	if (!other) {
		end_key(sk, false, &key);
		own = (struct peer_end){row->key.cgroup_id, index, row->serial};
		bpf_map_update_elem(&peer_ends, &key, &own, BPF_ANY);
		return 0;
	}
	own = *other;
	bpf_map_delete_elem(&peer_ends, &key);
	see_other(row, own.cgroup_id);
	others = row_at(own.row);
	if (others && others->serial == own.serial)
		see_other(others, row->key.cgroup_id);
	return 0;
}

static __always_inline void forget_end(struct sock *sk, const struct net_socket *socket)
{
	struct peer_end_key key;

	if (with_peers && socket->peer.row && end_key(sk, false, &key))
		bpf_map_delete_elem(&peer_ends, &key);
}

/* NULL: it has none, or had one that was taken back. */
static __always_inline struct peer_usage *known_peer(const struct net_socket *socket)
{
	struct peer_row *row = with_peers ? row_at(socket->peer.row) : NULL;

	return row && row->serial == socket->peer.serial && row->key.cgroup_id == socket->cgroup_id
		   ? &row->used
		   : NULL;
}

/* NULL: it has none, or is none's to know. `ends`: it is no longer to be met by the other end. */
static __always_inline struct peer_usage *peer_of(struct sock *sk, struct net_socket *socket, __u32 slot,
						  __u16 protocol, bool ends)
{
	struct peer_usage *known = socket ? known_peer(socket) : NULL;
	struct peer_row *row;
	__u32 index;

	if (known)
		return known;
	index = find_row(sk, socket, slot, protocol);
	row = row_at(index);
	if (!row)
		return NULL;
	if (socket) {
		socket->peer = (struct peer_place){index, row->serial};
		if (!ends)
			meet_other_end(sk, index);
	}
	return &row->used;
}

static __always_inline void count_peer_transfer(struct sock *sk, struct net_socket *socket, __u32 slot,
						__u16 protocol, int length, bool sent)
{
	struct peer_usage *peer = with_peers ? peer_of(sk, socket, slot, protocol, false) : NULL;

	if (!peer)
		return;
	__sync_fetch_and_add(sent ? &peer->sent_bytes : &peer->received_bytes, (__u64)length);
	__sync_fetch_and_add(sent ? &peer->sent_messages : &peer->received_messages, 1);
}

/* The socket's peer was looked for before. */
static __always_inline void count_peer_tcp(const struct net_socket *socket,
					   const struct transaction_result *result)
{
	struct peer_usage *peer = known_peer(socket);

	if (!peer)
		return;
	__sync_fetch_and_add(&peer->tcp_answered, 1);
	__sync_fetch_and_add(&peer->tcp_latency_ns, result->latency_ns);
	__sync_fetch_and_add(&peer->tcp_request_bytes, result->request_bytes);
	__sync_fetch_and_add(&peer->tcp_answer_bytes, result->answer_bytes);
}

static __always_inline void count_peer_http(const struct net_socket *socket, bool timed, __u64 latency_ns)
{
	struct peer_usage *peer = known_peer(socket);

	if (!peer)
		return;
	__sync_fetch_and_add(&peer->http_answered, 1);
	if (timed) {
		__sync_fetch_and_add(&peer->http_timed, 1);
		__sync_fetch_and_add(&peer->http_latency_ns, latency_ns);
	}
}

enum peer_event { PEER_OPENED, PEER_FAILED, PEER_CLOSED };

static __always_inline void count_peer_event(struct sock *sk, struct net_socket *socket, __u32 slot,
					     enum peer_event event)
{
	struct peer_usage *peer = with_peers ? peer_of(sk, socket, slot, IPPROTO_TCP, false) : NULL;

	if (!peer)
		return;
	__sync_fetch_and_add(event == PEER_OPENED   ? &peer->opened
			     : event == PEER_FAILED ? &peer->failed
						    : &peer->closed,
			     1);
}

#endif
