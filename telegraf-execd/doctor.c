/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd --doctor: prints the collector's findings. It looks at nothing itself.
 */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static const char *verdict_of(int status)
{
	static const char *const verdicts[] = {[DOCTOR_WELL] = "ok",
					       [DOCTOR_DEGRADED] = "degraded",
					       [DOCTOR_NOTHING] = "nothing can be measured"};

	return verdicts[status];
}

static size_t count_of(const struct deepmon_findings *findings, enum deepmon_finding_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->rows[i].state == state;
	return count;
}

/* ---- Text --------------------------------------------------------------------------------------- */

#define STATE_WIDTH 8

static void print_row(const struct deepmon_finding *row, int name_width)
{
	printf("  %-*s  %-*s  %s\n", STATE_WIDTH, deepmon_finding_state_name(row->state), name_width,
	       row->name, row->reason);
	if (*row->remedy)
		printf("  %*s  %*s  -> %s\n", STATE_WIDTH, "", name_width, "", row->remedy);
}

static bool same_subject(const struct deepmon_finding *left, const struct deepmon_finding *right)
{
	return strcmp(left->subject, right->subject) == 0;
}

/* The rows of the subject of the row `first`, which is its first. */
static void print_subject(const struct deepmon_findings *findings, size_t first)
{
	const struct deepmon_finding *rows = findings->rows;
	int width = 0;

	for (size_t i = first; i < findings->count; i++)
		if (same_subject(&rows[i], &rows[first]) && (int)strlen(rows[i].name) > width)
			width = (int)strlen(rows[i].name);
	printf("\n%s\n", rows[first].subject);
	for (size_t i = first; i < findings->count; i++)
		if (same_subject(&rows[i], &rows[first]))
			print_row(&rows[i], width);
}

/* The rows of one subject together, in the order in which subjects were met. */
static void print_text(const struct deepmon_findings *findings, int status)
{
	printf("deepmon-execd " DEEPMON_VERSION ": %s; %zu missing, %zu degraded\n", verdict_of(status),
	       count_of(findings, DEEPMON_FOUND_MISSING), count_of(findings, DEEPMON_FOUND_LESS));
	for (size_t i = 0; i < findings->count; i++) {
		size_t first = 0;

		while (!same_subject(&findings->rows[first], &findings->rows[i]))
			first++;
		if (first == i)
			print_subject(findings, first);
	}
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static void add_row(cJSON *array, const struct deepmon_finding *row)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "subject", row->subject);
	cJSON_AddStringToObject(object, "name", row->name);
	cJSON_AddStringToObject(object, "state", deepmon_finding_state_name(row->state));
	cJSON_AddStringToObject(object, "reason", row->reason);
	cJSON_AddStringToObject(object, "remedy", row->remedy);
	cJSON_AddItemToArray(array, object);
}

/* Without memory for it, nothing. */
static void print_json(const struct deepmon_findings *findings, int status)
{
	cJSON *root = cJSON_CreateObject(), *array;
	char *text;

	cJSON_AddStringToObject(root, "version", DEEPMON_VERSION);
	cJSON_AddStringToObject(root, "verdict", verdict_of(status));
	cJSON_AddNumberToObject(root, "missing", (double)count_of(findings, DEEPMON_FOUND_MISSING));
	cJSON_AddNumberToObject(root, "degraded", (double)count_of(findings, DEEPMON_FOUND_LESS));
	array = cJSON_AddArrayToObject(root, "findings");
	for (size_t i = 0; i < findings->count; i++)
		add_row(array, &findings->rows[i]);
	text = cJSON_Print(root);
	if (text)
		puts(text);
	free(text);
	cJSON_Delete(root);
}

int doctor_run(const struct deepmon_options *options, enum doctor_form form)
{
	struct deepmon_findings findings;
	int r = deepmon_examine(&findings, options, NULL);
	int status = DOCTOR_WELL;

	if (r)
		status = DOCTOR_NOTHING;
	else if (count_of(&findings, DEEPMON_FOUND_MISSING) || count_of(&findings, DEEPMON_FOUND_LESS))
		status = DOCTOR_DEGRADED;
	if (form == DOCTOR_JSON)
		print_json(&findings, status);
	else
		print_text(&findings, status);
	deepmon_findings_clear(&findings);
	return status;
}
