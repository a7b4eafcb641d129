/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd --doctor: what this host offers and lacks, as the collector found it.
 */
#ifndef DEEPMON_DOCTOR_H
#define DEEPMON_DOCTOR_H

#include "../common/deepmon.h"

enum doctor_form { DOCTOR_TEXT, DOCTOR_JSON };

/* What doctor_run returns, which is the status to exit with. */
enum {
	DOCTOR_WELL = 0,     /* all that the options ask for is measured */
	DOCTOR_DEGRADED = 1, /* something that they ask for is missing, or not as good as it could be */
	DOCTOR_NOTHING = 2,  /* nothing can be measured */
};

/* Opens and closes a collector with those options, and prints what it found to stdout. */
int doctor_run(const struct deepmon_options *options, enum doctor_form form);

#endif
