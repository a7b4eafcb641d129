/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the names of containers are found: what each runtime keeps in its files, or tells on its socket.
 */
#ifndef DEEPMON_NAMES_H
#define DEEPMON_NAMES_H

#include "deepmon.h"
#include "identity.h"
#include "root.h"

struct kubelet;
struct selection;

struct names {
	char host_root[ROOT_PATH_MAX];
	char docker_root[ROOT_PATH_MAX];
	char docker_socket[ROOT_PATH_MAX]; /* "": not to be asked */
	char containerd_root[ROOT_PATH_MAX];
	char crio_root[ROOT_PATH_MAX];
	char podman_root[ROOT_PATH_MAX];
	char podman_socket[ROOT_PATH_MAX]; /* "": labels are not to be asked for */
	char kubernetes_log_root[ROOT_PATH_MAX];
	char node[DEEPMON_TEXT_MAX];
	struct kubelet *kubelet;  /* asked for what it was told already; NULL: there is none */
	struct selection *labels; /* of the runtimes', those to be kept */
};

/* -ENOMEM. */
int names_init(struct names *names, const struct deepmon_options *options);
void names_clear(struct names *names);

/* Who a cgroup is: what its path tells, or a runtime that has one of that path. */
void names_identify(const struct names *names, const char *path, struct identity *identity);
/*
 * Which runtimes are there, as far as their directories tell, for findings; of those that may not be read the
 * logger is told.
 */
void names_find(const struct names *names, const struct deepmon_logger *logger);

/* Whether all of those that are there may be read. */
bool names_can_be_read(const struct names *names);

/* Fills in name, image and labels from the runtime's files; fast. 0, or -errno and the identity is as it was.
 */
int names_read(const struct names *names, struct identity *identity);

/* The same, and then from what may take its time, some tenths of a second: homes of users, the runtime
 * itself. */
int names_ask(const struct names *names, struct identity *identity);

/* Labels of one that has its name and more to be told (identity.more). Takes a second or two at most. */
int names_ask_more(const struct names *names, struct identity *identity);

/* Whether a runtime gives its containers new names as they run. NULL: not known. */
bool names_may_change(const char *runtime);
/* When what tells the name of such a one was last written, to be compared with another time; 0: not known. */
uint64_t names_written(const struct names *names, const struct identity *identity);

#endif
