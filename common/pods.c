/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the kubelet tells of pods, and the API server of services. Memory only.
 */
#include "pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtimes.h"

struct pod_label {
	const char *key, *value;
};

struct pod_container {
	const char *id, *name, *image;
	const char *runtime; /* static; NULL: another one */
	const char *name_space, *pod;
};

struct service {
	const char *name_space, *name;
	size_t first_selector, selector_count; /* in services.selectors */
};

/* Room for one more. NULL: out of memory, and `all` is as it was. */
static void *grow(void *all, size_t count, size_t *capacity, size_t size)
{
	size_t larger = *capacity ? *capacity * 2 : 64;
	void *moved;

	if (count < *capacity)
		return all;
	moved = reallocarray(all, larger, size);
	if (moved)
		*capacity = larger;
	return moved;
}

static int compare_names(const char *name_space, const char *name, const char *other_space,
			 const char *other_name)
{
	int order = strcmp(name_space, other_space);

	return order ? order : strcmp(name, other_name);
}

static int compare_pods(const void *a, const void *b)
{
	const struct pod *left = a, *right = b;

	return compare_names(left->name_space, left->name, right->name_space, right->name);
}

static int compare_services(const void *a, const void *b)
{
	const struct service *left = a, *right = b;

	return compare_names(left->name_space, left->name, right->name_space, right->name);
}

static int compare_containers(const void *a, const void *b)
{
	const struct pod_container *left = a, *right = b;

	return strcmp(left->id, right->id);
}

/* The texts of an object, as of labels. 0 or -ENOMEM; *count of them are behind what was there. */
static int keep_labels(struct texts *texts, const cJSON *object, struct pod_label **labels, size_t *count,
		       size_t *capacity)
{
	struct pod_label *all;
	const cJSON *member;

	cJSON_ArrayForEach(member, object)
	{
		const char *value = cJSON_GetStringValue(member);

		if (!member->string || !value)
			continue;
		all = grow(*labels, *count, capacity, sizeof(*all));
		if (!all)
			return -ENOMEM;
		*labels = all;
		all[*count] = (struct pod_label){texts_keep(texts, member->string), texts_keep(texts, value)};
		if (!all[*count].key || !all[*count].value)
			return -ENOMEM;
		++*count;
	}
	return 0;
}

/* ---- Owners ------------------------------------------------------------------------------------- */

static const cJSON *controller_of(const cJSON *metadata)
{
	const cJSON *owner;

	cJSON_ArrayForEach(owner, cJSON_GetObjectItemCaseSensitive(metadata, "ownerReferences"))
	{
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(owner, "controller")))
			return owner;
	}
	return NULL;
}

/* Without its last `length` bytes. */
static const char *keep_without(struct texts *texts, const char *name, size_t length)
{
	char *shorter = strndup(name, strlen(name) - length);
	const char *kept = shorter ? texts_keep(texts, shorter) : NULL;

	free(shorter);
	return kept;
}

/* A Deployment calls its ReplicaSet NAME-HASH and labels the pods with the hash; a CronJob its Job
 * NAME-MINUTE.
 */
static int keep_owner(struct texts *texts, const cJSON *metadata, struct pod *pod)
{
	const cJSON *owner = controller_of(metadata);
	const char *kind = runtime_string(owner, "kind"), *name = runtime_string(owner, "name");
	const char *hash =
	    runtime_string(cJSON_GetObjectItemCaseSensitive(metadata, "labels"), "pod-template-hash");
	size_t length = name ? strlen(name) : 0, behind = 0;

	/* Of the node are those that the kubelet was given as files. */
	if (!kind || !*kind || !length || !strcmp(kind, "Node"))
		return 0;
	if (!strcmp(kind, "ReplicaSet") && hash && *hash && length > strlen(hash) + 1 &&
	    name[length - strlen(hash) - 1] == '-' && !strcmp(name + length - strlen(hash), hash)) {
		kind = "Deployment";
		behind = strlen(hash) + 1;
	} else if (!strcmp(kind, "Job") && runtime_cron_job(name, length)) {
		kind = "CronJob";
		behind = length - runtime_cron_job(name, length);
	}
	pod->owner_kind = texts_keep(texts, kind);
	pod->owner_name = keep_without(texts, name, behind);
	return pod->owner_kind && pod->owner_name ? 0 : -ENOMEM;
}

/* ---- Containers --------------------------------------------------------------------------------- */

static const char *runtime_of(const char *url, size_t length)
{
	static const char *const runtimes[] = {"containerd", "cri-o", "docker"};

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (length == strlen(runtimes[i]) && !memcmp(url, runtimes[i], length))
			return runtimes[i];
	return NULL;
}

static int keep_container(struct pods *pods, const struct pod *pod, const cJSON *status)
{
	const char *url = runtime_string(status, "containerID"), *name = runtime_string(status, "name");
	const char *image = runtime_string(status, "image");
	const char *id = url ? strstr(url, "://") : NULL;
	struct pod_container *container;

	if (!name || !*name || !id || !identity_is_id(id + 3, strlen(id + 3)))
		return 0;
	container =
	    grow(pods->containers, pods->container_count, &pods->container_capacity, sizeof(*container));
	if (!container)
		return -ENOMEM;
	pods->containers = container;
	container += pods->container_count;
	*container = (struct pod_container){.id = texts_keep(&pods->texts, id + 3),
					    .name = texts_keep(&pods->texts, name),
					    .image = texts_keep(&pods->texts, image ? image : ""),
					    .runtime = runtime_of(url, (size_t)(id - url)),
					    .name_space = pod->name_space,
					    .pod = pod->name};
	if (!container->id || !container->name || !container->image)
		return -ENOMEM;
	pods->container_count++;
	return 0;
}

static int keep_containers(struct pods *pods, const struct pod *pod, const cJSON *status)
{
	static const char *const lists[] = {"containerStatuses", "initContainerStatuses",
					    "ephemeralContainerStatuses"};
	int r = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !r; i++) {
		const cJSON *one;

		cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(status, lists[i]))
		{
			if (!r)
				r = keep_container(pods, pod, one);
		}
	}
	return r;
}

/* ---- Pods --------------------------------------------------------------------------------------- */

static int keep_pod(void *user, const cJSON *item)
{
	struct pods *pods = user;
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(item, "metadata");
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(metadata, "labels");
	const char *name_space = runtime_string(metadata, "namespace");
	const char *name = runtime_string(metadata, "name");
	const char *node = runtime_string(cJSON_GetObjectItemCaseSensitive(item, "spec"), "nodeName");
	struct pod *pod;
	int r;

	if (!name_space || !*name_space || !name || !*name)
		return -EINVAL;
	if (pods->count == PODS_MOST)
		return -E2BIG;
	pod = grow(pods->all, pods->count, &pods->capacity, sizeof(*pod));
	if (!pod)
		return -ENOMEM;
	pods->all = pod;
	pod += pods->count;
	*pod = (struct pod){.name_space = texts_keep(&pods->texts, name_space),
			    .name = texts_keep(&pods->texts, name),
			    .node = node && *node ? texts_keep(&pods->texts, node) : NULL,
			    .first_label = pods->label_count};
	if (!pod->name_space || !pod->name)
		return -ENOMEM;
	pods->count++;
	r = keep_owner(&pods->texts, metadata, pod);
	if (!r)
		r = keep_labels(&pods->texts, labels, &pods->labels, &pods->label_count,
				&pods->label_capacity);
	pod->label_count = pods->label_count - pod->first_label;
	if (!r)
		r = keep_containers(pods, pod, cJSON_GetObjectItemCaseSensitive(item, "status"));
	return r;
}

int pods_read(struct pods *pods, const char *json, size_t length)
{
	int r = runtime_each_item(json, length, keep_pod, pods);

	if (r)
		return r;
	if (pods->count)
		qsort(pods->all, pods->count, sizeof(*pods->all), compare_pods);
	if (pods->container_count)
		qsort(pods->containers, pods->container_count, sizeof(*pods->containers), compare_containers);
	return 0;
}

void pods_clear(struct pods *pods)
{
	texts_clear(&pods->texts);
	free(pods->all);
	free(pods->labels);
	free(pods->containers);
	*pods = (struct pods){0};
}

bool pods_have(const struct pods *pods, const char *name_space)
{
	size_t low = 0, high = pods->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(pods->all[middle].name_space, name_space);

		if (!order)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

const struct pod *pods_find(const struct pods *pods, const char *name_space, const char *name)
{
	const struct pod key = {.name_space = name_space, .name = name};

	return pods->count ? bsearch(&key, pods->all, pods->count, sizeof(key), compare_pods) : NULL;
}

/* ---- Services ----------------------------------------------------------------------------------- */

static int keep_service(void *user, const cJSON *item)
{
	struct services *services = user;
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(item, "metadata");
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(item, "spec");
	const cJSON *selector = cJSON_GetObjectItemCaseSensitive(spec, "selector");
	const char *name_space = runtime_string(metadata, "namespace");
	const char *name = runtime_string(metadata, "name"), *type = runtime_string(spec, "type");
	struct service *service;
	int r;

	if (!name_space || !*name_space || !name || !*name)
		return -EINVAL;
	/* These select nothing. */
	if (!selector || !selector->child || (type && !strcmp(type, "ExternalName")))
		return 0;
	if (services->count == SERVICES_MOST)
		return -E2BIG;
	service = grow(services->all, services->count, &services->capacity, sizeof(*service));
	if (!service)
		return -ENOMEM;
	services->all = service;
	service += services->count;
	*service = (struct service){.name_space = texts_keep(&services->texts, name_space),
				    .name = texts_keep(&services->texts, name),
				    .first_selector = services->selector_count};
	if (!service->name_space || !service->name)
		return -ENOMEM;
	r = keep_labels(&services->texts, selector, &services->selectors, &services->selector_count,
			&services->selector_capacity);
	service->selector_count = services->selector_count - service->first_selector;
	/* What is no text selects nothing either. */
	services->count += service->selector_count > 0;
	return r;
}

int services_read(struct services *services, const char *json, size_t length)
{
	return runtime_each_item(json, length, keep_service, services);
}

void services_sort(struct services *services)
{
	if (services->count)
		qsort(services->all, services->count, sizeof(*services->all), compare_services);
}

void services_clear(struct services *services)
{
	texts_clear(&services->texts);
	free(services->all);
	free(services->selectors);
	*services = (struct services){0};
}

static bool has_label(const struct pods *pods, const struct pod *pod, const struct pod_label *wanted)
{
	for (size_t i = 0; i < pod->label_count; i++) {
		const struct pod_label *label = &pods->labels[pod->first_label + i];

		if (!strcmp(label->key, wanted->key) && !strcmp(label->value, wanted->value))
			return true;
	}
	return false;
}

static bool selects(const struct services *services, const struct service *service, const struct pods *pods,
		    const struct pod *pod)
{
	for (size_t i = 0; i < service->selector_count; i++)
		if (!has_label(pods, pod, &services->selectors[service->first_selector + i]))
			return false;
	return true;
}

/* The first of a namespace's services, or of those behind it. */
static size_t first_in(const struct services *services, const char *name_space)
{
	size_t low = 0, high = services->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(services->all[middle].name_space, name_space) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Longer ones than a label has room for are cut there. */
static int keep_services_of(struct pod_services *found, const struct pods *pods, const struct pod *pod,
			    const struct services *services)
{
	char names[8 * IDENTITY_NAME_MAX];
	size_t length = 0;

	for (size_t i = first_in(services, pod->name_space);
	     i < services->count && !strcmp(services->all[i].name_space, pod->name_space); i++)
		if (length < sizeof(names) && selects(services, &services->all[i], pods, pod))
			length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
						   length ? "," : "", services->all[i].name);
	if (!length)
		return 0;
	found->names[pod - pods->all] = texts_keep(&found->texts, names);
	return found->names[pod - pods->all] ? 0 : -ENOMEM;
}

int pod_services_find(struct pod_services *found, const struct pods *pods, const struct services *services)
{
	int r = 0;

	found->names = calloc(pods->count + 1, sizeof(*found->names));
	if (!found->names)
		return -ENOMEM;
	for (size_t i = 0; i < pods->count && !r; i++)
		r = keep_services_of(found, pods, &pods->all[i], services);
	return r;
}

void pod_services_clear(struct pod_services *found)
{
	texts_clear(&found->texts);
	free(found->names);
	*found = (struct pod_services){0};
}

/* ---- What is told of a container ---------------------------------------------------------------- */

int pods_name_container(const struct pods *pods, struct identity *identity)
{
	const struct pod_container key = {.id = identity->id};
	const struct pod_container *container =
	    pods->container_count
		? bsearch(&key, pods->containers, pods->container_count, sizeof(key), compare_containers)
		: NULL;

	if (!container)
		return -ENOENT;
	if (!runtime_set_pod(identity, identity->runtime ? identity->runtime : container->runtime,
			     container->name_space, container->pod, container->name))
		return -ENOENT;
	runtime_set_image(identity, container->image);
	return 0;
}

bool pods_tell(const struct pods *pods, const struct pod_services *services, struct identity *identity)
{
	const char *name_space = identity_label(identity, "namespace");
	const char *name = identity_label(identity, "pod_name");
	const struct pod *pod = name_space && name ? pods_find(pods, name_space, name) : NULL;

	if (!pod)
		return false;
	identity_drop_label(identity, "owner_kind");
	identity_drop_label(identity, "owner_name");
	if (pod->owner_kind) {
		identity_set_label(identity, "owner_kind", pod->owner_kind);
		identity_set_label(identity, "owner_name", pod->owner_name);
	}
	if (pod->node && !identity_label(identity, "node"))
		identity_set_label(identity, "node", pod->node);
	for (size_t i = 0; i < pod->label_count; i++)
		runtime_set_label(identity, pods->labels[pod->first_label + i].key,
				  pods->labels[pod->first_label + i].value);
	if (services) {
		const char *names = services->names[pod - pods->all];

		identity_drop_label(identity, "service_name");
		identity_set_label(identity, "service_name", names ? names : "");
	}
	return true;
}
