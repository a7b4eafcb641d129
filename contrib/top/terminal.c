/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The terminal, by ncurses.
 */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <ncurses.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "text.h"

static attr_t styles[TOP_STYLES];
static bool is_utf8;
static volatile sig_atomic_t ended;

static int asked_to_end = -1;  /* an eventfd */
static sigset_t while_waiting; /* the signals that are not let in then */

#define PATIENCE    3 /* seconds, after which who was asked to end does so from wherever it is */
#define FAREWELL_MS 500

/* For whoever dies: what the terminal was, and what to write to be out of the screen again. */
static struct termios found;
static char farewell[128];
static volatile sig_atomic_t is_open;

/* ---- Signals ------------------------------------------------------------------------------------ */

static const int polite[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static void end_politely(int signal_number)
{
	const uint64_t one = 1;
	ssize_t written;

	(void)signal_number;
	ended = 1;
	alarm(PATIENCE);
	written = write(asked_to_end, &one, sizeof(one));
	(void)written;
}

/* A terminal that was told to stop (^S) goes on, and is waited for, but not for ever. */
static void say_farewell(void)
{
	struct pollfd terminal = {.fd = STDOUT_FILENO, .events = POLLOUT};
	struct termios unstopped = found;
	const char *text = farewell;
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	/* TCOON is no answer to ^S, but to do without it is. */
	unstopped.c_iflag &= ~(tcflag_t)IXON;
	tcsetattr(STDIN_FILENO, TCSANOW, &unstopped);
	fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (*text && poll(&terminal, 1, FAREWELL_MS) > 0) {
		ssize_t written = write(STDOUT_FILENO, text, strlen(text));

		if (written < 0 && errno != EAGAIN && errno != EINTR)
			break;
		text += written > 0 ? written : 0;
	}
	fcntl(STDOUT_FILENO, F_SETFL, flags);
}

/* Of a fault, or amid what never returns: only what a signal handler may call. */
static void end_at_once(int signal_number)
{
	if (is_open) {
		say_farewell();
		tcsetattr(STDIN_FILENO, TCSANOW, &found);
	}
	raise(signal_number); /* SA_RESETHAND: by its default */
}

/* None is missed between a look and the wait. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = end_politely};
	sigset_t resized;

	for (size_t i = 0; i < COUNT(polite); i++)
		sigaction(polite[i], &action, NULL);
	action = (struct sigaction){.sa_handler = end_at_once, .sa_flags = (int)SA_RESETHAND};
	for (size_t i = 0; i < COUNT(faults); i++)
		sigaction(faults[i], &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &resized, &while_waiting);
}

void top_terminal_hold_signals(sigset_t *before)
{
	sigset_t held;

	sigfillset(&held);
	for (size_t i = 0; i < COUNT(faults); i++)
		sigdelset(&held, faults[i]);
	pthread_sigmask(SIG_BLOCK, &held, before);
}

void top_terminal_wait(int file, int timeout_ms)
{
	const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	struct pollfd files[] = {{.fd = STDIN_FILENO, .events = POLLIN},
				 {.fd = file, .events = POLLIN},
				 {.fd = asked_to_end, .events = POLLIN}};

	ppoll(files, COUNT(files), timeout_ms < 0 ? NULL : &timeout, &while_waiting);
	/* Whose terminal has gone reads no end of nothing. */
	if (files[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		end_politely(SIGHUP);
}

bool top_terminal_is_ended(void)
{
	return ended;
}

/* ---- Opening ------------------------------------------------------------------------------------ */

static void add_text(const char *text)
{
	size_t length = strlen(farewell);

	if (length + strlen(text) < sizeof(farewell))
		strcpy(farewell + length, text);
}

static void add_farewell(const char *capability)
{
	const char *text = tigetstr(capability);

	/* (char *)-1: it is no text; delays in it are not kept, as no terminal of today needs them. */
	if (text && text != (const char *)-1 && !strchr(text, '$'))
		add_text(text);
}

static void choose_styles(void)
{
	static const struct {
		attr_t attributes;
		short foreground;
	} wanted[TOP_STYLES] = {
	    [TOP_NORMAL] = {A_NORMAL, -1},
	    [TOP_STRONG] = {A_BOLD, -1},
	    [TOP_FAINT] = {A_DIM, -1},
	    [TOP_HEAD] = {A_BOLD, COLOR_CYAN},
	    [TOP_SORTED] = {A_REVERSE, COLOR_CYAN},
	    [TOP_HERE] = {A_REVERSE, -1},
	    [TOP_GOOD] = {A_NORMAL, COLOR_GREEN},
	    [TOP_POOR] = {A_NORMAL, COLOR_YELLOW},
	    [TOP_BAD] = {A_BOLD, COLOR_RED},
	};
	const char *refused = getenv("NO_COLOR"); /* https://no-color.org */
	bool colors = has_colors() && !(refused && *refused) && start_color() == OK;

	if (colors)
		use_default_colors();
	for (int style = 0; style < TOP_STYLES; style++) {
		styles[style] = wanted[style].attributes;
		if (!colors || wanted[style].foreground < 0)
			continue;
		init_pair((short)(style + 1), wanted[style].foreground, -1);
		styles[style] |= (attr_t)COLOR_PAIR(style + 1);
	}
}

int top_terminal_open(char *why, size_t why_size)
{
	const char *name = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &found)) {
		snprintf(why, why_size, "the screen needs a terminal; --batch does without");
		return -ENOTTY;
	}
	setlocale(LC_CTYPE, "");
	is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (!newterm(NULL, stdout, stdin)) {
		snprintf(why, why_size, "there is no description of the terminal \"%.64s\" (TERM)",
			 name ? name : "");
		return -ENOTTY;
	}
	asked_to_end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	catch_signals();
	add_farewell("rmkx");
	add_farewell("cnorm");
	add_farewell("sgr0");
	add_farewell("rmcup");
	is_open = 1;
	choose_styles();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	if (mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL))
		add_text("\033[?1006l\033[?1000l"); /* as xterm has it, which ncurses' mouse is */
	mouseinterval(0);
	return 0;
}

void top_terminal_close(void)
{
	if (!is_open)
		return;
	endwin();
	is_open = 0;
	alarm(0);
}

bool top_terminal_is_utf8(void)
{
	return is_utf8;
}

/* ---- Texts -------------------------------------------------------------------------------------- */

int top_width(const char *text)
{
	return top_text_width(text, is_utf8);
}

size_t top_fitting(const char *text, int width)
{
	const char *at = text, *blank = NULL, *before = text;
	int used = 0, of_one;
	wchar_t character;

	while ((character = top_text_next(&at, is_utf8, &of_one)) && used + of_one <= width) {
		if (character == L' ' && before > text)
			blank = before;
		used += of_one;
		before = at;
	}
	if (!character)
		return (size_t)(before - text);
	if (blank)
		before = blank;
	return before > text ? (size_t)(before - text) : (size_t)(at - text);
}

void top_put(int line, int column, int width, enum top_style style, const char *text)
{
	wchar_t character;
	int used = 0, of_one;

	if (line < 0 || line >= LINES || column < 0 || column >= COLS)
		return;
	if (width > COLS - column)
		width = COLS - column;
	attrset((int)styles[style]);
	move(line, column);
	while ((character = top_text_next(&text, is_utf8, &of_one)) && used + of_one <= width) {
		addnwstr(&character, 1);
		used += of_one;
	}
	for (; used < width; used++)
		addch(' ');
	attrset(A_NORMAL);
}

void top_put_name(int line, int column, int width, enum top_style style, const char *name, const char *tail)
{
	int room = width - top_width(tail), used;
	bool is_cut = top_width(name) > room;
	size_t length = top_text_cut(name, is_utf8, room, 1, &used);
	char text[1024];

	snprintf(text, sizeof(text), "%.*s%s%s", (int)length, name, !is_cut ? "" : is_utf8 ? "…" : "~", tail);
	top_put(line, column, width, style, text);
}

void top_refresh(void)
{
	refresh();
}

void top_put_right(int line, int column, int width, enum top_style style, const char *text)
{
	int blanks = width - top_width(text);

	if (blanks > 0)
		top_put(line, column, blanks, style, "");
	else
		blanks = 0;
	top_put(line, column + blanks, width - blanks, style, text);
}

/* ---- Graphs ------------------------------------------------------------------------------------- */

void top_put_graph(int line, int column, int height, int width, const double *values, size_t count,
		   double most)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {" ", ".", ".", ".", ":", ":", ":", "#", "#"};
	const char *const *eighths = is_utf8 ? blocks : plain;

	for (int x = 0; x < width; x++) {
		size_t ago = (size_t)(width - 1 - x);
		double value = ago < count ? values[count - 1 - ago] : NAN;
		int full = isnan(value) || most <= 0 ? 0 : (int)lround(value / most * height * 8);

		if (value > 0 && !full)
			full = 1; /* something is more than nothing */
		for (int y = 0; y < height; y++) {
			int here = full - (height - 1 - y) * 8;

			here = here < 0 ? 0 : here > 8 ? 8 : here;
			top_put(line + y, column + x, 1, here ? TOP_GOOD : TOP_FAINT,
				!here && y == height - 1 && !isnan(value) ? (is_utf8 ? "·" : "_")
									  : eighths[here]);
		}
	}
}
