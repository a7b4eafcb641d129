/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which key of deepmon-top does what, and the mouse.
 */
#include <limits.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "actions.h"

#define ESCAPE	  27
#define BACKSPACE 127
#define DELETE	  8
#define ERASE	  21 /* ^U */
#define REDRAW	  12 /* ^L */
#define ENTER	  13
#define WHEEL	  3 /* lines */

/* ---- The filter, as it is typed ----------------------------------------------------------------- */

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
	top_act_filter(screen);
}

/* ---- The mouse ---------------------------------------------------------------------------------- */

static bool is_on(const struct top_spot *spot, const MEVENT *event)
{
	return event->y == spot->line && event->x >= spot->column && event->x < spot->column + spot->width;
}

static void press(struct top_screen *screen, const MEVENT *event)
{
	const char *const *keys = top_screen_keys(screen);

	for (size_t i = 0; i < screen->tab_count; i++)
		if (is_on(&screen->tabs[i], event)) {
			top_act_page(screen, screen->tabs[i].what);
			return;
		}
	if (screen->look != TOP_LOOK_TABLE || screen->page >= top_page_count)
		return;
	for (size_t i = 0; i < screen->head_count; i++)
		if (is_on(&screen->heads[i], event)) {
			size_t what = screen->heads[i].what;

			top_act_sort_by(screen, what ? top_column_find(keys[what - 1]) : NULL);
			return;
		}
	if (event->y >= screen->first_row && event->y < screen->first_row + screen->row_count) {
		size_t line = screen->first + (size_t)(event->y - screen->first_row);

		if (line == screen->cursor)
			top_act_enter(screen);
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
		top_act_move(screen, -WHEEL);
	else if (event.bstate & BUTTON5_PRESSED)
		top_act_move(screen, WHEEL);
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
		top_act_page(screen, screen->page + 1);
		break;
	case KEY_LEFT:
	case KEY_BTAB:
		top_act_page(screen, screen->page + TOP_SCREEN_PAGES - 1);
		break;
	case KEY_UP:
		top_act_move(screen, -1);
		break;
	case KEY_DOWN:
		top_act_move(screen, 1);
		break;
	case KEY_PPAGE:
		top_act_move(screen, -height);
		break;
	case KEY_NPAGE:
		top_act_move(screen, height);
		break;
	case KEY_HOME:
		screen->cursor = screen->first = 0;
		break;
	case KEY_END:
		top_act_move(screen, 1 << 30);
		break;
	case KEY_ENTER:
		top_act_enter(screen);
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
		top_act_freeze(screen);
		return true;
	case '+':
	case '=':
		top_act_pace(screen, true);
		return true;
	case '-':
		top_act_pace(screen, false);
		return true;
	case '.':
		top_act_step(screen);
		return true;
	case '[':
		top_act_seek(screen, -10);
		return true;
	case ']':
		top_act_seek(screen, 10);
		return true;
	case '{':
		top_act_seek(screen, -60);
		return true;
	case '}':
		top_act_seek(screen, 60);
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
		top_act_move_sort(screen, -1);
		return true;
	case '>':
		top_act_move_sort(screen, 1);
		return true;
	case 'r':
		screen->settings.ascending = !screen->settings.ascending;
		top_screen_view(screen);
		return true;
	case 'n':
		top_act_sort_by(screen, NULL);
		return true;
	case 'g':
		top_act_group(screen);
		return true;
	case 'u':
		top_act_units(screen);
		return true;
	case 'e':
		top_act_entities(screen);
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
		top_act_page(screen, screen->page + 1);
		break;
	case ENTER:
	case '\n':
		top_act_enter(screen);
		break;
	case 'p':
		top_act_look_into(screen, DEEPMON_PROCESS);
		break;
	case 'd':
		top_act_look_into(screen, TOP_DEVICE);
		break;
	case 'j':
		top_act_move(screen, 1);
		break;
	case 'k':
		top_act_move(screen, -1);
		break;
	case '?':
	case 'h':
		screen->look = screen->look == TOP_LOOK_HELP ? TOP_LOOK_TABLE : TOP_LOOK_HELP;
		screen->first = 0;
		break;
	case ESCAPE:
		top_act_escape(screen);
		break;
	case REDRAW:
		clearok(stdscr, TRUE);
		break;
	default:
		break;
	}
}

/* What a key sends that the terminal's description does not have is no keys of ours. False: it is but Escape.
 */
static bool is_unknown(void)
{
	wint_t key;
	int kind = get_wch(&key);

	if (kind == KEY_CODE_YES)
		ungetch((int)key);
	else if (kind == OK && key != '[' && key != 'O')
		unget_wch((wchar_t)key);
	if (kind != OK || (key != '[' && key != 'O'))
		return false;
	while (get_wch(&key) == OK && (key < '@' || key > '~'))
		;
	return true;
}

void top_screen_keys_hit(struct top_screen *screen)
{
	wint_t key;
	int kind;

	while (!screen->quit && (kind = get_wch(&key)) != ERR) {
		if (kind == OK && key == ESCAPE && is_unknown())
			continue;
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
