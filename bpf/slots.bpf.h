/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Whose account something goes to: the slot of a task's cgroup. Each program that charges includes this; the
 * maps are one set for all of them, which user space gives to each.
 */
#ifndef DEEPMON_BPF_SLOTS_BPF_H
#define DEEPMON_BPF_SLOTS_BPF_H

#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cpu.h"

const volatile int cgroup_subsys = -1; /* enum cgroup_subsys_id of the hierarchy followed; -1: unified */

__u64 slots_refused; /* look-ups that found no free slot */

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

static __always_inline __u32 slot_of_cgroup(__u64 cgroup_id)
{
	__u32 *slot = bpf_map_lookup_elem(&slot_by_cgroup, &cgroup_id);

	return slot ? *slot : take_slot(cgroup_id);
}

/* What a task is charged to. For one whose BTF type the verifier knows: plain loads. */
static __always_inline struct cgroup_subsys_state *css_of_trusted(struct task_struct *task)
{
	return cgroup_subsys < 0 ? &task->cgroups->dfl_cgrp->self : task->cgroups->subsys[cgroup_subsys & 63];
}

/* Few loads for a cgroup that is known. With preemption off alone: it writes what the CPU knows. */
static __always_inline __u32 slot_of_trusted(struct cpu_state *cpu, struct task_struct *task)
{
	if (task->pid == 0)
		return CPU_SLOT_IDLE;

	struct cgroup_subsys_state *css = css_of_trusted(task);

	/* Kernel threads count as the kernel's, but for those that were put into a cgroup to be charged to
	 * it. */
	if ((task->flags & PF_KTHREAD) && !css->parent)
		return CPU_SLOT_KERNEL;

	__u64 serial = css->serial_nr + 1; /* that of cgroup v2's root is 0, as is what is not in use here */
	struct cpu_known_cgroup *known = &cpu->known[serial % CPU_KNOWN_CGROUPS];

	if (serial == known->serial)
		return (__u32)known->slot;

	__u32 slot = slot_of_cgroup(css->cgroup->kn->id);

	/* A cgroup that found no slot asks again next time: one may have come free. */
	if (slot != CPU_SLOT_OTHER)
		*known = (struct cpu_known_cgroup){serial, slot};
	return slot;
}

/* The same where the program may be preempted: it only reads what the CPU knows, and makes sure of it. */
static __always_inline __u32 slot_of_preemptible(struct task_struct *task)
{
	struct cgroup_subsys_state *css = css_of_trusted(task);
	__u32 index = bpf_get_smp_processor_id();
	const volatile struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if ((task->flags & PF_KTHREAD) && !css->parent)
		return CPU_SLOT_KERNEL;
	if (cpu) {
		__u64 serial = css->serial_nr + 1;
		const volatile struct cpu_known_cgroup *known = &cpu->known[serial % CPU_KNOWN_CGROUPS];

		if (serial == known->serial) {
			__u32 slot = (__u32)known->slot;

			if (serial == known->serial)
				return slot;
		}
	}
	return slot_of_cgroup(css->cgroup->kn->id);
}

/* The same for any task. */
static __always_inline __u32 slot_of_untrusted(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;

	if (BPF_CORE_READ(task, pid) == 0)
		return CPU_SLOT_IDLE;
	if (cgroup_subsys < 0)
		css = &BPF_CORE_READ(set, dfl_cgrp)->self;
	else
		bpf_core_read(&css, sizeof(css), &set->subsys[cgroup_subsys & 63]);
	if ((BPF_CORE_READ(task, flags) & PF_KTHREAD) && !BPF_CORE_READ(css, parent))
		return CPU_SLOT_KERNEL;
	return slot_of_cgroup(BPF_CORE_READ(css, cgroup, kn, id));
}

/* That of the task that runs, outside of interrupts. Its BTF type is known from Linux 5.11 on. */
static __always_inline __u32 slot_of_current(bool preemptible)
{
	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return CPU_SLOT_OTHER;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		return preemptible ? slot_of_preemptible(bpf_get_current_task_btf())
				   : slot_of_trusted(cpu, bpf_get_current_task_btf());
	return slot_of_untrusted((struct task_struct *)bpf_get_current_task());
}

#endif
