/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Rows that pass, sorted, in a tree of groups with sums.
 */
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct top_texts {
	struct top_texts *next;
	char text[];
};

void top_settings_init(struct top_settings *settings)
{
	*settings = (struct top_settings){.sort = top_column_find("cpu_percent")};
	settings->entities[DEEPMON_CONTAINER] = true;
}

int top_settings_group(struct top_settings *settings, const char *names)
{
	settings->group_count = 0;
	while (*names) {
		size_t length = strcspn(names, ",");

		if (settings->group_count == TOP_GROUPS_MAX)
			return -E2BIG;
		if (top_key_find(names, length, &settings->groups[settings->group_count]))
			return -EINVAL;
		settings->group_count++;
		names += length + (names[length] == ',');
	}
	return 0;
}

/* ---- Order -------------------------------------------------------------------------------------- */

struct order {
	const struct top_settings *settings;
	size_t level; /* of groups */
};

static const char *group_name(const struct top_row *row, const struct order *order)
{
	const char *label = row->labels[order->settings->groups[order->level]];

	return *label ? label : TOP_UNGROUPED;
}

static int compare_group_names(const void *a, const void *b, void *closure)
{
	return strcmp(group_name(*(const struct top_row *const *)a, closure),
		      group_name(*(const struct top_row *const *)b, closure));
}

/* What was not measured comes last, whichever way the rest goes; what is alike, by name. */
static int compare_figures(const struct top_settings *settings, const struct top_figures *a,
			   const struct top_figures *b, const char *name_a, const char *name_b)
{
	double left, right;
	bool has_left = settings->sort && top_column_value(settings->sort, a, &left);
	bool has_right = settings->sort && top_column_value(settings->sort, b, &right);
	int by_name = strcmp(name_a, name_b);

	if (has_left != has_right)
		return has_left ? -1 : 1;
	if (has_left && left != right)
		return (left < right) == settings->ascending ? -1 : 1;
	return !settings->sort && settings->ascending ? -by_name : by_name;
}

static int compare_rows(const void *a, const void *b, void *closure)
{
	const struct top_row *left = *(const struct top_row *const *)a,
			     *right = *(const struct top_row *const *)b;
	int order = compare_figures(closure, &left->figures, &right->figures, left->name, right->name);

	return order ? order : strcmp(left->instance, right->instance);
}

/* A group that is made: its members, and their sum. */
struct group {
	const struct top_row **rows;
	size_t count;
	const char *name;
	struct top_figures figures;
};

static int compare_groups(const void *a, const void *b, void *closure)
{
	const struct group *left = a, *right = b;

	return compare_figures(closure, &left->figures, &right->figures, left->name, right->name);
}

/* ---- Lines -------------------------------------------------------------------------------------- */

static struct top_line *add_line(struct top_view *view)
{
	if (view->count == view->capacity) {
		size_t capacity = view->capacity ? view->capacity * 2 : 64;
		struct top_line *lines = reallocarray(view->lines, capacity, sizeof(*lines));

		if (!lines)
			return NULL;
		view->lines = lines;
		view->capacity = capacity;
	}
	view->lines[view->count] = (struct top_line){0};
	return &view->lines[view->count++];
}

/* The path of a group within another; NULL: out of memory. */
static const char *join_path(struct top_view *view, const char *outer, const char *name)
{
	size_t size = strlen(outer) + strlen(name) + 2;
	struct top_texts *text = malloc(sizeof(*text) + size);

	if (!text)
		return NULL;
	snprintf(text->text, size, "%s%s%s", outer, *outer ? "/" : "", name);
	text->next = view->texts;
	view->texts = text;
	return text->text;
}

/* A row of a cluster says of which host it is, where no group does. */
static const char *name_of(const struct top_row *row, const struct top_settings *settings)
{
	bool says = *row->labels[TOP_BY_HOST] && !*row->part;

	for (size_t i = 0; i < settings->group_count; i++)
		says &= settings->groups[i] != TOP_BY_HOST;
	return says ? row->instance : row->name;
}

static int add_rows(struct top_view *view, const struct top_settings *settings, const struct top_row **rows,
		    size_t count, unsigned depth)
{
	qsort_r(rows, count, sizeof(*rows), compare_rows, (void *)settings);
	for (size_t i = 0; i < count; i++) {
		struct top_line *line = add_line(view);

		if (!line)
			return -ENOMEM;
		*line = (struct top_line){.row = rows[i],
					  .name = name_of(rows[i], settings),
					  .path = "",
					  .depth = depth,
					  .figures = rows[i]->figures};
	}
	return 0;
}

/* Those of one name stand together. Returns how many groups; groups has room for as many as rows. */
static size_t find_groups(const struct top_row **rows, size_t count, struct order *order,
			  struct group *groups)
{
	size_t found = 0;

	qsort_r(rows, count, sizeof(*rows), compare_group_names, order);
	for (size_t i = 0; i < count; i++) {
		struct group *last = found ? &groups[found - 1] : NULL;

		if (!last || strcmp(last->name, group_name(rows[i], order)) != 0) {
			last = &groups[found++];
			*last = (struct group){.rows = rows + i, .name = group_name(rows[i], order)};
		}
		last->count++;
		top_figures_join(&last->figures, &rows[i]->figures);
	}
	return found;
}

/* Where in the tree rows are put. */
struct place {
	size_t level; /* of the groups */
	unsigned depth;
	const char *path;
};

static int add_level(struct top_view *view, const struct top_settings *settings, const struct top_row **rows,
		     size_t count, struct place place);

static int add_group(struct top_view *view, const struct top_settings *settings, const struct group *group,
		     struct place place)
{
	struct top_line *line = add_line(view);
	const char *path = join_path(view, place.path, group->name);

	if (!line || !path)
		return -ENOMEM;
	*line = (struct top_line){.name = group->name,
				  .path = path,
				  .depth = place.depth,
				  .members = group->count,
				  .figures = group->figures};
	if (settings->is_folded && settings->is_folded(settings->user, path))
		return 0;
	return add_level(view, settings, group->rows, group->count,
			 (struct place){place.level + 1, place.depth + 1, path});
}

static int add_groups(struct top_view *view, const struct top_settings *settings, const struct group *groups,
		      size_t count, struct place place)
{
	int r = 0;

	/* What nobody within a group has parts nothing. */
	if (count == 1 && place.level && !strcmp(groups->name, TOP_UNGROUPED))
		return add_level(view, settings, groups->rows, groups->count,
				 (struct place){place.level + 1, place.depth, place.path});
	for (size_t i = 0; i < count && !r; i++)
		r = add_group(view, settings, &groups[i], place);
	return r;
}

static int add_level(struct top_view *view, const struct top_settings *settings, const struct top_row **rows,
		     size_t count, struct place place)
{
	struct order order = {settings, place.level};
	struct group *groups;
	size_t found;
	int r;

	if (place.level == settings->group_count)
		return add_rows(view, settings, rows, count, place.depth);
	groups = calloc(count ? count : 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	found = find_groups(rows, count, &order, groups);
	qsort_r(groups, found, sizeof(*groups), compare_groups, (void *)settings);
	r = add_groups(view, settings, groups, found, place);
	free(groups);
	return r;
}

static void forget_texts(struct top_view *view)
{
	while (view->texts) {
		struct top_texts *text = view->texts;

		view->texts = text->next;
		free(text);
	}
}

int top_view_make(struct top_view *view, const struct top_model *model, const struct top_settings *settings)
{
	forget_texts(view);
	view->count = view->rows = 0;
	view->sum = (struct top_figures){0};
	if (view->passed_capacity < model->count) {
		const struct top_row **passed = reallocarray(view->passed, model->count, sizeof(*passed));

		if (!passed)
			return -ENOMEM;
		view->passed = passed;
		view->passed_capacity = model->count;
	}
	for (size_t i = 0; i < model->count; i++) {
		const struct top_row *row = model->rows[i];

		if (!row->shown || !settings->entities[row->entity] ||
		    (settings->instance && strcmp(settings->instance, row->instance) != 0) ||
		    !top_filter_passes(settings->filter, row))
			continue;
		view->passed[view->rows++] = row;
		top_figures_join(&view->sum, &row->figures);
	}
	return add_level(view, settings, view->passed, view->rows, (struct place){.path = ""});
}

void top_view_clear(struct top_view *view)
{
	forget_texts(view);
	free(view->lines);
	free(view->passed);
	*view = (struct top_view){0};
}
