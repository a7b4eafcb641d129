/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Inside of struct energy, shared by energy_open.c, which makes it, and energy.c, which reads it.
 */
#ifndef DEEPMON_ENERGY_HANDLE_H
#define DEEPMON_ENERGY_HANDLE_H

#include "energy.h"

#define ENERGY_OPENED_MAX 2 /* the source of the processors, and the platform's power meters */

struct energy_opened {
	const struct energy_source *source;
	void *context;
};

/* Where a zone is read. */
struct energy_counter {
	size_t opened;
	size_t index; /* in what that source found */
	int error;    /* of the last reading that failed */
};

struct energy {
	struct energy_opened opened[ENERGY_OPENED_MAX];
	size_t opened_count;
	struct energy_zone *zones;
	struct energy_counter *counters; /* one for each zone */
	size_t zone_count;
	struct energy_verdict verdicts[ENERGY_SOURCE_COUNT];
	struct deepmon_logger logger;
	energy_listener *hear; /* of each reading; NULL: nobody does */
	void *hearer;
};

#endif
