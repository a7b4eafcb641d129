/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What CRI-O tells of a container: the OCI config that it wrote, with its own annotations. Reads only.
 */
#include "runtimes.h"

#include <errno.h>
#include <string.h>

#include "file.h"

#define CONFIG_MOST (4 << 20)
#define CRIO	    "io.kubernetes.cri-o."

static bool set_pod(struct identity *identity, const cJSON *labels)
{
	return runtime_set_pod(identity, "cri-o", runtime_string(labels, "io.kubernetes.pod.namespace"),
			       runtime_string(labels, "io.kubernetes.pod.name"),
			       runtime_string(labels, "io.kubernetes.container.name"));
}

int crio_name_from_json(const char *json, size_t length, struct identity *identity)
{
	cleanup_json cJSON *config = runtime_parse(json, length);
	const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(config, "annotations");
	const char *type = runtime_string(annotations, CRIO "ContainerType");
	const char *image = runtime_string(annotations, CRIO "ImageName");
	const char *text = runtime_string(annotations, CRIO "Labels");
	cleanup_json cJSON *labels = text ? runtime_parse(text, strlen(text)) : NULL;

	if (!runtime_string(config, "ociVersion"))
		return -EINVAL;
	/* podman has annotations of CRI-O's, but not that one. */
	if (!type)
		return -ENOENT;
	if (!strcmp(type, "sandbox")) {
		identity_set_pause(identity);
		return 0;
	}
	/* It has the pod's labels among its annotations, too. */
	if (!set_pod(identity, labels) && !set_pod(identity, annotations))
		return -ENOENT;
	if (image)
		runtime_set_image(identity, image);
	runtime_set_labels(identity, labels);
	return 0;
}

int crio_name_from_file(const char *crio_root, struct identity *identity)
{
	cleanup_free char *config = NULL;
	long length;

	if (!identity_is_id(identity->id, strlen(identity->id)))
		return -EINVAL;
	length = runtime_read(CONFIG_MOST, &config, "%s/overlay-containers/%s/userdata/config.json",
			      crio_root, identity->id);
	return length < 0 ? (int)length : crio_name_from_json(config, (size_t)length, identity);
}
