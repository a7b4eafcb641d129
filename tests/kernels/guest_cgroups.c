/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The layouts of cgroups that guest.c is booted with, the cgroups with work in them, and the kernel's own
 * account.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

char brief_path[32], brief_series[64];
const struct group groups[GROUPS] = {
    [HOUSED] = {CONTAINER, OF_CONTAINER},
    [STEADY] = {"steady.service", "deepmon_system,cgroup=steady.service"},
    [MOVED_FROM] = {"from.service", "deepmon_system,cgroup=from.service"},
    [MOVED_TO] = {"to.service", "deepmon_system,cgroup=to.service"},
    [BRIEF] = {brief_path, brief_series},
};

static const struct layout layouts[] = {
    {"v2", NULL, {{CGROUPS, "cgroup2", ""}}},
    {"v1",
     "perf_event",
     {{CGROUPS "/cpu,cpuacct", "cgroup", "cpu,cpuacct"},
      {CGROUPS "/perf_event", "cgroup", "perf_event"},
      {CGROUPS "/memory", "cgroup", "memory"},
      {CGROUPS "/blkio", "cgroup", "blkio"},
      {CGROUPS "/pids", "cgroup", "pids"}}},
    {"hybrid",
     "unified",
     {{CGROUPS "/cpu,cpuacct", "cgroup", "cpu,cpuacct"},
      {CGROUPS "/perf_event", "cgroup", "perf_event"},
      {CGROUPS "/memory", "cgroup", "memory"},
      {CGROUPS "/blkio", "cgroup", "blkio"},
      {CGROUPS "/unified", "cgroup2", ""}}},
};
const struct layout *layout;

bool is_v2(void)
{
	return strcmp(layout->name, "v2") == 0;
}

/* Of v2's controllers a cgroup has those that the one above gives it. */
void give_controllers(void)
{
	write_text(CGROUPS "/cgroup.subtree_control", "+memory +io");
	write_text(CGROUPS "/docker/cgroup.subtree_control", "+memory +io");
}

void mount_cgroups(void)
{
	/* As systemd does. */
	if (!is_v2())
		mount_on("tmpfs", CGROUPS, "mode=755");
	for (const struct hierarchy *h = layout->hierarchies; h->path; h++)
		mount_on(h->type, h->path, h->controllers);
	if (!is_v2() &&
	    (symlink("cpu,cpuacct", CGROUPS "/cpu") || symlink("cpu,cpuacct", CGROUPS "/cpuacct")))
		give_up("symlink");
}

void make_group(int group)
{
	char path[256];

	for (const struct hierarchy *h = layout->hierarchies; h->path; h++) {
		snprintf(path, sizeof(path), "%s/%s", h->path, groups[group].path);
		make_directory(path);
	}
}

void remove_group(int group)
{
	char path[256];

	for (const struct hierarchy *h = layout->hierarchies; h->path; h++) {
		snprintf(path, sizeof(path), "%s/%s", h->path, groups[group].path);
		if (rmdir(path))
			give_up("rmdir %s", path);
	}
}

void join(int group, pid_t pid)
{
	char path[256], text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (const struct hierarchy *h = layout->hierarchies; h->path; h++) {
		snprintf(path, sizeof(path), "%s/%s/cgroup.procs", h->path, groups[group].path);
		write_text(path, text);
	}
}

/* Where the container's use of devices is accounted. */
const char *block_directory(void)
{
	return is_v2() ? CGROUPS "/" CONTAINER : CGROUPS "/blkio/" CONTAINER;
}

/* Where the container's memory is accounted. */
const char *memory_directory(void)
{
	return is_v2() ? CGROUPS "/" CONTAINER : CGROUPS "/memory/" CONTAINER;
}

/* The kernel's own account. */
double usage_ns(int group)
{
	char path[256], text[4096];

	snprintf(path, sizeof(path), "%s/%s/%s", layout->hierarchies[0].path, groups[group].path,
		 is_v2() ? "cpu.stat" : "cpuacct.usage");
	read_text(path, text, sizeof(text));
	if (!is_v2())
		return strtod(text, NULL);

	const char *value = strstr(text, "usage_usec ");

	return value ? strtod(value + strlen("usage_usec "), NULL) * 1e3 : 0;
}

void choose_layout(const char *name)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (name && strcmp(name, layouts[i].name) == 0)
			layout = &layouts[i];
	if (!layout)
		give_up("the kernel's command line has no layout= that is known");
}
