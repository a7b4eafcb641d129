/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the command line and the environment say of a cluster's InfluxDB.
 */
#ifndef DEEPMON_TOP_INFLUX_OPTIONS_H
#define DEEPMON_TOP_INFLUX_OPTIONS_H

#include <stdio.h>

#include "influx.h"

/* What nobody gave is at its default, and the credentials are the environment's, whose texts it has. */
void influx_settings_init(struct influx_settings *settings);

/* An option without its dashes. -ENOENT: it is none of these. -ERANGE: `why` tells. The text is kept. */
int influx_settings_set(struct influx_settings *settings, const char *name, const char *value, char *why,
			size_t why_size);

/* Lines of --help. */
void influx_settings_help(FILE *out);

#endif
