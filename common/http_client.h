/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Asks a server for a document by HTTP or HTTPS. libcurl is loaded when it is first needed: a host where
 * nothing is asked needs none. May take as long as it is allowed to: not for threads that sample.
 */
#ifndef DEEPMON_HTTP_CLIENT_H
#define DEEPMON_HTTP_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct http_client;

struct http_client_request {
	const char *url;	/* http:// or https:// */
	const char *ca_file;	/* of the authority that the certificate is verified by; "": the host's own */
	const char *token_file; /* read each time, as tokens change; sent by HTTPS alone; "": none */
	int timeout_ms;
	size_t most; /* bytes of the answer */

	/* All NULL for a document that is got. */
	const char *post;	   /* what is sent, */
	const char *content_type;  /* which is of that type */
	const char *accept;	   /* the type that is asked for */
	const char *authorization; /* the value of that header, sent as it is, by HTTP too */
	/* Gets the answer as it comes, in place of one that is returned; another value than 0 ends it. */
	int (*take)(void *user, const char *bytes, size_t length);
	void *user;
};

/* -ENOSYS: there is no libcurl. -ENOMEM. */
int http_client_open(struct http_client **http);
/* Takes NULL. No request may be on its way. */
void http_client_close(struct http_client *http);

/* From any thread: ends a request that is on its way within a second, and all later ones at once. */
void http_client_stop(struct http_client *http);

/*
 * GETs a document, or POSTs one and gets its answer, to be freed, ended by NUL; with `take`, what is returned
 * of it, NULL, and 0 bytes, is none. Follows no redirection and uses no proxy. Its length, or:
 * -EINVAL no such URL, -EKEYREJECTED the certificate is not good, -EACCES status 401 or 403, -ENOENT 404,
 * -EPROTO any other but 200, -EFBIG longer than `most`, -ETIMEDOUT, -ECANCELED stopped, -ENOMEM, -EIO
 * anything else; or what `take` returned. What was the matter is in http_client_why, until the next request.
 */
long http_client_get(struct http_client *http, const struct http_client_request *request, char **answer);
const char *http_client_why(const struct http_client *http);
/* Of a status that is an error, with `take`: how the answer begins; else "". Until the next request. */
const char *http_client_refusal(const struct http_client *http);

#endif
