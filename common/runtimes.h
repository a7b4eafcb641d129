/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the runtimes keep of their containers: a reader for each, and what they have in common. Their files
 * belong to others: anything in them may be wrong, huge, missing or changing while it is read.
 *
 * A reader fills in a container's name, image and labels, and which runtime it is. 0: named, or found to be a
 * pause sandbox and then IDENTITY_SYSTEM. -ENOENT: it does not know the container. -EINVAL: not what the
 * runtime writes, or the id is none of its. -EFBIG: nothing of its is that long. Else what open or read gave.
 * On error the identity is untouched.
 */
#ifndef DEEPMON_RUNTIMES_H
#define DEEPMON_RUNTIMES_H

#include <cjson/cJSON.h>

#include "identity.h"

/* ---- In common ---------------------------------------------------------------------------------- */

/* JSON that is neither too deep nor too much; NULL: it is that, or no JSON. */
cJSON *runtime_parse(const char *json, size_t length);
void runtime_json_delete(cJSON **json);
#define cleanup_json __attribute__((cleanup(runtime_json_delete)))

/* An object's member that is text; NULL: it has none. */
const char *runtime_string(const cJSON *object, const char *name);

/* The end of the object that begins at json[start], which is not parsed for it; 0: it does not end. */
size_t runtime_object_end(const char *json, size_t length, size_t start);

/*
 * The objects in a list of Kubernetes' ({"items":[…]}), one by one: that of a whole node is never held as a
 * tree. Until one is visited with another result than 0, which is returned; 0: all were; -EINVAL: no such
 * list.
 */
typedef int runtime_item_visitor(void *user, const cJSON *item);
int runtime_each_item(const char *json, size_t length, runtime_item_visitor *visit, void *user);

/* Reads a file of at most `most` bytes whose path is formatted. Its length, or -errno. */
__attribute__((format(printf, 3, 4))) long runtime_read(size_t most, char **contents, const char *format,
							...);

/* When what is open there was written last, CLOCK_REALTIME in ns; 0: nothing is. Takes -errno for it, too. */
uint64_t runtime_written(int fd);

/*
 * Opens a file below the home that host_root/etc/passwd has for a user. What he made point elsewhere, a link
 * or another file system, is not followed: it might hold us up for ever, or be a device. -ENOENT: there is
 * none.
 */
int runtime_open_home(const char *host_root, int64_t user, const char *path);

/*
 * "host:5000/team/web:1.2@sha256:…" is image host:5000/team/web, version 1.2. A container made from an image
 * that had no name then has the image's id there, "sha256:…", which is no name and tag.
 */
void runtime_set_image(struct identity *identity, const char *text);

/* A runtime's own name of a container. */
void runtime_set_name(struct identity *identity, const char *runtime, const char *name);

/* A label, as label_KEY, if it is chosen and there is room. */
void runtime_set_label(struct identity *identity, const char *key, const char *value);
/* Labels of a container (an object of texts): those of compose, and those that are chosen. NULL: none. */
void runtime_set_labels(struct identity *identity, const cJSON *labels);

/*
 * A container of a pod, by the names that Kubernetes has for it; the pod's owner as far as the pod's name
 * tells it. false: one of them is missing.
 */
bool runtime_set_pod(struct identity *identity, const char *runtime, const char *name_space, const char *pod,
		     const char *container);

/* How long the CronJob's name is in that of a Job, NAME-MINUTE; 0: it is none of one. */
size_t runtime_cron_job(const char *name, size_t length);

/* ---- Docker ------------------------------------------------------------------------------------- */

/* From its config.v2.json below docker_root. */
int docker_name_from_file(const char *docker_root, struct identity *identity);
/* The same of a user's own daemon, below his home. */
int docker_name_from_home(const char *host_root, struct identity *identity);

/*
 * By asking the daemon on its socket (GET /containers/ID/json). Takes at most timeout_ms in all. -ETIMEDOUT,
 * or what connect gave (-EAGAIN: the daemon has too many callers waiting; -ECONNREFUSED: it does not run).
 */
int docker_name_from_socket(const char *socket_path, int timeout_ms, struct identity *identity);

/* Their reading of a config or an answer's body (Name, Config.Image), and of a whole HTTP answer. Pure. */
int docker_name_from_json(const char *json, size_t length, struct identity *identity);
int docker_name_from_answer(const char *answer, size_t length, struct identity *identity);

/* ---- containerd: ctr, nerdctl, and Kubernetes --------------------------------------------------- */

/* From the config.json that its shim got: containerd_root/io.containerd.runtime.v2.task/NAMESPACE/ID. */
int containerd_name_from_file(const char *containerd_root, struct identity *identity);
/*
 * Whether the cgroup is that of a container in a namespace that people chose, or nested in one: ctr's are at
 * /NAMESPACE/ID, which the path alone does not tell. Then that is its id, and its own within that the name.
 */
bool containerd_has_path(const char *containerd_root, const char *path, struct identity *identity);
int containerd_name_from_json(const char *json, size_t length, struct identity *identity);

/* ---- CRI-O -------------------------------------------------------------------------------------- */

/* From crio_root/overlay-containers/ID/userdata/config.json. */
int crio_name_from_file(const char *crio_root, struct identity *identity);
int crio_name_from_json(const char *json, size_t length, struct identity *identity);

/* ---- podman ------------------------------------------------------------------------------------- */

/* From podman_root/overlay-containers/containers.json or volatile-containers.json. */
int podman_name_from_file(const char *podman_root, struct identity *identity);
/* The same of a user's own, below his home. */
int podman_name_from_home(const char *host_root, struct identity *identity);
int podman_name_from_json(const char *json, size_t length, struct identity *identity);
/* When the list was written last, root's or a user's, to be compared with another time; 0: there is none. */
uint64_t podman_list_written(const char *podman_root);
uint64_t podman_list_written_home(const char *host_root, int64_t user);
/* Labels of one that has its name, by asking podman's service as docker_name_from_socket does. */
int podman_labels_from_socket(const char *socket_path, int timeout_ms, struct identity *identity);

/* ---- Kubernetes, whatever the runtime ----------------------------------------------------------- */

/* From the link that the kubelet makes to a container's log: log_root/containers/POD_NAMESPACE_NAME-ID.log.
 */
int kubernetes_name_from_logs(const char *log_root, struct identity *identity);
int kubernetes_name_from_link(const char *link, struct identity *identity);

#endif
