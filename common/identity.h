/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Who a cgroup is: from its path, and for a container from what its runtime wrote about it.
 */
#ifndef DEEPMON_IDENTITY_H
#define DEEPMON_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "deepmon.h"

#define IDENTITY_NAME_MAX 256
#define IDENTITY_ID_MAX	  128

enum identity_kind {
	IDENTITY_SYSTEM, /* a unit, or any cgroup that belongs to no container */
	IDENTITY_CONTAINER,
};

struct identity {
	enum identity_kind kind;
	const char *runtime;		 /* "docker", "podman", …; static; NULL: not told by the path */
	char id[IDENTITY_ID_MAX];	 /* the container's id in full; "" for IDENTITY_SYSTEM */
	char name[IDENTITY_NAME_MAX];	 /* what people call it; until known, the id's first 12 digits */
	char image[IDENTITY_NAME_MAX];	 /* as the runtime has it, without the tag; "" if not known */
	char version[IDENTITY_NAME_MAX]; /* the image's tag; "" if not known */
	bool named;			 /* name is the one the runtime gave */
};

/*
 * What a cgroup's path (relative to its hierarchy's root, beginning with '/') tells alone; pure. A cgroup
 * nested in a container is that container. Always succeeds: what is no container is IDENTITY_SYSTEM, its
 * name the path shortened: "/system.slice/nginx.service/x" is "nginx.service", "/" is "root".
 */
void identity_from_path(const char *path, struct identity *identity);

/*
 * Fills in the name and image of a Docker container from its config.v2.json below docker_root. Reads one
 * file; never blocks. 0: named. -ENOENT: no such file. -EINVAL: not what Docker writes. Untouched on error.
 */
int docker_name_from_file(const char *docker_root, struct identity *identity);

/*
 * The same by asking the daemon on its socket (GET /containers/ID/json). Takes at most timeout_ms in all.
 * -ETIMEDOUT, -ENOENT (no such container), -EINVAL, or what connect gave.
 */
int docker_name_from_socket(const char *socket_path, int timeout_ms, struct identity *identity);

/* The body of either answer, pure: Name, Config.Image. For tests and fuzzers. */
int docker_name_from_json(const char *json, size_t length, struct identity *identity);

#endif
