/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Holds the work of a thread to a share of one CPU. Pure arithmetic, no clock.
 */
#ifndef DEEPMON_PACE_H
#define DEEPMON_PACE_H

#include <stdint.h>

struct pace {
	double share;	  /* of one CPU: more than 0, at most 1 */
	uint64_t cpu_ns;  /* what the thread had used when it was asked last */
	uint64_t free_ns; /* when that will have been its share of the time: no work before */
};

/*
 * After some work: at now_ns the thread has used cpu_ns in all. Rest gives no credit: work after it may take
 * no more than its share from when it began.
 */
static inline void pace_work(struct pace *pace, uint64_t now_ns, uint64_t cpu_ns)
{
	uint64_t used_ns = cpu_ns - pace->cpu_ns;
	uint64_t began_ns = now_ns - (used_ns < now_ns ? used_ns : now_ns);

	if (pace->free_ns < began_ns)
		pace->free_ns = began_ns;
	pace->free_ns += (uint64_t)((double)used_ns / pace->share);
	pace->cpu_ns = cpu_ns;
}

#endif
