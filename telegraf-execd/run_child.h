/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A command as a child: in its cgroup, with the signals that we are sent.
 */
#ifndef DEEPMON_EXECD_RUN_CHILD_H
#define DEEPMON_EXECD_RUN_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "run_cgroup.h"

#define RUN_NOT_STARTED 125 /* we could not start it */
#define RUN_NOT_RUN	126 /* it can't be executed; 127: it is not there */

struct run_outcome {
	int status; /* as the shell has it: 128 and the signal's number for one that a signal ended */
	uint64_t elapsed_ns;
	struct rusage usage; /* of it and of all its descendants that were waited for */
	bool interrupted;    /* we were told to end */
};

/* Blocks the signals that run_child passes on, in all threads that come later; *before: as it was. */
void run_block_signals(sigset_t *before);

/* Runs it to its end. -errno: it could not be started at all. `before` is the child's set of blocked signals.
 */
int run_child(char *const *command, const struct run_cgroup *cgroup, const sigset_t *before,
	      struct run_outcome *outcome);

#endif
