/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What containerd tells of a container: the OCI config that its shim got, with what Kubernetes, nerdctl or
 * ctr wrote into the annotations. Reads only.
 */
#include "runtimes.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

#define CONFIG_MOST	(4 << 20)
#define NAMESPACES_MOST 64
#define TASKS		"io.containerd.runtime.v2.task"

static bool set_pod(struct identity *identity, const cJSON *annotations)
{
	const char *type = runtime_string(annotations, "io.kubernetes.cri.container-type");

	if (type && !strcmp(type, "sandbox")) {
		identity_set_pause(identity);
		return true;
	}
	return runtime_set_pod(identity, "containerd",
			       runtime_string(annotations, "io.kubernetes.cri.sandbox-namespace"),
			       runtime_string(annotations, "io.kubernetes.cri.sandbox-name"),
			       runtime_string(annotations, "io.kubernetes.cri.container-name"));
}

int containerd_name_from_json(const char *json, size_t length, struct identity *identity)
{
	cleanup_json cJSON *config = runtime_parse(json, length);
	const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(config, "annotations");
	const char *image = runtime_string(annotations, "io.kubernetes.cri.image-name");
	const char *name = runtime_string(annotations, "nerdctl/name");

	if (!runtime_string(config, "ociVersion"))
		return -EINVAL;
	if (!set_pod(identity, annotations)) {
		/* Kubernetes' log may know more of it than an old containerd. */
		if (runtime_string(annotations, "io.kubernetes.cri.container-type"))
			return -ENOENT;
		runtime_set_name(identity, "containerd", name && *name ? name : identity->name);
	}
	if (identity->kind != IDENTITY_CONTAINER)
		return 0;
	if (image)
		runtime_set_image(identity, image);
	runtime_set_labels(identity, annotations);
	return 0;
}

static int read_config(const char *root, const char *name_space, struct identity *identity)
{
	cleanup_free char *config = NULL;
	long length = runtime_read(CONFIG_MOST, &config, "%s/" TASKS "/%s/%s/config.json", root, name_space,
				   identity->id);

	return length < 0 ? (int)length : containerd_name_from_json(config, (size_t)length, identity);
}

/* Docker's containers are in the namespace moby, and their names in Docker's own files. */
static bool is_tried_already(const char *name_space)
{
	return *name_space == '.' || !strcmp(name_space, "k8s.io") || !strcmp(name_space, "default") ||
	       !strcmp(name_space, "moby");
}

static int read_other_namespaces(const char *root, struct identity *identity)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *directory;
	int r = -ENOENT;

	if (snprintf(path, sizeof(path), "%s/" TASKS, root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	directory = opendir(path);
	if (!directory)
		return -errno;
	for (int i = 0; r == -ENOENT && i < NAMESPACES_MOST && (entry = readdir(directory)); i++)
		if (!is_tried_already(entry->d_name))
			r = read_config(root, entry->d_name, identity);
	closedir(directory);
	return r;
}

/* So that what people choose leads nowhere else. */
static bool is_component(const char *text)
{
	return *text && *text != '.' && !strchr(text, '/');
}

/* One that is in a namespace that people chose is known by that and its own id. */
static int read_chosen(const char *root, const struct identity *identity, struct identity *named)
{
	char name_space[IDENTITY_ID_MAX];
	const char *slash = strchr(identity->id, '/');

	*named = *identity;
	memcpy(name_space, identity->id, (size_t)(slash - identity->id));
	name_space[slash - identity->id] = '\0';
	strcpy(named->id, slash + 1);
	if (!is_component(name_space) || !is_component(named->id))
		return -EINVAL;
	return read_config(root, name_space, named);
}

int containerd_name_from_file(const char *containerd_root, struct identity *identity)
{
	int r;

	if (strchr(identity->id, '/')) {
		struct identity named;

		r = read_chosen(containerd_root, identity, &named);
		if (!r) {
			strcpy(named.id, identity->id);
			*identity = named;
		}
		return r;
	}
	if (!is_component(identity->id))
		return -EINVAL;
	r = read_config(containerd_root, "k8s.io", identity);
	if (r == -ENOENT)
		r = read_config(containerd_root, "default", identity);
	if (r == -ENOENT)
		r = read_other_namespaces(containerd_root, identity);
	return r;
}

bool containerd_has_path(const char *containerd_root, const char *path, struct identity *identity)
{
	size_t length = *path == '/' ? strcspn(path + 1, "/") : 0;
	char id[IDENTITY_ID_MAX], file[PATH_MAX];
	char *own;

	/* Units and their slices have a dot, and most other cgroups at the top nothing below them. */
	if (!length || !path[1 + length] || memchr(path + 1, '.', length))
		return false;
	length += 1 + strcspn(path + 1 + length + 1, "/");
	if (length >= sizeof(id))
		return false;
	memcpy(id, path + 1, length);
	id[length] = '\0';
	own = strchr(id, '/') + 1;
	if (!is_component(own) ||
	    snprintf(file, sizeof(file), "%s/" TASKS "/%s/config.json", containerd_root, id) >=
		(int)sizeof(file) ||
	    access(file, F_OK))
		return false;
	identity_set_container(identity, "containerd", id, own);
	return true;
}
