/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/top_files.bpf.h and common/top_files.c share: the files on which most was read and written.
 *
 * The files of a cgroup are kept in sets of eight places each, by a hash of who they are. One that finds no
 * place takes that of the file which weighs least in its set, and weighs as much more from then on: that is
 * what may have been missed of it (Metwally and others, Efficient Computation of Frequent and Top-k Elements
 * in Data Streams, 2005). So of a set in which W bytes went, a file with more than W/8 of them is surely
 * kept.
 */
#ifndef DEEPMON_BPF_TOP_FILES_H
#define DEEPMON_BPF_TOP_FILES_H

#include <linux/types.h>

#define FILE_PLACES 8 /* of a set; a power of two */

/* A file of a cgroup. */
struct file_key {
	__u64 cgroup_id;
	__u64 inode;
	__u32 device;	  /* the kernel's: 12 bits of major number, 20 of minor */
	__u32 generation; /* of the inode's number */
};

struct file_entry {
	struct file_key key;
	__u64 serial;			 /* another with each file that takes the place; 0: none has yet */
	__u64 read_bytes, written_bytes; /* since it took it */
	__u64 reads, writes;
	__u64 weight; /* bytes in this round, and what may have been missed */
	__u64 missed; /* at most, of this round's bytes before it took the place */
	__u32 named;  /* the last round in which its path was written */
	__u32 naming; /* its path is being written */
};

/* An element of the map `file_sets`. */
struct file_set {
	__u32 lock; /* struct bpf_spin_lock */
	__u32 round;
	__u64 serial;
	struct file_entry places[FILE_PLACES];
};

/*
 * The path of a file that has or had a place: an element of the map `file_paths`, at set * FILE_PLACES +
 * place. Behind it stand path_most bytes, of which the path is the last, from `begin` on, and then 256 that
 * mean nothing.
 */
struct file_path {
	__u64 serial; /* of the entry; 0: it is being written */
	__u32 begin;
	__u32 flags;
	__u64 dentry, mount, root_dentry, root_mount; /* where the walk is, and where it ends */
};
#define FILE_PATH_CUT	  1 /* it is longer: this is its end */
#define FILE_PATH_DELETED 2
#define FILE_PATH_SLACK	  256

#endif
