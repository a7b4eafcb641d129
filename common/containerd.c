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

int containerd_name_from_file(const char *containerd_root, struct identity *identity)
{
	int r;

	/* So that an id as people choose it leads nowhere else. */
	if (!*identity->id || *identity->id == '.' || strchr(identity->id, '/'))
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
	size_t name_space = *path == '/' ? strcspn(path + 1, "/") : 0;
	const char *id = path + 1 + name_space + 1;
	char file[PATH_MAX];
	size_t length;

	/* Units and their slices have a dot, and most other cgroups at the top nothing below them. */
	if (!name_space || !path[1 + name_space] || memchr(path + 1, '.', name_space))
		return false;
	length = strcspn(id, "/");
	if (!length || *id == '.' || length >= IDENTITY_ID_MAX ||
	    snprintf(file, sizeof(file), "%s/" TASKS "/%.*s/%.*s/config.json", containerd_root,
		     (int)name_space, path + 1, (int)length, id) >= (int)sizeof(file) ||
	    access(file, F_OK))
		return false;
	identity_set_container(identity, "containerd", id, length);
	return true;
}
