/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads what memory the processes of groups map, by turns. A thread of its own, which works
 * within a budget of CPU time and rests between: reports take what it has found so far, and wait for nothing.
 */
#ifndef DEEPMON_SURVEYOR_H
#define DEEPMON_SURVEYOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "census.h"
#include "cgroups.h"
#include "pace.h"
#include "told.h"
#include "worker.h"

struct survey;

struct surveyor {
	const struct deepmon_logger *logger;
	struct cgroups *cgroups;
	struct told *told;
	pthread_mutex_t *lock; /* of cgroups, their groups, and told */
	struct census census;
	uint64_t interval_ns;
	struct pace pace;
	unsigned said;	 /* what could not be read, and is in the log already */
	unsigned failed; /* and in this round */

	pthread_mutex_t own_lock; /* the worker's */
	struct worker worker;
	uint64_t cpu_ns; /* CPU time of the thread so far; read by others, too */
};

/* Whether the options ask for it. */
bool surveyor_is_wanted(const struct deepmon_options *options);

/*
 * Starts it. What is passed must outlive it, and the cgroups must keep paths. What stands in the way, here
 * and later, is said to the logger, once. -EXDEV: the proc file system has other numbers for processes than
 * we.
 */
int surveyor_start(struct surveyor *surveyor, const struct deepmon_options *options, struct cgroups *cgroups,
		   struct told *told, pthread_mutex_t *lock, const struct deepmon_logger *logger);
/* Without the lock. May wait for one process's file to be read. */
void surveyor_stop(struct surveyor *surveyor);

/* CPU time that it has taken; false: it does not run. */
bool surveyor_cpu_time(const struct surveyor *surveyor, uint64_t *cpu_ns);

#endif
