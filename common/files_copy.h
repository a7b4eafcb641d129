/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel's places of files as they were at a sample, and their paths: what the ledger reads while it is
 * recorded, and of a recording. See kernel_copy.h.
 */
#ifndef DEEPMON_FILES_COPY_H
#define DEEPMON_FILES_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/top_files.h"
#include "recording.h"

#define FILES_COPY_SETS_MAX ((1u << 20) / FILE_PLACES)
#define FILES_COPY_PATH_MAX 4096

struct copied_file {
	struct file_entry entry; /* what user space looks at: key, serial, counts, missed */
	char *path;		 /* as it was kept, with its flags (FILE_PATH_); NULL: it is not known */
	uint32_t path_flags;
	bool changed; /* it is among those that did */
};

struct files_copy {
	size_t set_count;	   /* 0: files are not told apart */
	struct copied_file *files; /* [set * FILE_PLACES + place] */
	size_t places_used;	   /* one past the highest that ever was */
	uint32_t *changed;	   /* since the last round, with room for all */
	size_t changed_count;
};

/* -E2BIG: more sets than a copy is made of. -ENOMEM. */
int files_copy_init(struct files_copy *copy, size_t set_count);
void files_copy_clear(struct files_copy *copy);

/* As files_next. After the last none has changed. */
const struct file_entry *files_copy_next(struct files_copy *copy, size_t *cursor, size_t *place);

/* Whether something came to the place since it was put down. */
bool files_copy_differs(const struct files_copy *copy, size_t place, const struct file_entry *now);
/*
 * RECORDING_BY_FILE, in a record that is open: brings a place up to `now`, and writes down what changed. The
 * path is what is known of it now; NULL: nothing is.
 */
void files_copy_put(struct files_copy *copy, struct recording_out *out, const struct recording_fields *fields,
		    size_t place, const struct file_entry *now, const char *path, uint32_t path_flags);

/* What is bad the record says. */
void files_copy_play(struct files_copy *copy, struct recording_in *record,
		     const struct recording_fields *fields);

#endif
