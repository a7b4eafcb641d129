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
#include "group_files.h"
#include "identity.h"
#include "paths.h"
#include "peers.h"
#include "resident.h"

struct group {
	enum identity_kind kind;
	bool named;	     /* its runtime gave the name; false: the name stands in for one */
	bool more;	     /* its labels are still to be asked for */
	bool in_pod;	     /* as the path of its last cgroup tells it */
	const char *runtime; /* static; NULL: not known */
	char *name;
	char *id;	 /* of the container that had the name last; "" for a system group */
	char *container; /* its name within its pod; "": it is in none */
	char *image, *version;
	int64_t user;		       /* whose manager it runs under; -1: nobody's */
	struct identity_label *labels; /* sorted by key */
	unsigned label_count;
	struct account account;
	struct process *processes;	  /* list; of processes.h */
	struct account_sums untold;	  /* used, and in no report told of any of them */
	struct account_sums untold_fresh; /* of it, in the last report */
	struct group_files files;	  /* of top_files.h */
	struct file_rest files_rest;

	struct peer_list peers; /* whom it talks with */
	struct path_list paths; /* its HTTP, by path */

	struct footprint *footprint; /* of memory and block devices; NULL: nothing was read */
	struct resident resident;    /* of those that live */

	uint32_t cgroups;      /* alive */
	uint32_t removed;      /* of them, those whose directory went */
	bool reported;	       /* its end is in a report already */
	uint64_t ended_number; /* among those that ended: the lowest ended first */
	size_t index;	       /* in groups.all */

	unsigned name_tries;
	uint64_t next_try_ns;  /* when to look for its name again, CLOCK_MONOTONIC */
	uint64_t name_written; /* when what told the name was written, as names_written has it */

	/* What reports tell of it: of told.h. */
	enum { GROUP_NOT_ASKED, GROUP_SELECTED, GROUP_PASSED_OVER } selected; /* by the options */
	bool telling, was_told;		/* one by one, in the last report and in the one before */
	bool counted;			/* what it used is in lines: its own, or (other) */
	struct account_sums *elsewhere; /* what was told in (other); NULL: nothing */
};

/* Whether the directory of one of its cgroups is still there. */
static inline bool group_lives(const struct group *group)
{
	return group->cgroups > group->removed;
}

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
	struct account_sums dropped[IDENTITY_CONTAINER + 1]; /* by kind: what no report told of those */
	struct latencies *dropped_latencies[IDENTITY_CONTAINER + 1]; /* likewise */
	uint64_t changes; /* how often a container came, or was named anew; only grows */
	bool nameless;	  /* a container came whose name is not known; cleared by who looks for it */
	size_t socket_count;
	void *by_name, *by_id; /* tsearch trees */
};

void groups_init(struct groups *groups, size_t socket_count, size_t ended_most);
void groups_clear(struct groups *groups);

/*
 * The group of a container by its id, as long as no later one took its name; NULL: none. Below a user's
 * manager anybody may be who he says, so that a user's own (-1: nobody's) are none but his.
 */
struct group *groups_find_container(const struct groups *groups, const char *id, int64_t user);

/*
 * Adds a live cgroup to the group of that identity, made if need be. NULL: out of memory. A group that is
 * named takes the identity's id and image: a container that came back under its name has new ones.
 */
struct group *groups_join(struct groups *groups, const struct identity *identity);
/* Takes one away again. After the last the group has ended. */
void groups_leave(struct groups *groups, struct group *group);
/* Drops those that ended longest ago, until ended_most are left. */
void groups_forget_ended(struct groups *groups);

/* Gives it the labels of the identity. */
void groups_label(struct group *group, const struct identity *identity);
/* NULL: it has none. */
const char *group_label(const struct group *group, const char *key);

/*
 * Of two containers that live with one name (of two daemons, say), the later gets a hash behind it. To be
 * called before an identity joins or is given.
 */
void groups_part(const struct groups *groups, struct identity *identity);

/*
 * Gives a group the identity that was found for it. One that had no name takes what it used along; if another
 * has the new name, that is added to it and `group` is freed. One that had a name, or turns out to be no
 * container, ends under it, and another goes on. The caller moves the cgroups to the one returned, before
 * `group` may be freed by anything else. NULL: out of memory, no change.
 */
struct group *groups_name(struct groups *groups, struct group *group, const struct identity *identity);

enum part group_part(const struct group *group);

#endif
