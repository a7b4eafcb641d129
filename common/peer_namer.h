/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Finds what the endpoints are called that containers talk with: which container has the address, and who
 * answers where addresses are translated. A thread of its own, off the way of samples.
 */
#ifndef DEEPMON_PEER_NAMER_H
#define DEEPMON_PEER_NAMER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cgroups.h"
#include "log.h"
#include "root.h"
#include "worker.h"

/* A container's cgroup whose addresses were read. */
struct peer_namer_place;

struct peer_namer {
	struct cgroups *cgroups; /* keeps the paths of its topmost ones */
	struct peers *peers;
	struct deepmon_logger logger;
	char proc_root[ROOT_PATH_MAX];
	pthread_mutex_t *lock; /* of cgroups and peers, and of what follows */
	struct worker worker;

	/* The thread's own. */
	struct peer_namer_place *places; /* sorted by their cgroup's id */
	size_t place_count;
	uint64_t next_conntrack_ns;
	bool conntrack_refused;
};

/* Starts it; what is passed must outlive it. -errno of what failed. */
int peer_namer_start(struct peer_namer *namer, struct cgroups *cgroups, struct peers *peers,
		     const struct deepmon_options *options, const struct deepmon_logger *logger,
		     pthread_mutex_t *lock);
/* Without the lock. May wait for a look that is under way. */
void peer_namer_stop(struct peer_namer *namer);

#endif
