/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What of deepmon-top's screen is no table: one container with its history, what the host has, help.
 */
#include <math.h>
#include <ncurses.h>
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "screen.h"
#include "terminal.h"

/* ---- Texts that are scrolled -------------------------------------------------------------------- */

/* Lines of a text that is longer than the screen: those before `first` and past the height are left out. */
struct scroll {
	int line, height;
	size_t first, count;
};

static void add(struct scroll *scroll, enum top_style style, const char *text)
{
	size_t index = scroll->count++;

	if (index >= scroll->first && index < scroll->first + (size_t)scroll->height)
		top_put(scroll->line + (int)(index - scroll->first), 0, COLS, style, text);
}

/* A text over as many lines as it takes, parted at blanks, each after the first behind an indentation. */
static void add_wrapped(struct scroll *scroll, enum top_style style, const char *text, int indent)
{
	char line[2 * DEEPMON_REASON_MAX];
	int room = COLS, before = 0;

	while (*text) {
		size_t length = top_fitting(text, room);

		snprintf(line, sizeof(line), "%*s%.*s", before, "", (int)length, text);
		add(scroll, style, line);
		text += length + strspn(text + length, " ");
		before = indent;
		room = COLS > indent + 20 ? COLS - indent : 20;
	}
}

/* The rest of the screen is empty, and scrolling stops at the end. */
static void end(struct top_screen *screen, struct scroll *scroll)
{
	size_t room = (size_t)scroll->height;
	size_t last = scroll->count > room ? scroll->count - room : 0;

	for (size_t shown = scroll->count > scroll->first ? scroll->count - scroll->first : 0; shown < room;
	     shown++)
		top_put(scroll->line + (int)shown, 0, COLS, TOP_NORMAL, "");
	if (screen->first > last)
		screen->first = last;
}

static struct scroll begin(const struct top_screen *screen, int line, int height)
{
	return (struct scroll){line, height > 0 ? height : 0, screen->first, 0};
}

/* ---- Detail ------------------------------------------------------------------------------------- */

#define GRAPH_WIDTH_LEAST 38

static void draw_labels(const struct top_row *row, int line)
{
	char text[1024];
	size_t length;

	snprintf(text, sizeof(text), "%s %s%s%s", top_kind_name(row->entity), row->name,
		 *row->id ? "  id " : "", row->id);
	top_put_name(line, 0, COLS, TOP_STRONG, text, "");
	*text = '\0';
	length = 0;
	for (int key = 0; key < TOP_KEYS; key++)
		if (*row->labels[key] && length < sizeof(text))
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %s",
						   length ? "  " : "", top_key_name((enum top_key)key),
						   row->labels[key]);
	top_put_name(line + 1, 0, COLS, TOP_FAINT, text, "");
}

static void draw_graph(const struct top_screen *screen, const struct top_row *row,
		       const struct top_column *column, const struct top_spot *where, int height)
{
	double values[TOP_HISTORY], most = 0;
	struct top_figures highest = {0};
	char text[128], title[32], now[32], peak[32];
	size_t count = row->history.count;

	for (size_t i = 0; i < count; i++) {
		if (!top_history_value(&screen->model, row, column, count - 1 - i, &values[i]))
			values[i] = NAN;
		most = fmax(most, isnan(values[i]) ? 0 : values[i]);
	}
	highest.has[column->of] = true;
	highest.values[column->of] = most / column->factor;
	if (column->per != TOP_NONE) {
		highest.has[column->per] = true;
		highest.values[column->per] = 1;
	}
	top_column_print(column, row->shown ? &row->figures : &(struct top_figures){0}, screen->units, now,
			 sizeof(now));
	top_column_print(column, &highest, screen->units, peak, sizeof(peak));
	snprintf(text, sizeof(text), "%s %s  (peak %s)",
		 top_column_title(column, screen->units, title, sizeof(title)), now, most > 0 ? peak : "-");
	top_put(where->line, where->column, where->width, TOP_HEAD, text);
	top_put_graph(where->line + 1, where->column, height - 1, where->width - 1, values, count, most);
}

void top_screen_draw_detail(struct top_screen *screen, int line, int height)
{
	const struct top_row *row = top_screen_row(screen);
	const char *const *keys = top_screen_keys(screen);
	int across = COLS / GRAPH_WIDTH_LEAST, down, each, count = 0;

	for (int y = 0; y < height; y++)
		top_put(line + y, 0, COLS, TOP_NORMAL, "");
	if (!row) {
		top_put(line, 0, COLS, TOP_POOR, "It has ended, and its history is gone (Esc: back)");
		return;
	}
	draw_labels(row, line);
	while (keys[count])
		count++;
	if (!count) /* a page without columns */
		return;
	across = across < 1 ? 1 : across > 3 ? 3 : across;
	down = (count + across - 1) / across;
	each = (height - 2) / down;
	each = each < 2 ? 2 : each > 8 ? 8 : each;
	for (int i = 0; i < count; i++) {
		struct top_spot where = {.line = line + 2 + i / across * each,
					 .column = i % across * (COLS / across),
					 .width = COLS / across};

		if (where.line + each <= line + height)
			draw_graph(screen, row, top_column_find(keys[i]), &where, each);
	}
}

/* ---- Sources ------------------------------------------------------------------------------------ */

static void add_finding(struct scroll *scroll, const struct deepmon_finding *finding)
{
	static const enum top_style styles[] = {[DEEPMON_FOUND_WELL] = TOP_GOOD,
						[DEEPMON_FOUND_LESS] = TOP_POOR,
						[DEEPMON_FOUND_MISSING] = TOP_BAD,
						[DEEPMON_FOUND_OFF] = TOP_FAINT,
						[DEEPMON_FOUND_FACT] = TOP_NORMAL};
	char text[2 * DEEPMON_REASON_MAX];

	snprintf(text, sizeof(text), "%-8s %-10s %-26s %s", deepmon_finding_state_name(finding->state),
		 finding->subject, finding->name, finding->reason);
	add_wrapped(scroll, styles[finding->state], text, 20);
	if (!*finding->remedy)
		return;
	snprintf(text, sizeof(text), "%*s-> %s", 20, "", finding->remedy);
	add_wrapped(scroll, TOP_NORMAL, text, 23);
}

/* Of a cluster its hosts, and how it is asked. */
static void draw_hosts(struct top_screen *screen, int line, int height)
{
	struct scroll scroll = begin(screen, line, height);
	struct influx_state state;
	char text[2 * INFLUX_WHY_MAX];

	influx_look(screen->source.influx, &state);
	if (top_cluster_trouble(screen, text, sizeof(text)))
		add_wrapped(&scroll, TOP_BAD, text, 0);
	else if (state.answered) {
		snprintf(text, sizeof(text), "InfluxDB answered all within %.2f s.", state.answer_seconds);
		add(&scroll, TOP_GOOD, text);
	}
	add(&scroll, TOP_HEAD, "       AGE  CONTAINERS  HOST");
	for (size_t i = 0; i < state.host_count; i++) {
		double age = top_age_seconds(state.hosts[i].newest_ns);

		snprintf(text, sizeof(text), "%8.0f s  %10zu  %s", age, state.hosts[i].rows,
			 *state.hosts[i].name ? state.hosts[i].name : TOP_UNGROUPED);
		add(&scroll, TOP_NORMAL, text);
	}
	end(screen, &scroll);
}

void top_screen_draw_sources(struct top_screen *screen, int line, int height)
{
	/* What calls for something comes first. */
	static const enum deepmon_finding_state order[] = {DEEPMON_FOUND_MISSING, DEEPMON_FOUND_LESS,
							   DEEPMON_FOUND_WELL, DEEPMON_FOUND_FACT,
							   DEEPMON_FOUND_OFF};
	struct scroll scroll = begin(screen, line, height);
	size_t count;
	const struct deepmon_finding *rows = top_source_findings(&screen->source, &count);

	if (top_cluster_is_shown(screen)) {
		draw_hosts(screen, line, height);
		return;
	}
	add(&scroll, TOP_HEAD, "STATE    OF         WHAT                       WHY");
	for (size_t state = 0; state < sizeof(order) / sizeof(order[0]); state++)
		for (size_t i = 0; i < count; i++)
			if (rows[i].state == order[state])
				add_finding(&scroll, &rows[i]);
	if (!count)
		add(&scroll, TOP_NORMAL, "Of a recording nothing is known of its host's sources.");
	end(screen, &scroll);
}

/* ---- Help --------------------------------------------------------------------------------------- */

void top_screen_draw_help(struct top_screen *screen, int line, int height)
{
	static const char *const keys[] = {
	    "Tab, left, right   the next page, the one before",
	    "up, down, PgUp, PgDn, Home, End; j, k",
	    "                   move; in a text, scroll",
	    "Enter              a container: its history as graphs; a group: fold it",
	    "p, d               processes of a container, its block devices",
	    "Esc                back; all rows again",
	    "< >                sort by the column to the left, to the right",
	    "r                  the other way round",
	    "n                  by name",
	    "/                  rows that have all of these words; KEY:TEXT, COLUMN>NUMBER,",
	    "                   COLUMN<NUMBER, !WORD (Enter: done, Esc: all rows)",
	    "g                  group: namespace, pod, image, project, service, runtime; host",
	    "e                  containers, units, totals",
	    "u                  units: bytes by 1024 or 1000, mW and Wh, whole numbers",
	    "space              freeze, and go on",
	    "+ -                the interval; of a recording, its speed",
	    ".                  one sample, now",
	    "[ ] { }            of a recording: 10 s back and on, 60 s back and on",
	    "mouse              tabs, heads of columns, lines; twice on a line: Enter",
	    "? or h             this; q: end",
	    "",
	    "A dash was not measured; the line at the foot says why.",
	    "",
	};
	struct scroll scroll = begin(screen, line, height);
	char text[256], title[32];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		add(&scroll, TOP_NORMAL, keys[i]);
	snprintf(text, sizeof(text),
		 "Columns of the page %s (COLUMN in a filter):", top_screen_page_name(screen->page));
	add(&scroll, TOP_HEAD, text);
	for (const char *const *key = top_screen_keys(screen); *key; key++) {
		const struct top_column *column = top_column_find(*key);

		snprintf(text, sizeof(text), "%-8s %-27s %s",
			 top_column_title(column, screen->units, title, sizeof(title)), column->key,
			 column->help);
		add(&scroll, TOP_NORMAL, text);
	}
	end(screen, &scroll);
}
