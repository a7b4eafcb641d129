/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Files by name in a recording. Pure.
 */
#include "files_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is told of a place. */
enum { ANOTHER = 1, PATH = 2, GREW = 4 };

int files_copy_init(struct files_copy *copy, size_t set_count)
{
	*copy = (struct files_copy){0};
	if (set_count > FILES_COPY_SETS_MAX)
		return -E2BIG;
	copy->files = calloc(set_count * FILE_PLACES, sizeof(*copy->files));
	copy->changed = calloc(set_count * FILE_PLACES, sizeof(*copy->changed));
	if (!copy->files || !copy->changed) {
		files_copy_clear(copy);
		return -ENOMEM;
	}
	copy->set_count = set_count;
	return 0;
}

void files_copy_clear(struct files_copy *copy)
{
	for (size_t place = 0; copy->files && place < copy->places_used; place++)
		free(copy->files[place].path);
	free(copy->files);
	free(copy->changed);
	*copy = (struct files_copy){0};
}

static void set_changed(struct files_copy *copy, size_t place)
{
	if (copy->files[place].changed)
		return;
	copy->files[place].changed = true;
	copy->changed[copy->changed_count++] = (uint32_t)place;
}

const struct file_entry *files_copy_next(struct files_copy *copy, size_t *cursor, size_t *place)
{
	if (*cursor == copy->changed_count) {
		copy->changed_count = 0;
		return NULL;
	}
	*place = copy->changed[(*cursor)++];
	copy->files[*place].changed = false;
	return &copy->files[*place].entry;
}

static void set_file(struct files_copy *copy, size_t place, const struct file_key *key, uint64_t serial,
		     uint64_t missed)
{
	struct copied_file *file = &copy->files[place];

	file->entry = (struct file_entry){.key = *key, .serial = serial, .missed = missed};
	free(file->path);
	file->path = NULL;
	if (place >= copy->places_used)
		copy->places_used = place + 1;
}

/* False: there is no memory for it. */
static bool set_path(struct copied_file *file, const char *path, uint32_t flags)
{
	char *text = strdup(path);

	if (!text)
		return false;
	free(file->path);
	file->path = text;
	file->path_flags = flags;
	return true;
}

/* ---- Writing ------------------------------------------------------------------------------------ */

bool files_copy_differs(const struct files_copy *copy, size_t place, const struct file_entry *now)
{
	const struct file_entry *last = &copy->files[place].entry;

	return last->serial != now->serial || memcmp(&last->counts, &now->counts, sizeof(now->counts)) != 0;
}

static void put_file(struct recording_out *out, const struct file_entry *now)
{
	recording_put(out, now->key.cgroup_id);
	recording_put(out, now->key.inode);
	recording_put(out, now->key.device);
	recording_put(out, now->key.generation);
	recording_put(out, now->serial);
	recording_put(out, now->missed);
}

void files_copy_put(struct files_copy *copy, struct recording_out *out, const struct recording_fields *fields,
		    size_t place, const struct file_entry *now, const char *path, uint32_t path_flags)
{
	struct copied_file *file = &copy->files[place];
	uint64_t what = 0;

	if (file->entry.serial != now->serial) {
		what |= ANOTHER;
		set_file(copy, place, &now->key, now->serial, now->missed);
	}
	if (path && (!file->path || file->path_flags != path_flags || strcmp(file->path, path) != 0) &&
	    set_path(file, path, path_flags))
		what |= PATH;
	if (recording_has_growth(fields, &file->entry.counts, &now->counts))
		what |= GREW;
	if (!what)
		return;
	set_changed(copy, place);
	recording_put(out, place + 1);
	recording_put(out, what);
	if (what & ANOTHER)
		put_file(out, now);
	if (what & PATH) {
		recording_put(out, path_flags);
		recording_put_text(out, file->path);
	}
	if (what & GREW)
		recording_put_growth(out, fields, &file->entry.counts, &now->counts);
}

/* ---- Playing ------------------------------------------------------------------------------------ */

static void play_file(struct files_copy *copy, struct recording_in *record, size_t place)
{
	struct file_key key;
	uint64_t serial, missed;

	key.cgroup_id = recording_take(record);
	key.inode = recording_take(record);
	key.device = (uint32_t)recording_take(record);
	key.generation = (uint32_t)recording_take(record);
	serial = recording_take(record);
	missed = recording_take(record);
	record->bad |= !serial;
	if (!record->bad)
		set_file(copy, place, &key, serial, missed);
}

static void play_path(struct recording_in *record, struct copied_file *file)
{
	char path[FILES_COPY_PATH_MAX + 1];
	uint32_t flags = (uint32_t)recording_take(record);

	recording_take_text(record, path, sizeof(path));
	record->bad |= !record->bad && !set_path(file, path, flags);
}

static void play_place(struct files_copy *copy, struct recording_in *record,
		       const struct recording_fields *fields, size_t place)
{
	struct copied_file *file = &copy->files[place];
	uint64_t what = recording_take(record);

	if (what & ANOTHER)
		play_file(copy, record, place);
	if (what & PATH && !record->bad)
		play_path(record, file);
	/* Nobody's place can't have grown. */
	record->bad |= !file->entry.serial;
	if (what & GREW && !record->bad)
		recording_take_growth(record, fields, &file->entry.counts);
	if (!record->bad)
		set_changed(copy, place);
}

void files_copy_play(struct files_copy *copy, struct recording_in *record,
		     const struct recording_fields *fields)
{
	uint64_t place;

	while (!record->bad && (place = recording_take(record))) {
		record->bad |= place > copy->set_count * FILE_PLACES;
		if (!record->bad)
			play_place(copy, record, fields, place - 1);
	}
}
