/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What InfluxDB answers, line by line as it comes: the JSON of InfluxQL (each chunk a line) and the annotated
 * CSV of Flux become series of points, one like the other. Asks nothing of anybody.
 */
#ifndef DEEPMON_TOP_INFLUX_ANSWER_H
#define DEEPMON_TOP_INFLUX_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFLUX_POINTS	  2   /* of a series that are asked for: what rates need */
#define INFLUX_TAGS_MAX	  40  /* of a series; what is beyond is left out */
#define INFLUX_FIELDS_MAX 64  /* the same of fields */
#define INFLUX_WHY_MAX	  256 /* bytes of what the matter was */

/* How InfluxDB is asked. */
enum influx_api {
	INFLUX_QL,   /* 1.x: InfluxQL, answered in JSON */
	INFLUX_FLUX, /* 2.x: Flux, answered in annotated CSV */
};

struct influx_tag {
	const char *key, *value; /* neither is "" */
};

struct influx_field {
	const char *key;
	double values[INFLUX_POINTS]; /* of the points */
	bool has[INFLUX_POINTS];      /* it is a number, and finite */
	const char *text;	      /* the newest that is text; NULL: none is */
};

/* The newest points of a series. Texts are good for the call alone. */
struct influx_series {
	const char *measurement;
	struct influx_tag tags[INFLUX_TAGS_MAX];
	size_t tag_count;
	struct influx_field fields[INFLUX_FIELDS_MAX];
	size_t field_count;
	uint64_t times_ns[INFLUX_POINTS]; /* since 1970; the newest first */
	size_t count;			  /* 1 to INFLUX_POINTS */
};

/* "": there is none of that name. */
const char *influx_series_tag(const struct influx_series *series, const char *key);

struct influx_reader;

/* `take` gets each series; another value than 0 ends the reading, and is what influx_reader_feed returns. */
struct influx_reader_settings {
	enum influx_api api;
	int (*take)(void *user, const struct influx_series *series);
	void *user;
	size_t line_most; /* bytes of a line */
};

/* -ENOMEM. */
int influx_reader_open(struct influx_reader **reader, const struct influx_reader_settings *settings);
void influx_reader_close(struct influx_reader *reader); /* takes NULL */

/*
 * Some more bytes of the answer. -EBADMSG: it is no answer of InfluxDB's. -EPROTO: it is an error of its own.
 * -EFBIG: a line is too long. -ENOMEM. After an error nothing more is read.
 */
int influx_reader_feed(struct influx_reader *reader, const char *bytes, size_t length);
/* The answer has ended. As before. */
int influx_reader_end(struct influx_reader *reader);
/* What the matter was: of an error of InfluxDB's its own words, one line. */
const char *influx_reader_why(const struct influx_reader *reader);

/* RFC 3339, as "2026-11-24T15:50:10.123456789Z". False: it is none, or not from 1970 to 2261. */
bool influx_time(const char *text, uint64_t *time_ns);

/* One line of what a server says of an error: of its JSON the message, else the text itself. */
void influx_message(const char *body, char *text, size_t size);

#endif
