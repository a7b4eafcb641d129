/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The energy counters of the hardware. Each kind of source (powercap and so on) is one file that finds
 * counters and reads them raw; energy.c turns raw readings into energy used: wraps, gaps, anomalies.
 */
#ifndef DEEPMON_ENERGY_H
#define DEEPMON_ENERGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"

enum energy_domain {
	ENERGY_PACKAGE, /* a socket's processor: cores, uncore and caches */
	ENERGY_CORE,	/* part of package: all its cores (RAPL's PP0) */
	ENERGY_UNCORE,	/* part of package: graphics (RAPL's PP1) */
	ENERGY_DRAM,	/* memory at the socket; not part of package */
	ENERGY_PSYS,	/* the platform; contains packages, so never summed with them */
	ENERGY_DOMAIN_COUNT,
};

const char *energy_domain_name(enum energy_domain domain); /* "package" */

#define ENERGY_SOCKET_NONE   (-1)
#define ENERGY_ZONE_NAME_MAX 64

/* One counter, and what was made of it. */
struct energy_zone {
	char name[ENERGY_ZONE_NAME_MAX]; /* unique: "package-0", "package-0-die-1", "package-0-dram" */
	const char *source;		 /* "powercap"; "simulated" for a tree that says that it is */
	enum energy_domain domain;
	int socket;	   /* physical package id, or ENERGY_SOCKET_NONE for the whole host */
	uint64_t range_uj; /* the counter goes from 0 to this and starts again; 0: it never wraps */

	uint64_t raw_uj;  /* the last good reading */
	uint64_t read_ns; /* when: CLOCK_MONOTONIC */
	bool has_reading; /* raw_uj and read_ns hold one */
	bool failing;	  /* the last reading failed: said once, until it is well again */

	/* What the last energy_read found. */
	bool valid;	     /* delta_uj and elapsed_ns hold; clear: a gap */
	uint64_t delta_uj;   /* energy used since the reading before */
	uint64_t elapsed_ns; /* time between the two */

	/* Since energy_open; they only grow. */
	uint64_t total_uj;
	uint64_t wraps;
	uint64_t anomalies;
};

/* How a kind of source is asked. One static instance for each, in its own file, listed in energy.c. */
struct energy_source {
	const char *name;
	/*
	 * Finds counters under sys_root ("/sys"). Appends zones (name, source, domain, socket, range_uj set)
	 * to *zones, a malloced array; *context is the source's own. Each counter that is there and can't be
	 * used is said to the logger with the reason and the remedy. -ENOENT: nothing of this kind here.
	 */
	int (*open)(const char *sys_root, const struct deepmon_logger *logger, struct energy_zone **zones,
		    size_t *zone_count, void **context);
	/* The raw counter of zones[index]. -errno if it can't be read now; -EINVAL if it is no number. */
	int (*read)(void *context, size_t index, uint64_t *raw_uj);
	void (*close)(void *context);
};

extern const struct energy_source energy_powercap;

struct energy;

/* Opens the first source that has counters. -ENOENT: none has, which was said to the logger. */
int energy_open(struct energy **energy, const char *sys_root, const struct deepmon_logger *logger);
/* Reads every counter; each zone tells in `valid` whether it has a delta. */
void energy_read(struct energy *energy);
/* The zones; they stay where they are until energy_close. */
const struct energy_zone *energy_zones(const struct energy *energy, size_t *count);
void energy_close(struct energy *energy);

/*
 * The rule, pure: takes the reading raw_uj made at now_ns into the zone. A step back is a wrap if the
 * power it implies is at most ENERGY_PLAUSIBLE_WATTS, otherwise an anomaly; so is a step forward beyond
 * that, or a reading above range_uj. After an anomaly the reading is the new base and the interval a gap.
 */
void energy_advance(struct energy_zone *zone, uint64_t raw_uj, uint64_t now_ns);

/* No socket, memory or platform that these counters measure can use more. */
#define ENERGY_PLAUSIBLE_WATTS 20000

#endif
