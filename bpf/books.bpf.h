/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The books of bpf/cpu.bpf.c: its settings, its maps, and how a stretch of time is charged. Included by it
 * alone.
 */
#ifndef DEEPMON_BPF_BOOKS_BPF_H
#define DEEPMON_BPF_BOOKS_BPF_H

#include "slots.bpf.h"
#include "smt.h"

#define SMT_TRIES 16

/* Settings, fixed between open and load. */
const volatile __u32 slot_count = CPU_SLOT_FIRST;
const volatile int cgroup_hierarchy; /* its cgroup_root.hierarchy_id */
const volatile __u32 counter_mask;   /* a bit for each enum cpu_counter that is read */
const volatile bool per_process;
const volatile bool interrupts_apart;

/* Counters that user space reads. */
__u64 cgroup_moves;	 /* tasks moved between cgroups so far */
__u64 cgroup_moved_ns;	 /* when the last of them was */
__u64 switches_unseen;	 /* switches that the kernel did not tell of */
__u64 processes_refused; /* look-ups that found the map of processes full */

/* Each physical core's word of smt.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at open: CPUs, for there are no more cores */
	__type(key, __u32);
	__type(value, __u64);
} cores SEC(".maps");

/* The events of each CPU's counters, at cpu * CPU_COUNTERS + counter. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 1); /* set at open: CPUs * CPU_COUNTERS */
	__type(key, __u32);
	__type(value, __u32);
} counter_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1); /* set at open, if per_process */
	__type(key, struct process_key);
	__type(value, struct process_usage);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: CPUs * slot_count */
	__type(key, __u32);
	__type(value, struct cpu_usage);
} usage SEC(".maps");

static __always_inline struct cpu_usage *usage_of(__u32 cpu_index, __u32 slot)
{
	__u32 index = cpu_index * slot_count + slot;

	return bpf_map_lookup_elem(&usage, &index);
}

/* A process that time is charged to beside its cgroup. */
struct payer {
	struct process_key key;
	const char *name; /* in kernel memory */
};

static __always_inline struct cpu_usage *usage_of_process(const struct payer *payer, __u64 now)
{
	struct process_usage *process = bpf_map_lookup_elem(&processes, &payer->key);

	if (!process) {
		struct process_usage none = {};

		if (bpf_map_update_elem(&processes, &payer->key, &none, BPF_NOEXIST))
			__sync_fetch_and_add(&processes_refused, 1);
		process = bpf_map_lookup_elem(&processes, &payer->key);
	}
	if (!process)
		return NULL;
	process->named_ns = now;
	bpf_probe_read_kernel_str(process->name, sizeof(process->name), payer->name);
	return &process->used;
}

/* Counters are read here alone, and either book may be missing. */
static __always_inline void add_counters(struct cpu_state *cpu, __u32 cpu_index, struct cpu_usage *of_slot,
					 struct cpu_usage *of_process)
{
	for (__u32 i = 0; i < CPU_COUNTERS; i++) {
		struct counter_reading now;

		if (!(counter_mask & 1u << i))
			continue;
		if (bpf_perf_event_read_value(&counter_events, cpu_index * CPU_COUNTERS + i,
					      (struct bpf_perf_event_value *)&now, sizeof(now))) {
			cpu->counters_failed++;
			continue;
		}

		__u64 counted = counter_advance(&cpu->counters[i], &now);

		if (of_slot)
			of_slot->counter[i] += counted;
		if (of_process)
			of_process->counter[i] += counted;
	}
}

/* Charges what has happened on this CPU since the last charge. `shared_ns` is its core's as of now. */
static __always_inline void charge(struct cpu_state *cpu, __u32 cpu_index, const struct payer *payer,
				   __u64 now, __u64 shared_ns, bool smt)
{
	bool begun = cpu->since_ns && now > cpu->since_ns;
	__u64 time = now - cpu->since_ns;
	__u64 overlap = smt && cpu->busy ? smt_overlap_ns(cpu->shared_ns, shared_ns, time) : 0;
	struct cpu_usage *of_slot = begun ? usage_of(cpu_index, cpu->slot) : NULL;
	struct cpu_usage *of_process = NULL;
	__u32 switches = cpu->switches;

	cpu->since_ns = now;
	cpu->switches = 0;
	if (of_slot) {
		of_slot->time_ns += time;
		of_slot->switches += switches;
		if (smt)
			of_slot->overlap_ns += overlap;
	}
	if (per_process && begun && cpu->slot >= CPU_SLOT_FIRST)
		of_process = usage_of_process(payer, now);
	if (of_process) {
		of_process->time_ns += time;
		of_process->overlap_ns += overlap;
		of_process->switches += switches;
	}
	if (counter_mask)
		add_counters(cpu, cpu_index, of_slot, of_process);
}

/*
 * What was taken to run in another slot has run in `slot` since then. Counters and overlap, which are not
 * known for each part, go with the later one.
 */
static __noinline void correct(struct cpu_state *cpu, __u32 cpu_index, __u32 slot, __u64 since)
{
	if (cpu->since_ns && since > cpu->since_ns) {
		struct cpu_usage *before = usage_of(cpu_index, cpu->slot);

		if (before)
			before->time_ns += since - cpu->since_ns;
		cpu->since_ns = since;
	}
	cpu->slot = slot;
}

/* Since when a task that changed its cgroup is in it. */
static __always_inline __u64 moved_at(const struct cpu_state *cpu)
{
	/* Only a process's first thread is seen to move: for the others the last move of all must do. */
	return cpu->moved_ns > cpu->since_ns ? cpu->moved_ns : cgroup_moved_ns;
}

/* The core may be another one when the CPU was away; one that is counted as busy must leave its core first.
 */
static __always_inline __u64 *core_of(struct cpu_state *cpu)
{
	if (!cpu->busy)
		cpu->counted_core = cpu->core;
	return bpf_map_lookup_elem(&cores, &cpu->counted_core);
}

/* Tells the core when this CPU becomes busy or idle. */
static __always_inline void tell_core(struct cpu_state *cpu, __u64 *core, __u64 now)
{
	__u32 busy = cpu->slot != CPU_SLOT_IDLE;

	if (busy != cpu->busy) {
		/* Each failure is a sibling's success, and there are few of them. */
		for (int i = 0; i < SMT_TRIES; i++) {
			__u64 before = *(volatile __u64 *)core;
			__u64 after = smt_core_after(before, busy, now);

			if (__sync_val_compare_and_swap(core, before, after) == before) {
				cpu->busy = busy;
				break;
			}
		}
	}
	cpu->shared_ns = smt_shared_ns(*(volatile __u64 *)core, now);
}

/* Charges up to now, and from now on the CPU runs in `slot`. */
static __always_inline void change_slot(struct cpu_state *cpu, __u32 cpu_index, const struct payer *payer,
					__u32 slot, bool smt)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 *core = smt ? core_of(cpu) : NULL;

	charge(cpu, cpu_index, payer, now, core ? smt_shared_ns(*(volatile __u64 *)core, now) : 0, smt);
	cpu->slot = slot;
	if (core)
		tell_core(cpu, core, now);
}

#endif
