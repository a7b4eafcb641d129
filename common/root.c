/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the host's trees are. Pure.
 */
#include "root.h"

#include <stdio.h>
#include <string.h>

static size_t length_without_slash(const char *path)
{
	size_t length = strlen(path);

	while (length && path[length - 1] == '/')
		length--;
	return length;
}

/* `own` where it is set, else `below` in the tree `above`. */
static void choose(const char *own, const char *above, const char *below, char *path)
{
	if (*own)
		snprintf(path, ROOT_PATH_MAX, "%.*s", (int)length_without_slash(own), own);
	else
		snprintf(path, ROOT_PATH_MAX, "%.*s%.*s", (int)length_without_slash(above), above,
			 (int)length_without_slash(below), below);
}

void root_host(const struct deepmon_options *options, const char *below, char *path)
{
	choose("", options->host_root, below, path);
}

void root_sys(const struct deepmon_options *options, char *path)
{
	choose(options->sys_root, options->host_root, "/sys", path);
}

void root_proc(const struct deepmon_options *options, char *path)
{
	choose(options->proc_root, options->host_root, "/proc", path);
}

void root_cgroup(const struct deepmon_options *options, char *path)
{
	char sys[ROOT_PATH_MAX];

	root_sys(options, sys);
	choose(options->cgroup_root, sys, "/fs/cgroup", path);
}
