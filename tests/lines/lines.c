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

int main(void)
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
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
