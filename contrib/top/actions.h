/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What can be done on deepmon-top's screen, by whichever key or the mouse. Under the model's lock.
 */
#ifndef DEEPMON_TOP_ACTIONS_H
#define DEEPMON_TOP_ACTIONS_H

#include "screen.h"

/* The page of that number; past the last it goes on with the first. */
void top_act_page(struct top_screen *screen, size_t page);

/* NULL: by name. What rows are sorted by already goes the other way round. */
void top_act_sort_by(struct top_screen *screen, const struct top_column *column);
/* By the column so many to the right, or to the left; left of the first is the name. */
void top_act_move_sort(struct top_screen *screen, int by);
/* The next way to group rows. */
void top_act_group(struct top_screen *screen);
/* The next choice of what rows are: containers, units, totals. */
void top_act_entities(struct top_screen *screen);
/* The next units. */
void top_act_units(struct top_screen *screen);
/* The filter as it is typed, if it can be one. */
void top_act_filter(struct top_screen *screen);

/* Down so many lines, or up. */
void top_act_move(struct top_screen *screen, long by);
/* The detail of the row that the cursor is on; a group is folded; of a detail, back. */
void top_act_enter(struct top_screen *screen);
/* The page of the kind of rows that a container has under it. */
void top_act_look_into(struct top_screen *screen, enum deepmon_entity kind);
/* Back to all, one step at a time. */
void top_act_escape(struct top_screen *screen);

/* The next interval, or speed of a recording. */
void top_act_pace(struct top_screen *screen, bool up);
/* A sample more, now. */
void top_act_step(struct top_screen *screen);
void top_act_seek(struct top_screen *screen, double seconds);
void top_act_freeze(struct top_screen *screen);

#endif
