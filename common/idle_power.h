/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Learns what a domain draws when nothing runs, from how its power follows the use of its CPUs. Pure.
 */
#ifndef DEEPMON_IDLE_POWER_H
#define DEEPMON_IDLE_POWER_H

#include <stdint.h>

/* A mean over readings that are alike. */
struct idle_power_point {
	double busy; /* part of the socket's CPU time that was used, 0 to 1 */
	double watts;
	unsigned readings; /* 0: there is none */
};

/* All zero to begin with. */
struct idle_power {
	struct idle_power_point quiet, quiet_before; /* the least busy of this window and of the one before */
	struct idle_power_point mean;		     /* of all readings, the older ones fading */
	uint64_t window_ns;			     /* when this window began */
};

/* Windows after which a quiet reading is forgotten: idle power changes with temperature and settings. */
#define IDLE_POWER_WINDOW_NS 600000000000

/*
 * Readings over less time are not to be learned from. Counters move on once in a millisecond, so over a few
 * of them (a report's sample comes just after a timer's) the power told is that of another time than the use.
 */
#define IDLE_POWER_LEAST_NS 40000000

/* Takes in a reading over some interval, of IDLE_POWER_LEAST_NS at least; now_ns only grows. */
void idle_power_learn(struct idle_power *idle, double busy, double watts, uint64_t now_ns);

/*
 * Watts with nothing running: the quietest reading of the last window or two, taken down to no use at all
 * along the line to the mean of all readings. Without a mean that is clearly busier the quiet reading
 * counts by its idle part, watts * (1 - busy): exact on an idle host, 0 on one that never was. Never below
 * 0 or above the quiet reading; 0 before the first.
 */
double idle_power_watts(const struct idle_power *idle);

#endif
