/* SPDX-License-Identifier: GPL-3.0-only
 *
 * CPU time by cgroups' own files. Reads cpuacct.usage or cpu.stat below the hierarchy's root.
 */
#include "cgroup_cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controllers.h"
#include "file.h"
#include "findings.h"
#include "log.h"

#define FILE_V1 "cpuacct.usage"
#define FILE_V2 "cpu.stat"
#define NOWHERE SIZE_MAX

struct cgroup_cpu {
	const struct hierarchy *hierarchy;
	bool unified;
	bool begun;
	uint64_t read_ns;
	int64_t idle_ns;	     /* not given yet; negative: given too much */
	struct cgroup_cpu_use *uses; /* while they are read, with all that is nested in them */
	size_t count, capacity;
};

static int read_usage(const struct cgroup_cpu *cgroup_cpu, const char *path, uint64_t *usage_ns)
{
	char text[1024];
	long length = controllers_read(cgroup_cpu->hierarchy->root_fd, path,
				       cgroup_cpu->unified ? FILE_V2 : FILE_V1, text, sizeof(text));
	const char *value;

	if (length < 0)
		return (int)length;
	if (!cgroup_cpu->unified)
		return parse_u64(text, usage_ns);
	/* Its first line since there is one. */
	value = strstr(text, "usage_usec ");
	if (!value)
		return -ENOENT;
	*usage_ns = strtoull(value + strlen("usage_usec "), NULL, 10) * 1000;
	return 0;
}

int cgroup_cpu_open(struct cgroup_cpu **opened, const struct hierarchy *hierarchy,
		    const struct deepmon_logger *logger)
{
	struct cgroup_cpu *cgroup_cpu = calloc(1, sizeof(*cgroup_cpu));
	uint64_t usage_ns;
	int r;

	if (!cgroup_cpu)
		return -ENOMEM;
	cgroup_cpu->hierarchy = hierarchy;
	cgroup_cpu->unified = hierarchy->id == 0;
	r = read_usage(cgroup_cpu, "/", &usage_ns);
	if (r) {
		log_warning(
		    logger,
		    "no CPU time either from cgroups' files: those of the hierarchy %s at %s do not tell "
		    "it (%s). CgroupHierarchy cpuacct or unified may",
		    hierarchy->controller, hierarchy->root, strerror(-r));
		finding_add(logger, DEEPMON_FOUND_MISSING, "cgroups", "CPU time",
			    "set CgroupHierarchy to cpuacct or unified",
			    "the files of the hierarchy %s do not tell it: %s", hierarchy->controller,
			    strerror(-r));
		cgroup_cpu_close(cgroup_cpu);
		return r;
	}
	finding_add(
	    logger, DEEPMON_FOUND_LESS, "cgroups", "CPU time", "",
	    "read from each cgroup's %s at each sample, for want of eBPF: no kernel threads apart, no "
	    "counters, no processes, and what is short-lived may be missed",
	    cgroup_cpu->unified ? FILE_V2 : FILE_V1);
	*opened = cgroup_cpu;
	return 0;
}

void cgroup_cpu_close(struct cgroup_cpu *cgroup_cpu)
{
	if (!cgroup_cpu)
		return;
	free(cgroup_cpu->uses);
	free(cgroup_cpu);
}

static bool make_room(struct cgroup_cpu *cgroup_cpu)
{
	size_t capacity = cgroup_cpu->capacity ? 2 * cgroup_cpu->capacity : 64;
	struct cgroup_cpu_use *uses;

	if (cgroup_cpu->count < cgroup_cpu->capacity)
		return true;
	uses = realloc(cgroup_cpu->uses, capacity * sizeof(*uses));
	if (!uses)
		return false;
	cgroup_cpu->uses = uses;
	cgroup_cpu->capacity = capacity;
	return true;
}

/* The innermost of those read before that this one is below. */
static size_t find_above(const struct cgroup_cpu *cgroup_cpu, const struct cgroup *cgroup)
{
	size_t above = cgroup_cpu->count ? cgroup_cpu->count - 1 : NOWHERE;

	while (above != NOWHERE && !cgroup_is_below(cgroup, cgroup_cpu->uses[above].cgroup))
		above = cgroup_cpu->uses[above].above;
	return above;
}

/*
 * What one that is new has used is all of this interval, and so part of what the one above it has: more than
 * that it used before, when there was no room to know it.
 */
static uint64_t growth(const struct cgroup_cpu *cgroup_cpu, const struct cgroup *cgroup, size_t above,
		       uint64_t usage_ns)
{
	uint64_t most = above == NOWHERE ? 0 : cgroup_cpu->uses[above].ns;

	if (cgroup->usage_known)
		return usage_ns > cgroup->usage_ns ? usage_ns - cgroup->usage_ns : 0;
	if (!cgroup_cpu->begun)
		return 0;
	return usage_ns < most ? usage_ns : most;
}

static void visit(void *user, struct cgroup *cgroup, bool holds_others)
{
	struct cgroup_cpu *cgroup_cpu = user;
	size_t above = find_above(cgroup_cpu, cgroup);
	uint64_t usage_ns, grown_ns;

	(void)holds_others;
	if (!make_room(cgroup_cpu) || read_usage(cgroup_cpu, cgroup->path, &usage_ns))
		return;
	grown_ns = growth(cgroup_cpu, cgroup, above, usage_ns);
	cgroup->usage_ns = usage_ns;
	cgroup->usage_known = true;
	cgroup_cpu->uses[cgroup_cpu->count++] = (struct cgroup_cpu_use){cgroup, grown_ns, above};
}

/* What is owed, for a file was read a moment later than that of the one above it, is kept for the next time.
 */
static uint64_t give(int64_t *pending_ns)
{
	int64_t given = *pending_ns > 0 ? *pending_ns : 0;

	*pending_ns -= given;
	return (uint64_t)given;
}

uint64_t cgroup_cpu_read(struct cgroup_cpu *cgroup_cpu, const struct cgroups *cgroups, uint64_t now_ns,
			 uint32_t cpus, const struct cgroup_cpu_use **uses, size_t *count)
{
	uint64_t elapsed_ns = cgroup_cpu->begun ? now_ns - cgroup_cpu->read_ns : 0;

	cgroup_cpu->count = 0;
	cgroups_each_topmost(cgroups, visit, cgroup_cpu);
	cgroup_cpu->idle_ns += (int64_t)(elapsed_ns * cpus);
	for (size_t i = 0; i < cgroup_cpu->count; i++) {
		const struct cgroup_cpu_use *use = &cgroup_cpu->uses[i];

		use->cgroup->own_ns += (int64_t)use->ns;
		if (use->above != NOWHERE)
			cgroup_cpu->uses[use->above].cgroup->own_ns -= (int64_t)use->ns;
	}
	for (size_t i = 0; i < cgroup_cpu->count; i++) {
		struct cgroup_cpu_use *use = &cgroup_cpu->uses[i];

		use->ns = give(&use->cgroup->own_ns);
		/* Not less the root's: of v2 that is counted by ticks, all others by the scheduler's clock.
		 */
		cgroup_cpu->idle_ns -= (int64_t)use->ns;
	}
	cgroup_cpu->read_ns = now_ns;
	cgroup_cpu->begun = true;
	*uses = cgroup_cpu->uses;
	*count = cgroup_cpu->count;
	return give(&cgroup_cpu->idle_ns);
}
