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

struct locked_set {
	struct bpf_spin_lock lock;
	__u32 round;
	__u64 serial;
	struct file_entry places[FILE_PLACES];
};
_Static_assert(sizeof(struct locked_set) == sizeof(struct file_set), "the same for user space");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at open: file_set_count */
	__type(key, __u32);
	__type(value, struct locked_set);
} file_sets SEC(".maps");

/* Which file, in an operation. */
struct file_id {
	__u64 inode;
	__u32 device, generation;
	__u32 fd;
	__u32 is_regular;
	struct file *request_file; /* of a request that holds it; NULL: it is at fd, if that is still open */
};

static __always_inline void identify(struct file_id *id, struct file *file, __u32 fd)
{
	struct inode *inode;

	id->is_regular = file != NULL;
	id->request_file = NULL;
	if (!file || !file_set_count)
		return;
	id->fd = fd;
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

static __always_inline __u32 set_of(const struct file_key *key)
{
	__u64 mixed = (key->inode ^ (key->cgroup_id << 32) ^ key->device) * 0x9e3779b97f4a7c15ull;

	return (__u32)(mixed >> 40) & (file_set_count - 1);
}

/* Its place in the set, or the place that it takes. Under the lock. */
static __always_inline __u32 place_of(struct locked_set *set, const struct file_key *key)
{
	__u64 least = ~0ull;
	__u32 lightest = 0;

	for (__u32 i = 0; i < FILE_PLACES; i++) {
		struct file_entry *entry = &set->places[i];

		if (entry->key.inode == key->inode && entry->key.cgroup_id == key->cgroup_id &&
		    entry->key.device == key->device && entry->key.generation == key->generation)
			return i;
		if (entry->weight < least) {
			least = entry->weight;
			lightest = i;
		}
	}

	struct file_entry *entry = &set->places[lightest & (FILE_PLACES - 1)];

	entry->key = *key;
	entry->serial = ++set->serial;
	entry->read_bytes = entry->written_bytes = entry->reads = entry->writes = 0;
	entry->missed = entry->weight;
	entry->named = 0;
	return lightest;
}

static __always_inline void begin_round(struct locked_set *set)
{
	if (set->round == file_round)
		return;
	set->round = file_round;
	for (__u32 i = 0; i < FILE_PLACES; i++)
		set->places[i].weight = set->places[i].missed = 0;
}

/*
 * Counts an operation. The serial, if the file's path is to be written now, by the caller, who then calls
 * end_naming; else 0.
 */
static __always_inline __u64 count_file(struct locked_set *set, const struct file_key *key, bool reads,
					__u64 bytes, __u32 *place)
{
	struct file_entry *entry;
	__u64 serial = 0;

	bpf_spin_lock(&set->lock);
	begin_round(set);
	*place = place_of(set, key) & (FILE_PLACES - 1);
	entry = &set->places[*place];
	entry->weight += bytes;
	if (reads) {
		entry->read_bytes += bytes;
		entry->reads++;
	} else {
		entry->written_bytes += bytes;
		entry->writes++;
	}
	if (entry->named != set->round && !entry->naming && entry->weight - entry->missed >= file_worth) {
		entry->named = set->round;
		entry->naming = 1;
		serial = entry->serial;
	}
	bpf_spin_unlock(&set->lock);
	return serial;
}

static __always_inline void end_naming(struct locked_set *set, __u32 place)
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
