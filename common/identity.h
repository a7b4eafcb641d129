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
 * What a cgroup's path (relative to its hierarchy's root, beginning with '/') tells alone; pure. Always
 * succeeds, whatever bytes the path holds.
 *
 * A cgroup nested in a container is that container; in containers within containers, the innermost one.
 * Where the runtime puts a name into the path instead of an id (LXC, nspawn, libvirt), that is the name, and
 * the id as well.
 *
 * What is no container is IDENTITY_SYSTEM, its name the path shortened. Several cgroups may get one name:
 * they are to be summed. The name is never "".
 *   - Below the deepest systemd unit that is no slice, all is left out:
 *       /system.slice/nginx.service/worker	-> nginx.service
 *   - A slice above a unit or another slice is left out, so units of a user's manager keep the manager:
 *       /user.slice/user-1000.slice/session-3.scope			  -> session-3.scope
 *       /user.slice/user-1000.slice/user@1000.service/app.slice/foo.service -> user@1000.service/foo.service
 *       /user.slice/user-1000.slice						  -> user-1000.slice
 *   - Other components stay: /mygroup/sub -> mygroup/sub, /system.slice/sub -> system.slice/sub; "/" is root.
 *   - Units lose systemd's escapes: home-my\x2dfiles.mount -> home-my-files.mount.
 *   - 64 hex digits become "ID", so that helpers of containers do not make a name for each container:
 *       /machine.slice/libpod-conmon-4f1c….scope -> libpod-conmon-ID.scope
 *   - One too long is cut as identity_text does.
 */
void identity_from_path(const char *path, struct identity *identity);

/* A container's id as Docker, containerd, CRI-O and podman make it: 64 lower-case hex digits and no more. */
bool identity_is_id(const char *text, size_t length);

/*
 * Copies a name so that it fits into size bytes (18 to IDENTITY_NAME_MAX), NUL included. One that is longer
 * keeps its end and gets in place of the rest a hash of the whole, "1f00ba23~", so that it stays unique.
 */
void identity_text(char *copy, size_t size, const char *text, size_t length);

/*
 * Fills in the name and image of a Docker container from its config.v2.json below docker_root, and that
 * Docker is its runtime. Reads one file; never blocks. 0: named. -ENOENT: no such file. -EINVAL: not what
 * Docker writes, or the id is none of Docker's. -EFBIG: no config is that long. Else what open or read gave.
 * Untouched on error.
 */
int docker_name_from_file(const char *docker_root, struct identity *identity);

/*
 * The same by asking the daemon on its socket (GET /containers/ID/json). Takes at most timeout_ms in all.
 * -ETIMEDOUT, -ENOENT (no such container or socket), -EINVAL, -EFBIG, or what connect gave (-EAGAIN: the
 * daemon has too many callers waiting; -ECONNREFUSED: it does not run).
 */
int docker_name_from_socket(const char *socket_path, int timeout_ms, struct identity *identity);

/* Their reading of a config or an answer's body (Name, Config.Image), and of a whole HTTP answer. Pure. */
int docker_name_from_json(const char *json, size_t length, struct identity *identity);
int docker_name_from_answer(const char *answer, size_t length, struct identity *identity);

#endif
