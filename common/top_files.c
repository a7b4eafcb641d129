/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The files with most bytes. Memory, but for the kernel's sets, which files.h reads.
 */
#include "top_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ranked {
	struct group *group;
	struct group_file *file;
};

int top_files_init(struct top_files *top, struct files *files, size_t path_most,
		   const size_t told[FILE_SCOPES])
{
	size_t sets = files_set_count(files);

	*top = (struct top_files){.files = files, .path_most = path_most, .most = sets * FILE_PLACES};
	memcpy(top->told, told, sizeof(top->told));
	top->taken = calloc(top->most, sizeof(*top->taken));
	top->ranking = calloc(2 * top->most, sizeof(*top->ranking));
	return top->taken && top->ranking ? 0 : -ENOMEM;
}

void top_files_clear(struct top_files *top)
{
	free(top->taken);
	free(top->ranking);
	*top = (struct top_files){0};
}

/* ---- What the kernel counted -------------------------------------------------------------------- */

/* The path of a place, made anew if it has changed. */
static void take_path(const struct top_files *top, struct group_file *file, size_t place, uint64_t serial)
{
	char path[FILES_PATH_MAX + sizeof("...") + sizeof(" (deleted)")];

	if (files_path(top->files, place, serial, path, top->path_most))
		return;
	if (file->path && !strcmp(file->path, path))
		return;
	free(file->path);
	file->path = strdup(path);
}

static void subtract(struct file_counts *from, const struct file_counts *counts)
{
	from->read_bytes -= counts->read_bytes;
	from->written_bytes -= counts->written_bytes;
	from->reads -= counts->reads;
	from->writes -= counts->writes;
}

/* Whether a report may tell of its files. */
static bool is_wanted(const struct top_files *top, const struct group *group)
{
	return top->told[FILE_SCOPE_HOST] || group->kind == IDENTITY_CONTAINER;
}

static void charge_entry(struct top_files *top, const struct cgroups *cgroups, size_t place,
			 const struct file_entry *entry)
{
	struct file_entry *taken = &top->taken[place];
	struct file_counts fresh = entry->counts;
	bool is_new = taken->serial != entry->serial, added;
	struct cgroup *cgroup;
	struct group_file *file;

	if (!is_new)
		subtract(&fresh, &taken->counts);
	*taken = *entry;
	if (!fresh.reads && !fresh.writes)
		return;
	cgroup = cgroups_find(cgroups, entry->key.cgroup_id);
	if (!cgroup || !is_wanted(top, cgroup->group) || top->count == 2 * top->most)
		return;
	file = group_files_find_or_add(&cgroup->group->files, &entry->key, &added);
	if (!file)
		return;
	top->count += added;
	file_counts_add(&file->fresh, &fresh);
	file->last_used = top->charges;
	if (is_new)
		file->missed += entry->missed;
	take_path(top, file, place, entry->serial);
}

static size_t rank_all(struct top_files *top, const struct groups *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < groups->count; i++)
		for (struct group_file *f = groups->all[i]->files.first; f && count < 2 * top->most;
		     f = f->next)
			top->ranking[count++] = (struct ranked){groups->all[i], f};
	return count;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

/* Those with most bytes first. */
static int compare_bytes(const void *a, const void *b)
{
	return compare_numbers(group_file_bytes(((const struct ranked *)a)->file),
			       group_file_bytes(((const struct ranked *)b)->file));
}

/* Those that matter most: by the last report's, too, as with this one all begin with nothing. */
static int compare_worth(const void *a, const void *b)
{
	const struct group_file *left = ((const struct ranked *)a)->file,
				*right = ((const struct ranked *)b)->file;
	int order = compare_numbers(left->bytes_before + group_file_bytes(left),
				    right->bytes_before + group_file_bytes(right));

	return order ? order : compare_numbers(left->last_used, right->last_used);
}

/* Those with least make room. What they had is in the rest, then. */
static void forget_least(struct top_files *top, const struct groups *groups)
{
	/* Groups that ended took theirs with them: so they are counted anew. */
	top->count = rank_all(top, groups);
	if (top->count <= top->most)
		return;
	qsort(top->ranking, top->count, sizeof(*top->ranking), compare_worth);
	while (top->count > top->most)
		top->ranking[--top->count].file->unwanted = true;
	for (size_t i = 0; i < groups->count; i++)
		group_files_sweep(&groups->all[i]->files);
}

void top_files_charge(struct top_files *top, const struct cgroups *cgroups, const struct groups *groups)
{
	const struct file_entry *entry;
	size_t cursor = 0, place;

	top->charges++;
	while ((entry = files_next(top->files, &cursor, &place)))
		charge_entry(top, cgroups, place, entry);
	forget_least(top, groups);
}

/* ---- What a report tells ------------------------------------------------------------------------ */

static void choose(struct top_files *top, size_t candidates, enum file_scope scope)
{
	qsort(top->ranking, candidates, sizeof(*top->ranking), compare_bytes);
	for (size_t i = 0; i < candidates && i < top->told[scope]; i++) {
		struct group_file *file = top->ranking[i].file;

		if (!file->fresh.reads && !file->fresh.writes)
			return;
		file->telling[scope] = true;
		file_counts_add(&file->told[scope], &file->fresh);
	}
}

void top_files_choose_of_group(struct top_files *top, struct group *group)
{
	size_t count = 0;

	for (struct group_file *file = group->files.first; file && count < 2 * top->most; file = file->next)
		top->ranking[count++] = (struct ranked){group, file};
	choose(top, count, FILE_SCOPE_CONTAINER);
}

void top_files_choose_of_host(struct top_files *top, const struct groups *groups, bool all)
{
	size_t count = rank_all(top, groups), told = 0;

	for (size_t i = 0; i < count; i++)
		if (all || top->ranking[i].group->telling)
			top->ranking[told++] = top->ranking[i];
	choose(top, told, FILE_SCOPE_HOST);
}

/* Below the least of those told nobody asks for a path; where not so many are told, for every one. */
static uint64_t worth(const struct top_files *top, uint64_t least, size_t told)
{
	return top->told[FILE_SCOPE_CONTAINER] || told < top->told[FILE_SCOPE_HOST] ? 0 : least / 4;
}

/* Returns the bytes of the least that the host's report told of; `told` counts those. */
static uint64_t end_report(struct group_files *files, size_t *told)
{
	uint64_t least = UINT64_MAX;

	for (struct group_file *file = files->first; file; file = file->next) {
		uint64_t bytes = group_file_bytes(file);

		if (file->telling[FILE_SCOPE_HOST]) {
			(*told)++;
			least = bytes < least ? bytes : least;
		}
		file->bytes_before = bytes;
		file->fresh = (struct file_counts){0};
		file->missed = 0;
		memset(file->telling, false, sizeof(file->telling));
	}
	return least;
}

void top_files_told(struct top_files *top, const struct groups *groups)
{
	uint64_t least = UINT64_MAX;
	size_t told = 0;

	for (size_t i = 0; i < groups->count; i++) {
		uint64_t bytes = end_report(&groups->all[i]->files, &told);

		least = bytes < least ? bytes : least;
	}
	files_begin_round(top->files, worth(top, least, told));
}
