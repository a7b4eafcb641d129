/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Transactions (bpf/transaction.h): tables of what both ends of a connection say and when, and what counts;
 * random ones against a reference that has all runs at once. Reads and writes nothing.
 */
#include <check.h>

#include "http_session.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* For loops of millions: Check's own assertions write a message each time. */
#define must(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545F4914F6CDD1DULL;
}

static uint64_t random_below(uint64_t limit)
{
	return (random_next() >> 11) % limit;
}

START_TEST(sides_by_role)
{
	ck_assert_uint_eq(transaction_side(true, false), HTTP_REQUESTS);
	ck_assert_uint_eq(transaction_side(true, true), HTTP_RESPONSES);
	ck_assert_uint_eq(transaction_side(false, true), HTTP_REQUESTS);
	ck_assert_uint_eq(transaction_side(false, false), HTTP_RESPONSES);
}
END_TEST

/* ---- TCP --------------------------------------------------------------------------------------- */

/*
 * Calls, "time>bytes" to the server and "time<bytes" from it, and "|" when it sends no more; what comes of
 * them as "latency:request/answer", "-" for a request without an answer.
 */
static const struct dialogue {
	const char *name, *calls, *outcomes;
} dialogues[] = {
    {"nothing", "", ""},
    {"closed at once", "|", ""},
    {"one", "100>10 150<20 |", "50:10/20"},
    {"one that nothing ends", "100>10 150<20", ""},
    {"two", "100>10 150<20 1000>1 1003<2 |", "50:10/20 3:1/2"},
    {"from the first byte to the last", "100>10 120>5 150<20 170<7 999<1 1000>3 |", "899:15/28 -"},
    {"pipelined is one", "100>10 110>10 150<20 160<20 |", "60:20/40"},
    {"asked while it answers", "100>10 150<20 155>10 160<20 |", "50:10/20 5:10/20"},
    {"a server that speaks first", "50<99 100>10 150<20 |", "50:10/20"},
    {"a server that speaks alone", "50<99 60<1 |", ""},
    {"no answer", "100>10 |", "-"},
    {"no answer to the second", "100>10 150<20 200>30 300>30 |", "50:10/20 -"},
    {"closed twice", "100>10 150<20 | |", "50:10/20"},
    {"no more after the end", "100>10 150<20 | 400<9 |", "50:10/20"},
    {"empty calls", "90>0 100>10 110<0 115>5 150<20 160<0 170>0 180<1 |", "80:15/21"},
    {"empty answer", "100>10 110<0 |", "-"},
    {"at the same moment", "100>10 100<20 |", "0:10/20"},
    {"by a clock that is behind", "100>10 99<20 |", "0:10/20"},
    {"more than 32 bits", "1>5000000000 20000000001<6000000000 |", "20000000000:5000000000/6000000000"},
};

static char *write_outcome(char *to, const char *from, uint32_t outcome,
			   const struct transaction_result *result)
{
	const char *separator = to == from ? "" : " ";

	if (outcome == TRANSACTION_UNANSWERED)
		return to + sprintf(to, "%s-", separator);
	if (outcome == TRANSACTION_ANSWERED)
		return to + sprintf(to, "%s%llu:%llu/%llu", separator, result->latency_ns,
				    result->request_bytes, result->answer_bytes);
	return to;
}

START_TEST(a_dialogue_has_its_transactions)
{
	const struct dialogue *d = &dialogues[_i];
	struct transaction transaction = {0};
	struct transaction_result result;
	char text[256] = "", *end = text;

	for (const char *call = d->calls; *call; call += strspn(call, " ")) {
		char *next;

		if (*call == '|') {
			end = write_outcome(end, text, transaction_end(&transaction, &result), &result);
			call++;
			continue;
		}

		uint64_t now = strtoull(call, &next, 10);
		uint32_t side = *next == '<' ? HTTP_RESPONSES : HTTP_REQUESTS;
		uint64_t bytes = strtoull(next + 1, &next, 10);

		end = write_outcome(end, text, transaction_feed(&transaction, side, bytes, now, &result),
				    &result);
		call = next;
	}
	ck_assert_msg(!strcmp(text, d->outcomes), "%s: \"%s\", expected \"%s\"", d->name, text, d->outcomes);
}
END_TEST

static struct session session;
static struct trace trace;
static struct outcomes got, got_cut, expected;

static bool is_random(const void *how, size_t position)
{
	(void)how, (void)position;
	return !random_below(3);
}

/* Bytes add up, and calls may be cut anywhere. */
START_TEST(random_dialogues)
{
	for (int i = 0; i < 20000; i++) {
		struct run whole = {.trace = &trace, .tcp_outcomes = &got};
		struct run cut = {.trace = &trace, .tcp_outcomes = &got_cut};

		random_state = 1000003 * (uint64_t)i + 3;
		session.length = got.count = got_cut.count = 0;
		for (uint64_t runs = random_below(12); runs > 0; runs--)
			session_add(&session, (uint8_t)random_below(2),
				    "0123456789012345678901234567890123456789", random_below(40));
		run_session(&whole, &session, NULL, NULL, HTTP_CHUNK);
		outcomes_of_tcp(&session, &expected);
		must(outcomes_are_equal(&got, &expected));
		run_session(&cut, &session, is_random, NULL, HTTP_CHUNK);
		must(got_cut.count == got.count);
		for (size_t j = 0; j < got.count; j++) {
			must(got_cut.of[j].outcome == got.of[j].outcome);
			must(got_cut.of[j].result.request_bytes == got.of[j].result.request_bytes);
			must(got_cut.of[j].result.answer_bytes == got.of[j].result.answer_bytes);
			must(got_cut.of[j].result.latency_ns >= got.of[j].result.latency_ns);
		}
	}
}
END_TEST

/* ---- HTTP -------------------------------------------------------------------------------------- */

/* Calls at the times given, and the latencies of HTTP's transactions, "?" for one not known. */
static const struct exchange {
	const char *name;
	struct call {
		uint64_t now;
		char side;
		const char *bytes;
	} calls[12];
	const char *latencies;
	uint32_t outstanding;
} exchanges[] = {
#define GET    "GET / HTTP/1.1\n\n"
#define ANSWER "HTTP/1.1 200\nContent-Length: 2\n\nok"
    {"one", {{100, '>', GET}, {150, '<', ANSWER}}, "50", 0},
    {"in parts",
     {{100, '>', "G"},
      {110, '>', "ET / HTTP/1.1\n"},
      {120, '>', "\n"},
      {150, '<', "HTTP/1.1 200\n"},
      {160, '<', "Content-Length: 2\n\no"},
      {170, '<', "k"}},
     "70",
     0},
    {"a request behind other bytes",
     {{90, '>', "hello"}, {95, '<', "world"}, {100, '>', GET}, {150, '<', ANSWER}},
     "50",
     0},
    {"the end is that of the body",
     {{100, '>', "POST / HTTP/1.1\nContent-Length: 2\n\n"},
      {140, '>', "ab"},
      {150, '<', "HTTP/1.1 200\nTransfer-Encoding: chunked\n\n2\nab\n"},
      {180, '<', "0\n"},
      {200, '<', "\n"}},
     "100",
     0},
    {"interim responses are no end",
     {{100, '>', GET}, {110, '<', "HTTP/1.1 100\n\n"}, {150, '<', ANSWER}},
     "50",
     0},
    {"pipelined, each from its own begin",
     {{100, '>', GET "GE"},
      {110, '>', "T / HTTP/1.1\n\n"},
      {120, '>', GET},
      {130, '<', ANSWER},
      {140, '<', ANSWER},
      {190, '<', ANSWER}},
     "30 40 70",
     0},
    {"asked while it answers",
     {{100, '>', GET},
      {110, '<', "HTTP/1.1 200\nContent-Length: 2\n\n"},
      {120, '>', GET},
      {130, '<', "ok"},
      {150, '<', ANSWER}},
     "30 30",
     0},
    {"until close, to its last byte",
     {{100, '>', GET}, {110, '<', "HTTP/1.1 200\n\n"}, {150, '<', "and more"}},
     "50",
     0},
    {"not answered", {{100, '>', GET GET}, {110, '<', ANSWER}}, "10", 1},
    {"what nobody asked for answers nothing",
     {{100, '>', GET}, {110, '<', ANSWER ANSWER}, {120, '>', GET}, {125, '<', ANSWER}},
     "10 5",
     0},
    {"an upgrade is answered",
     {{100, '>', GET}, {110, '<', "HTTP/1.1 101\n\n"}, {120, '>', GET}, {130, '<', ANSWER}},
     "10",
     0},
    {"lost", {{100, '>', GET}, {110, '<', "-ERR\n"}, {120, '>', GET}, {130, '<', ANSWER}}, "", 1},
    {"by a clock that is behind", {{100, '>', GET}, {99, '<', ANSWER}}, "0", 0},
    {"16 outstanding and more",
     {{100, '>', GET GET GET GET},
      {110, '>', GET GET GET GET},
      {120, '>', GET GET GET GET},
      {130, '>', GET GET GET GET},
      {140, '>', GET GET},
      {200, '<', ANSWER ANSWER},
      {210, '>', GET},
      {220, '<', ANSWER ANSWER ANSWER},
      {230, '>', GET GET GET},
      {300, '<', ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER},
      {400, '<', ANSWER ANSWER ANSWER ANSWER}},
     "100 100 120 120 110 190 190 190 180 180 180 180 170 170 170 170 ? ? ? 170 170 ?",
     0},
};

START_TEST(an_exchange_has_its_latencies)
{
	const struct exchange *e = &exchanges[_i];
	struct run run = {.trace = &trace, .http_outcomes = &got};
	uint32_t events = 0;
	char text[256] = "", *end = text;

	got.count = 0;
	for (const struct call *call = e->calls; call->bytes; call++) {
		struct transaction_result result;
		uint8_t side = call->side == '<';
		size_t length = strlen(call->bytes), position = 0;

		transaction_feed(&run.tcp, side, length, call->now, &result);
		http_begin(&run.connection, side, &events);
		while (position < length) {
			struct http_chunk chunk;
			uint32_t part =
			    (uint32_t)(length - position < HTTP_CHUNK ? length - position : HTTP_CHUNK);

			memcpy(&chunk, call->bytes + position, part);
			for (uint32_t i = 0; i < part;) {
				events = 0;
				i = http_next(&run.connection, side, &chunk, i, part, &events);
				run_take_events(&run, side, events, 0, call->now);
			}
			position += part;
		}
	}
	events = 0;
	http_close(&run.connection, &events);
	run_take_events(&run, HTTP_RESPONSES, events, 0, run.tcp.answered_ns);
	for (size_t i = 0; i < got.count; i++) {
		end += sprintf(end, "%s", i ? " " : "");
		if (got.of[i].outcome == TRANSACTION_ANSWERED)
			end += sprintf(end, "%llu", got.of[i].result.latency_ns);
		else
			end += sprintf(end, "%s", got.of[i].outcome == TRANSACTION_UNTIMED ? "?" : "!");
	}
	ck_assert_msg(!strcmp(text, e->latencies), "%s: \"%s\", expected \"%s\"", e->name, text,
		      e->latencies);
	ck_assert_msg(transaction_outstanding(&run.queue) == e->outstanding, "%s: %u outstanding", e->name,
		      transaction_outstanding(&run.queue));
}
END_TEST

/* Pipelines of any depth: every answer counts, and has its own request's latency or none. */
START_TEST(deep_pipelines)
{
	for (int i = 0; i < 300; i++) {
		struct run run = {.trace = &trace, .http_outcomes = &got};
		int ahead = 0, deepest = 1 + (int)random_below(60);

		random_state = 1000003 * (uint64_t)i + 4;
		session.length = got.count = 0;
		/* The numbers have gone round. */
		run.queue.begun = run.queue.ended = UINT32_MAX - 20;
		for (int step = 0; step < 300; step++) {
			if (ahead < deepest && (!ahead || random_below(2))) {
				session_add(&session, HTTP_REQUESTS, GET, strlen(GET));
				ahead++;
			} else {
				session_add(&session, HTTP_RESPONSES, ANSWER, strlen(ANSWER));
				ahead--;
			}
		}
		run_session(&run, &session, NULL, NULL, HTTP_CHUNK);
		outcomes_of_http(&session, &trace, &expected);
		must(outcomes_are_equal(&got, &expected));
		must(got.count + (size_t)ahead == (size_t)(300 - ahead) / 2 + (size_t)ahead);
		must(transaction_outstanding(&run.queue) == (uint32_t)ahead);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transaction");
	TCase *tcp = tcase_create("tcp");
	TCase *http = tcase_create("http");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(tcp, sides_by_role);
	tcase_add_loop_test(tcp, a_dialogue_has_its_transactions, 0, COUNT(dialogues));
	tcase_add_test(tcp, random_dialogues);
	tcase_add_loop_test(http, an_exchange_has_its_latencies, 0, COUNT(exchanges));
	tcase_add_test(http, deep_pipelines);
	tcase_set_timeout(tcp, 60);
	tcase_set_timeout(http, 60);
	suite_add_tcase(suite, tcp);
	suite_add_tcase(suite, http);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
