/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The groups of cgroups that samples tell of. Memory only: no I/O, no clock.
 */
#include "groups.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "footprint.h"
#include "processes.h"

static int compare_names(const void *a, const void *b)
{
	const struct group *left = a, *right = b;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	return strcmp(left->name, right->name);
}

static int compare_ids(const void *a, const void *b)
{
	const struct group *left = a, *right = b;

	return strcmp(left->id, right->id);
}

static struct group *find(void *const *tree, const struct group *key,
			  int (*compare)(const void *, const void *))
{
	struct group *const *node = tfind(key, tree, compare);

	return node ? *node : NULL;
}

static struct group *find_name(const struct groups *groups, enum identity_kind kind, const char *name)
{
	struct group key = {.kind = kind, .name = (char *)name};

	return find(&groups->by_name, &key, compare_names);
}

struct group *groups_find_container(const struct groups *groups, const char *id)
{
	struct group key = {.id = (char *)id};

	return find(&groups->by_id, &key, compare_ids);
}

void groups_init(struct groups *groups, size_t socket_count, size_t ended_most)
{
	*groups = (struct groups){.socket_count = socket_count, .ended_most = ended_most};
}

static void group_free(struct group *group)
{
	free(group->name);
	free(group->id);
	free(group->image);
	free(group->version);
	free(group->account.claims);
	process_free_all(group->processes);
	footprint_free(group->footprint);
	free(group);
}

static void keep(void *node)
{
	(void)node;
}

void groups_clear(struct groups *groups)
{
	tdestroy(groups->by_name, keep);
	tdestroy(groups->by_id, keep);
	for (size_t i = 0; i < groups->count; i++)
		group_free(groups->all[i]);
	free(groups->all);
	memset(groups, 0, sizeof(*groups));
}

/* Of two containers alive with one id (a cgroup of each runtime that names it), the first keeps it. */
static void forget_id(struct groups *groups, struct group *group)
{
	if (*group->id && groups_find_container(groups, group->id) == group)
		tdelete(group, &groups->by_id, compare_ids);
}

static void remember_id(struct groups *groups, struct group *group)
{
	if (*group->id)
		tsearch(group, &groups->by_id, compare_ids);
}

static void drop(struct groups *groups, struct group *group)
{
	struct group *last = groups->all[--groups->count];

	last->index = group->index;
	groups->all[group->index] = last;
	tdelete(group, &groups->by_name, compare_names);
	forget_id(groups, group);
	group_free(group);
}

static bool set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return false;
	free(*text);
	*text = copy;
	return true;
}

/* What a container that came back under its name has anew. */
static void refresh(struct groups *groups, struct group *group, const struct identity *identity)
{
	forget_id(groups, group);
	set_text(&group->id, identity->id);
	set_text(&group->image, identity->image);
	set_text(&group->version, identity->version);
	group->runtime = identity->runtime;
	group->named = identity->named;
	remember_id(groups, group);
}

static bool make_room(struct groups *groups)
{
	if (groups->count < groups->capacity)
		return true;

	size_t capacity = groups->capacity ? groups->capacity * 2 : 64;
	struct group **all = reallocarray(groups->all, capacity, sizeof(*all));

	if (!all)
		return false;
	groups->all = all;
	groups->capacity = capacity;
	return true;
}

static struct group *add(struct groups *groups, const struct identity *identity)
{
	struct group *group = make_room(groups) ? calloc(1, sizeof(*group)) : NULL;

	if (!group)
		return NULL;
	group->kind = identity->kind;
	group->runtime = identity->runtime;
	group->named = identity->named;
	group->name = strdup(identity->name);
	group->id = strdup(identity->id);
	group->image = strdup(identity->image);
	group->version = strdup(identity->version);
	group->account.claims = calloc(groups->socket_count, sizeof(struct account_claim));
	if (!group->name || !group->id || !group->image || !group->version || !group->account.claims ||
	    !tsearch(group, &groups->by_name, compare_names)) {
		group_free(group);
		return NULL;
	}
	remember_id(groups, group);
	group->index = groups->count;
	groups->all[groups->count++] = group;
	return group;
}

struct group *groups_join(struct groups *groups, const struct identity *identity)
{
	struct group *group = find_name(groups, identity->kind, identity->name);

	if (!group)
		group = add(groups, identity);
	else if (strcmp(group->id, identity->id) != 0)
		refresh(groups, group, identity);
	if (!group)
		return NULL;
	if (group->cgroups++ == 0) {
		groups->ended_count -= group->ended_number != 0;
		group->ended_number = 0;
		group->name_tries = 0;
		group->next_try_ns = 0;
	}
	return group;
}

void groups_leave(struct groups *groups, struct group *group)
{
	if (--group->cgroups)
		return;
	group->ended_number = ++groups->ended_number;
	group->reported = false;
	groups->ended_count++;
}

static void drop_longest_ended(struct groups *groups)
{
	struct group *longest = NULL;

	for (size_t i = 0; i < groups->count; i++) {
		struct group *group = groups->all[i];

		if (group->ended_number && (!longest || group->ended_number < longest->ended_number))
			longest = group;
	}
	if (!longest)
		return;
	groups->ended_count--;
	groups->ended_unreported += !longest->reported;
	drop(groups, longest);
}

void groups_forget_ended(struct groups *groups)
{
	while (groups->ended_count > groups->ended_most)
		drop_longest_ended(groups);
}

/* What `from` used becomes `to`'s. Between intervals there are no claims to add. */
static void absorb(struct group *to, struct group *from)
{
	account_sums_add(&to->account.used, &from->account.used);
	account_sums_add(&to->account.reported, &from->account.reported);
	account_sums_add(&to->untold, &from->untold);
	process_absorb_all(&to->processes, &from->processes);
	footprint_absorb(&to->footprint, &from->footprint);
}

struct group *groups_name(struct groups *groups, struct group *group, const struct identity *identity)
{
	struct group *same = find_name(groups, identity->kind, identity->name);

	if (same && same == group) {
		refresh(groups, group, identity);
		return group;
	}
	if (same) {
		absorb(same, group);
		if (!same->cgroups)
			groups->ended_count--;
		same->ended_number = 0;
		same->cgroups += group->cgroups;
		drop(groups, group);
		refresh(groups, same, identity);
		return same;
	}

	char *name = strdup(identity->name);

	if (!name)
		return NULL;
	tdelete(group, &groups->by_name, compare_names);
	free(group->name);
	group->name = name;
	tsearch(group, &groups->by_name, compare_names);
	refresh(groups, group, identity);
	return group;
}

enum part group_part(const struct group *group)
{
	return group->kind == IDENTITY_CONTAINER ? PART_CONTAINER : PART_SYSTEM;
}
