/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What tasks read and write by system calls, by cgroup. The kernel counts it for each task as it goes; here
 * it is charged when the task leaves a CPU, and at samples. It touches its own maps, and the slots'.
 *
 * What a task had when it was charged last is kept with the task. It is made when the task is, or at the
 * start for those that are there: at a switch, under the scheduler's lock, is no place to allocate memory.
 */
#include "slots.bpf.h"

#include "file_io.h"

const volatile __u32 slot_count = CPU_SLOT_FIRST; /* fixed between open and load */

__u64 file_io_tasks_refused; /* tasks that nothing could be kept with */

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct file_io_usage);
} file_io_charged SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: CPUs * slot_count */
	__type(key, __u32);
	__type(value, struct file_io_usage);
} file_io_usage SEC(".maps");

static __always_inline struct file_io_usage counted(struct task_struct *task)
{
	return (struct file_io_usage){task->ioac.rchar, task->ioac.wchar, task->ioac.syscr, task->ioac.syscw,
				      0};
}

static __always_inline int charge(struct task_struct *task)
{
	struct file_io_usage now = counted(task), *charged, *usage;

	/* As of kernel threads and of the idle task. */
	if (!now.reads && !now.writes)
		return 0;
	charged = bpf_task_storage_get(&file_io_charged, task, NULL, 0);
	if (!charged || (now.reads == charged->reads && now.writes == charged->writes))
		return 0;

	__u32 index = bpf_get_smp_processor_id();
	struct cpu_state *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;
	index = index * slot_count + slot_of_trusted(cpu, task);
	usage = bpf_map_lookup_elem(&file_io_usage, &index);
	if (!usage)
		return 0;
	usage->read_bytes += now.read_bytes - charged->read_bytes;
	usage->written_bytes += now.written_bytes - charged->written_bytes;
	usage->reads += now.reads - charged->reads;
	usage->writes += now.writes - charged->writes;
	*charged = now;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(file_io_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return charge(prev);
}

/* Not attached: user space runs it on each CPU, so that what runs at a sample is charged up to then. */
SEC("raw_tp/sched_switch")
int file_io_flush(void *ctx)
{
	return charge(bpf_get_current_task_btf());
}

/* A task begins with nothing read or written. */
SEC("tp_btf/task_newtask")
int BPF_PROG(file_io_born, struct task_struct *task, __u64 clone_flags)
{
	if (!bpf_task_storage_get(&file_io_charged, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&file_io_tasks_refused, 1);
	return 0;
}

/* User space reads it once: of tasks that are there what they have done is not ours. */
SEC("iter/task")
int file_io_begin(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;

	if (!task)
		return 0;

	struct file_io_usage now = counted(task);

	if (!bpf_task_storage_get(&file_io_charged, task, &now, BPF_LOCAL_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&file_io_tasks_refused, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
