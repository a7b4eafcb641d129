/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-execd can do, each in a file of its own. They return the status to exit with.
 */
#ifndef DEEPMON_MODES_H
#define DEEPMON_MODES_H

#include "settings.h"

/* It was asked to end, or nobody reads its output any more: EXIT_SUCCESS. */
int mode_serve(const struct settings *settings, const struct deepmon_logger *logger);
int mode_once(const struct settings *settings, const struct deepmon_logger *logger);
int mode_replay(const struct settings *settings, const struct deepmon_logger *logger);
int mode_list_metrics(void);
int mode_help(void);

#endif
