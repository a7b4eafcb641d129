/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Finds the messages of HTTP/1.x in the bytes of a connection. Arithmetic alone, for kernel and user space.
 *
 * Messages end where their framing says so (RFC 9112: Content-Length, chunked, no body after HEAD, until
 * close, ...), never where something looks like the next one. Bodies are counted, not looked at. What can't
 * be followed with certainty is given up for good: rather no figure than a wrong one.
 *
 * A connection begins undecided. Each run of bytes towards the server (those between two that come from it)
 * may begin HTTP: with a whole request line of a method of RFC 9110 or PATCH, also behind a header of the
 * PROXY protocol. From then on the next byte from the server begins a response.
 *
 * A call that carried bytes is put in like this, each side in its order:
 *	http_begin(connection, side, &events);
 *	as long as there are bytes {
 *		n = http_wants(connection, side), but no more than there are;
 *		if (n)
 *			http_skip(connection, side, n, &events), unread;
 *		else
 *			read up to HTTP_CHUNK bytes; then, from position 0 to their end,
 *			position = http_next(connection, side, chunk, position, length, &events);
 *	}
 * Each step adds to `events` (enum http_event), of each kind at most one. A side writes what it owns of the
 * connection, and `phase`, so two CPUs may put in one side each.
 *
 * At the beginning of a chunk http_head.h may take a usual head at once.
 *
 * In a BPF program that is one bpf_loop. Let chunk, position and length stand in a map, not on the stack:
 * what the verifier knows of their values it tries one by one.
 */
#ifndef DEEPMON_BPF_HTTP_H
#define DEEPMON_BPF_HTTP_H

/* Before linux/types.h, which would make it a mere wish. */
#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define HTTP_CHUNK	256	/* bytes that http_next is given at once; a power of two */
#define HTTP_ALL	(~0ULL) /* http_wants: all that comes */
#define HTTP_RUNS_MAX	64	/* so many that began otherwise, and the connection is no HTTP */
#define HTTP_KINDS	32	/* outstanding requests of which the kind is kept */
#define HTTP_METHOD_MAX 64

enum http_side {
	HTTP_REQUESTS,	/* bytes from the client to the server */
	HTTP_RESPONSES, /* bytes from the server to the client */
};

enum http_phase {
	HTTP_PHASE_UNDECIDED,
	HTTP_PHASE_FOLLOWED, /* there was a request line */
	HTTP_PHASE_UPGRADED, /* after a 101, or a CONNECT that succeeded: no HTTP any more */
	HTTP_PHASE_LOST,     /* was HTTP and can't be followed: an error, or bytes that were not seen */
	HTTP_PHASE_NONE,     /* no HTTP in the first HTTP_RUNS_MAX runs */
};

enum http_event {
	HTTP_BEGAN = 1,	     /* first byte of a message; while undecided: of what may be a request */
	HTTP_TARGET = 2,     /* first byte of a request's target */
	HTTP_LINE = 4,	     /* request or status line complete: `method`, `status` are known */
	HTTP_HEAD_ENDED = 8, /* also of an interim response, status 1xx */
	HTTP_ENDED = 16,     /* last byte of a message, but not of an interim response */
	HTTP_ANSWERED = 32, /* with HTTP_ENDED of a response: it was that to the oldest outstanding request */
	HTTP_UPGRADED = 64, /* phase is now HTTP_PHASE_UPGRADED */
	HTTP_LOST = 128,    /* phase is now HTTP_PHASE_LOST */
};

enum http_method {
	HTTP_METHOD_OTHER, /* a token; only after another request */
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_CONNECT,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_PATCH,
};

enum http_state {
	HTTP_STATE_START, /* before a message */
	/* A request's first line */
	HTTP_STATE_METHOD,
	HTTP_STATE_TARGET_BEGIN,
	HTTP_STATE_TARGET,
	HTTP_STATE_VERSION,
	HTTP_STATE_VERSION_END,
	HTTP_STATE_REQUEST_CR,
	/* What may stand before the first request */
	HTTP_STATE_PROXY_TEXT,
	HTTP_STATE_PROXY_BINARY,
	/* A response's first line */
	HTTP_STATE_STATUS,
	/* Fields of a head, or a trailer */
	HTTP_STATE_LINE,
	HTTP_STATE_LINE_REST,
	HTTP_STATE_LENGTH_NAME,
	HTTP_STATE_LENGTH,
	HTTP_STATE_ENCODING_NAME,
	HTTP_STATE_ENCODING,
	HTTP_STATE_HEAD_CR,
	/* Between chunks */
	HTTP_STATE_SIZE,
	HTTP_STATE_SIZE_REST,
	HTTP_STATE_SIZE_CR,
	HTTP_STATE_CHUNK_END,
	HTTP_STATE_CHUNK_CR,
	/* Bytes that need not be read: as many as `number`, */
	HTTP_STATE_BODY,
	HTTP_STATE_CHUNK,
	HTTP_STATE_PROXY_REST,
	/* or all */
	HTTP_STATE_BODY_TO_CLOSE,
	HTTP_STATE_OTHER_RUN, /* undecided, in a run that is no HTTP */
	HTTP_STATE_HELD,      /* after CONNECT, until its answer */
};

enum http_flag {
	HTTP_HAS_LENGTH = 1,
	HTTP_HAS_ENCODING = 2,
	HTTP_IS_CHUNKED = 4, /* the last encoding named */
	HTTP_IN_TRAILER = 8,
	HTTP_LAST_FRAMES = 16, /* the field before this line was one of the two */
	HTTP_IS_ANSWER = 32,   /* a request was outstanding when the head ended */
};

/* One side. */
struct http_reader {
	__u64 number; /* bytes left to skip; or a number, or a method's letters, being read */
	__u64 length; /* Content-Length, with HTTP_HAS_LENGTH */
	__u16 status; /* of a response, from HTTP_LINE to the next HTTP_BEGAN */
	__u8 method;  /* of a request, likewise */
	__u8 state;
	__u8 index; /* how far within what is being matched */
	__u8 flags;
	__u16 zero; /* always: see http_pass_over */
};
_Static_assert(sizeof(struct http_reader) == 24, "there are two for each socket");

/* All zero is a new one. */
struct http_connection {
	union {
		struct {
			struct http_reader requests, responses;
		};
		struct http_reader readers[2]; /* by enum http_side */
	};
	/* Requests to come, by the numbers of requests and of answers so far. */
	__u64 kinds; /* 2 bits for each of the last HTTP_KINDS requests, at its number modulo that */
	__u32 requested;
	__u32 answered;
	__u8 phase;
	__u8 turned; /* bytes from the server since those to it */
	__u8 runs;   /* that began otherwise than with HTTP */
	__u8 reserved[5];
};
_Static_assert(sizeof(struct http_connection) == 72, "one for each socket");

enum http_kind { HTTP_KIND_USUAL, HTTP_KIND_HEAD, HTTP_KIND_CONNECT };

/* In BPF a function that the verifier looks at but once, whoever calls it. What it is given may be NULL. */
#ifdef __bpf__
#define HTTP_GLOBAL __attribute__((noinline))
#else
#define HTTP_GLOBAL static inline __attribute__((unused))
#endif

/* What a global function of BPF's can be given. */
struct http_chunk {
	__u64 words[HTTP_CHUNK / 8];
};

/* ---- Letters ----------------------------------------------------------------------------------- */

/* Up to eight bytes, the first lowest. */
#define HTTP_LETTERS(a, b, c, d, e, f, g, h) \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

static __always_inline bool http_is_digit(__u8 byte)
{
	return byte >= '0' && byte <= '9';
}

static __always_inline __u8 http_lower(__u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* The letter at `index`, below 24, of three words. */
static __always_inline __u8 http_letter(__u64 first, __u64 second, __u64 third, __u32 index)
{
	__u64 word = index < 8 ? first : index < 16 ? second : third;

	return (__u8)(word >> (index % 8 * 8));
}

/* Whether a byte of a word may be less than `least`, at most 128; none is if not. */
static __always_inline bool http_has_less(__u64 word, __u64 least)
{
	static const __u64 ones = 0x0101010101010101;

	return (word - least * ones) & ~word & 0x80 * ones;
}

/* How many bytes of a word, from the first, are not less than `least`, at most 128. */
static __always_inline __u32 http_plain(__u64 word, __u64 least)
{
	static const __u64 ones = 0x0101010101010101;
	/* The lowest bit of each byte that is less; a borrow makes mistakes only above the first of them. */
	__u64 less = ((word - least * ones) & ~word) >> 7 & ones;

	/* A one in each byte below that, and their sum in the highest. */
	return (__u32)((((less & -less) - 1) & ones) * ones >> 56);
}

static __always_inline __u8 http_method_of(__u64 letters)
{
	switch (letters) {
	case HTTP_LETTERS('G', 'E', 'T', 0, 0, 0, 0, 0):
		return HTTP_METHOD_GET;
	case HTTP_LETTERS('H', 'E', 'A', 'D', 0, 0, 0, 0):
		return HTTP_METHOD_HEAD;
	case HTTP_LETTERS('P', 'O', 'S', 'T', 0, 0, 0, 0):
		return HTTP_METHOD_POST;
	case HTTP_LETTERS('P', 'U', 'T', 0, 0, 0, 0, 0):
		return HTTP_METHOD_PUT;
	case HTTP_LETTERS('D', 'E', 'L', 'E', 'T', 'E', 0, 0):
		return HTTP_METHOD_DELETE;
	case HTTP_LETTERS('C', 'O', 'N', 'N', 'E', 'C', 'T', 0):
		return HTTP_METHOD_CONNECT;
	case HTTP_LETTERS('O', 'P', 'T', 'I', 'O', 'N', 'S', 0):
		return HTTP_METHOD_OPTIONS;
	case HTTP_LETTERS('T', 'R', 'A', 'C', 'E', 0, 0, 0):
		return HTTP_METHOD_TRACE;
	case HTTP_LETTERS('P', 'A', 'T', 'C', 'H', 0, 0, 0):
		return HTTP_METHOD_PATCH;
	default:
		return HTTP_METHOD_OTHER;
	}
}

/* ---- The connection ---------------------------------------------------------------------------- */

/* What was read is no HTTP: an undecided connection may still become it in a later run. */
static __always_inline void http_fail(struct http_connection *connection, __u32 *events)
{
	if (connection->phase == HTTP_PHASE_UNDECIDED) {
		connection->requests.state = HTTP_STATE_OTHER_RUN;
	} else if (connection->phase == HTTP_PHASE_FOLLOWED) {
		connection->phase = HTTP_PHASE_LOST;
		*events |= HTTP_LOST;
	}
}

static __always_inline void http_upgrade(struct http_connection *connection, __u32 *events)
{
	connection->phase = HTTP_PHASE_UPGRADED;
	*events |= HTTP_UPGRADED;
}

/* A request line is complete; false if what its response will look like can't be kept. */
static __always_inline bool http_expect(struct http_connection *connection)
{
	__u8 method = connection->requests.method;
	__u64 kind = method == HTTP_METHOD_HEAD	     ? HTTP_KIND_HEAD
		     : method == HTTP_METHOD_CONNECT ? HTTP_KIND_CONNECT
						     : HTTP_KIND_USUAL;
	__u32 shift = connection->requested % HTTP_KINDS * 2;

	/* Beyond HTTP_KINDS outstanding: as long as all are usual, the number of them is enough. */
	if (connection->requested - connection->answered >= HTTP_KINDS) {
		if (kind || connection->kinds)
			return false;
	} else {
		connection->kinds = (connection->kinds & ~(3ULL << shift)) | kind << shift;
	}
	connection->requested++;
	return true;
}

static __always_inline bool http_is_outstanding(const struct http_connection *connection)
{
	return connection->requested != connection->answered;
}

/* Of the oldest outstanding request. */
static __always_inline __u32 http_kind_expected(const struct http_connection *connection)
{
	return connection->kinds >> (connection->answered % HTTP_KINDS * 2) & 3;
}

static __always_inline void http_message_ended(struct http_connection *connection, __u32 side, __u32 *events)
{
	*events |= HTTP_ENDED;
	if (side == HTTP_REQUESTS) {
		connection->requests.state = HTTP_STATE_START;
		return;
	}
	connection->responses.state = HTTP_STATE_START;
	if (connection->responses.flags & HTTP_IS_ANSWER) {
		connection->answered++;
		*events |= HTTP_ANSWERED;
	}
}

static __always_inline void http_next_chunk(struct http_reader *reader)
{
	reader->state = HTTP_STATE_SIZE;
	reader->number = 0;
	reader->index = 0;
}

/* The empty line: what comes now? */
static __always_inline void http_head_ended(struct http_connection *connection, __u32 side, __u32 *events)
{
	struct http_reader *reader = &connection->readers[side & 1];
	__u32 status = connection->responses.status;
	bool ended = false;

	*events |= HTTP_HEAD_ENDED;
	if (side == HTTP_RESPONSES) {
		__u32 kind = HTTP_KIND_USUAL;

		if (status < 200 && status != 101) {
			reader->state = HTTP_STATE_START;
			return;
		}
		if (http_is_outstanding(connection)) {
			kind = http_kind_expected(connection);
			reader->flags |= HTTP_IS_ANSWER;
		}
		if (status == 101 || (kind == HTTP_KIND_CONNECT && status < 300)) {
			http_message_ended(connection, side, events);
			http_upgrade(connection, events);
			return;
		}
		ended = kind == HTTP_KIND_HEAD || status == 204 || status == 304;
	} else if (reader->method == HTTP_METHOD_CONNECT) {
		/* Unless the server did not wait for the whole of it to refuse. */
		reader->state = http_is_outstanding(connection) ? HTTP_STATE_HELD : HTTP_STATE_START;
		reader->index = 0;
		*events |= HTTP_ENDED;
		return;
	}
	if (!(reader->flags & HTTP_HAS_ENCODING))
		ended |= reader->flags & HTTP_HAS_LENGTH ? !reader->length : side == HTTP_REQUESTS;
	if (ended) {
		http_message_ended(connection, side, events);
	} else if (reader->flags & HTTP_IS_CHUNKED) {
		http_next_chunk(reader);
	} else if (reader->flags & HTTP_HAS_LENGTH && !(reader->flags & HTTP_HAS_ENCODING)) {
		reader->state = HTTP_STATE_BODY;
		reader->number = reader->length;
	} else if (side == HTTP_RESPONSES) {
		reader->state = HTTP_STATE_BODY_TO_CLOSE;
	} else {
		/* Only who encoded it knows where it ends. */
		http_fail(connection, events);
	}
}

/* A call's bytes of that side are about to be put in. */
static __always_inline void http_begin(struct http_connection *connection, __u32 side, __u32 *events)
{
	struct http_reader *reader = &connection->requests;

	if (side == HTTP_RESPONSES) {
		connection->turned = 1;
		return;
	}
	if (connection->turned && reader->state == HTTP_STATE_OTHER_RUN) {
		reader->state = HTTP_STATE_START;
		if (++connection->runs >= HTTP_RUNS_MAX)
			connection->phase = HTTP_PHASE_NONE;
	}
	connection->turned = 0;
	/* CONNECT was refused: HTTP goes on, unless the client did not wait for the answer. */
	if (reader->state == HTTP_STATE_HELD && !http_is_outstanding(connection)) {
		if (reader->index)
			http_fail(connection, events);
		else
			reader->state = HTTP_STATE_START;
	}
}

/* How many of the next bytes of a side need not be read; 0: the next must be. */
static __always_inline __u64 http_wants(const struct http_connection *connection, __u32 side)
{
	const struct http_reader *reader = &connection->readers[side & 1];

	if (connection->phase > HTTP_PHASE_FOLLOWED)
		return HTTP_ALL;
	if (side == HTTP_RESPONSES && connection->phase == HTTP_PHASE_UNDECIDED)
		return HTTP_ALL;
	if (reader->state < HTTP_STATE_BODY)
		return 0;
	return reader->state < HTTP_STATE_BODY_TO_CLOSE ? reader->number : HTTP_ALL;
}

/* `count` bytes of a side went by unread; if those are more than http_wants says, its end can't be found. */
static __always_inline void http_skip(struct http_connection *connection, __u32 side, __u64 count,
				      __u32 *events)
{
	struct http_reader *reader = &connection->readers[side & 1];
	__u64 wants = http_wants(connection, side);

	if (!count)
		return;
	if (count > wants) {
		http_fail(connection, events);
		return;
	}
	if (wants == HTTP_ALL) {
		if (reader->state == HTTP_STATE_HELD)
			reader->index = 1;
		return;
	}
	reader->number -= count;
	if (reader->number)
		return;
	if (reader->state == HTTP_STATE_BODY)
		http_message_ended(connection, side, events);
	else
		reader->state = reader->state == HTTP_STATE_CHUNK ? HTTP_STATE_CHUNK_END : HTTP_STATE_START;
}

/* The server sends no more: what is still to come of a response without a length has come. */
static __always_inline void http_close(struct http_connection *connection, __u32 *events)
{
	if (connection->phase == HTTP_PHASE_FOLLOWED &&
	    connection->responses.state == HTTP_STATE_BODY_TO_CLOSE)
		http_message_ended(connection, HTTP_RESPONSES, events);
}

/* ---- Reading ----------------------------------------------------------------------------------- */

/* What a byte may complete. */
enum http_completed {
	HTTP_COMPLETED_NOTHING,
	HTTP_COMPLETED_REQUEST_LINE,
	HTTP_COMPLETED_HEAD,
	HTTP_COMPLETED_SIZE,
	HTTP_COMPLETED_MISTAKE, /* this is no HTTP */
};

static __always_inline __u32 http_read_start(struct http_connection *connection, struct http_reader *reader,
					     __u32 side, __u8 byte, __u32 *events)
{
	bool undecided = connection->phase == HTTP_PHASE_UNDECIDED;
	bool begins;

	reader->index = 1;
	if (side == HTTP_RESPONSES) {
		begins = byte == 'H';
		reader->state = HTTP_STATE_STATUS;
	} else if (undecided && byte == '\r') {
		reader->state = HTTP_STATE_PROXY_BINARY;
		return HTTP_COMPLETED_NOTHING;
	} else if (!undecided && (byte == '\r' || byte == '\n')) {
		return HTTP_COMPLETED_NOTHING; /* RFC 9112, 2.2: some clients end a body with it */
	} else {
		begins = undecided ? byte >= 'A' && byte <= 'Z' : byte > ' ' && byte < 0x7f;
		reader->state = HTTP_STATE_METHOD;
	}
	if (!begins)
		return HTTP_COMPLETED_MISTAKE;
	*events |= HTTP_BEGAN;
	reader->number = byte;
	reader->status = 0;
	reader->method = HTTP_METHOD_OTHER;
	reader->flags = 0;
	return HTTP_COMPLETED_NOTHING;
}

static __always_inline __u32 http_read_method(struct http_connection *connection, struct http_reader *reader,
					      __u8 byte)
{
	bool undecided = connection->phase == HTTP_PHASE_UNDECIDED;

	if (byte == ' ') {
		reader->method = http_method_of(reader->number);
		reader->state = HTTP_STATE_TARGET_BEGIN;
		if (!undecided || reader->method != HTTP_METHOD_OTHER)
			return HTTP_COMPLETED_NOTHING;
		reader->state = HTTP_STATE_PROXY_TEXT;
		return reader->number == HTTP_LETTERS('P', 'R', 'O', 'X', 'Y', 0, 0, 0)
			   ? HTTP_COMPLETED_NOTHING
			   : HTTP_COMPLETED_MISTAKE;
	}
	if (undecided && (byte < 'A' || byte > 'Z' || reader->index >= 7))
		return HTTP_COMPLETED_MISTAKE;
	if (byte < ' ' || byte >= 0x7f || reader->index >= HTTP_METHOD_MAX)
		return HTTP_COMPLETED_MISTAKE;
	if (reader->index < 8)
		reader->number |= (__u64)byte << (reader->index % 8 * 8);
	reader->index++;
	return HTTP_COMPLETED_NOTHING;
}

/* A byte of the target, which may have spaces: the version is behind the last. */
static __always_inline __u32 http_read_target(struct http_reader *reader, __u8 byte)
{
	reader->index = 0;
	reader->state = byte == ' ' ? HTTP_STATE_VERSION : HTTP_STATE_TARGET;
	return byte < ' ' ? HTTP_COMPLETED_MISTAKE : HTTP_COMPLETED_NOTHING;
}

static __always_inline __u32 http_read_version(struct http_reader *reader, __u8 byte)
{
	static const __u64 version = HTTP_LETTERS('H', 'T', 'T', 'P', '/', '1', '.', 0);

	if (reader->index < 7 && byte == http_letter(version, 0, 0, reader->index)) {
		reader->index++;
		return HTTP_COMPLETED_NOTHING;
	}
	if (reader->index < 7 || !http_is_digit(byte))
		return http_read_target(reader, byte);
	reader->state = HTTP_STATE_VERSION_END;
	return HTTP_COMPLETED_NOTHING;
}

static __always_inline __u32 http_read_version_end(struct http_reader *reader, __u8 byte)
{
	if (byte == '\n')
		return HTTP_COMPLETED_REQUEST_LINE;
	if (byte != '\r')
		return http_read_target(reader, byte);
	reader->state = HTTP_STATE_REQUEST_CR;
	return HTTP_COMPLETED_NOTHING;
}

/* Version 2 of the PROXY protocol: a signature, version and command, family, the length of the rest. */
static __always_inline __u32 http_read_proxy(struct http_reader *reader, __u8 byte)
{
	__u8 index = reader->index++;

	if (index < 12)
		return byte == http_letter(HTTP_LETTERS('\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q'),
					   HTTP_LETTERS('U', 'I', 'T', '\n', 0, 0, 0, 0), 0, index)
			   ? HTTP_COMPLETED_NOTHING
			   : HTTP_COMPLETED_MISTAKE;
	if (index == 12)
		return byte >> 4 == 2 ? HTTP_COMPLETED_NOTHING : HTTP_COMPLETED_MISTAKE;
	if (index == 14)
		reader->number = (__u64)byte << 8;
	if (index == 15) {
		reader->number |= byte;
		reader->state = reader->number ? HTTP_STATE_PROXY_REST : HTTP_STATE_START;
	}
	return HTTP_COMPLETED_NOTHING;
}

/* "HTTP/1.1 200 " */
static __always_inline __u32 http_read_status(struct http_reader *reader, __u8 byte, __u32 *events)
{
	__u8 index = reader->index++;
	bool fits;

	if (index == 12) {
		reader->state = byte == '\n' ? HTTP_STATE_LINE : HTTP_STATE_LINE_REST;
		fits = byte == ' ' || byte == '\r' || byte == '\n';
		*events |= fits ? HTTP_LINE : 0;
	} else if (index >= 9) {
		fits = http_is_digit(byte) && (index > 9 || byte != '0');
		reader->status = (__u16)(reader->status * 10 + byte - '0');
	} else if (index == 7) {
		fits = http_is_digit(byte);
	} else {
		fits = byte == http_letter(HTTP_LETTERS('H', 'T', 'T', 'P', '/', '1', '.', 0), ' ', 0, index);
	}
	return fits ? HTTP_COMPLETED_NOTHING : HTTP_COMPLETED_MISTAKE;
}

/* A byte of a line of which nothing matters but its end. */
static __always_inline __u32 http_read_rest(struct http_reader *reader, __u8 byte)
{
	reader->state = byte == '\n' ? HTTP_STATE_LINE : HTTP_STATE_LINE_REST;
	return byte < '\t' ? HTTP_COMPLETED_MISTAKE : HTTP_COMPLETED_NOTHING;
}

/* The first byte of a line after the first. */
static __always_inline __u32 http_read_line(struct http_reader *reader, __u8 byte)
{
	__u8 flags = reader->flags;
	__u8 letter = flags & HTTP_IN_TRAILER ? 0 : http_lower(byte);

	reader->flags = flags & ~HTTP_LAST_FRAMES;
	reader->index = 1;
	if (byte == '\n')
		return HTTP_COMPLETED_HEAD;
	if (byte == '\r') {
		reader->state = HTTP_STATE_HEAD_CR;
		return HTTP_COMPLETED_NOTHING;
	}
	/* It continues the line before, in the manner of mail: no two readers agree on what that means. */
	if ((byte == ' ' || byte == '\t') && flags & HTTP_LAST_FRAMES)
		return HTTP_COMPLETED_MISTAKE;
	if (letter == 'c' || letter == 't') {
		reader->state = letter == 'c' ? HTTP_STATE_LENGTH_NAME : HTTP_STATE_ENCODING_NAME;
		return HTTP_COMPLETED_NOTHING;
	}
	return http_read_rest(reader, byte);
}

/* A name that has begun like one of the two that matter. */
static __always_inline __u32 http_read_name(struct http_reader *reader, __u8 byte)
{
	bool is_length = reader->state == HTTP_STATE_LENGTH_NAME;
	__u8 last = is_length ? 14 : 17;
	__u8 expected =
	    is_length ? http_letter(HTTP_LETTERS('c', 'o', 'n', 't', 'e', 'n', 't', '-'),
				    HTTP_LETTERS('l', 'e', 'n', 'g', 't', 'h', ':', 0), 0, reader->index)
		      : http_letter(HTTP_LETTERS('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'),
				    HTTP_LETTERS('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'),
				    HTTP_LETTERS('g', ':', 0, 0, 0, 0, 0, 0), reader->index);

	if (http_lower(byte) != expected) {
		/* "Content-Length : 5" some take for a length and others don't. */
		if (reader->index == last && (byte == ' ' || byte == '\t'))
			return HTTP_COMPLETED_MISTAKE;
		return http_read_rest(reader, byte);
	}
	if (reader->index++ < last)
		return HTTP_COMPLETED_NOTHING;
	reader->state = is_length ? HTTP_STATE_LENGTH : HTTP_STATE_ENCODING;
	reader->flags |= HTTP_LAST_FRAMES | (is_length ? 0 : HTTP_HAS_ENCODING);
	reader->index = 0;
	reader->number = 0;
	return HTTP_COMPLETED_NOTHING;
}

/* Where within Content-Length: `index`. */
enum http_length_part { HTTP_LENGTH_BEFORE, HTTP_LENGTH_DIGITS, HTTP_LENGTH_BEHIND, HTTP_LENGTH_CR };

/* A number; or several, if all the same. */
static __always_inline __u32 http_read_length(struct http_reader *reader, __u8 byte)
{
	__u8 part = reader->index;

	if (http_is_digit(byte) && part <= HTTP_LENGTH_DIGITS) {
		if (reader->number >= (1ULL << 63) / 10)
			return HTTP_COMPLETED_MISTAKE;
		reader->number = reader->number * 10 + byte - '0';
		reader->index = HTTP_LENGTH_DIGITS;
		return HTTP_COMPLETED_NOTHING;
	}
	if ((byte == ' ' || byte == '\t') && part < HTTP_LENGTH_CR) {
		reader->index = part == HTTP_LENGTH_BEFORE ? HTTP_LENGTH_BEFORE : HTTP_LENGTH_BEHIND;
		return HTTP_COMPLETED_NOTHING;
	}
	if (part == HTTP_LENGTH_BEFORE)
		return HTTP_COMPLETED_MISTAKE;
	if (byte == '\r' && part < HTTP_LENGTH_CR) {
		reader->index = HTTP_LENGTH_CR;
		return HTTP_COMPLETED_NOTHING;
	}
	if (byte != '\n' && (byte != ',' || part == HTTP_LENGTH_CR))
		return HTTP_COMPLETED_MISTAKE;
	if (reader->flags & HTTP_HAS_LENGTH && reader->length != reader->number)
		return HTTP_COMPLETED_MISTAKE;
	reader->flags |= HTTP_HAS_LENGTH;
	reader->length = reader->number;
	reader->number = 0;
	reader->index = HTTP_LENGTH_BEFORE;
	if (byte == '\n')
		reader->state = HTTP_STATE_LINE;
	return HTTP_COMPLETED_NOTHING;
}

/* Where within Transfer-Encoding: `index`; up to 7, how many letters are those of "chunked". */
enum http_encoding_part {
	HTTP_ENCODING_BEFORE,
	HTTP_ENCODING_CHUNKED = 7,
	HTTP_ENCODING_BEHIND, /* behind "chunked" */
	HTTP_ENCODING_OTHER,
	HTTP_ENCODING_CR,
};

/* A list of which the last decides, also over several fields. */
static __always_inline __u32 http_read_encoding(struct http_reader *reader, __u8 byte)
{
	__u8 part = reader->index;

	if (byte == '\n' || byte == ',' || byte == '\r') {
		if (part == HTTP_ENCODING_CR && byte != '\n')
			return HTTP_COMPLETED_MISTAKE;
		if (part == HTTP_ENCODING_CHUNKED || part == HTTP_ENCODING_BEHIND)
			reader->flags |= HTTP_IS_CHUNKED;
		reader->index = byte == '\r' ? HTTP_ENCODING_CR : HTTP_ENCODING_BEFORE;
		if (byte == '\n')
			reader->state = HTTP_STATE_LINE;
		return HTTP_COMPLETED_NOTHING;
	}
	if (part == HTTP_ENCODING_CR || byte < '\t')
		return HTTP_COMPLETED_MISTAKE;
	if (byte == ' ' || byte == '\t') {
		if (part == HTTP_ENCODING_CHUNKED)
			reader->index = HTTP_ENCODING_BEHIND;
		else if (part != HTTP_ENCODING_BEFORE && part < HTTP_ENCODING_CHUNKED)
			reader->index = HTTP_ENCODING_OTHER;
		return HTTP_COMPLETED_NOTHING;
	}
	if (part == HTTP_ENCODING_BEFORE)
		reader->flags &= ~HTTP_IS_CHUNKED;
	reader->index =
	    part < HTTP_ENCODING_CHUNKED &&
		    http_lower(byte) ==
			http_letter(HTTP_LETTERS('c', 'h', 'u', 'n', 'k', 'e', 'd', 0), 0, 0, part)
		? part + 1
		: HTTP_ENCODING_OTHER;
	return HTTP_COMPLETED_NOTHING;
}

/* The size of a chunk, hexadecimal. */
static __always_inline __u32 http_read_size(struct http_reader *reader, __u8 byte)
{
	__u8 letter = http_lower(byte);
	bool is_letter = letter >= 'a' && letter <= 'f';

	if (http_is_digit(byte) || is_letter) {
		if (reader->number >> 59)
			return HTTP_COMPLETED_MISTAKE;
		reader->number = reader->number << 4 | (__u64)(is_letter ? letter - 'a' + 10 : byte - '0');
		reader->index = 1;
		return HTTP_COMPLETED_NOTHING;
	}
	if (!reader->index)
		return HTTP_COMPLETED_MISTAKE;
	if (byte == '\n')
		return HTTP_COMPLETED_SIZE;
	reader->state = byte == '\r' ? HTTP_STATE_SIZE_CR : HTTP_STATE_SIZE_REST;
	return byte == '\r' || byte == ';' || byte == ' ' || byte == '\t' ? HTTP_COMPLETED_NOTHING
									  : HTTP_COMPLETED_MISTAKE;
}

/* A byte in any state in which bytes are read. */
HTTP_GLOBAL __u32 http_read_byte(struct http_connection *connection, __u32 side, __u8 byte, __u32 *events)
{
	struct http_reader *reader;

	if (!connection || !events)
		return HTTP_COMPLETED_MISTAKE;
	reader = &connection->readers[side & 1];
	switch (reader->state) {
	case HTTP_STATE_START:
		return http_read_start(connection, reader, side, byte, events);
	case HTTP_STATE_METHOD:
		return http_read_method(connection, reader, byte);
	case HTTP_STATE_TARGET_BEGIN:
		reader->state = HTTP_STATE_TARGET;
		*events |= byte > ' ' ? HTTP_TARGET : 0;
		return byte > ' ' ? HTTP_COMPLETED_NOTHING : HTTP_COMPLETED_MISTAKE;
	case HTTP_STATE_TARGET:
		return http_read_target(reader, byte);
	case HTTP_STATE_VERSION:
		return http_read_version(reader, byte);
	case HTTP_STATE_VERSION_END:
		return http_read_version_end(reader, byte);
	case HTTP_STATE_REQUEST_CR:
		return byte == '\n' ? HTTP_COMPLETED_REQUEST_LINE : HTTP_COMPLETED_MISTAKE;
	case HTTP_STATE_PROXY_TEXT:
		if (byte == '\n')
			reader->state = HTTP_STATE_START;
		return byte < '\t' ? HTTP_COMPLETED_MISTAKE : HTTP_COMPLETED_NOTHING;
	case HTTP_STATE_PROXY_BINARY:
		return http_read_proxy(reader, byte);
	case HTTP_STATE_STATUS:
		return http_read_status(reader, byte, events);
	case HTTP_STATE_LINE:
		return http_read_line(reader, byte);
	case HTTP_STATE_LINE_REST:
		return http_read_rest(reader, byte);
	case HTTP_STATE_LENGTH_NAME:
	case HTTP_STATE_ENCODING_NAME:
		return http_read_name(reader, byte);
	case HTTP_STATE_LENGTH:
		return http_read_length(reader, byte);
	case HTTP_STATE_ENCODING:
		return http_read_encoding(reader, byte);
	case HTTP_STATE_HEAD_CR:
		return byte == '\n' ? HTTP_COMPLETED_HEAD : HTTP_COMPLETED_MISTAKE;
	case HTTP_STATE_SIZE:
		return http_read_size(reader, byte);
	case HTTP_STATE_SIZE_REST:
		if (byte == '\n')
			return HTTP_COMPLETED_SIZE;
		return byte < '\t' ? HTTP_COMPLETED_MISTAKE : HTTP_COMPLETED_NOTHING;
	case HTTP_STATE_SIZE_CR:
		return byte == '\n' ? HTTP_COMPLETED_SIZE : HTTP_COMPLETED_MISTAKE;
	case HTTP_STATE_CHUNK_END:
		if (byte == '\r') {
			reader->state = HTTP_STATE_CHUNK_CR;
			return HTTP_COMPLETED_NOTHING;
		}
		__attribute__((fallthrough));
	case HTTP_STATE_CHUNK_CR:
		http_next_chunk(reader);
		return byte == '\n' ? HTTP_COMPLETED_NOTHING : HTTP_COMPLETED_MISTAKE;
	default:
		return HTTP_COMPLETED_MISTAKE;
	}
}

/* The word that holds the byte at `position`, from that byte on. */
static __always_inline __u64 http_word(const __u64 *chunk, __u32 position)
{
	__u64 word;

	/* The compiler, which may know it to be within the chunk, would leave out what tells the verifier so:
	 * one before Linux 6.3 forgets it where the position was on the stack meanwhile. */
	__asm__ volatile("" : "+r"(position));
	word = chunk[position % HTTP_CHUNK / 8];
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word >> (position % 8 * 8);
}

/* The byte at `position`. */
static __always_inline __u8 http_byte(const struct http_chunk *chunk, __u32 position)
{
	return (__u8)http_word(chunk->words, position);
}

/* The eight bytes from `position` on; those past `length` are anything. */
static __always_inline __u64 http_eight(const __u64 *chunk, __u32 position)
{
	__u32 bits = position % 8 * 8;
	__u64 word = http_word(chunk, position);

	if (bits)
		word |= http_word(chunk, position + 8 - position % 8) << (64 - bits);
	return word;
}

/* Letters have two forms with that bit; a hyphen and a colon must be themselves. */
#define HTTP_FOLD_CONTENT  (0x2020202020202020 >> 8)
#define HTTP_FOLD_TRANSFER 0x2020202020202020
#define HTTP_FOLD_LENGTH   0x0000202020202020
#define HTTP_FOLD_ENCODING 0x2020202020202000

static __always_inline bool http_is_content(__u64 word)
{
	return (word | HTTP_FOLD_CONTENT) == HTTP_LETTERS('c', 'o', 'n', 't', 'e', 'n', 't', '-');
}

static __always_inline bool http_is_transfer(__u64 word)
{
	return (word | HTTP_FOLD_TRANSFER) == HTTP_LETTERS('t', 'r', 'a', 'n', 's', 'f', 'e', 'r');
}

/* "length:", and whatever is behind it. */
static __always_inline bool http_is_length(__u64 word)
{
	return ((word & ~(0xffULL << 56)) | HTTP_FOLD_LENGTH) ==
	       HTTP_LETTERS('l', 'e', 'n', 'g', 't', 'h', ':', 0);
}

/* Whether at `position` a line begins, of which as many bytes are there as tell that nothing in it matters.
 */
static __always_inline bool http_is_plain_line(const __u64 *chunk, __u32 position, __u32 length)
{
	__u64 word = http_eight(chunk, position);
	__u8 letter = http_lower((__u8)word);

	if (position >= length || letter <= ' ')
		return false;
	if (letter != 'c' && letter != 't')
		return true;
	return length - position >= 8 && !http_is_content(word) && !http_is_transfer(word);
}

/* The same position, of which the verifier knows nothing: else it would try what it might be one by one. */
static __always_inline __u32 http_any(const struct http_reader *reader, __u32 position)
{
	return (position ^ reader->zero) & (2 * HTTP_CHUNK - 1);
}

/*
 * Where the first byte from `position` is that is less than `least`, at most 128, or else `length`, at most
 * HTTP_CHUNK.
 */
HTTP_GLOBAL __u32 http_find_less(const struct http_reader *reader, const struct http_chunk *chunk,
				 __u32 position, __u32 length, __u64 least)
{
	__u64 word;
	__u32 index;

	if (!reader || !chunk || position >= length)
		return length;
	index = position / 8;
	/* What is before it is not less. */
	word = http_word(chunk->words, position & ~7u) | ((1ULL << (position % 8 * 8)) - 1);
	for (__u32 i = 0; i < HTTP_CHUNK / 8 && !http_has_less(word, least); i++) {
		index = http_any(reader, index + 1);
		if (index * 8 >= length)
			return length;
		word = http_word(chunk->words, index * 8);
	}
	position = index * 8 + http_plain(word, least);
	return position < length ? position : length;
}

/* Passes over bytes that change nothing, most of a head: to the first, or `length`, that may. */
static __always_inline __u32 http_pass_over(const struct http_reader *reader, const struct http_chunk *chunk,
					    __u32 position, __u32 length)
{
	__u8 state = reader->state;
	bool target = state == HTTP_STATE_TARGET;

	if (!target && state != HTTP_STATE_LINE_REST && state != HTTP_STATE_SIZE_REST &&
	    state != HTTP_STATE_PROXY_TEXT)
		return position;
	position = http_find_less(reader, chunk, position, length, (target ? ' ' : '\n') + 1);
	/* On to the next line of a head. */
	if (state == HTTP_STATE_LINE_REST && position < length &&
	    (__u8)http_word(chunk->words, position) == '\n' &&
	    http_is_plain_line(chunk->words, position + 1, length))
		position += 2;
	return position;
}

/* " 200" */
static __always_inline bool http_is_status(__u64 word)
{
	return (__u8)word == ' ' && http_is_digit((__u8)(word >> 8)) && (__u8)(word >> 8) != '0' &&
	       http_is_digit((__u8)(word >> 16)) && http_is_digit((__u8)(word >> 24));
}

/* Of such a word. */
static __always_inline __u16 http_status(__u64 word)
{
	return (__u16)((word >> 8 & 15) * 100 + (word >> 16 & 15) * 10 + (word >> 24 & 15));
}

/*
 * Several bytes at once, where they are what is usual there, and the state is as after reading them one by
 * one: how many of them, or 0. Of the next two words, `there` bytes are there.
 */
static __always_inline __u32 http_leap(struct http_reader *reader, __u64 word, __u64 second, __u32 there)
{
	static const __u64 versions[] = {HTTP_LETTERS('H', 'T', 'T', 'P', '/', '1', '.', '1'),
					 HTTP_LETTERS('H', 'T', 'T', 'P', '/', '1', '.', '0')};

	if (there < 8)
		return 0;
	switch (reader->state) {
	case HTTP_STATE_METHOD:
		if (reader->index != 1 || reader->number != 'G' ||
		    (word & 0xffffff) != HTTP_LETTERS('E', 'T', ' ', 0, 0, 0, 0, 0))
			return 0;
		reader->number = HTTP_LETTERS('G', 'E', 'T', 0, 0, 0, 0, 0);
		reader->index = 3;
		reader->method = HTTP_METHOD_GET;
		reader->state = HTTP_STATE_TARGET_BEGIN;
		return 3;
	case HTTP_STATE_STATUS:
		if (reader->index == 8 && http_is_status(word)) {
			reader->status = http_status(word);
			reader->index = 12;
			return 4;
		}
		if (reader->index != 1 || (word << 8 != versions[0] - 'H' && word << 8 != versions[1] - 'H'))
			return 0;
		reader->index = 8;
		return 7;
	case HTTP_STATE_VERSION:
		if (reader->index || (word != versions[0] && word != versions[1]))
			return 0;
		reader->state = HTTP_STATE_VERSION_END;
		return 8;
	case HTTP_STATE_LINE:
		if (reader->flags & HTTP_IN_TRAILER)
			return 0;
		if (http_is_content(word) && there >= 15 && http_is_length(second)) {
			reader->state = HTTP_STATE_LENGTH;
			reader->flags |= HTTP_LAST_FRAMES;
			reader->index = 0;
			reader->number = 0;
			return 15;
		}
		if (http_is_content(word))
			reader->state = HTTP_STATE_LENGTH_NAME;
		else if (http_is_transfer(word))
			reader->state = HTTP_STATE_ENCODING_NAME;
		else
			return 0;
		reader->flags &= ~HTTP_LAST_FRAMES;
		reader->index = 8;
		return 8;
	default:
		return 0;
	}
}

/* The same from `position`, which is less than `length`. */
HTTP_GLOBAL __u32 http_try_leap(struct http_reader *reader, const struct http_chunk *chunk, __u32 position,
				__u32 length)
{
	if (!reader || !chunk)
		return 0;
	return http_leap(reader, http_eight(chunk->words, position), http_eight(chunk->words, position + 8),
			 length - position);
}

/*
 * One step through `length`, at most HTTP_CHUNK, bytes of a side that were read: takes one or more from
 * `position`, which is less, and returns the position after them. It takes nothing after a byte that was an
 * event. The rest of the last word may be anything.
 */
static __always_inline __u32 http_next(struct http_connection *connection, __u32 side,
				       const struct http_chunk *chunk, __u32 position, __u32 length,
				       __u32 *events)
{
	struct http_reader *reader = &connection->readers[side & 1];
	__u64 wants = http_wants(connection, side);
	__u32 happened = 0, leap;

	if (wants) {
		__u32 left = length - position;

		if (wants < left)
			left = (__u32)wants;
		http_skip(connection, side, left, events);
		return position + left;
	}
	leap = http_try_leap(reader, chunk, position, length);
	if (leap)
		return position + leap;
	switch (http_read_byte(connection, side, http_byte(chunk, position), &happened)) {
	case HTTP_COMPLETED_NOTHING:
		break;
	case HTTP_COMPLETED_REQUEST_LINE:
		/* The other side may just have ended it. */
		if (connection->phase == HTTP_PHASE_UNDECIDED)
			connection->phase = HTTP_PHASE_FOLLOWED;
		reader->state = HTTP_STATE_LINE;
		if (http_expect(connection))
			happened |= HTTP_LINE;
		else
			http_fail(connection, &happened);
		break;
	case HTTP_COMPLETED_HEAD:
		if (reader->flags & HTTP_IN_TRAILER)
			http_message_ended(connection, side, &happened);
		else
			http_head_ended(connection, side, &happened);
		break;
	case HTTP_COMPLETED_SIZE:
		reader->state = reader->number ? HTTP_STATE_CHUNK : HTTP_STATE_LINE;
		if (!reader->number)
			reader->flags |= HTTP_IN_TRAILER;
		break;
	default:
		http_fail(connection, &happened);
	}
	position++;
	*events |= happened;
	return happened ? position : http_pass_over(reader, chunk, position, length);
}

#endif
