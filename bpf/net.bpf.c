/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Bytes, messages and connections by cgroup. Sends and receives are charged to the task that makes them; what
 * the network itself does to a socket, to whom the socket was charged last. It touches its own maps, and the
 * slots that all programs share.
 */
#include "net_sockets.bpf.h"

#define AF_INET	     2
#define AF_INET6     10
#define IPPROTO_TCP  6
#define IPPROTO_UDP  17
#define MSG_PEEK     2
#define MSG_ERRQUEUE 0x2000
#define NOT_RECEIVED (MSG_PEEK | MSG_ERRQUEUE) /* looked at, or what was sent comes back with an error */

#include "http.bpf.h"
#include "peers.bpf.h"
#include "transactions.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: slot_count */
	__type(key, __u32);
	__type(value, struct net_usage);
} net_usage SEC(".maps");

static __always_inline void add(__u64 *counter, __u64 count)
{
	__sync_fetch_and_add(counter, count);
}

static __always_inline struct net_usage *usage_of_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&net_usage, &slot);
}

/* The current task's slot, which the socket is charged to from now on. */
static __always_inline __u32 own(struct net_socket *socket, enum net_hook hook)
{
	__u32 slot = slot_of_current(hook == HOOK_FEXIT || hook == HOOK_FEXIT_HTTP);
	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);

	if (socket && owner) {
		socket->slot = slot;
		socket->cgroup_id = owner->cgroup_id;
	}
	return slot;
}

/* The slot that the socket was charged to last. Its cgroup may have ended since, and the slot be another's.
 */
static __always_inline __u32 slot_of_socket(const struct net_socket *socket)
{
	__u32 slot = socket->slot;
	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);

	if (!slot || !owner || owner->cgroup_id != socket->cgroup_id)
		return CPU_SLOT_OTHER;
	return slot;
}

/* A connection was opened by a program that was not known at that time. */
static __always_inline void count_late(struct sock *sk, struct net_socket *socket, __u32 slot,
				       struct net_usage *usage)
{
	if (!socket->uncounted)
		return;
	socket->uncounted = 0;
	add(&usage->tcp_opened_passive, 1);
	count_peer_event(sk, socket, slot, PEER_OPENED);
}

/*
 * Here and below a result is given a value before it has one: the compiler may keep it on the stack and load
 * it where it is not used, and before Linux 6.3 nothing may be read from the stack that was not written.
 */
static __always_inline void feed(struct sock *sk, struct net_conversation *conversation, __u32 slot,
				 __u64 bytes, bool sent, enum net_hook hook)
{
	struct net_socket *socket = &conversation->socket;
	__u64 now_ns = bpf_ktime_get_ns();
	struct transaction_result result = {0};
	__u32 side;

	socket->role = is_server(sk, socket) ? NET_SERVER : NET_CLIENT;
	side = transaction_side(socket->role == NET_SERVER, sent);
	count_tcp(conversation, slot, transaction_feed(&conversation->tcp, side, bytes, now_ns, &result),
		  &result);
	if (hook != HOOK_FEXIT && with_http)
		feed_http(sk, conversation, slot, side, bytes, sent, now_ns, hook);
}

/* The server sends no more: what is under way is complete. */
static __always_inline void finish(struct sock *sk, struct net_conversation *conversation)
{
	struct transaction_result result = {0};
	__u32 slot = slot_of_socket(&conversation->socket);

	if (with_peers && conversation->tcp.state != TRANSACTION_STATE_IDLE)
		peer_of(sk, &conversation->socket, slot, IPPROTO_TCP, true);
	if (with_http) {
		take_unseen(sk, conversation, slot);
		end_http(sk, conversation, slot);
	}
	count_tcp(conversation, slot, transaction_end(&conversation->tcp, &result), &result);
}

/* Nothing was received: nothing was asked for, or the other side sends no more. */
static __always_inline int end_of_stream(struct sock *sk)
{
	struct net_conversation *conversation = NULL;

	if (sk->sk_shutdown & SHUTDOWN_RECEIVE)
		conversation = known_conversation(sk);
	if (conversation && conversation->socket.role == NET_CLIENT)
		finish(sk, conversation);
	return 0;
}

/* Where the verifier does not know sk to be a socket, its fields are read another way. */
static __always_inline int transfer_by(struct sock *sk, __u16 family, __u16 protocol, int length, bool sent,
				       enum net_hook hook)
{
	bool follow = hook != HOOK_KPROBE && with_transactions;

	if (length < 0 || (family != AF_INET && family != AF_INET6) ||
	    (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		return 0;
	if (!length)
		return follow && protocol == IPPROTO_TCP && !sent ? end_of_stream(sk) : 0;

	struct net_socket *socket = protocol == IPPROTO_TCP ? socket_of(sk) : NULL;
	__u32 slot = own(socket, hook);
	struct net_usage *usage = usage_of_slot(slot);

	if (!usage)
		return 0;
	if (protocol == IPPROTO_UDP) {
		add(sent ? &usage->udp_sent_bytes : &usage->udp_received_bytes, (__u64)length);
		add(sent ? &usage->udp_sent_messages : &usage->udp_received_messages, 1);
		count_peer_transfer(sk, NULL, slot, protocol, length, sent);
		return 0;
	}
	add(sent ? &usage->tcp_sent_bytes : &usage->tcp_received_bytes, (__u64)length);
	add(sent ? &usage->tcp_sent_messages : &usage->tcp_received_messages, 1);
	if (socket)
		count_late(sk, socket, slot, usage);
	/* Before transactions, which are then its, too. */
	count_peer_transfer(sk, socket, slot, protocol, length, sent);
	if (follow && socket)
		feed(sk, (struct net_conversation *)socket, slot, (__u64)length, sent, hook);
	if (!sent) {
		add(&usage->tcp_rtt_sum_us, TCP_FIELD(hook, sk, srtt_us) >> 3);
		add(&usage->tcp_rtt_readings, 1);
	}
	return 0;
}

static __always_inline int transfer(struct sock *sk, int length, bool sent, enum net_hook hook)
{
	return sk ? transfer_by(sk, sk->__sk_common.skc_family, sk->sk_protocol, length, sent, hook) : 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(net_sent, struct sock *sk, int length, int flags)
{
	return transfer(sk, length, true, HOOK_TRACEPOINT);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(net_received, struct sock *sk, int length, int flags)
{
	return flags & NOT_RECEIVED ? 0 : transfer(sk, length, false, HOOK_TRACEPOINT);
}

#include "net_hooks.bpf.h"

/* A client's or a listener's begins in its own task; a server's connection in whatever the network
 * interrupts. */
static __always_inline void begin(struct sock *sk, int state)
{
	struct net_socket *socket = kept_socket(sk);

	if (!socket)
		return;
	socket->role = state == STATE_SYN_SENT ? NET_CLIENT : NET_SERVER;
	own(socket, HOOK_TRACEPOINT);
}

static __always_inline void establish(struct sock *sk, bool active)
{
	struct net_socket *socket = kept_socket(sk);
	struct net_usage *usage;
	__u32 slot;

	if (!socket)
		return;
	socket->role = active ? NET_CLIENT : NET_SERVER;
	socket->open = 1;
	if (with_http && active)
		note_first_byte(sk, (struct net_conversation *)socket);
	/* The listener was there before us, or its cgroup is gone: whoever uses the connection opened it. */
	if (!active && !socket->slot) {
		socket->uncounted = 1;
		return;
	}
	slot = slot_of_socket(socket);
	usage = usage_of_slot(slot);
	if (!usage)
		return;
	add(active ? &usage->tcp_opened_active : &usage->tcp_opened_passive, 1);
	count_peer_event(sk, socket, slot, PEER_OPENED);
}

/* Shut down by the task that has it, which may not have sent or received anything before. */
static __always_inline void claim(struct sock *sk)
{
	struct net_socket *socket = known_socket(sk);
	struct net_usage *usage;
	__u32 slot;

	if (!socket || !socket->uncounted)
		return;
	slot = own(socket, HOOK_TRACEPOINT);
	usage = usage_of_slot(slot);
	if (usage)
		count_late(sk, socket, slot, usage);
}

static __always_inline void end(struct sock *sk, int after)
{
	struct net_conversation *conversation = known_conversation(sk);

	if (conversation && ends_transactions(sk, conversation, after))
		finish(sk, conversation);
}

static __always_inline void close(struct sock *sk, int before)
{
	struct net_socket *socket = known_socket(sk);
	struct net_usage *usage;
	__u32 slot;

	if (!socket || before == STATE_LISTEN)
		return;
	slot = slot_of_socket(socket);
	usage = usage_of_slot(slot);
	if (!usage)
		return;
	if (before == STATE_SYN_SENT) {
		add(&usage->tcp_failed, 1);
		count_peer_event(sk, socket, slot, PEER_FAILED);
	} else if (socket->open) {
		count_late(sk, socket, slot, usage);
		add(&usage->tcp_closed, 1);
		count_peer_event(sk, socket, slot, PEER_CLOSED);
	}
	socket->open = 0;
	forget_end(sk, socket);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(net_state, struct sock *sk, int before, int after)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (before == STATE_LISTEN && after == STATE_SYN_RECV)
		forget_socket(sk);
	else if (after == STATE_SYN_SENT || after == STATE_LISTEN)
		begin(sk, after);
	else if (after == STATE_ESTABLISHED && (before == STATE_SYN_SENT || before == STATE_SYN_RECV))
		establish(sk, before == STATE_SYN_SENT);
	else if (after == STATE_FIN_WAIT1 || after == STATE_LAST_ACK)
		claim(sk);
	else if (after == STATE_CLOSE)
		close(sk, before);
	if (with_transactions)
		end(sk, after);
	if (after == STATE_CLOSE)
		forget_socket(sk);
	return 0;
}

/* The last that is heard of it. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(net_destroyed, struct sock *sk)
{
	struct net_conversation *conversation = known_conversation(sk);

	if (conversation)
		finish(sk, conversation);
	return 0;
}

static __always_inline struct net_usage *usage_of_socket(struct sock *sk)
{
	struct net_socket *socket = sk ? known_socket(sk) : NULL;

	return socket ? usage_of_slot(slot_of_socket(socket)) : NULL;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(net_retransmitted, struct sock *sk)
{
	struct net_usage *usage = usage_of_socket(sk);

	if (usage)
		add(&usage->tcp_retransmits, 1);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(net_reset_sent, struct sock *sk)
{
	struct net_usage *usage = usage_of_socket(sk);

	if (usage)
		add(&usage->tcp_resets_sent, 1);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(net_reset_received, struct sock *sk)
{
	struct net_usage *usage = usage_of_socket(sk);

	if (usage)
		add(&usage->tcp_resets_received, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
