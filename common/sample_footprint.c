/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of memory and block devices in a sample.
 */
#include "sample_parts.h"

#define RESIDENT \
	(VALID(MEMORY, rss_bytes) | VALID(MEMORY, pss_bytes) | VALID(MEMORY, uss_bytes) | \
	 VALID(MEMORY, rss_processes) | VALID(MEMORY, rss_age_seconds))

/* The moment of the report is taken before files are read for it. */
static double age_of(const struct sample *sample, const struct resident *resident)
{
	return sample->now_ns > resident->read_ns ? (double)(sample->now_ns - resident->read_ns) / 1e9 : 0;
}

static void add_memory(struct sample *sample, const struct subject_of *of)
{
	const struct footprint *footprint = of->group->footprint;
	const struct resident *resident = &of->group->resident;
	bool has_footprint = footprint && footprint->memory_valid;
	struct deepmon_record *record;

	if (!has_footprint && !resident->processes)
		return;
	record = sample_add_of(sample, of, DEEPMON_SUBJECT_MEMORY);
	if (has_footprint) {
		record->values.memory = footprint->memory;
		record->valid = footprint->memory_valid;
	}
	if (!resident->processes)
		return;
	record->values.memory.rss_bytes = resident->sum.rss_bytes;
	record->values.memory.pss_bytes = resident->sum.pss_bytes;
	record->values.memory.uss_bytes = resident->sum.uss_bytes;
	record->values.memory.rss_processes = resident->processes;
	record->values.memory.rss_age_seconds = age_of(sample, resident);
	record->valid |= RESIDENT;
}

static void add_blocks(struct sample *sample, const struct subject_of *group)
{
	struct subject_of of = *group;

	for (const struct footprint_device *device = of.group->footprint->devices; device;
	     device = device->next) {
		of.device = sample_keep_text(sample, device->name);

		struct deepmon_record *record = sample_add_of(sample, &of, DEEPMON_SUBJECT_BLOCK);

		record->qualifier = of.device;
		record->values.block = device->used;
		record->valid = device->valid;
	}
}

void sample_add_footprint(struct sample *sample, const struct subject_of *of)
{
	add_memory(sample, of);
	if (of->group->footprint)
		add_blocks(sample, of);
}
