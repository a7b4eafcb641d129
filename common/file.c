/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reading other people's files.
 */
#include "file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

void file_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void file_free(void *pointer_to_pointer)
{
	void **pointer = pointer_to_pointer;

	free(*pointer);
	*pointer = NULL;
}

/* Reads up to size bytes; fewer only at the end of the file. */
static long read_up_to(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (long)length;
}

int file_open(int dirfd, const char *path)
{
	/* O_NONBLOCK: a FIFO in place of the file must not hold us up. */
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

long file_read(int dirfd, const char *path, char *buffer, size_t size)
{
	cleanup_close int fd = file_open(dirfd, path);

	if (fd < 0)
		return fd;

	long length = read_up_to(fd, buffer, size);

	if (length < 0)
		return length;
	if ((size_t)length == size)
		return -EFBIG;
	buffer[length] = '\0';
	return length;
}

long file_read_new(int dirfd, const char *path, size_t most, char **contents)
{
	cleanup_close int fd = file_open(dirfd, path);

	return file_read_open(fd, most, contents);
}

long file_read_open(int fd, size_t most, char **contents)
{
	size_t size = 4096 < most + 1 ? 4096 : most + 1;
	size_t length = 0;
	cleanup_free char *buffer = NULL;

	if (fd < 0)
		return fd;
	for (;;) {
		char *larger = realloc(buffer, size);

		if (!larger)
			return -ENOMEM;
		buffer = larger;

		long n = read_up_to(fd, buffer + length, size - length);

		if (n < 0)
			return n;
		length += (size_t)n;
		if (length < size)
			break;
		if (length > most)
			return -EFBIG;
		size = size * 2 < most + 1 ? size * 2 : most + 1;
	}
	buffer[length] = '\0';
	*contents = buffer;
	buffer = NULL;
	return (long)length;
}

int parse_u64(const char *text, uint64_t *value)
{
	uint64_t number = 0;
	const char *c = text;

	if (*c < '0' || *c > '9')
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*c - '0'), &number))
			return -ERANGE;
	while (*c == ' ' || *c == '\n' || *c == '\t')
		c++;
	if (*c)
		return -EINVAL;
	*value = number;
	return 0;
}

int parse_double(const char *text, double *value)
{
	static locale_t c_locale;
	char *end = NULL;

	if (!c_locale)
		c_locale = newlocale(LC_ALL_MASK, "C", NULL);
	if (!c_locale || !*text || isspace((unsigned char)*text))
		return -EINVAL;
	*value = strtod_l(text, &end, c_locale);
	return *end || !isfinite(*value) ? -EINVAL : 0;
}

int file_read_u64(int dirfd, const char *path, uint64_t *value)
{
	char text[32];
	long length = file_read(dirfd, path, text, sizeof(text));

	if (length < 0)
		return (int)length;
	return parse_u64(text, value);
}
