/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory a cgroup uses, from its files: the same figures of cgroup v1 and v2.
 */
#ifndef DEEPMON_MEMORY_H
#define DEEPMON_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "deepmon.h"

enum memory_file {
	MEMORY_STAT,
	MEMORY_USAGE,
	MEMORY_LIMIT,
	MEMORY_SWAP,   /* v2: v1 has it in MEMORY_STAT */
	MEMORY_KERNEL, /* v1: v2 has it there */
	MEMORY_EVENTS,
	MEMORY_PRESSURE,
	MEMORY_FILES,
};

struct memory {
	int root_fd;	 /* the hierarchy that has the controller */
	bool unified;	 /* it is v2 */
	int pressure_fd; /* the unified hierarchy, whose cgroups tell of pressure; -1: there is none */
};

struct memory_reading {
	struct deepmon_memory figures; /* counters since the cgroup was made */
	uint64_t valid;		       /* of the catalogue's metrics, those that were read */
	uint64_t inactive_file_bytes;
	bool has_inactive_file;
};

/* Finds where below cgroup_root memory is accounted. -ENOENT: nowhere. */
int memory_open(struct memory *memory, const char *cgroup_root);
void memory_close(struct memory *memory);

/* Reads the cgroup at that path, which begins with '/'. A file that is not there: no figure. */
void memory_read(const struct memory *memory, const char *path, struct memory_reading *reading);

/* What follows from other figures: per cent of the limit. */
void memory_derive(struct deepmon_memory *figures, uint64_t *valid);

/* What one file's text tells; any text at all. The text is changed. Pure. */
void memory_parse(enum memory_file file, bool unified, char *text, struct memory_reading *reading);

#endif
