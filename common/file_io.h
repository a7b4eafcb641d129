/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What each slot read and wrote: by all its system calls, as the kernel counts them for tasks (loads
 * bpf/file_io.bpf.c), or in regular files, each operation with its latency (files.h).
 */
#ifndef DEEPMON_FILE_IO_H
#define DEEPMON_FILE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/file_io.h"
#include "bpf_links.h"
#include "deepmon.h"
#include "files.h"

struct file_io;

/* `full`: regular files. What stood in the way is said to the logger. -errno. */
int file_io_open(struct file_io **file_io, bool full, const struct files_settings *settings,
		 const struct deepmon_logger *logger);
/* Takes NULL. */
void file_io_close(struct file_io *file_io);

/* As bpf_links_mend. */
void file_io_mend(struct file_io *file_io, struct bpf_links_state *state);

/* Charges what runs now, on every CPU. */
void file_io_flush(const struct file_io *file_io);

/* What was counted in the slot since the last call for it. */
void file_io_take(struct file_io *file_io, uint32_t slot, struct file_io_usage *used);

/* Tasks that nothing could be kept with, so that what they read and write is told of nobody; only grows. */
uint64_t file_io_refused(const struct file_io *file_io);

/* As bpf_object_add_run_time. */
int file_io_add_run_time(const struct file_io *file_io, uint64_t *run_time_ns, uint64_t *runs);

/* Those of the operations on regular files; NULL: not these are counted. */
struct files *file_io_files(const struct file_io *file_io);

/* For recordings: as of the kernel, whose copy it takes part in. */
int file_io_keep_copy(struct file_io *file_io, const struct kernel *kernel);
void file_io_capture(struct file_io *file_io, struct recording_out *out);
/* One that is played to, through the kernel's copy. -ENOMEM. */
int file_io_open_recorded(struct file_io **file_io, const struct kernel *kernel, bool full);

#endif
