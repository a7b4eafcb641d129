/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Counts what memory the processes of cgroups map. Reads cgroup.procs, and through smaps.h the processes' own
 * files.
 */
#include "census.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

/* Of one cgroup.procs: 140,000 processes and more. */
#define FILE_MAX (1 << 20)

struct pids {
	const struct hierarchy *hierarchy;
	uint32_t *all;
	size_t count, capacity;
	int r;
};

static int add_pid(struct pids *pids, uint32_t pid)
{
	if (pids->count == pids->capacity) {
		size_t capacity = pids->capacity ? pids->capacity * 2 : 64;
		uint32_t *all = reallocarray(pids->all, capacity, sizeof(*all));

		if (!all)
			return -ENOMEM;
		pids->all = all;
		pids->capacity = capacity;
	}
	pids->all[pids->count++] = pid;
	return 0;
}

/* One on a line; that of a process which our pid namespace does not have is 0. */
static int add_pids(struct pids *pids, char *text)
{
	int r = 0;

	for (char *line = text, *end; !r && *line; line = end) {
		uint64_t pid;

		end = strchrnul(line, '\n');
		if (*end)
			*end++ = '\0';
		if (parse_u64(line, &pid) || pid > INT32_MAX)
			r = -EINVAL;
		else
			r = pid ? add_pid(pids, (uint32_t)pid) : -EXDEV;
	}
	return r;
}

/* Processes of a threaded cgroup are told where their domain begins, above it. */
static void list(void *user, uint64_t cgroup_id, const char *path)
{
	struct pids *pids = user;
	char file[CGROUP_PATH_MAX + 16];
	cleanup_free char *text = NULL;
	long length;

	(void)cgroup_id;
	if (pids->r)
		return;
	snprintf(file, sizeof(file), ".%s/cgroup.procs", path);
	length = file_read_new(pids->hierarchy->root_fd, file, FILE_MAX, &text);
	if (length >= 0)
		pids->r = add_pids(pids, text);
	else if (length != -ENOENT && length != -ENODEV && length != -EOPNOTSUPP)
		pids->r = (int)length;
}

static int compare_pids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* On v1 a process is told in each cgroup that has one of its threads. */
static void drop_doubles(struct pids *pids)
{
	size_t kept = 0;

	if (!pids->count)
		return;
	qsort(pids->all, pids->count, sizeof(*pids->all), compare_pids);
	for (size_t i = 1; i < pids->count; i++)
		if (pids->all[i] != pids->all[kept])
			pids->all[++kept] = pids->all[i];
	pids->count = kept + 1;
}

static int read_processes(const struct census *census, const struct pids *pids, struct resident *resident)
{
	int r = 0;

	for (size_t i = 0; i < pids->count && !r; i++) {
		struct smaps smaps;

		r = smaps_read(census->proc_fd, pids->all[i], &smaps);
		if (!r) {
			resident->processes++;
			r = smaps_add(&resident->sum, &smaps);
		} else if (r == -ESRCH) {
			r = 0;
		}
		if (census->pause && !census->pause(census->user))
			r = -ECANCELED;
	}
	return r;
}

int census_take(const struct census *census, const char *const *paths, size_t path_count,
		struct resident *resident)
{
	struct pids pids = {.hierarchy = census->hierarchy};
	int r = 0;

	resident->sum = (struct smaps){0};
	resident->processes = 0;
	for (size_t i = 0; i < path_count && !r; i++) {
		r = hierarchy_walk_from(census->hierarchy, paths[i], list, &pids);
		if (r == -ENOENT || r == -ENODEV)
			r = 0;
		if (pids.r)
			r = pids.r;
	}
	drop_doubles(&pids);
	if (!r)
		r = read_processes(census, &pids, resident);
	if (r)
		resident->processes = 0;
	free(pids.all);
	return r;
}
