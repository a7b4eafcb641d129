/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The format of a recording, in bytes. Pure.
 */
#include "recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
