/* SPDX-License-Identifier: GPL-3.0-only
 *
 * CPU time by cgroups' own files, where eBPF may not account it: the kernel's figure of each cgroup with all
 * that is nested in it (cpuacct.usage of v1, cpu.stat of v2), and of it what is the cgroup's own.
 *
 * What files tell less than eBPF: kernel threads are part of the root's own time, what a cgroup did between
 * the last reading and its end goes to the one it was nested in, and nothing is known of which CPU it was.
 */
#ifndef DEEPMON_CGROUP_CPU_H
#define DEEPMON_CGROUP_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "cgroups.h"
#include "deepmon.h"
#include "hierarchy.h"

struct cgroup_cpu;

/*
 * -ENOENT: the hierarchy has no such files, as that of a v1 controller other than cpu and cpuacct; the logger
 * is told. The hierarchy must outlive it.
 */
int cgroup_cpu_open(struct cgroup_cpu **cgroup_cpu, const struct hierarchy *hierarchy,
		    const struct deepmon_logger *logger);
/* Takes NULL. */
void cgroup_cpu_close(struct cgroup_cpu *cgroup_cpu);

struct cgroup_cpu_use {
	struct cgroup *cgroup;
	uint64_t ns;
	size_t above; /* the one that it is nested in; SIZE_MAX: none */
};

/*
 * Reads all topmost cgroups, whose paths must be kept. What each used itself since the last call goes to
 * *uses, and what no cgroup used of the time of `cpus` CPUs is returned: together they are all that time. The
 * first call gives nothing: it is where counting begins. *uses is good until the next call.
 */
uint64_t cgroup_cpu_read(struct cgroup_cpu *cgroup_cpu, const struct cgroups *cgroups, uint64_t now_ns,
			 uint32_t cpus, const struct cgroup_cpu_use **uses, size_t *count);

#endif
