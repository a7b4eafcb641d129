/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes what is read from an InfluxDB. The first byte says what it is: 'F', annotated CSV as Flux is
 * answered, else JSON as InfluxQL is; the second, in pieces of how many bytes it comes. Whole or in pieces,
 * it tells the same rows, or the same is the matter; what a model is then told holds together.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../contrib/top/influx_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS_MOST 20
#define LINE_MOST 3000

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static int take(void *user, const struct influx_series *series)
{
	require(series->count >= 1 && series->count <= INFLUX_POINTS);
	require(series->tag_count <= INFLUX_TAGS_MAX && series->field_count <= INFLUX_FIELDS_MAX);
	require(series->count == 1 || series->times_ns[0] > series->times_ns[1]);
	for (size_t i = 0; i < series->tag_count; i++)
		require(*series->tags[i].key && *series->tags[i].value);
	for (size_t i = 0; i < series->field_count; i++)
		for (size_t point = 0; point < series->count; point++)
			require(!series->fields[i].has[point] || isfinite(series->fields[i].values[point]));
	return influx_rows_take(user, series);
}

static int read_rows(struct influx_rows *rows, enum influx_api api, const char *text, size_t length,
		     size_t piece)
{
	const struct influx_reader_settings settings = {
	    .api = api, .take = take, .user = rows, .line_most = LINE_MOST};
	struct influx_reader *reader;
	int r = 0;

	influx_rows_init(rows, ROWS_MOST, true);
	require(influx_reader_open(&reader, &settings) == 0);
	for (size_t i = 0; i < length && !r; i += piece)
		r = influx_reader_feed(reader, text + i, length - i < piece ? length - i : piece);
	r = r ? r : influx_reader_end(reader);
	require(r == 0 || r == -EBADMSG || r == -EPROTO || r == -EFBIG);
	require((r == 0) == (*influx_reader_why(reader) == '\0') || r == -EPROTO);
	require(strlen(influx_reader_why(reader)) < INFLUX_WHY_MAX);
	influx_reader_close(reader);
	return r;
}

static void check_rows(struct influx_rows *rows)
{
	struct top_model model;
	int r;

	require(rows->count <= ROWS_MOST);
	require(rows->host_count <= rows->series);
	top_model_init(&model, 2);
	r = influx_rows_tell(rows, &model);
	require(r == (rows->host_count ? 0 : -ENODATA));
	require(model.count <= rows->count);
	for (size_t i = 0; i < model.count; i++)
		require(model.rows[i]->shown && model.rows[i]->name && model.rows[i]->instance);
	for (size_t i = 1; i < rows->host_count; i++)
		require(strcmp(rows->hosts[i - 1]->name, rows->hosts[i]->name) < 0);
	top_model_clear(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct influx_rows whole, pieces;
	enum influx_api api;
	int r;

	if (size < 2)
		return 0;
	api = data[0] == 'F' ? INFLUX_FLUX : INFLUX_QL;
	r = read_rows(&whole, api, (const char *)data + 2, size - 2, size);
	require(r == read_rows(&pieces, api, (const char *)data + 2, size - 2, data[1] % 64 + 1u));
	require(whole.series == pieces.series && whole.count == pieces.count &&
		whole.refused == pieces.refused);
	check_rows(&whole);
	check_rows(&pieces);
	influx_rows_clear(&whole);
	influx_rows_clear(&pieces);
	return 0;
}
