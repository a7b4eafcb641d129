/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What Kubernetes, or nerdctl, calls a container, and its image: from the OCI configuration that containerd
 * and CRI-O keep while it runs. Reads one file; what is in it is not trusted to be short or well-formed.
 */
#include "identity.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "file.h"

/* It has the arguments and the environment, which execve bounds at 2 MiB, and as much again of mounts. */
#define CONFIG_MOST (8 << 20)

static void json_delete(cJSON **json)
{
	cJSON_Delete(*json);
}

/* The first of those annotations that is there and not empty. */
static const char *find(const cJSON *annotations, const char *const *names)
{
	for (; *names; names++) {
		const char *value =
		    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(annotations, *names));

		if (value && *value)
			return value;
	}
	return NULL;
}

static void set(char *text, const char *value)
{
	identity_text(text, IDENTITY_NAME_MAX, value ? value : "", value ? strlen(value) : 0);
}

int oci_name_from_json(const char *json, size_t length, struct identity *identity)
{
	/* containerd's, then CRI-O's, then nerdctl's. */
	static const char *const kinds[] = {"io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType", NULL};
	static const char *const names[] = {"io.kubernetes.cri.container-name",
					    "io.kubernetes.container.name", "nerdctl/name", NULL};
	static const char *const images[] = {"io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName",
					     "nerdctl/image", NULL};
	static const char *const pods[] = {"io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", NULL};
	static const char *const spaces[] = {"io.kubernetes.cri.sandbox-namespace",
					     "io.kubernetes.pod.namespace", NULL};
	__attribute__((cleanup(json_delete))) cJSON *config = cJSON_ParseWithLength(json, length);
	const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(config, "annotations");
	const char *kind = find(annotations, kinds), *name = find(annotations, names);
	const char *image = find(annotations, images);

	if (kind && strcmp(kind, "sandbox") == 0) {
		identity->kind = IDENTITY_SYSTEM;
		set(identity->name, "pod-sandboxes");
		identity->id[0] = '\0';
		identity->named = true;
		return 0;
	}
	if (!name)
		return -EINVAL;
	set(identity->name, name);
	set(identity->pod, find(annotations, pods));
	set(identity->space, find(annotations, spaces));
	identity_set_image(identity, image ? image : "");
	identity->named = true;
	return 0;
}

static int read_config(const char *path, struct identity *identity)
{
	cleanup_free char *config = NULL;
	long length = file_read_new(AT_FDCWD, path, CONFIG_MOST, &config);

	return length < 0 ? (int)length : oci_name_from_json(config, (size_t)length, identity);
}

int containerd_name_from_file(const char *containerd_root, struct identity *identity)
{
	/* containerd's own namespaces, none of Kubernetes: its, Docker's, and that of ctr and nerdctl. */
	static const char *const spaces[] = {"k8s.io", "moby", "default"};
	int r = -ENOENT;

	if (!identity_has_id(identity))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]) && r == -ENOENT; i++) {
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/io.containerd.runtime.v2.task/%s/%s/config.json",
			     containerd_root, spaces[i], identity->id) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		r = read_config(path, identity);
	}
	return r;
}

int crio_name_from_file(const char *storage, struct identity *identity)
{
	char path[PATH_MAX];

	if (!identity_has_id(identity))
		return -EINVAL;
	if (snprintf(path, sizeof(path), "%s/overlay-containers/%s/userdata/config.json", storage,
		     identity->id) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return read_config(path, identity);
}
