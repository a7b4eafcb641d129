/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The groups of cgroups that samples tell of. Memory only: no I/O, no clock.
 */
#include "groups.h"

#include <search.h>
#include <stdio.h>
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
	int order = strcmp(left->id, right->id);

	return order ? order : (left->user > right->user) - (left->user < right->user);
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

struct group *groups_find_container(const struct groups *groups, const char *id, int64_t user)
{
	struct group key = {.id = (char *)id, .user = user};

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
	free(group->container);
	free(group->image);
	free(group->version);
	free(group->labels);
	free(group->elsewhere);
	account_free(&group->account);
	process_free_all(group->processes);
	group_files_clear(&group->files);
	peer_list_clear(&group->peers);
	path_list_clear(&group->paths);
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
	for (int kind = 0; kind <= IDENTITY_CONTAINER; kind++)
		latencies_free(groups->dropped_latencies[kind]);
	memset(groups, 0, sizeof(*groups));
}

static void forget_id(struct groups *groups, struct group *group)
{
	if (*group->id && groups_find_container(groups, group->id, group->user) == group)
		tdelete(group, &groups->by_id, compare_ids);
}

/*
 * Of two containers alive with one id (a cgroup of each runtime that names it), the first keeps it. One that
 * ended gives it up: the container came back under another name.
 */
static void remember_id(struct groups *groups, struct group *group)
{
	struct group *other = *group->id ? groups_find_container(groups, group->id, group->user) : NULL;

	if (other && other != group && !group_lives(other))
		forget_id(groups, other);
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

/* Without memory for them there are none. */
static void set_labels(struct group *group, const struct identity *identity)
{
	size_t size = identity->label_count * sizeof(*identity->labels);

	free(group->labels);
	group->labels = size ? malloc(size) : NULL;
	group->label_count = group->labels ? identity->label_count : 0;
	if (group->labels)
		memcpy(group->labels, identity->labels, size);
}

static bool has_labels(const struct group *group, const struct identity *identity)
{
	if (group->label_count != identity->label_count)
		return false;
	for (unsigned i = 0; i < group->label_count; i++)
		if (strcmp(group->labels[i].key, identity->labels[i].key) != 0 ||
		    strcmp(group->labels[i].value, identity->labels[i].value) != 0)
			return false;
	return true;
}

void groups_label(struct group *group, const struct identity *identity)
{
	if (has_labels(group, identity))
		return;
	set_labels(group, identity);
	group->selected = GROUP_NOT_ASKED;
}

const char *group_label(const struct group *group, const char *key)
{
	for (unsigned i = 0; i < group->label_count; i++)
		if (strcmp(group->labels[i].key, key) == 0)
			return group->labels[i].value;
	return NULL;
}

/* What a container that came back under its name has anew. */
static void refresh(struct groups *groups, struct group *group, const struct identity *identity)
{
	forget_id(groups, group);
	set_text(&group->id, identity->id);
	set_text(&group->container, identity->container);
	set_text(&group->image, identity->image);
	set_text(&group->version, identity->version);
	set_labels(group, identity);
	group->runtime = identity->runtime;
	group->user = identity->user;
	group->named = identity->named;
	if (identity->more && !group->more)
		group->name_tries = 0, group->next_try_ns = 0;
	group->more = identity->more;
	group->selected = GROUP_NOT_ASKED;
	group->name_written = 0;
	groups->changes += group->kind == IDENTITY_CONTAINER;
	remember_id(groups, group);
}

/* Whether it is that of the very container, and not of another of its name. */
static bool is_of(const struct group *group, const struct identity *identity)
{
	return strcmp(group->id, identity->id) == 0 && group->user == identity->user;
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
	group->user = identity->user;
	group->named = identity->named;
	group->more = identity->more;
	group->name = strdup(identity->name);
	group->id = strdup(identity->id);
	group->container = strdup(identity->container);
	group->image = strdup(identity->image);
	group->version = strdup(identity->version);
	group->account.claims = calloc(groups->socket_count, sizeof(struct account_claim));
	set_labels(group, identity);
	if (!group->name || !group->id || !group->container || !group->image || !group->version ||
	    !group->account.claims || !tsearch(group, &groups->by_name, compare_names)) {
		group_free(group);
		return NULL;
	}
	remember_id(groups, group);
	group->index = groups->count;
	groups->all[groups->count++] = group;
	return group;
}

static void revive(struct groups *groups, struct group *group)
{
	groups->ended_count -= group->ended_number != 0;
	group->ended_number = 0;
}

static void end(struct groups *groups, struct group *group)
{
	group->ended_number = ++groups->ended_number;
	group->resident = (struct resident){0};
	group->reported = false;
	groups->ended_count++;
}

struct group *groups_join(struct groups *groups, const struct identity *identity)
{
	struct group *group = find_name(groups, identity->kind, identity->name);

	if (!group)
		group = add(groups, identity);
	else if (!is_of(group, identity))
		refresh(groups, group, identity);
	if (!group)
		return NULL;
	group->in_pod = identity->in_pod;
	if (group->cgroups++ == 0) {
		revive(groups, group);
		groups->changes += group->kind == IDENTITY_CONTAINER;
		group->name_tries = 0;
		group->next_try_ns = 0;
		groups->nameless |= group->kind == IDENTITY_CONTAINER && (!group->named || group->more);
	}
	return group;
}

void groups_leave(struct groups *groups, struct group *group)
{
	if (--group->cgroups == 0)
		end(groups, group);
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
	if (!longest->reported) {
		groups->ended_unreported++;
		account_sums_add(&groups->dropped[longest->kind], &longest->account.used);
		if (longest->counted)
			account_sums_subtract(&groups->dropped[longest->kind], &longest->account.reported);
		latencies_merge(&groups->dropped_latencies[longest->kind], longest->account.latencies);
	}
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
	if (from->elsewhere && !to->elsewhere) {
		to->elsewhere = from->elsewhere;
		from->elsewhere = NULL;
	} else if (from->elsewhere) {
		account_sums_add(to->elsewhere, from->elsewhere);
	}
	account_sums_add(&to->account.used, &from->account.used);
	account_sums_add(&to->account.reported, &from->account.reported);
	latencies_merge(&to->account.latencies, from->account.latencies);
	account_sums_add(&to->untold, &from->untold);
	process_absorb_all(&to->processes, &from->processes);
	group_files_absorb(&to->files, &from->files);
	file_counts_add(&to->files_rest.untold, &from->files_rest.untold);
	peer_list_absorb(&to->peers, &from->peers);
	path_list_absorb(&to->paths, &from->paths);
	footprint_absorb(&to->footprint, &from->footprint);
	resident_absorb(&to->resident, &from->resident);
}

/* 8 hex digits of FNV-1a. */
static void append_hash(char *name, size_t size, const char *of)
{
	char hash[16];
	uint32_t sum = 0x811c9dc5;
	size_t length = strlen(name);

	for (; *of; of++)
		sum = (sum ^ (unsigned char)*of) * 0x01000193;
	snprintf(hash, sizeof(hash), "~%08x", sum);
	if (length + strlen(hash) >= size)
		length = size - 1 - strlen(hash);
	strcpy(name + length, hash);
}

/* Whether a container that lives has the name. One whose cgroups are gone has left it to who comes now. */
static bool is_taken(const struct groups *groups, const struct identity *identity, const char *name)
{
	const struct group *other = find_name(groups, identity->kind, name);

	return other && group_lives(other) && !is_of(other, identity);
}

void groups_part(const struct groups *groups, struct identity *identity)
{
	char name[IDENTITY_NAME_MAX];

	if (identity->kind != IDENTITY_CONTAINER || !is_taken(groups, identity, identity->name))
		return;
	/* The runtime parts most, and does so for good; ids are new each time. */
	strcpy(name, identity->name);
	append_hash(name, sizeof(name), identity->runtime ? identity->runtime : "");
	if (is_taken(groups, identity, name)) {
		strcpy(name, identity->name);
		append_hash(name, sizeof(name), identity->id);
	}
	if (*identity->container)
		append_hash(identity->container, sizeof(identity->container), strrchr(name, '~'));
	strcpy(identity->name, name);
}

static void move_cgroups(struct groups *groups, struct group *from, struct group *to)
{
	if (from->cgroups)
		revive(groups, to);
	to->cgroups += from->cgroups;
	to->removed += from->removed;
	from->cgroups = from->removed = 0;
}

/* It ends here, and goes on as another. */
static struct group *go_on_as(struct groups *groups, struct group *group, const struct identity *identity)
{
	struct group *other = find_name(groups, identity->kind, identity->name);

	if (!other)
		other = add(groups, identity);
	if (!other)
		return NULL;
	forget_id(groups, group);
	refresh(groups, other, identity);
	if (group->cgroups) {
		move_cgroups(groups, group, other);
		end(groups, group);
	} else if (!other->cgroups && !other->ended_number) {
		end(groups, other);
	}
	return other;
}

struct group *groups_name(struct groups *groups, struct group *group, const struct identity *identity)
{
	struct group *same = find_name(groups, identity->kind, identity->name);

	if (same && same == group) {
		refresh(groups, group, identity);
		return group;
	}
	if (group->named || group->kind != identity->kind)
		return go_on_as(groups, group, identity);
	if (same) {
		absorb(same, group);
		move_cgroups(groups, group, same);
		groups->ended_count -= group->ended_number != 0;
		/* What it used last is in no report yet. */
		same->reported = false;
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
