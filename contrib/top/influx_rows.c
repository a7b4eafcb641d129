/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Rows of a cluster's hosts.
 */
#include "influx_rows.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCE_MAX 1024 /* bytes of a host's name and what it is on it */

struct influx_row {
	struct top_row *row;
	struct influx_host *host;
	uint64_t newest_ns;		     /* of all its series */
	uint64_t times_ns[TOP_FIGURE_COUNT]; /* of the figures that it has */
};

static void keep(void *node)
{
	(void)node;
}

static int compare_rows(const void *a, const void *b)
{
	const struct top_row *left = ((const struct influx_row *)a)->row;
	const struct top_row *right = ((const struct influx_row *)b)->row;
	int order = (int)left->entity - (int)right->entity;

	order = order ? order : strcmp(left->instance, right->instance);
	return order ? order : strcmp(left->part, right->part);
}

static int compare_hosts(const void *a, const void *b)
{
	return strcmp(((const struct influx_host *)a)->name, ((const struct influx_host *)b)->name);
}

void influx_rows_init(struct influx_rows *rows, size_t most, bool devices)
{
	*rows = (struct influx_rows){.most = most, .devices = devices};
}

void influx_rows_clear(struct influx_rows *rows)
{
	tdestroy(rows->rows_by_key, keep);
	tdestroy(rows->hosts_by_name, keep);
	for (size_t i = 0; i < rows->count; i++) {
		top_row_free(rows->rows[i]->row);
		free(rows->rows[i]);
	}
	for (size_t i = 0; i < rows->host_count; i++) {
		free(rows->hosts[i]->name);
		free(rows->hosts[i]);
	}
	free(rows->rows);
	free(rows->hosts);
	*rows = (struct influx_rows){0};
}

/* Room for one more pointer. False: out of memory. */
static bool make_room(void *array, size_t count, size_t *capacity)
{
	size_t more = *capacity ? *capacity * 2 : 64;
	void **pointers;

	if (count < *capacity)
		return true;
	pointers = reallocarray(*(void **)array, more, sizeof(void *));
	if (!pointers)
		return false;
	*(void **)array = pointers;
	*capacity = more;
	return true;
}

/* NULL: out of memory. */
static struct influx_host *host_of(struct influx_rows *rows, const char *name)
{
	struct influx_host wanted = {.name = (char *)name}, *host;
	struct influx_host *const *known = tfind(&wanted, &rows->hosts_by_name, compare_hosts);

	if (known)
		return *known;
	if (!make_room(&rows->hosts, rows->host_count, &rows->host_capacity))
		return NULL;
	host = calloc(1, sizeof(*host));
	if (host)
		host->name = strdup(name);
	if (!host || !host->name || !tsearch(host, &rows->hosts_by_name, compare_hosts)) {
		free(host ? host->name : NULL);
		free(host);
		return NULL;
	}
	rows->hosts[rows->host_count++] = host;
	return host;
}

static void note_report(struct influx_host *host, uint64_t time_ns)
{
	if (time_ns > host->newest_ns) {
		host->previous_ns = host->newest_ns;
		host->newest_ns = time_ns;
	} else if (time_ns < host->newest_ns && time_ns > host->previous_ns) {
		host->previous_ns = time_ns;
	}
}

static struct influx_row *new_row(struct influx_rows *rows, const struct top_row *wanted)
{
	struct influx_row *row = NULL;

	if (make_room(&rows->rows, rows->count, &rows->capacity))
		row = calloc(1, sizeof(*row));
	if (row)
		row->row = top_row_new(wanted, 0);
	if (!row || !row->row || !tsearch(row, &rows->rows_by_key, compare_rows)) {
		if (row && row->row)
			top_row_free(row->row);
		free(row);
		return NULL;
	}
	rows->rows[rows->count++] = row;
	return row;
}

/* 0 with *found NULL: there are too many. */
static int find_or_add(struct influx_rows *rows, const struct deepmon_record *record,
		       enum deepmon_entity kind, const char *host, struct influx_row **found)
{
	struct top_row wanted = top_row_of(record, kind);
	const struct influx_row key = {.row = &wanted};
	struct influx_row *const *known;
	char instance[INSTANCE_MAX];

	/* Names are unique on a host. */
	snprintf(instance, sizeof(instance), "%s%s%s", host, *host && *record->instance ? "/" : "",
		 record->instance);
	wanted.instance = instance;
	known = tfind(&key, &rows->rows_by_key, compare_rows);
	*found = known ? *known : NULL;
	if (*found)
		return 0;
	if (rows->count >= rows->most) {
		rows->refused++;
		return 0;
	}
	*found = new_row(rows, &wanted);
	return *found ? 0 : -ENOMEM;
}

/* Those of one time are parts of a sum, as of several devices; else the newer takes the place of the older.
 */
static void add_figures(struct influx_row *row, const struct top_figures *figures, uint64_t time_ns)
{
	struct top_figures one = {0};

	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		if (!figures->has[figure] || time_ns < row->times_ns[figure])
			continue;
		if (time_ns > row->times_ns[figure])
			row->row->figures.has[figure] = false;
		row->times_ns[figure] = time_ns;
		one.has[figure] = true;
		one.values[figure] = figures->values[figure];
	}
	top_figures_join(&row->row->figures, &one);
}

/* A container's labels may come late, and not each of its series has all of them. */
static bool add_labels(struct influx_row *row, const struct deepmon_record *record, uint64_t time_ns)
{
	bool newer = time_ns > row->newest_ns;

	if (newer)
		row->newest_ns = time_ns;
	return top_row_label(row->row, record, newer ? TOP_LABELS_TOLD : TOP_LABELS_MISSING);
}

static int add(struct influx_rows *rows, const struct deepmon_record *record, enum deepmon_entity kind,
	       struct influx_host *host, const struct top_figures *figures, uint64_t time_ns)
{
	struct influx_row *row;
	int r = find_or_add(rows, record, kind, host->name, &row);

	if (r || !row)
		return r;
	row->host = host;
	add_figures(row, figures, time_ns);
	return add_labels(row, record, time_ns) ? 0 : -ENOMEM;
}

/* Of what a series grew by, rates; what the point before lacks has none. */
static void make_figures(struct top_figures *figures, const struct influx_records *records,
			 const struct influx_series *series)
{
	struct top_figures raw = {0}, before = {0};
	double seconds = 0;

	top_figures_read(&raw, &records->records[0]);
	if (series->count > 1) {
		top_figures_read(&before, &records->records[1]);
		seconds = (double)(series->times_ns[0] - series->times_ns[1]) / 1e9;
	}
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		if (top_figure_is_rate((enum top_figure)figure))
			raw.has[figure] &= before.has[figure];
	top_figures_make(figures, &raw, &before, seconds);
}

static bool is_shown(enum deepmon_entity entity)
{
	return entity == DEEPMON_CONTAINER || entity == DEEPMON_SYSTEM || entity == DEEPMON_PROCESS ||
	       entity == DEEPMON_TOTAL || entity == DEEPMON_HOST;
}

int influx_rows_take(struct influx_rows *rows, const struct influx_series *series)
{
	const char *name = influx_series_tag(series, "host");
	struct influx_records records;
	const struct deepmon_record *record = &records.records[0];
	struct top_figures figures;
	struct influx_host *host;
	int r;

	if (!series->count || !influx_records_read(&records, series) || !is_shown(record->entity))
		return 0;
	host = host_of(rows, name);
	if (!host)
		return -ENOMEM;
	rows->series++;
	for (size_t i = 0; i < series->count; i++)
		note_report(host, series->times_ns[i]);
	make_figures(&figures, &records, series);
	r = add(rows, record, record->entity, host, &figures, series->times_ns[0]);
	if (!r && rows->devices && record->subject == DEEPMON_SUBJECT_BLOCK)
		r = add(rows, record, TOP_DEVICE, host, &figures, series->times_ns[0]);
	return r;
}

/* ---- To the model ------------------------------------------------------------------------------- */

/* The oldest report of a host that counts. */
static uint64_t since_of(const struct influx_host *host)
{
	return host->previous_ns ? host->previous_ns : host->newest_ns;
}

static int tell_row(struct influx_row *row, struct top_model *model)
{
	struct top_row *told = row->row;
	uint64_t since_ns = since_of(row->host);

	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		told->figures.has[figure] &= row->times_ns[figure] >= since_ns;
	if (row->newest_ns < since_ns)
		return 0;
	row->host->rows += told->entity == DEEPMON_CONTAINER;
	if (told->entity != DEEPMON_HOST)
		return top_model_tell(model, told);
	top_figures_join(&model->host.figures, &told->figures);
	return 0;
}

static int compare_host_pointers(const void *a, const void *b)
{
	return compare_hosts(*(struct influx_host *const *)a, *(struct influx_host *const *)b);
}

int influx_rows_tell(struct influx_rows *rows, struct top_model *model)
{
	const struct influx_host *newest = NULL;
	int r = 0;

	if (rows->host_count)
		qsort(rows->hosts, rows->host_count, sizeof(struct influx_host *), compare_host_pointers);
	for (size_t i = 0; i < rows->host_count; i++)
		if (!newest || rows->hosts[i]->newest_ns > newest->newest_ns)
			newest = rows->hosts[i];
	if (!newest)
		return -ENODATA;
	top_model_begin(model, newest->newest_ns, newest->newest_ns - since_of(newest));
	for (size_t i = 0; i < rows->count; i++) {
		int told = tell_row(rows->rows[i], model);

		r = r ? r : told;
	}
	top_model_end(model);
	return r;
}
