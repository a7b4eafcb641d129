/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The files that a group's cgroups read and wrote, as far as they are told apart, and the rest. Memory only.
 */
#ifndef DEEPMON_GROUP_FILES_H
#define DEEPMON_GROUP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/file_io.h"
#include "../bpf/top_files.h"

/* What a report tells of no file goes by this name. */
#define FILE_UNTOLD "(other)"

/* Among whose files those with most bytes are told: of the whole host, or of a container. */
enum file_scope { FILE_SCOPE_HOST, FILE_SCOPE_CONTAINER, FILE_SCOPES };

struct group_file {
	struct group_file *next;
	uint64_t inode;
	uint32_t device, generation;
	char *path;			      /* as its container sees it; NULL: not known */
	struct file_counts fresh;	      /* since the last report */
	uint64_t bytes_before;		      /* those that were fresh in the last report */
	struct file_counts told[FILE_SCOPES]; /* in those reports that told of it there */
	uint64_t missed;		      /* bytes of it, at most, that are not in fresh */
	bool telling[FILE_SCOPES];	      /* in the report that is being made */
	uint64_t last_used;		      /* by when it was charged; to compare */
	bool unwanted;
};

/* All zero: there are none. */
struct group_files {
	struct group_file *first;
	void *by_key; /* tsearch tree of the same */
};

/* NULL: out of memory. */
struct group_file *group_files_find_or_add(struct group_files *files, const struct file_key *key,
					   bool *added);
/* Frees those that are unwanted. */
void group_files_sweep(struct group_files *files);
void group_files_clear(struct group_files *files);
/* Moves another's over; of the same file they become one. */
void group_files_absorb(struct group_files *to, struct group_files *from);

static inline uint64_t group_file_bytes(const struct group_file *file)
{
	return file->fresh.read_bytes + file->fresh.written_bytes;
}

/* What nothing is told of by file, of a group or of the host. */
struct file_rest {
	struct file_counts untold;
	/*
	 * What was told of files and is not in the sum yet: those are read first, and something may be
	 * counted between. It is made up for with what comes to the sum next.
	 */
	struct file_counts ahead;
};

/* Of a report: all that was read and written, less what is told of files. */
void file_rest_add(struct file_rest *rest, const struct file_io_usage *all, const struct file_counts *told);

void file_counts_add(struct file_counts *to, const struct file_counts *from);

#endif
