/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Energy counters of a recording: what they read is played to energy_take.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "energy_handle.h"

static int read_nothing(void *context, size_t index, uint64_t *raw_uj)
{
	(void)context, (void)index, (void)raw_uj;
	return -ENODATA;
}

static void explain(void *context, size_t index, int error, char *why, size_t why_size)
{
	(void)context, (void)index;
	snprintf(why, why_size, "when this was recorded it could not be read (%s)", strerror(-error));
}

static void close_nothing(void *context)
{
	(void)context;
}

static const struct energy_source energy_recorded = {
    .name = "recorded", .read = read_nothing, .explain = explain, .close = close_nothing};

int energy_open_recorded(struct energy **opened, struct energy_zone *zones, size_t count,
			 const struct deepmon_logger *logger)
{
	struct energy *energy = calloc(1, sizeof(*energy));

	if (energy)
		energy->counters = calloc(count ? count : 1, sizeof(*energy->counters));
	if (!energy || !energy->counters) {
		free(energy);
		return -ENOMEM;
	}
	if (logger)
		energy->logger = *logger;
	energy->opened[energy->opened_count++].source = &energy_recorded;
	energy->zones = zones;
	energy->zone_count = count;
	for (size_t i = 0; i < count; i++)
		energy->counters[i].index = i;
	*opened = energy;
	return 0;
}
