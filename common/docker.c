/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What Docker calls a container, and its image: from the file that the daemon keeps, or from the daemon.
 * Reads only; whatever answers is not trusted to be short, quick or well-formed.
 */
#include "runtimes.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"
#include "file.h"

/*
 * No config is longer: what takes the most room in one are the arguments and the environment, which execve
 * bounds at 2 MiB together (a quarter of the usual stack), and JSON escapes at most double usual text.
 */
#define CONFIG_MOST (4 << 20)

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

/* ---- What Docker writes ------------------------------------------------------------------------- */

/* A container of Kubernetes through cri-dockerd, which tells of it by labels. */
static bool set_pod(struct identity *identity, const cJSON *labels)
{
	const char *type = runtime_string(labels, "io.kubernetes.docker.type");

	if (type && !strcmp(type, "podsandbox")) {
		identity_set_pause(identity);
		return true;
	}
	return runtime_set_pod(identity, "docker", runtime_string(labels, "io.kubernetes.pod.namespace"),
			       runtime_string(labels, "io.kubernetes.pod.name"),
			       runtime_string(labels, "io.kubernetes.container.name"));
}

int docker_name_from_json(const char *json, size_t length, struct identity *identity)
{
	cleanup_json cJSON *container = runtime_parse(json, length);
	const cJSON *config = cJSON_GetObjectItemCaseSensitive(container, "Config");
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(config, "Labels");
	const char *name = runtime_string(container, "Name");
	const char *image = runtime_string(config, "Image");

	if (name && *name == '/')
		name++;
	if (!name || !*name)
		return -EINVAL;
	if (!set_pod(identity, labels))
		runtime_set_name(identity, "docker", name);
	if (identity->kind != IDENTITY_CONTAINER)
		return 0;
	runtime_set_image(identity, image ? image : "");
	runtime_set_labels(identity, labels);
	return 0;
}

/* ---- The file ----------------------------------------------------------------------------------- */

static bool has_docker_id(const struct identity *identity)
{
	return identity_is_id(identity->id, strnlen(identity->id, sizeof(identity->id)));
}

int docker_name_from_file(const char *docker_root, struct identity *identity)
{
	cleanup_free char *config = NULL;
	long length;

	/* Also so that the id names one directory and leads nowhere else. */
	if (!has_docker_id(identity))
		return -EINVAL;
	length =
	    runtime_read(CONFIG_MOST, &config, "%s/containers/%s/config.v2.json", docker_root, identity->id);
	if (length < 0)
		return (int)length;
	return docker_name_from_json(config, (size_t)length, identity);
}

int docker_name_from_home(const char *host_root, struct identity *identity)
{
	cleanup_free char *config = NULL;
	cleanup_close int fd = -1;
	char path[256];
	long length;

	if (!has_docker_id(identity))
		return -EINVAL;
	snprintf(path, sizeof(path), ".local/share/docker/containers/%s/config.v2.json", identity->id);
	fd = runtime_open_home(host_root, identity->user, path);
	length = file_read_open(fd, CONFIG_MOST, &config);
	return length < 0 ? (int)length : docker_name_from_json(config, (size_t)length, identity);
}

/* ---- The socket --------------------------------------------------------------------------------- */

/* Waits until the socket is ready. 0, -ETIMEDOUT or what poll gave. */
static int wait_for(int fd, short events, long long deadline_ns)
{
	struct pollfd wanted = {.fd = fd, .events = events};

	for (;;) {
		long long left_ns = deadline_ns - (long long)clock_ns(CLOCK_MONOTONIC);
		struct timespec left = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
		int n;

		if (left_ns <= 0)
			return -ETIMEDOUT;
		n = ppoll(&wanted, 1, &left, NULL);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* Never waits: on a Unix socket there is room for us in the daemon's queue, or there is -EAGAIN. */
static int connect_to(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_close int fd = -1;
	size_t length = strlen(socket_path);
	int connected;

	if (length == 0)
		return -ENOENT;
	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, length);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	connected = fd;
	fd = -1;
	return connected;
}

static int send_all(int fd, const char *text, size_t length, long long deadline_ns)
{
	while (length > 0) {
		ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
		int error;

		if (n >= 0) {
			text += n;
			length -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		error = wait_for(fd, POLLOUT, deadline_ns);
		if (error)
			return error;
	}
	return 0;
}

/* Receives up to size bytes. How many, 0 at the end, or -errno. */
static long receive(int fd, char *buffer, size_t size, long long deadline_ns)
{
	for (;;) {
		/* Before each piece, so that one who sends without end does not hold us either. */
		int error = wait_for(fd, POLLIN, deadline_ns);
		ssize_t n;

		if (error)
			return error;
		n = recv(fd, buffer, size, 0);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

/* Receives until the other end closes. The length, or -errno; -EFBIG: longer than `most`. */
static long receive_all(int fd, size_t most, char **answer, long long deadline_ns)
{
	cleanup_free char *buffer = NULL;
	size_t size = 0, length = 0;

	for (;;) {
		long n;

		if (length == size) {
			char *larger;

			if (size > most)
				return -EFBIG;
			size = size ? size * 2 : 16384;
			if (size > most)
				size = most + 1;
			larger = realloc(buffer, size);
			if (!larger)
				return -ENOMEM;
			buffer = larger;
		}
		n = receive(fd, buffer + length, size - length, deadline_ns);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*answer = buffer;
	buffer = NULL;
	return (long)length;
}

/* The three digits in "HTTP/1.1 200 OK"; 0: it is no HTTP answer. */
static int http_status(const char *answer, size_t length)
{
	static const char protocol[] = "HTTP/1.";
	const size_t at = strlen(protocol) + 2;
	int status = 0;

	if (length < at + 4 || memcmp(answer, protocol, strlen(protocol)) || answer[at - 1] != ' ')
		return 0;
	for (size_t i = at; i < at + 3; i++) {
		if (answer[i] < '0' || answer[i] > '9')
			return 0;
		status = status * 10 + answer[i] - '0';
	}
	return answer[at + 3] == ' ' || answer[at + 3] == '\r' ? status : 0;
}

int docker_name_from_answer(const char *answer, size_t length, struct identity *identity)
{
	int status = http_status(answer, length);
	const char *body;

	if (status == 404)
		return -ENOENT;
	if (status != 200)
		return -EINVAL;
	body = memmem(answer, length, "\r\n\r\n", 4);
	if (!body)
		return -EINVAL;
	body += 4;
	return docker_name_from_json(body, (size_t)(answer + length - body), identity);
}

int docker_name_from_socket(const char *socket_path, int timeout_ms, struct identity *identity)
{
	const long long deadline_ns = (long long)clock_ns(CLOCK_MONOTONIC) + timeout_ms * NS_PER_MS;
	cleanup_close int fd = -1;
	cleanup_free char *answer = NULL;
	char request[256];
	long length;
	int error;

	if (!has_docker_id(identity))
		return -EINVAL;
	fd = connect_to(socket_path);
	if (fd < 0)
		return fd;
	/* HTTP/1.0: the daemon closes after the answer and does not send it in chunks. */
	length = snprintf(request, sizeof(request),
			  "GET /containers/%s/json HTTP/1.0\r\nHost: docker\r\n\r\n", identity->id);
	error = send_all(fd, request, (size_t)length, deadline_ns);
	if (error)
		return error;
	length = receive_all(fd, CONFIG_MOST, &answer, deadline_ns);
	if (length < 0)
		return (int)length;
	return docker_name_from_answer(answer, (size_t)length, identity);
}
