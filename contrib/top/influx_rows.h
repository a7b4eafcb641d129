/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a cluster's hosts told, put together from series: a row for each container and what else a terminal
 * shows, with its figures; rates from the two newest points of a series. Pure.
 */
#ifndef DEEPMON_TOP_INFLUX_ROWS_H
#define DEEPMON_TOP_INFLUX_ROWS_H

#include "influx_names.h"
#include "model.h"

struct influx_host {
	char *name;			 /* "": nobody says */
	uint64_t newest_ns, previous_ns; /* its last two reports; 0: there is no such */
	size_t rows;			 /* of containers */
};

struct influx_rows {
	struct influx_row **rows;
	size_t count, capacity, most; /* most: rows that are kept */
	struct influx_host **hosts;   /* by name, once all is told */
	size_t host_count, host_capacity;
	bool devices;			   /* rows of block devices are wanted, too */
	size_t refused;			   /* series of rows past `most` */
	size_t series;			   /* that told something */
	void *rows_by_key, *hosts_by_name; /* tsearch trees of the same */
};

void influx_rows_init(struct influx_rows *rows, size_t most, bool devices);
void influx_rows_clear(struct influx_rows *rows);

/* A series in whatever schema; one that tells nothing is left out. -ENOMEM. */
int influx_rows_take(struct influx_rows *rows, const struct influx_series *series);

/*
 * The model's next sample. Of a host count the figures of its last two reports: a report may be on its way
 * in parts, and what was in neither has ended. -ENODATA: no host told anything, and the model is as it was.
 * -ENOMEM: rows are missing.
 */
int influx_rows_tell(struct influx_rows *rows, struct top_model *model);

#endif
