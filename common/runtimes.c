/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the readers of runtimes' files have in common.
 */
#include "runtimes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "selection.h"

/* ---- JSON --------------------------------------------------------------------------------------- */

/* A runtime's is some 8 deep and has some thousand values; one takes 64 bytes to hold. */
#define JSON_DEPTH_MOST	 64
#define JSON_VALUES_MOST 65536

/* Whether the text, were it JSON, is neither deeper nor more than that. */
static bool is_moderate(const char *json, size_t length)
{
	size_t depth = 0, values = 0;
	bool in_string = false;

	for (size_t i = 0; i < length; i++) {
		char c = json[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (c == '{' || c == '[')
			depth++, values++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		else if (c == ',')
			values++;
		if (depth > JSON_DEPTH_MOST || values > JSON_VALUES_MOST)
			return false;
	}
	return true;
}

cJSON *runtime_parse(const char *json, size_t length)
{
	return is_moderate(json, length) ? cJSON_ParseWithLength(json, length) : NULL;
}

void runtime_json_delete(cJSON **json)
{
	cJSON_Delete(*json);
}

const char *runtime_string(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

long runtime_read(size_t most, char **contents, const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	if (length < 0 || length >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return file_read_new(AT_FDCWD, path, most, contents);
}

/* ---- Users -------------------------------------------------------------------------------------- */

#define PASSWD_MOST (4 << 20)

/* The sixth field of the user's line, to be freed. */
static char *home_of(const char *passwd, int64_t user)
{
	for (const char *line = passwd; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		unsigned long uid;
		char home[512];

		if (sscanf(line, "%*[^:\n]:%*[^:\n]:%lu:%*u:%*[^:\n]:%511[^:\n]", &uid, home) == 2 &&
		    (int64_t)uid == user && *home == '/')
			return strdup(home);
		if (sscanf(line, "%*[^:\n]:%*[^:\n]:%lu:%*u::%511[^:\n]", &uid, home) == 2 &&
		    (int64_t)uid == user && *home == '/')
			return strdup(home);
	}
	return NULL;
}

int runtime_home(const char *host_root, int64_t user, const char *below, char **path)
{
	cleanup_free char *passwd = NULL;
	cleanup_free char *home = NULL;
	long length = user < 0 ? -ENOENT : runtime_read(PASSWD_MOST, &passwd, "%s/etc/passwd", host_root);

	if (length < 0)
		return (int)length;
	home = home_of(passwd, user);
	if (!home)
		return -ENOENT;
	if (asprintf(path, "%s%s/%s", host_root, home, below) < 0) {
		*path = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- Names -------------------------------------------------------------------------------------- */

void runtime_set_image(struct identity *identity, const char *text)
{
	static const char digest[] = "sha256:";
	size_t length = strlen(text);
	const char *slash, *tag;

	identity->version[0] = '\0';
	if (!strncmp(text, digest, strlen(digest)) &&
	    identity_is_id(text + strlen(digest), length - strlen(digest))) {
		identity_text(identity->image, sizeof(identity->image), text, length);
		return;
	}
	length = strcspn(text, "@");
	slash = memrchr(text, '/', length);
	tag = memrchr(text, ':', length);
	if (tag && (!slash || tag > slash)) {
		const char *version = tag + 1;

		identity_text(identity->version, sizeof(identity->version), version,
			      (size_t)(text + length - version));
		length = (size_t)(tag - text);
	}
	identity_text(identity->image, sizeof(identity->image), text, length);
}

void runtime_set_name(struct identity *identity, const char *runtime, const char *name)
{
	identity_text(identity->name, sizeof(identity->name), name, strlen(name));
	identity->runtime = runtime;
	identity->named = true;
}

/* label_KEY, of bytes that no agent takes for the end of it. */
static void set_chosen_label(struct identity *identity, const char *key, const char *value)
{
	char own[IDENTITY_KEY_MAX];

	if (snprintf(own, sizeof(own), "label_%s", key) >= (int)sizeof(own))
		return;
	for (char *c = own; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/", *c))
			*c = '_';
	identity_set_label(identity, own, value);
}

void runtime_set_labels(struct identity *identity, const cJSON *labels)
{
	const char *project = runtime_string(labels, "com.docker.compose.project");
	const char *service = runtime_string(labels, "com.docker.compose.service");
	const cJSON *label;

	identity_set_label(identity, "compose_project", project ? project : "");
	identity_set_label(identity, "compose_service", service ? service : "");
	if (!identity->chosen || !cJSON_IsObject(labels))
		return;
	cJSON_ArrayForEach(label, labels)
	{
		const char *value = cJSON_GetStringValue(label);

		if (value && label->string && selection_has(identity->chosen, label->string))
			set_chosen_label(identity, label->string, value);
	}
}

/* ---- Pods --------------------------------------------------------------------------------------- */

/* What Kubernetes makes its random suffixes of: no vowels, nor digits that look like letters. */
#define SAFE "bcdfghjklmnpqrstvwxz2456789"

/* The dash before the last part of a name of that length, if that consists of `of`; 0: it does not. */
static size_t dash_before(const char *name, size_t length, const char *of, size_t least, size_t most)
{
	size_t part = 0;

	while (part < length && name[length - 1 - part] != '-' && strchr(of, name[length - 1 - part]))
		part++;
	if (part < least || part > most || part + 2 > length || name[length - 1 - part] != '-')
		return 0;
	return length - 1 - part;
}

static void set_owner(struct identity *identity, const char *kind, const char *pod, size_t length)
{
	char name[IDENTITY_NAME_MAX];

	if (length >= sizeof(name))
		return;
	memcpy(name, pod, length);
	name[length] = '\0';
	identity_set_label(identity, "owner_kind", kind);
	identity_set_label(identity, "owner_name", name);
}

/*
 * A pod's name is its owner's and what that appended: a Deployment the hash of its template and a random
 * part, a CronJob the minute of the run and one, a StatefulSet a number. With one random part alone it is a
 * DaemonSet's, a Job's or another's: then the kind is left out.
 */
static void set_owner_of(struct identity *identity, const char *pod)
{
	size_t length = strlen(pod);
	size_t random = dash_before(pod, length, SAFE, 5, 5);
	size_t minute = random ? dash_before(pod, random, "0123456789", 8, 8) : 0;
	size_t hash = random ? dash_before(pod, random, SAFE, 8, 10) : 0;
	size_t number = dash_before(pod, length, "0123456789", 1, 4);

	if (minute)
		set_owner(identity, "CronJob", pod, minute);
	else if (hash)
		set_owner(identity, "Deployment", pod, hash);
	else if (random)
		set_owner(identity, "", pod, random);
	else if (number)
		set_owner(identity, "StatefulSet", pod, number);
}

bool runtime_set_pod(struct identity *identity, const char *runtime, const char *name_space, const char *pod,
		     const char *container)
{
	char name[3 * IDENTITY_NAME_MAX];

	if (!name_space || !*name_space || !pod || !*pod || !container || !*container)
		return false;
	snprintf(name, sizeof(name), "%.253s/%.253s/%.253s", name_space, pod, container);
	runtime_set_name(identity, runtime, name);
	identity_text(identity->container, sizeof(identity->container), container, strlen(container));
	identity_set_label(identity, "namespace", name_space);
	identity_set_label(identity, "pod_name", pod);
	set_owner_of(identity, pod);
	return true;
}
