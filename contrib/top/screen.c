/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-top's screen: draws what the sampler told and what keys changed.
 */
#include "screen.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

void top_screen_say(struct top_screen *screen, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(screen->message, sizeof(screen->message), format, arguments);
	va_end(arguments);
}

/* ---- What is looked at -------------------------------------------------------------------------- */

const char *const *top_screen_keys(const struct top_screen *screen)
{
	static const char *const none[] = {NULL};

	return screen->page < top_page_count ? top_pages[screen->page].keys : none;
}

const struct top_line *top_screen_line(const struct top_screen *screen)
{
	return screen->page < top_page_count && screen->cursor < screen->view.count
		   ? &screen->view.lines[screen->cursor]
		   : NULL;
}

const struct top_row *top_screen_row(const struct top_screen *screen)
{
	const struct top_place *place = &screen->detail;

	for (size_t i = 0; place->instance && i < screen->model.count; i++) {
		const struct top_row *row = screen->model.rows[i];

		if (row->entity == place->entity && !strcmp(row->instance, place->instance) &&
		    !strcmp(row->part, place->part))
			return row;
	}
	return NULL;
}

/* The line that has what the cursor was on; it moves with it. */
static void follow(struct top_screen *screen, const struct top_row *row, const char *path)
{
	for (size_t i = 0; i < screen->view.count; i++) {
		const struct top_line *line = &screen->view.lines[i];

		if (row ? line->row == row : path && !line->row && !strcmp(line->path, path)) {
			screen->cursor = i;
			return;
		}
	}
}

/* The settings that a page makes of those that were chosen. */
static struct top_settings settings_of(const struct top_screen *screen)
{
	const struct top_page *page =
	    screen->page < top_page_count ? &top_pages[screen->page] : &top_pages[0];
	struct top_settings settings = screen->settings;

	settings.sort = screen->sorts[screen->page];
	if (page->kind == DEEPMON_CONTAINER)
		return settings;
	memset(settings.entities, 0, sizeof(settings.entities));
	settings.entities[page->kind] = true;
	settings.instance = screen->only;
	if (!settings.group_count && !settings.instance)
		top_settings_group(&settings, page->group);
	return settings;
}

void top_screen_view(struct top_screen *screen)
{
	const struct top_settings settings = settings_of(screen);
	const struct top_line *line = screen->cursor ? top_screen_line(screen) : NULL;
	const struct top_row *row = NULL;
	char *path = NULL;

	/* A row that the model has let go is compared, not looked at. */
	if (line && line->row)
		row = line->row;
	else if (line)
		path = strdup(line->path);
	if (top_view_make(&screen->view, &screen->model, &settings))
		top_screen_say(screen, "Out of memory: lines are missing");
	if (row || path)
		follow(screen, row, path);
	free(path);
	if (screen->cursor >= screen->view.count)
		screen->cursor = screen->view.count ? screen->view.count - 1 : 0;
}

static bool is_folded(void *user, const char *path)
{
	const struct top_screen *screen = user;

	for (size_t i = 0; i < screen->folded_count; i++)
		if (!strcmp(screen->folded[i], path))
			return true;
	return false;
}

/* ---- The loop ----------------------------------------------------------------------------------- */

/* What the sampler told since the last time. */
static void hear(struct top_screen *screen)
{
	struct top_sampler *sampler = &screen->sampler;

	top_sampler_heard(sampler);
	if (*sampler->trouble)
		top_screen_say(screen, "%s", sampler->trouble);
	*sampler->trouble = '\0';
	if (screen->turn != sampler->turn)
		top_screen_view(screen);
	screen->turn = sampler->turn;
}

static void show(struct top_screen *screen)
{
	while (!screen->quit && !top_terminal_is_ended()) {
		pthread_mutex_lock(&screen->model.lock);
		hear(screen);
		top_screen_keys_hit(screen);
		top_screen_draw(screen);
		pthread_mutex_unlock(&screen->model.lock);
		top_refresh();
		if (!screen->quit)
			top_terminal_wait(screen->sampler.news, -1);
	}
}

static void begin(struct top_screen *screen, const struct top_start *start)
{
	top_model_init(&screen->model, TOP_HISTORY);
	screen->options = *start->options;
	screen->settings = *start->settings;
	screen->settings.is_folded = is_folded;
	screen->settings.user = screen;
	snprintf(screen->typed, sizeof(screen->typed), "%s", screen->settings.filter);
	screen->sampler.interval = start->interval;
	screen->sampler.speed = start->speed > 0 ? start->speed : 1;
	screen->units = start->units;
	screen->page = start->page ? (size_t)(start->page - top_pages) : 0;
	for (size_t i = 0; i < top_page_count; i++)
		screen->sorts[i] = top_column_find(top_pages[i].sort);
	if (start->sorted)
		screen->sorts[screen->page] = start->settings->sort;
}

static void end(struct top_screen *screen)
{
	top_sampler_stop(&screen->sampler);
	top_view_clear(&screen->view);
	top_source_close(&screen->source);
	top_model_clear(&screen->model);
	free(screen->only);
	free(screen->detail.instance);
	free(screen->detail.part);
	for (size_t i = 0; i < screen->folded_count; i++)
		free(screen->folded[i]);
	free(screen->folded);
}

/* All that measures. Its threads leave the terminal's signals to this one. */
static int begin_sampling(struct top_screen *screen, const struct top_start *start)
{
	sigset_t before;
	int r;

	top_terminal_hold_signals(&before);
	r = top_source_open(&screen->source, start->options, start->replay, &screen->model);
	if (!r)
		r = top_sampler_start(&screen->sampler, &screen->source, &screen->model,
				      start->replay ? start->from : 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* What eBPF would take, to whoever may not load it. */
static void say_what_it_needs(struct top_screen *screen)
{
	size_t count;
	const struct deepmon_finding *rows = deepmon_findings(screen->source.collector, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].subject, "eBPF") != 0 || rows[i].state != DEEPMON_FOUND_MISSING ||
		    !*rows[i].remedy)
			continue;
		top_screen_say(screen, "Not permitted: %s; mended by: %s", rows[i].name, rows[i].remedy);
		return;
	}
}

static int start_showing(struct top_screen *screen, const struct top_start *start)
{
	int r;

	top_put(0, 0, INT_MAX, TOP_STRONG,
		start->replay ? "Opening the recording ..." : "Beginning to measure ...");
	top_refresh();
	r = begin_sampling(screen, start);
	if (r)
		return r;
	if (start->replay)
		snprintf(screen->host, sizeof(screen->host), "%s", screen->source.about.host);
	else
		gethostname(screen->host, sizeof(screen->host) - 1);
	say_what_it_needs(screen);
	return 0;
}

int top_screen_run(const struct top_start *start, char *why, size_t why_size)
{
	static struct top_screen screen; /* large */
	int r = top_terminal_open(why, why_size);

	if (r)
		return r;
	begin(&screen, start);
	r = start_showing(&screen, start);
	if (!r)
		show(&screen);
	top_terminal_close();
	if (r) {
		top_model_last_note(&screen.model, why, why_size);
		if (!*why)
			snprintf(why, why_size, "%s", strerror(-r));
	}
	end(&screen);
	return r;
}
