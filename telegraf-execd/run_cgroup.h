/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A cgroup for one command: of the same path in every hierarchy that the host has, v1 or v2.
 */
#ifndef DEEPMON_EXECD_RUN_CGROUP_H
#define DEEPMON_EXECD_RUN_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUN_HIERARCHIES_MAX 32
#define RUN_NAME_MAX	    64

/* A unit's name, so that all that the command nests in its cgroup is its own; of this process, and which run.
 */
#define RUN_NAME_FORMAT "deepmon-run-%ld-%ld.scope"

struct run_cgroup {
	char name[RUN_NAME_MAX]; /* as deepmon calls it */
	size_t count;
	struct run_directory {
		char path[PATH_MAX];
		bool unified;
	} directories[RUN_HIERARCHIES_MAX];
};

/* Removes the empty ones of processes that are no more: those that were killed before they could. */
void run_cgroup_sweep(void);
/* Makes it. -errno: it could be made in none; `why` gets the path. */
int run_cgroup_make(struct run_cgroup *cgroup, const char *name, char *why, size_t why_size);
/* Moves the calling process into it. -errno of the first hierarchy that refuses. */
int run_cgroup_join(const struct run_cgroup *cgroup);
/* The most memory that it used. -ENOENT: no file of its tells. */
int run_cgroup_memory_peak(const struct run_cgroup *cgroup, uint64_t *bytes);
/* Kills what still runs in it, and removes it with all that was made in it. -EBUSY: something stays. */
int run_cgroup_remove(struct run_cgroup *cgroup);

#endif
