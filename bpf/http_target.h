/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The path of an HTTP request, from the bytes of its target as they come. Arithmetic alone, for kernel and
 * user space.
 *
 * A path ends at the query, at a fragment or at a space. Of the absolute form (http://host/path) it is what
 * is behind the host, or "/"; the authority form (host:port, of CONNECT) and "*" stand as they are. A path of
 * more bytes than wanted is cut, and known to be.
 *
 * With `fold`, a segment that looks like an id becomes ":id", so that paths which differ in ids alone are
 * one: digits alone, or eight and more hexadecimal digits and hyphens, at least one of them a digit. That is
 * numbers, UUIDs, hashes, object ids and dates; a segment is whole then, whatever its length.
 */
#ifndef DEEPMON_BPF_HTTP_TARGET_H
#define DEEPMON_BPF_HTTP_TARGET_H

#include "http.h"

#define HTTP_PATH_MOST 240 /* bytes that may be wanted */
#define HTTP_PATH_ROOM 256
#define HTTP_ID_LEAST  8 /* bytes of an id that is not a number */

/* Behind its end there are zeros, which no path has. */
union http_path {
	__u64 words[HTTP_PATH_ROOM / 8];
	__u8 bytes[HTTP_PATH_ROOM];
};

enum http_target_state {
	HTTP_TARGET_ENDED, /* or it has not begun */
	HTTP_TARGET_BEGUN,
	HTTP_TARGET_SCHEME, /* or something else that is no path */
	HTTP_TARGET_SCHEME_COLON,
	HTTP_TARGET_SCHEME_SLASH,
	HTTP_TARGET_HOST,
	HTTP_TARGET_PATH,
};

/* What there was in a segment. */
enum http_segment {
	HTTP_SEGMENT_IS = 1, /* there is one: it stands behind a slash */
	HTTP_SEGMENT_DIGIT = 2,
	HTTP_SEGMENT_LETTER = 4, /* a to f, or a hyphen */
	HTTP_SEGMENT_OTHER = 8,
};

/* All zero is a new one. */
struct http_target {
	union http_path path;
	__u32 length;  /* of it, so far */
	__u32 segment; /* where the last one begins, */
	__u32 count;   /* and how many bytes it has */
	__u32 most;    /* bytes that are wanted */
	__u8 fold;
	__u8 state;
	__u8 has;    /* enum http_segment */
	__u8 cut;    /* whether there was more than wanted, */
	__u8 uncuts; /* in the last segment first: as an id it may find room */
	__u8 reserved[3];
};

static __always_inline void http_target_put(struct http_target *target, __u8 byte)
{
	if (target->length < target->most)
		target->path.bytes[target->length++ % HTTP_PATH_ROOM] = byte;
	else if (!target->cut)
		target->cut = target->uncuts = 1;
}

static __always_inline bool http_segment_is_id(const struct http_target *target)
{
	__u8 has = target->has;

	if (!(has & HTTP_SEGMENT_IS) || has & HTTP_SEGMENT_OTHER || !(has & HTTP_SEGMENT_DIGIT))
		return false;
	return !(has & HTTP_SEGMENT_LETTER) || target->count >= HTTP_ID_LEAST;
}

/* The next begins behind a slash, or there is none. */
static __always_inline void http_segment_end(struct http_target *target)
{
	if (target->fold && http_segment_is_id(target)) {
		target->length = target->segment;
		if (target->uncuts)
			target->cut = 0;
		http_target_put(target, ':');
		http_target_put(target, 'i');
		http_target_put(target, 'd');
	}
	target->uncuts = 0;
	target->has = 0;
}

static __always_inline void http_segment_add(struct http_target *target, __u8 byte)
{
	__u8 letter = http_lower(byte);

	target->count++;
	if (http_is_digit(byte))
		target->has |= HTTP_SEGMENT_DIGIT;
	else if (byte == '-' || (letter >= 'a' && letter <= 'f'))
		target->has |= HTTP_SEGMENT_LETTER;
	else
		target->has |= HTTP_SEGMENT_OTHER;
}

static __always_inline void http_path_byte(struct http_target *target, __u8 byte)
{
	if (byte != '/') {
		http_segment_add(target, byte);
		http_target_put(target, byte);
		return;
	}
	http_segment_end(target);
	http_target_put(target, byte);
	target->has = HTTP_SEGMENT_IS;
	target->segment = target->length;
	target->count = 0;
}

static __always_inline void http_target_end(struct http_target *target)
{
	if (target->state == HTTP_TARGET_HOST)
		http_target_put(target, '/');
	http_segment_end(target);
	target->state = HTTP_TARGET_ENDED;
}

HTTP_GLOBAL int http_target_byte(struct http_target *target, __u8 byte)
{
	__u8 state;

	if (!target)
		return 0;
	state = target->state;

	if (byte <= ' ' || byte == '?' || byte == '#') {
		http_target_end(target);
		return 0;
	}
	if (state == HTTP_TARGET_HOST && byte != '/')
		return 0;
	if (state == HTTP_TARGET_SCHEME_SLASH && byte == '/') {
		target->length = target->cut = target->uncuts = target->has = 0;
		target->state = HTTP_TARGET_HOST;
		return 0;
	}
	if (state == HTTP_TARGET_SCHEME_COLON && byte == '/')
		target->state = HTTP_TARGET_SCHEME_SLASH;
	else if (state == HTTP_TARGET_SCHEME && byte == ':')
		target->state = HTTP_TARGET_SCHEME_COLON;
	else if ((state == HTTP_TARGET_BEGUN && byte != ':') || state == HTTP_TARGET_SCHEME)
		target->state = byte == '/' ? HTTP_TARGET_PATH : HTTP_TARGET_SCHEME;
	else
		target->state = HTTP_TARGET_PATH;
	http_path_byte(target, byte);
	return 0;
}

/* The first byte of a target comes next; of its path `most` bytes, at most HTTP_PATH_MOST, are wanted. */
static __always_inline void http_target_begin(struct http_target *target, __u32 most, bool fold)
{
	target->most = most;
	target->fold = fold;
	target->length = target->segment = target->count = 0;
	target->state = HTTP_TARGET_BEGUN;
	target->has = target->cut = target->uncuts = 0;
}

/*
 * The bytes from `position` up to `length`, at most HTTP_CHUNK, of a chunk, as far as the path goes; those
 * behind it do no harm, nor if it has ended before.
 */
HTTP_GLOBAL int http_target_read(struct http_target *target, const struct http_chunk *chunk, __u32 position,
				 __u32 length)
{
	if (!target || !chunk)
		return 0;
	for (__u32 i = 0; i < HTTP_CHUNK && position + i < length && target->state; i++)
		http_target_byte(target, http_byte(chunk, position + i));
	return 0;
}

/* A mask of a word's first bytes, of which there are less than eight. */
static __always_inline __u64 http_first_bytes(__u32 count)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return ~(~0ULL >> (8 * count));
#else
	return (1ULL << (8 * count)) - 1;
#endif
}

/* Puts zeros behind the end. */
static __always_inline void http_target_finish(struct http_target *target)
{
	for (__u32 i = 0; i < HTTP_PATH_ROOM / 8; i++) {
		__u32 there = target->length > 8 * i ? target->length - 8 * i : 0;

		if (there < 8)
			target->path.words[i] &= http_first_bytes(there);
	}
}

/*
 * A step of http_next or http_head took the bytes of a chunk of requests from `position` to `next`, and said
 * `events`. With HTTP_LINE the path is complete. See http_target_begin for `most` and `fold`.
 */
static __always_inline void http_target_follow(struct http_target *target, const struct http_chunk *chunk,
					       __u32 position, __u32 next, __u32 events, __u32 most,
					       bool fold)
{
	bool at_once = events & HTTP_BEGAN && events & HTTP_LINE;

	if (at_once || events & HTTP_TARGET)
		http_target_begin(target, most, fold);
	/* Behind the method and a space. */
	if (at_once)
		position = http_plain(http_word(chunk->words, 0), ' ' + 1) + 1;
	if (target->state)
		http_target_read(target, chunk, position, next);
	if (events & HTTP_LINE)
		http_target_finish(target);
}

#endif
