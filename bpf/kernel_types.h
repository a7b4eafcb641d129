/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel structures that our programs read, with the members they touch and nothing else.
 * CO-RE relocates each access against the running kernel's BTF, so no generated vmlinux.h is needed
 * and the build does not depend on the kernel that it runs on.
 */
#ifndef DEEPMON_BPF_KERNEL_TYPES_H
#define DEEPMON_BPF_KERNEL_TYPES_H

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id; /* what statx calls the inode and open_by_handle_at takes as a handle */
};

struct cgroup_root {
	int hierarchy_id; /* 0: the unified hierarchy; else the second column of /proc/cgroups */
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent; /* NULL: the root's */
	__u64 serial_nr;		    /* unique, and never used again */
};

struct cgroup {
	struct cgroup_subsys_state self; /* in the unified hierarchy */
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup_subsys_state *subsys[64]; /* by enum cgroup_subsys_id, whose length varies */
	struct cgroup *dfl_cgrp;		/* the cgroup in the unified hierarchy */
};

struct sched_entity {
	__u64 sum_exec_runtime;
	__u64 prev_sum_exec_runtime; /* what it was when the task was last put on a CPU */
};

struct files_struct;
struct fs_struct;

struct task_io_accounting {
	__u64 rchar, wchar, syscr, syscw; /* with CONFIG_TASK_XACCT */
};

struct thread_info {
	unsigned long flags;
	__u32 status; /* x86 */
};

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	unsigned int flags;
	int wake_cpu; /* the CPU it is on, or was on last */
	struct sched_entity se;
	struct css_set *cgroups;
	struct task_struct *group_leader;
	__u64 start_time;
	char comm[16];
	struct task_io_accounting ioac;
	struct files_struct *files;
	struct fs_struct *fs;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	__u8 bytes[16];
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__u32 skc_rcv_saddr;
	__u32 skc_daddr; /* the other side's, in the network's byte order, as the port */
	__u16 skc_dport;
	struct in6_addr skc_v6_daddr; /* with CONFIG_IPV6 */
	struct in6_addr skc_v6_rcv_saddr;
	possible_net_t skc_net;
	unsigned long skc_flags; /* bits by enum sock_flags */
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u8 sk_userlocks : 4;
	__u32 sk_max_ack_backlog; /* what was asked of listen(); a connection has its listener's */
	__u8 sk_shutdown;	  /* 1: no more is received; 2: no more is sent */
};

struct socket {
	struct sock *sk;
};

struct inet_sock {
	__u16 inet_sport; /* its own port, in the network's byte order */
};

struct inet_connection_sock {
	void *icsk_ulp_ops; /* what is between the program and TCP, as TLS in the kernel */
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 write_seq;  /* the sequence number of what is sent next */
	__u32 srtt_us;	  /* smoothed round-trip time, in eighths of a microsecond */
	__u32 rcv_nxt;	  /* the sequence number that is to come next, */
	__u32 copied_seq; /* and that to be read next */
};

/* What a program, or a function of the kernel's that is probed, had in the processor's registers. */
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long di, si, dx, cx, ax, orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
#endif
};

struct bpf_iter__task {
	struct task_struct *task; /* NULL: after the last */
};

#pragma clang attribute pop

#define SOCK_DONE  1	      /* include/net/sock.h: the other end sends no more, and its end has come */
#define PF_KTHREAD 0x00200000 /* include/linux/sched.h: the task is a kernel thread */

#endif
