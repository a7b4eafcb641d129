/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the host's trees are, by the options HostRoot, SysRoot, ProcRoot and CgroupRoot. Pure.
 */
#ifndef DEEPMON_ROOT_H
#define DEEPMON_ROOT_H

#include "deepmon.h"

/* Room for any of these: two texts of an option one behind the other. */
#define ROOT_PATH_MAX (2 * DEEPMON_TEXT_MAX)

/* Each writes a path without a slash at its end to a buffer of ROOT_PATH_MAX bytes. */
void root_sys(const struct deepmon_options *options, char *path);
void root_proc(const struct deepmon_options *options, char *path);
void root_cgroup(const struct deepmon_options *options, char *path);
/* That of `below`, an absolute path of the host such as "/var/lib/docker". */
void root_host(const struct deepmon_options *options, const char *below, char *path);

#endif
