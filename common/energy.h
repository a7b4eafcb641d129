/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The energy counters of the hardware. Each kind of source (powercap, perf, msr, hwmon) is one file that
 * finds counters and reads them raw; energy_open.c chooses among the sources; energy.c turns raw readings
 * into energy used: wraps, gaps, anomalies.
 */
#ifndef DEEPMON_ENERGY_H
#define DEEPMON_ENERGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"

enum energy_domain {
	ENERGY_PACKAGE,	 /* a socket's processor: cores, uncore and caches */
	ENERGY_CORE,	 /* part of package: all its cores (RAPL's PP0) */
	ENERGY_UNCORE,	 /* part of package: graphics (RAPL's PP1) */
	ENERGY_DRAM,	 /* memory at the socket; not part of package */
	ENERGY_PSYS,	 /* the platform, by RAPL; contains packages, so never summed with them */
	ENERGY_PLATFORM, /* what the host draws, by a power meter; contains packages too */
	ENERGY_DOMAIN_COUNT,
};

const char *energy_domain_name(enum energy_domain domain); /* "package" */
/* A figure of the processors, which is divided among what ran on them; else one of the host as a whole. */
bool energy_is_divided(enum energy_domain domain);

#define ENERGY_SOCKET_NONE   (-1)
#define ENERGY_ZONE_NAME_MAX 64
#define ENERGY_QUIET_NS	     60000000000ull

/* One counter, and what was made of it. */
struct energy_zone {
	char name[ENERGY_ZONE_NAME_MAX]; /* unique: "package-0", "package-0-die-1", "package-0-dram" */
	const char *source;		 /* "powercap"; "simulated" for a tree that says that it is */
	enum energy_domain domain;
	int socket;		 /* physical package id, or ENERGY_SOCKET_NONE for the whole host */
	uint64_t range_uj;	 /* the counter goes from 0 to this and starts again; 0: it never wraps */
	uint64_t read_within_ns; /* the source's own need to be read this often; 0: none */

	uint64_t raw_uj;   /* the last reading that was taken */
	uint64_t read_ns;  /* when: CLOCK_MONOTONIC */
	bool has_reading;  /* raw_uj and read_ns hold one */
	bool failing;	   /* the last reading failed */
	bool failing_said; /* and that was said, once, until it is well again */
	uint64_t said_ns;  /* when it was said last: not again before ENERGY_QUIET_NS; 0: never */
	uint64_t unsaid;   /* times that it failed since and came back */
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

/* Sets name, domain and socket as powercap names its zones; die -1: the package is not told by its dies. */
void energy_zone_identify(struct energy_zone *zone, enum energy_domain domain, int package, int die);

#define ENERGY_WHY_MAX 768

/* Where sources look; none ends with a slash. */
struct energy_roots {
	const char *sys;  /* "/sys" */
	const char *proc; /* "/proc" */
	const char *dev;  /* "/dev" */
};

/* What a source found. */
struct energy_found {
	/* Malloced; name, source, domain, socket, range_uj and read_within_ns are set. */
	struct energy_zone *zones;
	size_t zone_count;
	void *context;		  /* the source's own */
	char why[ENERGY_WHY_MAX]; /* open failed: what is missing and what to do, for one line of a log */
};

/* What read() returns beside 0 and -errno. */
#define ENERGY_READ_ANEW 1

/* How a kind of source is asked. One static instance for each, in its own file, listed in energy_open.c. */
struct energy_source {
	const char *name;
	uint64_t capabilities; /* that reading takes, one bit each */
	const char *driver;    /* the command that loads what it reads, on bare metal */
	/*
	 * Finds counters under the roots. Each that is there and can't be used is said to the logger with the
	 * reason and the remedy. 0: at least one. -ENOENT: nothing of this kind here. -EACCES: some are, and
	 * none may be read. On failure nothing but `why` is set.
	 */
	int (*open)(const struct energy_roots *roots, const struct deepmon_logger *logger,
		    struct energy_found *found);
	/*
	 * The raw counter of zones[index]; zones are read in their order, time after time. ENERGY_READ_ANEW:
	 * it counts anew, and this reading can't be compared with those before. -errno if it can't be read
	 * now; -EINVAL if it is no number.
	 */
	int (*read)(void *context, size_t index, uint64_t *raw_uj);
	/* After read of zones[index] failed with `error`: what was read and what to do, for one line. */
	void (*explain)(void *context, size_t index, int error, char *why, size_t why_size);
	void (*close)(void *context);
};

/* In order of preference. */
extern const struct energy_source energy_powercap;
extern const struct energy_source energy_perf;
extern const struct energy_source energy_msr;
extern const struct energy_source energy_hwmon;

/* Of the option EnergySource: the words' numbers. Those from ENERGY_FROM_FIRST on are the sources above. */
enum { ENERGY_FROM_AUTO, ENERGY_FROM_FIRST, ENERGY_SOURCE_COUNT = 4, ENERGY_FROM_NONE };

struct energy_settings {
	struct energy_roots roots;
	uint32_t from; /* the option EnergySource */
};

struct energy;

/*
 * Opens the first source that has counters, or the one that is asked for; to it come the power meters of the
 * platform that hwmon has, for the host's figure. Which was taken and why others were not is said to the
 * logger: if the processors' energy can't be had, in one warning with the remedies. Even then there is a
 * handle, without any zones or with the platform's alone. -ENOMEM. Settings and logger are copied.
 */
int energy_open(struct energy **energy, const struct energy_settings *settings,
		const struct deepmon_logger *logger);
/* Reads every counter; each zone tells in `valid` whether it has a delta. */
void energy_read(struct energy *energy);
/* The zones, those of the source of the processors first; they stay where they are until energy_close. */
const struct energy_zone *energy_zones(const struct energy *energy, size_t *count);
/* Takes NULL. */
void energy_close(struct energy *energy);

/* One reading of a counter, as its source gave it. */
struct energy_reading {
	int result;	 /* of read() */
	uint64_t raw_uj; /* unless that is -errno */
	uint64_t now_ns; /* when: CLOCK_MONOTONIC */
};

/* Gets each reading that energy_read makes, by the number of its zone, before it is taken. */
typedef void energy_listener(void *user, size_t zone, const struct energy_reading *reading);
void energy_listen(struct energy *energy, energy_listener *hear, void *user);

/* Takes a reading of a zone, as energy_read does. */
void energy_take(struct energy *energy, size_t zone, const struct energy_reading *reading);
/* Zones that nothing but energy_take reads; they become the handle's on success. -ENOMEM. */
int energy_open_recorded(struct energy **energy, struct energy_zone *zones, size_t count,
			 const struct deepmon_logger *logger);

/* What came of one source. */
struct energy_verdict {
	const char *source; /* "perf" */
	bool used;
	int error;		   /* of its open; 0: used, or not asked */
	char text[ENERGY_WHY_MAX]; /* what it gives, or what is missing and what to do, or why it was not
				      asked */
};

/*
 * Makes findings of the verdicts, and of each zone by what it said when it was read last. Zones that a source
 * did not take it has told of itself, under the subject "zone".
 */
void energy_find(const struct energy *energy, const struct deepmon_logger *logger);

/* One for each source there is, in order of preference; they stay until energy_close. */
size_t energy_verdicts(const struct energy *energy, const struct energy_verdict **verdicts);

/* Readings closer together than this leave no wrap in doubt and no source unread. UINT64_MAX: any do. */
uint64_t energy_read_within_ns(const struct energy *energy);

/* CLOCK_MONOTONIC, as in read_ns. */
uint64_t energy_clock_ns(void);

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
