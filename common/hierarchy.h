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

/*
 * The path, from the root and beginning with '/', of the cgroup with that id (the inode of its directory).
 * Takes CAP_DAC_READ_SEARCH. -ESTALE: it is gone. -EPERM: not allowed to ask. -ENAMETOOLONG.
 */
int hierarchy_path(const struct hierarchy *hierarchy, uint64_t cgroup_id, char *path, size_t size);

#endif
