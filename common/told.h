/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What reports tell, by the options: which subjects, which groups one by one, and how many. What is used by
 * all the others of a kind is one line more, (other), so that the lines add up to the kind's total.
 */
#ifndef DEEPMON_TOLD_H
#define DEEPMON_TOLD_H

#include "groups.h"

#define TOLD_OTHER "(other)"

#define TOLD_KINDS (IDENTITY_CONTAINER + 1)

struct selection;

struct told {
	struct selection *container, *image, *name_space, *pod;
	bool ignore_selected;
	bool tells[DEEPMON_ENTITY_COUNT][DEEPMON_SUBJECT_COUNT];
	bool one_by_one[TOLD_KINDS]; /* false: there is but the total */
	uint32_t most[TOLD_KINDS];

	/* What the others used, in all reports that did not tell of them. */
	struct account other[TOLD_KINDS];
	bool has_other[TOLD_KINDS]; /* from the first time on */

	struct group **candidates;
	size_t capacity;
};

/* -ENOMEM. */
int told_open(struct told *told, const struct deepmon_options *options);
void told_close(struct told *told);

/*
 * For a report: marks those groups that it tells of, and moves what the others used since the last report to
 * (other). -ENOMEM: then what could not be moved goes into a later report.
 */
int told_choose(struct told *told, struct groups *groups);

/* Whether a report may tell of the group on that subject, as long as there are not too many. */
bool told_may_tell(const struct told *told, struct group *group, enum deepmon_subject subject);

/* What a group used, and had used by the last report, as far as reports told of it. */
void told_account(const struct group *group, struct account *account);

#endif
