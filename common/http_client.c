/* SPDX-License-Identifier: GPL-3.0-only
 *
 * HTTP by way of libcurl.
 */
#include "http_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

#define TOKEN_MOST   65536
#define REFUSAL_MOST 1024 /* bytes of what a server says of an error */

/* What of libcurl is used. */
#define FUNCTIONS(X) \
	X(global_init, CURLcode (*)(long)) \
	X(easy_init, CURL *(*)(void)) \
	X(easy_reset, void (*)(CURL *)) \
	X(easy_setopt, CURLcode (*)(CURL *, CURLoption, ...)) \
	X(easy_perform, CURLcode (*)(CURL *)) \
	X(easy_getinfo, CURLcode (*)(CURL *, CURLINFO, ...)) \
	X(easy_cleanup, void (*)(CURL *)) \
	X(easy_strerror, const char *(*)(CURLcode)) \
	X(slist_append, struct curl_slist *(*)(struct curl_slist *, const char *)) \
	X(slist_free_all, void (*)(struct curl_slist *))

#define MEMBER(name, type) __typeof__((type)0) name;
static struct {
	FUNCTIONS(MEMBER)
} library;

struct http_client {
	CURL *curl;
	atomic_bool stopping;
	char error[CURL_ERROR_SIZE];
	char why[CURL_ERROR_SIZE + 64];
	char refusal[REFUSAL_MOST];
};

/* ---- The library -------------------------------------------------------------------------------- */

/* Of one of the two that distributions have, which differ by who does TLS for them. It stays. */
static bool load(void)
{
	static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
	bool all = false;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !all; i++) {
		void *object = dlopen(files[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

		all = object;
#define LOAD(name, type) \
	if (all) { \
		*(void **)&library.name = dlsym(object, "curl_" #name); \
		all = library.name; \
	}
		FUNCTIONS(LOAD)
	}
	return all && library.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static bool loaded;

static void load_once(void)
{
	loaded = load();
}

int http_client_open(struct http_client **opened)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *http;

	pthread_once(&once, load_once);
	if (!loaded)
		return -ENOSYS;
	http = calloc(1, sizeof(*http));
	if (!http)
		return -ENOMEM;
	http->curl = library.easy_init();
	if (!http->curl) {
		free(http);
		return -ENOMEM;
	}
	*opened = http;
	return 0;
}

void http_client_close(struct http_client *http)
{
	if (!http)
		return;
	library.easy_cleanup(http->curl);
	free(http);
}

void http_client_stop(struct http_client *http)
{
	atomic_store(&http->stopping, true);
}

const char *http_client_why(const struct http_client *http)
{
	return http->why;
}

const char *http_client_refusal(const struct http_client *http)
{
	return http->refusal;
}

/* ---- The answer --------------------------------------------------------------------------------- */

struct answer {
	struct http_client *http;
	const struct http_client_request *request;
	char *bytes;
	size_t length, size, most;
	bool too_long;
	int taken; /* what `take` returned */
};

/* Hands it on; but what is said of an error is kept, as far as there is room. */
static size_t hand_on(char *bytes, size_t one, size_t count, void *user)
{
	struct answer *answer = user;
	size_t length = one * count, room;
	long status = 0;

	library.easy_getinfo(answer->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		room = sizeof(answer->http->refusal) - 1 - answer->length;
		room = room < length ? room : length;
		memcpy(answer->http->refusal + answer->length, bytes, room);
		answer->length += room;
		answer->http->refusal[answer->length] = '\0';
		return length;
	}
	answer->too_long = length > answer->most - answer->length;
	if (answer->too_long)
		return 0;
	answer->length += length;
	answer->taken = answer->request->take(answer->request->user, bytes, length);
	return answer->taken ? 0 : length;
}

static size_t receive(char *bytes, size_t one, size_t count, void *user)
{
	struct answer *answer = user;
	size_t length = one * count, needed = answer->length + length + 1;

	answer->too_long = length > answer->most - answer->length;
	if (answer->too_long)
		return 0;
	if (needed > answer->size) {
		size_t size = answer->size * 2 > needed ? answer->size * 2 : needed;
		char *larger = realloc(answer->bytes, size);

		if (!larger)
			return 0;
		answer->bytes = larger;
		answer->size = size;
	}
	memcpy(answer->bytes + answer->length, bytes, length);
	answer->length += length;
	return length;
}

/* libcurl calls it each second at least. */
static int look_whether_to_stop(void *user, curl_off_t download, curl_off_t downloaded, curl_off_t upload,
				curl_off_t uploaded)
{
	(void)download, (void)downloaded, (void)upload, (void)uploaded;
	return atomic_load(&((struct http_client *)user)->stopping);
}

/* ---- The request -------------------------------------------------------------------------------- */

static bool is_https(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

/* A header, if it has a value. -ENOMEM. */
static int add_header(struct curl_slist **headers, const char *name, const char *value)
{
	size_t size = value ? strlen(name) + strlen(value) + 3 : 0;
	cleanup_free char *line = value ? malloc(size) : NULL;
	struct curl_slist *added;

	if (!value)
		return 0;
	if (!line)
		return -ENOMEM;
	snprintf(line, size, "%s: %s", name, value);
	added = library.slist_append(*headers, line);
	explicit_bzero(line, size);
	if (!added)
		return -ENOMEM;
	*headers = added;
	return 0;
}

/* "Authorization: Bearer TOKEN". Without a token that can be read the server is asked as nobody. */
static int add_token(const char *file, struct curl_slist **headers)
{
	static const char bearer[] = "Bearer ";
	cleanup_free char *token = NULL, *value = NULL;
	long length = *file ? file_read_new(AT_FDCWD, file, TOKEN_MOST, &token) : -ENOENT;
	int r;

	if (length <= 0)
		return length == -ENOMEM ? -ENOMEM : 0;
	while (length > 0 && isspace((unsigned char)token[length - 1]))
		length--;
	token[length] = '\0';
	for (const char *c = token; *c; c++)
		if (!isgraph((unsigned char)*c))
			return 0;
	value = malloc(sizeof(bearer) + (size_t)length);
	if (value)
		strcpy(stpcpy(value, bearer), token);
	r = value ? add_header(headers, "Authorization", value) : -ENOMEM;
	explicit_bzero(token, (size_t)length);
	if (value)
		explicit_bzero(value, strlen(value));
	return r;
}

static void set_up(struct http_client *http, const struct http_client_request *request, struct answer *answer)
{
	CURL *curl = http->curl;

	/* Connections are kept. */
	library.easy_reset(curl);
	library.easy_setopt(curl, CURLOPT_URL, request->url);
	library.easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	library.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name server that hangs does not hold up the end. */
	library.easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
	library.easy_setopt(curl, CURLOPT_PROXY, "");
	library.easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	library.easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	library.easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (*request->ca_file)
		library.easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
	library.easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	library.easy_setopt(curl, CURLOPT_USERAGENT, "deepmon");
	library.easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error);
	if (request->post)
		library.easy_setopt(curl, CURLOPT_POSTFIELDS, request->post);
	library.easy_setopt(curl, CURLOPT_WRITEFUNCTION, request->take ? hand_on : receive);
	library.easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	library.easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	library.easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_whether_to_stop);
	library.easy_setopt(curl, CURLOPT_XFERINFODATA, http);
}

static int error_of(CURLcode code, const struct answer *answer)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return -EKEYREJECTED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_WRITE_ERROR:
		if (answer->taken)
			return answer->taken;
		return answer->too_long ? -EFBIG : -ENOMEM;
	default:
		return -EIO;
	}
}

static int error_of_status(long status)
{
	if (status == 200)
		return 0;
	if (status == 401 || status == 403)
		return -EACCES;
	return status == 404 ? -ENOENT : -EPROTO;
}

static int perform(struct http_client *http, const struct http_client_request *request, struct answer *answer)
{
	struct curl_slist *headers = NULL;
	long status = 0;
	CURLcode code;
	int r = 0;

	set_up(http, request, answer);
	http->error[0] = '\0';
	http->refusal[0] = '\0';
	if (is_https(request->url))
		r = add_token(request->token_file, &headers);
	r = r ? r : add_header(&headers, "Content-Type", request->content_type);
	r = r ? r : add_header(&headers, "Accept", request->accept);
	r = r ? r : add_header(&headers, "Authorization", request->authorization);
	if (r) {
		library.slist_free_all(headers);
		return r;
	}
	library.easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	code = library.easy_perform(http->curl);
	library.slist_free_all(headers);
	r = error_of(code, answer);
	if (r == -EFBIG)
		snprintf(http->why, sizeof(http->why), "the answer is longer than %zu bytes", answer->most);
	else if (r)
		snprintf(http->why, sizeof(http->why), "%s",
			 *http->error ? http->error : library.easy_strerror(code));
	if (r)
		return r;
	library.easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
	r = error_of_status(status);
	if (r)
		snprintf(http->why, sizeof(http->why), "HTTP status %ld", status);
	return r;
}

long http_client_get(struct http_client *http, const struct http_client_request *request, char **got)
{
	struct answer answer = {.http = http, .request = request, .most = request->most};
	int r;

	strcpy(http->why, strerror(ENOMEM));
	if (strncasecmp(request->url, "http://", 7) != 0 && !is_https(request->url)) {
		strcpy(http->why, "it begins with neither http:// nor https://");
		return -EINVAL;
	}
	answer.bytes = calloc(1, 1);
	answer.size = 1;
	r = answer.bytes ? perform(http, request, &answer) : -ENOMEM;
	if (r) {
		free(answer.bytes);
		return r;
	}
	if (request->take) {
		free(answer.bytes);
		*got = NULL;
		return 0;
	}
	answer.bytes[answer.length] = '\0';
	*got = answer.bytes;
	return (long)answer.length;
}
