/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Counts what memory the processes of cgroups map: who they are by cgroup.procs, and each one's by its own
 * file.
 */
#ifndef DEEPMON_CENSUS_H
#define DEEPMON_CENSUS_H

#include <stdbool.h>
#include <stddef.h>

#include "hierarchy.h"
#include "resident.h"

struct census {
	const struct hierarchy *hierarchy; /* whose cgroup.procs tell what is in a cgroup */
	int proc_fd;
	/* Called after each process, with nothing open; false: it is enough. NULL: none. */
	bool (*pause)(void *user);
	void *user;
};

/*
 * Reads all processes of the cgroups at those paths, each once; read_ns is left alone. Who ends meanwhile is
 * not in it. Past the first that can't be read the sum would be none. -EACCES, -ENOSYS: as smaps_read has it;
 * -EXDEV: one is in another pid namespace; -EFBIG: a cgroup has more than a million bytes of them;
 * -ECANCELED: it was enough; other -errno of what failed. *resident has no processes then.
 */
int census_take(const struct census *census, const char *const *paths, size_t path_count,
		struct resident *resident);

#endif
