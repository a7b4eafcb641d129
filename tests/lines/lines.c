/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Writes records with any names in them as line protocol, for tests that hand them to readers not written
 * here. Names come on standard input, each ended by NUL; two lines for each, on which the tag `number` tells
 * which it is. It is a tag's value and a string field in both, and a tag's key alone or behind a k.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../telegraf-execd/line_protocol.h"

static void write_name(const char *name, const char *key, unsigned number)
{
	char text[16];
	struct deepmon_record record = {
	    .entity = DEEPMON_CONTAINER,
	    .subject = DEEPMON_SUBJECT_CPU,
	    .instance = "",
	    .qualifier = "",
	    .labels = {{"number", text, true},
		       {"value", name, true},
		       {key, "key", true},
		       {"text", name, false}},
	    .label_count = 4,
	    .valid = 1ull << DEEPMON_INDEX_CPU_cpu_time_ns,
	    .values.cpu.cpu_time_ns = number,
	};
	const struct deepmon_sample sample = {
	    .time_ns = 1700000000000000000u, .records = &record, .record_count = 1};

	snprintf(text, sizeof(text), "%u", number);
	line_protocol_write(stdout, &sample);
}

static void write_names(void)
{
	char *name = NULL, key[4096];
	size_t size = 0;
	unsigned number = 0;

	while (getdelim(&name, &size, '\0', stdin) > 0) {
		write_name(name, name, number++);
		snprintf(key, sizeof(key), "k%s", name);
		write_name(name, key, number++);
	}
	free(name);
}

static void write_numbers(void)
{
	char text[16];
	struct deepmon_record record = {
	    .entity = DEEPMON_CONTAINER,
	    .subject = DEEPMON_SUBJECT_CPU,
	    .instance = "",
	    .qualifier = "",
	    .labels = {{"number", text, true}},
	    .label_count = 1,
	    .valid = 1ull << DEEPMON_INDEX_CPU_cpu_time_ns | 1ull << DEEPMON_INDEX_CPU_cpu_usage_percent,
	};
	const struct deepmon_sample sample = {
	    .time_ns = 1700000000000000000u, .records = &record, .record_count = 1};
	uint64_t bits;

	for (unsigned number = 0; fread(&bits, sizeof(bits), 1, stdin) == 1; number++) {
		snprintf(text, sizeof(text), "%u", number);
		record.values.cpu.cpu_time_ns = bits;
		memcpy(&record.values.cpu.cpu_usage_percent, &bits, sizeof(bits));
		line_protocol_write(stdout, &sample);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "numbers") == 0)
		write_numbers();
	else
		write_names();
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
