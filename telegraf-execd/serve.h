/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Serving an agent: reports on standard output when it asks for them, until it is done with us.
 */
#ifndef DEEPMON_SERVE_H
#define DEEPMON_SERVE_H

#include "settings.h"

/*
 * Blocks the signals that an agent sends, which end a process by default: to be called before there are
 * threads, and before anything that takes time. A descriptor to read them from, or -errno.
 */
int serve_open_signals(void);

/*
 * Until standard input ends, SIGTERM or SIGINT come, or nobody reads standard output any more: 0. -errno:
 * standard output can't be written, or there is no memory.
 */
int serve(struct deepmon *collector, const struct settings *settings, const struct deepmon_logger *logger,
	  int signal_fd);

#endif
