/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What is to be notified of, kept until the next read: the collector speaks in threads of its own and while
 * collectd is still starting, when nobody hears.
 */
#ifndef DEEPMON_NOTICES_H
#define DEEPMON_NOTICES_H

#include "../common/deepmon.h"

#define NOTICES_MAX 32

/* Keeps a line if its level is one of those; past NOTICES_MAX it is in the log alone. Any thread. */
void notices_add(enum deepmon_log_level level, const char *line);

/* Dispatches those that are kept. */
void notices_dispatch(void);

#endif
