/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a command used, in one run or several: the figures, their mean and spread, as text and JSON.
 */
#ifndef DEEPMON_EXECD_RUN_REPORT_H
#define DEEPMON_EXECD_RUN_REPORT_H

#include <stdio.h>

#include "../common/deepmon.h"
#include "run_child.h"

#define RUN_FIGURES_MAX 96
#define RUN_KEY_MAX	96
#define RUN_WHY_MAX	1024

/* What can't be measured is missing as a whole; each is told why. */
enum run_group {
	RUN_TIME,
	RUN_COUNTERS,
	RUN_ENERGY,
	RUN_MEMORY,
	RUN_NETWORK,
	RUN_FILES,
	RUN_BLOCK,
	RUN_GROUPS
};

struct run_figure {
	enum run_group group;
	char key[RUN_KEY_MAX]; /* "package_energy_joules" */
	const char *unit;      /* as the catalogue has it */
	double last;	       /* of the last run that had it */
	unsigned last_run;
	/* Of all runs so far that had it, after Welford. */
	unsigned runs;
	double mean, squares;
};

#define RUN_DOMAINS_MAX 16

/* The host's energy of one domain, as of before the run. */
struct run_before {
	char domain[RUN_KEY_MAX];
	double joules;
};

struct run_report {
	struct run_figure figures[RUN_FIGURES_MAX];
	size_t count;
	unsigned runs;
	struct run_before before[RUN_DOMAINS_MAX];
	size_t before_count;
	char why[RUN_GROUPS][RUN_WHY_MAX]; /* a group has no figures; "": not told */
};

/* One value of one run. What finds no room is left out. */
void run_report_add(struct run_report *report, enum run_group group, const char *key, const char *unit,
		    double value);
/* Before a run: what the host has used. */
void run_report_begin(struct run_report *report, const struct deepmon_sample *sample);
/* After it: what the system group of that name used, which is the command's alone, and the host meanwhile. */
void run_report_sample(struct run_report *report, const struct deepmon_sample *sample, const char *name);
/* At its end: what the kernel says itself, and what follows from all values. */
void run_report_end(struct run_report *report, const struct run_outcome *outcome);

/* A line of the log, which may tell why a group has no figures. */
void run_report_heard(struct run_report *report, const char *line);

double run_figure_sd(const struct run_figure *figure);
/* Of the mean, in per cent of it: the standard error; 0: of one run there is none. */
double run_figure_percent(const struct run_figure *figure);

void run_report_text(const struct run_report *report, FILE *out, char *const *command, int status);
/* -ENOMEM. */
int run_report_json(const struct run_report *report, FILE *out, char *const *command, int status,
		    const char *experiment);

#endif
