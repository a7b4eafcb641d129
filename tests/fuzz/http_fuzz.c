/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Any bytes of both sides of a connection: the HTTP found in them and the transactions are those of the
 * reference, however the bytes are cut into calls; and bytes that can't be read make nothing up. The input is
 * what goes to the server; a byte 1 changes the side, a byte 2 makes the next one a byte of it whatever it
 * is.
 */
#include "../unit/http_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct session session;
static struct reference reference;
static struct trace whole, cut, expected;
static struct outcomes tcp, http, outcomes_expected;

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\nfound: %s\n", __LINE__, #condition, \
				trace_text(&whole)); \
			fprintf(stderr, "reference: %s\n", trace_text(&expected)); \
			abort(); \
		} \
	} while (0)

static void load(const uint8_t *data, size_t size)
{
	uint8_t side = HTTP_REQUESTS;

	session.length = 0;
	for (size_t i = 0; i < size; i++) {
		if (data[i] == 1) {
			side ^= 1;
			continue;
		}
		if (data[i] == 2 && ++i == size)
			break;
		session_add(&session, side, data + i, 1);
	}
}

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * 0x2545F4914F6CDD1DULL >> 11) % limit;
}

static bool is_random(const void *how, size_t position)
{
	(void)position;
	return !random_below(*(const uint64_t *)how);
}

/* Some calls are not readable: nothing but bodies may be in them. */
static void check_gaps(void)
{
	struct run run = {.trace = &cut};
	size_t from = 0, answered = 0, lines = 0;

	cut.count = 0;
	cut.lost = NEVER;
	for (size_t i = 1; i <= session.length; i++) {
		if (i < session.length && session.sides[i] == session.sides[i - 1] && random_below(50))
			continue;
		if (random_below(8)) {
			run_call(&run, &session, from, i, HTTP_CHUNK);
		} else {
			uint32_t events = 0;

			http_begin(&run.connection, session.sides[from], &events);
			http_skip(&run.connection, session.sides[from], i - from, &events);
			run_take_events(&run, session.sides[from], events, i - 1, time_ns(from));
		}
		from = i;
	}
	require(transaction_outstanding(&run.queue) == run.connection.requested - run.connection.answered);
	for (size_t i = 0; i < cut.count; i++) {
		lines += cut.records[i].side == HTTP_REQUESTS && cut.records[i].what == WHAT_LINE;
		answered += cut.records[i].answered;
		require(answered <= lines);
		require(cut.records[i].time <= cut.lost);
	}
}

static void check_trace(void)
{
	const char *difference;

	reference_run(&reference, &session, &expected);
	difference = reference_differs(&reference, &expected, &whole);
	if (difference)
		fprintf(stderr, "%s\n", difference);
	require(!difference);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = {.trace = &whole, .tcp_outcomes = &tcp, .http_outcomes = &http};
	struct run again = {.trace = &cut};
	uint64_t seldom;

	load(data, size);
	random_state = size + 1;
	for (size_t i = 0; i < size; i++)
		random_state = random_state * 31 + data[i] + 1;
	tcp.count = http.count = 0;
	run_session(&run, &session, NULL, NULL, HTTP_CHUNK);
	check_trace();
	outcomes_of_http(&session, &whole, &outcomes_expected);
	require(outcomes_are_equal(&http, &outcomes_expected));
	outcomes_of_tcp(&session, &outcomes_expected);
	require(outcomes_are_equal(&tcp, &outcomes_expected));
	seldom = 1 + random_below(60);
	run_session(&again, &session, is_random, &seldom, 1 + random_below(HTTP_CHUNK));
	require(traces_are_equal(&whole, &cut));
	check_gaps();
	return 0;
}
