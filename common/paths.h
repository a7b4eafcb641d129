/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Each group's HTTP transactions by role, method and path: what the kernel counted of each. What is told of
 * no path is its group's all the same.
 */
#ifndef DEEPMON_PATHS_H
#define DEEPMON_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/http_paths.h"
#include "latencies.h"

struct cgroup;
struct cgroups;

/* What a report tells of no path goes by this name. */
#define PATH_UNTOLD "(other)"

/* A path as text: each byte may be three, and a mark behind it. */
#define PATH_NAME_MAX (3 * HTTP_PATH_MOST + 8)

/* All requests of one role, method and path in a group. */
struct path {
	struct path *next;	       /* in its group */
	uint8_t side;		       /* enum net_side: what the group is to it */
	uint8_t method;		       /* enum http_method */
	bool telling;		       /* the report that is being made tells of it */
	uint64_t used_ns;	       /* when it was last seen to be used, CLOCK_MONOTONIC */
	struct net_transactions fresh; /* since the last report */
	struct net_transactions told;  /* in those reports that told of it */
	struct latencies *latencies;   /* since the last report; NULL: there were none yet */
	char name[];
};

/* A group's. All zero: it has none. */
struct path_list {
	struct path *first;
	void *by_name;			/* tsearch tree of the same */
	struct net_transactions untold; /* in no report told of any of them */
};

void path_list_clear(struct path_list *list);
/* Moves those of another group over; of the same name they become one. */
void path_list_absorb(struct path_list *to, struct path_list *from);

/* The kernel's side: maps of bpf/http_paths.bpf.h, two of them as memory. */
struct path_maps {
	struct path_row *rows;	 /* `most` and one more, the first nobody's */
	struct peer_slot *slots; /* by slot */
	bool *ready;		 /* no row is given before it is true; NULL: nobody asks */
	int row_by_path, free_rows;
};

/* What is kept of a row between samples. */
struct path_entry;

struct paths {
	struct path_maps maps;
	uint32_t most;	    /* rows, and names over all groups */
	uint32_t told;	    /* of each container, at most */
	uint32_t rows_used; /* one past the highest row that was ever seen in use */
	uint32_t rows_busy; /* rows that were seen in use at the last charge */
	uint32_t slack;	    /* rows past rows_used that are looked at, too */
	uint64_t refused;   /* times that a name found no room; only grows */

	size_t count;		    /* of names */
	struct path_entry *entries; /* by row */
	struct path **sorted;	    /* room for all names of a group */
};

/* -ENOMEM. All rows are free then, and are given to the kernel. */
int paths_init(struct paths *paths, const struct path_maps *maps, uint32_t most, uint32_t told,
	       uint32_t cpu_count);
void paths_clear(struct paths *paths);

/*
 * Takes what the kernel counted since the last call to each group's paths, and takes back rows: those of
 * cgroups that are gone and, when they get few, those that nobody uses. `owners`: the cgroup of each slot, or
 * NULL. Read before the slots, so that what the paths have is never more than what their group has.
 */
void paths_charge(struct paths *paths, const struct cgroups *cgroups, struct cgroup *const *owners,
		  uint32_t owner_count, uint64_t now_ns);

/* Of a page of the kind LATENCY_OF_PATH: to the path that has the row now. -ENOMEM. */
int paths_charge_latency(struct paths *paths, const struct cgroups *cgroups, struct latency_fresh *fresh);

/*
 * Marks those that a report tells of: those of the group that had most transactions since the last. `fresh`
 * are the group's own of HTTP since then; the rest of that goes to list->untold. After the report,
 * paths_told.
 */
void paths_choose(struct paths *paths, struct path_list *list, const struct net_transactions *fresh);

bool paths_is_nothing(const struct net_transactions *transactions);

/* What was used up to here is told, or is not to be. */
void paths_told(struct path_list *list);

/* "GET"; "other" for what RFC 9110 does not have. */
const char *path_method_name(uint8_t method);

/* A path as text: valid UTF-8 without control characters, the others' bytes as %XX, "..." behind a cut one.
 */
void path_write_name(const struct path_key *key, char name[PATH_NAME_MAX]);

#endif
