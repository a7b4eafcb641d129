/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Who a cgroup is, from its path alone: a table of how runtimes name cgroups, and how to shorten the paths
 * of all others. Pure; paths hold any bytes, for whoever may make a cgroup chooses its name.
 */
#include "identity.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS    64
#define SHORT_DIGITS 12 /* of an id, as `docker ps` shows it */
#define UUID_LENGTH  36

/* ---- The table ---------------------------------------------------------------------------------- */

/* What stands in a component between `before` and `after`. */
enum shape {
	ID,	  /* 64 hex digits */
	WORD,	  /* an id as people choose it */
	NAME,	  /* the container's name */
	NUMBERED, /* "3-web": the third machine since libvirt's start, called web */
	POD,	  /* 64 hex digits, but not of a container: look further up */
};

struct rule {
	const char *runtime; /* NULL: one of several */
	const char *parent;  /* the component above; NULL: any */
	const char *before;  /* "*" at its beginning: anything, then the rest */
	enum shape shape;
	const char *after;
};

/*
 * How runtimes name the cgroup of a container. The first row that fits wins. Patterns are of the component
 * without systemd's escapes. What runtimes run beside their containers fits none of them: crio-conmon-ID,
 * libpod-conmon-ID, lxc.monitor.NAME, and the mounts of docker-ID.mount.
 */
static const struct rule rules[] = {
    {"docker", NULL, "docker-", ID, ".scope"},
    {"docker", "docker", "", ID, ""},

    {"containerd", NULL, "cri-containerd-", ID, ".scope"},
    {"containerd", NULL, "nerdctl-", ID, ".scope"},
    {"containerd", "default", "", ID, ""}, /* containerd's namespace for ctr and nerdctl */
    {"containerd", "default", "", WORD, ""},

    {"cri-o", NULL, "crio-", ID, ".scope"},
    {"cri-o", NULL, "crio-", ID, ""},

    {"podman", NULL, "libpod-", ID, ".scope"},
    {"podman", NULL, "libpod-", ID, ""},
    {"podman", NULL, "libpod-payload-", ID, ""}, /* --cgroups=split, in the unit that started it */
    {NULL, "libpod_parent", "", POD, ""},	 /* has conmon in it */

    /* SLICE:PREFIX:ID, meant for systemd, where the runtime took it for a directory's name. */
    {"docker", NULL, "*:docker:", ID, ""},
    {"containerd", NULL, "*:cri-containerd:", ID, ""},
    {"containerd", NULL, "*:nerdctl:", ID, ""},
    {"cri-o", NULL, "*:crio:", ID, ""},

    {"systemd-nspawn", NULL, "systemd-nspawn@", NAME, ".service"},
    {"lxc", NULL, "lxc.payload.", NAME, ""},
    {"lxc", "lxc.payload", "", NAME, ""},
    {"lxc", "lxc", "", NAME, ""},
    {"libvirt", NULL, "machine-qemu-", NUMBERED, ".scope"},
    {"libvirt", NULL, "machine-lxc-", NUMBERED, ".scope"},
    {"libvirt", "machine", "qemu-", NUMBERED, ".libvirt-qemu"},
    {NULL, "machine.slice", "machine-", NAME, ".scope"}, /* by systemd-machined: nspawn, vmspawn, … */

    /* With cgroupfs: the kubelet's kubepods/burstable/podUID/ID, Docker's --cgroup-parent, ECS. */
    {NULL, NULL, "", ID, ""},
};

/* ---- Components --------------------------------------------------------------------------------- */

struct part {
	const char *text; /* not NUL-terminated */
	size_t length;
};

/* The last component of the path's first *end bytes; *end becomes its beginning. false: there is none. */
static bool component_before(const char *path, size_t *end, struct part *part)
{
	size_t stop = *end;
	size_t start;

	while (stop > 0 && path[stop - 1] == '/')
		stop--;
	for (start = stop; start > 0 && path[start - 1] != '/';)
		start--;
	*part = (struct part){path + start, stop - start};
	*end = start;
	return start < stop;
}

static bool part_is(struct part part, const char *text)
{
	return part.length == strlen(text) && !memcmp(part.text, text, part.length);
}

static bool part_begins(struct part part, const char *text)
{
	size_t length = strlen(text);

	return part.length >= length && !memcmp(part.text, text, length);
}

static bool part_ends(struct part part, const char *text)
{
	size_t length = strlen(text);

	return part.length >= length && !memcmp(part.text + part.length - length, text, length);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool identity_is_id(const char *text, size_t length)
{
	if (length != ID_DIGITS)
		return false;
	for (size_t i = 0; i < length; i++)
		if (hex_digit(text[i]) < 0)
			return false;
	return true;
}

/*
 * Without systemd's \xHH, into buffer. systemd itself goes further and makes '/' of '-', which nobody reads
 * better. NUL stays escaped. No file system has names longer than NAME_MAX; such a one is left as it is.
 */
static struct part unescape(struct part part, char buffer[static NAME_MAX])
{
	size_t length = 0;

	if (part.length > NAME_MAX || !memchr(part.text, '\\', part.length))
		return part;
	for (size_t i = 0; i < part.length; i++) {
		const char *c = part.text + i;
		int high, low;

		if (part.length - i >= 4 && c[0] == '\\' && c[1] == 'x' && (high = hex_digit(c[2])) >= 0 &&
		    (low = hex_digit(c[3])) >= 0 && high + low > 0) {
			buffer[length++] = (char)(high << 4 | low);
			i += 3;
		} else {
			buffer[length++] = *c;
		}
	}
	return (struct part){buffer, length};
}

/* ---- Names that fit ----------------------------------------------------------------------------- */

#define HASH_LENGTH 9 /* "1f00ba23~" */

/* A text put together from its end, of which the end stays when it gets too long. */
struct tail {
	char text[IDENTITY_NAME_MAX];
	size_t start;
	bool cut;
};

static void tail_prepend(struct tail *tail, const char *text, size_t length)
{
	if (length > tail->start) {
		text += length - tail->start;
		length = tail->start;
		tail->cut = true;
	}
	tail->start -= length;
	memcpy(tail->text + tail->start, text, length);
}

/* FNV-1a, its halves folded: the same on every host and in every version. */
static uint32_t hash_of(const char *text, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	return (uint32_t)(hash ^ hash >> 32);
}

/*
 * Names are text from here on, so that two never become one behind our back where an agent replaces what it
 * can't have: control characters and what is no UTF-8 become '_', and so do backslashes at the end.
 */
static void make_text(char *name)
{
	size_t length = 0;

	while (name[length]) {
		size_t character = deepmon_utf8_length(name + length);

		if (!character)
			name[length] = '_';
		length += character ? character : 1;
	}
	while (length && name[length - 1] == '\\')
		name[--length] = '_';
}

/* Writes the tail; if it does not fit, as a hash of `whole` and what has room after it. */
static void tail_write(const struct tail *tail, struct part whole, char *copy, size_t size)
{
	const char *text = tail->text + tail->start;
	size_t length = sizeof(tail->text) - tail->start;

	if (tail->cut || length >= size) {
		size_t room = size - 1 - HASH_LENGTH;

		if (length > room) {
			text += length - room;
			length = room;
		}
		/* Not from within a character of UTF-8: none has more than three bytes that continue it. */
		for (int i = 0; i < 3 && (*text & 0xc0) == 0x80; i++) {
			text++;
			length--;
		}
		snprintf(copy, size, "%08x~", hash_of(whole.text, whole.length));
		copy += HASH_LENGTH;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	make_text(copy);
}

void identity_text(char *copy, size_t size, const char *text, size_t length)
{
	struct tail tail = {.start = sizeof(tail.text)};

	tail_prepend(&tail, text, length);
	tail_write(&tail, (struct part){text, length}, copy, size);
}

/* ---- Containers --------------------------------------------------------------------------------- */

static bool before_fits(const char *before, struct part part)
{
	return *before == '*' ? part_ends(part, before + 1) : part_is(part, before);
}

/* What stands after the digits and the dash of "3-web"; nothing if it has another form. */
static struct part after_number(struct part part)
{
	size_t digits = 0;

	while (digits < part.length && part.text[digits] >= '0' && part.text[digits] <= '9')
		digits++;
	if (digits == 0 || digits == part.length || part.text[digits] != '-')
		return (struct part){part.text, 0};
	return (struct part){part.text + digits + 1, part.length - digits - 1};
}

/* Whether a component fits the rule, and where its id and name are. */
static bool rule_fits(const struct rule *rule, struct part parent, struct part part, struct part *id,
		      struct part *name)
{
	size_t before;

	if ((rule->parent && !part_is(parent, rule->parent)) || !part_ends(part, rule->after))
		return false;
	part.length -= strlen(rule->after);
	if (rule->shape == ID || rule->shape == POD) {
		if (part.length < ID_DIGITS)
			return false;
		before = part.length - ID_DIGITS;
		*id = (struct part){part.text + before, ID_DIGITS};
		*name = (struct part){id->text, SHORT_DIGITS};
		return before_fits(rule->before, (struct part){part.text, before}) &&
		       identity_is_id(id->text, id->length);
	}
	if (!part_begins(part, rule->before))
		return false;
	before = strlen(rule->before);
	*id = (struct part){part.text + before, part.length - before};
	*name = rule->shape == NUMBERED ? after_number(*id) : *id;
	return name->length > 0;
}

/* The UID in "user@UID.service". Of root's the containers are the host's. */
static int64_t user_of(const char *path)
{
	const char *manager = strstr(path, "/user@");
	int64_t user = 0;
	const char *c;

	if (!manager)
		return -1;
	manager += strlen("/user@");
	for (c = manager; *c >= '0' && *c <= '9' && user < UINT32_MAX; c++)
		user = user * 10 + *c - '0';
	return user > 0 && user < UINT32_MAX && !strncmp(c, ".service", strlen(".service")) ? user : -1;
}

static bool container_from_component(const char *path, struct part parent, struct part component,
				     struct identity *identity)
{
	char buffer[NAME_MAX];
	struct part part = unescape(component, buffer);
	struct part id, name;

	for (size_t i = 0; part.length <= NAME_MAX && i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (!rule_fits(rule, parent, part, &id, &name))
			continue;
		if (rule->shape == POD)
			return false;
		identity->kind = IDENTITY_CONTAINER;
		identity->runtime = rule->runtime;
		identity->named = rule->shape != ID && rule->shape != WORD;
		identity->in_pod = strstr(path, "kubepods") != NULL;
		identity->user = user_of(path);
		identity_text(identity->id, sizeof(identity->id), id.text, id.length);
		identity_text(identity->name, sizeof(identity->name), name.text, name.length);
		return true;
	}
	return false;
}

static bool container_from_path(const char *path, struct identity *identity)
{
	size_t end = strlen(path);
	struct part component;

	while (component_before(path, &end, &component)) {
		size_t above = end;
		struct part parent;

		component_before(path, &above, &parent);
		if (container_from_component(path, parent, component, identity))
			return true;
	}
	return false;
}

/* ---- The rest of the system --------------------------------------------------------------------- */

static bool has_name_and_suffix(struct part part, const char *suffix)
{
	return part.length > strlen(suffix) && part_ends(part, suffix);
}

/* The kinds of unit that have processes. */
static bool is_unit(struct part part)
{
	return has_name_and_suffix(part, ".service") || has_name_and_suffix(part, ".scope") ||
	       has_name_and_suffix(part, ".socket") || has_name_and_suffix(part, ".mount") ||
	       has_name_and_suffix(part, ".swap");
}

static bool is_slice(struct part part)
{
	return has_name_and_suffix(part, ".slice");
}

/* How much of the path says who it is: up to the deepest unit, or all if there is none. */
static size_t telling_length(const char *path)
{
	size_t length = strlen(path);
	size_t end = length;
	struct part part;

	while (component_before(path, &end, &part)) {
		struct part above;
		size_t stop = end;

		if (!is_unit(part))
			continue;
		if (part_begins(part, "session-") && part_ends(part, ".scope") &&
		    component_before(path, &stop, &above) && part_begins(above, "user-") && is_slice(above))
			return stop + above.length;
		return end + part.length;
	}
	return length;
}

/* Where the run of hex digits (or of none) before `end` begins. */
static size_t run_before(struct part part, size_t end)
{
	bool hex = end > 0 && hex_digit(part.text[end - 1]) >= 0;

	while (end > 0 && (hex_digit(part.text[end - 1]) >= 0) == hex)
		end--;
	return end;
}

/* Whether a UUID ends there, of which the kubelet makes dashes '_' for systemd; it is of that length. */
static bool is_uuid_before(struct part part, size_t end)
{
	static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t start = end - UUID_LENGTH;

	if (end < UUID_LENGTH)
		return false;
	for (size_t i = 0; i < UUID_LENGTH; i++) {
		char c = part.text[start + i];

		if (pattern[i] == 'x' ? hex_digit(c) < 0 : c != '-' && c != '_')
			return false;
	}
	return true;
}

/* Ids become "ID". */
static void prepend_without_ids(struct tail *tail, struct part part)
{
	for (size_t end = part.length; end > 0;) {
		size_t start = run_before(part, end);
		bool hex = hex_digit(part.text[end - 1]) >= 0;
		bool uuid = hex && is_uuid_before(part, end);

		if (uuid)
			start = end - UUID_LENGTH;
		if (uuid || (hex && (end - start == ID_DIGITS || end - start == ID_DIGITS / 2)))
			tail_prepend(tail, "ID", 2);
		else
			tail_prepend(tail, part.text + start, end - start);
		end = start;
	}
}

static void system_from_path(const char *path, struct identity *identity)
{
	size_t end = telling_length(path);
	const struct part whole = {path, end};
	struct tail tail = {.start = sizeof(tail.text)};
	struct part part;
	bool below_is_systemd = false;

	while (component_before(path, &end, &part)) {
		bool systemd = is_unit(part) || is_slice(part);
		char buffer[NAME_MAX];

		/* ".." is what lies outside of our cgroup namespace, and says nothing of a unit either. */
		if (below_is_systemd && (is_slice(part) || part_is(part, "..")))
			continue;
		below_is_systemd = systemd;
		/* systemd's guard in front of names that the kernel's files could have: "_cpu.service". */
		if (systemd && *part.text == '_')
			part = (struct part){part.text + 1, part.length - 1};
		if (systemd)
			part = unescape(part, buffer);
		if (tail.start < sizeof(tail.text))
			tail_prepend(&tail, "/", 1);
		prepend_without_ids(&tail, part);
	}
	if (tail.start == sizeof(tail.text))
		tail_prepend(&tail, "root", 4);
	tail_write(&tail, whole, identity->name, sizeof(identity->name));
}

/* Field by field, as the labels are large and none of them counts. */
static void clear(struct identity *identity)
{
	identity->kind = IDENTITY_SYSTEM;
	identity->runtime = NULL;
	identity->id[0] = identity->name[0] = identity->container[0] = '\0';
	identity->image[0] = identity->version[0] = '\0';
	identity->named = identity->more = identity->in_pod = false;
	identity->user = -1;
	identity->label_count = 0;
	identity->chosen = NULL;
}

void identity_from_path(const char *path, struct identity *identity)
{
	clear(identity);
	if (!container_from_path(path, identity))
		system_from_path(path, identity);
}

void identity_set_container(struct identity *identity, const char *runtime, const char *id, const char *name)
{
	clear(identity);
	identity->kind = IDENTITY_CONTAINER;
	identity->runtime = runtime;
	identity_text(identity->id, sizeof(identity->id), id, strlen(id));
	identity_text(identity->name, sizeof(identity->name), name, strlen(name));
}

void identity_set_pause(struct identity *identity)
{
	clear(identity);
	strcpy(identity->name, IDENTITY_PAUSE);
}
