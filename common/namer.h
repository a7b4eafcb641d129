/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Finds the names that were not there when their containers came, and those that change. A thread of its own,
 * so that a runtime that answers late, or never, holds up nothing but its containers' names.
 */
#ifndef DEEPMON_NAMER_H
#define DEEPMON_NAMER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cgroups.h"
#include "groups.h"
#include "names.h"
#include "worker.h"

struct namer {
	const struct names *names;
	const struct deepmon_logger *logger;
	struct groups *groups;
	struct cgroups *cgroups;
	pthread_mutex_t *lock; /* of groups and cgroups, and of what follows */
	struct worker worker;
	struct recorder *recorder; /* notes what is found; NULL: nothing does */
	uint64_t quiet_until_ns;   /* until when no runtime is asked, since one did not answer */
	uint64_t next_look_ns;	   /* when to look for names that changed */
	size_t looked;		   /* how far that got among the groups */
	bool silent;		   /* and that Docker does not answer; the thread's own, as is what follows */
	bool denied;		   /* the log has it that names can't be read */
	uint64_t next_check_ns;	   /* when to look whether they can */
	bool asking;		   /* it is with a runtime, without the lock */
};

/* Starts it; what is passed must outlive it. -errno of what failed. */
int namer_start(struct namer *namer, const struct names *names, struct groups *groups,
		struct cgroups *cgroups, struct recorder *recorder, const struct deepmon_logger *logger,
		pthread_mutex_t *lock);
/* Without the lock. May wait for a runtime that is being asked, some tenths of a second. */
void namer_stop(struct namer *namer);

/* Gives the name that was found to the container that has the id. */
void namer_take_up(struct groups *groups, struct cgroups *cgroups, struct identity *identity, const char *id);

/* Under the lock, after cgroups came: if there are containers without a name, they are looked for at once. */
void namer_wake(struct namer *namer);

/* Under the lock: whether each container was looked for once, since it came or since there is news of it. */
bool namer_is_settled(const struct namer *namer);

#endif
