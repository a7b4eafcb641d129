/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The files on which most is read and written, of any number, in bounded memory. Arithmetic alone, for kernel
 * and user space.
 *
 * The files of a cgroup are kept in sets of eight places each, by a hash of who they are. One that finds no
 * place takes that of the file which weighs least in its set, and weighs as much more from then on: that is
 * how much of it may have been missed (Space-Saving: Metwally and others, Efficient Computation of Frequent
 * and Top-k Elements in Data Streams, 2005). So of W bytes that went into a set in a round, a file with more
 * than W/8 is surely in it, and at most W/8 of it were missed.
 */
#ifndef DEEPMON_BPF_TOP_FILES_H
#define DEEPMON_BPF_TOP_FILES_H

/* Before linux/types.h, which would make it a mere wish. */
#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

#include <linux/types.h>
#include <stdbool.h>

#define FILE_PLACES 8 /* of a set; a power of two */

/* A file of a cgroup. */
struct file_key {
	__u64 cgroup_id;
	__u64 inode;
	__u32 device;	  /* the kernel's: 12 bits of major number, 20 of minor */
	__u32 generation; /* tells files apart that have the inode one after the other */
};

struct file_counts {
	__u64 read_bytes, written_bytes;
	__u64 reads, writes; /* operations */
};

/* Its counts in user space are those since the file took the place. */
struct file_entry {
	struct file_key key;
	__u64 serial; /* another with each file that takes the place; 0: none has yet */
	struct file_counts counts;
	__u64 weight; /* bytes in this round, and those that may have been missed */
	__u64 missed; /* at most, of this round's bytes before the file took the place */
	__u32 named;  /* the last round in which its path was looked up */
	__u32 naming; /* its path is being written */
};

/* An element of the map `file_sets`. */
struct file_set {
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock;
#endif
	__u32 round;
	__u64 serial;
	__u64 place; /* scratch, under the lock: what the verifier knows nothing of it need not tell apart */
	struct file_entry places[FILE_PLACES];
};

/*
 * The path of a file that has or had a place: an element of the map `file_paths`, at set * FILE_PLACES +
 * place. Behind it stand FilePathMax bytes or more, of which the path is the last, from `begin` on, and then
 * FILE_PATH_SLACK that mean nothing.
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

/* Which of so many sets, a power of two. */
static __always_inline __u32 file_set_of(const struct file_key *key, __u32 sets)
{
	__u64 mixed = (key->inode ^ (key->cgroup_id << 32) ^ key->device) * 0x9e3779b97f4a7c15ull;

	return (__u32)(mixed >> 40) & (sets - 1);
}

/* In a new round all weigh nothing. */
static __always_inline void file_set_begin(struct file_set *set, __u32 round)
{
	if (set->round == round)
		return;
	set->round = round;
	for (__u32 i = 0; i < FILE_PLACES; i++)
		set->places[i].weight = set->places[i].missed = 0;
}

/* What two keys differ in; 0: they do not. */
static __always_inline __u64 file_key_difference(const struct file_key *a, const struct file_key *b)
{
	return (a->cgroup_id ^ b->cgroup_id) | (a->inode ^ b->inode) | (a->device ^ b->device) |
	       (a->generation ^ b->generation);
}

/* The entry that a file has or, if it has none, takes. Its place is in set->place. */
static __always_inline struct file_entry *file_set_enter(struct file_set *set, const struct file_key *key)
{
	volatile __u64 *place = &set->place;
	__u64 least = ~0ull;
	struct file_entry *entry;

	*place = 0;
	for (__u32 i = 0; i < FILE_PLACES; i++) {
		entry = &set->places[i];
		/* Nothing is lighter than the file itself. */
		__u64 weight = file_key_difference(&entry->key, key) ? entry->weight + 1 : 0;

		if (weight < least) {
			least = weight;
			*place = i;
		}
	}
	entry = &set->places[*place & (FILE_PLACES - 1)];
	if (!least)
		return entry;
	entry->key = *key;
	entry->serial = ++set->serial;
	entry->counts.read_bytes = entry->counts.written_bytes = 0;
	entry->counts.reads = entry->counts.writes = 0;
	entry->missed = entry->weight;
	entry->named = 0;
	return entry;
}

static __always_inline void file_entry_add(struct file_entry *entry, bool reads, __u64 bytes)
{
	entry->weight += bytes;
	if (reads) {
		entry->counts.read_bytes += bytes;
		entry->counts.reads++;
	} else {
		entry->counts.written_bytes += bytes;
		entry->counts.writes++;
	}
}

#endif
