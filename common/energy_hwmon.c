/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Power meters of hwmon as counters of energy: what a meter says is integrated over the time between
 * readings. Reads <sys>/class/hwmon, the CPUs' topology and the clock.
 *
 * Most meters there are of something else (graphics cards, disks, batteries, power supplies), so only those
 * are used of which is known what they measure: the rows of `known`.
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

/* Tests put their own in place. */
#ifndef HWMON_CLOCK_NS
#define HWMON_CLOCK_NS() energy_clock_ns()
#endif

#define METERS_MAX	128
#define CHIPS_MAX	128
#define CHIP_METERS_MAX 16
#define SOCKETS_MAX	64

/* Power varies faster than this, but meters hardly do: most show an average over a second or so. */
#define READ_WITHIN_NS 1000000000ull
/* Between readings further apart than this the power is anybody's guess, and the time is left out. */
#define GAP_NS 5000000000ull

#define REMEDY_ACCESS "run as root, or grant the capability CAP_DAC_READ_SEARCH"

#define BIT(domain) (1u << (domain))

/*
 * What the meters of a chip measure. The label is that of the meter as far as it is the same for all; a
 * number behind it is the socket. NULL: whatever the label is. The first row that fits counts. Meters that
 * are part of the package as a whole are in its sum; no row for a domain means that it has no meter of its
 * own.
 */
static const struct known {
	const char *chip, *label;
	unsigned domains; /* bits; 0: not used */
} known[] = {
    /* Ampere Altra: voltage regulators of each socket. RCA: PCIe. */
    {"smpro_hwmon", "power1 CORE VRD", BIT(ENERGY_PACKAGE) | BIT(ENERGY_CORE)},
    {"smpro_hwmon", "power2 SoC", BIT(ENERGY_PACKAGE)},
    {"smpro_hwmon", "power3 DIMM VRD", BIT(ENERGY_DRAM)},
    {"smpro_hwmon", "power4 DIMM VRD", BIT(ENERGY_DRAM)},
    {"smpro_hwmon", "power5 RCA VRD", BIT(ENERGY_PACKAGE)},
    /* APM X-Gene. */
    {"apm_xgene", "CPU power", BIT(ENERGY_PACKAGE) | BIT(ENERGY_CORE)},
    {"apm_xgene", "IO power", BIT(ENERGY_PACKAGE)},
    /* AMD's families 15h and 16h, which have no RAPL. */
    {"fam15h_power", NULL, BIT(ENERGY_PACKAGE)},
    /* NVIDIA Grace, by ACPI's power meters. Memory is soldered to it and in its sum; a module has a GPU too.
     */
    {"power_meter", "Grace Power Socket ", BIT(ENERGY_PACKAGE)},
    {"power_meter", "CPU Power Socket ", BIT(ENERGY_CORE)},
    {"power_meter", "SysIO Power Socket ", 0},
    {"power_meter", "Module Power Socket ", 0},
    /* ACPI's power meter otherwise: at the power supply. */
    {"power_meter", NULL, BIT(ENERGY_PLATFORM)},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

struct meter {
	char path[PATH_MAX];
	unsigned domains;
	int socket;
	uint64_t round; /* in which it was read */
	int error;	/* then */
	uint64_t power_uw;
};

/* A zone of ours: the energy of the meters that have its domain and socket. */
struct integral {
	enum energy_domain domain;
	int socket;
	const struct meter *only; /* of the platform: one meter, as several may measure the same */
	bool has_power;
	uint64_t power_uw, read_ns;
	unsigned __int128 twice_uw_ns; /* so that the trapezoids' halves are whole */
	const struct meter *failed;    /* in the last reading, to be explained */
};

struct hwmon {
	char *directory;
	int sockets[SOCKETS_MAX]; /* physical package ids */
	size_t socket_count;
	unsigned chips[CHIPS_MAX]; /* N of hwmonN */
	size_t chip_count;
	struct trouble denied;
	struct meter *meters;
	size_t meter_count;
	uint64_t round;
	size_t last_index;
	size_t count;
	struct integral integrals[METERS_MAX];
};

/* ---- Files ------------------------------------------------------------------------------------- */

/*
 * The path of a file of the chip's, which older drivers have at the device. -ENOENT: there is none.
 */
static int find_file(const struct hwmon *hwmon, unsigned chip, const char *file, char *path)
{
	static const char *const places[] = {"", "device/"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int length =
		    snprintf(path, PATH_MAX, "%s/hwmon%u/%s%s", hwmon->directory, chip, places[i], file);

		if (length < PATH_MAX && !access(path, F_OK))
			return 0;
	}
	return -ENOENT;
}

/* One line of text, or "". */
static void read_text(const struct hwmon *hwmon, unsigned chip, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];

	if (find_file(hwmon, chip, file, path) || file_read(AT_FDCWD, path, text, size) < 0)
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int read_power(struct meter *meter, uint64_t round)
{
	if (meter->round != round) {
		meter->round = round;
		meter->error = file_read_u64(AT_FDCWD, meter->path, &meter->power_uw);
	}
	return meter->error;
}

/* ---- What there is ----------------------------------------------------------------------------- */

static int compare_numbers(const void *left, const void *right)
{
	unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;

	return a < b ? -1 : a > b;
}

static int find_chips(struct hwmon *hwmon)
{
	DIR *directory = opendir(hwmon->directory);
	const struct dirent *found;

	if (!directory)
		return -errno;
	while ((found = readdir(directory)) && hwmon->chip_count < CHIPS_MAX) {
		unsigned number;
		int length = 0;

		if (sscanf(found->d_name, "hwmon%5u%n", &number, &length) == 1 && !found->d_name[length])
			hwmon->chips[hwmon->chip_count++] = number;
	}
	closedir(directory);
	qsort(hwmon->chips, hwmon->chip_count, sizeof(hwmon->chips[0]), compare_numbers);
	return 0;
}

static void find_sockets(struct hwmon *hwmon, const char *sys_root)
{
	char path[PATH_MAX];
	cleanup_free struct cpu_place *places = NULL;
	size_t homeless = 0;

	snprintf(path, sizeof(path), "%.3000s/devices/system/cpu/online", sys_root);

	long count = cpus_read_places(sys_root, path, &places, &homeless);

	if (count <= 0)
		return;
	count = (long)cpus_keep_first(places, (size_t)count, cpus_same_package);
	for (long i = 0; i < count && i < SOCKETS_MAX; i++)
		hwmon->sockets[hwmon->socket_count++] = places[i].package;
}

/* The package that the label's number, or the chip's place among its like, means: its id or its place. */
static int socket_of(const struct hwmon *hwmon, unsigned number)
{
	for (size_t i = 0; i < hwmon->socket_count; i++)
		if (hwmon->sockets[i] == (int)number)
			return (int)number;
	return number < hwmon->socket_count ? hwmon->sockets[number] : ENERGY_SOCKET_NONE;
}

static const struct known *find_known(const char *chip, const char *label, unsigned *number, bool *has_number)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		size_t length = known[i].label ? strlen(known[i].label) : 0;
		const char *behind = label + length;

		if (strcmp(known[i].chip, chip) || (length && strncmp(label, known[i].label, length)))
			continue;
		/* Labels that end in a space have the socket behind it. */
		*has_number =
		    length && known[i].label[length - 1] == ' ' && sscanf(behind, "%5u", number) == 1;
		return &known[i];
	}
	return NULL;
}

static void add_meter(struct hwmon *hwmon, const char *path, unsigned domains, int socket,
		      const struct deepmon_logger *logger)
{
	struct meter *meter = &hwmon->meters[hwmon->meter_count];
	uint64_t power_uw;
	int error = file_read_u64(AT_FDCWD, path, &power_uw);

	if (error == -EACCES || error == -EPERM)
		trouble_add(&hwmon->denied, error, "%.500s", path);
	else if (hwmon->meter_count == METERS_MAX)
		log_debug(logger, "%.800s is past the %d meters that are used", path, METERS_MAX);
	else {
		snprintf(meter->path, sizeof(meter->path), "%s", path);
		meter->domains = domains;
		meter->socket = socket;
		hwmon->meter_count++;
	}
}

/* Meter `number` of the chip, the place-th of `alike` chips of that name. */
static void look_at_meter(struct hwmon *hwmon, unsigned chip, const char *name, unsigned number,
			  unsigned place, unsigned alike, const struct deepmon_logger *logger)
{
	char path[PATH_MAX], file[32], label[64], battery[8];
	unsigned socket = place;
	bool has_number;

	snprintf(file, sizeof(file), "power%u_input", number);
	if (find_file(hwmon, chip, file, path)) {
		snprintf(file, sizeof(file), "power%u_average", number);
		if (find_file(hwmon, chip, file, path))
			return;
	}
	snprintf(file, sizeof(file), "power%u_label", number);
	read_text(hwmon, chip, file, label, sizeof(label));
	if (!*label) {
		snprintf(file, sizeof(file), "power%u_oem_info", number);
		read_text(hwmon, chip, file, label, sizeof(label));
	}
	snprintf(file, sizeof(file), "power%u_is_battery", number);
	read_text(hwmon, chip, file, battery, sizeof(battery));

	const struct known *row = find_known(name, label, &socket, &has_number);

	if (!row || !row->domains || !strcmp(battery, "1")) {
		log_debug(logger, "power meter %.600s, chip \"%s\", label \"%s\", is not used: %s", path,
			  name, label, row ? "it measures something else" : "what it measures is not known");
		finding_add(logger, DEEPMON_FOUND_OFF, "zone", path, "",
			    "hwmon; chip \"%s\", label \"%s\": %s", name, label,
			    row ? "it measures something else" : "what it measures is not known");
		return;
	}
	/* Chips are told apart by their order only if each socket has one. */
	if (has_number || alike == hwmon->socket_count)
		add_meter(hwmon, path, row->domains, socket_of(hwmon, socket), logger);
	else
		add_meter(hwmon, path, row->domains, ENERGY_SOCKET_NONE, logger);
}

static void find_meters(struct hwmon *hwmon, const struct deepmon_logger *logger)
{
	char(*names)[32] = calloc(hwmon->chip_count + 1, sizeof(*names));

	for (size_t i = 0; names && i < hwmon->chip_count; i++)
		read_text(hwmon, hwmon->chips[i], "name", names[i], sizeof(names[i]));
	for (size_t i = 0; names && i < hwmon->chip_count; i++) {
		unsigned place = 0, alike = 0;

		for (size_t other = 0; other < hwmon->chip_count; other++) {
			bool same = !strcmp(names[i], names[other]);

			place += same && other < i;
			alike += same;
		}
		for (unsigned number = 0; number <= CHIP_METERS_MAX; number++)
			look_at_meter(hwmon, hwmon->chips[i], names[i], number, place, alike, logger);
	}
	free(names);
}

/* ---- Zones ------------------------------------------------------------------------------------- */

static struct integral *find_integral(struct hwmon *hwmon, enum energy_domain domain, int socket)
{
	for (size_t i = 0; energy_is_divided(domain) && i < hwmon->count; i++)
		if (hwmon->integrals[i].domain == domain && hwmon->integrals[i].socket == socket)
			return &hwmon->integrals[i];
	return NULL;
}

/* Zones of the host are named by their order; those of an unknown socket as if it were all there is. */
static void add_integral(struct hwmon *hwmon, struct energy_zone *zones, const struct meter *meter,
			 enum energy_domain domain)
{
	struct energy_zone *zone = &zones[hwmon->count];
	struct integral *integral = &hwmon->integrals[hwmon->count];
	bool divided = energy_is_divided(domain);
	int nth = 0;

	if (find_integral(hwmon, domain, meter->socket) || hwmon->count == METERS_MAX)
		return;
	for (size_t i = 0; !divided && i < hwmon->count; i++)
		nth += hwmon->integrals[i].domain == domain;
	*integral =
	    (struct integral){.domain = domain, .socket = meter->socket, .only = divided ? NULL : meter};
	*zone = (struct energy_zone){.source = energy_hwmon.name, .read_within_ns = READ_WITHIN_NS};
	if (divided && meter->socket == ENERGY_SOCKET_NONE) {
		zone->domain = domain;
		zone->socket = ENERGY_SOCKET_NONE;
		snprintf(zone->name, sizeof(zone->name), "host-%s", energy_domain_name(domain));
	} else {
		energy_zone_identify(zone, domain, divided ? meter->socket : nth, -1);
	}
	hwmon->count++;
}

static void add_zones(struct hwmon *hwmon, struct energy_zone *zones)
{
	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++)
		for (size_t i = 0; i < hwmon->meter_count; i++)
			if (hwmon->meters[i].domains & BIT(domain))
				add_integral(hwmon, zones, &hwmon->meters[i], (enum energy_domain)domain);
}

static void hwmon_close(void *context)
{
	struct hwmon *hwmon = context;

	if (!hwmon)
		return;
	free(hwmon->meters);
	free(hwmon->directory);
	free(hwmon);
}

static struct hwmon *hwmon_new(const char *sys_root)
{
	struct hwmon *hwmon = calloc(1, sizeof(*hwmon));

	if (!hwmon)
		return NULL;
	hwmon->meters = calloc(METERS_MAX, sizeof(*hwmon->meters));
	if (!hwmon->meters || asprintf(&hwmon->directory, "%s/class/hwmon", sys_root) < 0) {
		free(hwmon->meters);
		free(hwmon);
		return NULL;
	}
	return hwmon;
}

static int hwmon_open(const struct energy_roots *roots, const struct deepmon_logger *logger,
		      struct energy_found *found)
{
	struct hwmon *hwmon = hwmon_new(roots->sys);
	struct energy_zone *zones = calloc(METERS_MAX, sizeof(*zones));
	char text[TROUBLE_FIRST_MAX + 128] = "", remedy[PRIVILEGES_REMEDY_MAX];
	int error = -ENOMEM;

	snprintf(found->why, sizeof(found->why), "%s", strerror(ENOMEM));
	if (hwmon && zones) {
		find_chips(hwmon);
		find_sockets(hwmon, roots->sys);
		find_meters(hwmon, logger);
		add_zones(hwmon, zones);
		trouble_text(&hwmon->denied, text, sizeof(text));
		error = hwmon->count ? 0 : hwmon->denied.count ? -EACCES : -ENOENT;
		if (error == -EACCES)
			snprintf(found->why, sizeof(found->why), "%.500s: " REMEDY_ACCESS, text);
		else
			snprintf(
			    found->why, sizeof(found->why),
			    "none of the %zu chips in %.400s is known to measure the processors or the host",
			    hwmon->chip_count, hwmon->directory);
	}
	if (error) {
		hwmon_close(hwmon);
		free(zones);
		return error;
	}
	if (hwmon->denied.count) {
		privileges_remedy(energy_hwmon.capabilities, remedy, sizeof(remedy));
		finding_add(logger, DEEPMON_FOUND_MISSING, "zone", "power meters", remedy, "hwmon; %s", text);
		log_warning(logger, "power meter left out: %s: " REMEDY_ACCESS, text);
	}
	found->zones = zones;
	found->zone_count = hwmon->count;
	found->context = hwmon;
	return 0;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

/* The power of all its meters now. Each meter is read once in a round, so that the zones agree. */
static int sum_power(struct hwmon *hwmon, struct integral *integral, uint64_t *power_uw)
{
	*power_uw = 0;
	for (size_t i = 0; i < hwmon->meter_count; i++) {
		struct meter *meter = &hwmon->meters[i];

		if (integral->only
			? meter != integral->only
			: !(meter->domains & BIT(integral->domain)) || meter->socket != integral->socket)
			continue;

		int error = read_power(meter, hwmon->round);

		if (!error && __builtin_add_overflow(*power_uw, meter->power_uw, power_uw))
			error = -ERANGE;
		if (error) {
			integral->failed = meter;
			return error;
		}
	}
	return 0;
}

static int hwmon_read(void *context, size_t index, uint64_t *raw_uj)
{
	struct hwmon *hwmon = context;
	struct integral *integral = &hwmon->integrals[index];
	uint64_t power_uw, now_ns;

	if (!hwmon->round || index <= hwmon->last_index)
		hwmon->round++;
	hwmon->last_index = index;

	int error = sum_power(hwmon, integral, &power_uw);
	bool knew = integral->has_power;
	uint64_t before_uw = integral->power_uw;

	now_ns = HWMON_CLOCK_NS();
	integral->has_power = !error;
	if (error)
		return error;

	uint64_t elapsed_ns = now_ns - integral->read_ns;

	integral->power_uw = power_uw;
	integral->read_ns = now_ns;
	if (!knew || elapsed_ns > GAP_NS) {
		*raw_uj = (uint64_t)(integral->twice_uw_ns / 2000000000);
		return ENERGY_READ_ANEW;
	}
	integral->twice_uw_ns += ((unsigned __int128)before_uw + power_uw) * elapsed_ns;
	*raw_uj = (uint64_t)(integral->twice_uw_ns / 2000000000);
	return 0;
}

static void hwmon_explain(void *context, size_t index, int error, char *why, size_t why_size)
{
	const struct hwmon *hwmon = context;

	snprintf(why, why_size, "%.500s: %s; deepmon goes on trying: is the driver loaded?",
		 hwmon->integrals[index].failed->path, strerror(-error));
}

const struct energy_source energy_hwmon = {
    .name = "hwmon",
    .capabilities = PRIVILEGE(CAP_DAC_READ_SEARCH),
    .driver = "",
    .open = hwmon_open,
    .read = hwmon_read,
    .explain = hwmon_explain,
    .close = hwmon_close,
};
