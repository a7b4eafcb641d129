/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-top shows, for scripts: a view as text, JSON or CSV.
 */
#ifndef DEEPMON_TOP_BATCH_H
#define DEEPMON_TOP_BATCH_H

#include <stdio.h>

#include "view.h"

enum top_format { TOP_TEXT, TOP_JSON, TOP_CSV, TOP_FORMATS };

/* -ENOENT: there is no format of that name. */
int top_format_find(const char *name, enum top_format *format);

struct top_batch {
	enum top_format format;
	enum top_units units; /* of text */
	FILE *out;
	const struct top_column **columns;
	size_t column_count;
	bool begun; /* something was written */
};

/*
 * Writes a view of the model: text as a table for people; JSON as one object on one line, without what was
 * not measured; CSV as in RFC 4180, its first line the names, and what was not measured empty. -errno of
 * writing.
 */
int top_batch_write(struct top_batch *batch, const struct top_model *model, const struct top_view *view);

#endif
