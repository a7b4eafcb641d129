/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Texts that are kept together and given up together: a report has some thousand of them.
 */
#include "texts.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 16384

struct text_block {
	struct text_block *next;
	size_t used, size;
	char bytes[];
};

static struct text_block *add_block(struct texts *texts, size_t least)
{
	size_t size = least > BLOCK_BYTES ? least : BLOCK_BYTES;
	struct text_block *block = malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	*block = (struct text_block){.next = texts->blocks, .size = size};
	texts->blocks = block;
	return block;
}

const char *texts_keep(struct texts *texts, const char *text)
{
	size_t length = strlen(text) + 1;
	struct text_block *block = texts->blocks;

	if (!block || length > block->size - block->used)
		block = add_block(texts, length);
	if (!block)
		return NULL;

	char *copy = block->bytes + block->used;

	block->used += length;
	return memcpy(copy, text, length);
}

void texts_clear(struct texts *texts)
{
	while (texts->blocks) {
		struct text_block *block = texts->blocks;

		texts->blocks = block->next;
		free(block);
	}
}
