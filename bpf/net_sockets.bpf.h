/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What is kept with each socket: in the kernel's own storage of sockets, which goes with its socket; where
 * programs may not use that (before Linux 5.11, and kprobes for ever) in a hash by address, which must be
 * told of each end. Included by net.bpf.c alone.
 */
#ifndef DEEPMON_BPF_NET_SOCKETS_BPF_H
#define DEEPMON_BPF_NET_SOCKETS_BPF_H

#include "slots.bpf.h"

#include "net.h"

/* include/net/tcp_states.h */
enum {
	STATE_ESTABLISHED = 1,
	STATE_SYN_SENT = 2,
	STATE_SYN_RECV = 3,
	STATE_FIN_WAIT1 = 4,
	STATE_CLOSE = 7,
	STATE_LAST_ACK = 9,
	STATE_LISTEN = 10,
};

/*
 * What a program is behind. Constant: what transactions take, kernels refuse where they do not know it, even
 * where it is never run.
 */
enum net_hook {
	HOOK_TRACEPOINT,
	HOOK_FEXIT,	 /* which may be preempted; of transactions, those of TCP alone */
	HOOK_FEXIT_HTTP, /* the same with those of HTTP, which take Linux 5.17 */
	HOOK_KPROBE,	 /* no transactions */
};

/* A field of struct tcp_sock: a load, where the kernel has this (6.2, before those tracepoints), or a call.
 */
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;
#define TCP_FIELD(hook, sk, field) \
	((hook) == HOOK_TRACEPOINT \
	     ? ((struct tcp_sock *)bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock)))->field \
	     : BPF_CORE_READ((struct tcp_sock *)(sk), field))

const volatile bool sockets_hashed; /* set at open */

__u64 sockets_refused; /* sockets that found the hash full */

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct net_conversation);
} net_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at open, if sockets_hashed */
	__type(key, __u64);	/* the address of a socket that is not in the state CLOSE */
	__type(value, struct net_socket);
} net_sockets_hashed SEC(".maps");

static const volatile struct net_socket nothing_kept; /* for the hash: the stack may be too small for it */

/* What is kept of it; NULL: nothing is. */
static __always_inline struct net_socket *known_socket(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!sockets_hashed)
		return bpf_sk_storage_get(&net_sockets, sk, NULL, 0);
	return bpf_map_lookup_elem(&net_sockets_hashed, &key);
}

/* The same, from now on; NULL: there is no room. */
static __always_inline struct net_socket *kept_socket(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct net_socket *socket;

	if (!sockets_hashed)
		return bpf_sk_storage_get(&net_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	socket = bpf_map_lookup_elem(&net_sockets_hashed, &key);
	if (socket)
		return socket;
	if (bpf_map_update_elem(&net_sockets_hashed, &key, (const void *)&nothing_kept, BPF_NOEXIST))
		__sync_fetch_and_add(&sockets_refused, 1);
	return bpf_map_lookup_elem(&net_sockets_hashed, &key);
}

/*
 * The same of a socket that somebody sends or receives with. What comes after its end, such as the rest of
 * what was received, makes no new entry in the hash: nobody would tell that to go.
 */
static __always_inline struct net_socket *socket_of(struct sock *sk)
{
	if (sockets_hashed && BPF_CORE_READ(sk, __sk_common.skc_state) == STATE_CLOSE)
		return known_socket(sk);
	return kept_socket(sk);
}

/* The same with its transactions. Not where sockets are hashed: there are none. */
static __always_inline struct net_conversation *known_conversation(struct sock *sk)
{
	return bpf_sk_storage_get(&net_sockets, sk, NULL, 0);
}

/*
 * Which end of a connection it is. One that was open before we were has its listener's backlog still, if it
 * was accepted. Of one whose listener asked for none, listen(fd, 0), it is not known, and it is taken for a
 * client's.
 */
static __always_inline bool is_server(struct sock *sk, const struct net_socket *socket)
{
	if (socket && socket->role != NET_UNKNOWN)
		return socket->role == NET_SERVER;
	return BPF_CORE_READ(sk, sk_max_ack_backlog) > 0;
}

/* Its end, or its beginning at an address that was another's. Storage goes with its socket. */
static __always_inline void forget_socket(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (sockets_hashed)
		bpf_map_delete_elem(&net_sockets_hashed, &key);
}

#endif
