/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The cgroups that are there. Reads the hierarchy's directories, and through names.h what runtimes wrote.
 */
#include "cgroups.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "footprint.h"
#include "player.h"
#include "recorder.h"

static int compare_ids(const void *a, const void *b)
{
	const struct cgroup *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

/* '/' before all else, so that nothing stands between a path and those below it. Ids part what is alike. */
static int compare_paths(const void *a, const void *b)
{
	const struct cgroup *left = a, *right = b;
	const unsigned char *l = (const unsigned char *)left->path, *r = (const unsigned char *)right->path;

	while (*l && *l == *r)
		l++, r++;
	if (*l == *r)
		return compare_ids(a, b);
	return (*l == '/' ? 1 : *l * 2) - (*r == '/' ? 1 : *r * 2);
}

static void cgroup_free(void *node)
{
	struct cgroup *cgroup = node;

	footprint_place_free(cgroup->place);
	free(cgroup->path);
	free(cgroup);
}

static void keep(void *node)
{
	(void)node;
}

void cgroups_init(struct cgroups *cgroups, const struct hierarchy *hierarchy, const struct names *names,
		  struct groups *groups, size_t most)
{
	*cgroups = (struct cgroups){.hierarchy = hierarchy, .names = names, .groups = groups, .most = most};
}

void cgroups_clear(struct cgroups *cgroups)
{
	tdestroy(cgroups->by_path, keep);
	tdestroy(cgroups->by_id, cgroup_free);
	*cgroups = (struct cgroups){0};
}

struct cgroup *cgroups_find(const struct cgroups *cgroups, uint64_t id)
{
	struct cgroup key = {.id = id};
	struct cgroup *const *node = tfind(&key, &cgroups->by_id, compare_ids);

	return node ? *node : NULL;
}

#define SLOW_NS	 50000000ull
#define LATER_NS 10000000000ull

/* At once, as a name that comes a moment later makes two series. From a disk that is busy they come later. */
static void read_name(struct cgroups *cgroups, struct identity *identity)
{
	uint64_t began_ns, ended_ns;
	char id[IDENTITY_ID_MAX];

	if (cgroups->player) {
		player_name(cgroups->player, identity);
		return;
	}
	began_ns = clock_ns(CLOCK_MONOTONIC);
	if (began_ns < cgroups->names_later_ns)
		return;
	strcpy(id, identity->id);
	if (names_read(cgroups->names, identity) == 0)
		recorder_name(cgroups->recorder, id, identity);
	ended_ns = clock_ns(CLOCK_MONOTONIC);
	if (ended_ns - began_ns > SLOW_NS)
		cgroups->names_later_ns = ended_ns + LATER_NS;
}

/*
 * The group of the cgroup at that path. A container that lives keeps the name it has; one that comes back may
 * have got another one meanwhile.
 */
static struct group *join(struct cgroups *cgroups, const char *path)
{
	const struct group *known;
	struct identity identity;

	names_identify(cgroups->names, path, &identity);
	if (identity.kind != IDENTITY_CONTAINER)
		return groups_join(cgroups->groups, &identity);
	known = groups_find_container(cgroups->groups, identity.id, identity.user);
	if (known && (!known->named || known->kind != identity.kind))
		known = NULL;
	if (!identity.named && !(known && group_lives(known)))
		read_name(cgroups, &identity);
	if (known && (group_lives(known) || !identity.named)) {
		strcpy(identity.name, known->name);
		identity.named = true;
		return groups_join(cgroups->groups, &identity);
	}
	groups_part(cgroups->groups, &identity);
	return groups_join(cgroups->groups, &identity);
}

/* Whether the cgroup above it belongs to the same group. */
static bool is_nested(const struct names *names, const char *path)
{
	char above[CGROUP_PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct identity outer, own;

	if (!slash || !slash[1])
		return false;
	snprintf(above, sizeof(above), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	names_identify(names, path, &own);
	names_identify(names, above, &outer);
	return own.kind == outer.kind && (own.kind == IDENTITY_CONTAINER ? strcmp(own.id, outer.id) == 0
									 : strcmp(own.name, outer.name) == 0);
}

/* Without memory for it, it is as if it were nested. */
static void keep_path(struct cgroups *cgroups, struct cgroup *cgroup, const char *path)
{
	if (!cgroups->keeps_paths || is_nested(cgroups->names, path))
		return;
	cgroup->path = strdup(path);
	if (cgroup->path && !tsearch(cgroup, &cgroups->by_path, compare_paths)) {
		free(cgroup->path);
		cgroup->path = NULL;
	}
}

struct cgroup *cgroups_add(struct cgroups *cgroups, uint64_t id, const char *path)
{
	struct cgroup *cgroup = cgroups_find(cgroups, id);

	if (cgroup)
		return cgroup;
	if (cgroups->count >= cgroups->most)
		return NULL;
	cgroup = calloc(1, sizeof(*cgroup));
	if (!cgroup)
		return NULL;
	cgroup->id = id;
	cgroup->walk = cgroups->walk;
	cgroup->group = join(cgroups, path);
	if (!cgroup->group) {
		free(cgroup);
		return NULL;
	}
	if (!tsearch(cgroup, &cgroups->by_id, compare_ids)) {
		groups_leave(cgroups->groups, cgroup->group);
		free(cgroup);
		return NULL;
	}
	cgroups->count++;
	keep_path(cgroups, cgroup, path);
	return cgroup;
}

static void mark_removed(struct cgroups *cgroups, struct cgroup *cgroup, uint64_t now_ns)
{
	if (cgroup->removed_ns)
		return;
	cgroup->removed_ns = now_ns;
	cgroup->group->removed++;
	if (cgroup->path)
		tdelete(cgroup, &cgroups->by_path, compare_paths);
	cgroup->next = cgroups->removed;
	cgroups->removed = cgroup;
}

void cgroups_remove(struct cgroups *cgroups, uint64_t id, uint64_t now_ns)
{
	struct cgroup *cgroup = cgroups_find(cgroups, id);

	if (cgroup)
		mark_removed(cgroups, cgroup, now_ns);
}

void cgroups_forget(struct cgroups *cgroups, struct cgroup *cgroup)
{
	tdelete(cgroup, &cgroups->by_id, compare_ids);
	cgroups->count--;
	cgroup->group->removed--;
	groups_leave(cgroups->groups, cgroup->group);
	cgroup_free(cgroup);
}

static void found(void *user, uint64_t id, const char *path)
{
	struct cgroups *cgroups = user;
	struct cgroup *cgroup;

	recorder_found(cgroups->recorder, id, path);
	cgroup = cgroups_add(cgroups, id, path);
	if (cgroup)
		cgroup->walk = cgroups->walk;
}

struct search {
	struct cgroups *cgroups;
	uint64_t now_ns;
};

static void remove_if_missed(const void *node, VISIT visit, void *closure)
{
	struct cgroup *cgroup = *(struct cgroup *const *)node;
	const struct search *search = closure;

	if ((visit == postorder || visit == leaf) && cgroup->walk != search->cgroups->walk)
		mark_removed(search->cgroups, cgroup, search->now_ns);
}

void cgroups_search(struct cgroups *cgroups, uint64_t now_ns)
{
	struct search search = {cgroups, now_ns};
	int r;

	cgroups->walk++;
	recorder_search(cgroups->recorder, now_ns);
	r = cgroups->player ? player_search(cgroups->player, found, cgroups)
			    : hierarchy_walk(cgroups->hierarchy, found, cgroups);
	recorder_searched(cgroups->recorder, r == 0);
	/* Cut short, the walk has not shown that what it missed is gone. */
	if (r == 0)
		twalk_r(cgroups->by_id, remove_if_missed, &search);
}

struct visiting {
	cgroups_visitor *visit;
	void *user;
	struct cgroup *before;
};

/* In the order of compare_paths all that is below one's path follows it at once. NULL: no more follow. */
static void visit_before(struct visiting *visiting, struct cgroup *cgroup)
{
	struct cgroup *before = visiting->before;

	visiting->before = cgroup;
	if (before)
		visiting->visit(visiting->user, before, cgroup && cgroup_is_below(cgroup, before));
}

static void visit_topmost(const void *node, VISIT visit, void *closure)
{
	if (visit == postorder || visit == leaf)
		visit_before(closure, *(struct cgroup *const *)node);
}

void cgroups_each_topmost(const struct cgroups *cgroups, cgroups_visitor *visit, void *user)
{
	struct visiting visiting = {visit, user, NULL};

	twalk_r(cgroups->by_path, visit_topmost, &visiting);
	visit_before(&visiting, NULL);
}

bool cgroup_is_its_own(const struct cgroup *cgroup, bool holds_others)
{
	return cgroup->group->kind == IDENTITY_CONTAINER || (!holds_others && strcmp(cgroup->path, "/") != 0);
}

bool cgroup_is_below(const struct cgroup *cgroup, const struct cgroup *above)
{
	size_t length = strcmp(above->path, "/") ? strlen(above->path) : 0;

	return strncmp(cgroup->path, above->path, length) == 0 && cgroup->path[length] == '/' &&
	       cgroup->path[length + 1];
}

struct regrouping {
	const struct group *from;
	struct group *to;
};

static void regroup(const void *node, VISIT visit, void *closure)
{
	struct cgroup *cgroup = *(struct cgroup *const *)node;
	const struct regrouping *regrouping = closure;

	if ((visit == postorder || visit == leaf) && cgroup->group == regrouping->from)
		cgroup->group = regrouping->to;
}

void cgroups_regroup(struct cgroups *cgroups, const struct group *from, struct group *to)
{
	struct regrouping regrouping = {from, to};

	if (from != to)
		twalk_r(cgroups->by_id, regroup, &regrouping);
}
