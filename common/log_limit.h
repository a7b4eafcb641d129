/* SPDX-License-Identifier: GPL-3.0-only
 *
 * So many lines of log in a minute and no more: what changes to and fro for ever must not fill a disk, or
 * have somebody woken for each turn.
 */
#ifndef DEEPMON_LOG_LIMIT_H
#define DEEPMON_LOG_LIMIT_H

#include <pthread.h>

#include "deepmon.h"

struct log_limit {
	struct deepmon_logger to;
	unsigned most;
	pthread_mutex_t lock;
	bool begun;
	uint64_t minute_ns; /* when the minute began */
	unsigned said;	    /* lines in it */
	uint64_t left_out;  /* in it */
};

void log_limit_init(struct log_limit *limit, const struct deepmon_logger *to, unsigned most);
void log_limit_destroy(struct log_limit *limit);

/*
 * Whether a line may be said at that time, CLOCK_MONOTONIC. *left_out gets how many were not in the minute
 * before, once.
 */
bool log_limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *left_out);

/* A logger that hands on what may be said; `limit` is to outlive it. Debug lines are not counted. */
struct deepmon_logger log_limit_logger(struct log_limit *limit);

#endif
