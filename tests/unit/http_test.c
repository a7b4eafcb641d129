/* SPDX-License-Identifier: GPL-3.0-only
 *
 * HTTP in the bytes of a connection (bpf/http.h): exchanges as text, each cut at every byte into two and
 * three calls; random sessions, whole and damaged, against a reference; and what is out of the ordinary in
 * size. Reads and writes nothing.
 */
#include <check.h>

#include "http_session.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* For loops of millions: Check's own assertions write a message each time. */
#define must(condition)                                 \
	do {                                            \
		if (!(condition))                       \
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

__attribute__((unused)) static uint64_t random_below(uint64_t limit)
{
	return (random_next() >> 11) % limit;
}

static struct session session;
static struct reference reference;
static struct trace whole, cut, expected;

/* ---- Exchanges --------------------------------------------------------------------------------- */

#define PIECES_MAX 14

/*
 * Pieces begin with whose they are: "> " to the server, "< " from it. In them "\1" stands for a zero byte.
 * What is found is as trace_text says.
 */
static const struct exchange {
	const char *name;
	const char *pieces[PIECES_MAX];
	const char *found;
	uint8_t phase;
} exchanges[] = {
#define OK200	     "< HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NOTHING_MORE HTTP_PHASE_FOLLOWED
    {"GET and its answer",
     {"> GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"every method",
     {"> GET / HTTP/1.1\r\n\r\n", OK200, "> POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", OK200,
      "> PUT / HTTP/1.1\r\n\r\n", OK200, "> DELETE / HTTP/1.0\r\n\r\n", OK200,
      "> OPTIONS * HTTP/1.1\r\n\r\n", OK200, "> TRACE / HTTP/1.1\r\n\r\n", OK200,
      "> PATCH / HTTP/1.1\r\n\r\nPURGE / HTTP/1.1\r\n\r\n", "< HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304\r\n\r\n"},
     "GET GET. 200 200. POST POST. 200 200. PUT PUT. 200 200. DELETE DELETE. 200 200. OPTIONS OPTIONS. 200 "
     "200. TRACE TRACE. 200 200. PATCH PATCH. ? ?. 204 204. 304 304.",
     NOTHING_MORE},
    {"bare LF",
     {"> GET / HTTP/1.1\nHost: a\n\n", "< HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"names and codings in any case",
     {"> POST / HTTP/1.1\r\ncONTENT-lENGTH:\t 3 \t\r\n\r\nabc",
      "< HTTP/1.1 200\r\nTRANSFER-encoding:  ChunKED \r\n\r\n1\r\nx\r\n0\r\n\r\n"},
     "POST POST. 200 200.",
     NOTHING_MORE},
    {"names that only begin alike",
     {"> GET / HTTP/1.1\r\nContent-Lengt: 5\r\nContent-Length-X: 5\r\nTransfer-Encodin: chunked\r\nTE: "
      "chunked\r\nC\r\nT\r\nContent-Length\r\n\r\n",
      OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"pipelined, answers together",
     {"> GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n",
      OK200 "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx"},
     "GET GET. HEAD HEAD. GET GET. 200 200. 200 200. 404 404.",
     NOTHING_MORE},
    {"a body that looks like requests",
     {"> POST / HTTP/1.1\r\nContent-Length: 36\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
      "< HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
     "POST POST. 200 200.",
     NOTHING_MORE},
    {"chunks with extensions and a trailer",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n00A \r\n0\r\n\r\nGET "
      "/\r\n0;last\r\nContent-Length: 7\r\nX: y\r\n\r\n",
      OK200},
     "POST POST. 200 200.",
     NOTHING_MORE},
    {"chunks with bare LF",
     {"> POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\nGET / HTTP/1.1\n\n", OK200, OK200},
     "POST POST. GET GET. 200 200. 200 200.",
     NOTHING_MORE},
    {"the last coding decides",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nContent-Length: 99\r\ntransfer-encoding: x, "
      "chunked ,,\r\n\r\n0\r\n\r\n",
      "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\nmore"},
     "POST POST. 200 200.",
     NOTHING_MORE},
    {"a request's coding that nobody can end",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", OK200},
     "POST lost",
     HTTP_PHASE_LOST},
    {"a coding that is not quite chunked",
     {"> GET / HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"HEAD, 204 and 304 have no body",
     {"> HEAD / HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
      "> HEAD / HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "> GET / HTTP/1.1\r\n\r\n", "< HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
      "> GET / HTTP/1.1\r\n\r\n", "< HTTP/1.1 204 No Content\r\n\r\n", "> GET / HTTP/1.1\r\n\r\n", OK200},
     "HEAD HEAD. 200 200. HEAD HEAD. 200 200. GET GET. 304 304. GET GET. 204 204. GET GET. 200 200.",
     NOTHING_MORE},
    {"until close",
     {"> GET / HTTP/1.0\r\n\r\n", "< HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"100 Continue",
     {"> POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
      "< HTTP/1.1 100 Continue\r\n\r\n", "> body", OK200},
     "POST 100 POST. 200 200.",
     NOTHING_MORE},
    {"interim responses have no body whatever they say",
     {"> HEAD / HTTP/1.1\r\n\r\n",
      "< HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 "
      "OK\r\nContent-Length: 5\r\n\r\n"},
     "HEAD HEAD. 103 102 200 200.",
     NOTHING_MORE},
    {"an answer before the request has ended",
     {"> POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo", "< HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n",
      "> dyGET / HTTP/1.1\r\n\r\n", OK200},
     "POST 413 413. POST. GET GET. 200 200.",
     NOTHING_MORE},
    {"an upgrade",
     {"> GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      "< HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      "> GET / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. 101 101. upgraded",
     HTTP_PHASE_UPGRADED},
    {"an upgrade that was refused",
     {"> GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", OK200,
      "> GET / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. 200 200. GET GET. 200 200.",
     NOTHING_MORE},
    {"CONNECT",
     {"> CONNECT a:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 Connection established\r\n\r\n",
      "> GET / HTTP/1.1\r\n\r\n", OK200},
     "CONNECT CONNECT. 200 200. upgraded",
     HTTP_PHASE_UPGRADED},
    {"CONNECT by a client that does not wait",
     {"> CONNECT a:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\n\r\n", OK200},
     "CONNECT CONNECT. 200 200. upgraded",
     HTTP_PHASE_UPGRADED},
    {"CONNECT refused",
     {"> CONNECT a:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 407 Proxy\r\nContent-Length: 3\r\n\r\nno.",
      "> CONNECT a:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\n\r\n"},
     "CONNECT CONNECT. 407 407. CONNECT CONNECT. 200 200. upgraded",
     HTTP_PHASE_UPGRADED},
    {"CONNECT refused to a client that did not wait",
     {"> CONNECT a:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
      "< HTTP/1.1 407 Proxy\r\nContent-Length: 3\r\n\r\nno.", "> GET / HTTP/1.1\r\n\r\n", OK200},
     "CONNECT CONNECT. 407 407. lost",
     HTTP_PHASE_LOST},
    {"CONNECT refused before it was complete",
     {"> CONNECT a:443 HTTP/1.1\r\nHost:", "< HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
      ">  a\r\n\r\nGET / HTTP/1.1\r\n\r\n", OK200},
     "CONNECT 403 403. CONNECT. GET GET. 200 200.",
     NOTHING_MORE},
    {"empty lines between requests",
     {"> POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\n", OK200, "> \r\n\nGET / HTTP/1.1\r\n\r\n", OK200},
     "POST POST. 200 200. GET GET. 200 200.",
     NOTHING_MORE},
    {"spaces in a target, and a version in it",
     {"> GET /a b?q=HTTP/1.1 HTTP/1.1 HTTP/1.1\r\n\r\nGET /HTTP/1.1  HTTP/1.12 HTTP/1.0\r\n\r\n", OK200, OK200},
     "GET GET. GET GET. 200 200. 200 200.",
     NOTHING_MORE},
    {"a timeout that nobody asked for",
     {"> GET / HTTP/1.1\r\n\r\n", OK200, "< HTTP/1.1 408 Timeout\r\nContent-Length: 4\r\n\r\nlate"},
     "GET GET. 200 200. 408 408!",
     NOTHING_MORE},
    {"it does not answer the request that comes meanwhile",
     {"> GET / HTTP/1.1\r\n\r\n", OK200, "< HTTP/1.1 408 Timeout\r\nContent-Length: 4\r\n\r\nla",
      "> GET / HTTP/1.1\r\n\r\n", "< te", OK200},
     "GET GET. 200 200. 408 GET GET. 408! 200 200.",
     NOTHING_MORE},
    {"lengths that are all the same",
     {"> POST / HTTP/1.1\r\nContent-Length: 2, 02\r\nContent-Length:2 ,2\r\n\r\nok", OK200},
     "POST POST. 200 200.",
     NOTHING_MORE},
    {"lengths that are not", {"> POST / HTTP/1.1\r\nContent-Length: 2, 3\r\n\r\nok", OK200}, "POST lost", HTTP_PHASE_LOST},
    {"no length", {"> POST / HTTP/1.1\r\nContent-Length:\r\n\r\nok", OK200}, "POST lost", HTTP_PHASE_LOST},
    {"a negative length", {"> POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nok"}, "POST lost", HTTP_PHASE_LOST},
    {"a length in two words", {"> POST / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n"}, "POST lost", HTTP_PHASE_LOST},
    {"a length over two lines", {"> POST / HTTP/1.1\r\nContent-Length: 1\r\n 1\r\n\r\n"}, "POST lost", HTTP_PHASE_LOST},
    {"a blank before the colon", {"> POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nok"}, "POST lost", HTTP_PHASE_LOST},
    {"the longest length",
     {"> POST / HTTP/1.1\r\nContent-Length: 9223372036854775799\r\n\r\nok"},
     "POST",
     NOTHING_MORE},
    {"a longer one", {"> POST / HTTP/1.1\r\nContent-Length: 9223372036854775800\r\n\r\n"}, "POST lost", HTTP_PHASE_LOST},
    {"a field over two lines",
     {"> GET / HTTP/1.1\r\nX: a\r\n Content-Length: 5\r\n\tb\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"the longest chunk",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n07fffffffffffffff\r\nab"},
     "POST",
     NOTHING_MORE},
    {"a longer one",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n"},
     "POST lost",
     HTTP_PHASE_LOST},
    {"a chunk that is longer than it says",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", OK200},
     "POST lost",
     HTTP_PHASE_LOST},
    {"a chunk of no size",
     {"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n;x\r\n\r\n"},
     "POST lost",
     HTTP_PHASE_LOST},
    {"garbage after a request", {"> GET / HTTP/1.1\r\n\r\n\x16\x03", OK200}, "GET GET. lost", HTTP_PHASE_LOST},
    {"garbage for an answer", {"> GET / HTTP/1.1\r\n\r\n", "< -ERR\r\n", OK200}, "GET GET. lost", HTTP_PHASE_LOST},
    {"a zero byte in a head", {"> GET / HTTP/1.1\r\nA: \1\r\n\r\n", OK200}, "GET lost", HTTP_PHASE_LOST},
    {"a status of four digits", {"> GET / HTTP/1.1\r\n\r\n", "< HTTP/1.1 2000\r\n\r\n"}, "GET GET. lost", HTTP_PHASE_LOST},
    {"HTTP/2 with prior knowledge", {"> PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", OK200}, "", HTTP_PHASE_UNDECIDED},
    {"HTTP/0.9", {"> GET /\r\n", "< hello"}, "", HTTP_PHASE_UNDECIDED},
    {"an unknown method begins nothing", {"> PURGE / HTTP/1.1\r\n\r\n", OK200}, "", HTTP_PHASE_UNDECIDED},
    {"Redis", {"> GET key\r\n", "< $-1\r\n", "> SET key 1\r\n", "< +OK\r\n"}, "", HTTP_PHASE_UNDECIDED},
    {"TLS", {"> \x16\x03\1\1\x01\xfcGET / HTTP/1.1\r\n\r\n", OK200}, "", HTTP_PHASE_UNDECIDED},
    {"in the middle of a run", {"> xGET / HTTP/1.1\r\n\r\n", OK200}, "", HTTP_PHASE_UNDECIDED},
    {"after other lines",
     {"< 220 ready\r\n", "> STARTHTTP\r\n", "< 200 go\r\n", "> GET / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"a line that the server interrupts", {"> GET / HT", "< ?", "> TP/1.1\r\n\r\n", OK200}, "GET GET. 200 200.", NOTHING_MORE},
    {"PROXY protocol",
     {"> PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"PROXY protocol 2",
     {"> \r\n\r\n\1\r\nQUIT\n\x21\x11\1\x0c\x0a\1\1\x02\x0a\1\1\x03GET GET / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"PROXY protocol 2, local",
     {"> \r\n\r\n\1\r\nQUIT\n\x20\1\1\1HEAD / HTTP/1.1\r\n\r\n", "< HTTP/1.1 200\r\n\r\n"},
     "HEAD HEAD. 200 200.",
     NOTHING_MORE},
    {"nearly PROXY protocol 2", {"> \r\n\r\nGET / HTTP/1.1\r\n\r\n", OK200}, "", HTTP_PHASE_UNDECIDED},
    {"nothing", {NULL}, "", HTTP_PHASE_UNDECIDED},
};

static void load(const struct exchange *exchange)
{
	session.length = 0;
	for (int i = 0; i < PIECES_MAX && exchange->pieces[i]; i++) {
		size_t from = session.length;

		session_add(&session, exchange->pieces[i][0] == '<', exchange->pieces[i] + 2,
			    strlen(exchange->pieces[i] + 2));
		for (; from < session.length; from++)
			if (session.bytes[from] == 1)
				session.bytes[from] = 0;
	}
}

/* Cuts in two places. */
static bool is_at(const void *how, size_t position)
{
	const size_t *places = how;

	return position == places[0] || position == places[1];
}

static void run_into(struct trace *trace, cut_function is_cut, const void *how, size_t piece)
{
	struct run run = {.trace = trace};

	run_session(&run, &session, is_cut, how, piece);
}

START_TEST(an_exchange_is_found)
{
	const struct exchange *exchange = &exchanges[_i];
	const char *difference;

	load(exchange);
	run_into(&whole, NULL, NULL, HTTP_CHUNK);
	ck_assert_msg(!strcmp(trace_text(&whole), exchange->found), "%s: \"%s\", expected \"%s\"",
		      exchange->name, trace_text(&whole), exchange->found);
	ck_assert_msg(whole.phase == exchange->phase, "%s: phase %u, expected %u", exchange->name, whole.phase,
		      exchange->phase);
	reference_run(&reference, &session, &expected);
	difference = reference_differs(&reference, &expected, &whole);
	ck_assert_msg(!difference, "%s: %s: \"%s\" by the reference", exchange->name, difference,
		      trace_text(&expected));
}
END_TEST

START_TEST(cuts_change_nothing)
{
	const struct exchange *exchange = &exchanges[_i];

	load(exchange);
	run_into(&whole, NULL, NULL, HTTP_CHUNK);
	for (size_t piece = 1; piece <= 17; piece++) {
		run_into(&cut, NULL, NULL, piece);
		ck_assert_msg(traces_are_equal(&cut, &whole), "%s: in pieces of %zu: \"%s\"", exchange->name,
			      piece, trace_text(&cut));
	}
	for (size_t first = 0; first < session.length; first++) {
		for (size_t second = first; second < session.length; second++) {
			size_t places[2] = {first, second};

			run_into(&cut, is_at, places, HTTP_CHUNK);
			if (!traces_are_equal(&cut, &whole))
				ck_abort_msg("%s: cut at %zu and %zu: \"%s\"", exchange->name, first, second,
					     trace_text(&cut));
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *texts = tcase_create("texts");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(texts, an_exchange_is_found, 0, COUNT(exchanges));
	tcase_add_loop_test(texts, cuts_change_nothing, 0, COUNT(exchanges));
	tcase_set_timeout(texts, 60);
	suite_add_tcase(suite, texts);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
