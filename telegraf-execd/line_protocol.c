/* SPDX-License-Identifier: GPL-3.0-only
 *
 * InfluxDB line protocol, by the catalogue of metrics.
 */
#include "line_protocol.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of one UTF-8 character at c; 0: it is none. */
static size_t utf8_length(const unsigned char *c)
{
	size_t length = c[0] < 0x80		      ? 1
			: c[0] >= 0xc2 && c[0] < 0xe0 ? 2
			: c[0] >= 0xe0 && c[0] < 0xf0 ? 3
			: c[0] >= 0xf0 && c[0] < 0xf5 ? 4
						      : 0;

	for (size_t i = 1; i < length; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if (length == 3 && ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f)))
		return 0; /* longer than need be, or half of a surrogate pair */
	if (length == 4 && ((c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f)))
		return 0;
	return length;
}

/* Writes text with a backslash before each byte of `escaped`; what no decoder takes becomes '_'. */
static void write_text(FILE *out, const char *text, const char *escaped)
{
	const unsigned char *c = (const unsigned char *)text;

	while (*c) {
		size_t length = utf8_length(c);

		if (!length || *c < 0x20 || *c == 0x7f) {
			fputc('_', out);
			c++;
			continue;
		}
		if (strchr(escaped, *c))
			fputc('\\', out);
		fwrite(c, 1, length, out);
		c += length;
	}
}

/* A backslash at the end would escape what follows: it is left out. */
static void write_tag_value(FILE *out, const char *value)
{
	char *copy = strdup(value);
	size_t length = copy ? strlen(copy) : 0;

	while (length && copy[length - 1] == '\\')
		copy[--length] = '\0';
	write_text(out, length ? copy : "_", ", =");
	free(copy);
}

/* The shortest that reads back as the same, with a point whatever the locale. */
static void write_double(FILE *out, double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	for (char *c = text; *c; c++)
		if (*c == ',')
			*c = '.';
	fputs(text, out);
}

static bool write_value(FILE *out, const struct deepmon_record *record, const struct deepmon_metric *metric,
			char separator)
{
	uint64_t number;
	double value;

	if (deepmon_value_u64(record, metric, &number)) {
		fprintf(out, "%c%s=", separator, metric->field);
		if (metric->type == DEEPMON_MICRO)
			fprintf(out, "%" PRIu64 ".%06" PRIu64, number / 1000000, number % 1000000);
		else
			fprintf(out, "%" PRIu64 "i", number > INT64_MAX ? (uint64_t)INT64_MAX : number);
		return true;
	}
	if (!deepmon_value_double(record, metric, &value) || !isfinite(value))
		return false;
	fprintf(out, "%c%s=", separator, metric->field);
	write_double(out, value);
	return true;
}

static bool has_value(const struct deepmon_record *record)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	double value;

	for (size_t i = 0; i < count; i++)
		if (deepmon_value_double(record, &metrics[i], &value) && isfinite(value))
			return true;
	return false;
}

static void write_record(FILE *out, const struct deepmon_record *record, uint64_t time_ns)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	char separator = ' ';

	if (!has_value(record))
		return;
	fprintf(out, "deepmon_%s%s", deepmon_entity_name(record->entity),
		deepmon_subject_suffix(record->subject));
	for (unsigned i = 0; i < record->label_count; i++) {
		if (!record->labels[i].tag)
			continue;
		fprintf(out, ",%s=", record->labels[i].key);
		write_tag_value(out, record->labels[i].value);
	}
	for (size_t i = 0; i < count; i++)
		if (write_value(out, record, &metrics[i], separator))
			separator = ',';
	for (unsigned i = 0; i < record->label_count; i++) {
		if (record->labels[i].tag)
			continue;
		fprintf(out, "%c%s=\"", separator, record->labels[i].key);
		write_text(out, record->labels[i].value, "\"\\");
		fputc('"', out);
	}
	fprintf(out, " %" PRIu64 "\n", time_ns);
}

void line_protocol_write(FILE *out, const struct deepmon_sample *sample)
{
	for (size_t i = 0; i < sample->record_count; i++)
		write_record(out, &sample->records[i], sample->time_ns);
}
