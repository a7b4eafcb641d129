/* SPDX-License-Identifier: GPL-3.0-only
 *
 * RAPL counters through the kernel's powercap class. Reads <sys_root>/class/powercap and, for the CPU's
 * vendor, <sys_root>/devices/system/cpu/modalias; nothing else.
 *
 * Entries there are intel-rapl:0, intel-rapl:0:1 and so on (AMD's too), their numbers in hexadecimal and in
 * no order that means anything: a zone is known by what its file `name` says and by whose part it is.
 */
#include "energy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "file.h"
#include "findings.h"
#include "log.h"
#include "privileges.h"
#include "trouble.h"

#define ENTRIES_MAX    256
#define ENTRY_NAME_MAX 40
#define MARKER	       "deepmon-simulated"

#define REMEDY_ACCESS "run as root, or grant the capability CAP_DAC_READ_SEARCH"
#define REMEDY_ABSENT \
	"on bare metal, load the driver: modprobe intel_rapl_msr; a virtual machine has no counters"

/* An entry of the directory that is a RAPL zone, and what it counts. */
struct entry {
	char file[ENTRY_NAME_MAX]; /* "intel-rapl:0:1" */
	bool mmio;		   /* the memory-mapped twin of an MSR zone */
	unsigned zone;		   /* the first number */
	int part;		   /* the second, or -1 */
	bool known;		   /* what follows is set */
	char name[ENERGY_ZONE_NAME_MAX];
	enum energy_domain domain;
	int socket;
};

/* A zone of ours. */
struct counter {
	char name[ENERGY_ZONE_NAME_MAX];
	char file[ENTRY_NAME_MAX]; /* where it was found; "" if it is gone */
	bool mmio;
	bool lost;     /* the last reading failed: the entry may be another zone's when it is back */
	char text[32]; /* what the last reading was, to be explained */
};

struct powercap {
	char *directory;
	bool package_scope; /* see cpus_count_whole_package; `core` is then the core of one CPU only */
	struct entry *entries;
	size_t entry_count;
	bool searched;	   /* in this round of reads */
	size_t last_index; /* where this round is */
	size_t count;
	struct counter counters[ENTRIES_MAX];
};

static long read_file(const struct powercap *powercap, const char *entry, const char *file, char *text,
		      size_t size)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/%s/%s", powercap->directory, entry, file);

	text[0] = '\0';
	if ((size_t)length >= sizeof(path))
		return -ENAMETOOLONG;

	long read = file_read(AT_FDCWD, path, text, size);

	if (read < 0)
		text[0] = '\0';
	return read;
}

/* A number without sign in the given base, of few digits; moves *text past it. */
static bool parse_id(const char **text, int base, unsigned *id)
{
	static const char digits[] = "0123456789abcdef";
	unsigned value = 0;
	int length = 0;

	for (; **text; ++*text, length++) {
		const char *digit = memchr(digits, **text, base);

		if (!digit || length == 6)
			break;
		value = value * base + (unsigned)(digit - digits);
	}
	*id = value;
	return length > 0;
}

static bool skip_text(const char **text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length))
		return false;
	*text += length;
	return true;
}

/* "intel-rapl:0", "intel-rapl-mmio:0:1": not the control types themselves, nor others such as dtpm. */
static bool parse_entry(const char *file, struct entry *entry)
{
	const char *c = file;
	unsigned part;

	memset(entry, 0, sizeof(*entry));
	if (strlen(file) >= sizeof(entry->file) || !skip_text(&c, "intel-rapl"))
		return false;
	strcpy(entry->file, file);
	entry->mmio = skip_text(&c, "-mmio");
	entry->part = -1;
	if (!skip_text(&c, ":") || !parse_id(&c, 16, &entry->zone))
		return false;
	if (skip_text(&c, ":")) {
		if (!parse_id(&c, 16, &part))
			return false;
		entry->part = (int)part;
	}
	return !*c;
}

/* MSR zones before memory-mapped ones, a zone before its parts. */
static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->mmio != b->mmio)
		return a->mmio ? 1 : -1;
	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return strcmp(a->file, b->file);
}

static bool identify_zone(const struct powercap *powercap, struct entry *entry, const char *name)
{
	const char *c = name;
	unsigned package, die;

	if (skip_text(&c, "psys")) {
		entry->domain = ENERGY_PSYS;
		entry->socket = ENERGY_SOCKET_NONE;
		if (!*c)
			strcpy(entry->name, "psys");
		else if (skip_text(&c, "-") && parse_id(&c, 10, &package))
			snprintf(entry->name, sizeof(entry->name), "psys-%u", package);
		return entry->name[0] && !*c;
	}
	if (!skip_text(&c, "package-") || !parse_id(&c, 10, &package))
		return false;
	entry->domain = ENERGY_PACKAGE;
	entry->socket = (int)package;
	snprintf(entry->name, sizeof(entry->name), "package-%u", package);
	if (!*c)
		return true;
	if (!skip_text(&c, "-die-") || !parse_id(&c, 10, &die) || *c)
		return false;
	if (!powercap->package_scope)
		snprintf(entry->name, sizeof(entry->name), "package-%u-die-%u", package, die);
	return true;
}

static bool identify_part(const struct powercap *powercap, struct entry *entry, const struct entry *whole,
			  const char *name)
{
	static const enum energy_domain parts[] = {ENERGY_CORE, ENERGY_UNCORE, ENERGY_DRAM};

	if (!whole || !whole->known || whole->domain != ENERGY_PACKAGE)
		return false;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(name, energy_domain_name(parts[i])))
			continue;
		if (parts[i] == ENERGY_CORE && powercap->package_scope)
			return false;
		entry->domain = parts[i];
		entry->socket = whole->socket;
		return (size_t)snprintf(entry->name, sizeof(entry->name), "%s-%s", whole->name, name) <
		       sizeof(entry->name);
	}
	return false;
}

static const struct entry *whole_of(const struct powercap *powercap, const struct entry *part)
{
	for (size_t i = 0; i < powercap->entry_count; i++) {
		const struct entry *entry = &powercap->entries[i];

		if (entry->mmio == part->mmio && entry->zone == part->zone && entry->part < 0)
			return entry;
	}
	return NULL;
}

static void identify(struct powercap *powercap, struct entry *entry, const struct deepmon_logger *logger,
		     struct trouble *trouble)
{
	char name[ENERGY_ZONE_NAME_MAX];
	long length = read_file(powercap, entry->file, "name", name, sizeof(name));

	if (length < 0) {
		trouble_add(trouble, (int)length, "%.500s/%s/name", powercap->directory, entry->file);
		finding_add(logger, DEEPMON_FOUND_MISSING, "zone", entry->file, "",
			    "powercap; its name can't be read: %s", strerror((int)-length));
		return;
	}
	name[strcspn(name, "\n")] = '\0';
	if (entry->part < 0)
		entry->known = identify_zone(powercap, entry, name);
	else
		entry->known = identify_part(powercap, entry, whole_of(powercap, entry), name);
	if (entry->known)
		return;
	log_debug(logger, "powercap zone %s, named \"%s\", is none that is used", entry->file, name);
	finding_add(logger, DEEPMON_FOUND_OFF, "zone", entry->file, "",
		    "powercap; named \"%s\": none that is used", name);
}

/* Finds the entries and what each counts. -errno: the directory can't be read. */
static int search(struct powercap *powercap, const struct deepmon_logger *logger, struct trouble *trouble)
{
	DIR *directory = opendir(powercap->directory);
	const struct dirent *found;
	struct entry entry;

	powercap->entry_count = 0;
	if (!directory)
		return -errno;
	while ((found = readdir(directory))) {
		if (!parse_entry(found->d_name, &entry))
			continue;
		if (powercap->entry_count == ENTRIES_MAX) {
			log_warning(logger, "%.500s has more than %d zones: the others are left out",
				    powercap->directory, ENTRIES_MAX);
			break;
		}
		powercap->entries[powercap->entry_count++] = entry;
	}
	closedir(directory);
	qsort(powercap->entries, powercap->entry_count, sizeof(entry), compare_entries);
	for (size_t i = 0; i < powercap->entry_count; i++)
		identify(powercap, &powercap->entries[i], logger, trouble);
	return 0;
}

static const struct counter *counter_named(const struct powercap *powercap, const char *name)
{
	for (size_t i = 0; i < powercap->count; i++)
		if (!strcmp(powercap->counters[i].name, name))
			return &powercap->counters[i];
	return NULL;
}

static uint64_t range_of(const struct powercap *powercap, const struct entry *entry,
			 const struct deepmon_logger *logger)
{
	char text[32];
	uint64_t range = 0;
	long length = read_file(powercap, entry->file, "max_energy_range_uj", text, sizeof(text));
	int error = length < 0 ? (int)length : parse_u64(text, &range);

	if (!error)
		return range; /* 0 is said to mean that it never wraps */
	log_warning(
	    logger, "%.500s/%s/max_energy_range_uj: %s%.*s: a wrap of %s will not be made good but left out",
	    powercap->directory, entry->file,
	    length < 0 ? strerror(-error) : "no range: ", (int)strcspn(text, "\n"), text, entry->name);
	return 0;
}

static void find_denied(const struct entry *entry, int error, const struct deepmon_logger *logger)
{
	char remedy[PRIVILEGES_REMEDY_MAX];

	privileges_remedy(energy_powercap.capabilities, remedy, sizeof(remedy));
	finding_add(logger, DEEPMON_FOUND_MISSING, "zone", entry->file, remedy,
		    "powercap; %s: its energy_uj can't be read: %s", entry->name, strerror(-error));
}

/*
 * One counter for each name, of those that may be read. A counter that can't be read for another reason is
 * kept: it may be well later.
 */
static void choose(struct powercap *powercap, struct energy_zone *zones, const struct deepmon_logger *logger,
		   struct trouble *denied)
{
	struct trouble mirrors = {0};
	char text[32];

	for (size_t i = 0; i < powercap->entry_count; i++) {
		const struct entry *entry = &powercap->entries[i];
		struct counter *counter = &powercap->counters[powercap->count];
		struct energy_zone *zone = &zones[powercap->count];

		if (!entry->known)
			continue;
		if (counter_named(powercap, entry->name)) {
			trouble_add(&mirrors, 0, "%s/%s", entry->file, entry->name);
			finding_add(logger, DEEPMON_FOUND_OFF, "zone", entry->file, "",
				    "powercap; shows again what %s does", entry->name);
			continue;
		}

		long error = read_file(powercap, entry->file, "energy_uj", text, sizeof(text));

		if (error == -EACCES || error == -EPERM) {
			trouble_add(denied, (int)error, "%.500s/%s/energy_uj", powercap->directory,
				    entry->file);
			find_denied(entry, (int)error, logger);
			continue;
		}
		strcpy(counter->name, entry->name);
		strcpy(counter->file, entry->file);
		counter->mmio = entry->mmio;
		strcpy(zone->name, entry->name);
		zone->domain = entry->domain;
		zone->socket = entry->socket;
		zone->range_uj = range_of(powercap, entry, logger);
		powercap->count++;
	}
	if (mirrors.count)
		log_debug(logger,
			  "powercap: %zu zones show again what another does (the first: %s) and are not used",
			  mirrors.count, mirrors.first);
}

static void powercap_close(void *context)
{
	struct powercap *powercap = context;

	if (!powercap)
		return;
	free(powercap->directory);
	free(powercap->entries);
	free(powercap);
}

static struct powercap *powercap_new(const char *sys_root)
{
	struct powercap *powercap = calloc(1, sizeof(*powercap));

	if (!powercap)
		return NULL;
	powercap->entries = calloc(ENTRIES_MAX, sizeof(*powercap->entries));
	if (!powercap->entries || asprintf(&powercap->directory, "%s/class/powercap", sys_root) < 0) {
		free(powercap->entries);
		free(powercap);
		return NULL;
	}
	powercap->package_scope = cpus_count_whole_package(sys_root);
	return powercap;
}

/* Nothing was chosen: which of the reasons, and what to do. */
static int explain_none(const struct powercap *powercap, int error, const struct trouble *unnamed,
			const struct trouble *denied, char *why, size_t size)
{
	char text[ENERGY_WHY_MAX - 160];

	if (denied->count) {
		trouble_text(denied, text, sizeof(text));
		snprintf(why, size, "%s: " REMEDY_ACCESS, text);
		return -EACCES;
	}
	if (unnamed->count) {
		trouble_text(unnamed, text, sizeof(text));
		snprintf(why, size, "%s: give deepmon the host's whole /sys to read", text);
		return -ENOENT;
	}
	if (error)
		snprintf(why, size, "%.500s: %s: " REMEDY_ABSENT, powercap->directory, strerror(-error));
	else
		snprintf(why, size, "no RAPL zone in %.500s: " REMEDY_ABSENT, powercap->directory);
	return error == -EACCES ? error : -ENOENT;
}

static bool is_simulated(const struct powercap *powercap)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/" MARKER, powercap->directory);

	return (size_t)length < sizeof(path) && !access(path, F_OK);
}

static void say_left_out(const struct trouble *trouble, const char *remedy,
			 const struct deepmon_logger *logger)
{
	char text[ENERGY_WHY_MAX];

	if (!trouble->count)
		return;
	trouble_text(trouble, text, sizeof(text));
	log_warning(logger, "energy zone left out: %s: %s", text, remedy);
}

static int powercap_open(const struct energy_roots *roots, const struct deepmon_logger *logger,
			 struct energy_found *found)
{
	struct trouble unnamed = {0}, denied = {0};
	struct powercap *powercap = powercap_new(roots->sys);
	struct energy_zone *zones = calloc(ENTRIES_MAX, sizeof(*zones));

	if (!powercap || !zones) {
		powercap_close(powercap);
		free(zones);
		snprintf(found->why, sizeof(found->why), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}

	int error = search(powercap, logger, &unnamed);

	choose(powercap, zones, logger, &denied);
	if (!powercap->count) {
		error = explain_none(powercap, error, &unnamed, &denied, found->why, sizeof(found->why));
		powercap_close(powercap);
		free(zones);
		return error;
	}
	say_left_out(&denied, REMEDY_ACCESS, logger);
	say_left_out(&unnamed, "what it counts is not known", logger);

	const char *source = is_simulated(powercap) ? "simulated" : energy_powercap.name;

	for (size_t i = 0; i < powercap->count; i++)
		zones[i].source = source;
	found->zones = zones;
	found->zone_count = powercap->count;
	found->context = powercap;
	return 0;
}

/*
 * A zone that was away (its driver unloaded, its socket offline) may be back under another number, and its
 * number be another's. The directory is searched once for all zones that are read one after the other.
 */
static void find_again(struct powercap *powercap, struct counter *counter)
{
	struct trouble ignored = {0};

	if (!powercap->searched)
		search(powercap, NULL, &ignored);
	powercap->searched = true;
	counter->file[0] = '\0';
	for (size_t i = 0; i < powercap->entry_count; i++) {
		const struct entry *entry = &powercap->entries[i];

		if (entry->known && entry->mmio == counter->mmio && !strcmp(entry->name, counter->name)) {
			strcpy(counter->file, entry->file);
			return;
		}
	}
}

static int powercap_read(void *context, size_t index, uint64_t *raw_uj)
{
	struct powercap *powercap = context;
	struct counter *counter = &powercap->counters[index];

	if (index <= powercap->last_index)
		powercap->searched = false;
	powercap->last_index = index;
	if (counter->lost)
		find_again(powercap, counter);

	long result = -ENOENT;

	counter->text[0] = '\0';
	if (counter->file[0])
		result =
		    read_file(powercap, counter->file, "energy_uj", counter->text, sizeof(counter->text));
	if (result >= 0)
		result = parse_u64(counter->text, raw_uj);
	counter->lost = result < 0;
	return (int)result;
}

static void powercap_explain(void *context, size_t index, int error, char *why, size_t why_size)
{
	const struct powercap *powercap = context;
	const struct counter *counter = &powercap->counters[index];
	char path[600];

	snprintf(path, sizeof(path), "%.500s/%s/energy_uj", powercap->directory, counter->file);
	if (!counter->file[0])
		snprintf(why, why_size,
			 "no zone in %.500s is named so: is the driver loaded (modprobe intel_rapl_msr)?",
			 powercap->directory);
	else if (error == -EINVAL || error == -ERANGE)
		snprintf(why, why_size,
			 "%s says \"%.*s\", which is no counter; deepmon goes on trying, look at the driver",
			 path, (int)strcspn(counter->text, "\n"), counter->text);
	else if (error == -EACCES || error == -EPERM)
		snprintf(why, why_size, "%s: %s: " REMEDY_ACCESS, path, strerror(-error));
	else
		snprintf(why, why_size,
			 "%s: %s; deepmon goes on trying: is the driver loaded, the socket online?", path,
			 strerror(-error));
}

const struct energy_source energy_powercap = {
    .name = "powercap",
    .capabilities = PRIVILEGE(CAP_DAC_READ_SEARCH),
    .driver = "modprobe intel_rapl_msr",
    .open = powercap_open,
    .read = powercap_read,
    .explain = powercap_explain,
    .close = powercap_close,
};
