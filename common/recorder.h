/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Writes a recording: between the sources and the ledger, it notes all that the one says to the other, in its
 * order. See recording.h.
 *
 * All functions but recorder_write are to be called under the collector's lock and only add to memory. All
 * take NULL, for nothing is recorded then.
 */
#ifndef DEEPMON_RECORDER_H
#define DEEPMON_RECORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "deepmon.h"
#include "energy.h"
#include "identity.h"
#include "recording.h"

struct block;
struct block_readings;
struct memory_reading;
struct recorder;
struct resident;
struct topology;

/*
 * Makes the file that the option Record names; one that is there gets ".old" behind its name. What stood in
 * the way is said to the logger. -errno. *recorder is NULL, and that is no failure, if nothing is to be
 * recorded.
 */
int recorder_open(struct recorder **recorder, const struct deepmon_options *options,
		  const struct deepmon_logger *logger);
/* Writes what is whole and was not written yet. */
void recorder_close(struct recorder *recorder);

/* What is noted: for those who know themselves how to write it down. NULL: nothing is. */
struct recording_out *recorder_notes(struct recorder *recorder);

/* The host and the options: begins the setup. */
void recorder_host(struct recorder *recorder, const struct deepmon_options *options);
void recorder_zone(struct recorder *recorder, const struct energy_zone *zone);
/* When it is not as it was the last time. */
void recorder_topology(struct recorder *recorder, const struct topology *topology);

void recorder_created(struct recorder *recorder, uint64_t cgroup_id, const char *path);
void recorder_removed(struct recorder *recorder, uint64_t cgroup_id, uint64_t now_ns);
void recorder_search(struct recorder *recorder, uint64_t now_ns);
void recorder_found(struct recorder *recorder, uint64_t cgroup_id, const char *path);
void recorder_searched(struct recorder *recorder, bool whole);
void recorder_name(struct recorder *recorder, const char *id, const struct identity *identity);
void recorder_renamed(struct recorder *recorder, const char *id, const struct identity *identity);
/* A listener of energy.h. */
void recorder_energy(void *recorder, size_t zone, const struct energy_reading *reading);
/* `unseen` and `off` as in struct attribution. */
void recorder_charge(struct recorder *recorder, uint64_t now_ns, uint32_t unseen, uint32_t off);
void recorder_choose(struct recorder *recorder, uint64_t now_ns, bool first);
/* Either reading may be NULL. */
void recorder_footprint(struct recorder *recorder, uint64_t cgroup_id, const struct memory_reading *memory,
			const struct block_readings *readings, const struct block *block);
void recorder_resident(struct recorder *recorder, uint64_t cgroup_id, const struct resident *resident);
void recorder_begin(struct recorder *recorder, uint64_t now_ns);
void recorder_tell(struct recorder *recorder, uint64_t now_ns, uint64_t time_ns,
		   const struct deepmon_self_cost *self, uint64_t valid);

/* What was noted since the last is one frame. */
void recorder_frame(struct recorder *recorder, enum recording_frame kind, uint64_t time_ns);
/* Without the lock: writes the frames that are whole to the file. */
void recorder_write(struct recorder *recorder, pthread_mutex_t *lock);

#endif
