/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Under which names InfluxDB has a sample's records: as deepmon-execd writes them, or collectd. By the
 * catalogue, there and back; pure.
 */
#ifndef DEEPMON_TOP_INFLUX_NAMES_H
#define DEEPMON_TOP_INFLUX_NAMES_H

#include "figures.h"
#include "influx_answer.h"

enum influx_schema {
	INFLUX_LINES,	 /* deepmon-execd's line protocol: a measurement of each entity and subject */
	INFLUX_COLLECTD, /* what InfluxDB's collectd input makes: one measurement, its tags the identifier */
	INFLUX_SCHEMAS,
};

#define INFLUX_COLLECTD_MEASUREMENT "deepmon_value"

/* What is to be known, of which entities. */
struct influx_want {
	bool figures[DEEPMON_ENTITY_COUNT][TOP_FIGURE_COUNT];
	bool devices; /* what each used of one block device */
};

/* How it is asked for. */
struct influx_dialect {
	enum influx_api api;
	enum influx_schema schema;
	const char *bucket; /* of Flux */
	double window;	    /* seconds back from now */
};

/*
 * The question for what is wanted of one measurement of the catalogue, to be freed. NULL: nothing of it is
 * wanted, or out of memory, and then *r is -ENOMEM.
 */
char *influx_query(const struct influx_dialect *dialect, const struct influx_want *want,
		   const struct deepmon_measurement *measurement, int *r);

/* The records that a series tells of: one for each of its points. */
struct influx_records {
	struct deepmon_record records[INFLUX_POINTS];
	size_t count;
	char texts[2048]; /* what of the labels was parted or put together */
};

/* False: it tells of nothing that is in the catalogue. Texts are the series' and the records'. */
bool influx_records_read(struct influx_records *records, const struct influx_series *series);

#endif
