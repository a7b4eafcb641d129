/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The cgroup hierarchy that tells containers apart: the unified one (v2) or that of a v1 controller.
 */
#ifndef DEEPMON_HIERARCHY_H
#define DEEPMON_HIERARCHY_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"

#define CGROUP_PATH_MAX 4096

#define HIERARCHY_SUBSYS_UNKNOWN (-2) /* there is no BTF, and so no eBPF */

struct hierarchy {
	const char *controller; /* "unified", or the v1 controller's name */
	int subsys;		/* its enum cgroup_subsys_id in the running kernel; -1: unified */
	int id;			/* hierarchy id, as in the second column of /proc/cgroups; 0: unified */
	int root_fd;		/* its mounted root */
	char root[PATH_MAX];	/* where it is mounted; "" for / */
};

/*
 * Finds the hierarchy that the options CgroupRoot and CgroupHierarchy ask for. What is wrong is said to
 * the logger. -ENOENT: the one asked for is not mounted, or there is none at all.
 */
int hierarchy_open(struct hierarchy *hierarchy, const struct deepmon_options *options,
		   const struct deepmon_logger *logger);
void hierarchy_close(struct hierarchy *hierarchy);

/* Gets each cgroup: its id (the inode of its directory) and its path from the root, beginning with '/'. */
typedef void hierarchy_visitor(void *user, uint64_t cgroup_id, const char *path);

/*
 * Visits every cgroup, parents before what is in them. Paths of CGROUP_PATH_MAX and more are left out, as
 * are cgroups that go meanwhile. -errno if it had to stop early.
 */
int hierarchy_walk(const struct hierarchy *hierarchy, hierarchy_visitor *visit, void *user);
/* The same of the cgroup at that path, and of all below it. */
int hierarchy_walk_from(const struct hierarchy *hierarchy, const char *path, hierarchy_visitor *visit,
			void *user);

#endif
