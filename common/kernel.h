/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel side's accounting: loads bpf/cpu.bpf.c and reads what it counts. Says nothing of what a
 * cgroup is; only bpf/cpu.h's slots and ids.
 */
#ifndef DEEPMON_KERNEL_H
#define DEEPMON_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/cpu.h"
#include "bpf_links.h"
#include "counters.h"
#include "deepmon.h"
#include "hierarchy.h"
#include "kernel_copy.h"
#include "process_map.h"
#include "topology.h"

struct kernel;

struct kernel_settings {
	const struct hierarchy *hierarchy;
	const char *sys_root;
	struct topology *topology; /* a CPU that comes back is read again into it */
	struct counters *counters; /* likewise opened again */
	uint32_t max_cgroups;	   /* that get a slot of their own at the same time */
	uint32_t max_processes;	   /* that are told apart; 0: none are */
	bool interrupts;	   /* charge them to the kernel */
	bool overlap;		   /* account overlap of SMT siblings, where there are any */
};

/*
 * CPUs that are accounted: those present, by number. A virtual machine could have many more, that is, be
 * given them later: then deepmon must be started again. -errno.
 */
int kernel_cpu_count(void);

/*
 * Loads and attaches. What stood in the way is said to the logger with its remedy. Each CPU is accounted
 * from here on. -EPERM: not allowed. Other errors as the kernel and libbpf give them.
 */
int kernel_open(struct kernel **kernel, const struct kernel_settings *settings,
		const struct deepmon_logger *logger);
/* Takes NULL. */
void kernel_close(struct kernel *kernel);

/* As bpf_links_mend. Time that no program saw is not charged to anybody. */
void kernel_mend(struct kernel *kernel, struct bpf_links_state *state);

/* Charges what runs now, on every CPU, so that what kernel_usage then shows is complete up to here. */
void kernel_flush(struct kernel *kernel);
/*
 * Opens the performance counters of CPUs again that were away and back between two calls of kernel_flush. It
 * costs a system call for each CPU: so it is for reports.
 */
void kernel_renew_counters(struct kernel *kernel);

/* What is counted: whether overlap and switches are, and a bit for each enum cpu_counter that is. */
bool kernel_has_overlap(const struct kernel *kernel);
bool kernel_has_switches(const struct kernel *kernel);
uint32_t kernel_counter_mask(const struct kernel *kernel);

uint32_t kernel_slot_count(const struct kernel *kernel);
/* What one CPU counted in a slot; the kernel goes on adding to it. Good until kernel_close. */
const struct cpu_usage *kernel_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot);

/* The id of the cgroup that owns a slot; 0: none does. */
uint64_t kernel_slot_owner(const struct kernel *kernel, uint32_t slot);
/* Takes the slot from a cgroup that is gone. What was counted in it stays: the next owner goes on from there.
 */
void kernel_free_slot(struct kernel *kernel, uint32_t slot);

/* The maps of bpf/slots.bpf.h, for other programs that charge by slot. They belong to the kernel. */
struct kernel_slot_maps {
	int cpus, slots, slot_by_cgroup, free_slots;
};
struct kernel_slot_maps kernel_slot_maps(const struct kernel *kernel);

/* They only grow. */
uint64_t kernel_slots_refused(const struct kernel *kernel);
uint64_t kernel_switches_unseen(const struct kernel *kernel);
uint64_t kernel_counters_failed(const struct kernel *kernel);
uint64_t kernel_processes_refused(const struct kernel *kernel);

/* As bpf_object_add_run_time. */
int kernel_add_run_time(const struct kernel *kernel, uint64_t *run_time_ns, uint64_t *runs);

/* Visits the processes that are told apart; has one forgotten, until it runs again. */
void kernel_each_process(const struct kernel *kernel, process_map_visitor *visit, void *user);
void kernel_forget_process(const struct kernel *kernel, const struct process_key *key);

/* ---- Recordings -------------------------------------------------------------------------------- */

/*
 * From now on the functions above tell of a copy, as it was at the last kernel_capture. It belongs to the
 * kernel. -E2BIG: more CPUs and slots than a copy is made of. -ENOMEM.
 */
int kernel_keep_copy(struct kernel *kernel);
/* They tell of the maps again, which have all that the copy had. */
void kernel_drop_copy(struct kernel *kernel);
/* Brings the copy up to now, and writes down what changed. */
void kernel_capture(struct kernel *kernel, struct recording_out *out);
/* NULL: there is none. */
struct kernel_copy *kernel_copy_of(const struct kernel *kernel);

/* What a recording says of its kernel. */
struct kernel_recorded {
	uint32_t cpu_count, max_cgroups, max_processes;
	bool overlap;
};
/* One that is but a copy, to be played to. The mask of `counters` is the recorded one. -E2BIG, -ENOMEM. */
int kernel_open_recorded(struct kernel **kernel, const struct kernel_recorded *recorded,
			 struct counters *counters);

#endif
