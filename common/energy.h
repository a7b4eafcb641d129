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

	uint64_t raw_uj;   /* the last reading that was taken */
	uint64_t read_ns;  /* when: CLOCK_MONOTONIC */
	bool has_reading;  /* raw_uj and read_ns hold one */
	bool failing;	   /* the last reading failed: said once, until it is well again */
	bool anomaly_said; /* the first anomaly was said; the others are only counted */

	/* What the last energy_read found. */
	bool valid;	     /* delta_uj and elapsed_ns (never 0) hold; clear: a gap */
	uint64_t delta_uj;   /* energy used since the reading before */
	uint64_t elapsed_ns; /* time between the two */

	/* Since energy_open; they only grow. */
	uint64_t total_uj;
	uint64_t wraps;
	uint64_t anomalies;
};

#define ENERGY_WHY_MAX 768

/* What a source found. */
struct energy_found {
	struct energy_zone *zones; /* malloced; name, source, domain, socket and range_uj are set */
	size_t zone_count;
	void *context;		  /* the source's own */
	char why[ENERGY_WHY_MAX]; /* open failed: what is missing and what to do, for one line of a log */
};

/* How a kind of source is asked. One static instance for each, in its own file, listed in energy.c. */
struct energy_source {
	const char *name;
	/*
	 * Finds counters under sys_root ("/sys"). Each that is there and can't be used is said to the logger
	 * with the reason and the remedy. 0: at least one. -ENOENT: nothing of this kind here. -EACCES: some
	 * are, and none may be read. On failure nothing but `why` is set.
	 */
	int (*open)(const char *sys_root, const struct deepmon_logger *logger, struct energy_found *found);
	/* The raw counter of zones[index]. -errno if it can't be read now; -EINVAL if it is no number. */
	int (*read)(void *context, size_t index, uint64_t *raw_uj);
	/* After read of zones[index] failed with `error`: what was read and what to do, for one line. */
	void (*explain)(void *context, size_t index, int error, char *why, size_t why_size);
	void (*close)(void *context);
};

extern const struct energy_source energy_powercap;

struct energy;

/*
 * Opens the first source that has counters. -ENOENT: none has; -EACCES: those there are may not be read.
 * Either was said to the logger, once, with the remedy. The logger is copied.
 */
int energy_open(struct energy **energy, const char *sys_root, const struct deepmon_logger *logger);
/* Reads every counter; each zone tells in `valid` whether it has a delta. */
void energy_read(struct energy *energy);
/* The zones; they stay where they are until energy_close. */
const struct energy_zone *energy_zones(const struct energy *energy, size_t *count);
/* Takes NULL. */
void energy_close(struct energy *energy);

/* Readings closer together than this leave no wrap in doubt, by the rule below. UINT64_MAX: any do. */
uint64_t energy_read_within_ns(const struct energy *energy);

/*
 * The rule, pure: takes the reading raw_uj made at now_ns into the zone.
 *
 * What a counter shows fixes the energy used only up to whole ranges: forward, range_uj more, twice that
 * more, and so on. Those that take more power than the domain can (energy_plausible_watts) are ruled out,
 * and one must be left. Then it is the delta, and counts as a wrap if it is more than the step seen.
 * None left (a counter that was set back, or jumped) or several (not read for so long that it may have
 * wrapped unseen) is an anomaly: the interval is a gap, and the reading the new base. So a delta is right
 * or absent however long ago the last reading was; energy_read_within_ns tells how long never matters.
 *
 * A reading above range_uj is none of this counter: an anomaly, and not taken, so that the next good one
 * still has the energy since the last good one. Nor is one at the time of the last (no power can be told
 * of it); that is no anomaly. A zone without range_uj never wraps: each step back is an anomaly.
 *
 * A wrap counts range - before + now, as readers of powercap do. The hardware takes one step more, from
 * range to 0; the step is not told (15 to 61 uJ on most), so a wrap leaves out that much.
 */
void energy_advance(struct energy_zone *zone, uint64_t raw_uj, uint64_t now_ns);

/*
 * More than the domain can use over any interval. Low enough to tell a counter that was set back from one
 * that wrapped, and to leave a range of 65.5 kJ (32 bits of 15.3 uJ) unambiguous for half a minute.
 */
unsigned energy_plausible_watts(enum energy_domain domain);

#endif
