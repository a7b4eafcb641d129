/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Lines on standard error. Called by the collector's threads, too.
 */
#include "say.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long lost;

/* A pipe that has room takes PIPE_BUF bytes in one piece. False: not now, or never more. */
static bool write_line(const char *line, size_t length)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t written;

	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
		return false;
	do
		written = write(STDERR_FILENO, line, length);
	while (written < 0 && errno == EINTR);
	return written == (ssize_t)length;
}

static bool write_lost(void)
{
	char line[128];
	int length = snprintf(line, sizeof(line),
			      "W! deepmon: %lu lines were lost: standard error was not read\n", lost);

	return write_line(line, (size_t)length);
}

static void write_log(void *user, enum deepmon_log_level level, const char *text)
{
	static const char prefixes[] = {[DEEPMON_ERROR] = 'E',
					[DEEPMON_WARNING] = 'W',
					[DEEPMON_RECOVERED] = 'I',
					[DEEPMON_INFO] = 'I',
					[DEEPMON_DEBUG] = 'D'};
	const struct settings *settings = user;
	char line[PIPE_BUF];
	int length;

	if (level == DEEPMON_DEBUG && !settings->debug)
		return;
	length = snprintf(line, sizeof(line), "%c! deepmon: %s", prefixes[level], text);
	if (length >= (int)sizeof(line) - 1)
		length = (int)sizeof(line) - 2;
	for (int i = 0; i < length; i++)
		if (iscntrl((unsigned char)line[i]))
			line[i] = '?';
	line[length++] = '\n';

	pthread_mutex_lock(&lock);
	if (lost && write_lost())
		lost = 0;
	if (!write_line(line, (size_t)length))
		lost++;
	pthread_mutex_unlock(&lock);
}

struct deepmon_logger say_logger(const struct settings *settings)
{
	return (struct deepmon_logger){.log = write_log, .user = (void *)settings};
}

void say(const struct deepmon_logger *logger, enum deepmon_log_level level, const char *format, ...)
{
	char text[PIPE_BUF];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	logger->log(logger->user, level, text);
}
