/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The groups of cgroups that samples tell of: a container with all that is nested in it, or a unit.
 * A group is known by its kind and name, and lives on when all its cgroups have ended: its totals go on
 * where they were when the name comes back.
 */
#ifndef DEEPMON_GROUPS_H
#define DEEPMON_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "identity.h"

struct group {
	enum identity_kind kind;
	bool named;	     /* its runtime gave the name; false: the name stands in for one */
	const char *runtime; /* static; NULL: not known */
	char *name;
	char *id; /* of the container that had the name last; "" for a system group */
	char *image, *version;
	struct account account;
	struct process *processes;	  /* list; of processes.h */
	struct account_sums untold;	  /* used, and in no report told of any of them */
	struct account_sums untold_fresh; /* of it, in the last report */

	struct footprint *footprint; /* of memory and block devices; NULL: nothing was read */

	uint32_t cgroups;      /* alive */
	bool reported;	       /* its end is in a report already */
	uint64_t ended_number; /* among those that ended: the lowest ended first */
	size_t index;	       /* in groups.all */

	unsigned name_tries;
	uint64_t next_try_ns; /* when to look for its name again, CLOCK_MONOTONIC */
};

/* Whose account that is. */
static inline struct group *group_of(struct account *account)
{
	return (struct group *)((char *)account - offsetof(struct group, account));
}

struct groups {
	struct group **all;
	size_t count, capacity;
	size_t ended_count, ended_most;
	uint64_t ended_number;
	uint64_t ended_unreported; /* dropped before any report told of their end; only grows */
	size_t socket_count;
	void *by_name, *by_id; /* tsearch trees */
};

void groups_init(struct groups *groups, size_t socket_count, size_t ended_most);
void groups_clear(struct groups *groups);

/* The group of a container by its id, as long as no later one took its name; NULL: none. */
struct group *groups_find_container(const struct groups *groups, const char *id);

/*
 * Adds a live cgroup to the group of that identity, made if need be. NULL: out of memory. A group that is
 * named takes the identity's id and image: a container that came back under its name has new ones.
 */
struct group *groups_join(struct groups *groups, const struct identity *identity);
/* Takes one away again. After the last the group has ended. */
void groups_leave(struct groups *groups, struct group *group);
/* Drops those that ended longest ago, until ended_most are left. */
void groups_forget_ended(struct groups *groups);

/*
 * Gives a group the name that was found for it. If another has that name, what `group` used is added to it
 * and `group` is freed: the caller moves its cgroups to the one returned. NULL: out of memory, no change.
 */
struct group *groups_name(struct groups *groups, struct group *group, const struct identity *identity);

enum part group_part(const struct group *group);

#endif
