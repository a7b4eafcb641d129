/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Who a cgroup is: from its path, and for a container from what its runtime wrote about it.
 */
#ifndef DEEPMON_IDENTITY_H
#define DEEPMON_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"

#define IDENTITY_NAME_MAX   256
#define IDENTITY_ID_MAX	    128
#define IDENTITY_KEY_MAX    96
#define IDENTITY_LABELS_MAX 16
/* Room that labels of the container's own leave to what is told of it later: node, owner, services. */
#define IDENTITY_LABELS_LATE 4

struct selection;

enum identity_kind {
	IDENTITY_SYSTEM, /* a unit, or any cgroup that belongs to no container */
	IDENTITY_CONTAINER,
};

/* What more is told of a container: of its pod, of its compose project, by its own labels. */
struct identity_label {
	char key[IDENTITY_KEY_MAX]; /* as the catalogue has it; label_KEY for one that ContainerLabel chose */
	char value[IDENTITY_NAME_MAX];
};

struct identity {
	enum identity_kind kind;
	const char *runtime;		   /* "docker", "podman", …; static; NULL: not told by the path */
	char id[IDENTITY_ID_MAX];	   /* the container's id in full; "" for IDENTITY_SYSTEM */
	char name[IDENTITY_NAME_MAX];	   /* what people call it, "NAMESPACE/POD/CONTAINER" in a pod; until
					      known, the id, of which the first 12 digits where it is one */
	char container[IDENTITY_NAME_MAX]; /* the name within its pod; "": it is in none */
	char image[IDENTITY_NAME_MAX];	   /* as the runtime has it, without the tag; "" if not known */
	char version[IDENTITY_NAME_MAX];   /* the image's tag; "" if not known */
	bool named;			   /* name is the one the runtime gave */
	bool more;			   /* its runtime knows more of it, that takes time to ask */
	bool in_pod;			   /* below the kubelet's cgroup */
	int64_t user; /* whose manager it runs under (rootless); -1: nobody's, or root's */
	unsigned label_count;
	struct identity_label labels[IDENTITY_LABELS_MAX]; /* sorted by key */
	const struct selection *chosen; /* the runtime's labels that are to be kept; NULL: none */
};

/*
 * What a cgroup's path (relative to its hierarchy's root, beginning with '/') tells alone; pure. Always
 * succeeds, whatever bytes the path holds.
 *
 * A cgroup nested in a container is that container; in containers within containers, the innermost one.
 * Where the runtime puts a name into the path instead of an id (LXC, nspawn, libvirt), that is the name, and
 * the id as well. So it is of an id that people choose (ctr), but there may be a better name in its files.
 *
 * What is no container is IDENTITY_SYSTEM, its name the path shortened. Several cgroups may get one name:
 * they are to be summed. The name is never "".
 *   - Below the deepest systemd unit that is no slice, all is left out:
 *       /system.slice/nginx.service/worker	-> nginx.service
 *   - A slice above a unit or another slice is left out, so units of a user's manager keep the manager:
 *       /user.slice/user-1000.slice/user@1000.service/app.slice/foo.service -> user@1000.service/foo.service
 *       /user.slice/user-1000.slice						  -> user-1000.slice
 *   - Sessions are counted up for ever; what is told is whose they are:
 *       /user.slice/user-1000.slice/session-3.scope			  -> user-1000.slice
 *   - Other components stay: /mygroup/sub -> mygroup/sub, /system.slice/sub -> system.slice/sub; "/" is root.
 *   - Units lose systemd's escapes: home-my\x2dfiles.mount -> home-my-files.mount.
 *   - 64 or 32 hex digits and UUIDs become "ID", so that pods and helpers of containers do not make a name
 *     for each:
 *       /machine.slice/libpod-conmon-4f1c….scope -> libpod-conmon-ID.scope
 *       /kubepods/burstable/pod0a1b2c3d-1111-…   -> kubepods/burstable/podID
 *   - One too long is cut as identity_text does.
 */
void identity_from_path(const char *path, struct identity *identity);

/* A container's id as Docker, containerd, CRI-O and podman make it: 64 lower-case hex digits and no more. */
bool identity_is_id(const char *text, size_t length);

/*
 * Copies a name so that it fits into size bytes (18 to IDENTITY_NAME_MAX), NUL included. One that is longer
 * keeps its end and gets in place of the rest a hash of the whole, "1f00ba23~", so that it stays unique. What
 * is no UTF-8 becomes '_', and so do control characters and backslashes at the end.
 */
void identity_text(char *copy, size_t size, const char *text, size_t length);

/* Makes it a container by an id as people choose it; the name stands in for one until there is a better. */
void identity_set_container(struct identity *identity, const char *runtime, const char *id, const char *name);

/* What has no part in a pod but to hold it together: IDENTITY_SYSTEM by this name, all of a host in one. */
#define IDENTITY_PAUSE "pause"
void identity_set_pause(struct identity *identity);

/* Sets a label; one that is "" or finds no room is left out. The value is copied as identity_text does. */
void identity_set_label(struct identity *identity, const char *key, const char *value);
void identity_drop_label(struct identity *identity, const char *key);
/* NULL: it has none. */
const char *identity_label(const struct identity *identity, const char *key);

#endif
