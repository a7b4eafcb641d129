/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Inside of struct kernel, shared by kernel.c, which loads the programs and reads their maps, and
 * kernel_recorded.c, which keeps a copy of what those say.
 */
#ifndef DEEPMON_KERNEL_INSIDE_H
#define DEEPMON_KERNEL_INSIDE_H

#include "bpf_object.h"
#include "kernel.h"

struct kernel {
	struct cpu_bpf *bpf; /* NULL: all is played to the copy */
	struct bpf_links links;
	struct kernel_settings settings;
	uint32_t cpu_count;
	uint32_t slot_count;
	bool overlap;
	bool *away;	    /* CPUs that were offline at the last flush */
	uint64_t came_back; /* times that one was back, its counters dead until then */
	struct bpf_mapping cpus, usage, slots;
	struct process_map processes; /* if they are told apart */
	struct kernel_copy *copy;     /* read in place of the maps; NULL: they are read */
};

/* What the maps say now, whether there is a copy of them or not. */
const struct cpu_usage *kernel_mapped_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot);
uint64_t kernel_mapped_owner(const struct kernel *kernel, uint32_t slot);
struct kernel_losses kernel_mapped_losses(const struct kernel *kernel);

#endif
