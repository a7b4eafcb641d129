/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What podman tells of a container: the list of them that its storage keeps. Reads only.
 */
#include "runtimes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

/* Some 600 bytes for each container. */
#define LIST_MOST (4 << 20)

/* "a85971a576d7-infra": what holds podman's pod of that id together. */
static bool is_infra(const char *name)
{
	return strspn(name, "0123456789abcdef") == 12 && !strcmp(name + 12, "-infra");
}

static int name_from_object(const cJSON *container, struct identity *identity)
{
	const char *id = runtime_string(container, "id");
	const char *text = runtime_string(container, "metadata");
	cleanup_json cJSON *metadata = text ? runtime_parse(text, strlen(text)) : NULL;
	const char *name =
	    cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(container, "names"), 0));
	const char *image = runtime_string(metadata, "image-name");

	if (!id || strcmp(id, identity->id) != 0)
		return -ENOENT;
	if (!name || !*name)
		name = runtime_string(metadata, "name");
	if (!name || !*name)
		return -EINVAL;
	if (is_infra(name)) {
		identity_set_pause(identity);
		return 0;
	}
	runtime_set_name(identity, "podman", name);
	runtime_set_image(identity, image ? image : "");
	return 0;
}

/* The whole list, if it is not written as podman writes it now. */
static int name_from_list(const char *json, size_t length, struct identity *identity)
{
	cleanup_json cJSON *list = runtime_parse(json, length);
	const cJSON *container;
	int r = list ? -ENOENT : -EINVAL;

	cJSON_ArrayForEach(container, list)
	{
		if (r == -ENOENT)
			r = name_from_object(container, identity);
	}
	return r;
}

int podman_name_from_json(const char *json, size_t length, struct identity *identity)
{
	char wanted[IDENTITY_ID_MAX + 16];
	const char *found;
	size_t start, end;
	int before = snprintf(wanted, sizeof(wanted), "{\"id\":\"%s\"", identity->id);

	if (!identity_is_id(identity->id, strlen(identity->id)))
		return -EINVAL;
	if (!memmem(json, length, identity->id, strlen(identity->id)))
		return -ENOENT;
	found = memmem(json, length, wanted, (size_t)before);
	if (!found)
		return name_from_list(json, length, identity);
	start = (size_t)(found - json);
	/* The list is not parsed as a whole for each container in it. */
	end = runtime_object_end(json, length, start);

	cleanup_json cJSON *container = end ? runtime_parse(json + start, end - start) : NULL;

	return container ? name_from_object(container, identity) : -EINVAL;
}

/* Where a user's own storage is, below his home. */
#define HOME ".local/share/containers/storage"

/* Of each kind of storage, and of containers that a restart of the host does away with. */
static const char *const lists[] = {
    "overlay-containers/containers.json", "overlay-containers/volatile-containers.json",
    "vfs-containers/containers.json",	  "vfs-containers/volatile-containers.json",
    "btrfs-containers/containers.json",	  "zfs-containers/containers.json"};

#define LISTS (sizeof(lists) / sizeof(lists[0]))

/* One of them, of root's storage or of a user's. */
static int open_list(const char *root, int64_t user, const char *list)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", user < 0 ? root : HOME, list) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return user < 0 ? file_open(AT_FDCWD, path) : runtime_open_home(root, user, path);
}

static int name_from_lists(const char *root, int64_t user, struct identity *identity)
{
	int r = -ENOENT;

	if (!identity_is_id(identity->id, strlen(identity->id)))
		return -EINVAL;
	for (size_t i = 0; r && i < LISTS; i++) {
		cleanup_free char *list = NULL;
		cleanup_close int fd = open_list(root, user, lists[i]);
		long length = file_read_open(fd, LIST_MOST, &list);
		int one = length < 0 ? (int)length : podman_name_from_json(list, (size_t)length, identity);

		if (!one || one != -ENOENT)
			r = one;
	}
	return r;
}

int podman_name_from_file(const char *podman_root, struct identity *identity)
{
	return name_from_lists(podman_root, -1, identity);
}

int podman_name_from_home(const char *host_root, struct identity *identity)
{
	return identity->user < 0 ? -ENOENT : name_from_lists(host_root, identity->user, identity);
}

static uint64_t lists_written(const char *root, int64_t user)
{
	uint64_t last = 0;

	for (size_t i = 0; i < LISTS; i++) {
		cleanup_close int fd = open_list(root, user, lists[i]);
		uint64_t written = runtime_written(fd);

		if (written > last)
			last = written;
	}
	return last;
}

uint64_t podman_list_written(const char *podman_root)
{
	return lists_written(podman_root, -1);
}

uint64_t podman_list_written_home(const char *host_root, int64_t user)
{
	return user < 0 ? 0 : lists_written(host_root, user);
}

/* It answers as Docker's daemon does. */
int podman_labels_from_socket(const char *socket_path, int timeout_ms, struct identity *identity)
{
	struct identity answered = *identity;
	int r;

	answered.label_count = 0;
	r = docker_name_from_socket(socket_path, timeout_ms, &answered);
	if (!r) {
		identity->label_count = answered.label_count;
		memcpy(identity->labels, answered.labels, sizeof(identity->labels));
	}
	return r;
}
