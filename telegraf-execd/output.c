/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Batches to a reader that is never waited for. The descriptor is left as it is: others may share it, so it
 * does not become a non-blocking one.
 */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int output_open(struct output *output, int fd)
{
	*output = (struct output){.fd = fd};
	output->stream = open_memstream(&output->bytes, &output->length);
	return output->stream ? 0 : -ENOMEM;
}

FILE *output_begin(struct output *output)
{
	rewind(output->stream);
	output->length = output->written = 0;
	return output->stream;
}

/* The stream's own account of an error: fflush tells of what it flushes alone, not of writes before it. */
int output_end(struct output *output)
{
	if (fflush(output->stream) || ferror(output->stream)) {
		clearerr(output->stream);
		output->length = 0;
		return -ENOMEM;
	}
	return output_write(output);
}

bool output_pending(const struct output *output)
{
	return output->written < output->length;
}

/* 1: it takes PIPE_BUF bytes without waiting, as a pipe does that has room at all. 0: not now. -errno. */
static int wait_for_room(const struct output *output, int milliseconds)
{
	struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
	int r = poll(&ready, 1, milliseconds);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (ready.revents & POLLNVAL)
		return -EBADF;
	if (ready.revents & (POLLERR | POLLHUP))
		return -EPIPE;
	return r > 0;
}

/* As much as goes without waiting. */
static int write_some(struct output *output)
{
	size_t rest = output->length - output->written;
	ssize_t length =
	    write(output->fd, output->bytes + output->written, rest > PIPE_BUF ? PIPE_BUF : rest);

	if (length < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	output->written += (size_t)length;
	return 0;
}

int output_write(struct output *output)
{
	int r = 1;

	while (r > 0 && output_pending(output)) {
		size_t before = output->written;

		r = wait_for_room(output, 0);
		if (r <= 0)
			break;
		r = write_some(output);
		if (r == 0)
			r = output->written > before;
	}
	return r < 0 ? r : 0;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int output_drain(struct output *output, int milliseconds)
{
	int64_t deadline = clock_ms() + milliseconds;

	while (output_pending(output)) {
		int64_t left = milliseconds < 0 ? -1 : deadline - clock_ms();
		int r;

		if (milliseconds >= 0 && left <= 0)
			return -ETIMEDOUT;
		r = wait_for_room(output, (int)left);
		if (r > 0)
			r = write_some(output);
		if (r < 0)
			return r;
	}
	return 0;
}

void output_close(struct output *output)
{
	if (output->stream)
		fclose(output->stream);
	free(output->bytes);
}
