/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a cgroup reads from and writes to block devices, from its files: the same figures of cgroup v1 and v2.
 */
#ifndef DEEPMON_BLOCK_H
#define DEEPMON_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"
#include "root.h"

#define BLOCK_NAME_MAX 64

/* io.stat of v2; of v1 bytes and operations by throttling, the same by the scheduler, and its time. */
#define BLOCK_FILES 5

/* One cgroup's use of one device. */
struct block_reading {
	uint32_t major, minor;
	struct deepmon_block figures; /* since the cgroup was made, or the device if that was later */
	uint64_t valid;		      /* of the catalogue's metrics, those that were read */
};

struct block_readings {
	struct block_reading *all;
	size_t count, capacity;
};

struct block {
	int root_fd;
	bool unified;
	const char *files[BLOCK_FILES]; /* NULL: there is none */
	bool live[BLOCK_FILES];		/* it tells of some device now */
	char sys_root[ROOT_PATH_MAX];
	char *text; /* of one file */
};

/* Finds where below cgroup_root block I/O is accounted. -ENOENT: nowhere. */
int block_open(struct block *block, const char *cgroup_root, const char *sys_root);
void block_close(struct block *block);

/* Before the cgroups of a report are read: looks which files have anything to tell. */
void block_begin(struct block *block);

/*
 * Reads the cgroup at that path, into readings that take the place of those before. A file that is not there
 * tells of no device. Else -errno, of a file that could not be read.
 */
int block_read(const struct block *block, const char *path, struct block_readings *readings);

/* The name that the kernel has for a device; if it does not tell, its numbers: "8:0". */
void block_name(const struct block *block, uint32_t major, uint32_t minor, char name[BLOCK_NAME_MAX]);

/* What one file's text tells is added to the readings; any text at all. The text is changed. Pure. */
void block_parse(int file, bool unified, char *text, struct block_readings *readings);
void block_readings_clear(struct block_readings *readings);

#endif
