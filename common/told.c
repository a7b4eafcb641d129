/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What reports tell, by the options. Memory only.
 */
#include "told.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "footprint.h"
#include "processes.h"
#include "selection.h"

/* ---- The options -------------------------------------------------------------------------------- */

static void silence_subject(struct told *told, enum deepmon_subject subject)
{
	for (int entity = 0; entity < DEEPMON_ENTITY_COUNT; entity++)
		told->tells[entity][subject] = false;
}

static void silence_entity(struct told *told, enum deepmon_entity entity)
{
	memset(told->tells[entity], false, sizeof(told->tells[entity]));
}

static void read_switches(struct told *told, const struct deepmon_options *options)
{
	const struct {
		bool on;
		enum deepmon_subject subject;
	} subjects[] = {
	    {options->report_energy, DEEPMON_SUBJECT_ENERGY},
	    {options->report_cpu, DEEPMON_SUBJECT_CPU},
	    {options->report_counters, DEEPMON_SUBJECT_PERF},
	    {options->report_network, DEEPMON_SUBJECT_NETWORK},
	    {options->report_network, DEEPMON_SUBJECT_TRANSACTIONS},
	    {options->report_memory, DEEPMON_SUBJECT_MEMORY},
	    {options->report_block, DEEPMON_SUBJECT_BLOCK},
	    {options->report_file_io, DEEPMON_SUBJECT_FILE_IO},
	    {options->report_file_io, DEEPMON_SUBJECT_FILE_LATENCY},
	    {options->report_file_io, DEEPMON_SUBJECT_FILE_USE},
	};
	const struct {
		bool on;
		enum deepmon_entity entity;
	} entities[] = {
	    {options->report_containers, DEEPMON_CONTAINER},
	    {options->report_system, DEEPMON_SYSTEM},
	    {options->report_processes, DEEPMON_PROCESS},
	    {options->report_peers, DEEPMON_PEER},
	    {options->report_http_paths, DEEPMON_HTTP_PATH},
	    {options->report_totals, DEEPMON_TOTAL},
	    {options->report_totals, DEEPMON_HOST},
	    {options->report_zones, DEEPMON_ZONE},
	    {options->report_self, DEEPMON_SELF},
	};

	memset(told->tells, true, sizeof(told->tells));
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (!subjects[i].on)
			silence_subject(told, subjects[i].subject);
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (!entities[i].on)
			silence_entity(told, entities[i].entity);
}

int told_open(struct told *told, const struct deepmon_options *options)
{
	int r;

	*told = (struct told){.ignore_selected = options->ignore_selected};
	read_switches(told, options);
	/* Processes, peers and paths are told with their container. */
	told->one_by_one[IDENTITY_CONTAINER] = options->report_containers || options->report_processes ||
					       options->report_peers || options->report_http_paths;
	told->one_by_one[IDENTITY_SYSTEM] = options->report_system;
	told->most[IDENTITY_CONTAINER] = options->max_containers;
	told->most[IDENTITY_SYSTEM] = options->max_units;
	r = selection_open(&told->container, &options->container);
	if (!r)
		r = selection_open(&told->image, &options->image);
	if (!r)
		r = selection_open(&told->name_space, &options->name_space);
	if (!r)
		r = selection_open(&told->pod, &options->pod);
	return r;
}

void told_close(struct told *told)
{
	selection_close(told->container);
	selection_close(told->image);
	selection_close(told->name_space);
	selection_close(told->pod);
	for (int kind = 0; kind < TOLD_KINDS; kind++)
		account_free(&told->other[kind]);
	free(told->candidates);
	*told = (struct told){0};
}

/* ---- Selection ---------------------------------------------------------------------------------- */

/* Whether one of the group's names is listed. Each text may be NULL. */
static bool lists(const struct selection *selection, const char *text, const char *other)
{
	return (text && selection_has(selection, text)) || (other && selection_has(selection, other));
}

static bool lists_image(const struct selection *selection, const struct group *group)
{
	char image[2 * IDENTITY_NAME_MAX];

	if (selection_is_empty(selection))
		return false;
	memcpy(image, group->image, strlen(group->image) + 1);
	if (*group->version) {
		strcat(image, ":");
		strcat(image, group->version);
	}
	return lists(selection, group->image, image);
}

static bool is_selected(const struct told *told, const struct group *group)
{
	const struct {
		const struct selection *selection;
		bool has;
	} criteria[] = {
	    {told->container,
	     lists(told->container, group->name, *group->container ? group->container : NULL)},
	    {told->image, lists_image(told->image, group)},
	    {told->name_space, lists(told->name_space, group_label(group, "namespace"), NULL)},
	    {told->pod, lists(told->pod, group_label(group, "pod_name"), NULL)},
	};

	for (size_t i = 0; i < sizeof(criteria) / sizeof(criteria[0]); i++) {
		if (selection_is_empty(criteria[i].selection))
			continue;
		if (criteria[i].has == told->ignore_selected)
			return false;
	}
	return true;
}

/* Remembered until the group's names change. */
static bool selected(const struct told *told, struct group *group)
{
	if (group->kind != IDENTITY_CONTAINER)
		return true;
	if (group->selected == GROUP_NOT_ASKED)
		group->selected = is_selected(told, group) ? GROUP_SELECTED : GROUP_PASSED_OVER;
	return group->selected == GROUP_SELECTED;
}

bool told_may_tell(const struct told *told, struct group *group, enum deepmon_subject subject)
{
	enum deepmon_entity entity = group->kind == IDENTITY_CONTAINER ? DEEPMON_CONTAINER : DEEPMON_SYSTEM;

	return told->tells[entity][subject] && selected(told, group);
}

/* ---- Which groups ------------------------------------------------------------------------------- */

/* A slice or an empty cgroup that has done nothing since the start: there is nothing to tell, not even 0. */
static bool is_untouched(const struct group *group)
{
	return group->kind == IDENTITY_SYSTEM && !group->account.used.cpu_ns &&
	       (!group->footprint || !group->footprint->memory_valid ||
		!group->footprint->memory.usage_bytes);
}

static uint64_t fresh_energy(const struct group *group)
{
	return group->account.used.energy_uj[ENERGY_PACKAGE] -
	       group->account.reported.energy_uj[ENERGY_PACKAGE];
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Those that used most since the last report first; of equals those that were in it, so that series last. */
static int compare_use(const void *a, const void *b)
{
	const struct group *left = *(struct group *const *)a, *right = *(struct group *const *)b;
	int order = compare_numbers(fresh_energy(right), fresh_energy(left));

	if (!order)
		order = compare_numbers(right->account.used.cpu_ns - right->account.reported.cpu_ns,
					left->account.used.cpu_ns - left->account.reported.cpu_ns);
	if (!order)
		order = right->was_told - left->was_told;
	return order ? order : strcmp(left->name, right->name);
}

static void choose_of_kind(struct told *told, struct groups *groups, enum identity_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < groups->count; i++) {
		struct group *group = groups->all[i];

		if (group->kind != kind)
			continue;
		group->was_told = group->telling;
		group->telling = false;
		if (!(group->ended_number && group->reported) && !is_untouched(group) &&
		    selected(told, group))
			told->candidates[count++] = group;
	}
	if (count > told->most[kind]) {
		qsort(told->candidates, count, sizeof(*told->candidates), compare_use);
		count = told->most[kind];
	}
	for (size_t i = 0; i < count; i++)
		told->candidates[i]->telling = told->candidates[i]->counted = true;
}

/* ---- The others --------------------------------------------------------------------------------- */

static bool is_nothing(const struct account_sums *sums)
{
	static const struct account_sums nothing;

	return memcmp(sums, &nothing, sizeof(nothing)) == 0;
}

static void add_to_other(struct told *told, enum identity_kind kind, const struct account_sums *fresh)
{
	account_sums_add(&told->other[kind].used, fresh);
	told->has_other[kind] = true;
}

/* What it used before the first report is in no rate, but in the total, and so in a line. */
static void move_beginning(struct told *told, struct group *group)
{
	struct account *other = &told->other[group->kind];
	const struct account_sums *before = &group->account.reported;

	if (group->counted)
		return;
	group->counted = true;
	if (is_nothing(before))
		return;
	account_sums_add(group->elsewhere, before);
	account_sums_add(&other->used, before);
	account_sums_add(&other->reported, before);
	told->has_other[group->kind] = true;
}

static int move_to_other(struct told *told, struct group *group)
{
	struct account_sums fresh = group->account.used;
	int r;

	group->reported = group->ended_number != 0;
	account_sums_subtract(&fresh, &group->account.reported);
	if (is_nothing(&fresh) && (group->counted || is_nothing(&group->account.reported)))
		return 0;
	if (!group->elsewhere)
		group->elsewhere = calloc(1, sizeof(*group->elsewhere));
	if (!group->elsewhere)
		return -ENOMEM;
	move_beginning(told, group);
	if (is_nothing(&fresh))
		return 0;
	account_sums_add(group->elsewhere, &fresh);
	add_to_other(told, group->kind, &fresh);
	r = latencies_merge(&told->other[group->kind].latencies, group->account.latencies);
	account_told(&group->account);
	processes_told(group);
	peers_told(&group->peers);
	paths_told(&group->paths);
	return r;
}

/* Those that ended and were dropped before a report told of them. */
static int take_dropped(struct told *told, struct groups *groups, enum identity_kind kind)
{
	struct account_sums *dropped = &groups->dropped[kind];
	int r = latencies_merge(&told->other[kind].latencies, groups->dropped_latencies[kind]);

	if (!is_nothing(dropped))
		add_to_other(told, kind, dropped);
	*dropped = (struct account_sums){0};
	latencies_empty(groups->dropped_latencies[kind]);
	return r;
}

static int make_room(struct told *told, size_t count)
{
	if (count <= told->capacity)
		return 0;

	struct group **candidates = reallocarray(told->candidates, count, sizeof(struct group *));

	if (!candidates)
		return -ENOMEM;
	told->candidates = candidates;
	told->capacity = count;
	return 0;
}

int told_choose(struct told *told, struct groups *groups)
{
	int r = make_room(told, groups->count);

	for (int kind = 0; kind < TOLD_KINDS && !r; kind++)
		choose_of_kind(told, groups, (enum identity_kind)kind);
	for (size_t i = 0; i < groups->count && !r; i++) {
		struct group *group = groups->all[i];

		if (!told->one_by_one[group->kind]) {
			group->telling = false;
			group->reported = group->ended_number != 0;
			latencies_empty(group->account.latencies);
			continue;
		}
		if (!group->telling && !(group->ended_number && group->reported))
			r = move_to_other(told, group);
	}
	for (int kind = 0; kind < TOLD_KINDS; kind++)
		if (told->one_by_one[kind] && take_dropped(told, groups, (enum identity_kind)kind))
			r = -ENOMEM;
	return r;
}

void told_account(const struct group *group, struct account *account)
{
	*account = group->account;
	if (!group->elsewhere)
		return;
	account_sums_subtract(&account->used, group->elsewhere);
	account_sums_subtract(&account->reported, group->elsewhere);
}
