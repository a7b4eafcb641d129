/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What groups use of memory and block devices. Reads files through memory.h and block.h alone.
 */
#include "footprint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroups.h"
#include "footprint_place.h"
#include "log.h"
#include "recorder.h"
#include "root.h"

/* ---- A group's -------------------------------------------------------------------------------- */

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

/* For each counter of a subject: what it grew by from *last to *now is added to *to. NULL: from 0. */
static void add_growth(enum deepmon_subject subject, uint64_t valid, void *to, const void *last,
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

static struct footprint_device *find_device(const struct footprint *footprint, const char *name)
{
	struct footprint_device *device = footprint->devices;

	while (device && strcmp(device->name, name) != 0)
		device = device->next;
	return device;
}

/* The device of that name, made if need be. */
static struct footprint_device *add_device(struct footprint *footprint, const char *name)
{
	struct footprint_device *device = find_device(footprint, name), **end = &footprint->devices;

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

/* Devices past those that are told one by one are one together. */
static struct footprint_device *device_of(struct footprint *footprint, const char *name, uint32_t told)
{
	struct footprint_device *device = find_device(footprint, name);

	if (device)
		return device;
	return add_device(footprint, footprint->device_count < told ? name : FOOTPRINT_OTHER_DEVICES);
}

void footprint_absorb(struct footprint **to, struct footprint **from)
{
	struct footprint *gone = *from;

	*from = NULL;
	if (!*to || !gone) {
		*to = *to ? *to : gone;
		return;
	}
	add_growth(DEEPMON_SUBJECT_MEMORY, gone->memory_valid, &(*to)->memory, NULL, &gone->memory);
	(*to)->memory_valid |= gone->memory_valid;
	for (struct footprint_device *device = gone->devices; device; device = device->next) {
		struct footprint_device *same = add_device(*to, device->name);

		if (!same)
			continue;
		add_growth(DEEPMON_SUBJECT_BLOCK, device->valid, &same->used, NULL, &device->used);
		same->valid |= device->valid;
	}
	footprint_free(gone);
}

/* ---- A cgroup's ------------------------------------------------------------------------------- */

void footprint_place_free(struct footprint_place *place)
{
	if (!place)
		return;
	block_readings_clear(&place->block);
	block_readings_clear(&place->fresh);
	free(place);
}

/* Amounts of several cgroups are summed; of pressure the highest stands. */
static void add_gauges(struct footprint *footprint, const struct memory_reading *reading)
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

/* What one of several cgroups lacks (a limit), their sum lacks. */
static void add_memory(struct footprint *footprint, const struct memory_reading *reading)
{
	const uint64_t bits = gauges();

	if (!reading->valid)
		return;
	if (footprint->memory_valid & bits)
		footprint->memory_valid &= reading->valid | ~bits;
	else
		footprint->memory_valid |= reading->valid & bits;
	footprint->memory_valid |= reading->valid & ~bits;
	add_gauges(footprint, reading);
}

/*
 * What a counter grew by; *counted is as far as it has been followed. A short way back is no new beginning: a
 * major fault is counted before it is counted as a fault, so that minor faults are fewer for a moment.
 */
static uint64_t growth(uint64_t now, uint64_t *counted)
{
	uint64_t before = *counted;

	if (now < before && now >= before / 2)
		return 0;
	*counted = now;
	return now < before ? now : now - before;
}

/* Adds what the cgroup's counters grew by. One that was not read for a while goes on where it was. */
static void count_memory(struct footprint_place *place, struct footprint *footprint)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(DEEPMON_SUBJECT_MEMORY, &count);

	for (size_t i = 0; i < count; i++) {
		uint64_t *counted = (uint64_t *)((char *)&place->counted + metrics[i].offset);
		uint64_t *sum = (uint64_t *)((char *)&footprint->memory + metrics[i].offset);
		uint64_t now;

		if (metrics[i].kind != DEEPMON_COUNTER || !(place->memory.valid & metrics[i].valid))
			continue;
		memcpy(&now, (const char *)&place->memory.figures + metrics[i].offset, sizeof(now));
		if (!(place->counted_valid & metrics[i].valid))
			*counted = place->from_zero ? 0 : now;
		place->counted_valid |= metrics[i].valid;
		*sum += growth(now, counted);
	}
}

static const struct deepmon_block *find_reading(const struct block_readings *readings, size_t hint,
						const struct block_reading *of)
{
	for (size_t i = 0; i < readings->count; i++) {
		const struct block_reading *one = &readings->all[(hint + i) % readings->count];

		if (one->major == of->major && one->minor == of->minor)
			return &one->figures;
	}
	return NULL;
}

/* Whether a cgroup has really used the device. */
static bool is_used(const struct deepmon_block *figures)
{
	static const struct deepmon_block nothing;

	return memcmp(figures, &nothing, sizeof(nothing)) != 0;
}

static void name_device(const struct footprints *footprints, uint32_t major, uint32_t minor,
			char name[BLOCK_NAME_MAX])
{
	if (!footprints->recorded) {
		block_name(&footprints->block, major, minor, name);
		return;
	}
	snprintf(name, BLOCK_NAME_MAX, "%u:%u", major, minor);
	for (size_t i = 0; i < footprints->name_count; i++)
		if (footprints->names[i].major == major && footprints->names[i].minor == minor)
			memcpy(name, footprints->names[i].name, BLOCK_NAME_MAX);
}

static void count_device(const struct footprints *footprints, struct footprint *footprint,
			 const struct deepmon_block *last, const struct block_reading *now)
{
	struct footprint_device *device;
	char name[BLOCK_NAME_MAX];

	if (!is_used(&now->figures))
		return;
	name_device(footprints, now->major, now->minor, name);
	device = device_of(footprint, name, footprints->devices_told);
	if (!device)
		return;
	add_growth(DEEPMON_SUBJECT_BLOCK, now->valid, &device->used, last, &now->figures);
	device->valid |= now->valid;
}

/* After a reading that failed, the one before stands. */
static void count_block(const struct footprints *footprints, struct footprint_place *place,
			struct footprint *footprint)
{
	if (!place->has_fresh)
		return;
	for (size_t i = 0; i < place->fresh.count && (place->has_block || place->from_zero); i++)
		count_device(footprints, footprint, find_reading(&place->block, i, &place->fresh.all[i]),
			     &place->fresh.all[i]);
	block_readings_clear(&place->block);
	place->block = place->fresh;
	place->fresh = (struct block_readings){0};
	place->has_fresh = false;
	place->has_block = true;
}

/* ---- All of them ------------------------------------------------------------------------------ */

void footprints_open(struct footprints *footprints, const struct deepmon_options *options,
		     const struct deepmon_logger *logger)
{
	char cgroup_root[ROOT_PATH_MAX], sys_root[ROOT_PATH_MAX];

	*footprints = (struct footprints){.devices_told = options->block_devices,
					  .reread_ns = (uint64_t)(options->idle_reread * 1e9)};
	footprints->memory.root_fd = footprints->memory.pressure_fd = footprints->block.root_fd = -1;
	root_cgroup(options, cgroup_root);
	root_sys(options, sys_root);
	if (options->memory == MEMORY_ON) {
		footprints->has_memory = memory_open(&footprints->memory, cgroup_root) == 0;
		if (!footprints->has_memory)
			log_warning(
			    logger,
			    "Memory: no cgroup hierarchy under %s has the controller memory: memory is "
			    "left out. Set CgroupRoot to where the host's cgroups are, or boot without "
			    "cgroup_disable=memory",
			    cgroup_root);
	}
	if (options->block_devices) {
		footprints->has_block = block_open(&footprints->block, cgroup_root, sys_root) == 0;
		if (!footprints->has_block)
			log_warning(
			    logger,
			    "BlockDevices: no cgroup hierarchy under %s has the controller io or "
			    "blkio: block I/O is left out. Set CgroupRoot to where the host's cgroups are",
			    cgroup_root);
	}
}

void footprints_close(struct footprints *footprints)
{
	memory_close(&footprints->memory);
	block_close(&footprints->block);
	free(footprints->chosen);
	free(footprints->names);
	footprints->chosen = NULL;
	footprints->names = NULL;
	footprints->name_count = 0;
	footprints->chosen_count = footprints->chosen_capacity = 0;
}

bool footprints_any(const struct footprints *footprints)
{
	return footprints->has_memory || footprints->has_block;
}

/* Whether the path of one begins with the other's. */
static bool is_below(const struct cgroup *cgroup, const struct cgroup *above)
{
	size_t length = strcmp(above->path, "/") ? strlen(above->path) : 0;

	return strncmp(cgroup->path, above->path, length) == 0 && cgroup->path[length] == '/';
}

/* What is gone has counters alone; what lives is read anew. */
static void forget_gauges(const struct groups *groups)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(DEEPMON_SUBJECT_MEMORY, &count);

	for (size_t i = 0; i < groups->count; i++) {
		struct footprint *footprint = groups->all[i]->footprint;

		if (!footprint)
			continue;
		footprint->memory_valid &= ~gauges();
		for (size_t metric = 0; metric < count; metric++)
			if (metrics[metric].kind == DEEPMON_GAUGE)
				memset((char *)&footprint->memory + metrics[metric].offset, 0,
				       sizeof(uint64_t));
	}
}

struct report {
	struct footprints *footprints;
	struct cgroup *before;
	uint64_t now_ns;
	bool cpu_known, first;
};

/*
 * At the start each is given an age of its own, so that those that idle are not all read at once ever after.
 */
static uint64_t moment_of(const struct report *report, const struct cgroup *cgroup)
{
	uint64_t reread_ns = report->footprints->reread_ns;

	return report->first && reread_ns ? report->now_ns - cgroup->id * 0x9e3779b97f4a7c15u % reread_ns
					  : report->now_ns;
}

static bool is_due(const struct report *report, const struct cgroup *cgroup, bool holds_others)
{
	const struct footprint_place *place = cgroup->place;

	return !place->read_ns || holds_others || !report->cpu_known || !place->settled ||
	       place->cpu_ns != cgroup->group->account.used.cpu_ns ||
	       report->now_ns - place->read_ns >= report->footprints->reread_ns;
}

static struct footprint_place *new_place(const struct report *report, const struct cgroup *cgroup)
{
	struct footprint_place *place = calloc(1, sizeof(*place));

	if (place)
		place->from_zero = !report->first && !cgroup->held_others;
	return place;
}

/* Its counters have what others used: should it be read one day, they begin with that day. */
static void pass_over(struct cgroup *cgroup)
{
	footprint_place_free(cgroup->place);
	cgroup->place = NULL;
	cgroup->held_others = true;
}

static bool make_room(struct footprints *footprints)
{
	if (footprints->chosen_count < footprints->chosen_capacity)
		return true;

	size_t capacity = footprints->chosen_capacity ? footprints->chosen_capacity * 2 : 64;
	struct footprint_chosen *chosen = reallocarray(footprints->chosen, capacity, sizeof(*chosen));

	if (!chosen)
		return false;
	footprints->chosen = chosen;
	footprints->chosen_capacity = capacity;
	return true;
}

static void choose(const struct report *report, struct cgroup *cgroup, bool holds_others)
{
	struct footprints *footprints = report->footprints;
	uint64_t cpu_ns = cgroup->group->account.used.cpu_ns;
	struct footprint_place *place;
	bool due;

	if (!cgroup->place)
		cgroup->place = new_place(report, cgroup);
	place = cgroup->place;
	if (!place || !make_room(footprints))
		return;
	due = is_due(report, cgroup, holds_others);
	footprints->chosen[footprints->chosen_count++] = (struct footprint_chosen){cgroup, due};
	if (!due)
		return;
	/* What it did last may take the kernel a moment more. */
	place->settled = place->cpu_ns == cpu_ns;
	place->read_ns = moment_of(report, cgroup);
	place->cpu_ns = cpu_ns;
}

/* Gets each topmost cgroup after the one that it is nested in. */
static void visit(void *user, struct cgroup *cgroup)
{
	struct report *report = user;
	struct cgroup *before = report->before;
	bool holds_others = before && cgroup && is_below(cgroup, before);

	report->before = cgroup;
	/* The root's figures are the whole host's. */
	if (before && before->group->kind != IDENTITY_CONTAINER &&
	    (holds_others || !strcmp(before->path, "/")))
		pass_over(before);
	else if (before)
		choose(report, before, holds_others);
}

void footprints_choose(struct footprints *footprints, const struct cgroups *cgroups, uint64_t now_ns,
		       bool cpu_known, bool first)
{
	struct report report = {
	    .footprints = footprints, .now_ns = now_ns, .cpu_known = cpu_known, .first = first};

	footprints->chosen_count = footprints->played = 0;
	cgroups_each_topmost(cgroups, visit, &report);
	visit(&report, NULL);
}

void footprints_read(struct footprints *footprints)
{
	if (footprints->has_block)
		block_begin(&footprints->block);
	for (size_t i = 0; i < footprints->chosen_count; i++) {
		const struct cgroup *cgroup = footprints->chosen[i].cgroup;
		struct footprint_place *place = cgroup->place;

		if (!footprints->chosen[i].due)
			continue;
		if (footprints->has_memory)
			memory_read(&footprints->memory, cgroup->path, &place->memory);
		if (footprints->has_block)
			place->has_fresh = block_read(&footprints->block, cgroup->path, &place->fresh) == 0;
	}
}

static void tell(const struct footprints *footprints, const struct footprint_chosen *chosen)
{
	struct footprint_place *place = chosen->cgroup->place;
	struct group *group = chosen->cgroup->group;

	if (!group->footprint)
		group->footprint = calloc(1, sizeof(*group->footprint));
	if (!group->footprint)
		return;
	if (chosen->due) {
		recorder_footprint(footprints->recorder, chosen->cgroup->id,
				   footprints->has_memory ? &place->memory : NULL,
				   place->has_fresh ? &place->fresh : NULL, &footprints->block);
		count_memory(place, group->footprint);
		count_block(footprints, place, group->footprint);
	}
	add_memory(group->footprint, &place->memory);
}

void footprints_tell(struct footprints *footprints, const struct groups *groups)
{
	forget_gauges(groups);
	for (size_t i = 0; i < footprints->chosen_count; i++)
		tell(footprints, &footprints->chosen[i]);
	footprints->chosen_count = 0;
	for (size_t i = 0; i < groups->count; i++) {
		struct footprint *footprint = groups->all[i]->footprint;

		if (footprint)
			memory_derive(&footprint->memory, &footprint->memory_valid);
	}
}
