/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What each slot read and wrote by system calls: loads bpf/file_io.bpf.c and reads what it counts.
 */
#ifndef DEEPMON_FILE_IO_H
#define DEEPMON_FILE_IO_H

#include <stdint.h>

#include "../bpf/file_io.h"
#include "deepmon.h"
#include "hierarchy.h"
#include "kernel.h"

struct file_io;

/* Shares the kernel's slots. What stood in the way is said to the logger. -errno. */
int file_io_open(struct file_io **file_io, const struct kernel *kernel, uint32_t cpu_count,
		 const struct hierarchy *hierarchy, const struct deepmon_logger *logger);
/* Takes NULL. */
void file_io_close(struct file_io *file_io);

/* Charges what runs now, on every CPU. */
void file_io_flush(const struct file_io *file_io);

/* What was counted in the slot since the last call for it. */
void file_io_take(struct file_io *file_io, uint32_t slot, struct file_io_usage *used);

/* For recordings: as of the kernel, whose copy it takes part in. */
void file_io_keep_copy(struct file_io *file_io, const struct kernel *kernel);
void file_io_capture(struct file_io *file_io, struct recording_out *out);
/* One that is played to, through the kernel's copy. -ENOMEM. */
int file_io_open_recorded(struct file_io **file_io, const struct kernel *kernel);

#endif
