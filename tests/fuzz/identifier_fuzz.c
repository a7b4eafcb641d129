/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Any two names of one report: as collectd's identifiers they are short enough, without what it forbids,
 * UTF-8, and as different as they were. The input is the two, each up to a NUL.
 */
#include "../../collectd-plugin/identifier.c"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME_SIZE 128 /* collectd's DATA_MAX_NAME_LEN */

#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static void check(const struct identifiers *identifiers, const struct deepmon_record *record, char *name)
{
	memset(name, '#', NAME_SIZE);
	identifier_instance(identifiers, record, name, NAME_SIZE);
	must(memchr(name, '\0', NAME_SIZE));
	must(strncmp(name, "container", 9) == 0 && !strchr(name, '/'));
	for (const char *c = name; *c; c += deepmon_utf8_length(c))
		must(deepmon_utf8_length(c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *first = strndup((const char *)data, size), names[2][NAME_SIZE];
	size_t length = strlen(first) < size ? strlen(first) + 1 : size;
	char *second = strndup((const char *)data + length, size - length);
	const struct deepmon_record records[] = {{.entity = DEEPMON_CONTAINER, .instance = first},
						 {.entity = DEEPMON_CONTAINER, .instance = second}};
	const struct deepmon_sample sample = {.records = records, .record_count = 2};
	struct identifiers identifiers = {0};

	must(identifiers_take(&identifiers, &sample) == 0);
	for (int i = 0; i < 2; i++)
		check(&identifiers, &records[i], names[i]);
	must((strcmp(first, second) == 0) == (strcmp(names[0], names[1]) == 0));
	identifiers_clear(&identifiers);
	free(first);
	free(second);
	return 0;
}
