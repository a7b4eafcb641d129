/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the readers of runtimes' files have in common.
 */
#include "runtimes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

size_t runtime_object_end(const char *json, size_t length, size_t start)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = start; i < length; i++) {
		if (in_string && json[i] == '\\')
			i++;
		else if (json[i] == '"')
			in_string = !in_string;
		else if (!in_string && json[i] == '{')
			depth++;
		else if (!in_string && json[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Where the text that begins at json[start] with a quote ends, behind its other quote; 0: it does not. */
static size_t string_end(const char *json, size_t length, size_t start)
{
	for (size_t i = start + 1; i < length; i++) {
		if (json[i] == '\\')
			i++;
		else if (json[i] == '"')
			return i + 1;
	}
	return 0;
}

static size_t skip(const char *json, size_t length, size_t at, const char *bytes)
{
	while (at < length && json[at] && strchr(bytes, json[at]))
		at++;
	return at;
}

#define BLANKS " \t\r\n"

/* Where the value of the outermost object's member of that name begins; 0: it has no such. */
static size_t member_start(const char *json, size_t length, const char *name)
{
	size_t depth = 0, end;

	for (size_t i = 0; i < length; i++) {
		if (json[i] == '{' || json[i] == '[')
			depth++;
		else if ((json[i] == '}' || json[i] == ']') && depth)
			depth--;
		if (json[i] != '"')
			continue;
		end = string_end(json, length, i);
		if (!end)
			return 0;
		if (depth == 1 && end - i - 2 == strlen(name) && !memcmp(json + i + 1, name, strlen(name))) {
			size_t colon = skip(json, length, end, BLANKS);

			if (colon < length && json[colon] == ':')
				return skip(json, length, colon + 1, BLANKS);
		}
		i = end - 1;
	}
	return 0;
}

int runtime_each_item(const char *json, size_t length, runtime_item_visitor *visit, void *user)
{
	size_t at = member_start(json, length, "items");
	int r = 0;

	/* Of none it is what Go makes of a list that was never begun. */
	if (at && length - at >= 4 && !memcmp(json + at, "null", 4))
		return 0;
	if (!at || at >= length || json[at] != '[')
		return -EINVAL;
	for (at++; !r;) {
		size_t end;

		at = skip(json, length, at, BLANKS ",");
		if (at < length && json[at] == ']')
			return 0;
		end = at < length && json[at] == '{' ? runtime_object_end(json, length, at) : 0;

		cleanup_json cJSON *item = end ? runtime_parse(json + at, end - at) : NULL;

		r = item ? visit(user, item) : -EINVAL;
		at = end;
	}
	return r;
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

uint64_t runtime_written(int fd)
{
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return 0;
	return (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec;
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

int runtime_open_home(const char *host_root, int64_t user, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
	cleanup_free char *passwd = NULL;
	cleanup_free char *home = NULL;
	cleanup_free char *full = NULL;
	cleanup_close int directory = -1;
	long length = user < 0 ? -ENOENT : runtime_read(PASSWD_MOST, &passwd, "%s/etc/passwd", host_root);
	long fd;

	if (length < 0)
		return (int)length;
	home = home_of(passwd, user);
	if (!home)
		return -ENOENT;
	if (asprintf(&full, "%s%s", host_root, home) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	directory = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
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

void runtime_set_label(struct identity *identity, const char *key, const char *value)
{
	char own[IDENTITY_KEY_MAX];

	if (!identity->chosen || !selection_has(identity->chosen, key) ||
	    snprintf(own, sizeof(own), "label_%s", key) >= (int)sizeof(own))
		return;
	/* Of bytes that no agent takes for the end of it. */
	for (char *c = own; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/", *c))
			*c = '_';
	if (identity->label_count < IDENTITY_LABELS_MAX - IDENTITY_LABELS_LATE ||
	    identity_label(identity, own))
		identity_set_label(identity, own, value);
}

void runtime_set_labels(struct identity *identity, const cJSON *labels)
{
	const char *project = runtime_string(labels, "com.docker.compose.project");
	const char *service = runtime_string(labels, "com.docker.compose.service");
	const cJSON *label;

	identity_set_label(identity, "compose_project", project ? project : "");
	identity_set_label(identity, "compose_service", service ? service : "");
	if (!cJSON_IsObject(labels))
		return;
	cJSON_ArrayForEach(label, labels)
	{
		const char *value = cJSON_GetStringValue(label);

		if (value && label->string)
			runtime_set_label(identity, label->string, value);
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

/* The minutes since 1970 of any day since 2017, and not of a date such as 20261124. */
#define CRON_MINUTE_LEAST 25000000

size_t runtime_cron_job(const char *name, size_t length)
{
	size_t dash = dash_before(name, length, "0123456789", 8, 8);

	return dash && strtoul(name + dash + 1, NULL, 10) >= CRON_MINUTE_LEAST ? dash : 0;
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
	size_t minute = random ? runtime_cron_job(pod, random) : 0;
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
