/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What of a model is shown, and in which order: rows that pass a filter, sorted, in a tree of groups with
 * sums.
 */
#ifndef DEEPMON_TOP_VIEW_H
#define DEEPMON_TOP_VIEW_H

#include "model.h"

#define TOP_FILTER_MAX 256
#define TOP_GROUPS_MAX 4
#define TOP_UNGROUPED  "(none)" /* the group of those without the label */

struct top_settings {
	bool entities[TOP_KINDS];      /* which rows at all */
	const char *instance;	       /* of this container or unit alone; NULL: of all */
	const struct top_column *sort; /* NULL: by name */
	bool ascending;
	char filter[TOP_FILTER_MAX];
	enum top_key groups[TOP_GROUPS_MAX]; /* the outermost first */
	size_t group_count;
	/* Groups whose members are not shown, by the path that line.path has; NULL: none. */
	bool (*is_folded)(void *user, const char *path);
	void *user;
};

/* Containers, by CPU time. */
void top_settings_init(struct top_settings *settings);
/* "namespace,pod" or "". -EINVAL: there is no such key; -E2BIG: more than TOP_GROUPS_MAX. */
int top_settings_group(struct top_settings *settings, const char *keys);

/*
 * Whether a row passes a filter: all of its words must hold, which blanks part. A word is part of the row's
 * name or of one of its labels, whatever the case; KEY:TEXT of that label alone (or name:, id:);
 * COLUMN>NUMBER and COLUMN<NUMBER compare a column, which must have been measured. A '!' before a word means
 * the contrary.
 */
bool top_filter_passes(const char *filter, const struct top_row *row);
/* 0, or -EINVAL and `why` tells the word that can't be: one that compares what is no column. */
int top_filter_check(const char *filter, char *why, size_t why_size);

struct top_line {
	const struct top_row *row; /* NULL: a group */
	const char *name;
	const char *path; /* of a group: names from the outermost, parted by '/' */
	unsigned depth;
	size_t members; /* of a group: rows in it, at any depth */
	struct top_figures figures;
};

struct top_view {
	struct top_line *lines;
	size_t count, capacity;
	struct top_figures sum; /* of all rows that passed */
	size_t rows;
	struct top_texts *texts; /* paths of the groups */
	const struct top_row **passed;
	size_t passed_capacity;
};

/* Makes it anew; good until the model's next update. -ENOMEM: lines are missing. */
int top_view_make(struct top_view *view, const struct top_model *model, const struct top_settings *settings);
void top_view_clear(struct top_view *view);

#endif
