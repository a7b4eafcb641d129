/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The terminal that deepmon-top's screen is on: UTF-8 or plain, with and without colour. However the process
 * ends, short of SIGKILL, the terminal is left as it was found.
 */
#ifndef DEEPMON_TOP_TERMINAL_H
#define DEEPMON_TOP_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

enum top_style {
	TOP_NORMAL,
	TOP_STRONG,
	TOP_FAINT,
	TOP_HEAD,   /* of a table */
	TOP_SORTED, /* the head of the column that rows are sorted by */
	TOP_HERE,   /* the tab, or the line, that is chosen */
	TOP_GOOD,
	TOP_POOR,
	TOP_BAD,
	TOP_STYLES
};

/* -ENOTTY: there is no terminal, or none that can be drawn on; `why` tells. */
int top_terminal_open(char *why, size_t why_size);
void top_terminal_close(void);

/* A signal that asks to end has come. After some seconds without an end it comes at once. */
bool top_terminal_is_ended(void);
/* Until a key is hit, a signal has come, or there is something in the file; or for so long (ms; -1: no end).
 */
void top_terminal_wait(int file, int timeout_ms);
/* Of a thread: leaves to the one of the screen the signals that others send, and those alone. */
void top_terminal_hold_signals(sigset_t *before);

bool top_terminal_is_utf8(void);

/*
 * Writes a text from a place on, cut or filled with blanks to so many columns. What the terminal can't show
 * is a '?'. Nothing is written outside of the screen.
 */
void top_put(int line, int column, int width, enum top_style style, const char *text);
/* The same, with a tail behind it; where it is cut there is a sign of it before the tail. */
void top_put_name(int line, int column, int width, enum top_style style, const char *name, const char *tail);
/* The same at the right of its columns. */
void top_put_right(int line, int column, int width, enum top_style style, const char *text);
/* Shows what was written. */
void top_refresh(void);
/*
 * How many bytes of a text find room in so many columns, cut at a blank where there is one; at least one
 * character.
 */
size_t top_fitting(const char *text, int width);
/* How many columns a text takes. */
int top_width(const char *text);

/*
 * Values as bars, the newest at the right, each from 0 to `most`; NaN: none. Of `count` values the last that
 * find room.
 */
void top_put_graph(int line, int column, int height, int width, const double *values, size_t count,
		   double most);

#endif
