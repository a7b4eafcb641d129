/* SPDX-License-Identifier: GPL-3.0-only
 *
 * CPU time by cgroup, charged at every context switch; and the coming and going of cgroups.
 * It touches its own maps only. The layout is explained in cpu.h.
 */
#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cpu.h"

/* Settings, fixed between open and load. */
const volatile __u32 slot_count = CPU_SLOT_FIRST;
const volatile int cgroup_subsys = -1; /* enum cgroup_subsys_id of the hierarchy followed; -1: unified */
const volatile int cgroup_hierarchy;   /* its cgroup_root.hierarchy_id */
const volatile __u64 root_cgroup_id = 1;

/* Counters that user space reads. */
__u64 cgroup_moves;	     /* tasks moved between cgroups so far */
__u64 cgroup_moved_ns;	     /* when the last of them was */
__u64 cgroup_events_dropped; /* events that found the ring buffer full */
__u64 slots_refused;	     /* look-ups that found no free slot */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: CPUs */
	__type(key, __u32);
	__type(value, struct cpu_state);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: CPUs * slot_count */
	__type(key, __u32);
	__type(value, struct cpu_usage);
} usage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: slot_count */
	__type(key, __u32);
	__type(value, struct cpu_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at open: slot_count */
	__type(key, __u64);
	__type(value, __u32);
} slot_by_cgroup SEC(".maps");

/* User space fills it, the lowest on top: few slots are then used, and those in use stand together. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1); /* set at open: slot_count */
	__type(value, __u32);
} free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} cgroup_events SEC(".maps");

/* A ring buffer record is as long as its path, so it is put together here first. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_event);
} event_scratch SEC(".maps");

/* Gives a cgroup its slot. Two CPUs may try at once: the one that loses hands its slot back. */
static __noinline __u32 take_slot(__u64 cgroup_id)
{
	__u32 slot = CPU_SLOT_OTHER;

	if (bpf_map_pop_elem(&free_slots, &slot)) {
		__sync_fetch_and_add(&slots_refused, 1);
		return CPU_SLOT_OTHER;
	}
	if (bpf_map_update_elem(&slot_by_cgroup, &cgroup_id, &slot, BPF_NOEXIST)) {
		__u32 *theirs = bpf_map_lookup_elem(&slot_by_cgroup, &cgroup_id);

		bpf_map_push_elem(&free_slots, &slot, BPF_ANY);
		return theirs ? *theirs : CPU_SLOT_OTHER;
	}

	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);

	if (owner)
		owner->cgroup_id = cgroup_id;
	return slot;
}

static __always_inline __u32 slot_of_cgroup(struct cpu_state *cpu, __u64 cgroup_id)
{
	if (cgroup_id == cpu->cgroup_id)
		return cpu->cgroup_slot;

	__u32 *known = bpf_map_lookup_elem(&slot_by_cgroup, &cgroup_id);
	__u32 slot = known ? *known : take_slot(cgroup_id);

	/* A cgroup that found no slot asks again next time: one may have come free. */
	cpu->cgroup_id = slot == CPU_SLOT_OTHER ? 0 : cgroup_id;
	cpu->cgroup_slot = slot;
	return slot;
}

/* Kernel threads count as the kernel's, but for those that were put into a cgroup to be charged to it. */
static __always_inline __u32 slot_of_task(struct cpu_state *cpu, int pid, unsigned int flags, __u64 cgroup_id)
{
	if (pid == 0)
		return CPU_SLOT_IDLE;
	if ((flags & PF_KTHREAD) && cgroup_id == root_cgroup_id)
		return CPU_SLOT_KERNEL;
	return slot_of_cgroup(cpu, cgroup_id);
}

/* For a task whose BTF type the verifier knows: plain loads. */
static __always_inline __u32 slot_of_trusted(struct cpu_state *cpu, struct task_struct *task)
{
	__u64 id = cgroup_subsys < 0 ? task->cgroups->dfl_cgrp->kn->id
				     : task->cgroups->subsys[cgroup_subsys & 63]->cgroup->kn->id;

	return slot_of_task(cpu, task->pid, task->flags, id);
}

static __always_inline void add_time(__u32 cpu_index, __u32 slot, __u64 time_ns)
{
	__u32 index = cpu_index * slot_count + slot;
	struct cpu_usage *u = bpf_map_lookup_elem(&usage, &index);

	if (u)
		u->time_ns += time_ns;
}

/*
 * Charges the time since the last charge. `runs_in` is the slot of the task that ran, asked for only
 * when a task changed its cgroup meanwhile: then the time is cut at the move.
 */
static __always_inline void charge(struct cpu_state *cpu, __u32 cpu_index, __u64 now, __u32 runs_in)
{
	__u64 since = cpu->since_ns;

	cpu->since_ns = now;
	if (!since || now <= since)
		return;
	if (runs_in != cpu->slot) {
		/* Only a process's first thread is seen to move: for the others the last move of all must do. */
		__u64 moved = cpu->moved_ns > since ? cpu->moved_ns : cgroup_moved_ns;

		if (moved > since && moved < now) {
			add_time(cpu_index, cpu->slot, moved - since);
			since = moved;
		}
	}
	add_time(cpu_index, runs_in, now - since);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(cpu_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;

	__u32 ran_in = cpu->slot;
	__u64 moves = cgroup_moves;

	if (moves != cpu->moves) {
		cpu->moves = moves;
		ran_in = slot_of_trusted(cpu, prev);
	}
	charge(cpu, index, bpf_ktime_get_ns(), ran_in);
	cpu->slot = slot_of_trusted(cpu, next);
	return 0;
}

/* Not attached: user space runs it on each CPU, so that what runs at a sample is charged up to then. */
SEC("raw_tp/sched_switch")
int cpu_flush(void *ctx)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;

	struct task_struct *task = (void *)bpf_get_current_task();
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	__u64 id = 0;

	if (cgroup_subsys < 0) {
		id = BPF_CORE_READ(set, dfl_cgrp, kn, id);
	} else {
		struct cgroup_subsys_state *state = NULL;

		bpf_core_read(&state, sizeof(state), &set->subsys[cgroup_subsys & 63]);
		id = BPF_CORE_READ(state, cgroup, kn, id);
	}

	__u32 runs_in = slot_of_task(cpu, BPF_CORE_READ(task, pid), BPF_CORE_READ(task, flags), id);

	cpu->moves = cgroup_moves;
	charge(cpu, index, bpf_ktime_get_ns(), runs_in);
	cpu->slot = runs_in;
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_moved, struct cgroup *to, const char *path, struct task_struct *task, bool threadgroup)
{
	if (to->root->hierarchy_id != cgroup_hierarchy)
		return 0;

	__u32 index = (__u32)task->wake_cpu;
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);
	__u64 now = bpf_ktime_get_ns();

	if (cpu)
		cpu->moved_ns = now;
	cgroup_moved_ns = now;
	__sync_fetch_and_add(&cgroup_moves, 1);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_created, struct cgroup *cgroup, const char *path)
{
	__u32 zero = 0;
	struct cgroup_event *event = bpf_map_lookup_elem(&event_scratch, &zero);

	if (!event || cgroup->root->hierarchy_id != cgroup_hierarchy)
		return 0;

	long length = bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);

	if (length <= 0)
		return 0;
	event->kind = CGROUP_CREATED;
	event->cgroup_id = cgroup->kn->id;
	event->path_length = (__u32)length - 1;

	__u64 size = offsetof(struct cgroup_event, path) + (length & (2 * CGROUP_EVENT_PATH_MAX - 1));

	if (size > sizeof(*event))
		return 0;
	if (bpf_ringbuf_output(&cgroup_events, event, size, 0))
		__sync_fetch_and_add(&cgroup_events_dropped, 1);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_removed, struct cgroup *cgroup, const char *path)
{
	if (cgroup->root->hierarchy_id != cgroup_hierarchy)
		return 0;

	struct cgroup_event *event =
	    bpf_ringbuf_reserve(&cgroup_events, offsetof(struct cgroup_event, path), 0);

	if (!event) {
		__sync_fetch_and_add(&cgroup_events_dropped, 1);
		return 0;
	}
	event->kind = CGROUP_REMOVED;
	event->cgroup_id = cgroup->kn->id;
	event->path_length = 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
