/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Texts that are kept together and given up together.
 */
#ifndef DEEPMON_TEXTS_H
#define DEEPMON_TEXTS_H

struct texts {
	struct text_block *blocks;
};

/* A copy that is good until texts_clear; NULL: out of memory. */
const char *texts_keep(struct texts *texts, const char *text);
void texts_clear(struct texts *texts);

#endif
