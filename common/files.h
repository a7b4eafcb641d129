/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Operations on regular files: loads bpf/files.bpf.c with the hooks that this kernel lets it have.
 */
#ifndef DEEPMON_FILES_H
#define DEEPMON_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "../bpf/top_files.h"
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
	uint32_t max_files;    /* that are told apart at once; 0: none are */
	uint32_t path_most;    /* bytes of a path, at most FILES_PATH_MAX */
};
#define FILES_PATH_MAX 4096

/* What stood in the way, or is left out, is said to the logger. -errno. */
int files_open(struct files **files, const struct files_settings *settings,
	       const struct deepmon_logger *logger);
/* Takes NULL. */
void files_close(struct files *files);

const struct bpf_object_skeleton *files_skeleton(const struct files *files);

/* Of struct file_io_usage, by CPU and slot. */
const struct bpf_map *files_usage(const struct files *files);

/* Operations that were not counted: there was no memory for their task, or there were too many at once. */
uint64_t files_lost(const struct files *files);
/* As bpf_object_add_run_time. */
int files_add_run_time(const struct files *files, uint64_t *run_time_ns, uint64_t *runs);

/* ---- By file ------------------------------------------------------------------------------------ */

/* Of FILE_PLACES files each; 0: files are not told apart. */
size_t files_set_count(const struct files *files);
/*
 * The next file that has a place (set * FILE_PLACES + place), as it was at the beginning of the round;
 * *cursor is 0 there. One to which nothing came since the round before may be left out. NULL: there are no
 * more.
 */
const struct file_entry *files_next(struct files *files, size_t *cursor, size_t *place);

/*
 * The path of the file with that serial in a place, as whoever opened it sees it.
 * Of one that is longer than `most` bytes these are its last, after "..."; and one that is deleted has that
 * behind it. -ENOENT: it is not known, or is just being written.
 */
int files_path(const struct files *files, size_t place, uint64_t serial, char *path, size_t most);

/* From now on all files weigh nothing, and paths are looked up of those that have so many bytes in this
 * round. */
void files_begin_round(const struct files *files, uint64_t worth);

/* For recordings: as of latency.h. */
int files_keep_copy(struct files *files, struct kernel_copy *copy);
void files_capture(struct files *files, struct recording_out *out, const struct recording_fields *fields);
int files_open_recorded(struct files **files, struct kernel_copy *copy);

#endif
