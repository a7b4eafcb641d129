/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Paths of requests (bpf/http_target.h): targets of every form, whole and folded, cut at every bound and
 * given in pieces of every size. Reads and writes nothing.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/http_target.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define UUID	  "123e4567-e89b-12d3-a456-426614174000"

static const struct path {
	const char *target, *kept, *folded; /* NULL: the same */
} paths[] = {
    {"/", "/", NULL},
    {"/index.html", "/index.html", NULL},
    {"/a/b/", "/a/b/", NULL},
    {"/a//b", "/a//b", NULL},
    /* What ends it */
    {"/a?b=/c/1", "/a", NULL},
    {"/?", "/", NULL},
    {"/a#b", "/a", NULL},
    {"/a b", "/a", NULL},
    {"?", "", NULL},
    /* Other forms of a target */
    {"http://host/a/b?c", "/a/b", NULL},
    {"http://host", "/", NULL},
    {"http://host?a", "/", NULL},
    {"https://u:p@[::1]:443//", "//", NULL},
    {"http:///a", "/a", NULL},
    {"http:/a", "http:/a", NULL},
    {"http:a", "http:a", NULL},
    {"http:", "http:", NULL},
    {"://a/b", "://a/b", NULL},
    {"a/b://c", "a/b://c", NULL},
    {"/a://b/c", "/a://b/c", NULL},
    {"host.example:443", "host.example:443", NULL},
    {"[2001:db8::1]:443", "[2001:db8::1]:443", NULL},
    {"10.0.0.1:443", "10.0.0.1:443", NULL},
    {"*", "*", NULL},
    {"\xff\x80\x7f", "\xff\x80\x7f", NULL},
    /* What is an id */
    {"/users/1234/orders/0f3a9c1d", "/users/1234/orders/0f3a9c1d", "/users/:id/orders/:id"},
    {"/1", "/1", "/:id"},
    {"/1/", "/1/", "/:id/"},
    {"/1?2", "/1", "/:id"},
    {"/" UUID, "/" UUID, "/:id"},
    {"/A/0123456789ABCDEF", "/A/0123456789ABCDEF", "/A/:id"},
    {"/2026-11-24/x", "/2026-11-24/x", "/:id/x"},
    {"http://10.0.0.1/7", "/7", "/:id"},
    {"http:/12", "http:/12", "http:/:id"},
    /* What is none */
    {"/v1/users", "/v1/users", NULL},
    {"/deadbeef/face", "/deadbeef/face", NULL},
    {"/0f3a", "/0f3a", NULL},
    {"/0f3a9c1", "/0f3a9c1", NULL},
    {"/12.5", "/12.5", NULL},
    {"/0123456789abcdefg", "/0123456789abcdefg", NULL},
    {"/---------", "/---------", NULL},
    {"1234", "1234", NULL},
    {"/:id", "/:id", NULL},
};

/* As BPF's programs do it, from chunks of so many bytes; the target begins anywhere in the first. */
static void read_target(struct http_target *target, const char *text, uint32_t piece, uint32_t most,
			bool fold)
{
	uint32_t begin = piece % 7, length = (uint32_t)strlen(text);
	struct http_chunk chunk;

	memset(target, 0xaa, sizeof(*target));
	http_target_begin(target, most, fold);
	for (uint32_t from = 0; from <= length; from += piece) {
		uint32_t size = length - from < piece ? length - from : piece;

		memset(&chunk, '/', sizeof(chunk));
		memcpy((char *)&chunk + begin, text + from, size);
		/* Behind it there is a space. */
		if (size < piece)
			((char *)&chunk)[begin + size++] = ' ';
		http_target_read(target, &chunk, begin, begin + size);
	}
	ck_assert_uint_eq(target->state, HTTP_TARGET_ENDED);
	http_target_finish(target);
}

static void expect_path(const struct http_target *target, const char *path, uint32_t most)
{
	size_t length = strlen(path) < most ? strlen(path) : most;

	ck_assert_uint_eq(target->length, length);
	ck_assert(!memcmp(target->path.bytes, path, length));
	for (size_t i = length; i < HTTP_PATH_ROOM; i++)
		ck_assert_uint_eq(target->path.bytes[i], 0);
	ck_assert_uint_eq(target->cut, strlen(path) > most);
}

START_TEST(a_path_is_found)
{
	const struct path *path = &paths[_i];
	struct http_target target;

	for (uint32_t piece = 1; piece < 60; piece++) {
		read_target(&target, path->target, piece, HTTP_PATH_MOST, false);
		expect_path(&target, path->kept, HTTP_PATH_MOST);
		read_target(&target, path->target, piece, HTTP_PATH_MOST, true);
		expect_path(&target, path->folded ? path->folded : path->kept, HTTP_PATH_MOST);
	}
}
END_TEST

START_TEST(a_path_is_cut)
{
	const struct path *path = &paths[_i];
	const char *folded = path->folded ? path->folded : path->kept;
	struct http_target target;

	for (uint32_t most = 0; most <= strlen(path->target) + 1; most++) {
		read_target(&target, path->target, 5, most, false);
		expect_path(&target, path->kept, most);
		read_target(&target, path->target, 5, most, true);
		expect_path(&target, folded, most);
	}
}
END_TEST

/* Past the room there is for it: an id is one whatever its length, and what is behind it is found. */
START_TEST(a_segment_is_folded_whole)
{
	char text[2000] = "/a/";
	struct http_target target;

	memset(text + 3, '7', 900);
	strcpy(text + 903, "/b");
	read_target(&target, text, 100, 16, true);
	expect_path(&target, "/a/:id/b", 16);
	text[902] = 'x';
	read_target(&target, text, 100, 16, true);
	expect_path(&target, text, 16);
	/* Cut for good, whatever may come. */
	strcpy(text + 903, "/1");
	read_target(&target, text, 100, 16, true);
	expect_path(&target, text, 16);
}
END_TEST

/* A head that is taken at once has its target behind the method. */
START_TEST(a_head_at_once)
{
	static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "OPTIONS", "CONNECT"};
	const uint32_t events = HTTP_BEGAN | HTTP_LINE | HTTP_HEAD_ENDED;

	for (size_t i = 0; i < COUNT(methods); i++) {
		struct http_target target = {.state = HTTP_TARGET_PATH, .length = 9};
		struct http_chunk chunk = {0};
		int length = sprintf((char *)&chunk, "%s /a/12?b HTTP/1.1\r\n\r\n", methods[i]);

		http_target_follow(&target, &chunk, 0, (uint32_t)length, events, 64, true);
		expect_path(&target, "/a/:id", 64);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_target");
	TCase *tests = tcase_create("paths");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(tests, a_path_is_found, 0, COUNT(paths));
	tcase_add_loop_test(tests, a_path_is_cut, 0, COUNT(paths));
	tcase_add_test(tests, a_segment_is_folded_whole);
	tcase_add_test(tests, a_head_at_once);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
