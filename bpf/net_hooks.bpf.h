/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where sends and receives are heard of on kernels without the tracepoints sock_send_length and
 * sock_recv_length (Linux 6.3): at the ends of the functions that those stand behind, by fexit, or by kprobes
 * where there is none. User space loads one kind of them. Included by net.bpf.c alone, behind transfer().
 *
 * They are inet_sendmsg and its like, not tcp_sendmsg: there IPv4 and IPv6, TCP and UDP look the same, and an
 * IPv6 socket that sends to an IPv4 address, or TLS in the kernel, is seen once.
 */
#ifndef DEEPMON_BPF_NET_HOOKS_BPF_H
#define DEEPMON_BPF_NET_HOOKS_BPF_H

/* Of a function that is probed: its first and fourth argument, and its result. */
#if defined(__TARGET_ARCH_x86)
#define FIRST(registers)  ((registers)->di)
#define FOURTH(registers) ((registers)->cx)
#define RESULT(registers) ((registers)->ax)
#elif defined(__TARGET_ARCH_arm64)
#define FIRST(registers)  ((registers)->regs[0])
#define FOURTH(registers) ((registers)->regs[3])
#define RESULT(registers) ((registers)->regs[0])
#else /* user space does not load them */
#define FIRST(registers)  0
#define FOURTH(registers) 0
#define RESULT(registers) 0
#endif

struct msghdr;
struct page;
struct pipe_inode_info;

/* Each twice: with transactions of HTTP, and without. */
#define FEXIT_SEND(function, name, hook) \
	SEC("fexit/" #function) \
	int BPF_PROG(name, struct socket *socket, struct msghdr *message, __u64 size, int result) \
	{ \
		return transfer(socket->sk, result, true, hook); \
	}
#define FEXIT_RECEIVE(function, name, hook) \
	SEC("fexit/" #function) \
	int BPF_PROG(name, struct socket *socket, struct msghdr *message, __u64 size, int flags, int result) \
	{ \
		return flags & NOT_RECEIVED ? 0 : transfer(socket->sk, result, false, hook); \
	}
/* sendfile, up to Linux 6.4. UDP's may come by inet_sendmsg once more. */
#define FEXIT_SEND_PAGE(function, name, hook) \
	SEC("fexit/" #function) \
	int BPF_PROG(name, struct socket *socket, struct page *page, int offset, __u64 size, int flags, \
		     long result) \
	{ \
		struct sock *sk = socket->sk; \
\
		return sk && sk->sk_protocol == IPPROTO_TCP ? transfer(sk, (int)result, true, hook) : 0; \
	}
/* From a socket into a pipe: no recvmsg. */
#define FEXIT_SPLICE(function, name, hook) \
	SEC("fexit/" #function) \
	int BPF_PROG(name, struct socket *socket, long long *place, struct pipe_inode_info *pipe, \
		     __u64 size, unsigned int flags, long result) \
	{ \
		return transfer(socket->sk, (int)result, false, hook); \
	}
#define FEXIT_BOTH(kind, function) \
	kind(function, net_fexit_##function, HOOK_FEXIT) kind(function, net_http_##function, HOOK_FEXIT_HTTP)
FEXIT_BOTH(FEXIT_SEND, inet_sendmsg)
FEXIT_BOTH(FEXIT_SEND, inet6_sendmsg)
FEXIT_BOTH(FEXIT_RECEIVE, inet_recvmsg)
FEXIT_BOTH(FEXIT_RECEIVE, inet6_recvmsg)
FEXIT_BOTH(FEXIT_SEND_PAGE, inet_sendpage)
FEXIT_BOTH(FEXIT_SPLICE, tcp_splice_read)

/* A call that a thread has begun: what its end does not tell. */
struct net_call {
	__u64 sk;
	__u32 flags;
	__u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at open, if kprobes are used */
	__type(key, __u64);	/* bpf_get_current_pid_tgid() */
	__type(value, struct net_call);
} net_calls SEC(".maps");

__u64 calls_missed; /* calls whose end was not heard of, or that found no room */

/* The socket is the first argument of all these functions. */
static __always_inline int begin_call(struct socket *socket, __u32 flags, bool tcp_only)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct net_call call = {.sk = (__u64)sk, .flags = flags};

	if (tcp_only && BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	/* The kernel keeps room for some calls at a time only, and drops the ends of those past it. */
	if (bpf_map_update_elem(&net_calls, &thread, &call, BPF_NOEXIST)) {
		__sync_fetch_and_add(&calls_missed, 1);
		bpf_map_update_elem(&net_calls, &thread, &call, BPF_EXIST);
	}
	return 0;
}

static __always_inline int end_call(long result, bool sent)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct net_call *begun = bpf_map_lookup_elem(&net_calls, &thread), call;

	if (!begun)
		return 0;
	call = *begun;
	bpf_map_delete_elem(&net_calls, &thread);
	if (!sent && call.flags & NOT_RECEIVED)
		return 0;

	struct sock *sk = (struct sock *)call.sk;

	return transfer_by(sk, BPF_CORE_READ(sk, __sk_common.skc_family), BPF_CORE_READ(sk, sk_protocol),
			   (int)result, sent, HOOK_KPROBE);
}

/* Also of tcp_splice_read, whose flags mean something else. */
SEC("kprobe")
int net_call_begins(struct pt_regs *registers)
{
	return begin_call((struct socket *)FIRST(registers), 0, false);
}

SEC("kprobe")
int net_sendpage_begins(struct pt_regs *registers)
{
	return begin_call((struct socket *)FIRST(registers), 0, true);
}

SEC("kprobe")
int net_receive_begins(struct pt_regs *registers)
{
	return begin_call((struct socket *)FIRST(registers), (__u32)FOURTH(registers), false);
}

SEC("kretprobe")
int net_send_ends(struct pt_regs *registers)
{
	return end_call((long)RESULT(registers), true);
}

SEC("kretprobe")
int net_receive_ends(struct pt_regs *registers)
{
	return end_call((long)RESULT(registers), false);
}

#endif
