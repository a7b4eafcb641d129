/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reading the kernel's map of processes.
 */
#ifndef DEEPMON_PROCESS_MAP_H
#define DEEPMON_PROCESS_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "../bpf/cpu.h"

/* What was counted of a process in a slot. */
struct process_reading {
	struct process_key key;
	char name[PROCESS_NAME_MAX];
	const char *by_cpu; /* struct cpu_usage of each CPU, so many bytes apart: */
	size_t stride;
};

static inline const struct cpu_usage *process_reading_of_cpu(const struct process_reading *reading,
							     uint32_t cpu)
{
	return (const struct cpu_usage *)(const void *)(reading->by_cpu + cpu * reading->stride);
}

typedef void process_map_visitor(void *user, const struct process_reading *reading);

struct process_map {
	int fd;
	uint32_t cpu_count;	  /* accounted */
	size_t value_size;	  /* with all CPUs that the kernel could have */
	struct process_key *keys; /* room for one batch */
	char *values;
};

/* The descriptor stays the caller's. -errno. */
int process_map_open(struct process_map *map, int fd, uint32_t cpu_count);
void process_map_close(struct process_map *map);

/* Visits all that are in it; one that comes or goes meanwhile may be missed. */
void process_map_each(const struct process_map *map, process_map_visitor *visit, void *user);
void process_map_delete(const struct process_map *map, const struct process_key *key);

#endif
