/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Questions by HTTP, in the words of either API.
 */
#include "influx_ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define LINE_MOST (16u << 20) /* bytes of one line of an answer: of a server that sends it all in one */

/* ---- Texts -------------------------------------------------------------------------------------- */

/* As a part of a URL or of a form. */
static void write_encoded(FILE *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			fputc(*text, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*text);
	}
}

static void write_base64(FILE *out, const char *text, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		unsigned bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < length ? (unsigned char)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			fputc(i + j <= length ? digits[bits >> (18 - 6 * j) & 63] : '=', out);
	}
}

/* Made by `write`; NULL: out of memory. */
static char *make_text(void (*write)(FILE *out, const void *what), const void *what)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	write(out, what);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void write_url(FILE *out, const void *what)
{
	const struct influx_settings *settings = what;
	size_t length = strlen(settings->url);

	while (length && settings->url[length - 1] == '/')
		length--;
	fprintf(out, "%.*s", (int)length, settings->url);
	if (!*settings->organisation) {
		fputs("/query", out);
		return;
	}
	fputs("/api/v2/query?org=", out);
	write_encoded(out, settings->organisation);
}

static void write_authorization(FILE *out, const void *what)
{
	const struct influx_settings *settings = what;
	char *both = NULL;
	int length;

	if (*settings->token) {
		fprintf(out, "Token %s", settings->token);
		return;
	}
	length = asprintf(&both, "%s:%s", settings->user, settings->password);
	if (length < 0)
		return;
	fputs("Basic ", out);
	write_base64(out, both, (size_t)length);
	explicit_bzero(both, (size_t)length);
	free(both);
}

struct question {
	const struct influx_server *server;
	const char *query;
};

static void write_form(FILE *out, const void *what)
{
	const struct question *question = what;

	fputs("chunked=true&db=", out);
	write_encoded(out, question->server->database);
	fputs("&q=", out);
	write_encoded(out, question->query);
}

static void write_json(FILE *out, const void *what)
{
	const struct question *question = what;
	static const char *const annotations[] = {"datatype", "group", "default"};
	cJSON *root = cJSON_CreateObject(), *dialect;
	char *text;

	cJSON_AddStringToObject(root, "query", question->query);
	cJSON_AddStringToObject(root, "type", "flux");
	dialect = cJSON_AddObjectToObject(root, "dialect");
	cJSON_AddBoolToObject(dialect, "header", true);
	cJSON_AddItemToObject(
	    dialect, "annotations",
	    cJSON_CreateStringArray(annotations, sizeof(annotations) / sizeof(*annotations)));
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (text)
		fputs(text, out);
	free(text);
}

/* ---- The server --------------------------------------------------------------------------------- */

static int complain(struct influx_server *server, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(struct influx_server *server, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(server->why, sizeof(server->why), format, arguments);
	va_end(arguments);
	return error;
}

/* A header ends at the first of these. */
static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return false;
	return true;
}

int influx_server_open(struct influx_server *server, const struct influx_settings *settings)
{
	bool anonymous = !*settings->token && !*settings->user;
	int r;

	*server = (struct influx_server){.api = *settings->organisation ? INFLUX_FLUX : INFLUX_QL,
					 .timeout_ms = (int)(settings->timeout * 1000),
					 .answer_most = (size_t)(settings->answer_mebibytes * 1048576)};
	if (strncasecmp(settings->url, "http://", 7) != 0 && strncasecmp(settings->url, "https://", 8) != 0)
		return complain(server, -EINVAL, "%.128s: it begins with neither http:// nor https://",
				settings->url);
	if (!is_one_line(settings->url) || !is_one_line(settings->token))
		return complain(server, -EINVAL, "a URL and a token have no line ends");
	server->url = make_text(write_url, settings);
	server->database = strdup(settings->database);
	server->ca_file = strdup(settings->ca_file);
	if (!anonymous)
		server->authorization = make_text(write_authorization, settings);
	if (!server->url || !server->database || !server->ca_file || (!anonymous && !server->authorization))
		return complain(server, -ENOMEM, "%s", strerror(ENOMEM));
	r = http_client_open(&server->http);
	if (r)
		complain(server, r, r == -ENOSYS ? "there is no libcurl (Debian package libcurl4)" : "%s",
			 strerror(-r));
	return r;
}

void influx_server_close(struct influx_server *server)
{
	http_client_close(server->http);
	free(server->url);
	free(server->database);
	if (server->authorization)
		explicit_bzero(server->authorization, strlen(server->authorization));
	free(server->authorization);
	free(server->ca_file);
}

/* ---- Asking ------------------------------------------------------------------------------------- */

static int take_series(void *user, const struct influx_series *series)
{
	return influx_rows_take(user, series);
}

static int take_bytes(void *user, const char *bytes, size_t length)
{
	return influx_reader_feed(user, bytes, length);
}

/* In the words of whoever failed: the server by its status, the answer, or the way there. */
static void tell(struct influx_server *server, const struct influx_reader *reader, int error)
{
	char refusal[INFLUX_WHY_MAX];

	influx_message(http_client_refusal(server->http), refusal, sizeof(refusal));
	if (*refusal)
		complain(server, error, "%s: %.200s", http_client_why(server->http), refusal);
	else if (*influx_reader_why(reader))
		complain(server, error, "%s", influx_reader_why(reader));
	else
		complain(server, error, "%s", http_client_why(server->http));
}

int influx_server_ask(struct influx_server *server, const char *query, struct influx_rows *rows)
{
	const bool flux = server->api == INFLUX_FLUX;
	const struct question question = {server, query};
	char *body = make_text(flux ? write_json : write_form, &question), *answer = NULL;
	const struct influx_reader_settings settings = {
	    .api = server->api, .take = take_series, .user = rows, .line_most = LINE_MOST};
	struct influx_reader *reader = NULL;
	long r = body ? influx_reader_open(&reader, &settings) : -ENOMEM;
	struct http_client_request request = {
	    .url = server->url,
	    .ca_file = server->ca_file,
	    .token_file = "",
	    .timeout_ms = server->timeout_ms,
	    .most = server->answer_most,
	    .post = body,
	    .content_type = flux ? "application/json" : "application/x-www-form-urlencoded",
	    .accept = flux ? "application/csv" : "application/json",
	    .authorization = server->authorization,
	    .take = take_bytes,
	    .user = reader,
	};

	if (!r) {
		r = http_client_get(server->http, &request, &answer);
		r = r ? r : influx_reader_end(reader);
		if (r)
			tell(server, reader, (int)r);
	} else {
		complain(server, (int)r, "%s", strerror(ENOMEM));
	}
	influx_reader_close(reader);
	free(body);
	return (int)r;
}
