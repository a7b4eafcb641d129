/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names as parts of collectd's identifiers: of at most so many bytes, without '/', control characters and
 * what is no UTF-8, and never the same for two that differ.
 */
#ifndef DEEPMON_IDENTIFIER_H
#define DEEPMON_IDENTIFIER_H

#include "../common/deepmon.h"

/*
 * The instances of a report that have a '/' or a '_' in them: where two become the same, the one with more
 * '_' is told as it is, and the other must give way.
 */
struct identifiers {
	const struct deepmon_record **told; /* one of each instance, sorted as they are told */
	size_t count, room;
};

/* For the next report. -ENOMEM. */
int identifiers_take(struct identifiers *identifiers, const struct deepmon_sample *sample);
void identifiers_clear(struct identifiers *identifiers);

/* A record's plugin instance: "container-web". */
void identifier_instance(const struct identifiers *identifiers, const struct deepmon_record *record,
			 char *name, size_t size);

/* The type instance of one of its metrics: "cycles", "package-powercap". */
void identifier_type_instance(const struct deepmon_record *record, const struct deepmon_metric *metric,
			      char *name, size_t size);

/*
 * Joins two parts with '-', of which one may be "". The name ends in '~' and a hash of what was given if that
 * is wanted, or something had to be cut or was no text.
 */
void identifier_join(char *name, size_t size, const char *first, const char *second, bool hashed);

#endif
