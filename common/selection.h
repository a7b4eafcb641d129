/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names and /regexes/ that an option lists, and whether a text is one of them.
 */
#ifndef DEEPMON_SELECTION_H
#define DEEPMON_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "deepmon.h"

struct selection;

/* The next text of a list after `text` (NULL: the first); NULL: there is none. */
const char *selection_next(const struct deepmon_list *list, const char *text);

/*
 * Adds to a list what a value holds: names and /regexes/ (POSIX extended, found anywhere in a text), parted
 * by commas, of which those within slashes part nothing. -EINVAL: a regex is none. -ERANGE: the list is full.
 * What is wrong with it goes to `why`, and the list is as it was.
 */
int selection_add(struct deepmon_list *list, const char *value, char *why, size_t why_size);

/* The list, ready to be matched. -ENOMEM. */
int selection_open(struct selection **selection, const struct deepmon_list *list);
/* Takes NULL. */
void selection_close(struct selection *selection);

/* Of NULL: true. */
bool selection_is_empty(const struct selection *selection);
/* Whether the text is one of its names, or a regex of its is found in it. */
bool selection_has(const struct selection *selection, const char *text);

#endif
