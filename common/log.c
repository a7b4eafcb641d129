/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Puts a message together and hands it to the front end.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(const struct deepmon_logger *logger, enum deepmon_log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	if (!logger || !logger->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	logger->log(logger->user, level, line);
}
