/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Any tree at all in place of /sys: the input is a tree as tests/unit/tree.h has it, and, after a line "%",
 * statements that change it between two readings. Writes to a directory of its own in memory only.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/energy.h"
#include "../../common/log.h"
#include "../unit/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 4096
/* More makes the run slow and finds nothing new. */
#define LINES_MAX 48

#define must(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static struct tree tree;
static unsigned lines_said;

static void check_line(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user;
	must(level <= DEEPMON_DEBUG);
	must(*line && strlen(line) < LOG_LINE_MAX && !strchr(line, '\n'));
	lines_said++;
}

static void check_zones(const struct energy *energy)
{
	size_t count;
	const struct energy_zone *zones = energy_zones(energy, &count);

	must(count <= 256);
	for (size_t i = 0; i < count; i++) {
		const struct energy_zone *zone = &zones[i];

		must(*zone->name && memchr(zone->name, '\0', sizeof(zone->name)));
		must(!strcmp(zone->source, "powercap") || !strcmp(zone->source, "simulated"));
		must((unsigned)zone->domain < ENERGY_DOMAIN_COUNT);
		must(zone->socket >= ENERGY_SOCKET_NONE);
		must((zone->domain == ENERGY_PSYS) == (zone->socket == ENERGY_SOCKET_NONE));
		must(!zone->valid || (zone->has_reading && !zone->failing && zone->elapsed_ns));
		must(zone->valid || !zone->delta_uj);
		must(!zone->range_uj || !zone->has_reading || zone->raw_uj <= zone->range_uj);
		must(zone->total_uj >= zone->delta_uj);
		for (size_t other = 0; other < i; other++)
			must(strcmp(zone->name, zones[other].name));
	}
}

static void read_and_check(struct energy *energy, char *changes)
{
	size_t count;
	unsigned said;

	energy_read(energy);
	check_zones(energy);
	energy_zones(energy, &count);
	if (changes)
		tree_apply(&tree, changes);
	said = lines_said;
	energy_read(energy);
	check_zones(energy);
	/* A zone says one thing at a time: it fails, is well again, or makes no sense. */
	must(lines_said - said <= count);
	said = lines_said;
	energy_read(energy);
	energy_read(energy);
	check_zones(energy);
	must(lines_said - said <= count);
	(void)energy_read_within_ns(energy);
}

static void remove_tree(void)
{
	tree_close(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct deepmon_logger logger = {.log = check_line};
	static char text[INPUT_MAX + 1];
	struct energy *energy;
	char *changes;
	unsigned lines = 0;

	if (!tree.root[0]) {
		must(!tree_open(&tree));
		atexit(remove_tree);
	}
	if (size > INPUT_MAX)
		return -1;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (lines > LINES_MAX)
		return -1;
	memcpy(text, data, size);
	text[size] = '\0';
	changes = strstr(text, "\n%\n");
	if (changes) {
		*changes = '\0';
		changes += 3;
	}
	lines_said = 0;
	tree_apply(&tree, text);
	if (!energy_open(&energy, tree.root, &logger)) {
		read_and_check(energy, changes);
		energy_close(energy);
	} else {
		must(lines_said > 0);
	}
	tree_remove(&tree, "class");
	tree_remove(&tree, "devices");
	return 0;
}
