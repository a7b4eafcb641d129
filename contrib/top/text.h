/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names as people are shown them: whatever bytes they are, nothing of them moves the cursor, changes the
 * order of the others or takes more columns than is said.
 */
#ifndef DEEPMON_TOP_TEXT_H
#define DEEPMON_TOP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/*
 * The next character of a text; *text moves on. 0: it ends. *width: the columns that it takes, 0 of what
 * joins the one before. What is no character, controls something, or has more than ASCII's where that can't
 * be shown (utf8 false), is '?'. By the locale, which must be one of UTF-8 if utf8 is true.
 */
wchar_t top_text_next(const char **text, bool utf8, int *width);
/* How many columns a text takes. */
int top_text_width(const char *text, bool utf8);
/*
 * How many bytes of a text find room in so many columns, if there are `spare` columns less where it must be
 * cut. *used: the columns that they take.
 */
size_t top_text_cut(const char *text, bool utf8, int width, int spare, int *used);

#endif
