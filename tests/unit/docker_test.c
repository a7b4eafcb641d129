/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Docker's names: from a fixture and files made wrong on purpose, and from a small server in place of the
 * daemon that answers well, badly, too much, or never.
 */
#include "../../common/runtimes.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tree.h"

#define FIXTURE "tests/fixtures/docker"
#define ID	"4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"
#define CONFIG	"containers/" ID "/config.v2.json"
#define OTHER	"b0b0c0ffee00112233445566778899aabbccddeeff0123456789abcdef012345"
#define MEBI	(1 << 20)

static struct tree tree;

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
}

static void tear_down(void)
{
	tree_close(&tree);
}

static struct identity container(const char *id)
{
	struct identity identity;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/docker/%s", id);
	identity_from_path(path, &identity);
	return identity;
}

/* On error, all is as container() made it. */
static void assert_untouched(const struct identity *identity, const struct identity *before)
{
	ck_assert_int_eq(identity->kind, before->kind);
	ck_assert_pstr_eq(identity->runtime, before->runtime);
	ck_assert_str_eq(identity->id, before->id);
	ck_assert_str_eq(identity->name, before->name);
	ck_assert_str_eq(identity->image, before->image);
	ck_assert_str_eq(identity->version, before->version);
	ck_assert_int_eq(identity->named, before->named);
}

static void assert_web(const struct identity *identity)
{
	ck_assert_int_eq(identity->kind, IDENTITY_CONTAINER);
	ck_assert_pstr_eq(identity->runtime, "docker");
	ck_assert_str_eq(identity->id, ID);
	ck_assert_str_eq(identity->name, "web-1");
	ck_assert_str_eq(identity->image, "registry.example.com:5000/team/web");
	ck_assert_str_eq(identity->version, "1.2");
	ck_assert_int_eq(identity->named, true);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

#define HEX_64	     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NAMED(image) "{\"Name\":\"/web\",\"Config\":{\"Image\":\"" image "\"}}"

static const struct {
	const char *json;
	const char *name, *image, *version; /* name NULL: refused */
} bodies[] = {
    /* Images */
    {NAMED("nginx"), "web", "nginx", ""},
    {NAMED("nginx:1.25"), "web", "nginx", "1.25"},
    {NAMED("team/nginx:1.25"), "web", "team/nginx", "1.25"},
    {NAMED("localhost:5000/nginx"), "web", "localhost:5000/nginx", ""},
    {NAMED("localhost:5000/nginx:1.25"), "web", "localhost:5000/nginx", "1.25"},
    {NAMED("nginx@sha256:" HEX_64), "web", "nginx", ""},
    {NAMED("nginx:1.25@sha256:" HEX_64), "web", "nginx", "1.25"},
    {NAMED("localhost:5000/nginx@sha256:" HEX_64), "web", "localhost:5000/nginx", ""},
    {NAMED("sha256:" HEX_64), "web", "sha256:" HEX_64, ""},
    {NAMED("0011223344"), "web", "0011223344", ""},
    {NAMED("nginx:"), "web", "nginx", ""},
    {NAMED(""), "web", "", ""},
    {NAMED(":"), "web", "", ""},
    {NAMED("@"), "web", "", ""},
    {NAMED("/"), "web", "/", ""},
    /* Named, but not more */
    {"{\"Name\":\"/web\"}", "web", "", ""},
    {"{\"Name\":\"/web\",\"Config\":null}", "web", "", ""},
    {"{\"Name\":\"/web\",\"Config\":{\"Image\":7}}", "web", "", ""},
    {"{\"Name\":\"/web\",\"Config\":[\"Image\"]}", "web", "", ""},
    {"{\"Name\":\"web\"}", "web", "", ""},
    {"{\"Name\":\"//web\"}", "/web", "", ""},
    {"{\"Name\":\"/a\\u0007\\u20ac\"}", "a_\xe2\x82\xac", "", ""},
    {"\xef\xbb\xbf {\"Name\":\"/web\"}\n", "web", "", ""},
    /* Refused */
    {"", NULL, NULL, NULL},
    {"not JSON", NULL, NULL, NULL},
    {"{\"Name\":\"/we", NULL, NULL, NULL},
    {"{\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx\"", NULL, NULL, NULL},
    {"{}", NULL, NULL, NULL},
    {"[]", NULL, NULL, NULL},
    {"[\"Name\",\"/web\"]", NULL, NULL, NULL},
    {"\"Name\"", NULL, NULL, NULL},
    {"null", NULL, NULL, NULL},
    {"7", NULL, NULL, NULL},
    {"{\"name\":\"/web\"}", NULL, NULL, NULL},
    {"{\"Name\":7}", NULL, NULL, NULL},
    {"{\"Name\":null}", NULL, NULL, NULL},
    {"{\"Name\":{\"Name\":\"/web\"}}", NULL, NULL, NULL},
    {"{\"Name\":\"\"}", NULL, NULL, NULL},
    {"{\"Name\":\"/\"}", NULL, NULL, NULL},
    {"{\"message\":\"No such container\"}", NULL, NULL, NULL},
};

START_TEST(a_body_is_read_or_refused)
{
	const struct identity before = container(ID);
	struct identity identity = before;
	int result = docker_name_from_json(bodies[_i].json, strlen(bodies[_i].json), &identity);

	if (!bodies[_i].name) {
		ck_assert_msg(result == -EINVAL, "%s: %d", bodies[_i].json, result);
		assert_untouched(&identity, &before);
		return;
	}
	ck_assert_msg(result == 0, "%s: %d", bodies[_i].json, result);
	ck_assert_str_eq(identity.name, bodies[_i].name);
	ck_assert_str_eq(identity.image, bodies[_i].image);
	ck_assert_str_eq(identity.version, bodies[_i].version);
	ck_assert_str_eq(identity.id, ID);
	ck_assert(identity.named);
}
END_TEST

START_TEST(only_the_given_length_is_read)
{
	static const char two[] = "{\"Name\":\"/web\"}{";
	struct identity identity = container(ID);

	ck_assert_int_eq(docker_name_from_json(two, strlen(two) - 1, &identity), 0);
	ck_assert_int_eq(docker_name_from_json(two, strlen(two) - 2, &identity), -EINVAL);
	ck_assert_int_eq(docker_name_from_json("", 0, &identity), -EINVAL);
}
END_TEST

START_TEST(a_long_name_is_cut_and_stays_apart)
{
	char json[2048], a[1001];
	struct identity one = container(ID), two = container(ID);

	memset(a, 'a', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	snprintf(json, sizeof(json), "{\"Name\":\"/1%s-end\"}", a);
	ck_assert_int_eq(docker_name_from_json(json, strlen(json), &one), 0);
	snprintf(json, sizeof(json), "{\"Name\":\"/2%s-end\"}", a);
	ck_assert_int_eq(docker_name_from_json(json, strlen(json), &two), 0);
	ck_assert_uint_eq(strlen(one.name), IDENTITY_NAME_MAX - 1);
	ck_assert_str_eq(one.name + IDENTITY_NAME_MAX - 5, "-end");
	ck_assert_str_ne(one.name, two.name);
}
END_TEST

START_TEST(an_unknown_runtime_becomes_docker)
{
	static const char json[] = "{\"Name\":\"/web\"}";
	struct identity identity;

	identity_from_path("/mine/" ID, &identity);
	ck_assert_ptr_null(identity.runtime);
	ck_assert_int_eq(docker_name_from_json(json, strlen(json), &identity), 0);
	ck_assert_pstr_eq(identity.runtime, "docker");
}
END_TEST

/* ---- Files -------------------------------------------------------------------------------------- */

START_TEST(the_fixture_is_read)
{
	struct identity identity = container(ID);

	ck_assert_int_eq(docker_name_from_file(FIXTURE, &identity), 0);
	assert_web(&identity);
}
END_TEST

START_TEST(every_truncated_fixture_is_refused)
{
	const struct identity before = container(ID);
	struct identity identity = before;
	FILE *file = fopen(FIXTURE "/" CONFIG, "r");
	char config[8192];
	size_t length;

	ck_assert_ptr_nonnull(file);
	length = fread(config, 1, sizeof(config), file);
	fclose(file);
	ck_assert_uint_gt(length, 1000);
	while (config[length - 1] != '}')
		length--;
	ck_assert_int_eq(docker_name_from_json(config, length, &identity), 0);
	identity = before;
	while (length-- > 0)
		ck_assert_int_eq(docker_name_from_json(config, length, &identity), -EINVAL);
	assert_untouched(&identity, &before);
}
END_TEST

static void assert_file_gives(int expected)
{
	const struct identity before = container(ID);
	struct identity identity = before;

	ck_assert_int_eq(docker_name_from_file(tree.root, &identity), expected);
	assert_untouched(&identity, &before);
}

START_TEST(files_that_are_not_there)
{
	struct identity other = container(OTHER);

	assert_file_gives(-ENOENT);
	ck_assert_int_eq(tree_write(&tree, "containers/" ID "/hostconfig.json", "{}"), 0);
	assert_file_gives(-ENOENT);
	ck_assert_int_eq(docker_name_from_file(FIXTURE, &other), -ENOENT);
	ck_assert_int_eq(docker_name_from_file("", &other), -ENOENT);
}
END_TEST

START_TEST(files_that_docker_did_not_write)
{
	ck_assert_int_eq(tree_write(&tree, CONFIG, ""), 0);
	assert_file_gives(-EINVAL);
	ck_assert_int_eq(tree_write(&tree, CONFIG,
				    "\x7f"
				    "ELF"),
			 0);
	assert_file_gives(-EINVAL);
	ck_assert_int_eq(tree_write(&tree, CONFIG, "{\"Name\":7}"), 0);
	assert_file_gives(-EINVAL);
	ck_assert_int_eq(tree_remove(&tree, CONFIG), 0);
	ck_assert_int_eq(tree_make_directory(&tree, CONFIG), 0);
	assert_file_gives(-EISDIR);
}
END_TEST

START_TEST(a_huge_file_is_refused)
{
	size_t length = 4 * MEBI + 1;
	char *huge = malloc(length + 1);
	struct identity identity = container(ID);

	ck_assert_ptr_nonnull(huge);
	memset(huge, ' ', length);
	huge[length] = '\0';
	memcpy(huge, "{\"Name\":\"/web\"}", 15);
	ck_assert_int_eq(tree_write(&tree, CONFIG, huge), 0);
	assert_file_gives(-EFBIG);
	huge[length - 1] = '\0';
	ck_assert_int_eq(tree_write(&tree, CONFIG, huge), 0);
	ck_assert_int_eq(docker_name_from_file(tree.root, &identity), 0);
	free(huge);
}
END_TEST

START_TEST(a_fifo_does_not_block)
{
	char path[PATH_MAX];

	ck_assert_int_eq(tree_make_directory(&tree, "containers/" ID), 0);
	snprintf(path, sizeof(path), "%s/" CONFIG, tree.root);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_file_gives(-EINVAL);
}
END_TEST

static const char *const bad_ids[] = {
    "",
    "..",
    "../" ID,
    "4f1c0de9a2b3",
    ID "0",
    ID "/..",
    "4F1C0DE9A2B37586FEDCBA98765432100123456789ABCDEF0F",
};

START_TEST(what_is_no_id_is_not_looked_up)
{
	struct identity identity = {.kind = IDENTITY_CONTAINER};

	snprintf(identity.id, sizeof(identity.id), "%s", bad_ids[_i]);
	ck_assert_int_eq(docker_name_from_file(FIXTURE, &identity), -EINVAL);
	ck_assert_int_eq(docker_name_from_socket("/nonexistent", 1000, &identity), -EINVAL);
}
END_TEST

START_TEST(a_root_too_long_is_refused)
{
	struct identity identity = container(ID);
	char root[PATH_MAX];

	memset(root, 'a', sizeof(root));
	root[sizeof(root) - 1] = '\0';
	ck_assert_int_eq(docker_name_from_file(root, &identity), -ENAMETOOLONG);
}
END_TEST

/* ---- The socket --------------------------------------------------------------------------------- */

/* A server for one request. */
struct server {
	const char *answer; /* NULL: none, until the other end gives up */
	size_t split;	    /* sends so many bytes at a time; 0: all at once */
	int pause_ms;	    /* between them */
	size_t repeat;	    /* sends the answer once and then so many spaces; for too much */
	bool deaf;	    /* closes without having read */
	char path[PATH_MAX];
	char request[1024]; /* what it was asked */
	int listener;
	pthread_t thread;
};

static bool send_piece(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, text, length, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		text += n;
		length -= (size_t)n;
	}
	return true;
}

static void send_answer(const struct server *server, int fd)
{
	static const char spaces[65536] = {[0 ... 65535] = ' '};
	size_t length = strlen(server->answer), sent, piece;

	for (sent = 0; sent < length; sent += piece) {
		piece = server->split && server->split < length - sent ? server->split : length - sent;
		if (!send_piece(fd, server->answer + sent, piece))
			return;
		poll(NULL, 0, server->pause_ms);
	}
	for (sent = 0; sent < server->repeat; sent += piece) {
		piece = sizeof(spaces) < server->repeat - sent ? sizeof(spaces) : server->repeat - sent;
		if (!send_piece(fd, spaces, piece))
			return;
	}
}

static void *serve(void *argument)
{
	struct server *server = argument;
	int fd = accept(server->listener, NULL, NULL);
	size_t length = 0;

	while (fd >= 0 && !server->deaf && !strstr(server->request, "\r\n\r\n")) {
		ssize_t n = read(fd, server->request + length, sizeof(server->request) - 1 - length);

		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (fd >= 0 && server->answer)
		send_answer(server, fd);
	else if (fd >= 0 && !server->deaf)
		poll(&(struct pollfd){.fd = fd, .events = POLLRDHUP}, 1, 10000);
	close(fd);
	return NULL;
}

static void server_start(struct server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(server->path, sizeof(server->path), "%s/docker.sock", tree.root);
	ck_assert_uint_lt(strlen(server->path), sizeof(address.sun_path));
	strcpy(address.sun_path, server->path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(server->listener, 0);
	ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(server->listener, 1), 0);
	ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
	pthread_join(server->thread, NULL);
	close(server->listener);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define OK "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n\r\n"
#define BODY \
	"{\"Id\":\"" ID \
	"\",\"Name\":\"/web-1\",\"Config\":{\"Image\":\"registry.example.com:5000/team/web:1.2\"}}\n"

static const struct {
	struct server server;
	int result;
} exchanges[] = {
    {{.answer = OK BODY}, 0},
    {{.answer = OK BODY, .split = 1}, 0},
    {{.answer = OK BODY, .split = 60, .pause_ms = 5}, 0},
    {{.answer = OK BODY, .repeat = 3 * MEBI}, 0},
    {{.answer = "HTTP/1.1 200 OK\r\n\r\n" BODY}, 0},
    {{.answer = OK BODY, .repeat = 5 * MEBI}, -EFBIG},
    {{.answer = "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container\"}"}, -ENOENT},
    {{.answer = "HTTP/1.0 500 Internal Server Error\r\n\r\n" BODY}, -EINVAL},
    {{.answer = "HTTP/1.0 301 Moved Permanently\r\nLocation: /\r\n\r\n"}, -EINVAL},
    {{.answer = "HTTP/1.0 2000 OK\r\n\r\n" BODY}, -EINVAL},
    {{.answer = "HTTP/1.0 20 OK\r\n\r\n" BODY}, -EINVAL},
    {{.answer = "HTTP/1.0  200 OK\r\n\r\n" BODY}, -EINVAL},
    {{.answer = "HTTP/2 200 OK\r\n\r\n" BODY}, -EINVAL},
    {{.answer = "SSH-2.0-OpenSSH_9.2\r\n\r\n" BODY}, -EINVAL},
    {{.answer = OK "<html></html>"}, -EINVAL},
    {{.answer = OK "{\"Name\":"}, -EINVAL},
    {{.answer = OK}, -EINVAL},
    {{.answer = "HTTP/1.0 200 OK\r\nApi-Ver"}, -EINVAL},
    {{.answer = "HTTP/1.0 2"}, -EINVAL},
    {{.answer = ""}, -EINVAL},
    /* In chunks, which we asked not to get. */
    {{.answer = OK "10c4\r\n" BODY "\r\n0\r\n\r\n"}, -EINVAL},
};

START_TEST(answers)
{
	const struct identity before = container(ID);
	struct server server = exchanges[_i].server;
	struct identity identity = before;
	int result;

	server_start(&server);
	result = docker_name_from_socket(server.path, 5000, &identity);
	server_stop(&server);
	ck_assert_msg(result == exchanges[_i].result, "%.40s…: %d, not %d", server.answer, result,
		      exchanges[_i].result);
	if (result)
		assert_untouched(&identity, &before);
	else
		assert_web(&identity);
	ck_assert_str_eq(server.request, "GET /containers/" ID "/json HTTP/1.0\r\nHost: docker\r\n\r\n");
}
END_TEST

START_TEST(one_who_hangs_up_unheard)
{
	struct server server = {.deaf = true};
	struct identity identity = container(ID);
	int result;

	server_start(&server);
	result = docker_name_from_socket(server.path, 5000, &identity);
	server_stop(&server);
	/* Which of the two ends is faster decides. */
	ck_assert_msg(result == -EPIPE || result == -ECONNRESET || result == -EINVAL, "%d", result);
}
END_TEST

/* Never, and too slowly: a byte from time to time does not prolong the wait. */
static const struct server slow[] = {
    {.answer = NULL},
    {.answer = OK BODY, .split = 1, .pause_ms = 20},
};

START_TEST(the_wait_ends_in_time)
{
	const struct identity before = container(ID);
	struct server server = slow[_i];
	struct identity identity = before;
	long began;

	server_start(&server);
	began = now_ms();
	ck_assert_int_eq(docker_name_from_socket(server.path, 200, &identity), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() - began, 199);
	ck_assert_int_lt(now_ms() - began, 1500);
	assert_untouched(&identity, &before);
	server_stop(&server);
}
END_TEST

START_TEST(no_time_at_all)
{
	struct server server = {.answer = NULL};
	struct identity identity = container(ID);

	server_start(&server);
	ck_assert_int_eq(docker_name_from_socket(server.path, 0, &identity), -ETIMEDOUT);
	server_stop(&server);
}
END_TEST

START_TEST(a_daemon_that_accepts_nobody)
{
	struct server server = {.answer = NULL};
	struct identity identity = container(ID);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	long began = now_ms();
	int result;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/docker.sock", tree.root);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(server.listener, 0), 0);
	/* The first has a place in the queue and waits there; without one, there is no wait. */
	result = docker_name_from_socket(address.sun_path, 100, &identity);
	ck_assert_int_eq(result, -ETIMEDOUT);
	result = docker_name_from_socket(address.sun_path, 100, &identity);
	ck_assert_msg(result == -EAGAIN || result == -ETIMEDOUT, "%d", result);
	ck_assert_int_lt(now_ms() - began, 1500);
	close(server.listener);
	ck_assert_int_eq(docker_name_from_socket(address.sun_path, 100, &identity), -ECONNREFUSED);
}
END_TEST

START_TEST(sockets_that_are_none)
{
	struct identity identity = container(ID);
	char path[PATH_MAX];

	ck_assert_int_eq(docker_name_from_socket("", 100, &identity), -ENOENT);
	snprintf(path, sizeof(path), "%s/none", tree.root);
	ck_assert_int_eq(docker_name_from_socket(path, 100, &identity), -ENOENT);
	ck_assert_int_eq(tree_write(&tree, "none", "a file"), 0);
	ck_assert_int_eq(docker_name_from_socket(path, 100, &identity), -ECONNREFUSED);
	memset(path, 'a', 200);
	path[200] = '\0';
	ck_assert_int_eq(docker_name_from_socket(path, 100, &identity), -ENAMETOOLONG);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table[0]))

static TCase *new_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("docker");
	TCase *json = new_case(suite, "json");
	TCase *files = new_case(suite, "files");
	TCase *sockets = new_case(suite, "sockets");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(json, a_body_is_read_or_refused, 0, ROWS(bodies));
	tcase_add_test(json, only_the_given_length_is_read);
	tcase_add_test(json, a_long_name_is_cut_and_stays_apart);
	tcase_add_test(json, an_unknown_runtime_becomes_docker);
	tcase_add_test(files, the_fixture_is_read);
	tcase_add_test(files, every_truncated_fixture_is_refused);
	tcase_add_test(files, files_that_are_not_there);
	tcase_add_test(files, files_that_docker_did_not_write);
	tcase_add_test(files, a_huge_file_is_refused);
	tcase_add_test(files, a_fifo_does_not_block);
	tcase_add_loop_test(files, what_is_no_id_is_not_looked_up, 0, ROWS(bad_ids));
	tcase_add_test(files, a_root_too_long_is_refused);
	tcase_add_loop_test(sockets, answers, 0, ROWS(exchanges));
	tcase_add_test(sockets, one_who_hangs_up_unheard);
	tcase_add_loop_test(sockets, the_wait_ends_in_time, 0, ROWS(slow));
	tcase_add_test(sockets, no_time_at_all);
	tcase_add_test(sockets, a_daemon_that_accepts_nobody);
	tcase_add_test(sockets, sockets_that_are_none);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
