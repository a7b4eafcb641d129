/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Keeps what a collector finds of its host. Pure.
 */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void pass_on(void *user, enum deepmon_log_level level, const char *line)
{
	const struct findings *findings = user;

	if (findings->front.log)
		findings->front.log(findings->front.user, level, line);
}

/* A collector's logger is known by its function, as a file of the kernel's is by its operations. */
static struct findings *findings_of(const struct deepmon_logger *logger)
{
	return logger && logger->log == pass_on ? logger->user : NULL;
}

void findings_init(struct findings *findings, const struct deepmon_logger *front, struct deepmon_logger *own)
{
	*findings = (struct findings){0};
	if (front)
		findings->front = *front;
	*own = (struct deepmon_logger){.log = pass_on, .user = findings};
}

static void free_row(struct deepmon_finding *row)
{
	free(row->name);
	free(row->reason);
	free(row->remedy);
}

void findings_clear(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		free_row(&findings->rows[i]);
	free(findings->rows);
	findings->rows = NULL;
	findings->count = findings->capacity = 0;
}

static bool has_row(const struct findings *findings, const char *subject, const char *name)
{
	for (size_t i = 0; i < findings->count; i++)
		if (!strcmp(findings->rows[i].subject, subject) && !strcmp(findings->rows[i].name, name))
			return true;
	return false;
}

static bool make_room(struct findings *findings)
{
	size_t capacity = findings->capacity ? 2 * findings->capacity : 32;
	struct deepmon_finding *rows;

	if (findings->count < findings->capacity)
		return true;
	if (capacity > FINDINGS_MOST)
		return false;
	rows = realloc(findings->rows, capacity * sizeof(*rows));
	if (!rows)
		return false;
	findings->rows = rows;
	findings->capacity = capacity;
	return true;
}

/* Other people's bytes come along, in paths and names. */
static char *copy_line(const char *text)
{
	char *copy = strdup(text);

	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}

bool finding_add(const struct deepmon_logger *logger, enum deepmon_finding_state state, const char *subject,
		 const char *name, const char *remedy, const char *reason_format, ...)
{
	struct findings *findings = findings_of(logger);
	struct deepmon_finding row = {.subject = subject, .state = state};
	char reason[DEEPMON_REASON_MAX];
	va_list args;

	if (!findings || findings->complete || has_row(findings, subject, name) || !make_room(findings))
		return false;
	va_start(args, reason_format);
	vsnprintf(reason, sizeof(reason), reason_format, args);
	va_end(args);
	row.name = copy_line(name);
	row.reason = copy_line(reason);
	row.remedy = copy_line(remedy);
	if (!row.name || !row.reason || !row.remedy) {
		free_row(&row);
		return false;
	}
	findings->rows[findings->count++] = row;
	return true;
}

void deepmon_findings_clear(struct deepmon_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		free_row(&findings->rows[i]);
	free(findings->rows);
	*findings = (struct deepmon_findings){0};
}

const char *deepmon_finding_state_name(enum deepmon_finding_state state)
{
	static const char *const names[] = {
	    [DEEPMON_FOUND_WELL] = "ok",	 [DEEPMON_FOUND_LESS] = "degraded",
	    [DEEPMON_FOUND_MISSING] = "missing", [DEEPMON_FOUND_OFF] = "off",
	    [DEEPMON_FOUND_FACT] = "info",
	};

	return names[state];
}
