/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Both sides of a connection as one row of bytes, and two ways to find the HTTP in it: bpf/http.h, given the
 * bytes in calls cut anywhere, and a reference that has them all at once and reads whole lines and messages.
 * For tests and fuzzers; touches nothing.
 */
#ifndef TESTS_HTTP_SESSION_H
#define TESTS_HTTP_SESSION_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../bpf/http_head.h"
#include "../../bpf/http_target.h"
#include "../../bpf/transaction.h"

#define SESSION_MAX 65536
#define RECORDS_MAX 65536
#define NEVER	    SIZE_MAX

#define UNUSED __attribute__((unused))

/* A byte's number is also its time. */
struct session {
	uint8_t bytes[SESSION_MAX];
	uint8_t sides[SESSION_MAX];
	size_t length;
};

UNUSED static void session_add(struct session *session, uint8_t side, const void *bytes, size_t length)
{
	if (length > SESSION_MAX - session->length)
		length = SESSION_MAX - session->length;
	memcpy(session->bytes + session->length, bytes, length);
	memset(session->sides + session->length, side, length);
	session->length += length;
}

/* ---- What is found ----------------------------------------------------------------------------- */

enum what { WHAT_LINE, WHAT_HEAD, WHAT_END, WHAT_UPGRADE };

struct record {
	size_t time;
	size_t began, target; /* of a line: when the message began, and its target */
	uint32_t value;	      /* of a request's line, its method; of a response, its status */
	uint64_t path;	      /* of a request's line: sums of its paths, as path_rules want them */
	uint8_t side, what;
	bool answered; /* of an end */
};

struct trace {
	struct record records[RECORDS_MAX];
	size_t count;
	size_t lost; /* when, or NEVER */
	uint8_t lost_side;
	uint8_t phase;
};

static void trace_add(struct trace *trace, struct record record)
{
	if (trace->count < RECORDS_MAX)
		trace->records[trace->count++] = record;
}

static bool records_are_equal(const struct record *a, const struct record *b)
{
	return a->time == b->time && a->began == b->began && a->target == b->target && a->value == b->value &&
	       a->side == b->side && a->what == b->what && a->answered == b->answered && a->path == b->path;
}

UNUSED static bool traces_are_equal(const struct trace *a, const struct trace *b)
{
	if (a->count != b->count || a->lost != b->lost || a->phase != b->phase)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!records_are_equal(&a->records[i], &b->records[i]))
			return false;
	return true;
}

static const char *method_name(uint32_t method)
{
	static const char *const names[] = {"?",      "GET",	 "HEAD",    "POST",  "PUT",
					    "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

	return names[method];
}

/*
 * As text, in time's order: "GET" its line, "GET." its end, "200" a response's head, "200." its end, "200!"
 * the end of one that nobody asked for, "upgraded", "lost".
 */
UNUSED static const char *trace_text(const struct trace *trace)
{
	static char text[16384];
	char name[16] = "";
	uint32_t method = 0;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < trace->count && used < sizeof(text) - 64; i++) {
		const struct record *record = &trace->records[i];
		bool request = record->side == HTTP_REQUESTS;

		if (request && record->what == WHAT_LINE)
			method = record->value;
		if (record->what == (request ? WHAT_HEAD : WHAT_LINE))
			continue;
		if (request)
			snprintf(name, sizeof(name), "%s", method_name(method));
		else
			snprintf(name, sizeof(name), "%u", record->value);
		if (record->what == WHAT_UPGRADE)
			snprintf(name, sizeof(name), "upgraded");
		used += (size_t)sprintf(text + used, "%s%s%s", used ? " " : "", name,
					record->what != WHAT_END      ? ""
					: request || record->answered ? "."
								      : "!");
	}
	if (trace->lost != NEVER)
		sprintf(text + used, "%slost", used ? " " : "");
	return text;
}

/* ---- Paths ------------------------------------------------------------------------------------- */

/* The whole of it, and one that is cut soon and folded. */
#define PATH_RULES 2
static const struct path_rule {
	uint32_t most;
	bool fold;
} path_rules[PATH_RULES] = {{HTTP_PATH_MOST, false}, {20, true}};

/* Goes on with a sum over a path. */
static uint64_t path_sum(uint64_t sum, const uint8_t *path, size_t length, bool cut)
{
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ path[i]) * 0x100000001b3ULL;
	return (sum ^ (cut ? 257 : 256)) * 0x100000001b3ULL;
}

static uint64_t path_sum_of(const struct http_target targets[PATH_RULES])
{
	uint64_t sum = 0;

	for (int i = 0; i < PATH_RULES; i++) {
		const struct http_target *target = &targets[i];

		for (size_t j = target->length; j < HTTP_PATH_ROOM; j++)
			if (target->path.bytes[j])
				abort();
		sum = path_sum(sum, target->path.bytes, target->length, target->cut);
	}
	return sum;
}

static size_t strspn_of(const uint8_t *text, size_t length, const char *accepted)
{
	size_t i = 0;

	while (i < length && text[i] && strchr(accepted, text[i]))
		i++;
	return i;
}

static bool has_digit(const uint8_t *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] >= '0' && text[i] <= '9')
			return true;
	return false;
}

/* The same by the book: a path is made as text, and then cut. Returns its length. */
UNUSED static size_t reference_path(const uint8_t *target, size_t length, const struct path_rule *rule,
				    uint8_t path[HTTP_PATH_MOST], bool *cut)
{
	static uint8_t whole[SESSION_MAX + 4 * SESSION_MAX / 2];
	size_t end = 0, used = 0, from = 0, kept;

	while (end < length && target[end] > ' ' && target[end] != '?' && target[end] != '#')
		end++;
	for (size_t i = 1; i + 2 < end && target[i - 1] != '/' && target[0] != ':'; i++) {
		if (target[i] != ':')
			continue;
		if (target[i + 1] != '/' || target[i + 2] != '/')
			break;
		for (from = i + 3; from < end && target[from] != '/'; from++)
			;
		break;
	}
	if (from && from == end)
		whole[used++] = '/';
	while (from < end) {
		size_t next = from, digits, id;

		if (target[from] != '/') {
			whole[used++] = target[from++];
			continue;
		}
		while (++next < end && target[next] != '/')
			;
		digits = strspn_of(target + from + 1, next - from - 1, "0123456789");
		id = strspn_of(target + from + 1, next - from - 1, "-0123456789abcdefABCDEF");
		whole[used++] = '/';
		from++;
		if (rule->fold && next > from &&
		    (digits == next - from ||
		     (id == next - from && id >= 8 && has_digit(target + from, next - from)))) {
			memcpy(whole + used, ":id", 3);
			used += 3;
		} else {
			memcpy(whole + used, target + from, next - from);
			used += next - from;
		}
		from = next;
	}
	kept = used < rule->most ? used : rule->most;
	*cut = used > kept;
	memcpy(path, whole, kept);
	return kept;
}

static uint64_t reference_path_sum(const uint8_t *target, size_t length)
{
	uint64_t sum = 0;

	for (int i = 0; i < PATH_RULES; i++) {
		uint8_t path[HTTP_PATH_MOST];
		bool cut;
		size_t kept = reference_path(target, length, &path_rules[i], path, &cut);

		sum = path_sum(sum, path, kept, cut);
	}
	return sum;
}

/* ---- By bpf/http.h ----------------------------------------------------------------------------- */

/* What bpf/transaction.h made of it, in order. */
struct outcome {
	uint32_t outcome;
	struct transaction_result result;
};

struct outcomes {
	struct outcome of[SESSION_MAX];
	size_t count;
};

struct run {
	struct http_connection connection;
	struct transaction tcp;
	struct transaction_queue queue;
	size_t began[2], target;
	struct http_target targets[PATH_RULES];
	struct trace *trace;
	struct outcomes *tcp_outcomes, *http_outcomes; /* or NULL */
};

static void outcomes_add(struct outcomes *outcomes, uint32_t outcome, const struct transaction_result *result)
{
	if (outcomes && outcome != TRANSACTION_NONE && outcomes->count < SESSION_MAX)
		outcomes->of[outcomes->count++] = (struct outcome){
		    outcome, outcome == TRANSACTION_ANSWERED ? *result : (struct transaction_result){0}};
}

/* The time of a byte; a call has that of its first. */
static uint64_t time_ns(size_t time)
{
	return 10 + 3 * (uint64_t)time;
}

static void run_take_events(struct run *run, uint8_t side, uint32_t events, size_t time, uint64_t now_ns)
{
	const struct http_reader *reader = side ? &run->connection.responses : &run->connection.requests;
	uint32_t status = side ? reader->status : 0;
	struct transaction_result result = {0};
	uint32_t outcome = transaction_http(&run->queue, side, events, now_ns, &result.latency_ns);

	if (events & HTTP_BEGAN)
		run->began[side] = time;
	if (events & HTTP_TARGET)
		run->target = time;
	if (events & HTTP_LINE)
		trace_add(run->trace, (struct record){.time = time,
						      .began = run->began[side],
						      .target = side ? 0 : run->target,
						      .value = side ? status : reader->method,
						      .path = side ? 0 : path_sum_of(run->targets),
						      .side = side,
						      .what = WHAT_LINE});
	if (events & HTTP_HEAD_ENDED)
		trace_add(run->trace,
			  (struct record){.time = time, .value = status, .side = side, .what = WHAT_HEAD});
	if (events & HTTP_ENDED)
		trace_add(run->trace, (struct record){.time = time,
						      .value = status,
						      .side = side,
						      .what = WHAT_END,
						      .answered = events & HTTP_ANSWERED});
	if (events & HTTP_UPGRADED)
		trace_add(run->trace,
			  (struct record){.time = time, .value = status, .side = side, .what = WHAT_UPGRADE});
	if (events & HTTP_LOST) {
		run->trace->lost = time;
		run->trace->lost_side = side;
	}
	outcomes_add(run->http_outcomes, outcome, &result);
}

/* What a side's reader will go by. */
static bool same_reader(const struct http_reader *a, const struct http_reader *b)
{
	return a->state == b->state && a->status == b->status && a->method == b->method &&
	       (a->flags & ~HTTP_LAST_FRAMES) == (b->flags & ~HTTP_LAST_FRAMES) &&
	       (a->state < HTTP_STATE_BODY || a->state >= HTTP_STATE_BODY_TO_CLOSE ||
		a->number == b->number) &&
	       (!(a->flags & HTTP_HAS_LENGTH) || a->length == b->length);
}

static bool same_connection(const struct http_connection *a, const struct http_connection *b)
{
	return same_reader(&a->requests, &b->requests) && same_reader(&a->responses, &b->responses) &&
	       a->kinds == b->kinds && a->requested == b->requested && a->answered == b->answered &&
	       a->phase == b->phase && a->turned == b->turned && a->runs == b->runs;
}

/* A head that was taken at once, which must be what reading it step by step makes of it. */
struct at_once {
	struct http_connection connection;
	struct http_target targets[PATH_RULES];
	uint32_t events, seen;
	uint32_t end; /* of the head; 0: it was not taken */
};

static void follow_targets(struct http_target targets[PATH_RULES], const struct http_chunk *chunk,
			   uint32_t position, uint32_t next, uint32_t events)
{
	for (int i = 0; i < PATH_RULES; i++)
		http_target_follow(&targets[i], chunk, position, next, events, path_rules[i].most,
				   path_rules[i].fold);
}

/* One that is not taken must leave no trace that matters. */
static void at_once_try(struct at_once *head, struct run *run, uint8_t side, const struct http_chunk *chunk,
			uint32_t length)
{
	*head = (struct at_once){.connection = run->connection};
	head->end = http_head(&head->connection, side, chunk, length, &head->events);
	if (!head->end)
		run->connection = head->connection;
	else if (side == HTTP_REQUESTS)
		follow_targets(head->targets, chunk, 0, head->end, head->events);
}

static void at_once_check(struct at_once *head, const struct run *run, uint32_t position, uint32_t events)
{
	if (position > head->end)
		return;
	head->seen |= events & ~(uint32_t)HTTP_TARGET;
	if (events & HTTP_LINE && head->targets[0].most &&
	    path_sum_of(head->targets) != path_sum_of(run->targets))
		abort();
	if (position == head->end &&
	    (head->seen != head->events || !same_connection(&head->connection, &run->connection)))
		abort();
}

/* One call's bytes, in pieces of at most `piece`. */
static void run_call(struct run *run, const struct session *session, size_t from, size_t to, size_t piece)
{
	uint8_t side = session->sides[from];
	struct transaction_result result = {0};
	uint32_t events = 0, outcome;
	uint64_t now_ns = time_ns(from);

	outcome = transaction_feed(&run->tcp, side, to - from, now_ns, &result);
	outcomes_add(run->tcp_outcomes, outcome, &result);
	http_begin(&run->connection, side, &events);
	run_take_events(run, side, events, from, now_ns);
	while (from < to) {
		uint64_t wants = http_wants(&run->connection, side);
		struct http_chunk chunk;
		struct at_once head;
		uint32_t position = 0, length = (uint32_t)(to - from < piece ? to - from : piece);

		if (wants) {
			if (wants > to - from)
				wants = to - from;
			events = 0;
			http_skip(&run->connection, side, wants, &events);
			from += wants;
			run_take_events(run, side, events, from - 1, now_ns);
			continue;
		}
		/* What is behind the bytes that were read may look like more of them. */
		memset(&chunk, from % 2 ? '\n' : 'x', sizeof(chunk));
		memcpy(&chunk, session->bytes + from, length);
		at_once_try(&head, run, side, &chunk, length);
		while (position < length) {
			uint32_t next;

			events = 0;
			next = http_next(&run->connection, side, &chunk, position, length, &events);
			if (next <= position || next > length)
				abort();
			if (side == HTTP_REQUESTS)
				follow_targets(run->targets, &chunk, position, next, events);
			position = next;
			at_once_check(&head, run, position, events);
			run_take_events(run, side, events, from + position - 1, now_ns);
		}
		from += length;
	}
}

/* Whether a call ends before this byte although the side does not change. */
typedef bool (*cut_function)(const void *how, size_t position);

UNUSED static void run_session(struct run *run, const struct session *session, cut_function is_cut,
			       const void *how, size_t piece)
{
	struct transaction_result result = {0};
	uint32_t events = 0, outcome;
	size_t from = 0;

	run->trace->count = 0;
	run->trace->lost = NEVER;
	for (size_t i = 1; i <= session->length; i++) {
		if (i < session->length && session->sides[i] == session->sides[i - 1] &&
		    !(is_cut && is_cut(how, i)))
			continue;
		run_call(run, session, from, i, piece);
		from = i;
	}
	http_close(&run->connection, &events);
	run_take_events(run, HTTP_RESPONSES, events, session->length, run->tcp.answered_ns);
	outcome = transaction_end(&run->tcp, &result);
	outcomes_add(run->tcp_outcomes, outcome, &result);
	run->trace->phase = run->connection.phase;
}

/* ---- Transactions by the reference ------------------------------------------------------------- */

/* When the run that this byte is in began: it came in one call. */
static uint64_t run_time_ns(const struct session *session, size_t time)
{
	while (time && session->sides[time - 1] == session->sides[time])
		time--;
	return time_ns(time);
}

/* Requests before this record that have no answer yet. */
static size_t count_outstanding(const struct trace *trace, size_t before)
{
	size_t count = 0;

	for (size_t i = 0; i < before; i++) {
		count += trace->records[i].side == HTTP_REQUESTS && trace->records[i].what == WHAT_LINE;
		count -= trace->records[i].answered;
	}
	return count;
}

static size_t last_of_side(const struct session *session, uint8_t side)
{
	size_t i = session->length;

	while (i && session->sides[i - 1] != side)
		i--;
	return i - 1;
}

/* From what was found in a session whose runs came in one call each. */
UNUSED static void outcomes_of_http(const struct session *session, const struct trace *trace,
				    struct outcomes *outcomes)
{
	size_t request = 0;

	outcomes->count = 0;
	for (size_t i = 0; i < trace->count; i++) {
		struct transaction_result result = {0};
		uint32_t outcome = TRANSACTION_UNTIMED;
		size_t time = trace->records[i].time;

		if (!trace->records[i].answered)
			continue;
		while (trace->records[request].side != HTTP_REQUESTS ||
		       trace->records[request].what != WHAT_LINE)
			request++;
		if (time == session->length)
			time = last_of_side(session, HTTP_RESPONSES);
		if (count_outstanding(trace, request) < TRANSACTION_STARTS) {
			outcome = TRANSACTION_ANSWERED;
			result.latency_ns =
			    run_time_ns(session, time) - run_time_ns(session, trace->records[request].began);
		}
		outcomes_add(outcomes, outcome, &result);
		request++;
	}
}

/* Runs of requests and what followed each. */
UNUSED static void outcomes_of_tcp(const struct session *session, struct outcomes *outcomes)
{
	size_t i = 0, from, answer;

	outcomes->count = 0;
	while (i < session->length && session->sides[i] == HTTP_RESPONSES)
		i++;
	while (i < session->length) {
		struct transaction_result result;

		for (from = i; i < session->length && session->sides[i] == HTTP_REQUESTS; i++)
			;
		for (answer = i; i < session->length && session->sides[i] == HTTP_RESPONSES; i++)
			;
		result =
		    (struct transaction_result){time_ns(answer) - time_ns(from), answer - from, i - answer};
		outcomes_add(outcomes, i > answer ? TRANSACTION_ANSWERED : TRANSACTION_UNANSWERED, &result);
	}
}

UNUSED static bool outcomes_are_equal(const struct outcomes *a, const struct outcomes *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->of[i].outcome != b->of[i].outcome ||
		    memcmp(&a->of[i].result, &b->of[i].result, sizeof(a->of[i].result)))
			return false;
	return true;
}

/* ---- By the reference -------------------------------------------------------------------------- */

enum verdict { VERDICT_WHOLE, VERDICT_INCOMPLETE, VERDICT_BAD };

/* One side's bytes, and when they came. */
struct stream {
	uint8_t bytes[SESSION_MAX];
	size_t times[SESSION_MAX];
	size_t length;
	size_t position;     /* where its next message begins */
	size_t pending_from; /* when what could not be finished began, or NEVER */
	bool stopped;
};

struct reference_request {
	uint32_t method;
	size_t began, line; /* times */
	size_t ended;	    /* when its answer had come, or NEVER */
	bool succeeded;	    /* with 2xx, or 101 */
};

struct reference {
	struct stream streams[2];
	struct reference_request requests[SESSION_MAX / 8];
	size_t requested, answered;
	size_t lost, upgraded; /* when, or NEVER */
	bool none;	       /* it became no HTTP */
	bool to_close;	       /* the last response lasts until the end */
	bool is_answer;	       /* and is one */
	uint32_t status;
	struct trace *trace;
};

/* Nothing can be made of this unit: an error, at the latest at the byte `at`. */
static void reference_fail(struct reference *reference, struct stream *stream, size_t from, size_t at)
{
	stream->stopped = true;
	stream->pending_from = stream->times[from];
	if (stream->times[at] < reference->lost)
		reference->lost = stream->times[at];
}

static void reference_wait(struct stream *stream, size_t from)
{
	stream->stopped = true;
	if (from < stream->length)
		stream->pending_from = stream->times[from];
}

static void reference_add(struct reference *reference, struct record record)
{
	trace_add(reference->trace, record);
}

/* The position behind the next LF; NEVER if there is none. */
static size_t line_end(const struct stream *stream, size_t from)
{
	const uint8_t *found =
	    from < stream->length ? memchr(stream->bytes + from, '\n', stream->length - from) : NULL;

	return found ? (size_t)(found - stream->bytes) + 1 : NEVER;
}

static bool has_below(const uint8_t *text, size_t length, uint8_t limit)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] < limit)
			return true;
	return false;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static void trim(const char **text, size_t *length)
{
	while (*length && is_blank((uint8_t) * *text))
		(*text)++, (*length)--;
	while (*length && is_blank((uint8_t)(*text)[*length - 1]))
		(*length)--;
}

/* Each part of a list, trimmed; false at its end. */
static bool next_part(const char **list, size_t *left, const char **part, size_t *length)
{
	const char *comma;

	if (*left == NEVER)
		return false;
	comma = memchr(*list, ',', *left);
	*part = *list;
	*length = comma ? (size_t)(comma - *list) : *left;
	*left = comma ? *left - *length - 1 : NEVER;
	*list += *length + 1;
	trim(part, length);
	return true;
}

struct head {
	size_t end;
	bool has_length, has_encoding, chunked;
	uint64_t length;
	bool last_frames;
};

static enum verdict read_length(struct head *head, const char *value, size_t left)
{
	const char *part;
	size_t length;

	while (next_part(&value, &left, &part, &length)) {
		unsigned __int128 number = 0;

		if (!length)
			return VERDICT_BAD;
		for (size_t i = 0; i < length; i++) {
			if (part[i] < '0' || part[i] > '9')
				return VERDICT_BAD;
			number = number * 10 + (unsigned)(part[i] - '0');
			if (number >= 9223372036854775800ULL)
				return VERDICT_BAD;
		}
		if (head->has_length && head->length != (uint64_t)number)
			return VERDICT_BAD;
		head->has_length = true;
		head->length = (uint64_t)number;
	}
	return VERDICT_WHOLE;
}

static void read_encoding(struct head *head, const char *value, size_t left)
{
	const char *part;
	size_t length;

	head->has_encoding = true;
	while (next_part(&value, &left, &part, &length))
		if (length)
			head->chunked = length == 7 && !strncasecmp(part, "chunked", 7);
}

/* A field, without the end of its line. */
static enum verdict read_field(struct head *head, const char *text, size_t length)
{
	static const char length_name[] = "content-length", encoding_name[] = "transfer-encoding";
	bool is_length = length >= 15 && !strncasecmp(text, length_name, 14);
	bool is_encoding = length >= 18 && !strncasecmp(text, encoding_name, 17);
	size_t name = is_length ? 14 : 17;
	bool last_frames = head->last_frames;

	head->last_frames = false;
	if (is_blank((uint8_t)text[0]))
		return last_frames ? VERDICT_BAD : VERDICT_WHOLE;
	if (!is_length && !is_encoding)
		return VERDICT_WHOLE;
	if (is_blank((uint8_t)text[name]))
		return VERDICT_BAD;
	if (text[name] != ':')
		return VERDICT_WHOLE;
	head->last_frames = true;
	if (memchr(text, '\r', length))
		return VERDICT_BAD;
	if (is_length)
		return read_length(head, text + name + 1, length - name - 1);
	read_encoding(head, text + name + 1, length - name - 1);
	return VERDICT_WHOLE;
}

/* Lines up to an empty one: fields, or a trailer, of which nothing matters. *at: the line that is not. */
static enum verdict read_fields(const struct stream *stream, size_t from, struct head *head, bool trailer,
				size_t *at)
{
	for (;;) {
		size_t end = line_end(stream, from), length;
		const uint8_t *text = stream->bytes + from;

		*at = from;
		if (end == NEVER)
			return VERDICT_INCOMPLETE;
		length = end - from - 1;
		if (length && text[length - 1] == '\r')
			length--;
		if (!length) {
			head->end = end;
			return VERDICT_WHOLE;
		}
		if (text[0] == '\r' || has_below(text, length, '\t'))
			return VERDICT_BAD;
		if (!trailer && read_field(head, (const char *)text, length) == VERDICT_BAD)
			return VERDICT_BAD;
		from = end;
	}
}

/* "1F;some=thing" */
static enum verdict read_size(const uint8_t *text, size_t length, uint64_t *size)
{
	unsigned __int128 number = 0;
	size_t i = 0;

	for (; i < length && strchr("0123456789abcdefABCDEF", text[i]) && text[i]; i++) {
		char digit[2] = {(char)text[i], '\0'};

		number = number * 16 + strtoul(digit, NULL, 16);
		if (number >> 63)
			return VERDICT_BAD;
	}
	*size = (uint64_t)number;
	if (!i)
		return VERDICT_BAD;
	if (i == length || (i + 1 == length && text[i] == '\r'))
		return VERDICT_WHOLE;
	if (text[i] != ';' && !is_blank(text[i]))
		return VERDICT_BAD;
	return has_below(text + i, length - i, '\t') ? VERDICT_BAD : VERDICT_WHOLE;
}

/* Chunks and the trailer. *at: the unit that did not fit. */
static enum verdict read_chunks(const struct stream *stream, size_t from, size_t *end, size_t *at)
{
	for (;;) {
		size_t line = line_end(stream, from);
		struct head trailer = {0};
		uint64_t size;

		*at = from;
		if (line == NEVER)
			return VERDICT_INCOMPLETE;
		if (read_size(stream->bytes + from, line - from - 1, &size) == VERDICT_BAD)
			return VERDICT_BAD;
		if (!size) {
			enum verdict verdict = read_fields(stream, line, &trailer, true, at);

			*end = trailer.end;
			return verdict;
		}
		*at = stream->length;
		if (size >= stream->length - line)
			return VERDICT_INCOMPLETE;
		from = line + size;
		*at = from;
		if (stream->bytes[from] == '\r' && ++from == stream->length)
			return VERDICT_INCOMPLETE;
		if (stream->bytes[from++] != '\n')
			return VERDICT_BAD;
	}
}

/* What the head says of the body; *end is behind it, NEVER for one until close. */
static enum verdict read_body(const struct stream *stream, uint8_t side, const struct head *head, size_t *end,
			      size_t *at)
{
	*end = head->end;
	*at = head->end - 1;
	if (head->chunked)
		return read_chunks(stream, head->end, end, at);
	if (head->has_encoding && side == HTTP_REQUESTS)
		return VERDICT_BAD;
	if (!head->has_encoding && head->has_length) {
		*at = stream->length;
		if (head->length > stream->length - head->end)
			return VERDICT_INCOMPLETE;
		*end = head->end + head->length;
		return VERDICT_WHOLE;
	}
	if (side == HTTP_RESPONSES)
		*end = NEVER;
	return VERDICT_WHOLE;
}

/* "GET / HTTP/1.1": *end is behind its line; *at the byte at which it is bad. */
static enum verdict read_request_line(const struct stream *stream, size_t from, bool undecided,
				      struct reference_request *request, size_t *target, size_t *end,
				      size_t *at)
{
	const char *text = (const char *)stream->bytes;
	size_t length = stream->length, i = from;

	request->method = HTTP_METHOD_OTHER;
	while (i < length && text[i] != ' ' && i - from < (undecided ? 7 : 64) &&
	       (undecided ? text[i] >= 'A' && text[i] <= 'Z' : text[i] > ' ' && text[i] < 0x7f))
		i++;
	*at = i;
	if (i == length)
		return VERDICT_INCOMPLETE;
	if (i == from || text[i] != ' ')
		return VERDICT_BAD;
	for (uint32_t method = HTTP_METHOD_GET; method <= HTTP_METHOD_PATCH; method++)
		if (strlen(method_name(method)) == i - from &&
		    !strncmp(method_name(method), text + from, i - from))
			request->method = method;
	if (undecided && request->method == HTTP_METHOD_OTHER)
		return VERDICT_BAD;
	*target = ++i;
	while (i < length && (uint8_t)text[i] >= ' ' && !(i == *target && text[i] == ' '))
		i++;
	*at = i;
	if (i == length)
		return VERDICT_INCOMPLETE;
	/* The byte there ends the line, and what is before it is a target and a version. */
	if (i - *target < 1 + 9 || strncmp(text + i - 9, " HTTP/1.", 8) || !strchr("0123456789", text[i - 1]))
		return VERDICT_BAD;
	if (text[i] == '\r') {
		*at = ++i;
		if (i == length)
			return VERDICT_INCOMPLETE;
	}
	*end = i + 1;
	return text[i] == '\n' ? VERDICT_WHOLE : VERDICT_BAD;
}

/* A header of the PROXY protocol: *end is behind it. */
static enum verdict read_proxy(const struct stream *stream, size_t from, size_t *end, size_t *at)
{
	static const uint8_t signature[12] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};
	static const uint8_t text[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
	bool is_text = from < stream->length && stream->bytes[from] == 'P';
	size_t i = 0;

	for (; i < (is_text ? sizeof(text) : sizeof(signature)); i++) {
		*at = from + i;
		if (from + i == stream->length)
			return VERDICT_INCOMPLETE;
		if (stream->bytes[from + i] != (is_text ? text : signature)[i])
			return VERDICT_BAD;
	}
	if (is_text) {
		for (i += from; i < stream->length && stream->bytes[i] >= '\t'; i++)
			if (stream->bytes[i] == '\n') {
				*end = i + 1;
				return VERDICT_WHOLE;
			}
		*at = i;
		return i == stream->length ? VERDICT_INCOMPLETE : VERDICT_BAD;
	}
	*at = from + 12;
	if (from + 12 < stream->length && stream->bytes[from + 12] >> 4 != 2)
		return VERDICT_BAD;
	if (from + 16 > stream->length)
		return VERDICT_INCOMPLETE;
	*end = from + 16 + (size_t)(stream->bytes[from + 14] << 8 | stream->bytes[from + 15]);
	return *end > stream->length ? VERDICT_INCOMPLETE : VERDICT_WHOLE;
}

/* The first byte of the stream that came after bytes of the other side did since `position`; the length. */
static size_t next_run(const struct stream *stream, size_t position)
{
	do
		position++;
	while (position < stream->length && stream->times[position] == stream->times[position - 1] + 1);
	return position;
}

/* To where the first request begins. */
static void reference_search(struct reference *reference)
{
	struct stream *stream = &reference->streams[HTTP_REQUESTS];
	struct reference_request request;
	size_t position = 0, end, at, target;
	int runs = 0;

	while (position < stream->length) {
		enum verdict verdict =
		    read_request_line(stream, position, true, &request, &target, &end, &at);
		size_t bad_at = at;

		if (verdict == VERDICT_WHOLE) {
			stream->position = position;
			return;
		}
		if (verdict == VERDICT_BAD) {
			verdict = read_proxy(stream, position, &end, &at);
			if (verdict == VERDICT_WHOLE) {
				position = end;
				continue;
			}
			bad_at = at > bad_at ? at : bad_at;
		}
		if (verdict == VERDICT_INCOMPLETE)
			break;
		position = next_run(stream, bad_at);
		if (position < stream->length && ++runs == HTTP_RUNS_MAX) {
			reference->none = true;
			break;
		}
	}
	stream->stopped = true;
}

static bool is_special(uint32_t method)
{
	return method == HTTP_METHOD_HEAD || method == HTTP_METHOD_CONNECT;
}

/* Beyond so many, only usual ones. */
static bool can_be_kept(const struct reference *reference, const struct reference_request *request)
{
	bool special = is_special(request->method);
	size_t outstanding = 0;

	for (size_t i = 0; i < reference->requested; i++) {
		if (reference->requests[i].ended < request->line)
			continue;
		outstanding++;
		special |= is_special(reference->requests[i].method);
	}
	return outstanding < HTTP_KINDS || !special;
}

static void reference_end(struct reference *reference, uint8_t side, size_t time, bool answered)
{
	reference_add(reference, (struct record){.time = time,
						 .value = side ? reference->status : 0,
						 .side = side,
						 .what = WHAT_END,
						 .answered = answered});
}

static void reference_responses(struct reference *reference, size_t limit, size_t enough);

/* After CONNECT: on to what follows a refusal. */
static void reference_connect(struct reference *reference, size_t number)
{
	struct stream *stream = &reference->streams[HTTP_REQUESTS];
	const struct reference_request *request = &reference->requests[number];
	size_t next = stream->position;

	reference_responses(reference, NEVER, number + 1);
	if (request->ended == NEVER || request->succeeded) {
		reference_wait(stream, stream->length);
		return;
	}
	if (next == stream->length || stream->times[next] > request->ended)
		return;
	/* It did not wait: lost with the first byte after the answer. */
	while (next < stream->length && stream->times[next] < request->ended)
		next++;
	if (next < stream->length)
		reference_fail(reference, stream, next, next);
	else
		reference_wait(stream, stream->length);
}

static void reference_request(struct reference *reference)
{
	struct stream *stream = &reference->streams[HTTP_REQUESTS];
	size_t from = stream->position, number = reference->requested, target, end, at;
	struct reference_request *request = &reference->requests[number];
	struct head head = {0};
	enum verdict verdict;

	while (number && from < stream->length &&
	       (stream->bytes[from] == '\r' || stream->bytes[from] == '\n'))
		from++;
	if (from == stream->length) {
		reference_wait(stream, from);
		return;
	}
	at = from;
	verdict = read_request_line(stream, from, !number, request, &target, &end, &at);
	if (verdict == VERDICT_WHOLE) {
		request->began = stream->times[from];
		request->line = stream->times[end - 1];
		request->ended = NEVER;
		if (number)
			reference_responses(reference, request->line, NEVER);
		if (!can_be_kept(reference, request)) {
			reference_fail(reference, stream, from, end - 1);
			return;
		}
		reference_add(reference, (struct record){
					     .time = request->line,
					     .began = request->began,
					     .target = stream->times[target],
					     .path = reference_path_sum(stream->bytes + target, end - target),
					     .value = request->method,
					     .side = HTTP_REQUESTS,
					     .what = WHAT_LINE});
		/* What came before the first line was not read as responses. */
		for (struct stream *responses = &reference->streams[HTTP_RESPONSES];
		     !number && responses->position < responses->length &&
		     responses->times[responses->position] < request->line;)
			responses->position++;
		reference->requested++;
		verdict = read_fields(stream, end, &head, false, &at);
		from = at;
	}
	if (verdict == VERDICT_WHOLE) {
		reference_add(reference, (struct record){.time = stream->times[head.end - 1],
							 .side = HTTP_REQUESTS,
							 .what = WHAT_HEAD});
		if (request->method == HTTP_METHOD_CONNECT) {
			reference_end(reference, HTTP_REQUESTS, stream->times[head.end - 1], false);
			stream->position = head.end;
			reference_connect(reference, number);
			return;
		}
		verdict = read_body(stream, HTTP_REQUESTS, &head, &end, &at);
		from = at;
	}
	if (verdict == VERDICT_WHOLE) {
		reference_end(reference, HTTP_REQUESTS, stream->times[end - 1], false);
		stream->position = end;
	} else if (verdict == VERDICT_INCOMPLETE) {
		reference_wait(stream, from);
	} else {
		at = line_end(stream, from);
		reference_fail(reference, stream, from, at == NEVER ? stream->length - 1 : at - 1);
	}
}

/* "HTTP/1.1 200 " */
static enum verdict read_status_line(const struct stream *stream, size_t from, uint32_t *status, size_t *at)
{
	static const uint8_t pattern[13] = "HTTP/1.0 100";
	const uint8_t *text = stream->bytes + from;

	for (size_t i = 0; i < 13; i++) {
		*at = from + i;
		if (*at == stream->length)
			return VERDICT_INCOMPLETE;
		if (i == 12		? text[i] != ' ' && text[i] != '\r' && text[i] != '\n'
		    : pattern[i] == '0' ? text[i] < '0' || text[i] > '9'
		    : i == 9		? text[i] < '1' || text[i] > '9'
					: text[i] != pattern[i])
			return VERDICT_BAD;
	}
	*status =
	    (uint32_t)(text[9] - '0') * 100 + (uint32_t)(text[10] - '0') * 10 + (uint32_t)(text[11] - '0');
	return VERDICT_WHOLE;
}

/* The rest of the status line; then the fields. */
static enum verdict read_response_head(const struct stream *stream, size_t from, struct head *head,
				       size_t *at)
{
	size_t end = line_end(stream, from + 12);

	*at = from + 12;
	if (end == NEVER)
		return VERDICT_INCOMPLETE;
	if (has_below(stream->bytes + from + 12, end - from - 12, '\t'))
		return VERDICT_BAD;
	return read_fields(stream, end, head, false, at);
}

/* The body of a response whose head ended, and what its end means. */
static void reference_response_body(struct reference *reference, const struct head *head)
{
	struct stream *stream = &reference->streams[HTTP_RESPONSES];
	size_t head_time = stream->times[head->end - 1], end = head->end, at = end;
	uint32_t status = reference->status;
	bool is_answer = reference->answered < reference->requested &&
			 reference->requests[reference->answered].line < head_time;
	struct reference_request *request = is_answer ? &reference->requests[reference->answered] : NULL;
	bool connected = request && request->method == HTTP_METHOD_CONNECT && status / 100 == 2;
	bool bodiless = (request && request->method == HTTP_METHOD_HEAD) || status == 204 || status == 304;
	enum verdict verdict = VERDICT_WHOLE;

	if (status != 101 && !connected && !bodiless)
		verdict = read_body(stream, HTTP_RESPONSES, head, &end, &at);
	if (verdict == VERDICT_BAD) {
		size_t line = line_end(stream, at);

		reference_fail(reference, stream, at, line == NEVER ? stream->length - 1 : line - 1);
		return;
	}
	if (verdict == VERDICT_INCOMPLETE) {
		reference_wait(stream, at);
		return;
	}
	if (end == NEVER) {
		reference->to_close = true;
		reference->is_answer = is_answer;
		reference_wait(stream, stream->length);
		return;
	}
	stream->position = end;
	reference_end(reference, HTTP_RESPONSES, stream->times[end - 1], is_answer);
	if (request) {
		request->ended = stream->times[end - 1];
		request->succeeded = status == 101 || connected;
		reference->answered++;
	}
	if (status == 101 || connected) {
		reference->upgraded = head_time;
		reference_add(reference, (struct record){.time = head_time,
							 .value = status,
							 .side = HTTP_RESPONSES,
							 .what = WHAT_UPGRADE});
		reference_wait(stream, stream->length);
	}
}

/* Responses, as far as requests are known that may matter: until so many answers, or that time. */
static void reference_responses(struct reference *reference, size_t limit, size_t enough)
{
	struct stream *stream = &reference->streams[HTTP_RESPONSES];

	while (!stream->stopped && reference->answered < enough) {
		size_t from = stream->position, at = from;
		struct head head = {0};
		uint32_t status = 0;
		enum verdict line, verdict;

		if (from == stream->length || stream->times[from] > limit)
			return;
		line = read_status_line(stream, from, &status, &at);
		verdict = line == VERDICT_WHOLE ? read_response_head(stream, from, &head, &at) : line;
		if (verdict == VERDICT_WHOLE && stream->times[head.end - 1] > limit)
			return;
		reference->status = status;
		if (line == VERDICT_WHOLE)
			reference_add(reference, (struct record){.time = stream->times[from + 12],
								 .began = stream->times[from],
								 .value = status,
								 .side = HTTP_RESPONSES,
								 .what = WHAT_LINE});
		if (verdict == VERDICT_INCOMPLETE) {
			reference_wait(stream, line == VERDICT_WHOLE ? at : from);
			return;
		}
		if (verdict == VERDICT_BAD) {
			size_t end = line_end(stream, at);

			reference_fail(reference, stream, line == VERDICT_WHOLE ? at : from,
				       line == VERDICT_BAD ? at
				       : end == NEVER	   ? stream->length - 1
							   : end - 1);
			return;
		}
		reference_add(reference, (struct record){.time = stream->times[head.end - 1],
							 .value = status,
							 .side = HTTP_RESPONSES,
							 .what = WHAT_HEAD});
		if (status < 200 && status != 101)
			stream->position = head.end;
		else
			reference_response_body(reference, &head);
	}
}

static int compare_records(const void *a, const void *b)
{
	const struct record *left = a, *right = b;

	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	return left->what - right->what;
}

static void reference_split(struct reference *reference, const struct session *session)
{
	for (size_t i = 0; i < session->length; i++) {
		struct stream *stream = &reference->streams[session->sides[i]];

		stream->bytes[stream->length] = session->bytes[i];
		stream->times[stream->length++] = i;
	}
}

/* Records are all that each side has before its own error; the caller drops what is after the other's. */
UNUSED static void reference_run(struct reference *reference, const struct session *session,
				 struct trace *trace)
{
	struct stream *requests = &reference->streams[HTTP_REQUESTS];

	for (int side = 0; side < 2; side++) {
		struct stream *stream = &reference->streams[side];

		stream->length = stream->position = 0;
		stream->pending_from = NEVER;
		stream->stopped = false;
	}
	reference->requested = reference->answered = 0;
	reference->lost = reference->upgraded = NEVER;
	reference->none = reference->to_close = reference->is_answer = false;
	reference->trace = trace;
	trace->count = 0;
	reference_split(reference, session);
	reference_search(reference);
	while (!requests->stopped)
		reference_request(reference);
	if (reference->requested)
		reference_responses(reference, NEVER, NEVER);
	if (reference->to_close)
		reference_end(reference, HTTP_RESPONSES, session->length, reference->is_answer);
	qsort(trace->records, trace->count, sizeof(trace->records[0]), compare_records);
	if (reference->upgraded != NEVER) {
		while (trace->count && trace->records[trace->count - 1].time > reference->upgraded)
			trace->count--;
		if (reference->lost > reference->upgraded)
			reference->lost = NEVER;
	}
	trace->lost = reference->lost;
	trace->phase = reference->none		      ? HTTP_PHASE_NONE
		       : reference->lost != NEVER     ? HTTP_PHASE_LOST
		       : reference->upgraded != NEVER ? HTTP_PHASE_UPGRADED
		       : reference->requested	      ? HTTP_PHASE_FOLLOWED
						      : HTTP_PHASE_UNDECIDED;
}

/*
 * What the traces differ in, or NULL. An error is seen in the middle of a line by the one, at its end by the
 * other; all that happened before is the same.
 */
UNUSED static const char *reference_differs(const struct reference *reference, const struct trace *expected,
					    const struct trace *got)
{
	size_t count = expected->count;

	if (expected->lost < got->lost)
		return "an error was not seen";
	if (got->lost != NEVER) {
		if (reference->streams[got->lost_side].pending_from > got->lost)
			return "there was no error";
		while (count && (expected->records[count - 1].time > got->lost))
			count--;
	} else if (got->phase != expected->phase) {
		return "phase";
	}
	if (count != got->count)
		return "number of records";
	for (size_t i = 0; i < count; i++)
		if (!records_are_equal(&expected->records[i], &got->records[i]))
			return "record";
	return NULL;
}

#endif
