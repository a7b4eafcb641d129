/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The format of a recording, in bytes. Pure.
 */
#include "recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../bpf/cpu.h"
#include "../bpf/file_io.h"
#include "../bpf/net.h"
#include "deepmon.h"

#define RECORD_HEAD_SIZE 5 /* tag and length */

/* ---- Numbers of fixed size ---------------------------------------------------------------------- */

static void put_le(uint8_t *bytes, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t take_le(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

/* ---- Writing fields ----------------------------------------------------------------------------- */

static bool make_room(struct recording_out *out, size_t more)
{
	size_t capacity = out->capacity ? out->capacity : 4096;
	uint8_t *bytes;

	if (out->failed || more > RECORDING_FRAME_MAX - out->length) {
		out->failed = true;
		return false;
	}
	if (out->length + more <= out->capacity)
		return true;
	while (capacity < out->length + more)
		capacity *= 2;
	bytes = realloc(out->bytes, capacity);
	if (!bytes) {
		out->failed = true;
		return false;
	}
	out->bytes = bytes;
	out->capacity = capacity;
	return true;
}

void recording_put_bytes(struct recording_out *out, const void *bytes, size_t length)
{
	if (!length || !make_room(out, length))
		return;
	memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

void recording_begin(struct recording_out *out, enum recording_tag tag)
{
	const uint8_t head[RECORD_HEAD_SIZE] = {(uint8_t)tag};

	out->record = out->length;
	recording_put_bytes(out, head, sizeof(head));
}

void recording_end(struct recording_out *out)
{
	if (!out->failed)
		put_le(out->bytes + out->record + 1, out->length - out->record - RECORD_HEAD_SIZE, 4);
}

void recording_drop(struct recording_out *out)
{
	if (!out->failed)
		out->length = out->record;
}

void recording_put(struct recording_out *out, uint64_t value)
{
	uint8_t bytes[10];
	size_t length = 0;

	do {
		bytes[length] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		length++;
		value >>= 7;
	} while (value);
	recording_put_bytes(out, bytes, length);
}

void recording_put_signed(struct recording_out *out, int64_t value)
{
	recording_put(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void recording_put_text(struct recording_out *out, const char *text)
{
	size_t length = strlen(text);

	recording_put(out, length);
	recording_put_bytes(out, text, length);
}

/* ---- Reading fields ----------------------------------------------------------------------------- */

uint64_t recording_take(struct recording_in *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
		uint8_t byte = *in->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	in->bad = true;
	in->at = in->end;
	return 0;
}

int64_t recording_take_signed(struct recording_in *in)
{
	uint64_t value = recording_take(in);

	return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

const uint8_t *recording_take_bytes(struct recording_in *in, size_t length)
{
	const uint8_t *bytes = in->at;

	if (length > (size_t)(in->end - in->at)) {
		in->bad = true;
		in->at = in->end;
		return NULL;
	}
	in->at += length;
	return bytes;
}

void recording_take_text(struct recording_in *in, char *text, size_t size)
{
	uint64_t length = recording_take(in);
	const uint8_t *bytes = length < size ? recording_take_bytes(in, length) : NULL;

	*text = '\0';
	if (!bytes || memchr(bytes, '\0', length)) {
		in->bad = true;
		return;
	}
	memcpy(text, bytes, length);
	text[length] = '\0';
}

unsigned recording_next(struct recording_in *payload, struct recording_in *record)
{
	const uint8_t *head;
	uint64_t length;

	if (payload->at == payload->end)
		return 0;
	head = recording_take_bytes(payload, RECORD_HEAD_SIZE);
	if (!head)
		return 0;
	length = take_le(head + 1, 4);
	record->at = recording_take_bytes(payload, length);
	if (!record->at)
		return 0;
	record->end = record->at + length;
	record->bad = false;
	return *head;
}

/* ---- Figures ------------------------------------------------------------------------------------ */

struct field {
	const char *name;
	size_t offset;
};

#define FIELD(type, member) \
	{ \
#member, offsetof(struct type, member) \
	}

static const struct field usage_fields[] = {
    FIELD(cpu_usage, time_ns),
    FIELD(cpu_usage, overlap_ns),
    {"cycles", offsetof(struct cpu_usage, counter[CPU_COUNTER_CYCLES])},
    {"instructions", offsetof(struct cpu_usage, counter[CPU_COUNTER_INSTRUCTIONS])},
    {"cache_references", offsetof(struct cpu_usage, counter[CPU_COUNTER_CACHE_REFERENCES])},
    {"cache_misses", offsetof(struct cpu_usage, counter[CPU_COUNTER_CACHE_MISSES])},
    FIELD(cpu_usage, switches),
};

static const struct field network_fields[] = {
    FIELD(net_usage, tcp_sent_bytes),	  FIELD(net_usage, tcp_sent_messages),
    FIELD(net_usage, tcp_received_bytes), FIELD(net_usage, tcp_received_messages),
    FIELD(net_usage, udp_sent_bytes),	  FIELD(net_usage, udp_sent_messages),
    FIELD(net_usage, udp_received_bytes), FIELD(net_usage, udp_received_messages),
    FIELD(net_usage, tcp_opened_active),  FIELD(net_usage, tcp_opened_passive),
    FIELD(net_usage, tcp_failed),	  FIELD(net_usage, tcp_closed),
    FIELD(net_usage, tcp_resets_sent),	  FIELD(net_usage, tcp_resets_received),
    FIELD(net_usage, tcp_retransmits),	  FIELD(net_usage, tcp_rtt_sum_us),
    FIELD(net_usage, tcp_rtt_readings),
};

static const struct field file_io_fields[] = {
    FIELD(file_io_usage, read_bytes),
    FIELD(file_io_usage, written_bytes),
    FIELD(file_io_usage, reads),
    FIELD(file_io_usage, writes),
};

/* A struct's own table, or the catalogue's subject. */
static const struct {
	const struct field *fields;
	uint32_t count;
	enum deepmon_subject subject;
} structs[RECORDING_FIGURES] = {
#define OWN(table) \
	{ \
		table, sizeof(table) / sizeof((table)[0]), 0 \
	}
    [RECORDING_OF_USAGE] = OWN(usage_fields),
    [RECORDING_OF_NETWORK] = OWN(network_fields),
    [RECORDING_OF_FILE_IO] = OWN(file_io_fields),
    [RECORDING_OF_MEMORY] = {.subject = DEEPMON_SUBJECT_MEMORY},
    [RECORDING_OF_BLOCK] = {.subject = DEEPMON_SUBJECT_BLOCK},
    [RECORDING_OF_SELF] = {.subject = DEEPMON_SUBJECT_SELF_COST},
};

_Static_assert(sizeof(usage_fields) / sizeof(usage_fields[0]) == 3 + CPU_COUNTERS,
	       "every counter has a name");

/* False: there are not that many. */
static bool own_field(enum recording_figures figures, uint32_t index, struct field *field, uint64_t *valid)
{
	const struct deepmon_metric *metrics;
	size_t count;

	*valid = 1ull << index;
	if (structs[figures].fields) {
		if (index >= structs[figures].count)
			return false;
		*field = structs[figures].fields[index];
		return true;
	}
	metrics = deepmon_metrics_of(structs[figures].subject, &count);
	if (index >= count)
		return false;
	*field = (struct field){metrics[index].field, metrics[index].offset};
	*valid = metrics[index].valid;
	return true;
}

const char *recording_field_name(enum recording_figures figures, uint32_t index)
{
	struct field field;
	uint64_t valid;

	return index < RECORDING_FIELDS_MAX && own_field(figures, index, &field, &valid) ? field.name : NULL;
}

void recording_fields_own(enum recording_figures figures, struct recording_fields *fields)
{
	struct field field;

	fields->count = 0;
	while (fields->count < RECORDING_FIELDS_MAX &&
	       own_field(figures, fields->count, &field, &fields->valid[fields->count]))
		fields->offsets[fields->count++] = (int32_t)field.offset;
}

bool recording_fields_have(const struct recording_fields *fields, size_t offset)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->offsets[i] == (int32_t)offset)
			return true;
	return false;
}

void recording_put_fields(struct recording_out *out, enum recording_figures figures)
{
	struct recording_fields own;

	recording_fields_own(figures, &own);
	recording_begin(out, RECORDING_FIELDS);
	recording_put(out, figures);
	recording_put(out, own.count);
	for (uint32_t i = 0; i < own.count; i++)
		recording_put_text(out, recording_field_name(figures, i));
	recording_end(out);
}

static void take_field(enum recording_figures figures, const char *name, int32_t *offset, uint64_t *valid)
{
	struct field field;

	*offset = -1;
	for (uint32_t i = 0; i < RECORDING_FIELDS_MAX && own_field(figures, i, &field, valid); i++) {
		if (strcmp(field.name, name) != 0)
			continue;
		*offset = (int32_t)field.offset;
		return;
	}
	*valid = 0;
}

void recording_take_fields(struct recording_in *in, enum recording_figures figures,
			   struct recording_fields *fields)
{
	uint64_t count = recording_take(in);
	char name[128];

	fields->count = 0;
	in->bad |= count > RECORDING_FIELDS_MAX;
	for (uint32_t i = 0; i < count && !in->bad; i++) {
		recording_take_text(in, name, sizeof(name));
		take_field(figures, name, &fields->offsets[i], &fields->valid[i]);
		fields->count = i + 1;
	}
}

static uint64_t get(const void *figures, int32_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)figures + offset, sizeof(value));
	return value;
}

static void set(void *figures, int32_t offset, uint64_t value)
{
	memcpy((char *)figures + offset, &value, sizeof(value));
}

void recording_put_figures(struct recording_out *out, const struct recording_fields *fields,
			   const void *figures, uint64_t valid)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < fields->count; i++)
		mask |= valid & fields->valid[i] ? 1ull << i : 0;
	recording_put(out, mask);
	for (uint32_t i = 0; i < fields->count; i++)
		if (mask & 1ull << i)
			recording_put(out, get(figures, fields->offsets[i]));
}

uint64_t recording_take_figures(struct recording_in *in, const struct recording_fields *fields, void *figures)
{
	uint64_t mask = recording_take(in), valid = 0;

	for (uint32_t i = 0; i < RECORDING_FIELDS_MAX && !in->bad; i++) {
		if (!(mask & 1ull << i))
			continue;

		uint64_t value = recording_take(in);

		in->bad |= i >= fields->count;
		if (in->bad || fields->offsets[i] < 0)
			continue;
		set(figures, fields->offsets[i], value);
		valid |= fields->valid[i];
	}
	return valid;
}

static uint64_t grown(const struct recording_fields *fields, const void *last, const void *now)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < fields->count; i++)
		mask |= get(now, fields->offsets[i]) != get(last, fields->offsets[i]) ? 1ull << i : 0;
	return mask;
}

bool recording_has_growth(const struct recording_fields *fields, const void *last, const void *now)
{
	return grown(fields, last, now) != 0;
}

bool recording_put_growth(struct recording_out *out, const struct recording_fields *fields, void *last,
			  const void *now)
{
	uint64_t mask = grown(fields, last, now);

	if (!mask)
		return false;
	recording_put(out, mask);
	for (uint32_t i = 0; i < fields->count; i++) {
		uint64_t value = get(now, fields->offsets[i]);

		if (!(mask & 1ull << i))
			continue;
		recording_put(out, value - get(last, fields->offsets[i]));
		set(last, fields->offsets[i], value);
	}
	return true;
}

void recording_take_growth(struct recording_in *in, const struct recording_fields *fields, void *sums)
{
	uint64_t mask = recording_take(in);

	for (uint32_t i = 0; i < RECORDING_FIELDS_MAX && !in->bad; i++) {
		if (!(mask & 1ull << i))
			continue;

		uint64_t more = recording_take(in);

		in->bad |= i >= fields->count;
		if (!in->bad && fields->offsets[i] >= 0)
			set(sums, fields->offsets[i], get(sums, fields->offsets[i]) + more);
	}
}

/* ---- Frames ------------------------------------------------------------------------------------- */

/* CRC-32 as in zlib and Ethernet, over several stretches of bytes. */
static uint32_t crc_add(uint32_t crc, const uint8_t *bytes, size_t length)
{
	static const uint32_t nibbles[16] = {
	    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	crc = ~crc;
	for (size_t i = 0; i < length; i++) {
		crc = nibbles[(crc ^ bytes[i]) & 15] ^ crc >> 4;
		crc = nibbles[(crc ^ bytes[i] >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}

void recording_put_head(uint8_t bytes[RECORDING_HEAD_SIZE])
{
	memcpy(bytes, RECORDING_MAGIC, 8);
	put_le(bytes + 8, RECORDING_VERSION, 4);
	put_le(bytes + 12, RECORDING_HEAD_SIZE, 4);
}

int recording_check_head(const uint8_t bytes[RECORDING_HEAD_SIZE])
{
	if (memcmp(bytes, RECORDING_MAGIC, 8) != 0)
		return -EBADMSG;
	if (take_le(bytes + 8, 4) != RECORDING_VERSION)
		return -EPROTONOSUPPORT;
	return take_le(bytes + 12, 4) == RECORDING_HEAD_SIZE ? 0 : -EBADMSG;
}

#define CHECKED_SIZE (RECORDING_FRAME_HEAD_SIZE - 4) /* of a frame's head, all but the sum */

void recording_put_frame_head(uint8_t bytes[RECORDING_FRAME_HEAD_SIZE], uint32_t kind, uint64_t time_ns,
			      const void *payload, uint32_t length)
{
	put_le(bytes, length, 4);
	put_le(bytes + 4, kind, 4);
	put_le(bytes + 8, time_ns, 8);
	put_le(bytes + CHECKED_SIZE, crc_add(crc_add(0, bytes, CHECKED_SIZE), payload, length), 4);
}

void recording_take_frame_head(const uint8_t bytes[RECORDING_FRAME_HEAD_SIZE],
			       struct recording_frame_head *head)
{
	head->length = (uint32_t)take_le(bytes, 4);
	head->kind = (uint32_t)take_le(bytes + 4, 4);
	head->time_ns = take_le(bytes + 8, 8);
	head->crc = (uint32_t)take_le(bytes + CHECKED_SIZE, 4);
}

bool recording_frame_is_whole(const uint8_t bytes[RECORDING_FRAME_HEAD_SIZE], const void *payload)
{
	struct recording_frame_head head;

	recording_take_frame_head(bytes, &head);
	return crc_add(crc_add(0, bytes, CHECKED_SIZE), payload, head.length) == head.crc;
}
