/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes what is read from the kubelet and the API server: the input is a list of pods and, behind the first
 * NUL, one of services. Whatever they hold, what is told of a container is well-formed.
 */
#include "../../common/pods.h"
#include "../../common/runtimes.h"
#include "../../common/selection.h"

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

static void check_result(int result)
{
	require(result == 0 || result == -EINVAL || result == -E2BIG);
}

static void check_labels(const struct identity *identity)
{
	require(identity->label_count <= IDENTITY_LABELS_MAX);
	for (unsigned i = 0; i < identity->label_count; i++) {
		require(memchr(identity->labels[i].value, '\0', sizeof(identity->labels[i].value)));
		require(identity->labels[i].value[0]);
		require(!i || strcmp(identity->labels[i - 1].key, identity->labels[i].key) < 0);
	}
	require(!identity_label(identity, "owner_kind") == !identity_label(identity, "owner_name"));
}

static void check_pod(const struct pods *pods, const struct pod_services *services, const struct pod *pod)
{
	static struct deepmon_list list = {.count = 1, .length = 4, .texts = "/./"};
	static struct selection *chosen;
	static struct identity identity;

	if (!chosen)
		require(selection_open(&chosen, &list) == 0);
	require(pods_find(pods, pod->name_space, pod->name));
	identity_from_path("/mine/" ID, &identity);
	identity.chosen = chosen;
	require(runtime_set_pod(&identity, "containerd", pod->name_space, pod->name, "c"));
	/* A name too long to be one of Kubernetes' is cut in the label, and not found by it. */
	if (pods_tell(pods, services, &identity))
		check_labels(&identity);
}

static void check_container(const struct pods *pods)
{
	static struct identity identity;
	int result;

	identity_from_path("/mine/" ID, &identity);
	result = pods_name_container(pods, &identity);
	require(result == 0 || result == -ENOENT);
	require(identity.named == !result && identity.name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t length = strnlen(text, size), behind = size - length - (length < size);
	struct pods pods = {0};
	struct services services = {0};
	struct pod_services found = {0};
	int read = pods_read(&pods, text, length);
	int selected = services_read(&services, text + size - behind, behind);

	check_result(read);
	check_result(selected);
	services_sort(&services);
	if (!read && !selected)
		require(pod_services_find(&found, &pods, &services) == 0);
	for (size_t i = 0; !read && i < pods.count; i++)
		check_pod(&pods, selected ? NULL : &found, &pods.all[i]);
	if (!read)
		check_container(&pods);
	pods_clear(&pods);
	services_clear(&services);
	pod_services_clear(&found);
	return 0;
}
