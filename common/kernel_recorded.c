/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A copy of the kernel's books while they are recorded, and one that a recording is played to in their place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "kernel_inside.h"

int kernel_keep_copy(struct kernel *kernel)
{
	struct kernel_copy *copy;
	int r;

	if ((uint64_t)kernel->cpu_count * kernel->slot_count > KERNEL_COPY_CELLS_MAX)
		return -E2BIG;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	r = kernel_copy_init(copy, kernel->cpu_count, kernel->slot_count, kernel->settings.max_processes);
	if (r) {
		kernel_copy_clear(copy);
		free(copy);
		return r;
	}
	kernel->copy = copy;
	return 0;
}

void kernel_drop_copy(struct kernel *kernel)
{
	if (kernel->copy)
		kernel_copy_clear(kernel->copy);
	free(kernel->copy);
	kernel->copy = NULL;
}

struct kernel_copy *kernel_copy_of(const struct kernel *kernel)
{
	return kernel->copy;
}

/* Owners are looked for as the ledger does: past the last by as many as there are CPUs. */
static void capture_owners(struct kernel *kernel, struct recording_out *out)
{
	struct kernel_copy *copy = kernel->copy;

	copy->losses = kernel_mapped_losses(kernel);
	recording_begin(out, RECORDING_OWNERS);
	recording_put(out, copy->losses.slots_refused);
	recording_put(out, copy->losses.counters_failed);
	recording_put(out, copy->losses.switches_unseen);
	recording_put(out, copy->losses.processes_refused);
	for (uint32_t slot = CPU_SLOT_FIRST;
	     slot < kernel->slot_count && slot <= copy->slots + kernel->cpu_count; slot++) {
		uint64_t id = kernel_mapped_owner(kernel, slot);

		if (id == (slot < copy->slots ? copy->owners[slot] : 0) || kernel_copy_reach(copy, slot + 1))
			continue;
		copy->owners[slot] = id;
		recording_put(out, slot + 1);
		recording_put(out, id);
	}
	recording_put(out, 0);
	recording_end(out);
}

static void capture_usage(struct kernel *kernel, struct recording_out *out)
{
	struct kernel_copy *copy = kernel->copy;

	recording_begin(out, RECORDING_USAGE);
	for (uint32_t slot = 0; slot < copy->slots; slot++) {
		for (uint32_t cpu = 0; cpu < copy->cpu_count; cpu++) {
			struct cpu_usage *last = &copy->usage[(size_t)slot * copy->cpu_count + cpu];
			struct cpu_usage now = {0};

			usage_add(&now, kernel_mapped_usage(kernel, cpu, slot));
			if (!recording_has_growth(&copy->fields[RECORDING_OF_USAGE], last, &now))
				continue;
			recording_put(out, slot + 1);
			recording_put(out, cpu);
			recording_put_growth(out, &copy->fields[RECORDING_OF_USAGE], last, &now);
		}
	}
	recording_put(out, 0);
	recording_end(out);
}

struct capturing {
	struct kernel *kernel;
	struct recording_out *out;
};

static void capture_process(void *user, const struct process_reading *reading)
{
	const struct capturing *capturing = user;
	struct kernel_copy *copy = capturing->kernel->copy;
	struct kernel_copy_process *process = kernel_copy_process(copy, &reading->key, true);
	struct recording_out *out = capturing->out;
	bool grown = false;

	if (!process)
		return;
	memcpy(process->name, reading->name, sizeof(process->name));
	recording_begin(out, RECORDING_PROCESS);
	recording_put(out, reading->key.start_ns);
	recording_put(out, reading->key.tgid);
	recording_put(out, reading->key.slot);
	recording_put_text(out, reading->name);
	for (uint32_t cpu = 0; cpu < copy->cpu_count; cpu++) {
		struct cpu_usage now = {0};

		usage_add(&now, process_reading_of_cpu(reading, cpu));
		if (!recording_has_growth(&copy->fields[RECORDING_OF_USAGE], &process->by_cpu[cpu], &now))
			continue;
		recording_put(out, cpu + 1);
		recording_put_growth(out, &copy->fields[RECORDING_OF_USAGE], &process->by_cpu[cpu], &now);
		grown = true;
	}
	recording_put(out, 0);
	recording_end(out);
	if (!grown)
		recording_drop(out);
}

void kernel_capture(struct kernel *kernel, struct recording_out *out)
{
	struct capturing capturing = {kernel, out};

	capture_owners(kernel, out);
	if (kernel->settings.max_processes)
		process_map_each(&kernel->processes, capture_process, &capturing);
	capture_usage(kernel, out);
}

int kernel_open_recorded(struct kernel **opened, const struct kernel_recorded *recorded,
			 struct counters *counters)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	int r;

	if (!kernel)
		return -ENOMEM;
	kernel->settings.counters = counters;
	kernel->settings.max_processes = recorded->max_processes;
	kernel->cpu_count = recorded->cpu_count;
	kernel->slot_count = CPU_SLOT_FIRST + recorded->max_cgroups;
	kernel->overlap = recorded->overlap;
	r = kernel_keep_copy(kernel);
	if (r) {
		kernel_close(kernel);
		return r;
	}
	*opened = kernel;
	return 0;
}
