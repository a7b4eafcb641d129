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

#include "counter.h"

/* Slots that are no cgroup. */
enum cpu_reserved_slot {
	CPU_SLOT_IDLE = 0,   /* the idle task */
	CPU_SLOT_KERNEL = 1, /* kernel threads in the root cgroup */
	CPU_SLOT_OTHER = 2,  /* every cgroup for which no slot was free */
	CPU_SLOT_FIRST = 3,  /* the first that a cgroup can get */
};

/* Performance counters kept for each slot, in the order of the options that name their events. */
enum cpu_counter {
	CPU_COUNTER_CYCLES,
	CPU_COUNTER_INSTRUCTIONS,
	CPU_COUNTER_CACHE_REFERENCES,
	CPU_COUNTER_CACHE_MISSES,
	CPU_COUNTERS,
};

/* One CPU's share in one slot: an element of the map `usage`, at cpu * slot_count + slot. */
struct cpu_usage {
	__u64 time_ns;	  /* time on this CPU, CLOCK_MONOTONIC */
	__u64 overlap_ns; /* of it, while another thread of the same core was busy too */
	__u64 counter[CPU_COUNTERS];
	__u64 switches; /* times that a task of it left this CPU to another */
	__u64 reserved;
};
_Static_assert(sizeof(struct cpu_usage) == 64, "one cache line, so that CPUs do not share any");

/* A cgroup's slot, once looked up. Serial numbers are not used again, so it may outlive its cgroup. */
struct cpu_known_cgroup {
	__u64 serial; /* of its cgroup_subsys_state, and 1: nearer to a task than the cgroup's id is */
	__u64 slot;
};
#define CPU_KNOWN_CGROUPS 8 /* a power of two; a cgroup's place is its serial number modulo this */

/* What one CPU is doing: an element of the map `cpus`. */
struct cpu_state {
	__u64 since_ns;	       /* up to when this CPU's time is charged; 0: accounting has not begun here */
	__u64 moves;	       /* cgroup_moves as of since_ns */
	__u64 moved_ns;	       /* when a task on this CPU was last moved; whoever moves it writes this */
	__u64 shared_ns;       /* smt_shared_ns of its core as of since_ns */
	__u32 core;	       /* which core it is a thread of; user space writes this */
	__u32 counted_core;    /* among whose busy threads it is counted, */
	__u32 busy;	       /* if it is */
	__u32 slot;	       /* what runs now, */
	__u32 pid;	       /* and the task that does */
	__u32 interrupts;      /* how many are under way, one within the other */
	__u32 settling;	       /* a program is at these books: one that interrupts it leaves them alone */
	__u32 switches;	       /* since the last charge */
	__u64 counters_failed; /* readings of counters that gave an error */
	struct counter_reading counters[CPU_COUNTERS]; /* as of the last charge */
	struct cpu_known_cgroup known[CPU_KNOWN_CGROUPS];
	__u64 reserved[3];
};
_Static_assert(sizeof(struct cpu_state) % 64 == 0, "whole cache lines, so that CPUs do not share any");

/* Who owns a slot: an element of the map `slots`. Written when the slot is taken. */
struct cpu_slot {
	__u64 cgroup_id; /* 0: free */
};

#define PROCESS_NAME_MAX 16

/* A process in a slot: a key of the map `processes`. A pid that is used again has another start. */
struct process_key {
	__u64 start_ns; /* of its first thread, CLOCK_MONOTONIC */
	__u32 tgid;
	__u32 slot;
};

/* One CPU's share of it. */
struct process_usage {
	struct cpu_usage used;
	__u64 named_ns;		     /* when this CPU charged it last, and so read */
	char name[PROCESS_NAME_MAX]; /* comm of its first thread: a program that it executes changes it */
};

#endif
