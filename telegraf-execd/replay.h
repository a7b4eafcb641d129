/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd --replay: a recording as line protocol.
 */
#ifndef DEEPMON_EXECD_REPLAY_H
#define DEEPMON_EXECD_REPLAY_H

#include "settings.h"

/* Writes all of it to standard output. The status to exit with. */
int replay(const struct settings *settings, const struct deepmon_logger *logger);

#endif
