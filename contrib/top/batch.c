/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A view as text, JSON or CSV.
 */
#include "batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "text.h"

#define NAME_WIDTH 32

int top_format_find(const char *name, enum top_format *format)
{
	static const char *const names[TOP_FORMATS] = {"text", "json", "csv"};

	for (int i = 0; i < TOP_FORMATS; i++) {
		if (strcasecmp(names[i], name) != 0)
			continue;
		*format = (enum top_format)i;
		return 0;
	}
	return -ENOENT;
}

/* As RFC 3339 has it, in UTC. */
static void print_time(uint64_t time_ns, char *text, size_t size)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm tm;
	size_t length;

	gmtime_r(&seconds, &tm);
	length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + length, size - length, ".%09" PRIu64 "Z", time_ns % 1000000000);
}

/* For scripts: the host of a cluster's row has a place of its own. */
static const char *name_of(const struct top_line *line)
{
	return line->row ? line->row->name : line->name;
}

/* Of a group what it is by its groups; of a row what it is. */
static const char *kind_of(const struct top_line *line)
{
	return line->row ? top_kind_name(line->row->entity) : "group";
}

/* ---- Text --------------------------------------------------------------------------------------- */

/* As the screen has it, in UTF-8 whatever the locale. Returns how many columns were written. */
static int write_name(FILE *out, const char *name, int most)
{
	int width, used;
	const char *end = name + top_text_cut(name, true, most, 0, &used);

	while (name < end) {
		const char *before = name;

		if (top_text_next(&name, true, &width) == L'?')
			fputc('?', out);
		else
			fwrite(before, 1, (size_t)(name - before), out);
	}
	return used;
}

static int width_of(const struct top_batch *batch)
{
	return top_units_width(batch->units) + 1;
}

static void write_head(const struct top_batch *batch, const struct top_model *model)
{
	static const char *const keys[] = {"package_watts", "core_watts", "dram_watts", "cpu_percent"};
	static const char *const names[] = {"package %s W", "core %s W", "dram %s W", "CPU %s %%"};
	const struct top_host *host = &model->host;
	char text[64];

	print_time(host->time_ns, text, sizeof(text));
	fprintf(batch->out, "%s  interval %.1f s", text, (double)host->interval_ns / 1e9);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		top_column_print(top_column_find(keys[i]), &host->figures, TOP_UNITS_BINARY, text,
				 sizeof(text));
		fputs("  ", batch->out);
		for (const char *c = names[i]; *c; c++) {
			if (c[0] == '%' && c[1] == 's')
				fputs(text, batch->out);
			else
				fputc(*c, batch->out);
			c += *c == '%';
		}
	}
	if (host->idle_percent >= 0)
		fprintf(batch->out, "  idle %.1f %%", host->idle_percent);
	fprintf(batch->out, "  %zu container%s\n", host->containers, host->containers == 1 ? "" : "s");
}

static void write_line(const struct top_batch *batch, const struct top_line *line)
{
	char text[64];
	int indent = (int)line->depth * 2;
	int width;

	indent = indent < NAME_WIDTH / 2 ? indent : NAME_WIDTH / 2;
	width = fprintf(batch->out, "%*s", indent, "");
	width += write_name(batch->out, line->name, NAME_WIDTH - indent - (line->row ? 0 : 8));
	if (!line->row)
		width += fprintf(batch->out, " (%zu)", line->members);
	fprintf(batch->out, "%*s", width < NAME_WIDTH ? NAME_WIDTH - width : 0, "");
	for (size_t i = 0; i < batch->column_count; i++)
		fprintf(
		    batch->out, " %*s", width_of(batch),
		    top_column_print(batch->columns[i], &line->figures, batch->units, text, sizeof(text)));
	fputc('\n', batch->out);
}

static void write_text(const struct top_batch *batch, const struct top_model *model,
		       const struct top_view *view)
{
	char title[32];

	if (batch->begun)
		fputc('\n', batch->out);
	else
		for (size_t i = 0; i < model->note_count; i++)
			fprintf(batch->out, "# %s\n", model->notes[i]);
	write_head(batch, model);
	fprintf(batch->out, "%-*s", NAME_WIDTH, "NAME");
	for (size_t i = 0; i < batch->column_count; i++)
		fprintf(batch->out, " %*s", width_of(batch),
			top_column_title(batch->columns[i], batch->units, title, sizeof(title)));
	fputc('\n', batch->out);
	for (size_t i = 0; i < view->count; i++)
		write_line(batch, &view->lines[i]);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static void add_text(cJSON *object, const char *key, const char *value)
{
	char *copy = *value ? strdup(value) : NULL;

	for (char *c = copy; c && *c;) {
		size_t length = (unsigned char)*c < 0x80 ? 1 : deepmon_utf8_length(c);

		if (!length)
			*c = '?';
		c += length ? length : 1;
	}
	if (copy)
		cJSON_AddStringToObject(object, key, copy);
	free(copy);
}

static void add_columns(const struct top_batch *batch, cJSON *object, const struct top_figures *figures)
{
	double value;

	for (size_t i = 0; i < batch->column_count; i++)
		if (top_column_value(batch->columns[i], figures, &value))
			cJSON_AddNumberToObject(object, batch->columns[i]->key, value);
}

static cJSON *json_of(const struct top_batch *batch, const struct top_line *line)
{
	cJSON *object = cJSON_CreateObject(), *labels;

	cJSON_AddStringToObject(object, "kind", kind_of(line));
	add_text(object, "name", name_of(line));
	if (line->row) {
		add_text(object, "id", line->row->id);
		if (strcmp(line->row->instance, line->row->name) != 0)
			add_text(object, "instance", line->row->instance);
		labels = cJSON_AddObjectToObject(object, "labels");
		for (int key = 0; key < TOP_KEYS; key++)
			add_text(labels, top_key_name((enum top_key)key), line->row->labels[key]);
	} else {
		add_text(object, "path", line->path);
		cJSON_AddNumberToObject(object, "members", (double)line->members);
	}
	cJSON_AddNumberToObject(object, "depth", line->depth);
	add_columns(batch, object, &line->figures);
	return object;
}

static int write_json(const struct top_batch *batch, const struct top_model *model,
		      const struct top_view *view)
{
	cJSON *root = cJSON_CreateObject(), *host, *array;
	char time[64], *text;

	print_time(model->host.time_ns, time, sizeof(time));
	cJSON_AddStringToObject(root, "time", time);
	cJSON_AddNumberToObject(root, "interval_seconds", (double)model->host.interval_ns / 1e9);
	host = cJSON_AddObjectToObject(root, "host");
	add_columns(batch, host, &model->host.figures);
	if (model->host.idle_percent >= 0)
		cJSON_AddNumberToObject(host, "idle_percent", model->host.idle_percent);
	cJSON_AddNumberToObject(host, "containers", (double)model->host.containers);
	array = cJSON_AddArrayToObject(root, "lines");
	for (size_t i = 0; i < view->count; i++)
		cJSON_AddItemToArray(array, json_of(batch, &view->lines[i]));
	array = cJSON_AddArrayToObject(root, "notes");
	for (size_t i = 0; i < model->note_count; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(model->notes[i]));
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (!text)
		return -ENOMEM;
	fprintf(batch->out, "%s\n", text);
	free(text);
	return 0;
}

/* ---- CSV ---------------------------------------------------------------------------------------- */

static void write_cell(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void write_csv_head(const struct top_batch *batch)
{
	fputs("time,kind,name,path,id", batch->out);
	for (int key = 0; key < TOP_KEYS; key++)
		fprintf(batch->out, ",%s", top_key_name((enum top_key)key));
	for (size_t i = 0; i < batch->column_count; i++)
		fprintf(batch->out, ",%s", batch->columns[i]->key);
	fputs("\r\n", batch->out);
}

static void write_csv_line(const struct top_batch *batch, const char *time, const struct top_line *line)
{
	double value;

	fprintf(batch->out, "%s,%s,", time, kind_of(line));
	write_cell(batch->out, name_of(line));
	fputc(',', batch->out);
	write_cell(batch->out, line->path);
	fputc(',', batch->out);
	write_cell(batch->out, line->row ? line->row->id : "");
	for (int key = 0; key < TOP_KEYS; key++) {
		fputc(',', batch->out);
		write_cell(batch->out, line->row ? line->row->labels[key] : "");
	}
	for (size_t i = 0; i < batch->column_count; i++) {
		fputc(',', batch->out);
		if (top_column_value(batch->columns[i], &line->figures, &value))
			fprintf(batch->out, "%.12g", value);
	}
	fputs("\r\n", batch->out);
}

static void write_csv(const struct top_batch *batch, const struct top_model *model,
		      const struct top_view *view)
{
	char time[64];

	if (!batch->begun)
		write_csv_head(batch);
	print_time(model->host.time_ns, time, sizeof(time));
	for (size_t i = 0; i < view->count; i++)
		write_csv_line(batch, time, &view->lines[i]);
}

int top_batch_write(struct top_batch *batch, const struct top_model *model, const struct top_view *view)
{
	int r = 0;

	if (batch->format == TOP_JSON)
		r = write_json(batch, model, view);
	else if (batch->format == TOP_CSV)
		write_csv(batch, model, view);
	else
		write_text(batch, model, view);
	batch->begun = true;
	if (!r && fflush(batch->out) == EOF)
		r = -errno;
	return r;
}
