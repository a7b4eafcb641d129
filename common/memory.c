/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory a cgroup uses. Reads the cgroup's files in the hierarchy of the memory controller, and of
 * pressure in the unified one.
 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controllers.h"
#include "file.h"

/* memory.stat of today has less than 4 KiB. */
#define FILE_MAX 16384

/* v1 has no word for "no limit" but the largest number of pages, which depends on their size. */
#define NO_LIMIT (1ull << 62)

#define VALID(field) (1ull << DEEPMON_INDEX_MEMORY_##field)

/* Where a number goes. */
struct target {
	size_t offset; /* in struct memory_reading */
	uint64_t valid;
};
#define FIGURE(field) \
	{ \
		offsetof(struct memory_reading, figures.field), VALID(field) \
	}

static const struct {
	const char *v1, *v2; /* its word in memory.stat; NULL: it is not there */
	struct target target;
} stat_words[] = {
    {"total_rss", "anon", FIGURE(anonymous_bytes)},
    {"total_cache", "file", FIGURE(page_cache_bytes)},
    {"total_shmem", "shmem", FIGURE(shared_bytes)},
    {"total_swap", NULL, FIGURE(swap_bytes)},
    {NULL, "kernel", FIGURE(kernel_bytes)},
    {"total_pgfault", "pgfault", FIGURE(minor_faults)}, /* of both kinds */
    {"total_pgmajfault", "pgmajfault", FIGURE(major_faults)},
    {"total_inactive_file", "inactive_file", {offsetof(struct memory_reading, inactive_file_bytes), 0}},
};

static const struct {
	const char *v1, *v2;
} file_names[MEMORY_FILES] = {
    [MEMORY_STAT] = {"memory.stat", "memory.stat"},
    [MEMORY_USAGE] = {"memory.usage_in_bytes", "memory.current"},
    [MEMORY_LIMIT] = {"memory.limit_in_bytes", "memory.max"},
    [MEMORY_SWAP] = {NULL, "memory.swap.current"},
    [MEMORY_KERNEL] = {"memory.kmem.usage_in_bytes", NULL},
    [MEMORY_EVENTS] = {"memory.oom_control", "memory.events"},
    [MEMORY_PRESSURE] = {"memory.pressure", "memory.pressure"},
};

int memory_open(struct memory *memory, const char *cgroup_root)
{
	*memory = (struct memory){.root_fd = -1, .pressure_fd = -1};
	memory->root_fd =
	    controllers_open(cgroup_root, "memory", file_names[MEMORY_USAGE].v1, &memory->unified);
	if (memory->root_fd < 0)
		return memory->root_fd;
	memory->pressure_fd = controllers_open_unified(cgroup_root);
	return 0;
}

void memory_close(struct memory *memory)
{
	file_close(&memory->root_fd);
	file_close(&memory->pressure_fd);
}

static void set(struct memory_reading *reading, const struct target *target, uint64_t value)
{
	memcpy((char *)reading + target->offset, &value, sizeof(value));
	reading->valid |= target->valid;
	reading->has_inactive_file |= !target->valid;
}

/* Before Linux 5.18 memory.stat has the kernel's memory in parts only. */
static bool is_kernel_part(const char *word)
{
	static const char *const parts[] = {"kernel_stack", "pagetables", "percpu", "slab"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(word, parts[i]) == 0)
			return true;
	return false;
}

static void parse_stat(bool unified, char *text, struct memory_reading *reading)
{
	uint64_t parts = 0, value;
	bool has_parts = false;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *space = strchr(line, ' ');

		if (!space || parse_u64(space + 1, &value))
			continue;
		*space = '\0';
		for (size_t i = 0; i < sizeof(stat_words) / sizeof(stat_words[0]); i++) {
			const char *word = unified ? stat_words[i].v2 : stat_words[i].v1;

			if (word && strcmp(word, line) == 0)
				set(reading, &stat_words[i].target, value);
		}
		if (unified && is_kernel_part(line)) {
			parts += value;
			has_parts = true;
		}
	}
	if (has_parts && !(reading->valid & VALID(kernel_bytes))) {
		reading->figures.kernel_bytes = parts;
		reading->valid |= VALID(kernel_bytes);
	}
	if (!(reading->valid & VALID(major_faults)) ||
	    reading->figures.minor_faults < reading->figures.major_faults)
		reading->valid &= ~VALID(minor_faults);
	reading->figures.minor_faults -= reading->figures.major_faults;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same of "full". */
static void parse_pressure(char *text, struct memory_reading *reading)
{
	struct deepmon_memory *figures = &reading->figures;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		bool some = strncmp(line, "some ", 5) == 0, full = strncmp(line, "full ", 5) == 0;
		char *average = strstr(line, " avg10="), *total = strstr(line, " total=");
		uint64_t us;
		double percent;

		if (!(some || full) || !average || !total || parse_u64(total + 7, &us) ||
		    us > UINT64_MAX / 1000)
			continue;
		average[7 + strcspn(average + 7, " ")] = '\0';
		if (parse_double(average + 7, &percent) || percent < 0)
			continue;
		*(some ? &figures->pressure_some_percent : &figures->pressure_full_percent) = percent;
		*(some ? &figures->pressure_some_ns : &figures->pressure_full_ns) = us * 1000;
		reading->valid |= some ? VALID(pressure_some_percent) | VALID(pressure_some_ns)
				       : VALID(pressure_full_percent) | VALID(pressure_full_ns);
	}
}

static void parse_events(char *text, struct memory_reading *reading)
{
	static const struct target target = FIGURE(oom_kills);
	char *rest = NULL;
	uint64_t value;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, "oom_kill ", 9) == 0 && parse_u64(line + 9, &value) == 0)
			set(reading, &target, value);
}

void memory_parse(enum memory_file file, bool unified, char *text, struct memory_reading *reading)
{
	static const struct target numbers[MEMORY_FILES] = {
	    [MEMORY_USAGE] = FIGURE(usage_bytes),
	    [MEMORY_LIMIT] = FIGURE(limit_bytes),
	    [MEMORY_SWAP] = FIGURE(swap_bytes),
	    [MEMORY_KERNEL] = FIGURE(kernel_bytes),
	};
	uint64_t value;

	if (file == MEMORY_STAT)
		parse_stat(unified, text, reading);
	else if (file == MEMORY_PRESSURE)
		parse_pressure(text, reading);
	else if (file == MEMORY_EVENTS)
		parse_events(text, reading);
	else if (parse_u64(text, &value) == 0 && (file != MEMORY_LIMIT || value < NO_LIMIT))
		set(reading, &numbers[file], value);
}

void memory_read(const struct memory *memory, const char *path, struct memory_reading *reading)
{
	struct deepmon_memory *figures = &reading->figures;
	char text[FILE_MAX];

	*reading = (struct memory_reading){0};
	for (int file = 0; file < MEMORY_FILES; file++) {
		const char *name = memory->unified ? file_names[file].v2 : file_names[file].v1;
		int root_fd = file == MEMORY_PRESSURE ? memory->pressure_fd : memory->root_fd;

		if (!name || root_fd < 0)
			continue;
		if (controllers_read(root_fd, path, name, text, sizeof(text)) >= 0)
			memory_parse((enum memory_file)file, memory->unified, text, reading);
	}
	/* The files are not read at one moment. */
	if (reading->valid & VALID(usage_bytes) && reading->has_inactive_file) {
		uint64_t inactive = reading->inactive_file_bytes;

		figures->working_set_bytes =
		    figures->usage_bytes > inactive ? figures->usage_bytes - inactive : 0;
		reading->valid |= VALID(working_set_bytes);
	}
}

void memory_derive(struct deepmon_memory *figures, uint64_t *valid)
{
	const uint64_t needed = VALID(working_set_bytes) | VALID(limit_bytes);

	*valid &= ~VALID(limit_percent);
	if ((*valid & needed) != needed || !figures->limit_bytes)
		return;
	figures->limit_percent = 100.0 * (double)figures->working_set_bytes / (double)figures->limit_bytes;
	*valid |= VALID(limit_percent);
}
