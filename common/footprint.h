/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What groups use of memory and block devices: the figures of their cgroups' files, read at each report.
 *
 * Files tell of a cgroup with all that is nested in it, so of each group only its topmost cgroups are read. A
 * system group in which others are nested (a slice, the root) has no figures of its own: it is left out. A
 * container has, whatever is nested in it: its limits hold for all of that.
 */
#ifndef DEEPMON_FOOTPRINT_H
#define DEEPMON_FOOTPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "deepmon.h"
#include "kept_file.h"
#include "memory.h"

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

	bool due;	  /* to be read for this report */
	uint64_t read_ns; /* when it was read last, */
	uint64_t ran_ns;  /* and when it was last seen to have run; as of then, its group's: */
	uint64_t cpu_ns;  /* CPU time, */
	uint32_t cgroups; /* and cgroups */
};

/*
 * How old figures of a group may be that has not run since. Without running it changes little: what others
 * bring about, such as reclaim and the writing back of its pages.
 */
#define FOOTPRINT_RENEW_NS 60000000000
/* For so long after it ran it is read all the same: the kernel brings its sums together every two seconds. */
#define FOOTPRINT_SETTLE_NS 5000000000

void footprint_free(struct footprint *footprint);
/* Adds what was used of *from to *to. Either may be NULL; *from becomes so. */
void footprint_absorb(struct footprint **to, struct footprint **from);

/* What is kept of a cgroup between reports: its last readings, and its open files. */
struct footprint_place;
/* Takes NULL. */
void footprint_place_free(struct footprint_place *place);

struct footprints {
	struct kept_files kept;
	struct memory memory;
	struct block block;
	bool has_memory, has_block;
	uint32_t devices_told; /* of each group, one by one */
	struct block_readings readings;
};

/* What the options ask for and is there. What is not is said to the logger. */
void footprints_open(struct footprints *footprints, const struct deepmon_options *options,
		     const struct deepmon_logger *logger);
void footprints_close(struct footprints *footprints);

/* Whether there is anything to read. */
bool footprints_any(const struct footprints *footprints);

/*
 * Reads those that live into their groups, as far as they ran lately or were read FOOTPRINT_RENEW_NS ago. The
 * first time counters begin at what they are.
 */
void footprints_read(struct footprints *footprints, struct cgroups *cgroups, uint64_t now_ns, bool first);

#endif
