/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd: writes samples as line protocol to a Telegraf that runs it as inputs.execd. It ends when
 * its agent closes standard input, or reads no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "line_protocol.h"
#include "output.h"
#include "say.h"
#include "serve.h"

/* One that was closed would go to the first file that is opened, and get reports or log lines in it. */
static void hold_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILURE);
}

static int once(struct deepmon *collector)
{
	struct timespec second = {.tv_sec = 1};
	const struct deepmon_sample *sample;
	struct output output;
	int r = output_open(&output, STDOUT_FILENO);

	nanosleep(&second, NULL);
	if (!r)
		r = deepmon_read(collector, &sample);
	if (!r) {
		line_protocol_write(output_begin(&output), sample);
		r = output_end(&output);
	}
	if (!r)
		r = output_drain(&output, -1);
	output_close(&output);
	return r;
}

int main(int argc, char **argv)
{
	static struct settings settings;
	struct deepmon_logger logger = say_logger(&settings);
	struct deepmon *collector = NULL;
	int status, signal_fd, r;

	hold_standard_descriptors();
	status = settings_read(&settings, argc, argv);
	if (status != SETTINGS_GO_ON)
		return status;
	signal_fd = settings.once ? -1 : serve_open_signals();
	if (deepmon_open(&collector, &settings.options, &logger))
		return EXIT_FAILURE;
	r = settings.once ? once(collector) : serve(collector, &settings, &logger, signal_fd);
	deepmon_close(collector);
	if (r)
		say(&logger, DEEPMON_ERROR, "standard output can't be written: %s", strerror(-r));
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
