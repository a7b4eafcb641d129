/* SPDX-License-Identifier: GPL-3.0-only
 *
 * InfluxDB line protocol, by the catalogue of metrics.
 */
#include "line_protocol.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A thousand containers are some thousand lines: they are put together here, and no text is formatted twice.
 */
struct writer {
	FILE *out;
	size_t length;
	char bytes[32768];
};

static void flush(struct writer *writer)
{
	fwrite(writer->bytes, 1, writer->length, writer->out);
	writer->length = 0;
}

static void put(struct writer *writer, const void *bytes, size_t length)
{
	if (length > sizeof(writer->bytes) - writer->length)
		flush(writer);
	if (length > sizeof(writer->bytes)) {
		fwrite(bytes, 1, length, writer->out);
		return;
	}
	memcpy(writer->bytes + writer->length, bytes, length);
	writer->length += length;
}

static void put_text(struct writer *writer, const char *text)
{
	put(writer, text, strlen(text));
}

static void put_char(struct writer *writer, char c)
{
	put(writer, &c, 1);
}

/* What a byte needs, in a tag's value and in a string field. */
enum { ESCAPED_IN_TAG = 1, ESCAPED_IN_STRING = 2, NOT_PLAIN = 4 };

static unsigned needs_of(unsigned char c)
{
	switch (c) {
	case ',':
	case ' ':
	case '=':
		return ESCAPED_IN_TAG;
	case '"':
	case '\\':
		return ESCAPED_IN_STRING;
	default:
		return c < 0x20 || c >= 0x7f ? NOT_PLAIN : 0;
	}
}

/* Writes text with a backslash before each byte that `escaped` says; what no decoder takes becomes '_'. */
static void write_text(struct writer *writer, const char *text, size_t length, unsigned escaped)
{
	const unsigned char *c = (const unsigned char *)text, *end = c + length, *plain = c;

	while (c < end) {
		unsigned needs = needs_of(*c) & (escaped | NOT_PLAIN);

		if (!needs) {
			c++;
			continue;
		}
		put(writer, plain, (size_t)(c - plain));

		size_t character = needs & NOT_PLAIN ? deepmon_utf8_length((const char *)c) : 0;

		if (needs & escaped)
			put_char(writer, '\\');
		else if (!character)
			put_char(writer, '_');
		/* An escaped byte, and a character of several, are plain from here on. */
		plain = needs & escaped || character ? c : c + 1;
		c += character ? character : 1;
	}
	put(writer, plain, (size_t)(c - plain));
}

/* A key or value of a tag. A backslash at the end would escape what follows: it is left out. */
static void write_tag_text(struct writer *writer, const char *text)
{
	size_t length = strlen(text);

	while (length && text[length - 1] == '\\')
		length--;
	if (length)
		write_text(writer, text, length, ESCAPED_IN_TAG);
	else
		put_char(writer, '_');
}

/* In decimal, with zeroes up to that many digits. */
static void write_number(struct writer *writer, uint64_t number, size_t digits)
{
	char text[20];
	size_t first = sizeof(text);

	while (number || first + digits > sizeof(text) || first == sizeof(text)) {
		text[--first] = (char)('0' + number % 10);
		number /= 10;
	}
	put(writer, text + first, sizeof(text) - first);
}

/* The shortest that reads back as the same, with a point whatever the locale. */
static void write_double(struct writer *writer, double value)
{
	char text[40];

	if (value == 0 && !signbit(value)) {
		put_char(writer, '0');
		return;
	}
	/* 15 digits and no zeroes at their end are the shortest, but where a double has fewer digits itself.
	 */
	for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	for (char *c = text; *c; c++)
		if (*c == ',')
			*c = '.';
	put_text(writer, text);
}

/* That of a metric, which needs no escaping. */
static void write_name(struct writer *writer, char separator, const char *name)
{
	put_char(writer, separator);
	put_text(writer, name);
	put_char(writer, '=');
}

static void write_key(struct writer *writer, char separator, const char *key)
{
	put_char(writer, separator);
	write_tag_text(writer, key);
	put_char(writer, '=');
}

static bool write_value(struct writer *writer, const struct deepmon_record *record,
			const struct deepmon_metric *metric, char separator)
{
	uint64_t number;
	double value;

	if (deepmon_value_u64(record, metric, &number)) {
		write_name(writer, separator, metric->field);
		if (metric->type == DEEPMON_MICRO) {
			write_number(writer, number / 1000000, 1);
			put_char(writer, '.');
			write_number(writer, number % 1000000, 6);
			return true;
		}
		write_number(writer, number > INT64_MAX ? (uint64_t)INT64_MAX : number, 1);
		put_char(writer, 'i');
		return true;
	}
	if (!deepmon_value_double(record, metric, &value) || !isfinite(value))
		return false;
	write_name(writer, separator, metric->field);
	write_double(writer, value);
	return true;
}

static bool has_value(const struct deepmon_record *record, const struct deepmon_metric *metrics, size_t count)
{
	double value;

	for (size_t i = 0; i < count; i++)
		if (deepmon_value_double(record, &metrics[i], &value) && isfinite(value))
			return true;
	return false;
}

static void write_record(struct writer *writer, const struct deepmon_record *record, uint64_t time_ns)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	char separator = ' ';

	if (!has_value(record, metrics, count))
		return;
	put_text(writer, "deepmon_");
	put_text(writer, deepmon_entity_name(record->entity));
	put_text(writer, deepmon_subject_suffix(record->subject));
	for (unsigned i = 0; i < record->label_count; i++) {
		if (!record->labels[i].tag)
			continue;
		write_key(writer, ',', record->labels[i].key);
		write_tag_text(writer, record->labels[i].value);
	}
	for (size_t i = 0; i < count; i++)
		if (write_value(writer, record, &metrics[i], separator))
			separator = ',';
	for (unsigned i = 0; i < record->label_count; i++) {
		const char *value = record->labels[i].value;

		if (record->labels[i].tag)
			continue;
		write_key(writer, separator, record->labels[i].key);
		put_char(writer, '"');
		write_text(writer, value, strlen(value), ESCAPED_IN_STRING);
		put_char(writer, '"');
	}
	put_char(writer, ' ');
	write_number(writer, time_ns, 1);
	put_char(writer, '\n');
}

void line_protocol_write(FILE *out, const struct deepmon_sample *sample)
{
	struct writer writer = {.out = out};

	for (size_t i = 0; i < sample->record_count; i++)
		write_record(&writer, &sample->records[i], sample->time_ns);
	flush(&writer);
}
