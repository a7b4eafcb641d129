/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The catalogue of metrics as a table, and how a value is read by it. Pure.
 */
#include "deepmon.h"

#include <string.h>

/* The rows know their subject by its constant, the structs by its name. */
#define STRUCT_OF(SUBJECT, name, suffix) typedef struct deepmon_##name struct_of_##SUBJECT;
DEEPMON_SUBJECTS(STRUCT_OF)

#define ROW(SUBJECT, field, TYPE, KIND, unit, collectd_type, collectd_instance, help) \
	{DEEPMON_SUBJECT_##SUBJECT, \
	 #field, \
	 DEEPMON_##TYPE, \
	 DEEPMON_##KIND, \
	 unit, \
	 collectd_type, \
	 collectd_instance, \
	 help, \
	 offsetof(struct_of_##SUBJECT, field), \
	 1ull << DEEPMON_INDEX_##SUBJECT##_##field},
#define ROWS_OF(SUBJECT, name, suffix) DEEPMON_##SUBJECT##_METRICS(ROW)

const struct deepmon_metric deepmon_metric_table[] = {DEEPMON_SUBJECTS(ROWS_OF)};
const size_t deepmon_metric_count = sizeof(deepmon_metric_table) / sizeof(deepmon_metric_table[0]);

/* A record has one bit for each metric of its subject. */
#define FITS(SUBJECT, name, suffix) _Static_assert(DEEPMON_COUNT_OF_##SUBJECT <= 64, #name);
DEEPMON_SUBJECTS(FITS)

const struct deepmon_metric *deepmon_metrics_of(enum deepmon_subject subject, size_t *count)
{
#define COUNT_OF(SUBJECT, name, suffix) DEEPMON_COUNT_OF_##SUBJECT,
	static const size_t counts[] = {DEEPMON_SUBJECTS(COUNT_OF)};
	const struct deepmon_metric *first = deepmon_metric_table;

	for (int before = 0; before < (int)subject; before++)
		first += counts[before];
	*count = counts[subject];
	return first;
}

bool deepmon_metric_type_is_own(const struct deepmon_metric *metric)
{
	return strncmp(metric->collectd_type, "deepmon_", strlen("deepmon_")) == 0;
}

bool deepmon_metric_is_derive(const struct deepmon_metric *metric)
{
	return metric->kind == DEEPMON_COUNTER && metric->type == DEEPMON_U64;
}

#define NAME_OF(CONSTANT, name, text, ...) #name,
#define TEXT_OF(CONSTANT, name, text, ...) text,

const char *deepmon_entity_name(enum deepmon_entity entity)
{
	static const char *const names[] = {DEEPMON_ENTITIES(NAME_OF)};

	return names[entity];
}

const char *deepmon_entity_help(enum deepmon_entity entity)
{
	static const char *const helps[] = {DEEPMON_ENTITIES(TEXT_OF)};

	return helps[entity];
}

const char *deepmon_subject_suffix(enum deepmon_subject subject)
{
	static const char *const suffixes[] = {DEEPMON_SUBJECTS(TEXT_OF)};

	return suffixes[subject];
}

static const void *measured(const struct deepmon_record *record, const struct deepmon_metric *metric)
{
	if (metric->subject != record->subject || !(record->valid & metric->valid))
		return NULL;
	return (const char *)&record->values + metric->offset;
}

bool deepmon_value_u64(const struct deepmon_record *record, const struct deepmon_metric *metric,
		       uint64_t *value)
{
	const void *member = metric->type == DEEPMON_F64 ? NULL : measured(record, metric);

	if (!member)
		return false;
	*value = *(const uint64_t *)member;
	return true;
}

bool deepmon_value_double(const struct deepmon_record *record, const struct deepmon_metric *metric,
			  double *value)
{
	const void *member = measured(record, metric);

	if (!member)
		return false;
	switch (metric->type) {
	case DEEPMON_F64:
		*value = *(const double *)member;
		break;
	case DEEPMON_U64:
		*value = (double)*(const uint64_t *)member;
		break;
	case DEEPMON_MICRO:
		*value = (double)*(const uint64_t *)member / 1e6;
		break;
	}
	return true;
}
