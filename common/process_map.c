/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads the kernel's map of processes, in batches.
 */
#include "process_map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BATCH 256

int process_map_open(struct process_map *map, int fd, uint32_t cpu_count)
{
	int cpus = libbpf_num_possible_cpus();

	*map = (struct process_map){.fd = fd, .cpu_count = cpu_count};
	if (cpus < 0)
		return cpus;
	map->value_size = (size_t)cpus * sizeof(struct process_usage);
	map->keys = calloc(BATCH, sizeof(*map->keys));
	map->values = calloc(BATCH, map->value_size);
	return map->keys && map->values ? 0 : -ENOMEM;
}

void process_map_close(struct process_map *map)
{
	free(map->keys);
	free(map->values);
	*map = (struct process_map){0};
}

/* The CPU that charged it last has its name. */
static void read_name(const struct process_map *map, const struct process_usage *usage, char *name)
{
	uint64_t named_ns = 0;

	for (uint32_t cpu = 0; cpu < map->cpu_count; cpu++) {
		if (usage[cpu].named_ns < named_ns)
			continue;
		named_ns = usage[cpu].named_ns;
		memcpy(name, usage[cpu].name, PROCESS_NAME_MAX);
	}
	name[PROCESS_NAME_MAX - 1] = '\0';
	if (!*name)
		*name = '?';
}

static void visit_value(const struct process_map *map, uint32_t index, process_map_visitor *visit, void *user)
{
	const char *value = map->values + index * map->value_size;
	struct process_reading reading = {
	    .key = map->keys[index], .by_cpu = value, .stride = sizeof(struct process_usage)};

	read_name(map, (const struct process_usage *)(const void *)value, reading.name);
	visit(user, &reading);
}

void process_map_each(const struct process_map *map, process_map_visitor *visit, void *user)
{
	uint32_t place = 0, count;
	bool first = true;
	int r;

	do {
		count = BATCH;
		r = bpf_map_lookup_batch(map->fd, first ? NULL : &place, &place, map->keys, map->values,
					 &count, NULL);
		if (r && r != -ENOENT)
			break;
		for (uint32_t i = 0; i < count; i++)
			visit_value(map, i, visit, user);
		first = false;
	} while (!r);
}

void process_map_delete(const struct process_map *map, const struct process_key *key)
{
	bpf_map_delete_elem(map->fd, key);
}
