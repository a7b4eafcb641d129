/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the kubelet tells of the pods on its node, and the API server of services: who made a pod, and which
 * services send to it. Pure; the answers belong to others, so anything in them may be wrong or too much.
 */
#ifndef DEEPMON_PODS_H
#define DEEPMON_PODS_H

#include <stdbool.h>
#include <stddef.h>

#include "identity.h"
#include "texts.h"

/* More is refused: a node has some hundred pods, and a namespace some hundred services. */
#define PODS_MOST     8192
#define SERVICES_MOST 16384

struct pod {
	const char *name_space, *name;
	const char *owner_kind, *owner_name; /* its controller, a Deployment for its ReplicaSet; NULL: none */
	const char *node;		     /* NULL: not told */
	size_t first_label, label_count;     /* in pods.labels */
};

struct pods {
	struct texts texts;
	struct pod *all; /* sorted by namespace and name */
	struct pod_label *labels;
	struct pod_container *containers; /* sorted by id */
	size_t count, capacity;
	size_t label_count, label_capacity;
	size_t container_count, container_capacity;
};

struct services {
	struct texts texts;
	struct service *all; /* sorted by namespace and name */
	struct pod_label *selectors;
	size_t count, capacity;
	size_t selector_count, selector_capacity;
};

/* Which services select which pod. */
struct pod_services {
	struct texts texts;
	const char **names; /* of each of pods.all, in order and parted by commas; NULL: of none */
};

/*
 * Reads the kubelet's answer to GET /pods into what is empty. 0; -EINVAL: it is no list of pods; -E2BIG;
 * -ENOMEM. On error what was read is to be cleared.
 */
int pods_read(struct pods *pods, const char *json, size_t length);
void pods_clear(struct pods *pods);

/* Whether there is a pod in that namespace. */
bool pods_have(const struct pods *pods, const char *name_space);
/* NULL: not known. */
const struct pod *pods_find(const struct pods *pods, const char *name_space, const char *name);

/*
 * Adds the API server's answer to GET /api/v1/namespaces/NAMESPACE/services. As pods_read. When all is added:
 * services_sort.
 */
int services_read(struct services *services, const char *json, size_t length);
void services_sort(struct services *services);
void services_clear(struct services *services);

/* Finds what selects each of the pods, into what is empty. -ENOMEM, and then it is to be cleared. */
int pod_services_find(struct pod_services *found, const struct pods *pods, const struct services *services);
void pod_services_clear(struct pod_services *found);

/* Names a container by its id, as a reader of runtimes.h does. */
int pods_name_container(const struct pods *pods, struct identity *identity);

/*
 * Gives a container the owner, the node, the services and the chosen labels of its pod, in place of what its
 * names tell of them.
 * Without services (NULL) it keeps those it has. false: the pod is not known, or it is in none.
 */
bool pods_tell(const struct pods *pods, const struct pod_services *services, struct identity *identity);

#endif
