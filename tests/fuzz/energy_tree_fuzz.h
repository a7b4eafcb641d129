/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the fuzzers of energy sources share. The input is a tree as tests/unit/tree.h has it, in place of /sys
 * with proc/ and dev/ in it, and, after a line "%", statements that change it between two readings. Whatever
 * it is, what energy.h promises must hold. Writes to a directory of its own in memory only.
 */
#ifndef TESTS_ENERGY_TREE_FUZZ_H
#define TESTS_ENERGY_TREE_FUZZ_H

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
#define LINES_MAX 64

#define must(condition) \
	do { \
		if (!(condition)) \
			abort(); \
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

static void check_zone(const struct energy_zone *zone)
{
	bool of_a_socket = zone->socket != ENERGY_SOCKET_NONE;

	must(*zone->name && memchr(zone->name, '\0', sizeof(zone->name)));
	must((unsigned)zone->domain < ENERGY_DOMAIN_COUNT);
	must(zone->socket >= ENERGY_SOCKET_NONE);
	/* A power meter may be of a processor that is not told. */
	must(energy_is_divided(zone->domain) == of_a_socket ||
	     (!of_a_socket && !strcmp(zone->source, "hwmon")));
	must(!zone->valid || (zone->has_reading && !zone->failing && zone->elapsed_ns));
	must(zone->valid || !zone->delta_uj);
	must(!zone->range_uj || !zone->has_reading || zone->raw_uj <= zone->range_uj);
	must(zone->total_uj >= zone->delta_uj);
}

static void check_zones(const struct energy *energy)
{
	size_t count;
	const struct energy_zone *zones = energy_zones(energy, &count);

	for (size_t i = 0; i < count; i++) {
		check_zone(&zones[i]);
		for (size_t other = 0; other < i; other++)
			must(strcmp(zones[i].name, zones[other].name));
	}
}

static void check_verdicts(const struct energy *energy)
{
	const struct energy_verdict *verdicts;
	size_t count = energy_verdicts(energy, &verdicts), zones;
	bool used = false;

	for (size_t i = 0; i < count; i++) {
		must(*verdicts[i].text && memchr(verdicts[i].text, '\0', sizeof(verdicts[i].text)));
		must(!verdicts[i].used || !verdicts[i].error);
		used |= verdicts[i].used;
	}
	energy_zones(energy, &zones);
	must(used == (zones > 0));
}

static void read_and_check(struct energy *energy, char *changes)
{
	size_t count;

	energy_read(energy);
	check_zones(energy);
	energy_zones(energy, &count);
	if (changes)
		tree_apply(&tree, changes);
	for (int reading = 0; reading < 3; reading++) {
		unsigned said = lines_said;

		energy_read(energy);
		check_zones(energy);
		/* A zone says one thing at a time: it fails, is well again, or makes no sense. */
		must(lines_said - said <= count);
	}
	(void)energy_read_within_ns(energy);
}

static void remove_tree(void)
{
	tree_close(&tree);
}

static void open_and_check(uint32_t from, char *changes)
{
	static const struct deepmon_logger logger = {.log = check_line};
	char proc[80], dev[80];
	struct energy_settings settings = {.roots = {.sys = tree.root, .proc = proc, .dev = dev},
					   .from = from};
	struct energy *energy;

	snprintf(proc, sizeof(proc), "%s/proc", tree.root);
	snprintf(dev, sizeof(dev), "%s/dev", tree.root);
	lines_said = 0;
	must(!energy_open(&energy, &settings, &logger));
	must(lines_said > 0);
	check_verdicts(energy);
	read_and_check(energy, changes);
	energy_close(energy);
}

/* Has each of the sources read the tree; the last of them while it changes. */
static int fuzz_tree(const uint8_t *data, size_t size, const uint32_t *from, size_t count)
{
	static const char *const directories[] = {"class", "devices", "bus", "proc", "dev"};
	static char text[INPUT_MAX + 1];
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
	tree_apply(&tree, text);
	for (size_t i = 0; i < count; i++)
		open_and_check(from[i], i == count - 1 ? changes : NULL);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		tree_remove(&tree, directories[i]);
	return 0;
}

#endif
