/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Any record at all becomes a line that a strict reader takes, with the same tags and values in it. The input
 * is the record's entity, subject, which labels are tags and which values it has, then the labels' texts,
 * each up to a NUL, and the values.
 */
#include "../../telegraf-execd/line_protocol.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\nwritten: %s", __LINE__, #condition, text); \
			abort(); \
		} \
	} while (0)

struct head {
	uint8_t entity, subject, tags;
	uint64_t valid;
} __attribute__((packed));

static const char *const keys[DEEPMON_LABELS_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h",
						     "i", "j", "k", "l", "m", "n", "o", "p",
						     "q", "r", "s", "t", "u", "v", "w", "x"};

static char *text;	 /* all that was written */
static const char *next; /* what of it is still to be read */

/* ---- A strict reader ---------------------------------------------------------------------------- */

static void expect(const char *what)
{
	size_t length = strlen(what);

	require(!strncmp(next, what, length));
	next += length;
}

/* A byte of text, unescaped; a backslash before one of `escapable` is no byte. */
static unsigned char read_byte(const char *escapable)
{
	if (*next == '\\' && next[1] && strchr(escapable, next[1]))
		next++;
	require((unsigned char)*next >= 0x20 && *next != 0x7f);
	return (unsigned char)*next++;
}

/* A value has what its label had, but for bytes that no reader takes: those are '_'. */
static void check_same(unsigned char byte, unsigned char original)
{
	require(byte == original ||
		(byte == '_' && (original < 0x20 || original == 0x7f || original >= 0x80)));
}

static void read_tag(const struct deepmon_label *label)
{
	const char *original = label->value;
	size_t length = strlen(original);

	while (length && original[length - 1] == '\\')
		length--;
	expect(",");
	expect(label->key);
	expect("=");
	if (!length) {
		expect("_");
		return;
	}
	for (size_t i = 0; i < length; i++) {
		require(*next && !strchr(", =", *next));
		check_same(read_byte(", ="), (unsigned char)original[i]);
	}
	require(*next == ',' || *next == ' ');
}

static void read_string(const struct deepmon_label *label)
{
	expect(label->key);
	expect("=\"");
	for (const char *c = label->value; *c; c++) {
		require(*next != '"');
		require(*next != '\\' || next[1] == '\\' || next[1] == '"');
		check_same(read_byte("\"\\"), (unsigned char)*c);
	}
	expect("\"");
}

static void read_integer(uint64_t number)
{
	char *end;

	require(isdigit((unsigned char)*next));

	unsigned long long read = strtoull(next, &end, 10);

	require(read == (number > INT64_MAX ? (uint64_t)INT64_MAX : number));
	next = end;
	expect("i");
}

static void read_float(double value)
{
	char *end;
	size_t length = strspn(next, "0123456789.e+-");
	double read = strtod(next, &end);

	require(end == next + length);
	require(isdigit((unsigned char)next[*next == '-']));
	require(fabs(read - value) <= fabs(value) * 1e-15);
	next = end;
}

/* Whether the metric was to be written; then it is read. */
static bool read_metric(const struct deepmon_record *record, const struct deepmon_metric *metric, bool first)
{
	uint64_t number;
	double value;

	if (!deepmon_value_double(record, metric, &value) || !isfinite(value))
		return false;
	if (!first)
		expect(",");
	expect(metric->field);
	expect("=");
	if (metric->type == DEEPMON_U64 && deepmon_value_u64(record, metric, &number))
		read_integer(number);
	else
		read_float(value);
	return true;
}

static void check_line(const struct deepmon_record *record, uint64_t time_ns)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	bool first = true;
	char *end;

	expect("deepmon_");
	expect(deepmon_entity_name(record->entity));
	expect(deepmon_subject_suffix(record->subject));
	for (unsigned i = 0; i < record->label_count; i++)
		if (record->labels[i].tag)
			read_tag(&record->labels[i]);
	expect(" ");
	for (size_t i = 0; i < count; i++)
		first = !read_metric(record, &metrics[i], first) && first;
	for (unsigned i = 0; i < record->label_count; i++) {
		if (record->labels[i].tag)
			continue;
		expect(",");
		read_string(&record->labels[i]);
	}
	expect(" ");
	require(strtoull(next, &end, 10) == time_ns);
	next = end;
	expect("\n");
	require(!*next);
}

/* Not one byte that is no UTF-8: the whole of it decodes. */
static void check_utf8(void)
{
	for (const unsigned char *c = (const unsigned char *)text; *c;) {
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		int more = *c < 0x80 ? 0 : *c < 0xe0 ? 1 : *c < 0xf0 ? 2 : 3;
		uint32_t character = more ? *c & 0x3f >> more : *c;

		require(*c < 0x80 || (*c >= 0xc0 && *c < 0xf8));
		c++;
		for (int i = 0; i < more; i++, c++) {
			require((*c & 0xc0) == 0x80);
			character = character << 6 | (*c & 0x3f);
		}
		require(character >= least[more] && character <= 0x10ffff);
		require(character < 0xd800 || character > 0xdfff);
	}
}

/* ---- Records ------------------------------------------------------------------------------------ */

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

/* Takes a text up to a NUL off the input; a copy, "" at its end. */
static char *take_text(const uint8_t **data, size_t *size)
{
	char *taken = strndup((const char *)*data, *size);
	size_t length = strlen(taken) + (strlen(taken) < *size);

	*data += length;
	*size -= length;
	return taken;
}

static void check(const struct deepmon_record *record)
{
	const struct deepmon_sample sample = {
	    .time_ns = 1700000000123456789u, .records = record, .record_count = 1};
	size_t size;
	FILE *out = open_memstream(&text, &size);

	line_protocol_write(out, &sample);
	fclose(out);
	require(strlen(text) == size);
	next = text;
	if (has_value(record))
		check_line(record, sample.time_ns);
	else
		require(!size);
	check_utf8();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct deepmon_record record = {.instance = "", .qualifier = ""};
	char *texts[DEEPMON_LABELS_MAX];
	struct head head;

	if (size < sizeof(head))
		return -1;
	memcpy(&head, data, sizeof(head));
	data += sizeof(head);
	size -= sizeof(head);
	record.entity = head.entity % DEEPMON_ENTITY_COUNT;
	record.subject = head.subject % DEEPMON_SUBJECT_COUNT;
	record.valid = head.valid;
	for (int i = 0; i < DEEPMON_LABELS_MAX; i++) {
		texts[i] = take_text(&data, &size);
		if (*texts[i])
			record.labels[record.label_count++] =
			    (struct deepmon_label){keys[i], texts[i], (head.tags >> i & 1) != 0};
	}
	if (size)
		memcpy(&record.values, data, size < sizeof(record.values) ? size : sizeof(record.values));
	check(&record);
	for (int i = 0; i < DEEPMON_LABELS_MAX; i++)
		free(texts[i]);
	return 0;
}
