/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names as parts of collectd's identifiers: of at most so many bytes, without '/', control characters and
 * what is no UTF-8, and never the same for two that differ.
 */
#ifndef DEEPMON_IDENTIFIER_H
#define DEEPMON_IDENTIFIER_H

#include "../common/deepmon.h"

/*
 * The instances of a report that have a '_' and no '/', and so are told as they are: those with a '/' that
 * would become the same must give way.
 */
struct identifiers {
	const struct deepmon_record **plain; /* sorted by entity and instance */
	size_t count, room;
};

/* For the next report. -ENOMEM. */
int identifiers_take(struct identifiers *identifiers, const struct deepmon_sample *sample);
void identifiers_clear(struct identifiers *identifiers);

/* A record's plugin instance: "container-web". */
void identifier_instance(const struct identifiers *identifiers, const struct deepmon_record *record,
			 char *name, size_t size);

/*
 * Joins two parts with '-', of which one may be "". The name ends in '~' and a hash of what was given where
 * something had to be cut or might be mistaken for another's.
 */
void identifier_join(char *name, size_t size, const char *first, const char *second, bool taken);

#endif
