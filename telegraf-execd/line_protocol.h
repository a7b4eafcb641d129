/* SPDX-License-Identifier: GPL-3.0-only
 *
 * InfluxDB line protocol.
 */
#ifndef DEEPMON_LINE_PROTOCOL_H
#define DEEPMON_LINE_PROTOCOL_H

#include <stdio.h>

#include "../common/deepmon.h"

/* Writes a sample, one line for each record that has a value. */
void line_protocol_write(FILE *out, const struct deepmon_sample *sample);

#endif
