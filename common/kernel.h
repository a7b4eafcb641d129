/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel side's counters: loads the BPF programs and reads what they count. Says nothing of what a
 * cgroup is; only bpf/cpu.h's slots and ids.
 */
#ifndef DEEPMON_KERNEL_H
#define DEEPMON_KERNEL_H

#include <stdint.h>

#include "../bpf/cpu.h"
#include "deepmon.h"
#include "hierarchy.h"

struct kernel;

/* Gets each cgroup that is made or removed, in the kernel's order, from within kernel_read_events. */
typedef void kernel_event_handler(void *user, const struct cgroup_event *event);

struct kernel_settings {
	const struct hierarchy *hierarchy;
	uint32_t max_cgroups; /* that get a slot of their own at the same time */
	kernel_event_handler *on_event;
	void *user;
};

/*
 * Loads and attaches. What stood in the way is said to the logger with its remedy. Each CPU is accounted
 * from here on. -EPERM: not allowed. Other errors as the kernel and libbpf give them.
 */
int kernel_open(struct kernel **kernel, const struct kernel_settings *settings,
		const struct deepmon_logger *logger);
void kernel_close(struct kernel *kernel);

/* Readable when there are events to read. */
int kernel_event_fd(const struct kernel *kernel);
void kernel_read_events(struct kernel *kernel);

/* Charges what runs now, on every CPU, so that what kernel_usage then shows is complete up to here. */
void kernel_flush(struct kernel *kernel);

/* Possible CPUs: the rows of the accounting. */
uint32_t kernel_cpu_count(const struct kernel *kernel);
uint32_t kernel_slot_count(const struct kernel *kernel);
/* What one CPU counted in a slot; the kernel goes on adding to it. Good until kernel_close. */
const struct cpu_usage *kernel_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot);

/* The id of the cgroup that owns a slot; 0: none does. */
uint64_t kernel_slot_owner(const struct kernel *kernel, uint32_t slot);
/* Takes the slot from a cgroup that is gone. What was counted in it stays: the next owner goes on from there.
 */
void kernel_free_slot(struct kernel *kernel, uint32_t slot);

/* Both only grow. */
uint64_t kernel_slots_refused(const struct kernel *kernel);
uint64_t kernel_events_dropped(const struct kernel *kernel);

#endif
