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
	const char *process;
	const char *device;
};

/* A copy that lives as long as the sample. */
const char *sample_keep_text(struct sample *sample, const char *value);

/* A new record, labelled; on lack of memory one that is thrown away. */
struct deepmon_record *sample_add_of(struct sample *sample, const struct subject_of *of,
				     enum deepmon_subject subject);

/* What a group's cgroups' files tell. */
void sample_add_footprint(struct sample *sample, const struct subject_of *group,
			  const struct footprint *footprint);

#endif
