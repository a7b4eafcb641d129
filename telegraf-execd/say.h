/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Lines on standard error, as Telegraf reads them: the level first, "E! W! I! D! ". None is longer than what
 * goes into a pipe in one piece, and none is waited for: an agent that has stopped reading them must not stop
 * the reports. Those that found no room are counted and told of as soon as there is some.
 */
#ifndef DEEPMON_SAY_H
#define DEEPMON_SAY_H

#include "settings.h"

/* The collector's logger. Debug lines are left out unless the settings ask for them. */
struct deepmon_logger say_logger(const struct settings *settings);

__attribute__((format(printf, 3, 4))) void say(const struct deepmon_logger *logger,
					       enum deepmon_log_level level, const char *format, ...);

#endif
