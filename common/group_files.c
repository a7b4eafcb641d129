/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The files of a group. Memory only.
 */
#include "group_files.h"

#include <search.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct group_file *left = a, *right = b;

	if (left->inode != right->inode)
		return left->inode < right->inode ? -1 : 1;
	if (left->device != right->device)
		return left->device < right->device ? -1 : 1;
	return left->generation < right->generation ? -1 : left->generation > right->generation;
}

static void insert(struct group_files *files, struct group_file *file)
{
	file->next = files->first;
	files->first = file;
}

struct group_file *group_files_find_or_add(struct group_files *files, const struct file_key *key, bool *added)
{
	const struct group_file wanted = {
	    .inode = key->inode, .device = key->device, .generation = key->generation};
	struct group_file **found = tfind(&wanted, &files->by_key, compare);
	struct group_file *file;

	*added = !found;
	if (found)
		return *found;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	*file = wanted;
	if (!tsearch(file, &files->by_key, compare)) {
		free(file);
		return NULL;
	}
	insert(files, file);
	return file;
}

static void file_free(struct group_file *file)
{
	free(file->path);
	free(file);
}

void group_files_sweep(struct group_files *files)
{
	for (struct group_file **link = &files->first; *link;) {
		struct group_file *file = *link;

		if (!file->unwanted) {
			link = &file->next;
			continue;
		}
		*link = file->next;
		tdelete(file, &files->by_key, compare);
		file_free(file);
	}
}

void group_files_clear(struct group_files *files)
{
	for (struct group_file *file = files->first; file; file = file->next)
		file->unwanted = true;
	group_files_sweep(files);
}

void group_files_absorb(struct group_files *to, struct group_files *from)
{
	while (from->first) {
		struct group_file *file = from->first, **found = tfind(file, &to->by_key, compare);

		from->first = file->next;
		tdelete(file, &from->by_key, compare);
		if (found) {
			file_counts_add(&(*found)->fresh, &file->fresh);
			for (int scope = 0; scope < FILE_SCOPES; scope++)
				file_counts_add(&(*found)->told[scope], &file->told[scope]);
			(*found)->missed += file->missed;
		}
		if (found || !tsearch(file, &to->by_key, compare))
			file_free(file);
		else
			insert(to, file);
	}
}

void file_counts_add(struct file_counts *to, const struct file_counts *from)
{
	to->read_bytes += from->read_bytes;
	to->written_bytes += from->written_bytes;
	to->reads += from->reads;
	to->writes += from->writes;
}

static void add_rest(__u64 *untold, __u64 *ahead, __u64 all, __u64 told)
{
	*ahead += told;
	if (all < *ahead) {
		*ahead -= all;
		return;
	}
	*untold += all - *ahead;
	*ahead = 0;
}

void file_rest_add(struct file_rest *rest, const struct file_io_usage *all, const struct file_counts *told)
{
	struct file_counts *untold = &rest->untold, *ahead = &rest->ahead;

	add_rest(&untold->read_bytes, &ahead->read_bytes, all->read_bytes, told->read_bytes);
	add_rest(&untold->written_bytes, &ahead->written_bytes, all->written_bytes, told->written_bytes);
	add_rest(&untold->reads, &ahead->reads, all->reads, told->reads);
	add_rest(&untold->writes, &ahead->writes, all->writes, told->writes);
}
