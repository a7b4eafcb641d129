/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Annotated CSV, as Flux is answered: of influx_answer.c alone.
 */
#ifndef DEEPMON_TOP_INFLUX_CSV_H
#define DEEPMON_TOP_INFLUX_CSV_H

#include "influx_answer.h"

#define INFLUX_CELLS_MAX 64 /* of a line; what is beyond is left out */

/* A line in its cells. */
struct influx_cells {
	char *text; /* in which they are */
	const char *cells[INFLUX_CELLS_MAX];
	size_t count;
};

/* All zero: nothing was read. */
struct influx_csv {
	struct influx_cells head; /* of the tables that follow */
	bool headless;		  /* the next line without '#' is a head */
	/* The points of one table so far, the newest last. */
	struct influx_cells points[INFLUX_POINTS];
	size_t point_count;
};

/* One line. What `take` returned, -EBADMSG, -EPROTO or -ENOMEM; *why is what the matter was, good until the
 * next. */
int influx_csv_read(struct influx_csv *csv, const char *line,
		    int (*take)(void *user, const struct influx_series *series), void *user,
		    const char **why);
/* The last table has ended. */
int influx_csv_flush(struct influx_csv *csv, int (*take)(void *user, const struct influx_series *series),
		     void *user);
void influx_csv_clear(struct influx_csv *csv);

#endif
