/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a cgroup reads from and writes to block devices. Reads the cgroup's files in the hierarchy of the
 * controller io (v1: blkio), and the links in /sys/dev/block.
 */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controllers.h"
#include "file.h"

/* About 100 bytes for each device that the cgroup has used. */
#define FILE_MAX 262144

#define VALID(field) (1ull << DEEPMON_INDEX_BLOCK_##field)

struct word {
	const char *word;
	size_t offset; /* in struct deepmon_block */
	uint64_t valid;
};
#define WORD(word, field) \
	{ \
		word, offsetof(struct deepmon_block, field), VALID(field) \
	}

static const struct word unified_words[] = {
    WORD("rbytes", read_bytes),	    WORD("wbytes", written_bytes),   WORD("rios", read_operations),
    WORD("wios", write_operations), WORD("dbytes", discarded_bytes), WORD("dios", discard_operations),
};

#define BYTES \
	{ \
		WORD("Read", read_bytes), WORD("Write", written_bytes), WORD("Discard", discarded_bytes) \
	}
#define OPERATIONS \
	{ \
		WORD("Read", read_operations), WORD("Write", write_operations), \
		    WORD("Discard", discard_operations) \
	}

/*
 * The files of v1 by their names, the better one first: without "_recursive" nested cgroups are left out.
 * Throttling counts on all devices, but since Linux 6.10 on those alone that have had a rule; the schedulers
 * CFQ and BFQ count on those that they serve.
 */
static const struct {
	const char *names[2];
	struct word words[3];
} v1_files[BLOCK_FILES] = {
    {{"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"}, BYTES},
    {{"blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"}, OPERATIONS},
    {{"blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive"}, BYTES},
    {{"blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive"}, OPERATIONS},
    {{"blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive"},
     {WORD("Read", read_time_ns), WORD("Write", write_time_ns), {NULL, 0, 0}}},
};

static void choose_files(struct block *block)
{
	if (block->unified) {
		block->files[0] = "io.stat";
		return;
	}
	for (int file = 0; file < BLOCK_FILES; file++)
		for (int i = 1; i >= 0; i--)
			if (faccessat(block->root_fd, v1_files[file].names[i], F_OK, 0) == 0)
				block->files[file] = v1_files[file].names[i];
}

int block_open(struct block *block, const char *cgroup_root, const char *sys_root)
{
	*block = (struct block){.root_fd = -1};
	snprintf(block->sys_root, sizeof(block->sys_root), "%s", sys_root);
	block->root_fd = controllers_open(cgroup_root, "blkio/io", "blkio.reset_stats", &block->unified);
	if (block->root_fd < 0)
		return block->root_fd;
	choose_files(block);
	block->text = malloc(FILE_MAX);
	return block->text ? 0 : -ENOMEM;
}

void block_close(struct block *block)
{
	file_close(&block->root_fd);
	free(block->text);
	block->text = NULL;
}

/* The reading of a device, made if need be. Files name devices in the same order, so *hint is most often it.
 */
static struct block_reading *find(struct block_readings *readings, size_t *hint, uint32_t major,
				  uint32_t minor)
{
	for (size_t i = 0; i < readings->count; i++) {
		size_t place = (*hint + i) % readings->count;
		struct block_reading *reading = &readings->all[place];

		if (reading->major == major && reading->minor == minor) {
			*hint = place;
			return reading;
		}
	}
	if (readings->count == readings->capacity) {
		size_t capacity = readings->capacity ? readings->capacity * 2 : 8;
		struct block_reading *all = reallocarray(readings->all, capacity, sizeof(*all));

		if (!all)
			return NULL;
		readings->all = all;
		readings->capacity = capacity;
	}
	*hint = readings->count++;
	readings->all[*hint] = (struct block_reading){.major = major, .minor = minor};
	return &readings->all[*hint];
}

static void set(struct block_reading *reading, const struct word *words, size_t count, const char *word,
		const char *text)
{
	uint64_t value;

	if (parse_u64(text, &value))
		return;
	for (size_t i = 0; i < count; i++) {
		uint64_t *figure = (uint64_t *)((char *)&reading->figures + words[i].offset);

		if (!words[i].word || strcmp(words[i].word, word) != 0)
			continue;
		/* Of two that count the same, one may have begun later. */
		if (*figure < value)
			*figure = value;
		reading->valid |= words[i].valid;
	}
}

/* "8:0 rbytes=1 wbytes=2 …" and, on v1, "8:0 Read 1": the numbers, and what is behind them. */
static char *parse_numbers(char *line, uint32_t *major, uint32_t *minor)
{
	char *colon = strchr(line, ':'), *space = strchr(line, ' ');
	uint64_t high, low;

	if (!colon || !space || colon > space)
		return NULL;
	*colon = *space = '\0';
	if (parse_u64(line, &high) || parse_u64(colon + 1, &low) || high > UINT32_MAX || low > UINT32_MAX)
		return NULL;
	*major = (uint32_t)high;
	*minor = (uint32_t)low;
	return space + 1;
}

static void parse_pairs(struct block_reading *reading, char *text)
{
	char *rest = NULL;

	for (char *pair = strtok_r(text, " ", &rest); pair; pair = strtok_r(NULL, " ", &rest)) {
		char *equals = strchr(pair, '=');

		if (!equals)
			continue;
		*equals = '\0';
		set(reading, unified_words, sizeof(unified_words) / sizeof(unified_words[0]), pair,
		    equals + 1);
	}
}

void block_parse(int file, bool unified, char *text, struct block_readings *readings)
{
	char *rest = NULL;
	size_t hint = 0;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		uint32_t major, minor;
		char *figures = parse_numbers(line, &major, &minor);
		char *space = figures ? strchr(figures, ' ') : NULL;
		struct block_reading *reading =
		    figures && (unified || space) ? find(readings, &hint, major, minor) : NULL;

		if (reading && unified) {
			parse_pairs(reading, figures);
		} else if (reading) {
			*space = '\0';
			set(reading, v1_files[file].words, 3, figures, space + 1);
		}
	}
}

void block_begin(struct block *block)
{
	for (int file = 0; file < BLOCK_FILES; file++) {
		block->live[file] = block->files[file] != NULL;
		/* On v1 the root has a line of each device that is counted, and a sum. */
		if (block->live[file] && !block->unified &&
		    controllers_read(block->root_fd, "/", block->files[file], block->text, FILE_MAX) >= 0)
			block->live[file] = strchr(block->text, ':') != NULL;
	}
}

int block_read(const struct block *block, const char *path, struct block_readings *readings)
{
	readings->count = 0;
	for (int file = 0; file < BLOCK_FILES; file++) {
		long length = -ENOENT;

		if (block->live[file])
			length =
			    controllers_read(block->root_fd, path, block->files[file], block->text, FILE_MAX);
		if (length >= 0)
			block_parse(file, block->unified, block->text, readings);
		else if (length != -ENOENT)
			return (int)length;
	}
	return 0;
}

void block_readings_clear(struct block_readings *readings)
{
	free(readings->all);
	*readings = (struct block_readings){0};
}

void block_name(const struct block *block, uint32_t major, uint32_t minor, char name[BLOCK_NAME_MAX])
{
	char path[ROOT_PATH_MAX + 64], target[PATH_MAX];
	const char *last;
	ssize_t length;

	snprintf(name, BLOCK_NAME_MAX, "%u:%u", major, minor);
	snprintf(path, sizeof(path), "%s/dev/block/%s", block->sys_root, name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length <= 0)
		return;
	target[length] = '\0';
	last = strrchr(target, '/');
	if (last && last[1] && strlen(last + 1) < BLOCK_NAME_MAX)
		strcpy(name, last + 1);
}
