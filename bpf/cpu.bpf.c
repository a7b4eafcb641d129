/* SPDX-License-Identifier: GPL-3.0-only
 *
 * CPU time, counters and overlap by cgroup, charged at every context switch, at samples and, if asked for,
 * around interrupts. It touches its own maps only; their layout is explained in cpu.h.
 */
#include "books.bpf.h"

/* What ran may not be what the CPU's state says: a task was moved, or a switch went unseen. */
static __noinline void find_who_ran(struct cpu_state *cpu, __u32 index, struct task_struct *prev)
{
	__u32 slot = slot_of_trusted(cpu, prev);
	__u64 since = moved_at(cpu);

	cpu->moves = cgroup_moves;
	if (cpu->pid != (__u32)prev->pid) {
		/* How long prev has run the kernel knows itself; of the idle task it does not. */
		__u64 stint = prev->se.sum_exec_runtime - prev->se.prev_sum_exec_runtime;
		__u64 now = bpf_ktime_get_ns();

		since = prev->pid && stint < now ? now - stint : 0;
		if (cpu->since_ns)
			__sync_fetch_and_add(&switches_unseen, 1);
	}
	if (slot != cpu->slot)
		correct(cpu, index, slot, since);
}

static __always_inline int switch_tasks(struct task_struct *prev, struct task_struct *next, bool smt)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;
	if (cpu->pid != (__u32)prev->pid || cpu->moves != cgroup_moves)
		find_who_ran(cpu, index, prev);

	__u32 slot = slot_of_trusted(cpu, next);
	struct payer payer;

	cpu->pid = (__u32)next->pid;
	cpu->switches++;
	if (interrupts_apart)
		cpu->interrupts = 0; /* where deferred work can be preempted it ends here */
	if (slot == cpu->slot && (!per_process || prev->tgid == next->tgid))
		return 0; /* the same account goes on */
	if (per_process) {
		struct task_struct *leader = prev->group_leader;

		payer.key = (struct process_key){leader->start_time, (__u32)prev->tgid, cpu->slot};
		payer.name = leader->comm;
	}
	change_slot(cpu, index, &payer, slot, smt);
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

/* Why the time up to now is charged, other than for a switch. */
enum occasion { SAMPLE, INTERRUPT_BEGINS, INTERRUPT_ENDS };

static __always_inline void settle_cpu(struct cpu_state *cpu, __u32 index, enum occasion occasion, bool smt)
{
	bool interrupted = cpu->interrupts > 0;

	/* They nest: a device's interrupt comes amid the deferred work of another. */
	if (occasion == INTERRUPT_BEGINS && cpu->interrupts++)
		return;
	if (occasion == INTERRUPT_ENDS && (!interrupted || --cpu->interrupts))
		return;

	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	__u32 pid = (__u32)BPF_CORE_READ(task, pid);
	__u32 slot = slot_of_untrusted(task);
	struct payer payer = {{.start_ns = BPF_CORE_READ(leader, start_time),
			       .tgid = (__u32)BPF_CORE_READ(task, tgid),
			       .slot = slot},
			      (const char *)&leader->comm};

	if (!interrupted && slot != cpu->slot)
		correct(cpu, index, slot, cpu->pid == pid ? moved_at(cpu) : 0);
	cpu->moves = cgroup_moves;
	cpu->pid = pid;
	change_slot(cpu, index, &payer, cpu->interrupts ? CPU_SLOT_KERNEL : slot, smt);
}

/*
 * Samples and deferred work run with interrupts enabled, and another sample or interrupt may come amid this.
 * It begins and ends within, so all of it is left out: else the core could count this CPU as busy twice, for
 * ever. Switches have interrupts disabled.
 */
static __always_inline int settle(enum occasion occasion, bool smt)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu || cpu->settling)
		return 0;
	cpu->settling = true;
	barrier();
	settle_cpu(cpu, index, occasion, smt);
	barrier();
	cpu->settling = false;
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
	SEC("tp_btf/" #tracepoint) \
	int BPF_PROG(cpu_##tracepoint) \
	{ \
		return settle(occasion, false); \
	} \
	SEC("tp_btf/" #tracepoint) \
	int BPF_PROG(cpu_##tracepoint##_smt) \
	{ \
		return settle(occasion, true); \
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
