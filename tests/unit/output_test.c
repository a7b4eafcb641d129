/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Batches through a pipe whose reader reads, is slow, or is gone: whatever the size of a batch, as errors of
 * buffered output depend on it.
 */
#include "../../telegraf-execd/output.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* About the buffers of stdio, of a page and of a pipe. */
static const size_t sizes[] = {1, 100, 4095, 4096, 4097, 5000, 65535, 65536, 65537, 300000};

static int pipe_fds[2];
static struct output output;

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(output_open(&output, pipe_fds[1]), 0);
}

static void tear_down(void)
{
	output_close(&output);
	close(pipe_fds[1]);
	if (pipe_fds[0] >= 0)
		close(pipe_fds[0]);
}

static void close_reader(void)
{
	close(pipe_fds[0]);
	pipe_fds[0] = -1;
}

/* Each byte tells where it is. */
static char byte_at(size_t index)
{
	return (char)('a' + index % 23);
}

static int put(size_t size)
{
	FILE *stream = output_begin(&output);

	for (size_t i = 0; i < size; i++)
		fputc(byte_at(i), stream);
	return output_end(&output);
}

/* Reads what is there, from that place of the batch on. */
static size_t take(size_t from)
{
	char bytes[4096];
	ssize_t length;

	while ((length = read(pipe_fds[0], bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < length; i++)
			if (bytes[i] != byte_at(from++))
				ck_abort_msg("byte %zu of the batch is another", from - 1);
	return from;
}

START_TEST(a_batch_arrives_whole)
{
	for (int batch = 0; batch < 3; batch++) {
		size_t taken = 0;

		ck_assert_int_eq(put(sizes[_i]), 0);
		while (output_pending(&output)) {
			size_t before = taken;

			taken = take(taken);
			ck_assert_uint_gt(taken, before);
			ck_assert_int_eq(output_write(&output), 0);
		}
		ck_assert_uint_eq(take(taken), sizes[_i]);
	}
}
END_TEST

START_TEST(a_reader_that_is_gone_is_noticed)
{
	close_reader();
	for (int batch = 0; batch < 2; batch++)
		ck_assert_int_eq(put(sizes[_i]), -EPIPE);
}
END_TEST

START_TEST(a_reader_that_goes_in_the_midst_is_noticed)
{
	ck_assert_int_eq(put(300000), 0);
	ck_assert(output_pending(&output));
	close_reader();
	ck_assert_int_eq(output_write(&output), -EPIPE);
	ck_assert_int_eq(output_drain(&output, -1), -EPIPE);
}
END_TEST

START_TEST(a_reader_that_does_not_read_is_not_waited_for)
{
	ck_assert_int_eq(put(300000), 0);
	ck_assert(output_pending(&output));
	ck_assert_int_eq(output_write(&output), 0);
	ck_assert(output_pending(&output));
	ck_assert_int_eq(output_drain(&output, 10), -ETIMEDOUT);
	/* What was not read is dropped by the next, if that is wanted. */
	take(0);
	ck_assert_int_eq(put(10), 0);
	ck_assert(!output_pending(&output));
	ck_assert_uint_eq(take(0), 10);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
	struct output full;

	ck_assert_int_eq(output_open(&full, open("/dev/full", O_WRONLY | O_CLOEXEC)), 0);
	for (size_t i = 0; i < sizes[_i]; i++)
		fputc('a', i ? full.stream : output_begin(&full));
	ck_assert_int_eq(output_end(&full), -ENOSPC);
	close(full.fd);
	output_close(&full);
}
END_TEST

START_TEST(a_descriptor_that_is_closed_is_an_error)
{
	struct output closed;

	ck_assert_int_eq(output_open(&closed, 1000), 0);
	fputc('a', output_begin(&closed));
	ck_assert_int_eq(output_end(&closed), -EBADF);
	output_close(&closed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output");
	TCase *batch = tcase_create("batch");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(batch, set_up, tear_down);
	tcase_add_loop_test(batch, a_batch_arrives_whole, 0, COUNT(sizes));
	tcase_add_loop_test(batch, a_reader_that_is_gone_is_noticed, 0, COUNT(sizes));
	tcase_add_test(batch, a_reader_that_goes_in_the_midst_is_noticed);
	tcase_add_test(batch, a_reader_that_does_not_read_is_not_waited_for);
	tcase_add_loop_test(batch, a_full_disk_is_an_error, 0, COUNT(sizes));
	tcase_add_test(batch, a_descriptor_that_is_closed_is_an_error);
	suite_add_tcase(suite, batch);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
