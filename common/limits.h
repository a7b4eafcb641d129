/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Says once of each limit that was passed, by what the self metrics count: which option it is, and where
 * what is past it is told instead.
 */
#ifndef DEEPMON_LIMITS_H
#define DEEPMON_LIMITS_H

#include "deepmon.h"

struct limits {
	uint32_t said; /* a bit for each row of limits.c */
};

/* `valid` as in struct deepmon_record, of the same report. */
void limits_say(struct limits *limits, const struct deepmon_self_cost *cost, uint64_t valid,
		const struct deepmon_options *options, const struct deepmon_logger *logger);

#endif
