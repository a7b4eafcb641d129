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
#define METHOD64     "0123456789abcdef0123456789ABCDEF!#$%&'*+-.^_`|~0123456789abcdefg"
#define NOTHING_MORE HTTP_PHASE_FOLLOWED
    {"GET and its answer",
     {"> GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
    {"every method",
     {"> GET / HTTP/1.1\r\n\r\n", OK200, "> POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", OK200,
      "> PUT / HTTP/1.1\r\n\r\n", OK200, "> DELETE / HTTP/1.0\r\n\r\n", OK200, "> OPTIONS * HTTP/1.1\r\n\r\n",
      OK200, "> TRACE / HTTP/1.1\r\n\r\n", OK200, "> PATCH / HTTP/1.1\r\n\r\nPURGE / HTTP/1.1\r\n\r\n",
      "< HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304\r\n\r\n"},
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
     {"> GET /a b?q=HTTP/1.1 HTTP/1.1 HTTP/1.1\r\n\r\nGET /HTTP/1.1  HTTP/1.12 HTTP/1.0\r\n\r\n", OK200,
      OK200},
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
    {"lengths that are not",
     {"> POST / HTTP/1.1\r\nContent-Length: 2, 3\r\n\r\nok", OK200},
     "POST lost",
     HTTP_PHASE_LOST},
    {"no length", {"> POST / HTTP/1.1\r\nContent-Length:\r\n\r\nok", OK200}, "POST lost", HTTP_PHASE_LOST},
    {"a negative length",
     {"> POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nok"},
     "POST lost",
     HTTP_PHASE_LOST},
    {"a length in two words",
     {"> POST / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n"},
     "POST lost",
     HTTP_PHASE_LOST},
    {"a length over two lines",
     {"> POST / HTTP/1.1\r\nContent-Length: 1\r\n 1\r\n\r\n"},
     "POST lost",
     HTTP_PHASE_LOST},
    {"a blank before the colon",
     {"> POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nok"},
     "POST lost",
     HTTP_PHASE_LOST},
    {"the longest length",
     {"> POST / HTTP/1.1\r\nContent-Length: 9223372036854775799\r\n\r\nok"},
     "POST",
     NOTHING_MORE},
    {"a longer one",
     {"> POST / HTTP/1.1\r\nContent-Length: 9223372036854775800\r\n\r\n"},
     "POST lost",
     HTTP_PHASE_LOST},
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
    {"garbage after a request",
     {"> GET / HTTP/1.1\r\n\r\n\x16\x03", OK200},
     "GET GET. lost",
     HTTP_PHASE_LOST},
    {"garbage for an answer",
     {"> GET / HTTP/1.1\r\n\r\n", "< -ERR\r\n", OK200},
     "GET GET. lost",
     HTTP_PHASE_LOST},
    {"a zero byte in a head", {"> GET / HTTP/1.1\r\nA: \1\r\n\r\n", OK200}, "GET lost", HTTP_PHASE_LOST},
    {"a status of four digits",
     {"> GET / HTTP/1.1\r\n\r\n", "< HTTP/1.1 2000\r\n\r\n"},
     "GET GET. lost",
     HTTP_PHASE_LOST},
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
    {"a line that the server interrupts",
     {"> GET / HT", "< ?", "> TP/1.1\r\n\r\n", OK200},
     "GET GET. 200 200.",
     NOTHING_MORE},
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
    {"PROXY protocol 2 of another version",
     {"> \r\n\r\n\1\r\nQUIT\n\x10\1\1\1HEAD / HTTP/1.1\r\n\r\n", "< HTTP/1.1 200\r\n\r\n"},
     "",
     HTTP_PHASE_UNDECIDED},
    {"the longest method",
     {"> GET / HTTP/1.1\r\n\r\n" METHOD64 " / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. ? ?. 200 200.",
     NOTHING_MORE},
    {"a longer one",
     {"> GET / HTTP/1.1\r\n\r\n" METHOD64 "x / HTTP/1.1\r\n\r\n", OK200},
     "GET GET. lost",
     HTTP_PHASE_LOST},
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
	ck_assert_msg(whole.phase == exchange->phase, "%s: phase %u, expected %u", exchange->name,
		      whole.phase, exchange->phase);
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

/* ---- Random sessions --------------------------------------------------------------------------- */

/* Of a session that was made up: its requests' methods and its final answers' statuses. */
static struct truth {
	uint32_t methods[64], statuses[64];
	size_t requests, answers;
} truth;

static char *append(char *to, const char *text)
{
	return stpcpy(to, text);
}

static const char *one_of(const char *const *choices, size_t count)
{
	return choices[random_below(count)];
}

/* What a body may have in it. */
static size_t make_body(char *body)
{
	static const char *const parts[] = {"GET / HTTP/1.1\r\n\r\n",
					    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
					    "0\r\n\r\n",
					    "\r\n",
					    "\n",
					    "{\"some\": \"json\"}",
					    "CONNECT a:1 HTTP/1.1\n\n",
					    "\x16\x03\x01",
					    "HEAD",
					    "1f;"};
	char *end = body;

	*end = '\0';
	for (uint64_t i = random_below(4); i > 0; i--)
		end = append(end, one_of(parts, COUNT(parts)));
	for (uint64_t i = random_below(3) ? 0 : random_below(700); i > 0; i--)
		*end++ = (char)(1 + random_below(255));
	return (size_t)(end - body);
}

static char *append_fields(char *to)
{
	static const char *const fields[] = {
	    "Host: example.org\r\n",
	    "Accept: */*\n",
	    "Content-Type: text/plain; charset=utf-8\r\n",
	    "Cookie: a=b; Content-Length: 7\r\n",
	    "X:\r\n",
	    "TE: trailers\r\n",
	    "X-Long: ----------------------------------------------------------------\r\n",
	    "Transfer: chunked\r\n",
	    "Connection: keep-alive\r\n",
	    "X: folded\r\n \tContent-Length: 3\r\n"};

	for (uint64_t i = random_below(4); i > 0; i--)
		to = append(to, one_of(fields, COUNT(fields)));
	return to;
}

/* The body as chunks, cut anywhere. */
static char *append_chunks(char *to, const char *body, size_t length)
{
	static const char *const ends[] = {"\r\n", "\n", ";x=\"y\"\r\n", " \r\n", ";\n"};

	while (length) {
		size_t part = 1 + random_below(length);

		to += random_below(2) ? sprintf(to, "%zx", part) : sprintf(to, "00%zX", part);
		to = append(to, one_of(ends, COUNT(ends)));
		memcpy(to, body, part);
		to = append(to + part, random_below(4) ? "\r\n" : "\n");
		body += part;
		length -= part;
	}
	to = append(append(to, "0"), one_of(ends, COUNT(ends)));
	return append(append_fields(to), "\r\n");
}

/* The rest of a head, and the body; `framed`: it must have a length. */
static char *append_message(char *to, bool framed)
{
	static const char *const codings[] = {"Transfer-Encoding: chunked\r\n",
					      "transfer-encoding: gzip , CHUNKED\n",
					      "Content-Length: 4\r\nTransfer-encoding:chunked\r\n"};
	char body[2048];
	size_t length = make_body(body);
	uint64_t kind = random_below(3);

	to = append_fields(to);
	if (kind == 0 && !framed)
		return append(append_fields(to), "\r\n");
	if (kind == 1) {
		to = append(append_fields(append(to, one_of(codings, COUNT(codings)))), "\r\n");
		return append_chunks(to, body, length);
	}
	if (random_below(2))
		to += sprintf(to, "Content-Length: %zu\r\n", length);
	else
		to += sprintf(to, "content-length:%zu ,\t%zu\n", length, length);
	to = append(append_fields(to), random_below(4) ? "\r\n" : "\n");
	memcpy(to, body, length);
	return to + length;
}

/* What paths are made of, well or not. */
static char *append_target(char *to)
{
	static const char *const begins[] = {"/",  "http://a:80",     "a",   "*",
					     "1:", "HTTP://u@[::1]/", "x:/", ":"};
	static const char *const parts[] = {
	    "/",	"a",	 "users",     "7",	 "12345678901234567890",
	    "0f3a",	"?x=/1", "cafe-0123", "#",	 "-",
	    "\xc3\xa9", "%20",	 ":",	      "http://", "//"};

	to = append(to, begins[random_below(2) ? 0 : random_below(COUNT(begins))]);
	for (uint64_t i = random_below(12); i > 0; i--)
		to = append(append(to, random_below(2) ? "/" : ""), one_of(parts, COUNT(parts)));
	for (uint64_t i = random_below(8) ? 0 : random_below(400); i > 0; i--)
		to = append(to, random_below(30) ? "x" : "/");
	return to;
}

static void add_request(uint32_t method)
{
	static char text[16384];
	char *end = text;

	if (truth.requests && !random_below(8))
		end = append(end, "\r\n");
	end += sprintf(end, "%s ", method ? method_name(method) : "PURGE");
	end = random_below(4) ? append_target(end) : append(end, "/a b?c=HTTP/1.1");
	end += sprintf(end, " HTTP/1.%d%s", (int)random_below(2), random_below(4) ? "\r\n" : "\n");
	end = method == HTTP_METHOD_CONNECT ? append(append_fields(end), "\r\n") : append_message(end, false);
	session_add(&session, HTTP_REQUESTS, text, (size_t)(end - text));
	truth.methods[truth.requests++] = method;
}

static void add_interim(void)
{
	static const char *const interim[] = {"HTTP/1.1 100 Continue\r\n\r\n",
					      "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n"};
	const char *text = one_of(interim, COUNT(interim));

	session_add(&session, HTTP_RESPONSES, text, strlen(text));
}

static void add_response(uint32_t status)
{
	static const uint32_t statuses[] = {200, 200, 201, 301, 404, 500, 204, 304};
	static char text[16384];
	char *end = text;
	uint32_t method = truth.methods[truth.answers];

	while (!random_below(4))
		add_interim();
	if (!status)
		status = method == HTTP_METHOD_CONNECT ? 403 : statuses[random_below(COUNT(statuses))];
	end += sprintf(end, "HTTP/1.%d %u%s", (int)random_below(2), status,
		       random_below(3) ? " Some reason\r\n" : "\n");
	if (method == HTTP_METHOD_HEAD || status == 204 || status == 304 || status == 101 ||
	    (method == HTTP_METHOD_CONNECT && status == 200))
		end = append(append_fields(append(end, "Content-Length: 50\r\n")), "\r\n");
	else
		end = append_message(end, true);
	session_add(&session, HTTP_RESPONSES, text, (size_t)(end - text));
	truth.statuses[truth.answers++] = status;
}

static void add_junk(void)
{
	char body[2048];

	for (uint64_t i = random_below(4); i > 0; i--)
		session_add(&session, (uint8_t)random_below(2), body, make_body(body));
}

static void make_session(void)
{
	uint32_t ending = (uint32_t)random_below(5);
	bool pipelined = random_below(2);

	session.length = 0;
	truth.requests = truth.answers = 0;
	if (!random_below(4))
		session_add(&session, HTTP_RESPONSES, "hello\r\n", 7);
	if (!random_below(4))
		session_add(&session, HTTP_REQUESTS, "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n", 33);
	for (uint64_t i = 1 + random_below(8); i > 0; i--) {
		/* A client waits for the answer to CONNECT, and only the first method must be known. */
		if (truth.requests == truth.answers ||
		    (pipelined && random_below(2) &&
		     truth.methods[truth.requests - 1] != HTTP_METHOD_CONNECT))
			add_request(truth.requests ? (uint32_t)random_below(10)
						   : HTTP_METHOD_GET + (uint32_t)random_below(9));
		else
			add_response(0);
	}
	while (truth.answers < truth.requests)
		add_response(0);
	if (ending == 0) {
		add_request(HTTP_METHOD_CONNECT);
		add_response(200);
		add_junk();
	} else if (ending == 1) {
		add_request(HTTP_METHOD_GET);
		add_response(101);
		add_junk();
	} else if (ending == 2) {
		add_request(HTTP_METHOD_GET);
		session_add(&session, HTTP_RESPONSES, "HTTP/1.0 200 OK\r\n\r\n", 19);
		truth.statuses[truth.answers++] = 200;
	}
}

/* Against what the session was made from. */
static void check_truth(void)
{
	size_t requests = 0, answers = 0;

	for (size_t i = 0; i < whole.count; i++) {
		const struct record *record = &whole.records[i];

		if (record->side == HTTP_REQUESTS && record->what == WHAT_LINE) {
			must(requests < truth.requests && record->value == truth.methods[requests]);
			requests++;
		}
		if (record->answered) {
			must(answers < truth.answers && record->value == truth.statuses[answers]);
			answers++;
		}
	}
	must(requests == truth.requests && answers == truth.answers);
	must(whole.lost == NEVER);
}

static bool is_random(const void *how, size_t position)
{
	(void)position;
	return !random_below(*(const uint64_t *)how);
}

static struct outcomes outcomes[2], outcomes_expected;

static void check_session(const char *what, int number)
{
	struct run run = {.trace = &whole, .tcp_outcomes = &outcomes[0], .http_outcomes = &outcomes[1]};
	uint64_t seldom = 1 + random_next() % 100;
	const char *difference;

	outcomes[0].count = outcomes[1].count = 0;
	run_session(&run, &session, NULL, NULL, HTTP_CHUNK);
	reference_run(&reference, &session, &expected);
	difference = reference_differs(&reference, &expected, &whole);
	if (difference)
		ck_abort_msg("%s %d: %s: \"%s\"\n%.*s", what, number, difference, trace_text(&whole),
			     (int)session.length, session.bytes);
	outcomes_of_http(&session, &whole, &outcomes_expected);
	must(outcomes_are_equal(&outcomes[1], &outcomes_expected));
	outcomes_of_tcp(&session, &outcomes_expected);
	must(outcomes_are_equal(&outcomes[0], &outcomes_expected));
	run_into(&cut, is_random, &seldom, 1 + random_below(HTTP_CHUNK));
	if (!traces_are_equal(&cut, &whole))
		ck_abort_msg("%s %d: cut: \"%s\"", what, number, trace_text(&cut));
}

START_TEST(random_sessions)
{
	for (int i = 0; i < 6000; i++) {
		random_state = 1000003 * (uint64_t)i + 1;
		make_session();
		check_session("session", i);
		check_truth();
	}
}
END_TEST

static void damage(void)
{
	static const char bytes[] = "\r\n \t:,;0159afAF\0\1\x7f\xff GHPC/";
	size_t at = random_below(session.length), length = 1 + random_below(random_below(4) ? 2 : 60);

	if (length > session.length - at)
		length = session.length - at;
	switch (random_below(4)) {
	case 0:
		session.bytes[at] = (uint8_t)bytes[random_below(sizeof(bytes))];
		break;
	case 1:
		session.sides[at] ^= 1;
		break;
	case 2:
		memmove(session.bytes + at, session.bytes + at + length, session.length - at - length);
		memmove(session.sides + at, session.sides + at + length, session.length - at - length);
		session.length -= length;
		break;
	default:
		if (session.length + length > SESSION_MAX)
			break;
		memmove(session.bytes + at + length, session.bytes + at, session.length - at);
		memmove(session.sides + at + length, session.sides + at, session.length - at);
		session.length += length;
	}
}

START_TEST(random_sessions_damaged)
{
	for (int i = 0; i < 20000; i++) {
		random_state = 1000003 * (uint64_t)i + 7;
		make_session();
		for (uint64_t times = 1 + random_below(4); times > 0 && session.length; times--)
			damage();
		check_session("damaged session", i);
	}
}
END_TEST

/* ---- Out of the ordinary ----------------------------------------------------------------------- */

/* A session of one call for each side, which may be longer than SESSION_MAX. */
static size_t read_requests(struct http_connection *connection, const char *bytes, size_t length,
			    uint32_t *events, size_t *steps)
{
	struct http_chunk chunk;
	size_t taken = 0;

	*steps = 0;
	http_begin(connection, HTTP_REQUESTS, events);
	while (taken < length && !http_wants(connection, HTTP_REQUESTS)) {
		uint32_t position = 0,
			 part = (uint32_t)(length - taken < HTTP_CHUNK ? length - taken : HTTP_CHUNK);

		memcpy(&chunk, bytes + taken, part);
		for (; position < part; ++*steps)
			position = http_next(connection, HTTP_REQUESTS, &chunk, position, part, events);
		taken += part;
	}
	return taken;
}

START_TEST(a_request_line_of_a_megabyte)
{
	struct http_connection connection = {0};
	size_t length = 1 << 20, steps;
	char *line = malloc(length + 64);
	uint32_t events = 0;

	strcpy(line, "GET /");
	memset(line + 5, 'a', length - 5);
	strcpy(line + length, " HTTP/1.1\r\n\r\n");
	ck_assert_uint_eq(read_requests(&connection, line, length + 13, &events, &steps), length + 13);
	ck_assert_uint_eq(events, HTTP_BEGAN | HTTP_TARGET | HTTP_LINE | HTTP_HEAD_ENDED | HTTP_ENDED);
	ck_assert_uint_lt(steps, 2 * length / HTTP_CHUNK + 50);
	free(line);
}
END_TEST

START_TEST(garbage_ends_soon)
{
	static char garbage[4096];
	size_t steps;

	random_state = 5;
	for (int i = 0; i < 200000; i++) {
		struct http_connection connection = {.phase = (uint8_t)random_below(2)};
		uint32_t events = 0;

		for (size_t b = 0; b < 64; b += 8)
			*(uint64_t *)(garbage + b) = random_next();
		read_requests(&connection, garbage, 64, &events, &steps);
		must(!(events & HTTP_LINE));
		must(steps <= 64);
	}
}
END_TEST

static void feed(struct http_connection *connection, uint8_t side, const char *text, uint32_t *events)
{
	struct http_chunk chunk = {0};
	uint32_t length = (uint32_t)strlen(text), position = 0;

	must(length <= HTTP_CHUNK);
	memcpy(&chunk, text, length);
	http_begin(connection, side, events);
	while (position < length)
		position = http_next(connection, side, &chunk, position, length, events);
}

START_TEST(after_many_runs_it_is_no_http)
{
	struct http_connection connection = {0};
	uint32_t events = 0;

	for (int i = 0; i < HTTP_RUNS_MAX; i++) {
		ck_assert_uint_eq(connection.phase, HTTP_PHASE_UNDECIDED);
		feed(&connection, HTTP_REQUESTS, "SELECT 1;", &events);
		ck_assert_uint_eq(http_wants(&connection, HTTP_REQUESTS), HTTP_ALL);
		feed(&connection, HTTP_RESPONSES, "1", &events);
	}
	feed(&connection, HTTP_REQUESTS, "GET / HTTP/1.1\r\n\r\n", &events);
	ck_assert_uint_eq(connection.phase, HTTP_PHASE_NONE);
	ck_assert_uint_eq(events & (HTTP_LINE | HTTP_LOST), 0);
	ck_assert_uint_eq(http_wants(&connection, HTTP_RESPONSES), HTTP_ALL);
}
END_TEST

/* Gigabytes that nobody reads; then one byte too many. */
START_TEST(bodies_need_not_be_read)
{
	struct http_connection connection = {0};
	uint32_t events = 0;

	feed(&connection, HTTP_REQUESTS, "PUT / HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n", &events);
	ck_assert_uint_eq(http_wants(&connection, HTTP_REQUESTS), 1000000000000);
	http_skip(&connection, HTTP_REQUESTS, 999999999999, &events);
	ck_assert_uint_eq(http_wants(&connection, HTTP_REQUESTS), 1);
	ck_assert_uint_eq(events & HTTP_ENDED, 0);
	http_skip(&connection, HTTP_REQUESTS, 1, &events);
	ck_assert_uint_eq(events & HTTP_ENDED, HTTP_ENDED);
	events = 0;
	http_skip(&connection, HTTP_REQUESTS, 0, &events);
	ck_assert_uint_eq(connection.phase, HTTP_PHASE_FOLLOWED);
	http_skip(&connection, HTTP_REQUESTS, 1, &events);
	ck_assert_uint_eq(events, HTTP_LOST);
	ck_assert_uint_eq(connection.phase, HTTP_PHASE_LOST);
}
END_TEST

/* What was kept of a request is nothing to the one that takes its place. */
START_TEST(kinds_go_round)
{
	struct http_connection connection = {0};
	uint32_t events = 0;

	for (int i = 0; i < 5 * HTTP_KINDS; i++) {
		bool head = i % (HTTP_KINDS + 1) == 0;

		feed(&connection, HTTP_REQUESTS, head ? "HEAD / HTTP/1.1\n\n" : "GET / HTTP/1.1\n\n",
		     &events);
		events = 0;
		feed(&connection, HTTP_RESPONSES, "HTTP/1.1 200\nContent-Length: 1\n\n", &events);
		must(!(events & HTTP_ANSWERED) == !head);
		if (!head)
			feed(&connection, HTTP_RESPONSES, "x", &events);
		must(events & HTTP_ANSWERED);
	}
}
END_TEST

/* A part of a call could not be read. */
START_TEST(what_was_not_seen_is_not_guessed)
{
	struct http_connection connection = {0};
	uint32_t events = 0;

	/* While undecided it is but a run that is not known. */
	http_begin(&connection, HTTP_REQUESTS, &events);
	http_skip(&connection, HTTP_REQUESTS, 100, &events);
	feed(&connection, HTTP_RESPONSES, "HTTP/1.1 200 OK\r\n\r\n", &events);
	ck_assert_uint_eq(events, 0);
	feed(&connection, HTTP_REQUESTS, "GET / HTTP/1.1\r\n\r\n", &events);
	feed(&connection, HTTP_RESPONSES, "HTTP/1.1 200 OK\r\nContent-Length: 9", &events);
	events = 0;
	http_skip(&connection, HTTP_RESPONSES, 5, &events);
	ck_assert_uint_eq(events, HTTP_LOST);
	events = 0;
	feed(&connection, HTTP_RESPONSES, "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &events);
	feed(&connection, HTTP_REQUESTS, "GET / HTTP/1.1\r\n\r\n", &events);
	http_close(&connection, &events);
	ck_assert_uint_eq(events, 0);
}
END_TEST

/* Any number, as long as all are usual; the kinds of HTTP_KINDS. */
START_TEST(many_are_outstanding)
{
	for (int special = 0; special <= HTTP_KINDS + 1; special++) {
		struct http_connection connection = {0};
		uint32_t events = 0;
		int count = special < HTTP_KINDS ? HTTP_KINDS : 500;

		/* The numbers have gone round. */
		connection.requested = connection.answered = UINT32_MAX - 10;
		for (int i = 0; i < count; i++)
			feed(&connection, HTTP_REQUESTS,
			     i == special && special < HTTP_KINDS ? "HEAD / HTTP/1.1\n\n"
								  : "GET / HTTP/1.1\n\n",
			     &events);
		ck_assert_uint_eq(connection.phase, HTTP_PHASE_FOLLOWED);
		for (int i = 0; i < count; i++) {
			events = 0;
			feed(&connection, HTTP_RESPONSES, "HTTP/1.1 200\nContent-Length: 1\n\n", &events);
			must(!(events & HTTP_ANSWERED) == !(i == special && special < HTTP_KINDS));
			if (!(events & HTTP_ANSWERED))
				feed(&connection, HTTP_RESPONSES, "x", &events);
			must(events & HTTP_ANSWERED);
		}
		ck_assert_uint_eq(connection.requested, connection.answered);
		ck_assert_uint_eq(connection.phase, HTTP_PHASE_FOLLOWED);
	}
}
END_TEST

static const struct deep {
	int before; /* GETs outstanding */
	bool head;  /* the first is HEAD instead */
	const char *last;
	uint8_t phase;
} deep[] = {
    {31, false, "HEAD / HTTP/1.1\n\n", HTTP_PHASE_FOLLOWED},
    {32, false, "HEAD / HTTP/1.1\n\n", HTTP_PHASE_LOST},
    {32, false, "CONNECT / HTTP/1.1\n\n", HTTP_PHASE_LOST},
    {32, false, "GET / HTTP/1.1\n\n", HTTP_PHASE_FOLLOWED},
    {31, true, "GET / HTTP/1.1\n\n", HTTP_PHASE_FOLLOWED},
    {32, true, "GET / HTTP/1.1\n\n", HTTP_PHASE_LOST},
};

START_TEST(too_many_are_outstanding)
{
	const struct deep *d = &deep[_i];
	struct http_connection connection = {0};
	uint32_t events = 0;

	for (int i = 0; i < d->before; i++)
		feed(&connection, HTTP_REQUESTS, i || !d->head ? "GET / HTTP/1.1\n\n" : "HEAD / HTTP/1.1\n\n",
		     &events);
	events = 0;
	feed(&connection, HTTP_REQUESTS, d->last, &events);
	ck_assert_uint_eq(connection.phase, d->phase);
	ck_assert_int_eq(!(events & HTTP_LINE), d->phase == HTTP_PHASE_LOST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *texts = tcase_create("texts");
	TCase *many = tcase_create("many");
	TCase *odd = tcase_create("odd");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(texts, an_exchange_is_found, 0, COUNT(exchanges));
	tcase_add_loop_test(texts, cuts_change_nothing, 0, COUNT(exchanges));
	tcase_add_test(many, random_sessions);
	tcase_add_test(many, random_sessions_damaged);
	tcase_add_test(odd, a_request_line_of_a_megabyte);
	tcase_add_test(odd, garbage_ends_soon);
	tcase_add_test(odd, after_many_runs_it_is_no_http);
	tcase_add_test(odd, bodies_need_not_be_read);
	tcase_add_test(odd, kinds_go_round);
	tcase_add_test(odd, what_was_not_seen_is_not_guessed);
	tcase_add_test(odd, many_are_outstanding);
	tcase_add_loop_test(odd, too_many_are_outstanding, 0, COUNT(deep));
	tcase_set_timeout(texts, 60);
	tcase_set_timeout(many, 60);
	tcase_set_timeout(odd, 60);
	suite_add_tcase(suite, texts);
	suite_add_tcase(suite, many);
	suite_add_tcase(suite, odd);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
