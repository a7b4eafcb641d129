/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Takes samples into a model when they are due, in a thread of its own: who shows the model waits for none
 * of them, however long a host takes to be read, or a recording to be gone through.
 */
#ifndef DEEPMON_TOP_SAMPLER_H
#define DEEPMON_TOP_SAMPLER_H

#include <pthread.h>

#include "source.h"

/* The model's lock is that of all members. */
struct top_sampler {
	struct top_source *source;
	struct top_model *model;
	pthread_t thread;
	pthread_cond_t wake;
	int news; /* an eventfd: something was told */

	/* Asked of it. */
	double interval; /* seconds, of this host */
	double speed;	 /* of a recording */
	bool frozen, stop;
	unsigned steps; /* samples to be taken at once */
	bool seeking;	/* to target_ns, CLOCK_REALTIME */
	uint64_t target_ns;
	uint64_t due_ns; /* CLOCK_MONOTONIC: when the next sample is */
	uint64_t at_ns;	 /* of a recording: the last sample that was read, shown or not; 0: none */

	/* Told by it. */
	uint64_t turn; /* grows with each change of the model: rows that were looked at before may be gone */
	bool ended;    /* the recording, or what of it can be read */
	char trouble[160];
};

/* Its pace is set before; a recording's first sample is so many seconds from its beginning. -errno. */
int top_sampler_start(struct top_sampler *sampler, struct top_source *source, struct top_model *model,
		      double from);
/* Waits for the end of what is under way. Nothing, if it was not started. */
void top_sampler_stop(struct top_sampler *sampler);
/* What was told is taken up: `news` is quiet until there is more. */
void top_sampler_heard(const struct top_sampler *sampler);

/* Under the lock: the next sample is due now, and from then on as interval, speed and frozen say. */
void top_sampler_pace(struct top_sampler *sampler);
/* One sample more, whatever else. */
void top_sampler_step(struct top_sampler *sampler);
/* Of a recording: so many seconds on, or back, from where it is or is about to be. */
void top_sampler_seek(struct top_sampler *sampler, double seconds);

#endif
