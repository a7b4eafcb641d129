/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Adding to what a group uses: counters by what they grew by, gauges anew for each report.
 */
#ifndef DEEPMON_FOOTPRINT_SUMS_H
#define DEEPMON_FOOTPRINT_SUMS_H

#include "footprint.h"

/* For each counter of a subject: what it grew by from *last to *now is added to *to. NULL: from 0. */
void footprint_add_growth(enum deepmon_subject subject, uint64_t valid, void *to, const void *last,
			  const void *now);

/* NULL: the group has none of that name. */
struct footprint_device *footprint_find_device(const struct footprint *footprint, const char *name);
/* The device of that name, made if need be. NULL: out of memory. */
struct footprint_device *footprint_add_device(struct footprint *footprint, const char *name);

/* What is gone has counters alone; what lives is read anew. */
void footprint_forget_gauges(struct footprint *footprint);
/* Of one more of the group's cgroups. What one of several lacks (a limit), their sum lacks. */
void footprint_add_gauges(struct footprint *footprint, const struct memory_reading *reading);

#endif
