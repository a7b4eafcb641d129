/* SPDX-License-Identifier: GPL-3.0-only
 *
 * One report, on one second, or until what tells names was asked.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "line_protocol.h"
#include "modes.h"
#include "output.h"
#include "say.h"

#define STEP_MS 20
/* A little more than the kubelet has to answer, and then says why it did not. */
#define NAMES_WAIT_MS 6000

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

/* No later report makes good a name that this one lacks. */
static void wait_for_names(struct deepmon *collector, const struct deepmon_logger *logger)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};

	for (int waited_ms = 0; !deepmon_names_settled(collector); waited_ms += STEP_MS) {
		if (waited_ms >= NAMES_WAIT_MS) {
			say(logger, DEEPMON_WARNING,
			    "who tells names of containers and pods did not within %d s: some may lack here",
			    NAMES_WAIT_MS / 1000);
			return;
		}
		nanosleep(&step, NULL);
	}
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
	wait_for_names(collector, logger);
	r = deepmon_read(collector, &sample);
	if (!r)
		r = write_sample(sample);
	if (r)
		say(logger, DEEPMON_ERROR, "no report can be written: %s", strerror(-r));
	deepmon_close(collector);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
