/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of a sample and their labels: how each is begun.
 */
#ifndef DEEPMON_RECORDS_H
#define DEEPMON_RECORDS_H

#include "sample.h"

/* Who a record is about: the instance, and the labels that tell it. */
struct subject_of {
	enum deepmon_entity entity;
	const char *instance;
	const char *kind; /* of a total */
	const struct group *group;
	const char *name, *id, *image, *version; /* the group's, kept */
	struct deepmon_label labels[IDENTITY_LABELS_MAX];
	unsigned label_count;
	const char *process;
	const char *device;
};

/* A copy of a text that is good as long as the sample. */
const char *record_text(struct sample *sample, const char *value);

/* A new record, or if it is not to be told, or on lack of memory, one that is thrown away. */
struct deepmon_record *record_add(struct sample *sample, enum deepmon_entity entity,
				  enum deepmon_subject subject, const char *instance);

/* Labels are added in the order of their keys; one without a value is left out. */
void record_label(struct deepmon_record *record, const char *key, const char *value, bool tag);
void record_label_as(struct deepmon_record *record, const struct subject_of *of, const char *domain,
		     const char *source);

/* A new record, labelled. */
struct deepmon_record *record_of(struct sample *sample, const struct subject_of *of,
				 enum deepmon_subject subject);

#endif
