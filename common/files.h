/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Operations on regular files: loads bpf/files.bpf.c with the hooks that this kernel lets it have.
 */
#ifndef DEEPMON_FILES_H
#define DEEPMON_FILES_H

#include <stdint.h>

#include "deepmon.h"
#include "hierarchy.h"
#include "kernel.h"
#include "latency.h"

struct bpf_map;
struct files;

struct files_settings {
	const struct kernel *kernel; /* whose slots it shares */
	const struct latency *latency;
	const struct hierarchy *hierarchy;
	uint32_t cpu_count;
	uint32_t max_requests; /* of io_uring and Linux AIO that are timed at once */
};

/* What stood in the way, or is left out, is said to the logger. -errno. */
int files_open(struct files **files, const struct files_settings *settings,
	       const struct deepmon_logger *logger);
/* Takes NULL. */
void files_close(struct files *files);

/* Of struct file_io_usage, by CPU and slot. */
const struct bpf_map *files_usage(const struct files *files);

/* Operations that were not counted: there was no memory for their task, or there were too many at once. */
uint64_t files_lost(const struct files *files);

#endif
