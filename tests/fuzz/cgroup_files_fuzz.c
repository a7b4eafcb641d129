/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The parsers of cgroups' files of memory and block I/O on any text at all. The first byte says which file of
 * which cgroup version the rest is; after a zero byte comes the next one of the same cgroup.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/block.h"
#include "../../common/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

#define VALID(field) (1ull << DEEPMON_INDEX_MEMORY_##field)

static void check_memory(struct memory_reading *reading)
{
	const struct deepmon_memory *figures = &reading->figures;

	memory_derive(&reading->figures, &reading->valid);
	must(!(reading->valid >> DEEPMON_COUNT_OF_MEMORY));
	must(isfinite(figures->pressure_some_percent) && figures->pressure_some_percent >= 0);
	must(isfinite(figures->pressure_full_percent) && figures->pressure_full_percent >= 0);
	must(!(reading->valid & VALID(minor_faults)) || reading->valid & VALID(major_faults));
	must(!(reading->valid & VALID(limit_percent)) || isfinite(figures->limit_percent));
}

static void check_block(const struct block_readings *readings)
{
	for (size_t i = 0; i < readings->count; i++) {
		must(!(readings->all[i].valid >> DEEPMON_COUNT_OF_BLOCK));
		for (size_t other = 0; other < i; other++)
			must(readings->all[i].major != readings->all[other].major ||
			     readings->all[i].minor != readings->all[other].minor);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_reading memory = {0};
	struct block_readings block = {0};

	while (size > 1) {
		const uint8_t *end = memchr(data + 1, '\0', size - 1);
		size_t length = (size_t)((end ? end : data + size) - data) - 1;
		char *text = strndup((const char *)data + 1, length);
		bool unified = data[0] & 0x10;
		int file = data[0] & 0x0f;

		must(text);
		if (data[0] & 0x20)
			block_parse(file % BLOCK_FILES, unified, text, &block);
		else
			memory_parse((enum memory_file)(file % MEMORY_FILES), unified, text, &memory);
		free(text);
		data += length + 1 + (end != NULL);
		size -= length + 1 + (end != NULL);
	}
	check_memory(&memory);
	check_block(&block);
	block_readings_clear(&block);
	return 0;
}
