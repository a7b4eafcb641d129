/* SPDX-License-Identifier: GPL-3.0-only
 *
 * One report, on one second.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "line_protocol.h"
#include "modes.h"
#include "output.h"
#include "say.h"

static int write_sample(const struct deepmon_sample *sample)
{
	struct output output;
	int r = output_open(&output, STDOUT_FILENO);

	if (!r) {
		line_protocol_write(output_begin(&output), sample);
		r = output_end(&output);
	}
	if (!r)
		r = output_drain(&output, -1);
	output_close(&output);
	return r;
}

int mode_once(const struct settings *settings, const struct deepmon_logger *logger)
{
	struct timespec second = {.tv_sec = 1};
	const struct deepmon_sample *sample;
	struct deepmon *collector = NULL;
	int r = deepmon_open(&collector, &settings->options, logger);

	if (r)
		return EXIT_FAILURE; /* the collector has said why */
	nanosleep(&second, NULL);
	r = deepmon_read(collector, &sample);
	if (!r)
		r = write_sample(sample);
	if (r)
		say(logger, DEEPMON_ERROR, "no report can be written: %s", strerror(-r));
	deepmon_close(collector);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
