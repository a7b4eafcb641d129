/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Series of points from answers of InfluxDB.
 */
#include "influx_answer.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "../../common/deepmon.h"
#include "influx_csv.h"

struct influx_reader {
	struct influx_reader_settings settings;
	struct influx_csv csv;
	char *line; /* what of the line there is, ended by NUL once it is whole */
	size_t length, size;
	bool quoted; /* CSV: within quotation marks, where no line ends */
	int error;
	char why[INFLUX_WHY_MAX];
};

const char *influx_series_tag(const struct influx_series *series, const char *key)
{
	for (size_t i = 0; i < series->tag_count; i++)
		if (!strcmp(series->tags[i].key, key))
			return series->tags[i].value;
	return "";
}

/* Digits, as many as `count` says. */
static bool read_digits(const char **text, int count, int *number)
{
	*number = 0;
	for (; count; count--, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		*number = *number * 10 + (**text - '0');
	}
	return true;
}

static bool read_character(const char **text, char wanted)
{
	bool is = **text == wanted;

	*text += is;
	return is;
}

bool influx_time(const char *text, uint64_t *time_ns)
{
	struct tm tm = {0};
	uint64_t nanoseconds = 0;
	time_t seconds;

	if (!read_digits(&text, 4, &tm.tm_year) || !read_character(&text, '-') ||
	    !read_digits(&text, 2, &tm.tm_mon) || !read_character(&text, '-') ||
	    !read_digits(&text, 2, &tm.tm_mday) || !read_character(&text, 'T') ||
	    !read_digits(&text, 2, &tm.tm_hour) || !read_character(&text, ':') ||
	    !read_digits(&text, 2, &tm.tm_min) || !read_character(&text, ':') ||
	    !read_digits(&text, 2, &tm.tm_sec))
		return false;
	if (read_character(&text, '.'))
		for (uint64_t unit = 100000000; isdigit((unsigned char)*text); unit /= 10, text++)
			nanoseconds += unit * (uint64_t)(*text - '0');
	if (!read_character(&text, 'Z') || *text || tm.tm_year < 1970 || tm.tm_year > 2261)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	seconds = timegm(&tm);
	if (seconds < 0)
		return false;
	*time_ns = (uint64_t)seconds * 1000000000 + nanoseconds;
	return true;
}

/* ---- Errors ------------------------------------------------------------------------------------- */

/* One line of valid characters, whatever is said. */
static void put_line(char *line, size_t size, const char *text)
{
	size_t length = 0;

	while (*text && length + 4 < size) {
		size_t character = deepmon_utf8_length(text);

		if (character)
			memcpy(line + length, text, character);
		else
			line[length] = ' ';
		length += character ? character : 1;
		text += character ? character : 1;
	}
	while (length && line[length - 1] == ' ')
		length--;
	line[length] = '\0';
}

static int fail(struct influx_reader *reader, int error, const char *why)
{
	put_line(reader->why, sizeof(reader->why), why);
	reader->error = error;
	return error;
}

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

void influx_message(const char *body, char *text, size_t size)
{
	cJSON *root = cJSON_Parse(body);
	const char *message = text_of(root, "error");

	if (!*message)
		message = text_of(root, "message");
	put_line(text, size, *message ? message : body);
	cJSON_Delete(root);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static void add_tags(struct influx_series *series, const cJSON *tags)
{
	const cJSON *tag;

	cJSON_ArrayForEach(tag, tags)
	{
		if (series->tag_count == INFLUX_TAGS_MAX)
			return;
		if (tag->string && *tag->string && cJSON_IsString(tag) && *tag->valuestring)
			series->tags[series->tag_count++] =
			    (struct influx_tag){tag->string, tag->valuestring};
	}
}

/* The first column is the time. */
static bool add_columns(struct influx_series *series, const cJSON *columns)
{
	const cJSON *column = columns ? columns->child : NULL;

	if (!column || !cJSON_IsString(column) || strcmp(column->valuestring, "time") != 0)
		return false;
	for (column = column->next; column; column = column->next) {
		if (!cJSON_IsString(column))
			return false;
		if (series->field_count < INFLUX_FIELDS_MAX)
			series->fields[series->field_count++].key = column->valuestring;
	}
	return true;
}

static bool add_point(struct influx_series *series, const cJSON *point)
{
	const cJSON *value = point->child;
	size_t at = series->count;

	if (!cJSON_IsString(value) || !influx_time(value->valuestring, &series->times_ns[at]))
		return false;
	if (at && series->times_ns[at] >= series->times_ns[at - 1])
		return false; /* the newest come first */
	for (size_t i = 0; i < series->field_count; i++) {
		struct influx_field *field = &series->fields[i];

		value = value->next;
		if (!value)
			return false;
		field->has[at] = cJSON_IsNumber(value) && isfinite(value->valuedouble);
		if (field->has[at])
			field->values[at] = value->valuedouble;
		else if (cJSON_IsString(value) && !field->text)
			field->text = value->valuestring;
	}
	series->count++;
	return true;
}

static int read_series(struct influx_reader *reader, const cJSON *json)
{
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(json, "values"), *point;
	struct influx_series series = {.measurement = text_of(json, "name")};

	add_tags(&series, cJSON_GetObjectItemCaseSensitive(json, "tags"));
	if (!add_columns(&series, cJSON_GetObjectItemCaseSensitive(json, "columns")) ||
	    !cJSON_IsArray(values))
		return fail(reader, -EBADMSG, "what it answers are no series");
	cJSON_ArrayForEach(point, values)
	{
		if (series.count == INFLUX_POINTS)
			break;
		if (!add_point(&series, point))
			return fail(reader, -EBADMSG, "what it answers are no points, the newest first");
	}
	return series.count ? reader->settings.take(reader->settings.user, &series) : 0;
}

static int read_result(struct influx_reader *reader, const cJSON *result)
{
	const cJSON *series;
	int r = 0;

	if (*text_of(result, "error"))
		return fail(reader, -EPROTO, text_of(result, "error"));
	cJSON_ArrayForEach(series, cJSON_GetObjectItemCaseSensitive(result, "series"))
	{
		r = read_series(reader, series);
		if (r)
			break;
	}
	return r;
}

static int read_json(struct influx_reader *reader)
{
	cJSON *root = cJSON_Parse(reader->line);
	const cJSON *results = cJSON_GetObjectItemCaseSensitive(root, "results"), *result;
	int r = 0;

	if (*text_of(root, "error"))
		r = fail(reader, -EPROTO, text_of(root, "error"));
	else if (!cJSON_IsArray(results))
		r = fail(reader, -EBADMSG, "what it answers is no JSON of InfluxDB's");
	else
		cJSON_ArrayForEach(result, results)
		{
			r = read_result(reader, result);
			if (r)
				break;
		}
	cJSON_Delete(root);
	return r;
}

static const char no_csv[] = "what it answers is no annotated CSV of InfluxDB's";

/* ---- Lines -------------------------------------------------------------------------------------- */

int influx_reader_open(struct influx_reader **opened, const struct influx_reader_settings *settings)
{
	struct influx_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->settings = *settings;
	*opened = reader;
	return 0;
}

void influx_reader_close(struct influx_reader *reader)
{
	if (!reader)
		return;
	influx_csv_clear(&reader->csv);
	free(reader->line);
	free(reader);
}

const char *influx_reader_why(const struct influx_reader *reader)
{
	return reader->why;
}

static int read_line(struct influx_reader *reader)
{
	const struct influx_reader_settings *settings = &reader->settings;
	const char *why = no_csv;
	int r;

	if (reader->length && reader->line[reader->length - 1] == '\r')
		reader->length--;
	reader->line[reader->length] = '\0';
	if (strlen(reader->line) != reader->length)
		r = fail(reader, -EBADMSG, "there are bytes of 0 in what it answers");
	else if (settings->api == INFLUX_QL)
		r = reader->length ? read_json(reader) : 0;
	else
		r = influx_csv_read(&reader->csv, reader->line, settings->take, settings->user, &why);
	reader->length = 0;
	if (r && !reader->error)
		fail(reader, r, r == -ENOMEM ? strerror(ENOMEM) : why);
	return r;
}

/* Behind what of the line there is. */
static int add(struct influx_reader *reader, const char *bytes, size_t length)
{
	size_t needed = reader->length + length + 1, size = reader->size ? reader->size : 4096;
	char *line;

	if (length > reader->settings.line_most - reader->length)
		return fail(reader, -EFBIG, "a line of what it answers is too long");
	while (size < needed)
		size *= 2;
	line = size > reader->size ? realloc(reader->line, size) : reader->line;
	if (!line)
		return fail(reader, -ENOMEM, strerror(ENOMEM));
	reader->line = line;
	reader->size = size;
	memcpy(reader->line + reader->length, bytes, length);
	reader->length += length;
	return 0;
}

/* Where the line ends; NULL: it goes on. Of CSV, none does within quotation marks. */
static const char *find_end(struct influx_reader *reader, const char *bytes, size_t length)
{
	if (reader->settings.api == INFLUX_QL)
		return memchr(bytes, '\n', length);
	for (const char *c = bytes; c < bytes + length; c++) {
		if (*c == '\n' && !reader->quoted)
			return c;
		reader->quoted ^= *c == '"';
	}
	return NULL;
}

int influx_reader_feed(struct influx_reader *reader, const char *bytes, size_t length)
{
	int r = reader->error;

	while (length && !r) {
		const char *end = find_end(reader, bytes, length);
		size_t part = end ? (size_t)(end - bytes) : length;

		r = add(reader, bytes, part);
		if (!r && end)
			r = read_line(reader);
		part += end != NULL;
		bytes += part;
		length -= part;
	}
	return r;
}

int influx_reader_end(struct influx_reader *reader)
{
	int r = reader->error;

	if (!r && reader->length)
		r = read_line(reader);
	if (!r && reader->settings.api == INFLUX_FLUX) {
		r = influx_csv_flush(&reader->csv, reader->settings.take, reader->settings.user);
		if (r)
			fail(reader, r, r == -ENOMEM ? strerror(ENOMEM) : no_csv);
	}
	if (!r && reader->quoted)
		r = fail(reader, -EBADMSG, "what it answers ends within quotation marks");
	return r;
}
