/* SPDX-License-Identifier: GPL-3.0-only
 *
 * CPU time, counters and overlap by cgroup, charged at every context switch, at samples and, if asked for,
 * around interrupts. It touches its own maps only; their layout is explained in cpu.h.
 */
#include "books.bpf.h"

/* Since when the slot of a task that ran differs from what the CPU's state says. */
static __always_inline __u64 moved_at(const struct cpu_state *cpu)
{
	/* Only a process's first thread is seen to move: for the others the last move of all must do. */
	return cpu->moved_ns > cpu->since_ns ? cpu->moved_ns : cgroup_moved_ns;
}

static __always_inline int switch_tasks(struct task_struct *prev, struct task_struct *next, bool smt)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;

	__u64 *core = smt ? core_of(cpu) : NULL;
	struct runner ran = {.slot = cpu->slot};
	__u64 moves = cgroup_moves;
	bool unseen = cpu->pid != (__u32)prev->pid;
	bool certain = true;

	if (smt && !core)
		return 0;
	if (moves != cpu->moves) {
		cpu->moves = moves;
		ran.slot = slot_of_trusted(cpu, prev);
		ran.cut_ns = moved_at(cpu);
		certain = false;
	}

	__u64 now = 0;

	if (unseen) {
		/* The kernel did not tell of a switch. How long prev has run it knows itself. */
		__u64 stint = prev->se.sum_exec_runtime - prev->se.prev_sum_exec_runtime;

		now = bpf_ktime_get_ns();
		ran.slot = slot_of_trusted(cpu, prev);
		ran.cut_ns = prev->pid && stint < now ? now - stint : 0;
		certain = false;
		__sync_fetch_and_add(&switches_unseen, cpu->since_ns != 0);
	}

	__u32 runs = slot_of_trusted(cpu, next);
	bool same_process = !per_process || cpu->tgid == (__u32)next->tgid;

	cpu->interrupts = 0; /* where deferred work can be preempted it ends here */
	cpu->pid = (__u32)next->pid;
	cpu->tgid = (__u32)next->tgid;
	if (certain && runs == cpu->slot && same_process && cpu->since_ns)
		return 0; /* the same account goes on */
	if (per_process) {
		ran.process = (struct process_key){
		    .start_ns = prev->group_leader->start_time, .tgid = (__u32)prev->tgid, .slot = ran.slot};
		ran.name = prev->group_leader->comm;
	}
	if (!now)
		now = bpf_ktime_get_ns();
	charge(cpu, index, &ran, now, smt ? smt_shared_ns(*(volatile __u64 *)core, now) : 0);
	run(cpu, runs, smt, core, now);
	return 0;
}

/* Twins: kernels before 5.12 refuse a program that compares and exchanges, as that of SMT does. */
SEC("tp_btf/sched_switch")
int BPF_PROG(cpu_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switch_tasks(prev, next, false);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(cpu_switch_smt, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switch_tasks(prev, next, true);
}

static __always_inline __u64 cgroup_id_of(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;

	if (cgroup_subsys < 0)
		return BPF_CORE_READ(set, dfl_cgrp, kn, id);
	bpf_core_read(&state, sizeof(state), &set->subsys[cgroup_subsys & 63]);
	return BPF_CORE_READ(state, cgroup, kn, id);
}

/* What runs now, for programs that the scheduler does not hand it to. */
static __always_inline void find_current(struct cpu_state *cpu, struct runner *ran)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	__u32 pid = (__u32)BPF_CORE_READ(task, pid);

	ran->slot = pid ? slot_of_task(cpu, BPF_CORE_READ(task, flags), cgroup_id_of(task)) : CPU_SLOT_IDLE;
	ran->cut_ns = cpu->pid == pid ? moved_at(cpu) : 0;
	ran->process = (struct process_key){.start_ns = BPF_CORE_READ(leader, start_time),
					    .tgid = (__u32)BPF_CORE_READ(task, tgid),
					    .slot = ran->slot};
	ran->name = (const char *)&leader->comm;
	cpu->moves = cgroup_moves;
	cpu->pid = pid;
	cpu->tgid = ran->process.tgid;
}

/* Why the time up to now is charged, other than for a switch. */
enum occasion { SAMPLE, INTERRUPT_BEGINS, INTERRUPT_ENDS };

static __always_inline int settle(enum occasion occasion, bool smt)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);
	struct runner now_running = {};

	if (!cpu)
		return 0;
	/* They nest: a device's interrupt comes amid the deferred work of another. */
	if (occasion == INTERRUPT_BEGINS && cpu->interrupts++)
		return 0;
	if (occasion == INTERRUPT_ENDS && (!cpu->interrupts || --cpu->interrupts))
		return 0;

	__u64 *core = smt ? core_of(cpu) : NULL;
	__u64 now = bpf_ktime_get_ns();

	if (smt && !core)
		return 0;
	find_current(cpu, &now_running);

	struct runner ran = now_running;

	if (occasion == INTERRUPT_ENDS || (occasion == SAMPLE && cpu->interrupts))
		ran = (struct runner){.slot = CPU_SLOT_KERNEL};
	charge(cpu, index, &ran, now, smt ? smt_shared_ns(*(volatile __u64 *)core, now) : 0);
	run(cpu, cpu->interrupts ? CPU_SLOT_KERNEL : now_running.slot, smt, core, now);
	return 0;
}

/* Not attached: user space runs it on each CPU, so that what runs at a sample is charged up to then. */
SEC("raw_tp/sched_switch")
int cpu_flush(void *ctx)
{
	return settle(SAMPLE, false);
}

SEC("raw_tp/sched_switch")
int cpu_flush_smt(void *ctx)
{
	return settle(SAMPLE, true);
}

/* Loaded if interrupts are to be charged to the kernel, and not to what they interrupt. */
#define INTERRUPT_PROGRAM(tracepoint, occasion) \
	SEC("tp_btf/" #tracepoint)              \
	int BPF_PROG(cpu_##tracepoint)          \
	{                                       \
		return settle(occasion, false); \
	}                                       \
	SEC("tp_btf/" #tracepoint)              \
	int BPF_PROG(cpu_##tracepoint##_smt)    \
	{                                       \
		return settle(occasion, true);  \
	}
INTERRUPT_PROGRAM(irq_handler_entry, INTERRUPT_BEGINS)
INTERRUPT_PROGRAM(irq_handler_exit, INTERRUPT_ENDS)
INTERRUPT_PROGRAM(softirq_entry, INTERRUPT_BEGINS)
INTERRUPT_PROGRAM(softirq_exit, INTERRUPT_ENDS)

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

char LICENSE[] SEC("license") = "GPL";
