/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Inside of struct deepmon, shared by collector.c, sources.c and sampler.c, which measure this host, and
 * replay.c, which plays a recording of one to the same ledger.
 */
#ifndef DEEPMON_COLLECTOR_H
#define DEEPMON_COLLECTOR_H

#include <pthread.h>

#include "attribution.h"
#include "cgroup_cpu.h"
#include "cgroup_events.h"
#include "findings.h"
#include "footprint.h"
#include "latency.h"
#include "limits.h"
#include "log_limit.h"
#include "namer.h"
#include "peer_namer.h"
#include "player.h"
#include "recorder.h"
#include "root.h"
#include "sample.h"
#include "self_meter.h"
#include "surveyor.h"
#include "top_files.h"

/* Where a replay is. */
struct replay {
	struct recording_fields fields[RECORDING_FIGURES];
	bool choosing;	   /* a report is under way */
	uint64_t until_ns; /* reports before that are not told */
	bool told;	   /* the last frame was a report, and it was */
	bool failed;	   /* it was, and did not succeed */
	int damage;	   /* what ended it: -errno */
};

struct deepmon {
	struct deepmon_options options;
	struct log_limit log_limit;
	struct findings findings;     /* handed on within that limit */
	struct deepmon_logger logger; /* which makes them */
	struct hierarchy hierarchy;
	struct names names;
	struct namer namer;
	struct peer_namer peer_namer;
	struct surveyor surveyor;
	struct told told;
	char sys_root[ROOT_PATH_MAX];
	struct topology topology;
	pthread_t thread;
	bool has_thread;
	int epoll_fd, timer_fd, stop_fd;

	struct player *player; /* of a replay: all comes from it; NULL: this host is measured */
	struct replay replay;

	pthread_mutex_t lock;
	struct recorder *recorder; /* NULL: nothing is recorded */
	struct counters counters;
	struct kernel *kernel;
	struct cgroup_cpu *cgroup_cpu; /* in its place, where eBPF is not allowed */
	struct cgroup_events *events;
	struct network *network;
	struct file_io *file_io;
	struct latency *latency;
	struct energy *energy;
	struct groups groups;
	struct cgroups cgroups;
	struct processes processes;
	struct peers peers;
	struct paths paths;
	struct top_files top_files;
	struct attribution attribution;
	struct footprints footprints;
	uint64_t events_dropped;
	uint32_t hooks_said; /* a bit for each source whose programs came off, which is said once */
	uint64_t last_report_ns;
	bool new_cpus_said;
	bool reading;	    /* files, without the lock: nothing may be forgotten meanwhile */
	bool sample_missed; /* for that */
	struct self_meter self;
	struct limits limits;
	struct sample sample;
};

/* The ledger: from the options and what the sources are, with nothing in it. -errno. */
int collector_open_ledger(struct deepmon *collector, size_t zone_count);
void collector_close_ledger(struct deepmon *collector);

/* Opens what this host is measured by. -ENODEV: it offers neither CPU time nor energy. */
int collector_open_sources(struct deepmon *collector);
/* None, if energy is not measured. */
const struct energy_zone *collector_zones(const struct deepmon *collector, size_t *count);
/* Whether anything tells whose CPU time it is. */
bool collector_has_time(const struct deepmon *collector);
/* Whether the options ask for files by their names. */
bool collector_tells_files(const struct deepmon *collector);

/* The thread that samples. -errno. */
int collector_start_thread(struct deepmon *collector);
/* Of cgroup_events: one came or went. `user` is the collector. */
void collector_hear(void *user, const struct cgroup_event *event);
/* Attaches again what came off its hooks, and tells the ledger. Under the lock. */
void collector_mend_hooks(struct deepmon *collector);
/* Brings everything up to now. Under the lock. */
void collector_take_sample(struct deepmon *collector);
/* A sample whose time has come. Under the lock, as all that forgets cgroups. */
void collector_take_turn(struct deepmon *collector);
/*
 * What cgroups' files tell, for a report. Under the lock, but for the reading: events are heard meanwhile,
 * and a sample whose turn comes is taken after it.
 */
void collector_read_footprints(struct deepmon *collector, uint64_t now_ns, bool first);

/* Begins to record, if the options ask for it. Before the ledger is opened. */
void collector_open_recorder(struct deepmon *collector);
/* Before each charge: what the ledger then reads is noted. */
void collector_capture(struct deepmon *collector, uint64_t now_ns);

/* A collector without anything in it yet; deepmon_close frees it. NULL: out of memory. */
struct deepmon *collector_new(const struct deepmon_options *options, const struct deepmon_logger *logger);

/* deepmon_open_replay with a player, which becomes the collector's, even on failure. */
int replay_open(struct deepmon **collector, struct player *player, const struct deepmon_options *options,
		const struct deepmon_logger *logger);
/* Opens the sources that the recording's setup tells of, and the ledger. -errno. */
int replay_setup(struct deepmon *collector);
/* A record of which CPU is in which socket, the first one or a later one. -EBADMSG. */
int replay_topology(struct topology *topology, struct recording_in *record, bool again);
/* deepmon_read, of a replay. */
int replay_read(struct deepmon *collector, uint64_t until_ns, const struct deepmon_sample **sample);

#endif
