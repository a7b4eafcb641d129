/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-top's keys and the mouse do.
 */
#include <limits.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cluster.h"
#include "screen.h"
#include "terminal.h"

#define ESCAPE	  27
#define BACKSPACE 127
#define DELETE	  8
#define ERASE	  21 /* ^U */
#define REDRAW	  12 /* ^L */
#define ENTER	  13
#define WHEEL	  3 /* lines */

/* ---- Pages and columns -------------------------------------------------------------------------- */

static void go_to_page(struct top_screen *screen, size_t page)
{
	screen->page = page % TOP_SCREEN_PAGES;
	if (screen->look == TOP_LOOK_HELP)
		screen->look = TOP_LOOK_TABLE;
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
}

static void sort_by(struct top_screen *screen, const struct top_column *column)
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

/* The next column to sort by; left of the first is the name. */
static void move_sort(struct top_screen *screen, int by)
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

static void next_grouping(struct top_screen *screen)
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

static void next_entities(struct top_screen *screen)
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
	top_screen_say(screen, "Shown are %s", all[at].what);
	screen->cursor = screen->first = 0;
	top_screen_view(screen);
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

static void enter(struct top_screen *screen)
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

/* The page of the kind of rows that a container has under it. */
static void look_into(struct top_screen *screen, enum deepmon_entity kind)
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
	go_to_page(screen, page);
}

/* Back to all, one step at a time. */
static void escape(struct top_screen *screen)
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

static void change_pace(struct top_screen *screen, bool up)
{
	static const double intervals[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600};
	static const double speeds[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1000};
	bool replay = screen->source.replay;
	const double *steps = replay ? speeds : intervals;
	double *pace = replay ? &screen->speed : &screen->interval;
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
	screen->due_ns = 0; /* the next sample now; from then on as it says */
	top_cluster_pace(screen);
	if (replay)
		top_screen_say(screen, "Speed x%g", *pace);
	else
		top_screen_say(screen, "A sample every %g s", *pace);
}

static void seek(struct top_screen *screen, double seconds)
{
	if (screen->source.replay)
		top_screen_seek(screen, seconds);
	else
		top_screen_say(screen, "Only a recording (--replay) goes back and forth");
}

static void freeze(struct top_screen *screen)
{
	screen->frozen = !screen->frozen;
	screen->due_ns = 0;
}

/* ---- The filter, as it is typed ----------------------------------------------------------------- */

static void apply_filter(struct top_screen *screen)
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

static void erase_character(char *text)
{
	size_t length = strlen(text);

	while (length && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
		length--;
	text[length ? length - 1 : 0] = '\0';
}

static void type(struct top_screen *screen, wint_t key)
{
	size_t length = strlen(screen->typed);
	char bytes[MB_LEN_MAX + 1] = "";
	int count;

	switch (key) {
	case ESCAPE:
		screen->typed[0] = '\0';
		screen->typing = false;
		break;
	case ENTER:
	case '\n':
		screen->typing = false;
		break;
	case ERASE:
		screen->typed[0] = '\0';
		break;
	case BACKSPACE:
	case DELETE:
		erase_character(screen->typed);
		break;
	default:
		count = key < ' ' ? -1 : wctomb(bytes, (wchar_t)key);
		if (count > 0 && length + (size_t)count < sizeof(screen->typed))
			memcpy(screen->typed + length, bytes, (size_t)count + 1);
		break;
	}
	apply_filter(screen);
}

/* ---- Moving ------------------------------------------------------------------------------------- */

static void move_by(struct top_screen *screen, long by)
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

static bool is_on(const struct top_spot *spot, const MEVENT *event)
{
	return event->y == spot->line && event->x >= spot->column && event->x < spot->column + spot->width;
}

static void press(struct top_screen *screen, const MEVENT *event)
{
	const char *const *keys = top_screen_keys(screen);

	for (size_t i = 0; i < screen->tab_count; i++)
		if (is_on(&screen->tabs[i], event)) {
			go_to_page(screen, screen->tabs[i].what);
			return;
		}
	if (screen->look != TOP_LOOK_TABLE || screen->page >= top_page_count)
		return;
	for (size_t i = 0; i < screen->head_count; i++)
		if (is_on(&screen->heads[i], event)) {
			size_t what = screen->heads[i].what;

			sort_by(screen, what ? top_column_find(keys[what - 1]) : NULL);
			return;
		}
	if (event->y >= screen->first_row && event->y < screen->first_row + screen->row_count) {
		size_t line = screen->first + (size_t)(event->y - screen->first_row);

		if (line == screen->cursor)
			enter(screen);
		else if (line < screen->view.count)
			screen->cursor = line;
	}
}

static void mouse(struct top_screen *screen)
{
	MEVENT event;

	if (getmouse(&event) != OK)
		return;
	if (event.bstate & BUTTON4_PRESSED)
		move_by(screen, -WHEEL);
	else if (event.bstate & BUTTON5_PRESSED)
		move_by(screen, WHEEL);
	else if (event.bstate & BUTTON1_PRESSED)
		press(screen, &event);
}

/* ---- Keys --------------------------------------------------------------------------------------- */

/* What has a name of its own. */
static void hit_function(struct top_screen *screen, wint_t key)
{
	long height = screen->row_count > 1 ? screen->row_count - 1 : 1;

	switch (key) {
	case KEY_RIGHT:
		go_to_page(screen, screen->page + 1);
		break;
	case KEY_LEFT:
	case KEY_BTAB:
		go_to_page(screen, screen->page + TOP_SCREEN_PAGES - 1);
		break;
	case KEY_UP:
		move_by(screen, -1);
		break;
	case KEY_DOWN:
		move_by(screen, 1);
		break;
	case KEY_PPAGE:
		move_by(screen, -height);
		break;
	case KEY_NPAGE:
		move_by(screen, height);
		break;
	case KEY_HOME:
		screen->cursor = screen->first = 0;
		break;
	case KEY_END:
		move_by(screen, 1 << 30);
		break;
	case KEY_ENTER:
		enter(screen);
		break;
	case KEY_F(1):
		screen->look = TOP_LOOK_HELP;
		break;
	case KEY_MOUSE:
		mouse(screen);
		break;
	default: /* KEY_RESIZE: all is drawn again */
		break;
	}
}

/* Of how samples come. */
static bool hit_time(struct top_screen *screen, wint_t key)
{
	switch (key) {
	case ' ':
		freeze(screen);
		return true;
	case '+':
	case '=':
		change_pace(screen, true);
		return true;
	case '-':
		change_pace(screen, false);
		return true;
	case '.':
		top_screen_step(screen);
		return true;
	case '[':
		seek(screen, -10);
		return true;
	case ']':
		seek(screen, 10);
		return true;
	case '{':
		seek(screen, -60);
		return true;
	case '}':
		seek(screen, 60);
		return true;
	default:
		return false;
	}
}

/* Of which rows are shown, and in which order. */
static bool hit_table(struct top_screen *screen, wint_t key)
{
	switch (key) {
	case '<':
		move_sort(screen, -1);
		return true;
	case '>':
		move_sort(screen, 1);
		return true;
	case 'r':
		screen->settings.ascending = !screen->settings.ascending;
		top_screen_view(screen);
		return true;
	case 'n':
		sort_by(screen, NULL);
		return true;
	case 'g':
		next_grouping(screen);
		return true;
	case 'e':
		next_entities(screen);
		return true;
	case '/':
		screen->typing = true;
		return true;
	default:
		return false;
	}
}

static void hit(struct top_screen *screen, wint_t key)
{
	if (hit_time(screen, key) || hit_table(screen, key))
		return;
	switch (key) {
	case 'q':
		screen->quit = true;
		break;
	case '\t':
		go_to_page(screen, screen->page + 1);
		break;
	case ENTER:
	case '\n':
		enter(screen);
		break;
	case 'p':
		look_into(screen, DEEPMON_PROCESS);
		break;
	case 'd':
		look_into(screen, TOP_DEVICE);
		break;
	case 'j':
		move_by(screen, 1);
		break;
	case 'k':
		move_by(screen, -1);
		break;
	case '?':
	case 'h':
		screen->look = screen->look == TOP_LOOK_HELP ? TOP_LOOK_TABLE : TOP_LOOK_HELP;
		screen->first = 0;
		break;
	case ESCAPE:
		escape(screen);
		break;
	case REDRAW:
		clearok(stdscr, TRUE);
		break;
	default:
		break;
	}
}

void top_screen_keys_hit(struct top_screen *screen)
{
	wint_t key;
	int kind;

	while (!screen->quit && (kind = get_wch(&key)) != ERR) {
		screen->message[0] = '\0';
		if (screen->typing && kind == OK)
			type(screen, key);
		else if (screen->typing && (key == KEY_BACKSPACE || key == KEY_ENTER))
			type(screen, key == KEY_ENTER ? ENTER : BACKSPACE);
		else if (kind == OK)
			hit(screen, key);
		else
			hit_function(screen, key);
	}
}
