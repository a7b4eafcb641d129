/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Takes a head of HTTP/1.x at once where it is of the form that most have, with the same outcome as
 * http_next's many steps: for those a processor that has just done something else must first find its way
 * through their branches again. Arithmetic alone, for kernel and user space.
 */
#ifndef DEEPMON_BPF_HTTP_HEAD_H
#define DEEPMON_BPF_HTTP_HEAD_H

#include "http.h"

#define HTTP_LINES 32 /* of a head that is taken at once, at most */

/* "GET / HTTP/1.1\r\n": the position after it, and the method; 0: it is not of that form. */
static __always_inline __u32 http_request_line(struct http_reader *reader, const struct http_chunk *chunk,
					       __u32 length)
{
	__u32 letters = http_plain(http_word(chunk->words, 0), ' ' + 1), end;
	__u64 version;

	if (letters > 7 || http_byte(chunk, letters) != ' ' || http_byte(chunk, letters + 1) <= ' ')
		return 0;
	reader->number = http_word(chunk->words, 0) & ((1ULL << (letters * 8 & 63)) - 1);
	end = http_find_less(reader, chunk, letters + 1, length, ' ');
	if (end + 1 >= length || end < letters + 11)
		return 0;
	version = http_eight(chunk->words, end - 8) & ~HTTP_LETTERS(0, 0, 0, 0, 0, 0, 0, 1);
	if (version != HTTP_LETTERS('H', 'T', 'T', 'P', '/', '1', '.', '0') ||
	    http_byte(chunk, end - 9) != ' ' || http_byte(chunk, end) != '\r' ||
	    http_byte(chunk, end + 1) != '\n')
		return 0;
	reader->method = http_method_of(reader->number);
	return reader->method == HTTP_METHOD_OTHER ? 0 : end + 2;
}

/* "HTTP/1.1 200 OK\r\n", likewise with the status. */
static __always_inline __u32 http_status_line(struct http_reader *reader, const struct http_chunk *chunk,
					      __u32 length)
{
	__u64 version = http_word(chunk->words, 0) & ~HTTP_LETTERS(0, 0, 0, 0, 0, 0, 0, 1);
	__u32 end;

	if (version != HTTP_LETTERS('H', 'T', 'T', 'P', '/', '1', '.', '0') ||
	    !http_is_status(http_word(chunk->words, 8)) || (__u8)(http_word(chunk->words, 8) >> 32) != ' ')
		return 0;
	reader->status = http_status(http_word(chunk->words, 8));
	end = http_find_less(reader, chunk, 13, length, '\n' + 1);
	return end < length && http_byte(chunk, end) == '\n' ? end + 1 : 0;
}

/* The number of "Content-Length: 12\r\n" and the position after it; 0: it is not of that form. */
static __always_inline __u32 http_length_line(struct http_reader *reader, const struct http_chunk *chunk,
					      __u32 position, __u32 length)
{
	__u64 digits = http_eight(chunk->words, position + 16), number = 0;
	__u32 count = 0;

	if (!http_is_length(http_eight(chunk->words, position + 8)) ||
	    http_byte(chunk, position + 15) != ' ' || reader->flags & HTTP_HAS_LENGTH)
		return 0;
	for (; count < 7 && http_is_digit((__u8)digits); count++) {
		number = number * 10 + (digits & 15);
		digits >>= 8;
	}
	position += 16 + count;
	if (!count || position + 1 >= length || (__u8)digits != '\r' ||
	    http_byte(chunk, position + 1) != '\n')
		return 0;
	reader->flags |= HTTP_HAS_LENGTH;
	reader->length = number;
	return position + 2;
}

/* "Transfer-Encoding: chunked\r\n" */
static __always_inline __u32 http_encoding_line(struct http_reader *reader, const struct http_chunk *chunk,
						__u32 position, __u32 length)
{
	if (position + 28 > length || reader->flags & HTTP_HAS_ENCODING ||
	    (http_eight(chunk->words, position + 8) | HTTP_FOLD_ENCODING) !=
		HTTP_LETTERS('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n') ||
	    (http_eight(chunk->words, position + 16) | 0x20) !=
		HTTP_LETTERS('g', ':', ' ', 'c', 'h', 'u', 'n', 'k') ||
	    (__u32)http_eight(chunk->words, position + 24) !=
		(__u32)HTTP_LETTERS('e', 'd', '\r', '\n', 0, 0, 0, 0))
		return 0;
	reader->flags |= HTTP_HAS_ENCODING | HTTP_IS_CHUNKED;
	return position + 28;
}

/* One of these two, whichever the verifier need look at but once. */
HTTP_GLOBAL __u32 http_framing_line(struct http_reader *reader, const struct http_chunk *chunk,
				    __u32 position, __u32 length)
{
	if (!reader || !chunk)
		return 0;
	return http_lower(http_byte(chunk, position)) == 'c'
		   ? http_length_line(reader, chunk, position, length)
		   : http_encoding_line(reader, chunk, position, length);
}

/*
 * The lines from `position`, where one begins, to the empty one: the position after that; 0: there is
 * something among them, or before `length`, that can't be told here.
 */
HTTP_GLOBAL __u32 http_field_lines(struct http_reader *reader, const struct http_chunk *chunk, __u32 position,
				   __u32 length)
{
	if (!reader || !chunk)
		return 0;
	for (__u32 i = 0; i < HTTP_LINES && position + 1 < length; i++) {
		__u64 word = http_eight(chunk->words, position);
		__u8 letter = http_lower((__u8)word);

		if (letter <= ' ')
			return (__u16)word == (__u16)HTTP_LETTERS('\r', '\n', 0, 0, 0, 0, 0, 0) ? position + 2
												: 0;
		if ((letter == 'c' && http_is_content(word) &&
		     http_lower(http_byte(chunk, position + 8)) == 'l') ||
		    (letter == 't' && http_is_transfer(word))) {
			position = http_framing_line(reader, chunk, position, length);
			if (!position)
				return 0;
		} else {
			position = http_find_less(reader, chunk, position, length, '\n' + 1);
			if (position >= length || http_byte(chunk, position) != '\n')
				return 0;
			position++;
		}
		position = http_any(reader, position);
	}
	return 0;
}

/*
 * A head of the usual form that begins with the chunk and is whole in it: the position after it, and its
 * events all together but for HTTP_TARGET. 0, and nothing has happened: it is for http_next. To be called
 * where a message may begin.
 */
HTTP_GLOBAL __u32 http_head(struct http_connection *connection, __u32 side, const struct http_chunk *chunk,
			    __u32 length, __u32 *events)
{
	struct http_reader *reader;
	__u32 position;

	if (!connection || !chunk || !events || length < 16 || length > HTTP_CHUNK)
		return 0;
	reader = &connection->readers[side & 1];
	if (reader->state != HTTP_STATE_START || connection->phase > HTTP_PHASE_FOLLOWED)
		return 0;
	if (side == HTTP_REQUESTS ? connection->requested - connection->answered >= HTTP_KINDS
				  : connection->phase == HTTP_PHASE_UNDECIDED)
		return 0;
	reader->flags = 0;
	reader->status = 0;
	position = side == HTTP_REQUESTS ? http_request_line(reader, chunk, length)
					 : http_status_line(reader, chunk, length);
	if (position)
		position = http_field_lines(reader, chunk, http_any(reader, position), length);
	if (!position)
		return 0;
	*events |= HTTP_BEGAN | HTTP_LINE;
	if (side == HTTP_REQUESTS) {
		connection->phase = HTTP_PHASE_FOLLOWED;
		http_expect(connection);
	}
	http_head_ended(connection, side, events);
	return position;
}

#endif
