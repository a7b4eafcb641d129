/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-top's screen does otherwise when it shows a cluster: samples come when they are told, and what
 * is shown has an age. With another source these do nothing.
 */
#ifndef DEEPMON_TOP_CLUSTER_H
#define DEEPMON_TOP_CLUSTER_H

#include "screen.h"

#define TOP_CLUSTER_HISTORY 30 /* samples that a row's graphs have: there are many rows */

static inline bool top_cluster_is_shown(const struct top_screen *screen)
{
	return screen->source.influx != NULL;
}

/* Opens it, with the rows and columns that are shown first. -errno; the model has a note of why. */
int top_cluster_open(struct top_screen *screen, const struct influx_settings *settings);

/* Takes what was told since, if that is not frozen; the view is anew then. */
void top_cluster_hear(struct top_screen *screen);
/* Rows of processes and devices stay below what they are of, where all are grouped by host. */
void top_cluster_group(struct top_settings *settings, const struct top_page *page);
/* What the view takes is asked for. */
void top_cluster_want(struct top_screen *screen, const struct top_settings *settings);
/* The interval is another; a sample is wanted now. */
void top_cluster_pace(struct top_screen *screen);
void top_cluster_step(struct top_screen *screen);

/* Since then (CLOCK_REALTIME); 0 of what is to come. */
double top_age_seconds(uint64_t time_ns);
/* "300 hosts, 2 to 12 s old, every 10 s". */
void top_cluster_describe(const struct top_screen *screen, char *text, size_t size);
/* False: there is none. */
bool top_cluster_trouble(const struct top_screen *screen, char *text, size_t size);
/* Why no row has a figure. */
void top_cluster_reason(const struct top_screen *screen, enum top_figure figure, char *text, size_t size);

#endif
