/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What groups use of memory and block devices, as sums of what is told of their cgroups. Memory only.
 */
#include "footprint_sums.h"

#include <stdlib.h>
#include <string.h>

void footprint_free(struct footprint *footprint)
{
	struct footprint_device *next;

	if (!footprint)
		return;
	for (struct footprint_device *device = footprint->devices; device; device = next) {
		next = device->next;
		free(device);
	}
	free(footprint);
}

void footprint_add_growth(enum deepmon_subject subject, uint64_t valid, void *to, const void *last,
			  const void *now)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(subject, &count);

	for (size_t i = 0; i < count; i++) {
		size_t offset = metrics[i].offset;
		uint64_t before = 0, after;

		if (metrics[i].kind != DEEPMON_COUNTER || !(valid & metrics[i].valid))
			continue;
		memcpy(&after, (const char *)now + offset, sizeof(after));
		if (last)
			memcpy(&before, (const char *)last + offset, sizeof(before));
		/* A device that came back begins anew. */
		*(uint64_t *)((char *)to + offset) += after >= before ? after - before : after;
	}
}

struct footprint_device *footprint_find_device(const struct footprint *footprint, const char *name)
{
	struct footprint_device *device = footprint->devices;

	while (device && strcmp(device->name, name) != 0)
		device = device->next;
	return device;
}

struct footprint_device *footprint_add_device(struct footprint *footprint, const char *name)
{
	struct footprint_device *device = footprint_find_device(footprint, name), **end = &footprint->devices;

	if (device)
		return device;
	device = calloc(1, sizeof(*device));
	if (!device)
		return NULL;
	strcpy(device->name, name);
	while (*end)
		end = &(*end)->next;
	*end = device;
	footprint->device_count++;
	return device;
}

void footprint_absorb(struct footprint **to, struct footprint **from)
{
	struct footprint *gone = *from;

	*from = NULL;
	if (!*to || !gone) {
		*to = *to ? *to : gone;
		return;
	}
	footprint_add_growth(DEEPMON_SUBJECT_MEMORY, gone->memory_valid, &(*to)->memory, NULL, &gone->memory);
	(*to)->memory_valid |= gone->memory_valid;
	for (struct footprint_device *device = gone->devices; device; device = device->next) {
		struct footprint_device *same = footprint_add_device(*to, device->name);

		if (!same)
			continue;
		footprint_add_growth(DEEPMON_SUBJECT_BLOCK, device->valid, &same->used, NULL, &device->used);
		same->valid |= device->valid;
	}
	footprint_free(gone);
}

/* Bits of the metrics of memory that are gauges. */
static uint64_t gauges(void)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(DEEPMON_SUBJECT_MEMORY, &count);
	uint64_t bits = 0;

	for (size_t i = 0; i < count; i++)
		bits |= metrics[i].kind == DEEPMON_GAUGE ? metrics[i].valid : 0;
	return bits;
}

/* Amounts of several cgroups are summed; of pressure the highest stands. */
static void add_amounts(struct footprint *footprint, const struct memory_reading *reading)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(DEEPMON_SUBJECT_MEMORY, &count);

	for (size_t i = 0; i < count; i++) {
		void *to = (char *)&footprint->memory + metrics[i].offset;
		const void *from = (const char *)&reading->figures + metrics[i].offset;

		if (metrics[i].kind == DEEPMON_COUNTER || !(reading->valid & metrics[i].valid))
			continue;
		if (metrics[i].type != DEEPMON_F64)
			*(uint64_t *)to += *(const uint64_t *)from;
		else if (*(const double *)from > *(double *)to)
			*(double *)to = *(const double *)from;
	}
}

void footprint_add_gauges(struct footprint *footprint, const struct memory_reading *reading)
{
	const uint64_t bits = gauges();

	if (!reading->valid)
		return;
	if (footprint->memory_valid & bits)
		footprint->memory_valid &= reading->valid | ~bits;
	else
		footprint->memory_valid |= reading->valid & bits;
	footprint->memory_valid |= reading->valid & ~bits;
	add_amounts(footprint, reading);
}

void footprint_forget_gauges(struct footprint *footprint)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(DEEPMON_SUBJECT_MEMORY, &count);

	footprint->memory_valid &= ~gauges();
	for (size_t metric = 0; metric < count; metric++)
		if (metrics[metric].kind == DEEPMON_GAUGE)
			memset((char *)&footprint->memory + metrics[metric].offset, 0, sizeof(uint64_t));
}
