/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Programs at sched_switch that deepmon's own is measured against; attach.c attaches one of them.
 *
 *   empty       the floor: what any program costs
 *   copy_shape  DEEP-mon's way with its counters off: records of tasks and CPUs in hashes, each looked up,
 *               copied to the stack and put back, and its settings beside them
 *   four_reads  four performance counters read at every switch and nothing else
 */
#include "../../bpf/kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "reference.h"

SEC("tp_btf/sched_switch")
int BPF_PROG(empty, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return 0;
}

/* ---- DEEP-mon's shape -------------------------------------------------------------------------- */

#define WINDOWS 2 /* one is written while the other is read */
#define TASKS	10240
#define CPUS	1024

/* As large as DEEP-mon's records: of one socket, with room for the counters that it is built without. */
struct task_record {
	int pid;
	int tgid;
	char name[16];
	__u64 weighted_cycles[WINDOWS];
	__u64 cycles[WINDOWS];
	__u64 instructions[WINDOWS];
	__u64 cache_misses[WINDOWS];
	__u64 cache_references[WINDOWS];
	__u64 time_ns[WINDOWS];
	__u32 window;
	__u64 written_ns[WINDOWS];
};

struct cpu_record {
	__u64 topology[4];
	__u64 counters[6];
	__u64 since_ns;
	int running_pid;
};

enum setting { SETTING_WINDOW, SETTING_LAST_WINDOW, SETTING_STEP, SETTING_SWITCHES, SETTING_COUNT };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SETTING_COUNT);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WINDOWS);
	__type(key, __u32);
	__type(value, __u64);
} window_times SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TASKS);
	__type(key, int);
	__type(value, struct task_record);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CPUS);
	__type(key, __u64);
	__type(value, struct task_record);
} idle_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CPUS);
	__type(key, __u64);
	__type(value, struct cpu_record);
} cpus SEC(".maps");

/* Copies what a look-up found; the copy fails when it found nothing. */
static __always_inline long copy(void *to, __u32 size, const void *found)
{
	return bpf_probe_read_kernel(to, size, found);
}

static __always_inline long copy_task(struct task_record *record, int pid, __u64 cpu)
{
	if (pid == 0)
		return copy(record, sizeof(*record), bpf_map_lookup_elem(&idle_tasks, &cpu));
	return copy(record, sizeof(*record), bpf_map_lookup_elem(&tasks, &pid));
}

static __always_inline void put_task(const struct task_record *record, int pid, __u64 cpu)
{
	if (pid == 0)
		bpf_map_update_elem(&idle_tasks, &cpu, record, BPF_ANY);
	else
		bpf_map_update_elem(&tasks, &pid, record, BPF_ANY);
}

static __always_inline __u32 copy_setting(__u32 key)
{
	__u32 value = 0;

	copy(&value, sizeof(value), bpf_map_lookup_elem(&settings, &key));
	return value;
}

static __always_inline void put_setting(__u32 key, __u32 value)
{
	bpf_map_update_elem(&settings, &key, &value, BPF_ANY);
}

static __noinline int leave(int pid, __u64 cpu, __u64 now)
{
	struct cpu_record on;
	struct task_record task;

	if (copy(&on, sizeof(on), bpf_map_lookup_elem(&cpus, &cpu)) || copy_task(&task, pid, cpu))
		return 0;
	if (on.running_pid != task.pid)
		return 0;
	if (on.since_ns) {
		__u32 window = task.window & (WINDOWS - 1);

		task.time_ns[window] += now - on.since_ns;
		task.written_ns[window] = now;
	}
	task.tgid = (int)(bpf_get_current_pid_tgid() >> 32);
	put_task(&task, pid, cpu);
	return 0;
}

static __noinline int enter(int pid, __u64 cpu, __u64 now, __u32 window)
{
	struct cpu_record on = {};
	struct task_record task;

	copy(&on, sizeof(on), bpf_map_lookup_elem(&cpus, &cpu));
	if (copy_task(&task, pid, cpu)) {
		__builtin_memset(&task, 0, sizeof(task));
		task.pid = pid;
		task.window = window;
		task.written_ns[0] = task.written_ns[1] = now;
		put_task(&task, pid, cpu);
	}
	on.running_pid = pid;
	on.since_ns = now;
	bpf_map_update_elem(&cpus, &cpu, &on, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(copy_shape, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u32 window = copy_setting(SETTING_WINDOW) & (WINDOWS - 1);
	__u32 switches = copy_setting(SETTING_SWITCHES);

	if (copy_setting(SETTING_LAST_WINDOW) != window) {
		switches = 0;
		put_setting(SETTING_LAST_WINDOW, window);
	}
	put_setting(SETTING_SWITCHES, switches + 1);
	/* What the step is does not matter here; that it is asked for does. */
	if (copy_setting(SETTING_STEP))
		return 0;

	__u64 cpu = bpf_get_smp_processor_id();
	__u64 now = bpf_ktime_get_ns();

	leave(prev->pid, cpu, now);
	enter(next->pid, cpu, now, window);
	bpf_map_update_elem(&window_times, &window, &now, BPF_ANY);
	return 0;
}

/* ---- Counters alone ---------------------------------------------------------------------------- */

#define COUNTER_MAP(name) \
	struct { \
		__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); \
		__uint(key_size, sizeof(__u32)); \
		__uint(value_size, sizeof(__u32)); \
		__uint(max_entries, CPUS); \
	} name SEC(".maps")

COUNTER_MAP(counter_0);
COUNTER_MAP(counter_1);
COUNTER_MAP(counter_2);
COUNTER_MAP(counter_3);

static __always_inline void read_counter(void *map)
{
	struct bpf_perf_event_value value;

	bpf_perf_event_read_value(map, BPF_F_CURRENT_CPU, &value, sizeof(value));
}

SEC("tp_btf/sched_switch")
int BPF_PROG(four_reads, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	read_counter(&counter_0);
	read_counter(&counter_1);
	read_counter(&counter_2);
	read_counter(&counter_3);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
