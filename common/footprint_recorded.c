/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What cgroups' files told when it was recorded, played in place of reading them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroups.h"
#include "footprint_place.h"
#include "recording.h"

#define NAMES_MAX    1024
#define READINGS_MAX 4096

void footprints_open_recorded(struct footprints *footprints, const struct deepmon_options *options,
			      bool memory, bool block)
{
	*footprints = (struct footprints){.devices_told = options->block_devices,
					  .reread_ns = (uint64_t)(options->idle_reread * 1e9),
					  .recorded = true,
					  .has_memory = memory && options->memory == MEMORY_ON,
					  .has_block = block && options->block_devices};
	footprints->memory.root_fd = footprints->memory.pressure_fd = footprints->block.root_fd = -1;
}

/* Records come in the order in which they were chosen. NULL: now it is not. */
static struct footprint_place *find_place(struct footprints *footprints, uint64_t cgroup_id)
{
	for (size_t i = 0; i < footprints->chosen_count; i++) {
		size_t index = (footprints->played + i) % footprints->chosen_count;
		const struct footprint_chosen *chosen = &footprints->chosen[index];

		if (chosen->cgroup->id != cgroup_id)
			continue;
		footprints->played = index + 1;
		return chosen->due ? chosen->cgroup->place : NULL;
	}
	return NULL;
}

/* The last name that was told of a device stands. One past NAMES_MAX goes by its numbers. */
static void keep_name(struct footprints *footprints, uint32_t major, uint32_t minor, const char *name)
{
	struct footprint_name *names = footprints->names;
	size_t i = 0;

	while (i < footprints->name_count && (names[i].major != major || names[i].minor != minor))
		i++;
	if (i == NAMES_MAX || !*name)
		return;
	if (i == footprints->name_count) {
		names = reallocarray(names, i + 1, sizeof(*names));
		if (!names)
			return;
		footprints->names = names;
		footprints->name_count++;
	}
	names[i] = (struct footprint_name){major, minor, ""};
	strcpy(names[i].name, name);
}

static int play_block(struct footprints *footprints, struct recording_in *record,
		      const struct recording_fields *fields, struct footprint_place *place)
{
	uint64_t count = recording_take(record);
	char name[BLOCK_NAME_MAX];
	struct block_readings readings = {0};

	if (count > READINGS_MAX || record->bad)
		return -EBADMSG;
	readings.all = calloc(count ? count : 1, sizeof(*readings.all));
	if (!readings.all)
		return -ENOMEM;
	readings.capacity = count;
	for (uint64_t i = 0; i < count && !record->bad; i++) {
		struct block_reading *reading = &readings.all[readings.count++];

		reading->major = (uint32_t)recording_take(record);
		reading->minor = (uint32_t)recording_take(record);
		recording_take_text(record, name, sizeof(name));
		keep_name(footprints, reading->major, reading->minor, name);
		reading->valid = recording_take_figures(record, fields, &reading->figures);
	}
	if (record->bad || !place) {
		block_readings_clear(&readings);
		return record->bad ? -EBADMSG : 0;
	}
	block_readings_clear(&place->fresh);
	place->fresh = readings;
	place->has_fresh = true;
	return 0;
}

int footprints_play(struct footprints *footprints, struct recording_in *record,
		    const struct recording_fields *fields)
{
	struct footprint_place *place = find_place(footprints, recording_take(record));
	struct memory_reading memory = {0};
	bool has_memory = recording_take(record), has_block;

	if (has_memory)
		memory.valid = recording_take_figures(record, &fields[RECORDING_OF_MEMORY], &memory.figures);
	if (has_memory && place && footprints->has_memory && !record->bad)
		place->memory = memory;
	has_block = recording_take(record);
	if (!has_block)
		return record->bad ? -EBADMSG : 0;
	return play_block(footprints, record, &fields[RECORDING_OF_BLOCK],
			  footprints->has_block ? place : NULL);
}
