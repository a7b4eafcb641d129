/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What can be done on deepmon-top's screen.
 */
#include "actions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

/* ---- Pages and columns -------------------------------------------------------------------------- */

void top_act_page(struct top_screen *screen, size_t page)
{
	screen->page = page % TOP_SCREEN_PAGES;
	if (screen->look == TOP_LOOK_HELP)
		screen->look = TOP_LOOK_TABLE;
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

void top_act_sort_by(struct top_screen *screen, const struct top_column *column)
{
	if (screen->sorts[screen->page] == column)
		screen->settings.ascending = !screen->settings.ascending;
	else
		screen->settings.ascending = !column; /* names from the first */
	screen->sorts[screen->page] = column;
	if (!column)
		screen->settings.ascending = false;
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

void top_act_move_sort(struct top_screen *screen, int by)
{
	const char *const *keys = top_screen_keys(screen);
	int count = 0, at = -1;

	for (; keys[count]; count++)
		if (top_column_find(keys[count]) == screen->sorts[screen->page])
			at = count;
	at += by;
	if (at < -1 || at >= count)
		return;
	screen->settings.ascending = false;
	screen->sorts[screen->page] = at < 0 ? NULL : top_column_find(keys[at]);
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

/* ---- Groups and rows ---------------------------------------------------------------------------- */

void top_act_group(struct top_screen *screen)
{
	/* The last are of a cluster alone. */
	static const char *const all[] = {
	    "",	       "namespace", "namespace,pod",  "pod", "image", "project", "project,service",
	    "service", "runtime",   "host,namespace", "host"};
	size_t count = sizeof(all) / sizeof(all[0]) - (top_cluster_is_shown(screen) ? 0 : 2), at = count - 1;
	char now[64] = "";

	for (size_t i = 0; i < screen->settings.group_count; i++) {
		size_t length = strlen(now);

		snprintf(now + length, sizeof(now) - length, "%s%s", i ? "," : "",
			 top_key_name(screen->settings.groups[i]));
	}
	for (size_t i = 0; i < count; i++)
		if (!strcmp(all[i], now))
			at = i;
	at = (at + 1) % count;
	top_settings_group(&screen->settings, all[at]);
	top_screen_say(screen, "%s%s", *all[at] ? "Grouped by " : "Not grouped", all[at]);
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

void top_act_entities(struct top_screen *screen)
{
	static const struct {
		bool containers, system, totals;
		const char *what;
	} all[] = {{true, false, false, "containers"},
		   {true, true, false, "containers and units"},
		   {false, true, false, "units"},
		   {false, false, true, "totals: the parts of the whole"}};
	bool *entities = screen->settings.entities;
	size_t count = sizeof(all) / sizeof(all[0]), at = count - 1;

	for (size_t i = 0; i < count; i++)
		if (all[i].containers == entities[DEEPMON_CONTAINER] &&
		    all[i].system == entities[DEEPMON_SYSTEM] && all[i].totals == entities[DEEPMON_TOTAL])
			at = i;
	at = (at + 1) % count;
	entities[DEEPMON_CONTAINER] = all[at].containers;
	entities[DEEPMON_SYSTEM] = all[at].system;
	entities[DEEPMON_TOTAL] = all[at].totals;
	if (screen->page < top_page_count && top_pages[screen->page].kind)
		top_screen_say(screen, "Shown on other pages are %s", all[at].what);
	else
		top_screen_say(screen, "Shown are %s", all[at].what);
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

void top_act_units(struct top_screen *screen)
{
	screen->units = (screen->units + 1) % TOP_UNITS;
	top_screen_say(screen, "Units: %s", top_units_help(screen->units));
}

static void fold(struct top_screen *screen, const char *path)
{
	char **folded = screen->folded, *copy;

	for (size_t i = 0; i < screen->folded_count; i++) {
		if (strcmp(folded[i], path) != 0)
			continue;
		free(folded[i]);
		folded[i] = folded[--screen->folded_count];
		return;
	}
	folded = reallocarray(folded, screen->folded_count + 1, sizeof(*folded));
	if (!folded)
		return;
	screen->folded = folded;
	copy = strdup(path);
	if (copy)
		folded[screen->folded_count++] = copy;
}

static void look_at(struct top_screen *screen, const struct top_row *row)
{
	char *instance = strdup(row->instance), *part = strdup(row->part);

	if (!instance || !part) {
		free(instance);
		free(part);
		return;
	}
	free(screen->detail.instance);
	free(screen->detail.part);
	screen->detail.entity = row->entity;
	screen->detail.instance = instance;
	screen->detail.part = part;
	screen->look = TOP_LOOK_DETAIL;
}

void top_act_enter(struct top_screen *screen)
{
	const struct top_line *line = top_screen_line(screen);

	if (screen->look != TOP_LOOK_TABLE) {
		screen->look = TOP_LOOK_TABLE;
	} else if (line && line->row) {
		look_at(screen, line->row);
	} else if (line) {
		fold(screen, line->path);
		top_screen_view(screen);
	}
}

void top_act_look_into(struct top_screen *screen, enum deepmon_entity kind)
{
	const struct top_line *line = top_screen_line(screen);
	const struct top_row *row = screen->look == TOP_LOOK_DETAIL ? top_screen_row(screen)
				    : line			    ? line->row
								    : NULL;
	size_t page = 0;

	while (top_pages[page].kind != kind)
		page++;
	free(screen->only);
	screen->only = row ? strdup(row->instance) : NULL;
	screen->look = TOP_LOOK_TABLE;
	top_act_page(screen, page);
}

void top_act_escape(struct top_screen *screen)
{
	if (screen->look != TOP_LOOK_TABLE) {
		screen->look = TOP_LOOK_TABLE;
		return;
	}
	if (screen->only) {
		free(screen->only);
		screen->only = NULL;
	} else {
		screen->typed[0] = screen->settings.filter[0] = '\0';
	}
	top_screen_view(screen);
}

/* ---- Time --------------------------------------------------------------------------------------- */

void top_act_pace(struct top_screen *screen, bool up)
{
	static const double intervals[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600};
	static const double speeds[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1000};
	bool replay = screen->source.replay;
	const double *steps = replay ? speeds : intervals;
	double *pace = replay ? &screen->sampler.speed : &screen->sampler.interval;
	int count = sizeof(intervals) / sizeof(intervals[0]), at;

	_Static_assert(sizeof(intervals) == sizeof(speeds), "as many of both");
	if (up) {
		for (at = 0; at < count - 1 && steps[at] <= *pace; at++)
			;
	} else {
		for (at = count - 1; at > 0 && steps[at] >= *pace; at--)
			;
	}
	*pace = steps[at];
	top_sampler_pace(&screen->sampler);
	top_cluster_pace(screen);
	if (replay)
		top_screen_say(screen, "Speed x%g", *pace);
	else
		top_screen_say(screen, "A sample every %g s", *pace);
}

void top_act_step(struct top_screen *screen)
{
	if (top_cluster_is_shown(screen))
		top_cluster_step(screen);
	else
		top_sampler_step(&screen->sampler);
}

void top_act_seek(struct top_screen *screen, double seconds)
{
	if (screen->source.replay)
		top_sampler_seek(&screen->sampler, seconds);
	else
		top_screen_say(screen, "Only a recording (--replay) goes back and forth");
}

void top_act_freeze(struct top_screen *screen)
{
	screen->sampler.frozen = !screen->sampler.frozen;
	top_sampler_pace(&screen->sampler);
}

/* ---- The filter ---------------------------------------------------------------------------------- */

void top_act_filter(struct top_screen *screen)
{
	char why[200];

	if (top_filter_check(screen->typed, why, sizeof(why))) {
		top_screen_say(screen, "%s", why);
		return;
	}
	memcpy(screen->settings.filter, screen->typed, sizeof(screen->typed));
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

/* ---- Moving ------------------------------------------------------------------------------------- */

void top_act_move(struct top_screen *screen, long by)
{
	size_t last = screen->view.count ? screen->view.count - 1 : 0;

	if (screen->look != TOP_LOOK_TABLE || screen->page >= top_page_count) {
		/* What has no cursor is scrolled; who draws it knows its end. */
		screen->first = by < 0 && screen->first < (size_t)-by ? 0 : screen->first + (size_t)by;
		return;
	}
	if (by < 0)
		screen->cursor = screen->cursor < (size_t)-by ? 0 : screen->cursor + (size_t)by;
	else
		screen->cursor = last - screen->cursor < (size_t)by ? last : screen->cursor + (size_t)by;
}
