/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd --replay: a recorded host measured again, as fast as can be or at its own pace.
 */
#include "modes.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "line_protocol.h"

/* Waits until as much time has gone by, times the speed, as there was between the samples. */
static void keep_pace(const struct settings *settings, uint64_t recorded_ns, const struct timespec *began)
{
	double seconds = (double)recorded_ns / 1e9 / settings->replay_speed;
	struct timespec due = *began;

	due.tv_sec += (time_t)seconds;
	due.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	due.tv_sec += due.tv_nsec / 1000000000;
	due.tv_nsec %= 1000000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}

int mode_replay(const struct settings *settings, const struct deepmon_logger *logger)
{
	struct deepmon *collector;
	const struct deepmon_sample *sample;
	uint64_t step_ns = settings->interval_given ? (uint64_t)(settings->interval * 1e9) : 0;
	uint64_t first_ns = 0, next_ns = 0;
	struct timespec began;
	int r;

	if (deepmon_open_replay(&collector, settings->replay, &settings->options, logger))
		return EXIT_FAILURE;
	clock_gettime(CLOCK_MONOTONIC, &began);
	while (!(r = deepmon_read_at(collector, next_ns, &sample)) || r == -EAGAIN) {
		if (r)
			continue;
		first_ns = first_ns ? first_ns : sample->time_ns;
		next_ns = step_ns ? sample->time_ns + step_ns : 0;
		if (settings->replay_speed > 0)
			keep_pace(settings, sample->time_ns - first_ns, &began);
		line_protocol_write(stdout, sample);
		if (settings->replay_speed > 0 && fflush(stdout) == EOF)
			break;
	}
	deepmon_close(collector);
	return fflush(stdout) != EOF && r == -ENODATA ? EXIT_SUCCESS : EXIT_FAILURE;
}
