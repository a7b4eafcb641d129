/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of memory and block devices in a sample.
 */
#include "sample_parts.h"

void sample_add_footprint(struct sample *sample, const struct subject_of *group,
			  const struct footprint *footprint)
{
	struct subject_of of = *group;

	if (footprint->memory_valid) {
		struct deepmon_record *record = sample_add_of(sample, &of, DEEPMON_SUBJECT_MEMORY);

		record->values.memory = footprint->memory;
		record->valid = footprint->memory_valid;
	}
	for (const struct footprint_device *device = footprint->devices; device; device = device->next) {
		of.device = sample_keep_text(sample, device->name);

		struct deepmon_record *record = sample_add_of(sample, &of, DEEPMON_SUBJECT_BLOCK);

		record->qualifier = of.device;
		record->values.block = device->used;
		record->valid = device->valid;
	}
}
