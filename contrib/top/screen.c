/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-top's screen: takes samples when they are due, and draws what changed.
 */
#include "screen.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cluster.h"
#include "terminal.h"

#define SECOND	      1000000000ull
#define SEEK_LEAD     60   /* samples before the one that is gone to: rates and graphs have something then */
#define SEEK_THROUGH  1000 /* samples forward that are rather played than jumped over */
#define SEEK_MOST     100000
#define LONGEST_SLEEP 3600 /* seconds, of a recording with a gap */
#define AGE_MS	      1000 /* after which what is shown of a cluster is older */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

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
	top_cluster_group(&settings, page);
	return settings;
}

void top_screen_view(struct top_screen *screen)
{
	const struct top_settings settings = settings_of(screen);
	const struct top_line *line = screen->cursor ? top_screen_line(screen) : NULL;
	const struct top_row *row = NULL;
	char *path = NULL;

	top_cluster_want(screen, &settings);
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

/* ---- Samples ------------------------------------------------------------------------------------ */

static void schedule(struct top_screen *screen)
{
	double seconds = screen->interval;

	if (screen->source.replay) {
		seconds = (double)screen->model.host.interval_ns / 1e9 / screen->speed;
		seconds = seconds < LONGEST_SLEEP ? seconds : LONGEST_SLEEP;
	}
	screen->due_ns = now_ns() + (uint64_t)(seconds * 1e9);
}

static int take(struct top_screen *screen)
{
	int r = top_source_next(&screen->source, &screen->model, 0);

	if (r == -ENODATA) {
		screen->ended = true;
	} else if (r && r != -EAGAIN) {
		screen->ended = screen->source.replay != NULL;
		top_screen_say(screen, "%s: %s",
			       screen->ended ? "The recording can't be read on" : "No sample",
			       r == -EBADMSG ? "it is damaged from here on" : strerror(-r));
	}
	return r;
}

void top_screen_step(struct top_screen *screen)
{
	if (top_cluster_is_shown(screen)) {
		top_cluster_step(screen);
		return;
	}
	take(screen);
	top_screen_view(screen);
	schedule(screen);
}

void top_screen_seek(struct top_screen *screen, double seconds)
{
	const struct top_host *host = &screen->model.host;
	uint64_t first_ns = screen->source.about.first_ns, last_ns = screen->source.about.last_ns;
	uint64_t interval_ns = host->interval_ns ? host->interval_ns : SECOND;
	uint64_t lead_ns = SEEK_LEAD * interval_ns;
	double wanted = (double)(int64_t)(host->time_ns - first_ns) / 1e9 + seconds;
	double length = (double)(last_ns - first_ns) / 1e9;
	uint64_t target_ns;
	int r = 0;

	wanted = wanted < 0 ? 0 : wanted < length ? wanted : length;
	target_ns = first_ns + (uint64_t)(wanted * 1e9 + 0.5);
	if (target_ns > last_ns)
		target_ns = last_ns;
	if (target_ns <= host->time_ns || target_ns - host->time_ns > SEEK_THROUGH * interval_ns)
		r = top_source_seek(&screen->source, &screen->model,
				    target_ns > first_ns + lead_ns ? target_ns - lead_ns : first_ns);
	screen->ended = false;
	for (int i = 0; !r && (!screen->model.samples || host->time_ns < target_ns) && i < SEEK_MOST; i++)
		r = take(screen);
	if (r && r != -ENODATA)
		top_screen_say(screen, "The recording can't be read there: %s", strerror(-r));
	top_screen_view(screen);
	schedule(screen);
}

/* ---- The loop ----------------------------------------------------------------------------------- */

static bool is_still(const struct top_screen *screen)
{
	return screen->frozen || screen->ended;
}

/* Until a key is hit, a signal comes, or the next sample is due. */
static void wait_for_something(const struct top_screen *screen)
{
	struct pollfd files[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	uint64_t now = now_ns();
	int timeout = -1;

	if (top_cluster_is_shown(screen)) {
		files[1].fd = screen->frozen ? -1 : influx_fd(screen->source.influx);
		timeout = AGE_MS;
	} else if (!is_still(screen)) {
		timeout = screen->due_ns > now ? (int)((screen->due_ns - now) / 1000000 + 1) : 0;
	}
	poll(files, 2, timeout);
	/* Whose terminal has gone reads no end of nothing. */
	if (files[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		raise(SIGHUP);
}

static void show(struct top_screen *screen)
{
	while (!screen->quit && !top_terminal_is_ended()) {
		top_screen_draw(screen);
		wait_for_something(screen);
		top_screen_keys_hit(screen);
		top_cluster_hear(screen);
		if (!top_cluster_is_shown(screen) && !is_still(screen) && now_ns() >= screen->due_ns)
			top_screen_step(screen);
	}
}

static void begin(struct top_screen *screen, const struct top_start *start)
{
	top_model_init(&screen->model, start->influx ? TOP_CLUSTER_HISTORY : TOP_HISTORY);
	screen->options = *start->options;
	screen->settings = *start->settings;
	screen->settings.is_folded = is_folded;
	screen->settings.user = screen;
	snprintf(screen->typed, sizeof(screen->typed), "%s", screen->settings.filter);
	screen->interval = start->interval;
	screen->speed = start->speed > 0 ? start->speed : 1;
	screen->page = start->page ? (size_t)(start->page - top_pages) : 0;
	for (size_t i = 0; i < top_page_count; i++)
		screen->sorts[i] = top_column_find(top_pages[i].sort);
	if (start->sorted)
		screen->sorts[screen->page] = start->settings->sort;
}

static void end(struct top_screen *screen)
{
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

/* The collector's threads leave the terminal's signals to this one. */
static int open_source(struct top_screen *screen, const struct top_start *start)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = start->influx ? top_cluster_open(screen, start->influx)
			  : top_source_open(&screen->source, start->options, start->replay, &screen->model);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* What eBPF would take, to whoever may not load it. */
static void say_what_it_needs(struct top_screen *screen)
{
	size_t count;
	const struct deepmon_finding *rows = top_source_findings(&screen->source, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].subject, "eBPF") != 0 || rows[i].state != DEEPMON_FOUND_MISSING ||
		    !*rows[i].remedy)
			continue;
		top_screen_say(screen, "Not permitted: %s; mended by: %s", rows[i].name, rows[i].remedy);
		return;
	}
}

/* Its first figures. */
static int start_showing(struct top_screen *screen, const struct top_start *start)
{
	int r;

	top_put(0, 0, INT_MAX, TOP_STRONG,
		start->influx	? "Asking InfluxDB ..."
		: start->replay ? "Opening the recording ..."
				: "Beginning to measure ...");
	top_refresh();
	r = open_source(screen, start);
	if (r)
		return r;
	if (start->influx)
		return 0;
	if (start->replay)
		snprintf(screen->host, sizeof(screen->host), "%s", screen->source.about.host);
	else
		gethostname(screen->host, sizeof(screen->host) - 1);
	say_what_it_needs(screen);
	top_screen_step(screen);
	if (start->replay && start->from > 0)
		top_screen_seek(screen, start->from);
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
