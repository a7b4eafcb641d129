/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Learns what a domain draws when nothing runs. Pure.
 */
#include "idle_power.h"

#define ALIKE	    0.02 /* readings no farther apart in use are one point */
#define CLEARLY	    0.1	 /* how much busier the mean must be to tell a slope */
#define QUIET_DEPTH 16	 /* readings that a point averages over */
#define MEAN_DEPTH  256

static void average(struct idle_power_point *point, double busy, double watts, unsigned depth)
{
	if (point->readings < depth)
		point->readings++;
	point->busy += (busy - point->busy) / point->readings;
	point->watts += (watts - point->watts) / point->readings;
}

void idle_power_learn(struct idle_power *idle, double busy, double watts, uint64_t now_ns)
{
	struct idle_power_point *quiet = &idle->quiet;

	if (now_ns - idle->window_ns > IDLE_POWER_WINDOW_NS) {
		idle->quiet_before = *quiet;
		*quiet = (struct idle_power_point){0};
		idle->window_ns = now_ns;
	}
	if (quiet->readings && busy < quiet->busy - ALIKE)
		*quiet = (struct idle_power_point){0};
	if (!quiet->readings || busy <= quiet->busy + ALIKE)
		average(quiet, busy, watts, QUIET_DEPTH);
	average(&idle->mean, busy, watts, MEAN_DEPTH);
}

double idle_power_watts(const struct idle_power *idle)
{
	const struct idle_power_point *quiet = &idle->quiet, *mean = &idle->mean;
	double watts;

	if (!quiet->readings || (idle->quiet_before.readings && idle->quiet_before.busy < quiet->busy))
		quiet = &idle->quiet_before;
	if (!quiet->readings)
		return 0;
	if (mean->busy - quiet->busy > CLEARLY && mean->watts > quiet->watts)
		watts =
		    quiet->watts - quiet->busy * (mean->watts - quiet->watts) / (mean->busy - quiet->busy);
	else
		watts = quiet->watts * (1 - quiet->busy);
	return watts > 0 ? watts : 0;
}
