/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Messages to the front end's logger. Say what, which value, and what to do about it.
 */
#ifndef DEEPMON_LOG_H
#define DEEPMON_LOG_H

#include "deepmon.h"

#define LOG_LINE_MAX 1024

/* One line; longer ones are cut to LOG_LINE_MAX, control characters become '?'. A NULL logger is silent. */
__attribute__((format(printf, 3, 4))) void log_line(const struct deepmon_logger *logger,
						    enum deepmon_log_level level, const char *format, ...);

#define log_error(logger, ...)	   log_line(logger, DEEPMON_ERROR, __VA_ARGS__)
#define log_warning(logger, ...)   log_line(logger, DEEPMON_WARNING, __VA_ARGS__)
#define log_recovered(logger, ...) log_line(logger, DEEPMON_RECOVERED, __VA_ARGS__)
#define log_info(logger, ...)	   log_line(logger, DEEPMON_INFO, __VA_ARGS__)
#define log_debug(logger, ...)	   log_line(logger, DEEPMON_DEBUG, __VA_ARGS__)

#endif
