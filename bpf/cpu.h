/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/cpu.bpf.c and common/kernel.c share: the layout of the CPU accounting in mapped memory.
 *
 * Every cgroup that has run owns a slot. Each CPU adds to its own row of slots and to no other, so no
 * counter has two writers and none needs an atomic. Counters only grow; user space subtracts.
 */
#ifndef DEEPMON_BPF_CPU_H
#define DEEPMON_BPF_CPU_H

#include <linux/types.h>

/* Slots that are no cgroup. */
enum cpu_reserved_slot {
	CPU_SLOT_IDLE = 0,   /* the idle task */
	CPU_SLOT_KERNEL = 1, /* kernel threads in the root cgroup */
	CPU_SLOT_OTHER = 2,  /* every cgroup for which no slot was free */
	CPU_SLOT_FIRST = 3,  /* the first that a cgroup can get */
};

/* One CPU's share in one slot: an element of the map `usage`, at cpu * slot_count + slot. */
struct cpu_usage {
	__u64 time_ns; /* time on this CPU, CLOCK_MONOTONIC */
	__u64 reserved[7];
};
_Static_assert(sizeof(struct cpu_usage) == 64, "one cache line, so that CPUs do not share any");

/* What one CPU is doing: an element of the map `cpus`. */
struct cpu_state {
	__u64 since_ns;	 /* up to when this CPU's time is charged; 0: accounting has not begun here */
	__u64 cgroup_id; /* the last cgroup looked up, and its slot: the next switch often finds it again */
	__u32 cgroup_slot;
	__u32 slot;  /* what runs now */
	__u64 moves;	/* cgroup_moves as of since_ns */
	__u64 moved_ns; /* when a task on this CPU was last moved; whoever moves it writes this */
	__u64 reserved[3];
};
_Static_assert(sizeof(struct cpu_state) == 64, "one cache line, so that CPUs do not share any");

/* Who owns a slot: an element of the map `slots`. Written when the slot is taken. */
struct cpu_slot {
	__u64 cgroup_id; /* 0: free */
};

#define CGROUP_EVENT_PATH_MAX 1024

enum cgroup_event_kind {
	CGROUP_CREATED = 1,
	CGROUP_REMOVED = 2, /* its directory is gone; a task of it that is exiting may still run for some µs */
};

/* A record of the ring buffer `cgroup_events`. CREATED is sent without the unused end of its path. */
struct cgroup_event {
	__u64 cgroup_id;
	__u32 kind;
	__u32 path_length; /* without the final NUL; CGROUP_EVENT_PATH_MAX - 1 may be cut */
	char path[CGROUP_EVENT_PATH_MAX];
};

#endif
