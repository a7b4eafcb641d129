/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-top knows of a host.
 */
#include "model.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEEP_SAMPLES 60 /* that do not tell of a row, before it is forgotten with its history */

static const struct {
	const char *name, *label;
} keys[TOP_KEYS] = {
    [TOP_BY_HOST] = {"host", "host"},
    [TOP_BY_NAMESPACE] = {"namespace", "namespace"},
    [TOP_BY_POD] = {"pod", "pod_name"},
    [TOP_BY_IMAGE] = {"image", "container_image"},
    [TOP_BY_PROJECT] = {"project", "compose_project"},
    [TOP_BY_SERVICE] = {"service", "compose_service"},
    [TOP_BY_RUNTIME] = {"runtime", "runtime"},
    [TOP_BY_CONTAINER] = {"container", "container_name"},
    [TOP_BY_DEVICE] = {"device", "device"},
};

const char *top_key_name(enum top_key key)
{
	return keys[key].name;
}

int top_key_find(const char *name, size_t length, enum top_key *key)
{
	for (int i = 0; i < TOP_KEYS; i++) {
		if (strncasecmp(keys[i].name, name, length) != 0 || keys[i].name[length])
			continue;
		*key = (enum top_key)i;
		return 0;
	}
	return -ENOENT;
}

const char *top_kind_name(enum deepmon_entity kind)
{
	return kind == TOP_DEVICE ? "device" : deepmon_entity_name(kind);
}

/* ---- Rows --------------------------------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b)
{
	const struct top_row *left = a, *right = b;
	int order = (int)left->entity - (int)right->entity;

	if (!order)
		order = strcmp(left->instance, right->instance);
	return order ? order : strcmp(left->part, right->part);
}

void top_row_free(struct top_row *row)
{
	free(row->instance);
	free(row->name);
	free(row->part);
	free(row->id);
	for (int key = 0; key < TOP_KEYS; key++)
		free(row->labels[key]);
	free(row->history.values);
	free(row);
}

static void keep(void *node)
{
	(void)node;
}

void top_model_init(struct top_model *model, size_t history_most)
{
	*model = (struct top_model){.lock = PTHREAD_MUTEX_INITIALIZER,
				    .history_most = history_most,
				    .host = {.idle_percent = -1, .self_percent = -1}};
}

void top_model_forget(struct top_model *model)
{
	tdestroy(model->by_key, keep);
	for (size_t i = 0; i < model->count; i++)
		top_row_free(model->rows[i]);
	free(model->rows);
	model->rows = NULL;
	model->by_key = NULL;
	model->count = model->capacity = 0;
	model->samples = 0;
	model->host = (struct top_host){.idle_percent = -1, .self_percent = -1};
}

void top_model_clear(struct top_model *model)
{
	top_model_forget(model);
	for (size_t i = 0; i < model->note_count; i++)
		free(model->notes[i]);
	model->note_count = 0;
}

/* The collector's threads log, too. */
static pthread_mutex_t notes_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_note(struct top_model *model, char *line)
{
	if (model->note_count == TOP_NOTES_MAX) {
		free(model->notes[0]);
		memmove(model->notes, model->notes + 1, (TOP_NOTES_MAX - 1) * sizeof(model->notes[0]));
		model->note_count--;
	}
	model->notes[model->note_count++] = line;
}

void top_model_note(struct top_model *model, const char *line)
{
	char *copy = strdup(line);

	if (!copy)
		return;
	pthread_mutex_lock(&notes_lock);
	add_note(model, copy);
	pthread_mutex_unlock(&notes_lock);
}

void top_model_last_note(const struct top_model *model, char *text, size_t size)
{
	pthread_mutex_lock(&notes_lock);
	snprintf(text, size, "%s", model->note_count ? model->notes[model->note_count - 1] : "");
	pthread_mutex_unlock(&notes_lock);
}

static const char *label_of(const struct deepmon_record *record, const char *key)
{
	for (unsigned i = 0; i < record->label_count; i++)
		if (!strcmp(record->labels[i].key, key))
			return record->labels[i].value;
	return "";
}

/* False: out of memory, and the text is as it was. */
static bool set_text(char **text, const char *value)
{
	char *copy;

	if (*text && !strcmp(*text, value))
		return true;
	copy = strdup(value);
	if (!copy)
		return false;
	free(*text);
	*text = copy;
	return true;
}

struct top_row *top_row_new(const struct top_row *wanted, size_t history_most)
{
	struct top_row *row = calloc(1, sizeof(*row));
	bool whole;

	if (!row)
		return NULL;
	row->entity = wanted->entity;
	whole = set_text(&row->instance, wanted->instance) && set_text(&row->part, wanted->part) &&
		set_text(&row->id, "") && set_text(&row->name, "");
	for (int key = 0; key < TOP_KEYS; key++)
		whole = whole && set_text(&row->labels[key], "");
	if (whole && history_most) {
		row->history.values = calloc(history_most * TOP_FIGURE_COUNT, sizeof(*row->history.values));
		whole = row->history.values;
	}
	if (whole)
		return row;
	top_row_free(row);
	return NULL;
}

struct top_row top_row_of(const struct deepmon_record *record, enum deepmon_entity kind)
{
	const char *part = kind == TOP_DEVICE ? "device" : "process";

	return (struct top_row){
	    .entity = kind, .instance = (char *)record->instance, .part = (char *)label_of(record, part)};
}

static struct top_row *find_or_add(struct top_model *model, const struct top_row *wanted)
{
	struct top_row *const *known = tfind(wanted, &model->by_key, compare_rows);
	struct top_row *row;

	if (known)
		return *known;
	if (model->count == model->capacity) {
		size_t capacity = model->capacity ? model->capacity * 2 : 64;
		struct top_row **rows = reallocarray(model->rows, capacity, sizeof(*rows));

		if (!rows)
			return NULL;
		model->rows = rows;
		model->capacity = capacity;
	}
	row = top_row_new(wanted, model->history_most);
	if (!row || !tsearch(row, &model->by_key, compare_rows)) {
		if (row)
			top_row_free(row);
		return NULL;
	}
	model->rows[model->count++] = row;
	return row;
}

static const char *name_of(const struct deepmon_record *record)
{
	const char *name = "";

	if (record->entity == DEEPMON_CONTAINER)
		name = label_of(record, "container_name");
	else if (record->entity == DEEPMON_PROCESS)
		name = label_of(record, "process");
	return *name ? name : record->instance;
}

/* A container's own name is no label of it. */
static bool has_label(enum deepmon_entity entity, int key)
{
	if (key == TOP_BY_CONTAINER)
		return entity == DEEPMON_PROCESS || entity == TOP_DEVICE;
	if (key == TOP_BY_DEVICE)
		return entity == TOP_DEVICE;
	return true;
}

/* False: out of memory. */
static bool set_label(char **text, const char *value, enum top_labels which)
{
	if ((which != TOP_LABELS_ALL && !*value) || (which == TOP_LABELS_MISSING && **text))
		return true;
	return set_text(text, value);
}

bool top_row_label(struct top_row *row, const struct deepmon_record *record, enum top_labels which)
{
	bool whole = set_label(&row->name, name_of(record), which);

	if (row->entity == DEEPMON_CONTAINER)
		whole = whole && set_label(&row->id, label_of(record, "container_id"), which);
	for (int key = 0; key < TOP_KEYS; key++)
		if (has_label(row->entity, key))
			whole =
			    whole && set_label(&row->labels[key], label_of(record, keys[key].label), which);
	return whole;
}

/* Labels of a container may come late, and go with another container of its name. */
static bool begin_row(struct top_row *row, const struct deepmon_record *record, uint64_t number)
{
	row->seen = number;
	row->raw = (struct top_figures){0};
	return top_row_label(row, record, TOP_LABELS_ALL);
}

/* ---- Samples ------------------------------------------------------------------------------------ */

static void keep_history(const struct top_model *model, struct top_row *row)
{
	struct top_history *history = &row->history;
	float *values = history->values + history->next * TOP_FIGURE_COUNT;

	if (!model->history_most)
		return;
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		values[figure] =
		    row->shown && row->figures.has[figure] ? (float)row->figures.values[figure] : NAN;
	history->next = (history->next + 1) % model->history_most;
	history->count += history->count < model->history_most;
}

bool top_history_value(const struct top_model *model, const struct top_row *row,
		       const struct top_column *column, size_t ago, double *value)
{
	const struct top_history *history = &row->history;
	struct top_figures figures = {0};
	const float *values;

	if (ago >= history->count)
		return false;
	values = history->values +
		 (history->next + model->history_most - 1 - ago) % model->history_most * TOP_FIGURE_COUNT;
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		if (isnan(values[figure]))
			continue;
		figures.values[figure] = (double)values[figure];
		figures.has[figure] = true;
	}
	return top_column_value(column, &figures, value);
}

static void end_row(struct top_model *model, struct top_row *row, const struct deepmon_sample *sample)
{
	static const struct top_figures nothing;
	const struct top_figures *before = row->measured	? &row->raw_before
					   : model->samples > 1 ? &nothing
								: NULL;
	uint64_t since_ns = row->measured ? row->seen_ns : sample->time_ns - sample->interval_ns;

	row->shown = row->seen == model->samples;
	if (row->shown) {
		top_figures_make(&row->figures, &row->raw, before,
				 (double)(int64_t)(sample->time_ns - since_ns) / 1e9);
		row->raw_before = row->raw;
		row->seen_ns = sample->time_ns;
		row->measured = true;
	}
	keep_history(model, row);
}

static void forget_old(struct top_model *model)
{
	size_t kept = 0;

	for (size_t i = 0; i < model->count; i++) {
		struct top_row *row = model->rows[i];

		if (model->samples - row->seen <= KEEP_SAMPLES) {
			model->rows[kept++] = row;
			continue;
		}
		tdelete(row, &model->by_key, compare_rows);
		top_row_free(row);
	}
	model->count = kept;
}

static void add_switches(struct top_figures *whole, const struct top_figures *part)
{
	if (!part->has[TOP_SWITCHES])
		return;
	whole->values[TOP_SWITCHES] += part->values[TOP_SWITCHES];
	whole->has[TOP_SWITCHES] = true;
}

/* What idles, of all the time there was. */
static void sum_host(struct top_model *model)
{
	double idle = -1, busy = 0, value;
	static const struct top_column cpu = {.of = TOP_CPU_PERCENT, .per = TOP_NONE, .factor = 1};

	model->host.containers = 0;
	for (size_t i = 0; i < model->count; i++) {
		const struct top_row *row = model->rows[i];

		model->host.containers += row->shown && row->entity == DEEPMON_CONTAINER;
		if (row->shown && row->entity == DEEPMON_TOTAL)
			add_switches(&model->host.figures, &row->figures);
		if (!row->shown || row->entity != DEEPMON_TOTAL ||
		    !top_column_value(&cpu, &row->figures, &value))
			continue;
		if (strcmp(row->name, "idle") == 0)
			idle = (idle < 0 ? 0 : idle) + value;
		else
			busy += value;
	}
	if (idle < 0)
		return;
	model->host.figures.values[TOP_CPU_PERCENT] = busy;
	model->host.figures.has[TOP_CPU_PERCENT] = true;
	model->host.idle_percent = idle + busy > 0 ? 100 * idle / (idle + busy) : -1;
}

static void set_self_percent(struct top_host *host, const struct top_host *before)
{
	const uint64_t bit = 1ull << DEEPMON_INDEX_SELF_COST_process_cpu_time_ns;

	if (host->self_valid & before->self_valid & bit && host->time_ns > before->time_ns &&
	    host->self.process_cpu_time_ns >= before->self.process_cpu_time_ns)
		host->self_percent =
		    100 * (double)(host->self.process_cpu_time_ns - before->self.process_cpu_time_ns) /
		    (double)(host->time_ns - before->time_ns);
}

static bool is_row(enum deepmon_entity entity)
{
	return entity == DEEPMON_CONTAINER || entity == DEEPMON_SYSTEM || entity == DEEPMON_PROCESS ||
	       entity == DEEPMON_TOTAL;
}

/* False: out of memory. */
static bool tell(struct top_model *model, const struct deepmon_record *record, enum deepmon_entity entity)
{
	const struct top_row wanted = top_row_of(record, entity);
	struct top_row *row = find_or_add(model, &wanted);
	bool whole = row != NULL;

	if (row && row->seen != model->samples)
		whole = begin_row(row, record, model->samples);
	if (row)
		top_figures_read(&row->raw, record);
	return whole;
}

void top_model_begin(struct top_model *model, uint64_t time_ns, uint64_t interval_ns)
{
	model->samples++;
	model->host = (struct top_host){
	    .time_ns = time_ns, .interval_ns = interval_ns, .idle_percent = -1, .self_percent = -1};
}

int top_model_update(struct top_model *model, const struct deepmon_sample *sample)
{
	const struct top_host before = model->host;
	struct top_host *host = &model->host;
	bool whole = true;

	top_model_begin(model, sample->time_ns, sample->interval_ns);
	for (size_t i = 0; i < sample->record_count; i++) {
		const struct deepmon_record *record = &sample->records[i];

		if (record->entity == DEEPMON_HOST)
			top_figures_read(&host->figures, record);
		if (record->subject == DEEPMON_SUBJECT_SELF_COST) {
			host->self = record->values.self_cost;
			host->self_valid = record->valid;
		}
		if (!is_row(record->entity))
			continue;
		whole &= tell(model, record, record->entity);
		if (record->subject == DEEPMON_SUBJECT_BLOCK && *label_of(record, "device"))
			whole &= tell(model, record, TOP_DEVICE);
	}
	for (size_t i = 0; i < model->count; i++)
		end_row(model, model->rows[i], sample);
	forget_old(model);
	sum_host(model);
	set_self_percent(host, &before);
	return whole ? 0 : -ENOMEM;
}

/* ---- What a cluster's hosts told ---------------------------------------------------------------- */

int top_model_tell(struct top_model *model, const struct top_row *told)
{
	struct top_row *row = find_or_add(model, told);
	bool whole;

	if (!row)
		return -ENOMEM;
	whole = set_text(&row->name, told->name) && set_text(&row->id, told->id);
	for (int key = 0; key < TOP_KEYS; key++)
		whole = whole && set_text(&row->labels[key], told->labels[key]);
	row->figures = told->figures;
	row->seen = model->samples;
	row->seen_ns = model->host.time_ns;
	return whole ? 0 : -ENOMEM;
}

void top_model_end(struct top_model *model)
{
	for (size_t i = 0; i < model->count; i++) {
		struct top_row *row = model->rows[i];

		row->shown = row->seen == model->samples;
		keep_history(model, row);
	}
	forget_old(model);
	sum_host(model);
}
