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
#include "findings.h"
#include "footprint_place.h"
#include "footprint_sums.h"
#include "log.h"
#include "recorder.h"
#include "root.h"

/* ---- A cgroup's ------------------------------------------------------------------------------- */

void footprint_place_free(struct footprint_place *place)
{
	if (!place)
		return;
	block_readings_clear(&place->block);
	block_readings_clear(&place->fresh);
	free(place);
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

/* Devices past those that are told one by one are one together. */
static struct footprint_device *device_of(struct footprint *footprint, const char *name, uint32_t told)
{
	struct footprint_device *device = footprint_find_device(footprint, name);

	if (device)
		return device;
	return footprint_add_device(footprint,
				    footprint->device_count < told ? name : FOOTPRINT_OTHER_DEVICES);
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
	footprint_add_growth(DEEPMON_SUBJECT_BLOCK, now->valid, &device->used, last, &now->figures);
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

static void find(const struct deepmon_logger *logger, const char *what, bool there, bool unified,
		 const char *cgroup_root)
{
	if (there)
		finding_add(logger, DEEPMON_FOUND_WELL, "cgroups", what, "", "read from cgroups' files of %s",
			    unified ? "v2" : "v1");
	else
		finding_add(logger, DEEPMON_FOUND_MISSING, "cgroups", what,
			    "set CgroupRoot to where the host's cgroups are, or boot with the controller on",
			    "no hierarchy under %s has it", cgroup_root);
}

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
		find(logger, "memory", footprints->has_memory, footprints->memory.unified, cgroup_root);
		if (footprints->memory.pressure_fd >= 0)
			find(logger, "pressure", true, true, cgroup_root);
		else
			finding_add(logger, DEEPMON_FOUND_OFF, "cgroups", "pressure", "",
				    "the unified hierarchy (v2), which tells it, is not mounted under %s",
				    cgroup_root);
		if (!footprints->has_memory)
			log_warning(
			    logger,
			    "Memory: no cgroup hierarchy under %s has the controller memory: memory is "
			    "left out. Set CgroupRoot to where the host's cgroups are, or boot without "
			    "cgroup_disable=memory",
			    cgroup_root);
	}
	if (options->memory != MEMORY_ON)
		finding_add(logger, DEEPMON_FOUND_OFF, "cgroups", "memory", "", "Memory is off");
	if (!options->block_devices)
		finding_add(logger, DEEPMON_FOUND_OFF, "cgroups", "block devices", "", "BlockDevices is 0");
	if (options->block_devices) {
		footprints->has_block = block_open(&footprints->block, cgroup_root, sys_root) == 0;
		find(logger, "block devices", footprints->has_block, footprints->block.unified, cgroup_root);
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

struct report {
	struct footprints *footprints;
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

static void visit(void *user, struct cgroup *cgroup, bool holds_others)
{
	if (cgroup_is_its_own(cgroup, holds_others))
		choose(user, cgroup, holds_others);
	else
		pass_over(cgroup);
}

void footprints_choose(struct footprints *footprints, const struct cgroups *cgroups, uint64_t now_ns,
		       bool cpu_known, bool first)
{
	struct report report = {
	    .footprints = footprints, .now_ns = now_ns, .cpu_known = cpu_known, .first = first};

	footprints->chosen_count = footprints->played = 0;
	if (!footprints_any(footprints))
		return;
	cgroups_each_topmost(cgroups, visit, &report);
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
	footprint_add_gauges(group->footprint, &place->memory);
}

void footprints_tell(struct footprints *footprints, const struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		if (groups->all[i]->footprint)
			footprint_forget_gauges(groups->all[i]->footprint);
	for (size_t i = 0; i < footprints->chosen_count; i++)
		tell(footprints, &footprints->chosen[i]);
	footprints->chosen_count = 0;
	for (size_t i = 0; i < groups->count; i++) {
		struct footprint *footprint = groups->all[i]->footprint;

		if (footprint)
			memory_derive(&footprint->memory, &footprint->memory_valid);
	}
}
