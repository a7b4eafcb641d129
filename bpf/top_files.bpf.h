/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which files are read and written most: counts, by file, of a bounded number of files. See top_files.h.
 */
#ifndef DEEPMON_BPF_TOP_FILES_BPF_H
#define DEEPMON_BPF_TOP_FILES_BPF_H

#include "file_path.bpf.h"
#include "slots.bpf.h"

const volatile __u32 file_set_count = 0; /* a power of two, or 0: files are not told apart */

/* User space begins a round with each report, in which all weigh nothing at first. */
__u32 file_round = 1;
/* What a file must have read and written in a round for its path to be looked up. */
__u64 file_worth;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at open: file_set_count */
	__type(key, __u32);
	__type(value, struct file_set);
} file_sets SEC(".maps");

/* Which file, in an operation. */
struct file_id {
	__u64 inode;
	__u32 device, generation;
	__u64 fd_file; /* the descriptor where it is if that is still open; or the address of an open one */
	__u64 is_regular;
};

static __always_inline void identify(struct file_id *id, struct file *file, __u64 fd_file)
{
	struct inode *inode;

	id->is_regular = file != NULL;
	if (!file || !file_set_count)
		return;
	id->fd_file = fd_file;
	if (has_typed) {
		inode = TYPED(file, file)->f_inode;
		id->inode = inode->i_ino;
		id->device = inode->i_sb->s_dev;
		id->generation = inode->i_generation;
	} else {
		inode = BPF_CORE_READ(file, f_inode);
		id->inode = BPF_CORE_READ(inode, i_ino);
		id->device = BPF_CORE_READ(inode, i_sb, s_dev);
		id->generation = BPF_CORE_READ(inode, i_generation);
	}
}

/*
 * Counts an operation. The serial, if the file's path is to be written now, by the caller, who then calls
 * end_naming; else 0.
 */
static __always_inline __u64 count_file(struct file_set *set, const struct file_key *key, bool reads,
					__u64 bytes, __u32 *place)
{
	struct file_entry *entry;
	__u64 serial = 0;

	bpf_spin_lock(&set->lock);
	file_set_begin(set, file_round);
	entry = file_set_enter(set, key);
	*place = set->place & (FILE_PLACES - 1);
	file_entry_add(entry, reads, bytes);
	if (entry->named != set->round && !entry->naming && entry->weight - entry->missed >= file_worth) {
		entry->named = set->round;
		entry->naming = 1;
		serial = entry->serial;
	}
	bpf_spin_unlock(&set->lock);
	return serial;
}

static __always_inline void end_naming(struct file_set *set, __u32 place)
{
	bpf_spin_lock(&set->lock);
	set->places[place & (FILE_PLACES - 1)].naming = 0;
	bpf_spin_unlock(&set->lock);
}

static __always_inline void name_file(__u32 number, __u64 serial, struct file *file)
{
	struct file_path *path = bpf_map_lookup_elem(&file_paths, &number);

	if (!path || !file)
		return;
	path->serial = 0;
	write_path(number, path, file);
	barrier();
	path->serial = serial;
}

#endif
