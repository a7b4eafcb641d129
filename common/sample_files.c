/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of file I/O in a sample. Memory only.
 */
#include <stdio.h>
#include <string.h>

#include "sample_parts.h"

static void add_latency(struct sample *sample, const struct subject_of *whose,
			const struct latencies *latencies, enum latency_kind kind)
{
	struct subject_of of = *whose;
	struct deepmon_record *record;

	/* One that nobody waited for has no figures. */
	if (!latencies_sum(&sample->histogram, latencies, 1u << kind))
		return;
	of.latency = latency_kind_name(kind);
	record = sample_add_of(sample, &of, DEEPMON_SUBJECT_FILE_LATENCY);
	record->qualifier = of.latency;
	SAMPLE_TELL_LATENCIES(sample, record, FILE_LATENCY, file_latency, latencies, 1u << kind);
}

void sample_add_file_io(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *whose, const struct account *account)
{
	struct deepmon_record *record = sample_add_of(sample, whose, DEEPMON_SUBJECT_FILE_IO);
	const struct file_io_usage *used = &account->used.file_io;

	record->values.file_io = (struct deepmon_file_io){.read_bytes = used->read_bytes,
							  .written_bytes = used->written_bytes,
							  .read_calls = used->reads,
							  .write_calls = used->writes,
							  .sync_calls = used->syncs};
	record->valid = VALID(FILE_IO, read_bytes) | VALID(FILE_IO, written_bytes) |
			VALID(FILE_IO, read_calls) | VALID(FILE_IO, write_calls);
	if (!file_io_files(attribution->file_io))
		return;
	record->valid |= VALID(FILE_IO, sync_calls);
	for (int kind = LATENCY_FILE_READ; kind <= LATENCY_FILE_SYNC; kind++)
		add_latency(sample, whose, account->latencies, (enum latency_kind)kind);
}

static struct deepmon_record *add_file(struct sample *sample, struct subject_of *of, const char *name,
				       const struct file_counts *told)
{
	struct deepmon_record *record;

	of->file = sample_keep_text(sample, name);
	record = sample_add_of(sample, of, DEEPMON_SUBJECT_FILE_USE);
	record->values.file_use = (struct deepmon_file_use){.read_bytes = told->read_bytes,
							    .written_bytes = told->written_bytes,
							    .read_calls = told->reads,
							    .write_calls = told->writes};
	record->valid = VALID(FILE_USE, read_bytes) | VALID(FILE_USE, written_bytes) |
			VALID(FILE_USE, read_calls) | VALID(FILE_USE, write_calls);
	return record;
}

/* Whether one that came later is told of by the same path: a file that was put in another's place. */
static bool has_successor(const struct group_files *files, const struct group_file *file,
			  enum file_scope scope)
{
	for (const struct group_file *later = files->first; later != file; later = later->next)
		if (later->telling[scope] && later->path && !strcmp(later->path, file->path))
			return true;
	return false;
}

static void write_name(char *name, size_t size, const struct group_files *files,
		       const struct group_file *file, enum file_scope scope)
{
	unsigned long long inode = file->inode;

	if (!file->path)
		snprintf(name, size, "(inode %llu of %u:%u)", inode, file->device >> 20,
			 file->device & 0xfffff);
	else if (has_successor(files, file, scope))
		snprintf(name, size, "%s (inode %llu)", file->path, inode);
	else
		snprintf(name, size, "%s", file->path);
}

/* Those of a group that are told of there; what is fresh of them is added up. */
static void add_files(struct sample *sample, struct subject_of *of, const struct group *group,
		      enum file_scope scope, struct file_counts *fresh)
{
	for (const struct group_file *file = group->files.first; file; file = file->next) {
		char name[FILES_PATH_MAX + 64];
		struct deepmon_record *record;

		if (!file->telling[scope])
			continue;
		write_name(name, sizeof(name), &group->files, file, scope);
		record = add_file(sample, of, name, &file->told[scope]);
		record->values.file_use.missed_bytes = file->missed;
		record->valid |= VALID(FILE_USE, missed_bytes);
		file_counts_add(fresh, &file->fresh);
	}
}

static void add_rest(struct sample *sample, struct subject_of *of, struct file_rest *rest,
		     const struct file_io_usage *used, const struct file_io_usage *reported,
		     const struct file_counts *told)
{
	struct file_io_usage fresh = {used->read_bytes - reported->read_bytes,
				      used->written_bytes - reported->written_bytes,
				      used->reads - reported->reads, used->writes - reported->writes, 0};

	file_rest_add(rest, &fresh, told);
	add_file(sample, of, FILE_UNTOLD, &rest->untold);
}

void sample_add_files_of_group(struct sample *sample, const struct attribution *attribution,
			       const struct subject_of *container, struct group *group)
{
	struct subject_of of = sample_part_of(DEEPMON_CONTAINER_FILE, container);
	struct file_counts fresh = {0};

	if (!attribution->top_files->told[FILE_SCOPE_CONTAINER])
		return;
	top_files_choose_of_group(attribution->top_files, group);
	add_files(sample, &of, group, FILE_SCOPE_CONTAINER, &fresh);
	add_rest(sample, &of, &group->files_rest, &group->account.used.file_io,
		 &group->account.reported.file_io, &fresh);
}

static void add_host_rest(struct sample *sample, const struct attribution *attribution,
			  const struct file_counts *fresh)
{
	struct subject_of of = {.entity = DEEPMON_FILE, .instance = FILE_UNTOLD, .name = ""};
	struct file_io_usage used = {0}, reported = {0};

	for (int part = 0; part < PART_COUNT; part++) {
		file_io_usage_add(&used, &attribution->parts[part].used.file_io);
		file_io_usage_add(&reported, &attribution->parts[part].reported.file_io);
	}
	add_rest(sample, &of, &attribution->top_files->rest, &used, &reported, fresh);
}

static bool is_told_of(const struct group_files *files)
{
	const struct group_file *file = files->first;

	while (file && !file->telling[FILE_SCOPE_HOST])
		file = file->next;
	return file != NULL;
}

void sample_add_files_of_host(struct sample *sample, const struct attribution *attribution)
{
	const struct groups *groups = attribution->groups;
	struct file_counts fresh = {0};

	if (attribution->top_files->told[FILE_SCOPE_HOST]) {
		top_files_choose_of_host(attribution->top_files, groups, !sample->told);
		for (size_t i = 0; i < groups->count; i++) {
			struct subject_of group, of;

			if (!is_told_of(&groups->all[i]->files))
				continue;
			group = sample_subject_of(sample, groups->all[i]);
			of = sample_part_of(DEEPMON_FILE, &group);
			of.in_unit = group.entity == DEEPMON_SYSTEM;
			add_files(sample, &of, groups->all[i], FILE_SCOPE_HOST, &fresh);
		}
		add_host_rest(sample, attribution, &fresh);
	}
	top_files_told(attribution->top_files, groups);
}
