/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A series' points as the records that they were written from, by the catalogue.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "influx_names.h"

#define WHOLE_MOST 18446744073709549568.0 /* the highest double below 2^64 */

/* ---- Parts of a record -------------------------------------------------------------------------- */

/* A copy of so many bytes, ended by NUL; "" if there is no room. */
static const char *keep(struct influx_records *records, size_t *used, const char *text, size_t length)
{
	char *copy = records->texts + *used;

	if (length >= sizeof(records->texts) - *used)
		return "";
	memcpy(copy, text, length);
	copy[length] = '\0';
	*used += length + 1;
	return copy;
}

static void add_label(struct deepmon_record *record, const char *key, const char *value)
{
	if (*value && record->label_count < DEEPMON_LABELS_MAX)
		record->labels[record->label_count++] = (struct deepmon_label){key, value, true};
}

static const char *label_of(const struct deepmon_record *record, const char *key)
{
	for (unsigned i = 0; i < record->label_count; i++)
		if (!strcmp(record->labels[i].key, key))
			return record->labels[i].value;
	return "";
}

static void set_value(struct deepmon_record *record, const struct deepmon_metric *metric, double value)
{
	void *target = (char *)&record->values + metric->offset;
	double whole = metric->type == DEEPMON_MICRO ? round(value * 1e6) : value;

	if (metric->type != DEEPMON_F64 && !(whole >= 0 && whole <= WHOLE_MOST))
		return;
	if (metric->type == DEEPMON_F64)
		*(double *)target = value;
	else
		*(uint64_t *)target = (uint64_t)whole;
	record->valid |= metric->valid;
}

/* Of each point, the field. */
static void set_values(struct influx_records *records, const struct influx_series *series,
		       const struct influx_field *field, const struct deepmon_metric *metric)
{
	for (size_t i = 0; i < series->count; i++)
		if (field->has[i])
			set_value(&records->records[i], metric, field->values[i]);
}

/* ---- Line protocol ------------------------------------------------------------------------------ */

/* "deepmon_container_energy". NULL: there is none of that name. */
static const struct deepmon_measurement *measurement_of(const char *name)
{
	static const char prefix[] = "deepmon_";

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	name += sizeof(prefix) - 1;
	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		const struct deepmon_measurement *measurement = &deepmon_measurement_table[i];
		const char *entity = deepmon_entity_name(measurement->entity);
		size_t length = strlen(entity);

		if (!strncmp(name, entity, length) &&
		    !strcmp(name + length, deepmon_subject_suffix(measurement->subject)))
			return measurement;
	}
	return NULL;
}

/* As the core makes it of what its labels say: in a pod a container's name is not all. */
static const char *instance_of(struct influx_records *records, size_t *used)
{
	const struct deepmon_record *record = &records->records[0];
	const char *name = label_of(record, deepmon_entity_instance(record->entity));
	const char *namespace = label_of(record, "namespace"), *pod = label_of(record, "pod_name");
	char text[sizeof(records->texts)];
	int length;

	if (!*name && record->entity != DEEPMON_HOST && record->entity != DEEPMON_SELF)
		return NULL;
	if (!*pod)
		return name;
	length = snprintf(text, sizeof(text), "%s%s%s_%s", namespace, *namespace ? "_" : "", pod, name);
	return keep(records, used, text, length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

static bool read_lines(struct influx_records *records, const struct influx_series *series)
{
	const struct deepmon_measurement *measurement = measurement_of(series->measurement);
	struct deepmon_record *first = &records->records[0];
	const struct deepmon_metric *metrics;
	size_t count, used = 0;

	if (!measurement)
		return false;
	first->entity = measurement->entity;
	first->subject = measurement->subject;
	for (size_t i = 0; i < series->tag_count; i++)
		add_label(first, series->tags[i].key, series->tags[i].value);
	for (size_t i = 0; i < series->field_count; i++)
		if (series->fields[i].text)
			add_label(first, series->fields[i].key, series->fields[i].text);
	first->instance = instance_of(records, &used);
	if (!first->instance)
		return false;
	for (size_t i = 1; i < series->count; i++)
		records->records[i] = *first;
	metrics = deepmon_metrics_of(first->subject, &count);
	for (size_t i = 0; i < series->field_count; i++)
		for (size_t metric = 0; metric < count; metric++)
			if (!strcmp(metrics[metric].field, series->fields[i].key))
				set_values(records, series, &series->fields[i], &metrics[metric]);
	return true;
}

/* ---- collectd ----------------------------------------------------------------------------------- */

/* Whether a text begins with a word and '-', or is it; what follows goes to *rest. */
static bool begins_with(const char *text, const char *word, const char **rest)
{
	size_t length = strlen(word);

	if (strncmp(text, word, length) != 0 || (text[length] && (text[length] != '-' || !text[length + 1])))
		return false;
	*rest = text + length + (text[length] == '-');
	return true;
}

/* "container-web", which an experiment's name and '-' may precede. */
static bool read_instance(const char *text, enum deepmon_entity *entity, const char **instance)
{
	for (const char *at = text; at; at = strchr(at, '-'), at = at ? at + 1 : NULL)
		for (int i = 0; i < DEEPMON_ENTITY_COUNT; i++) {
			*entity = (enum deepmon_entity)i;
			if (begins_with(at, deepmon_entity_name(*entity), instance) &&
			    !**instance == !*deepmon_entity_instance(*entity))
				return true;
		}
	return false;
}

/* Of a qualifier, or of the list of its labels. */
static size_t count_parts(const char *text)
{
	size_t count = *text != '\0';

	for (; *text; text++)
		count += *text == '-';
	return count;
}

/* Whether a text can be a qualifier of these labels. */
static bool is_qualifier(const char *text, const char *labels)
{
	return *labels ? count_parts(text) >= count_parts(labels) : !*text;
}

/*
 * The labels that a qualifier is made of. The first may have '-' in itself: of those that a terminal shows,
 * only names have, and they come first. False: it is none of that measurement's.
 */
static bool read_qualifier(struct influx_records *records, size_t *used, const char *labels, const char *text)
{
	size_t left = count_parts(labels);
	const char *end = text + strlen(text);

	if (!left || !*text)
		return !left && !*text;
	while (left) {
		const char *label = labels, *from = end;
		size_t length;

		for (size_t i = 1; i < left; i++)
			label = strchr(label, '-') + 1;
		length = strcspn(label, "-");
		while (from > text && (left == 1 || from[-1] != '-'))
			from--;
		if (from == end || (left > 1 && from == text))
			return false;
		add_label(&records->records[0], keep(records, used, label, length),
			  keep(records, used, from, (size_t)(end - from)));
		end = from > text ? from - 1 : from;
		left--;
	}
	return true;
}

/* What a type and a type instance are of an entity: the metric whose word is the longest that fits, and of
 * several the one whose records have most labels. */
static const struct deepmon_metric *metric_of(enum deepmon_entity entity, const char *type,
					      const char *type_instance,
					      const struct deepmon_measurement **of, const char **qualifier)
{
	const struct deepmon_metric *found = NULL;
	const char *rest;
	size_t count, most = 0;

	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		const struct deepmon_measurement *measurement = &deepmon_measurement_table[i];
		const struct deepmon_metric *metrics = deepmon_metrics_of(measurement->subject, &count);

		if (measurement->entity != entity)
			continue;
		for (size_t metric = 0; metric < count; metric++) {
			const char *word = metrics[metric].collectd_instance;
			size_t fits =
			    1 + strlen(word) * DEEPMON_LABELS_MAX + count_parts(measurement->qualifier);

			if (strcmp(metrics[metric].collectd_type, type) != 0)
				continue;
			rest = type_instance;
			if ((*word && !begins_with(type_instance, word, &rest)) ||
			    !is_qualifier(rest, measurement->qualifier) || fits <= most)
				continue;
			most = fits;
			found = &metrics[metric];
			*of = measurement;
			*qualifier = rest;
		}
	}
	return found;
}

static bool read_collectd(struct influx_records *records, const struct influx_series *series)
{
	const char *type = influx_series_tag(series, "type"),
		   *type_instance = influx_series_tag(series, "type_instance"), *qualifier = "";
	struct deepmon_record *first = &records->records[0];
	const struct deepmon_measurement *measurement;
	const struct deepmon_metric *metric;
	const char *label;
	size_t used = 0;

	if (!read_instance(influx_series_tag(series, "instance"), &first->entity, &first->instance))
		return false;
	metric = metric_of(first->entity, type, type_instance, &measurement, &qualifier);
	if (!metric || !read_qualifier(records, &used, measurement->qualifier, qualifier))
		return false;
	first->subject = metric->subject;
	label = deepmon_entity_instance(first->entity);
	if (*label)
		add_label(first, label, first->instance);
	add_label(first, "host", influx_series_tag(series, "host"));
	for (size_t i = 1; i < series->count; i++)
		records->records[i] = *first;
	for (size_t i = 0; i < series->field_count; i++)
		if (!strcmp(series->fields[i].key, "value"))
			set_values(records, series, &series->fields[i], metric);
	return true;
}

bool influx_records_read(struct influx_records *records, const struct influx_series *series)
{
	memset(&records->records[0], 0, sizeof(records->records[0]));
	records->records[0].instance = records->records[0].qualifier = "";
	records->count = series->count;
	if (!strcmp(series->measurement, INFLUX_COLLECTD_MEASUREMENT))
		return read_collectd(records, series);
	return read_lines(records, series);
}
