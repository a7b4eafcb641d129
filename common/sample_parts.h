/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the files share that put a sample together.
 */
#ifndef DEEPMON_SAMPLE_PARTS_H
#define DEEPMON_SAMPLE_PARTS_H

#include "footprint.h"
#include "sample.h"

#define VALID(SUBJECT, field) (1ull << DEEPMON_INDEX_##SUBJECT##_##field)

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
	const char *peer, *protocol, *role;
};

/* A copy of a text that is good as long as the sample. */
const char *sample_keep_text(struct sample *sample, const char *value);

/* A new record, or if it is not to be told, or on lack of memory, one that is thrown away. */
struct deepmon_record *sample_add_record(struct sample *sample, enum deepmon_entity entity,
					 enum deepmon_subject subject, const char *instance);

/* Labels are added in the order of their keys; one without a value is left out. */
void sample_label(struct deepmon_record *record, const char *key, const char *value, bool tag);
void sample_label_as(struct deepmon_record *record, const struct subject_of *of, const char *domain,
		     const char *source);

/* Gives a part of a container those of its labels that its name is nothing without. */
void sample_label_as_part(struct subject_of *part, const struct subject_of *container);

/* A new record, labelled. */
struct deepmon_record *sample_add_of(struct sample *sample, const struct subject_of *of,
				     enum deepmon_subject subject);

/* Whom a container talks with. To be called before its account is told. */
void sample_add_peers(struct sample *sample, const struct attribution *attribution,
		      const struct subject_of *container, struct group *group);

/* What a group's cgroups' files tell. */
void sample_add_footprint(struct sample *sample, const struct subject_of *group,
			  const struct footprint *footprint);

#endif
