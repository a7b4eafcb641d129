/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What podman calls a container, and its image: from the lists of all its containers. Reads one or two files;
 * what is in them is not trusted to be short or well-formed.
 */
#include "identity.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "file.h"

/* A container takes half a KiB. */
#define LIST_MOST (16 << 20)

static void json_delete(cJSON **json)
{
	cJSON_Delete(*json);
}

static const char *string_member(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* `metadata` is JSON again, as a text. */
static void set_image(struct identity *identity, const cJSON *container)
{
	const char *text = string_member(container, "metadata");
	__attribute__((cleanup(json_delete))) cJSON *metadata = text ? cJSON_Parse(text) : NULL;
	const char *image = string_member(metadata, "image-name");

	identity_set_image(identity, image ? image : "");
}

int podman_name_from_json(const char *json, size_t length, struct identity *identity)
{
	__attribute__((cleanup(json_delete))) cJSON *list = cJSON_ParseWithLength(json, length);
	const cJSON *container;

	if (!cJSON_IsArray(list))
		return -EINVAL;
	cJSON_ArrayForEach(container, list)
	{
		const char *id = string_member(container, "id");
		const cJSON *names = cJSON_GetObjectItemCaseSensitive(container, "names");
		const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));

		if (!id || strcmp(id, identity->id) != 0)
			continue;
		if (!name || !*name)
			return -EINVAL;
		identity_text(identity->name, sizeof(identity->name), name, strlen(name));
		set_image(identity, container);
		identity->named = true;
		return 0;
	}
	return -ENOENT;
}

int podman_name_from_file(const char *storage, struct identity *identity)
{
	/* By storage driver; volatile ones (podman run --rm) have a list of their own. */
	static const char *const lists[] = {
	    "overlay-containers/containers.json", "overlay-containers/volatile-containers.json",
	    "vfs-containers/containers.json",	  "vfs-containers/volatile-containers.json",
	    "btrfs-containers/containers.json",	  "zfs-containers/containers.json"};
	int r = -ENOENT;

	if (!identity_has_id(identity))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && r == -ENOENT; i++) {
		cleanup_free char *list = NULL;
		char path[PATH_MAX];
		long length;

		if (snprintf(path, sizeof(path), "%s/%s", storage, lists[i]) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		length = file_read_new(AT_FDCWD, path, LIST_MOST, &list);
		r = length < 0 ? (int)length : podman_name_from_json(list, (size_t)length, identity);
	}
	return r;
}
