/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes what is read from Docker: a config, and the daemon's whole answer. Either leaves the identity as it
 * was, or names it.
 */
#include "../../common/runtimes.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static bool ends_within(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void check_named(const struct identity *identity)
{
	require(ends_within(identity->name, sizeof(identity->name)));
	require(ends_within(identity->image, sizeof(identity->image)));
	require(ends_within(identity->version, sizeof(identity->version)));
	require(identity->name[0]);
	require(identity->named);
	require(!strcmp(identity->runtime, "docker"));
	require(!strchr(identity->version, '/'));
}

static void check(int (*read)(const char *, size_t, struct identity *), const uint8_t *data, size_t size)
{
	struct identity identity, before;

	identity_from_path("/docker/" ID, &before);
	identity = before;

	int result = read((const char *)data, size, &identity);

	require(result == 0 || result == -EINVAL || result == -ENOENT);
	require(!strcmp(identity.id, ID));
	require(identity.kind == IDENTITY_CONTAINER);
	if (result == 0)
		check_named(&identity);
	else
		require(!memcmp(&identity, &before, sizeof(identity)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(docker_name_from_json, data, size);
	check(docker_name_from_answer, data, size);
	return 0;
}
