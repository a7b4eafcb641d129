/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes identity_from_path with cgroup paths, and checks what every identity promises.
 */
#include "../../common/identity.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static void check_container(const struct identity *identity)
{
	require(identity->id[0]);
	if (identity->named)
		return;
	/*
	 * Known by its id alone: if that is a long one, the name is its beginning. One that was cut is, but
	 * for what was left of a character, as long as there is room.
	 */
	if (!strcmp(identity->name, identity->id) || strlen(identity->id) >= IDENTITY_ID_MAX - 4)
		return;
	require(identity_is_id(identity->id, strlen(identity->id)));
	require(strlen(identity->name) == 12);
	require(!strncmp(identity->name, identity->id, 12));
}

static void check(const struct identity *identity)
{
	require(ends_within(identity->id, sizeof(identity->id)));
	require(ends_within(identity->name, sizeof(identity->name)));
	require(identity->name[0]);
	require(!identity->image[0] && !identity->version[0]);
	require(identity->kind == IDENTITY_SYSTEM || identity->kind == IDENTITY_CONTAINER);
	if (identity->kind == IDENTITY_CONTAINER) {
		check_container(identity);
		return;
	}
	require(!identity->id[0]);
	require(!identity->runtime);
	require(!identity->named);
}

/* What is nested in a container is that container. */
static void check_nested(const char *path, size_t length, const struct identity *identity)
{
	char *nested = malloc(length + sizeof("/nested"));
	struct identity inner;

	require(nested);
	memcpy(nested, path, length);
	strcpy(nested + length, "/nested");
	identity_from_path(nested, &inner);
	free(nested);
	/* "lxc/" or "lxc.payload/" at the end takes the new component for a name. */
	if (identity->kind == IDENTITY_CONTAINER && strcmp(inner.name, "nested")) {
		require(inner.kind == IDENTITY_CONTAINER);
		require(inner.runtime == identity->runtime);
		require(!strcmp(inner.id, identity->id));
		require(!strcmp(inner.name, identity->name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct identity identity, again;
	char *path = malloc(size + 1);

	require(path);
	memcpy(path, data, size);
	path[size] = '\0';
	memset(&identity, 0xaa, sizeof(identity));
	memset(&again, 0x55, sizeof(again));
	identity_from_path(path, &identity);
	check(&identity);
	identity_from_path(path, &again);
	require(!strcmp(identity.name, again.name) && !strcmp(identity.id, again.id));
	check_nested(path, strlen(path), &identity);
	free(path);
	return 0;
}
