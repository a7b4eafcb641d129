/* SPDX-License-Identifier: GPL-3.0-only
 *
 * How deepmon-top's screen looks: the host at its top, tabs, the table, and what there is to say below.
 */
#include <ncurses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cluster.h"
#include "screen.h"
#include "terminal.h"

#define NAME_LEAST 16
#define TABS_LINE  3
#define BODY_LINE  4 /* the table's head */
#define FOOTER	   3 /* lines */

const char *top_screen_page_name(size_t page)
{
	return page < top_page_count ? top_pages[page].name : "sources";
}

static bool has(const struct top_screen *screen, unsigned metric)
{
	return screen->model.host.self_valid & 1ull << metric;
}

/* ---- The host ----------------------------------------------------------------------------------- */

/* Adds to a text of that size; what finds no room is cut. */
static void __attribute__((format(printf, 3, 4))) add(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

/* What is known of the host by one figure: "Core 20.62 W", or a dash. */
static void add_figure(const struct top_screen *screen, char *text, size_t size, const char *what,
		       const struct top_column *column, const char *unit)
{
	char value[32];

	top_column_print(column, &screen->model.host.figures, screen->units, value, sizeof(value));
	add(text, size, "%s%s %s%s", *text ? "  " : "", what, value, *value == '-' ? "" : unit);
}

/* How samples come: "every 2 s". */
static void add_pace(const struct top_screen *screen, char *text, size_t size)
{
	const struct top_host *host = &screen->model.host;
	const struct deepmon_recording *about = &screen->source.about;
	char cluster[96];

	if (top_cluster_is_shown(screen)) {
		top_cluster_describe(screen, cluster, sizeof(cluster));
		add(text, size, "%s", cluster);
	} else if (screen->source.replay) {
		add(text, size, "recorded, %.0f of %.0f s, every %.3g s, x%g",
		    (double)(int64_t)(host->time_ns - about->first_ns) / 1e9,
		    (double)(about->last_ns - about->first_ns) / 1e9, (double)host->interval_ns / 1e9,
		    screen->sampler.speed);
	} else {
		add(text, size, "every %g s", screen->sampler.interval);
	}
}

/* Which host and when. */
static void draw_title(const struct top_screen *screen)
{
	const struct top_host *host = &screen->model.host;
	const struct top_sampler *sampler = &screen->sampler;
	time_t seconds = (time_t)(host->time_ns / 1000000000);
	char text[512], clock[32];
	const char *state = sampler->seeking				      ? "SEEKING"
			    : sampler->ended				      ? "END"
			    : sampler->frozen				      ? "FROZEN"
			    : top_cluster_trouble(screen, text, sizeof(text)) ? "STALE"
									      : "";
	struct tm tm;

	snprintf(text, sizeof(text), "deepmon-top  %s  ", screen->host);
	if (screen->model.samples) {
		localtime_r(&seconds, &tm);
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
		add(text, sizeof(text), "%s  ", clock);
		add_pace(screen, text, sizeof(text));
	} else if (top_cluster_is_shown(screen)) {
		add_pace(screen, text, sizeof(text));
	} else {
		add(text, sizeof(text), "the first sample is under way");
	}
	top_put(0, 0, COLS, TOP_STRONG, text);
	if (*state)
		top_put_right(0, COLS - 8, 8, TOP_POOR, state);
}

static void draw_power(const struct top_screen *screen)
{
	/* What is the whole host's, by which of these there is: the board's own meter has more in it. */
	const struct top_figures *figures = &screen->model.host.figures;
	enum top_figure whole = figures->has[TOP_PLATFORM_WATTS] ? TOP_PLATFORM_WATTS : TOP_PSYS_WATTS;
	const struct {
		const char *what;
		enum top_figure figure;
	} parts[] = {{"Package", TOP_PACKAGE_WATTS},
		     {"Core", TOP_CORE_WATTS},
		     {"DRAM", TOP_DRAM_WATTS},
		     {"Host", whole}};
	char text[256] = "", unit[8];

	snprintf(unit, sizeof(unit), " %s", top_units_of_power(screen->units));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct top_column column = {
		    .unit = TOP_WATTS, .of = parts[i].figure, .per = TOP_NONE, .factor = 1};

		add_figure(screen, text, sizeof(text), parts[i].what, &column, unit);
	}
	add_figure(screen, text, sizeof(text), "Switches", top_column_find("context_switches"), "/s");
	top_put(1, 0, COLS, TOP_NORMAL, text);
}

/* CPU time, and what the measuring itself costs. */
static void draw_load(const struct top_screen *screen)
{
	const struct top_host *host = &screen->model.host;
	char text[320] = "";

	add_figure(screen, text, sizeof(text), "CPU", top_column_find("cpu_percent"), "%");
	if (host->idle_percent >= 0)
		add(text, sizeof(text), "  Idle %.1f%%", host->idle_percent);
	add(text, sizeof(text), "  Containers %zu%s", host->containers,
	    top_cluster_is_shown(screen) ? "" : "  Itself:");
	if (host->self_percent >= 0)
		add(text, sizeof(text), " %.1f%% CPU", host->self_percent);
	if (has(screen, DEEPMON_INDEX_SELF_COST_power_watts))
		add(text, sizeof(text), " %.2f W", host->self.power_watts);
	if (has(screen, DEEPMON_INDEX_SELF_COST_resident_bytes))
		add(text, sizeof(text), " %.0f MiB", (double)host->self.resident_bytes / 1048576);
	top_put(2, 0, COLS, TOP_NORMAL, text);
}

/* Those that find room, the one that is looked at among them. */
static void draw_tabs(struct top_screen *screen)
{
	size_t first = 0;
	int column = 0, needed = 0;

	for (size_t page = 0; page <= screen->page; page++)
		needed += top_width(top_screen_page_name(page)) + 2;
	for (; needed > COLS - 2 && first < screen->page; first++)
		needed -= top_width(top_screen_page_name(first)) + 2;
	top_put(TABS_LINE, 0, COLS, TOP_NORMAL, "");
	screen->tab_count = 0;
	if (first) {
		top_put(TABS_LINE, 0, 1, TOP_FAINT, "<");
		column = 1;
	}
	for (size_t page = first; page < TOP_SCREEN_PAGES; page++) {
		char text[64];
		int width = snprintf(text, sizeof(text), page == screen->page ? "[%s]" : " %s ",
				     top_screen_page_name(page));

		if (column + width > COLS - 1) {
			top_put(TABS_LINE, COLS - 1, 1, TOP_FAINT, ">");
			break;
		}
		top_put(TABS_LINE, column, width, page == screen->page ? TOP_HERE : TOP_NORMAL, text);
		screen->tabs[screen->tab_count++] = (struct top_spot){TABS_LINE, column, width, page};
		column += width;
	}
}

/* ---- The table ---------------------------------------------------------------------------------- */

/* Which columns find room: the one that rows are sorted by is among them. */
struct window {
	const struct top_column *columns[TOP_PAGE_COLUMNS_MAX];
	size_t first, count, all;
	int name_width, width; /* of a column */
	enum top_units units;
};

static struct window window_of(const struct top_screen *screen)
{
	const char *const *keys = top_screen_keys(screen);
	struct window window = {.width = top_units_width(screen->units), .units = screen->units};
	int room = (COLS - NAME_LEAST) / window.width;
	size_t most = room > 1 ? (size_t)room : 1;

	for (; keys[window.all] && (window.columns[window.all] = top_column_find(keys[window.all]));
	     window.all++)
		if (window.columns[window.all] == screen->sorts[screen->page] && window.all >= most)
			window.first = window.all - most + 1;
	window.count = window.all - window.first < most ? window.all - window.first : most;
	window.name_width = COLS - (int)window.count * window.width;
	return window;
}

static void draw_heads(struct top_screen *screen, const struct window *window)
{
	const struct top_column *sort = screen->sorts[screen->page];
	char text[96];
	int column = window->name_width;

	snprintf(text, sizeof(text), "%s%s", window->first ? "NAME <" : "NAME",
		 window->first + window->count < window->all ? " (>: more)" : "");
	top_put(BODY_LINE, 0, window->name_width, sort ? TOP_HEAD : TOP_SORTED, text);
	screen->heads[0] = (struct top_spot){BODY_LINE, 0, window->name_width, 0};
	screen->head_count = 1;
	for (size_t i = window->first; i < window->first + window->count; i++, column += window->width) {
		top_put(BODY_LINE, column, 1, TOP_HEAD, "");
		top_put_right(BODY_LINE, column + 1, window->width - 1,
			      window->columns[i] == sort ? TOP_SORTED : TOP_HEAD,
			      top_column_title(window->columns[i], window->units, text, sizeof(text)));
		screen->heads[screen->head_count++] =
		    (struct top_spot){BODY_LINE, column, window->width, i + 1};
	}
}

static void draw_figures(const struct window *window, int y, enum top_style style,
			 const struct top_figures *figures)
{
	int column = window->name_width;
	char text[32];
	double value;

	for (size_t i = window->first; i < window->first + window->count; i++, column += window->width) {
		top_column_print(window->columns[i], figures, window->units, text, sizeof(text));
		if ((int)strlen(text) >= window->width &&
		    top_column_value(window->columns[i], figures, &value))
			snprintf(text, sizeof(text), "%.2g", value);
		top_put(y, column, 1, style, "");
		top_put_right(y, column + 1, window->width - 1, style, text);
	}
}

/* A container's device is told by what it is not told by above. */
static void name_row(const struct top_screen *screen, const struct top_line *line, char *text, size_t size)
{
	if (line->row->entity != TOP_DEVICE || (!screen->only && !screen->settings.group_count))
		snprintf(text, size, "%s", line->name);
	else if (screen->only)
		snprintf(text, size, "%s", line->row->part);
	else
		snprintf(text, size, "%s %s", line->row->part, line->name);
}

static void draw_line(const struct top_screen *screen, const struct window *window, int y, size_t index)
{
	const struct top_line *line = &screen->view.lines[index];
	enum top_style style = index == screen->cursor ? TOP_HERE : line->row ? TOP_NORMAL : TOP_STRONG;
	int indent = (int)line->depth * 2;
	char text[512], name[400], members[32] = "";

	if (line->row) {
		name_row(screen, line, name, sizeof(name));
		snprintf(text, sizeof(text), "%*s%s", indent, "", name);
	} else {
		snprintf(text, sizeof(text), "%*s%c %s", indent, "",
			 screen->settings.is_folded(screen->settings.user, line->path) ? '+' : '-',
			 line->name);
		snprintf(members, sizeof(members), " (%zu)", line->members);
	}
	top_put_name(y, 0, window->name_width, style, text, members);
	draw_figures(window, y, style, &line->figures);
}

static void draw_table(struct top_screen *screen)
{
	const struct window window = window_of(screen);
	int height = LINES - FOOTER - BODY_LINE - 2; /* less the head and the sum */
	char text[64];

	if (height < 1)
		height = 1;
	draw_heads(screen, &window);
	if (screen->cursor < screen->first)
		screen->first = screen->cursor;
	if (screen->cursor >= screen->first + (size_t)height)
		screen->first = screen->cursor - (size_t)height + 1;
	/* What went at the end leaves no empty lines there. */
	if (screen->view.count <= (size_t)height)
		screen->first = 0;
	else if (screen->first > screen->view.count - (size_t)height)
		screen->first = screen->view.count - (size_t)height;
	screen->first_row = BODY_LINE + 1;
	screen->row_count = height;
	for (int y = 0; y < height; y++) {
		size_t index = screen->first + (size_t)y;

		if (index < screen->view.count)
			draw_line(screen, &window, screen->first_row + y, index);
		else
			top_put(screen->first_row + y, 0, COLS, TOP_NORMAL, "");
	}
	snprintf(text, sizeof(text), "Sum of %zu", screen->view.rows);
	top_put(LINES - FOOTER - 1, 0, window.name_width, TOP_STRONG, text);
	draw_figures(&window, LINES - FOOTER - 1, TOP_STRONG, &screen->view.sum);
}

/* ---- The foot ----------------------------------------------------------------------------------- */

/* Why a column is nothing but dashes: of the one that rows are sorted by, else of the first such; or "". */
static void lacking(const struct top_screen *screen, char *text, size_t size)
{
	const struct window window = window_of(screen);
	const struct top_column *lacks = NULL;
	char why[DEEPMON_REASON_MAX], title[32];
	double value;

	for (size_t i = 0; i < window.all; i++) {
		const struct top_column *column = window.columns[i];

		if (top_column_value(column, &screen->view.sum, &value))
			continue;
		if (!lacks || column == screen->sorts[screen->page])
			lacks = column;
	}
	if (lacks)
		snprintf(text, size, "%s: %s", top_column_title(lacks, screen->units, title, sizeof(title)),
			 top_screen_reason(screen, lacks, why, sizeof(why)));
}

/* What rows are shown, if not all; or what was typed, or said. */
static void foot_text(const struct top_screen *screen, char *text, size_t size)
{
	bool of_containers = screen->page < top_page_count && !top_pages[screen->page].kind;

	*text = '\0';
	if (screen->typing)
		snprintf(text, size, "/%s_   %s", screen->typed, screen->message);
	else if (*screen->message)
		snprintf(text, size, "%s", screen->message);
	else if (top_cluster_trouble(screen, text, size))
		return;
	else if (screen->look == TOP_LOOK_DETAIL)
		snprintf(text, size,
			 "Esc: back   p: its processes   d: its block devices   Tab: other figures");
	else if (screen->look == TOP_LOOK_HELP)
		snprintf(text, size, "Esc: back   PgDn: more");
	else if (screen->page >= top_page_count)
		return;
	else if (screen->only && !of_containers)
		snprintf(text, size, "Of %s   (Esc: of all)", screen->only);
	else if (*screen->settings.filter)
		snprintf(text, size, "Filter: %s   (Esc: all)", screen->settings.filter);
}

/* Two lines: what there is to say, and why figures are missing, or more of what there is. And the keys. */
static void draw_foot(const struct top_screen *screen)
{
	static const char hints[] =
	    "?Help /Filter <>Sort rReverse gGroup eKinds uUnits SpaceFreeze +-Interval qQuit";
	static const char replay_hints[] =
	    "?Help /Filter <>Sort gGroup eKinds uUnits SpacePause +-Speed []Seek .Step qQuit";
	char said[DEEPMON_REASON_MAX + 64], lacks[DEEPMON_REASON_MAX + 64] = "";
	char line[DEEPMON_REASON_MAX + 64];
	enum top_style style = TOP_STRONG;
	const char *text = said;
	size_t length;

	foot_text(screen, said, sizeof(said));
	if (screen->look == TOP_LOOK_TABLE && screen->page < top_page_count && screen->model.samples)
		lacking(screen, lacks, sizeof(lacks));
	if (!*said) {
		style = TOP_POOR;
		text = lacks;
	}
	length = top_fitting(text, COLS);
	snprintf(line, sizeof(line), "%.*s", (int)length, text);
	top_put(LINES - 3, 0, COLS, style, line);
	text += length + strspn(text + length, " ");
	if (*text || !*said)
		top_put_name(LINES - 2, 0, COLS, style, text, "");
	else
		top_put_name(LINES - 2, 0, COLS, TOP_POOR, lacks, "");
	top_put(LINES - 1, 0, COLS, TOP_FAINT, screen->source.replay ? replay_hints : hints);
}

static void draw_body(struct top_screen *screen)
{
	int height = LINES - FOOTER - BODY_LINE;

	if (screen->look == TOP_LOOK_HELP)
		top_screen_draw_help(screen, BODY_LINE, height);
	else if (screen->look == TOP_LOOK_DETAIL)
		top_screen_draw_detail(screen, BODY_LINE, height);
	else if (screen->page == TOP_SOURCES_PAGE)
		top_screen_draw_sources(screen, BODY_LINE, height);
	else
		draw_table(screen);
}

void top_screen_draw(struct top_screen *screen)
{
	size_t first = screen->first;

	draw_title(screen);
	draw_power(screen);
	draw_load(screen);
	draw_tabs(screen);
	draw_body(screen);
	/* Only who draws a text knows its end, past which it was scrolled. */
	if (screen->first < first)
		draw_body(screen);
	draw_foot(screen);
}
