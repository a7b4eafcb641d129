/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where cgroups' files of one controller are: in the unified hierarchy (v2) or in one of its own (v1).
 * A cgroup has the same path in each.
 */
#ifndef DEEPMON_CONTROLLERS_H
#define DEEPMON_CONTROLLERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Opens the root of the hierarchy below cgroup_root that has a controller, by the name that v1 and v2 have
 * for it joined by '/' ("blkio/io") or one for both. On v1 its root must have `v1_file`. -ENOENT: none has
 * it.
 */
int controllers_open(const char *cgroup_root, const char *controller, const char *v1_file, bool *unified);

/* Opens the root of the unified hierarchy, whichever controllers it has. -ENOENT: there is none. */
int controllers_open_unified(const char *cgroup_root);

/* Reads a file of the cgroup at that path below a hierarchy's root as file_read does. */
long controllers_read(int root_fd, const char *path, const char *file, char *buffer, size_t size);

#endif
