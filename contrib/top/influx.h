/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A cluster, as its agents fill an InfluxDB: asked by a thread of its own, so that whoever shows it never
 * waits. What it was told last stays while the server is away.
 */
#ifndef DEEPMON_TOP_INFLUX_H
#define DEEPMON_TOP_INFLUX_H

#include "influx_names.h"
#include "model.h"

struct influx_settings {
	const char *url;	       /* "http://host:8086" */
	const char *database;	       /* of 2.x: the bucket */
	const char *organisation;      /* "": the API of 1.x, InfluxQL; else that of 2.x, Flux */
	const char *token;	       /* "": none, and then */
	const char *user, *password;   /* "": nobody */
	const char *ca_file;	       /* of whoever vouches for the server; "": those that the host knows */
	double interval;	       /* seconds from one time that it is asked to the next */
	double window;		       /* seconds: what was told before these is not shown */
	double timeout;		       /* seconds that an answer may take */
	double rows, answer_mebibytes; /* bounds: of all that is told, and of each answer */
};

struct influx;

/* Begins to ask; settings are copied. -EINVAL: what they say can't be. -ENOSYS: there is no libcurl. -ENOMEM.
 * Then `why` tells. */
int influx_open(struct influx **opened, const struct influx_settings *settings,
		const struct influx_want *want, char *why, size_t why_size);
/* Ends what is under way, within a second; takes NULL. */
void influx_close(struct influx *influx);

/* What is to be known from now on; what was until now, for a minute more. Asks at once for what is new. */
void influx_want(struct influx *influx, const struct influx_want *want);
void influx_ask_now(struct influx *influx);
void influx_set_interval(struct influx *influx, double seconds);

/* Becomes readable when there is something to take. */
int influx_fd(const struct influx *influx);
/* The model's next sample. -EAGAIN: nothing was told since the last. -ENOMEM: rows are missing. */
int influx_take(struct influx *influx, struct top_model *model);

/* Of one host, as it was taken last. */
struct influx_host_state {
	char *name;
	uint64_t newest_ns; /* its last report, CLOCK_REALTIME */
	size_t rows;	    /* of containers */
};

struct influx_state {
	const struct influx_host_state *hosts; /* by name; good until the next influx_take */
	size_t host_count;
	uint64_t newest_ns, oldest_ns; /* of their last reports; 0: there is none */
	bool is_asking;
	bool answered;			    /* ever */
	double answer_seconds;		    /* that the last whole answer took */
	char trouble[INFLUX_WHY_MAX + 256]; /* why there is nothing new, or not all; "": all is well */
};

void influx_look(struct influx *influx, struct influx_state *state);

#endif
