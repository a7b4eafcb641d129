/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Tables of annotated CSV: each is one field of one series, its points in the order of time.
 */
#include "influx_csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Lines -------------------------------------------------------------------------------------- */

static void clear_cells(struct influx_cells *cells)
{
	free(cells->text);
	*cells = (struct influx_cells){0};
}

/* Ends the cell that begins at *text, without its quotation marks, and moves *text behind it. */
static const char *next_cell(char **text)
{
	char *cell = *text, *to = cell, *from = cell;
	bool quoted = *from == '"';

	for (from += quoted; *from; from++) {
		if (quoted && from[0] == '"' && from[1] != '"') {
			quoted = false;
		} else if (!quoted && *from == ',') {
			break;
		} else {
			from += quoted && *from == '"'; /* of two, one */
			*to++ = *from;
		}
	}
	*text = *from ? from + 1 : NULL;
	*to = '\0';
	return cell;
}

static int part(struct influx_cells *cells, const char *line)
{
	char *rest = strdup(line);

	clear_cells(cells);
	if (!rest)
		return -ENOMEM;
	cells->text = rest;
	while (rest && cells->count < INFLUX_CELLS_MAX)
		cells->cells[cells->count++] = next_cell(&rest);
	return 0;
}

/* "": there is no such column. */
static const char *cell_of(const struct influx_csv *csv, const struct influx_cells *line, const char *column)
{
	for (size_t i = 0; i < csv->head.count && i < line->count; i++)
		if (!strcmp(csv->head.cells[i], column))
			return line->cells[i];
	return "";
}

static bool has_column(const struct influx_csv *csv, const char *column)
{
	for (size_t i = 0; i < csv->head.count; i++)
		if (!strcmp(csv->head.cells[i], column))
			return true;
	return false;
}

/* ---- Tables ------------------------------------------------------------------------------------- */

/* What begins with '_' is Flux's own. */
static bool is_tag(const char *column)
{
	return *column && *column != '_' && strcmp(column, "result") != 0 && strcmp(column, "table") != 0;
}

static void add_value(struct influx_field *field, size_t at, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	field->has[at] = *text && !*end && isfinite(value);
	if (field->has[at])
		field->values[at] = value;
	if (!field->text && *text)
		field->text = text;
}

int influx_csv_flush(struct influx_csv *csv, int (*take)(void *user, const struct influx_series *series),
		     void *user)
{
	struct influx_series series = {.field_count = 1};
	const struct influx_cells *newest;
	int r = 0;

	if (!csv->point_count)
		return 0;
	newest = &csv->points[csv->point_count - 1];
	series.measurement = cell_of(csv, newest, "_measurement");
	series.fields[0].key = cell_of(csv, newest, "_field");
	for (size_t i = 0; i < csv->head.count && i < newest->count; i++)
		if (is_tag(csv->head.cells[i]) && *newest->cells[i] && series.tag_count < INFLUX_TAGS_MAX)
			series.tags[series.tag_count++] =
			    (struct influx_tag){csv->head.cells[i], newest->cells[i]};
	for (; series.count < csv->point_count; series.count++) {
		const struct influx_cells *point = &csv->points[csv->point_count - 1 - series.count];

		if (!influx_time(cell_of(csv, point, "_time"), &series.times_ns[series.count]) ||
		    (series.count && series.times_ns[series.count] >= series.times_ns[series.count - 1])) {
			r = -EBADMSG;
			break;
		}
		add_value(&series.fields[0], series.count, cell_of(csv, point, "_value"));
	}
	if (!r)
		r = take(user, &series);
	for (size_t i = 0; i < csv->point_count; i++)
		clear_cells(&csv->points[i]);
	csv->point_count = 0;
	return r;
}

/* The point before the newest makes room. */
static void keep(struct influx_csv *csv, struct influx_cells *line)
{
	if (csv->point_count == INFLUX_POINTS) {
		clear_cells(&csv->points[0]);
		memmove(csv->points, csv->points + 1, (INFLUX_POINTS - 1) * sizeof(csv->points[0]));
		csv->point_count--;
	}
	csv->points[csv->point_count++] = *line;
	*line = (struct influx_cells){0};
}

static int read_head(struct influx_csv *csv, struct influx_cells *line)
{
	clear_cells(&csv->head);
	csv->head = *line;
	csv->headless = false;
	*line = (struct influx_cells){0};
	return has_column(csv, "error") ||
		       (has_column(csv, "_time") && has_column(csv, "_value") && has_column(csv, "_field") &&
			has_column(csv, "_measurement") && has_column(csv, "table"))
		   ? 0
		   : -EBADMSG;
}

int influx_csv_read(struct influx_csv *csv, const char *text,
		    int (*take)(void *user, const struct influx_series *series), void *user, const char **why)
{
	struct influx_cells line = {0};
	int r;

	/* An empty line parts tables that differ in their columns; annotations come before their head. */
	if (!*text || *text == '#') {
		r = influx_csv_flush(csv, take, user);
		csv->headless = true;
		return r;
	}
	r = part(&line, text);
	if (r)
		return r;
	if (csv->headless || !csv->head.count) {
		r = influx_csv_flush(csv, take, user);
		r = r ? r : read_head(csv, &line);
	} else if (has_column(csv, "error")) {
		clear_cells(&csv->points[0]);
		csv->points[0] = line;
		*why = cell_of(csv, &line, "error");
		return -EPROTO;
	} else {
		if (csv->point_count &&
		    strcmp(cell_of(csv, &csv->points[0], "table"), cell_of(csv, &line, "table")) != 0)
			r = influx_csv_flush(csv, take, user);
		if (!r)
			keep(csv, &line);
	}
	clear_cells(&line);
	return r;
}

void influx_csv_clear(struct influx_csv *csv)
{
	clear_cells(&csv->head);
	for (size_t i = 0; i < INFLUX_POINTS; i++)
		clear_cells(&csv->points[i]);
}
