/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The cgroups that are there, and the group that each belongs to.
 */
#ifndef DEEPMON_CGROUPS_H
#define DEEPMON_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "groups.h"
#include "hierarchy.h"
#include "names.h"

struct cgroup {
	uint64_t id;
	struct group *group;
	uint32_t slot;	     /* in the kernel's accounting; 0: it has none yet */
	uint64_t cpu_ns;     /* over its life as seen */
	uint64_t removed_ns; /* when its directory went, CLOCK_MONOTONIC; 0: it is there */
	unsigned walk;	     /* the last walk that found it */
	struct cgroup *next; /* in cgroups.removed */

	/* Of a topmost cgroup of its group, where files are read of those. */
	char *path; /* from the hierarchy's root, beginning with '/'; NULL: it is none */
	struct footprint_place *place;
	uint64_t usage_ns; /* CPU time by its file, with all that is nested in it, where that is read */
	bool usage_known;
	int64_t own_ns;	  /* of it its own and not charged yet; negative: charged too early */
	bool held_others; /* and was left out of a report for that */
};

struct cgroups {
	const struct hierarchy *hierarchy;
	const struct names *names;
	struct groups *groups;
	void *by_id;	  /* tsearch tree */
	void *by_path;	  /* the same, of the topmost ones that are there */
	bool keeps_paths; /* of those, for their files to be read */
	size_t count, most;
	unsigned walk;
	struct cgroup *removed;	   /* those to be retired */
	struct recorder *recorder; /* notes what is found; NULL: nothing does */
	struct player *player;	   /* tells of what is there, in place of the hierarchy; NULL: nothing does */
	uint64_t names_later_ns;   /* until when names are left to the namer, CLOCK_MONOTONIC */
};

/* At most `most` cgroups are known at a time; one past them is found when it runs, if there is room then. */
void cgroups_init(struct cgroups *cgroups, const struct hierarchy *hierarchy, const struct names *names,
		  struct groups *groups, size_t most);
void cgroups_clear(struct cgroups *cgroups);

/* NULL: not known. */
struct cgroup *cgroups_find(const struct cgroups *cgroups, uint64_t id);

/* It was made at that path from the hierarchy's root; what is known already is left alone. NULL: no room. */
struct cgroup *cgroups_add(struct cgroups *cgroups, uint64_t id, const char *path);
/* Its directory went. */
void cgroups_remove(struct cgroups *cgroups, uint64_t id, uint64_t now_ns);
/* Forgets one that has been removed and is in cgroups.removed no longer. Its group may end with it. */
void cgroups_forget(struct cgroups *cgroups, struct cgroup *cgroup);

/* Walks the hierarchy: adds what is there, removes what is not. For the start, and after lost events. */
void cgroups_search(struct cgroups *cgroups, uint64_t now_ns);

/* Gets each topmost cgroup of a group that is there, if paths are kept, those above before what is below. */
typedef void cgroups_visitor(void *user, struct cgroup *cgroup, bool holds_others);
void cgroups_each_topmost(const struct cgroups *cgroups, cgroups_visitor *visit, void *user);

/*
 * Whether what files tell of a topmost cgroup, with all that is nested in it, is its group's. That of a
 * system group in which others are nested (a slice) is theirs, and the root's is the whole host's.
 */
bool cgroup_is_its_own(const struct cgroup *cgroup, bool holds_others);
/* Whether a topmost cgroup, by its path, is below another. */
bool cgroup_is_below(const struct cgroup *cgroup, const struct cgroup *above);

/* Moves all cgroups of one group to another. */
void cgroups_regroup(struct cgroups *cgroups, const struct group *from, struct group *to);

#endif
