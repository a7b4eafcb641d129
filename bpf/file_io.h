/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/file_io.bpf.c, bpf/files.bpf.c and common/file_io.c share: what each slot read and wrote.
 */
#ifndef DEEPMON_BPF_FILE_IO_H
#define DEEPMON_BPF_FILE_IO_H

#include <linux/types.h>

/* Counts of one CPU in one slot: an element of the map `file_io_usage`, at cpu * slot_count + slot. */
struct file_io_usage {
	__u64 read_bytes, written_bytes;
	__u64 reads, writes; /* calls */
	__u64 syncs;	     /* of files.bpf.c alone */
};

#endif
