/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Takes what the kernel counted by file to the groups, and chooses which files a report tells of.
 */
#ifndef DEEPMON_TOP_FILES_H
#define DEEPMON_TOP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroups.h"
#include "files.h"
#include "group_files.h"

struct top_files {
	struct files *files;	  /* the kernel's sets of them */
	size_t path_most;	  /* of a path's bytes, in what is told */
	size_t told[FILE_SCOPES]; /* how many a report tells of the host, and of each container; 0: none */
	size_t most;		  /* kept over all groups */
	size_t count;
	uint64_t charges;	  /* so far */
	struct file_entry *taken; /* by set and place: as of the last time */
	struct ranked *ranking;	  /* room for twice `most` */
	struct file_rest rest;	  /* of the host */
};

/* `told` is copied. -ENOMEM. */
int top_files_init(struct top_files *top, struct files *files, size_t path_most,
		   const size_t told[FILE_SCOPES]);
void top_files_clear(struct top_files *top);

/* Takes what came since the last call. After what the slots counted, of which this is never less then. */
void top_files_charge(struct top_files *top, const struct cgroups *cgroups, const struct groups *groups);

/*
 * Marks those of a group, or of the host, that a report tells of: of the host those of all groups, or of
 * those that are told of one by one.
 */
void top_files_choose_of_group(struct top_files *top, struct group *group);
void top_files_choose_of_host(struct top_files *top, const struct groups *groups, bool all);

/* After the report: another begins. */
void top_files_told(struct top_files *top, const struct groups *groups);

#endif
