/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What groups use of memory and block devices: the figures of their cgroups' files, read at each report.
 *
 * Files tell of a cgroup with all that is nested in it, so of each group only its topmost cgroups are read. A
 * system group in which others are nested (a slice) has no figures of its own, and the root is the host: they
 * are left out. A container has, whatever is nested in it: its limits hold for all of that.
 */
#ifndef DEEPMON_FOOTPRINT_H
#define DEEPMON_FOOTPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "deepmon.h"
#include "memory.h"

struct cgroup;
struct cgroups;
struct groups;

#define FOOTPRINT_OTHER_DEVICES "(other)"

/* What a group used of one device. */
struct footprint_device {
	struct footprint_device *next;
	char name[BLOCK_NAME_MAX];
	struct deepmon_block used;
	uint64_t valid;
};

/* What a group uses, and of counters used since the collector was opened. */
struct footprint {
	struct deepmon_memory memory;
	uint64_t memory_valid; /* 0: nothing is known */
	struct footprint_device *devices;
	uint32_t device_count;
};

void footprint_free(struct footprint *footprint);
/* Adds what was used of *from to *to. Either may be NULL; *from becomes so. */
void footprint_absorb(struct footprint **to, struct footprint **from);

/* What is kept of a cgroup between reports: its last readings. */
struct footprint_place;
/* Takes NULL. */
void footprint_place_free(struct footprint_place *place);

/* A cgroup of the report under way. */
struct footprint_chosen {
	struct cgroup *cgroup;
	bool due; /* for reading */
};

struct footprints {
	struct memory memory;
	struct block block;
	bool has_memory, has_block;
	uint32_t devices_told; /* of each group, one by one */
	uint64_t reread_ns;    /* how long readings of a group that used no CPU time are good */
	struct footprint_chosen *chosen;
	size_t chosen_count, chosen_capacity;

	struct recorder *recorder;    /* notes what was read; NULL: nothing does */
	bool recorded;		      /* all is played, and nothing read */
	size_t played;		      /* the place in chosen that was played to last */
	struct footprint_name *names; /* of devices, as they were played */
	size_t name_count;
};

struct recording_fields;
struct recording_in;

/* What the options ask for and is there. What is not is said to the logger. */
void footprints_open(struct footprints *footprints, const struct deepmon_options *options,
		     const struct deepmon_logger *logger);
void footprints_close(struct footprints *footprints);

/* Whether there is anything to read. */
bool footprints_any(const struct footprints *footprints);

/*
 * A report takes three steps, as reading takes its time: 80 us for each cgroup. The second touches nothing
 * but what the first chose, so that cgroups and groups may come, go and change their names meanwhile, as long
 * as none is forgotten.
 *
 * Chooses those that live. `first`: counters begin at what they are. Those that used no CPU time since they
 * were read are left for later, if cpu_known: then the groups' accounts are complete up to now_ns.
 */
void footprints_choose(struct footprints *footprints, const struct cgroups *cgroups, uint64_t now_ns,
		       bool cpu_known, bool first);
void footprints_read(struct footprints *footprints);
/* Puts what was read into the groups. */
void footprints_tell(struct footprints *footprints, const struct groups *groups);

/* In place of footprints_open, of a recording: what was read, of which the options may leave something out.
 */
void footprints_open_recorded(struct footprints *footprints, const struct deepmon_options *options,
			      bool memory, bool block);
/* In place of footprints_read: one record of it, its figures with the recording's own `fields`. -EBADMSG. */
int footprints_play(struct footprints *footprints, struct recording_in *record,
		    const struct recording_fields *fields);

#endif
