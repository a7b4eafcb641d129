/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A cluster on deepmon-top's screen.
 */
#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../common/clock.h"

/* All columns of the page, and the settings' own. */
static struct influx_want want_of(const struct top_screen *screen, const struct top_settings *settings)
{
	const struct top_column *columns[TOP_PAGE_COLUMNS_MAX];
	const char *const *keys = top_screen_keys(screen);
	size_t count = 0;

	for (; count < TOP_PAGE_COLUMNS_MAX && keys[count]; count++)
		columns[count] = top_column_find(keys[count]);
	return top_source_want(settings, columns, count);
}

int top_cluster_open(struct top_screen *screen, const struct influx_settings *settings)
{
	const struct influx_want want = want_of(screen, &screen->settings);

	snprintf(screen->host, sizeof(screen->host), "%s", settings->database);
	return top_source_open_cluster(&screen->source, settings, &want, &screen->model);
}

void top_cluster_hear(struct top_screen *screen)
{
	int r = -EAGAIN;

	if (top_cluster_is_shown(screen) && !screen->sampler.frozen)
		r = top_source_next(&screen->source, &screen->model, 0);
	if (r == -ENOMEM)
		top_screen_say(screen, "Out of memory: rows are missing");
	if (r != -EAGAIN)
		top_screen_view(screen);
}

void top_cluster_group(struct top_settings *settings, const struct top_page *page)
{
	if (page->group && !settings->instance && settings->group_count == 1 &&
	    settings->groups[0] == TOP_BY_HOST &&
	    top_key_find(page->group, strlen(page->group), &settings->groups[1]) == 0)
		settings->group_count++;
}

void top_cluster_want(struct top_screen *screen, const struct top_settings *settings)
{
	const struct influx_want want = want_of(screen, settings);

	if (top_cluster_is_shown(screen))
		influx_want(screen->source.influx, &want);
}

void top_cluster_pace(struct top_screen *screen)
{
	if (top_cluster_is_shown(screen))
		influx_set_interval(screen->source.influx, screen->sampler.interval);
}

void top_cluster_step(struct top_screen *screen)
{
	if (top_cluster_is_shown(screen))
		influx_ask_now(screen->source.influx);
}

/* ---- What there is to say ----------------------------------------------------------------------- */

double top_age_seconds(uint64_t time_ns)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);

	return now_ns > time_ns ? (double)(now_ns - time_ns) / 1e9 : 0;
}

void top_cluster_describe(const struct top_screen *screen, char *text, size_t size)
{
	struct influx_state state;
	double youngest, oldest;

	influx_look(screen->source.influx, &state);
	youngest = top_age_seconds(state.newest_ns);
	oldest = top_age_seconds(state.oldest_ns);
	if (!state.host_count)
		snprintf(text, size, "%s", *state.trouble ? "nothing was told yet" : "asking ...");
	else if (oldest - youngest < 1)
		snprintf(text, size, "%zu host%s, %.0f s old, every %g s", state.host_count,
			 state.host_count == 1 ? "" : "s", oldest, screen->sampler.interval);
	else
		snprintf(text, size, "%zu hosts, %.0f to %.0f s old, every %g s", state.host_count, youngest,
			 oldest, screen->sampler.interval);
}

bool top_cluster_trouble(const struct top_screen *screen, char *text, size_t size)
{
	struct influx_state state;

	if (!top_cluster_is_shown(screen))
		return false;
	influx_look(screen->source.influx, &state);
	if (*state.trouble)
		snprintf(text, size, "InfluxDB: %s%s", state.trouble,
			 state.host_count ? "; this is what it told last" : "");
	return *state.trouble;
}

void top_cluster_reason(const struct top_screen *screen, enum top_figure figure, char *text, size_t size)
{
	struct influx_state state;

	influx_look(screen->source.influx, &state);
	if (!screen->view.rows)
		snprintf(text, size, "nothing is shown that could have it");
	else if (state.is_asking)
		snprintf(text, size, "InfluxDB is being asked");
	else if (top_figure_is_rate(figure))
		snprintf(text, size,
			 "InfluxDB has not two reports of it within --influx-window: no agent "
			 "tells it, or it has just begun");
	else
		snprintf(text, size, "no agent told it in its last two reports");
}
