/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Things that failed alike, told of in one line: the first by name, the others by their number.
 */
#ifndef DEEPMON_TROUBLE_H
#define DEEPMON_TROUBLE_H

#include <stddef.h>

#define TROUBLE_FIRST_MAX 600

struct trouble {
	size_t count;
	int error; /* of the first */
	char first[TROUBLE_FIRST_MAX];
};

/* One more, by what failed: a path or the like. */
__attribute__((format(printf, 3, 4))) void trouble_add(struct trouble *trouble, int error, const char *format,
						       ...);
/* "/sys/class/x: Permission denied (and 2 more like it)" */
void trouble_text(const struct trouble *trouble, char *text, size_t size);

#endif
