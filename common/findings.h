/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a collector finds of its host as it opens: one row for each thing that it tries, made where it tries
 * it and beside the line of the log that says the same. They travel by the logger that every part is given.
 */
#ifndef DEEPMON_FINDINGS_H
#define DEEPMON_FINDINGS_H

#include "deepmon.h"

#define FINDINGS_MOST 512 /* rows; more are not kept */

struct findings {
	struct deepmon_logger front; /* the front end's, which gets each line */
	struct deepmon_finding *rows;
	size_t count, capacity;
	bool complete; /* the collector is open: no more are made */
};

/* *own becomes the logger to give to the parts; it points to *findings, which must stay where it is. */
void findings_init(struct findings *findings, const struct deepmon_logger *front, struct deepmon_logger *own);
void findings_clear(struct findings *findings);

/*
 * Keeps a row, if the logger is a collector's that is opening; one of the same subject and name stands
 * already: that one. Texts are copied; the subject is static. No remedy: "". Whether it was kept.
 */
__attribute__((format(printf, 6, 7))) bool finding_add(const struct deepmon_logger *logger,
						       enum deepmon_finding_state state, const char *subject,
						       const char *name, const char *remedy,
						       const char *reason_format, ...);

#endif
