/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-top's screen: what of the model is looked at, by pages and keys.
 */
#ifndef DEEPMON_TOP_SCREEN_H
#define DEEPMON_TOP_SCREEN_H

#include "sampler.h"
#include "view.h"

/* Behind the pages of columns. */
#define TOP_SOURCES_PAGE     top_page_count
#define TOP_SCREEN_PAGES     (top_page_count + 1)
#define TOP_SCREEN_PAGES_MAX 20
#define TOP_HISTORY	     120 /* samples that a row's graphs have */

enum top_look { TOP_LOOK_TABLE, TOP_LOOK_DETAIL, TOP_LOOK_HELP };

/* Which row, whatever becomes of it. */
struct top_place {
	enum deepmon_entity entity;
	char *instance, *part; /* NULL: none */
};

/* Where on the screen something is, for the mouse. */
struct top_spot {
	int line, column, width;
	size_t what; /* the page's number, or the column's */
};

struct top_screen {
	struct top_model model;
	struct top_source source;
	struct top_sampler sampler;
	struct deepmon_options options; /* as it was opened with */
	struct top_settings settings;
	struct top_view view;

	enum top_units units;
	enum top_look look;
	size_t page;
	const struct top_column *sorts[TOP_SCREEN_PAGES_MAX]; /* of each page; NULL: by name */
	size_t cursor, first; /* lines of the view, or of what else is shown */
	struct top_place detail;
	char *only;    /* the container or unit whose processes are shown; NULL: all */
	char **folded; /* paths of groups */
	size_t folded_count;

	uint64_t turn; /* of the sampler, that the view is of */
	bool quit;

	bool typing;
	char typed[TOP_FILTER_MAX]; /* the filter as it stands there; settings has the last that can be */
	char message[256];	    /* until the next key */

	struct top_spot tabs[TOP_SCREEN_PAGES_MAX], heads[TOP_PAGE_COLUMNS_MAX + 1];
	size_t tab_count, head_count;
	int first_row, row_count; /* lines of the screen that have rows */
	char host[DEEPMON_HOST_MAX];
};

/* What the command line says. */
struct top_start {
	const struct deepmon_options *options;
	const struct top_settings *settings;
	const struct top_page *page; /* NULL: the first */
	enum top_units units;
	const char *replay;		      /* NULL: this host */
	const struct influx_settings *influx; /* NULL: no cluster */
	bool sorted;			      /* as the settings say, in place of the page's order */
	double interval, speed, from;
};

/* Shows until it is told to end. On failure `why` tells, and the terminal is as it was. */
int top_screen_run(const struct top_start *start, char *why, size_t why_size);

/* Of screen.c: the view anew, as the settings say now. */
void top_screen_view(struct top_screen *screen);
void top_screen_say(struct top_screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The page's columns: NULL behind the last. */
const char *const *top_screen_keys(const struct top_screen *screen);
/* Of the table: the line of the cursor; NULL: there is none. */
const struct top_line *top_screen_line(const struct top_screen *screen);
/* The row that the detail is of; NULL: it is gone. */
const struct top_row *top_screen_row(const struct top_screen *screen);

/* Of keys.c: does what the keys that were hit say. */
void top_screen_keys_hit(struct top_screen *screen);

/* Of pages.c: draws all. */
void top_screen_draw(struct top_screen *screen);
/* The name of a page, whichever it is. */
const char *top_screen_page_name(size_t page);

/* Of detail.c: draw what is no table, from a line of the screen on. */
void top_screen_draw_detail(struct top_screen *screen, int line, int height);
void top_screen_draw_sources(struct top_screen *screen, int line, int height);
void top_screen_draw_help(struct top_screen *screen, int line, int height);

/*
 * Of reasons.c: why no row of the table has a figure of a column. Returns text.
 */
const char *top_screen_reason(const struct top_screen *screen, const struct top_column *column, char *text,
			      size_t size);

#endif
