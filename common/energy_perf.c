/* SPDX-License-Identifier: GPL-3.0-only
 *
 * RAPL counters through perf: the PMU `power`, whose counters are those of packages and dies, and on AMD
 * `power_core`, of single cores. Reads <sys>/bus/event_source/devices and the CPUs' topology, and opens perf
 * events. The kernel makes good the wraps, so these counters have 64 bits; they begin at 0 when opened.
 */
#include "energy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpus.h"
#include "file.h"
#include "findings.h"
#include "log.h"
#include "privileges.h"
#include "trouble.h"

/* Tests put their own in place. */
#ifndef PERF_EVENT_OPEN
#define PERF_EVENT_OPEN(attr, cpu) \
	((int)syscall(SYS_perf_event_open, attr, -1, (int)(cpu), -1, PERF_FLAG_FD_CLOEXEC))
#define PERF_EVENT_READ(fd, count) read(fd, count, sizeof(*(count)))
#endif

#define ZONES_MAX  256
#define SCALE_RAPL 0x1p-32 /* J: what the kernel counts in, whatever the unit of the hardware is */

#define REMEDY_ACCESS \
	"run as root, or grant the capability CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8) and, where that " \
	"is " \
	"not enough, as on Debian, set the sysctl kernel.perf_event_paranoid to 2"
#define REMEDY_ABSENT "on bare metal, load the driver: modprobe rapl"

static const struct {
	const char *pmu, *name;
	enum energy_domain domain;
	bool of_core; /* its counters are of single cores: a zone sums those of a socket, as PP0 does */
} known[] = {
    {"power", "energy-pkg", ENERGY_PACKAGE, false}, {"power", "energy-cores", ENERGY_CORE, false},
    {"power", "energy-gpu", ENERGY_UNCORE, false},  {"power", "energy-ram", ENERGY_DRAM, false},
    {"power", "energy-psys", ENERGY_PSYS, false},   {"power_core", "energy-core", ENERGY_CORE, true},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/* How an event is opened, and what its count means. */
struct event {
	uint32_t type;
	uint64_t config;
	double scale; /* J */
};

struct counter {
	unsigned cpu;
	int fd; /* -1: it failed, and is opened again at the next reading */
};

/* A zone of ours: the sum of these counters. */
struct sum {
	size_t event; /* in known[] */
	struct counter *counters;
	size_t count;
	bool anew;	     /* one of them was opened again since the last reading that was whole */
	unsigned failed_cpu; /* of the last reading, to be explained */
};

struct perf {
	char *directory;
	const char *sys_root;
	bool package_scope; /* see cpus_count_whole_package */
	struct event events[KNOWN_COUNT];
	struct trouble denied, refused;
	size_t count;
	struct sum sums[ZONES_MAX];
};

/* Only the one term that RAPL's events have: "event=0x02". */
static int parse_event(const char *text, uint64_t *config)
{
	static const char term[] = "event=0x";
	char *end = NULL;

	if (strncmp(text, term, strlen(term)) || !strchr("0123456789abcdefABCDEF", text[strlen(term)]) ||
	    !text[strlen(term)])
		return -EINVAL;
	errno = 0;
	*config = strtoull(text + strlen(term), &end, 16);
	return errno || (*end && *end != '\n') ? -EINVAL : 0;
}

static int parse_scale(char *text, double *scale)
{
	text[strcspn(text, "\n")] = '\0';
	return parse_double(text, scale) || *scale <= 0 || *scale > 1e6 ? -EINVAL : 0;
}

/* A file of the PMU's; trouble is said in *path, which has room for PATH_MAX. */
static long read_file(const struct perf *perf, const char *pmu, const char *file, const char *suffix,
		      char *path, char *text, size_t size)
{
	int length = snprintf(path, PATH_MAX, "%s/%s/%s%s", perf->directory, pmu, file, suffix);

	return length < PATH_MAX ? file_read(AT_FDCWD, path, text, size) : -ENAMETOOLONG;
}

/* -ENOENT: the PMU has no such event. Otherwise *path is of the file that can't be understood. */
static int read_event(const struct perf *perf, size_t number, struct event *event, char *path)
{
	const char *pmu = known[number].pmu;
	char name[64], text[128];
	uint64_t type;
	long length;

	snprintf(name, sizeof(name), "events/%s", known[number].name);
	length = read_file(perf, pmu, name, "", path, text, sizeof(text));
	if (length < 0)
		return (int)length;
	if (parse_event(text, &event->config))
		return -EINVAL;
	length = read_file(perf, pmu, name, ".scale", path, text, sizeof(text));
	if (length < 0 || parse_scale(text, &event->scale))
		return -EINVAL;
	length = read_file(perf, pmu, name, ".unit", path, text, sizeof(text));
	if (length < 0 || (strcmp(text, "Joules\n") && strcmp(text, "Joules")))
		return -EINVAL;
	length = read_file(perf, pmu, "type", "", path, text, sizeof(text));
	if (length < 0 || parse_u64(text, &type) || type > UINT32_MAX)
		return -EINVAL;
	event->type = (uint32_t)type;
	return 0;
}

static int open_counter(const struct event *event, struct counter *counter)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .type = event->type, .config = event->config};

	counter->fd = PERF_EVENT_OPEN(&attr, counter->cpu);
	return counter->fd < 0 ? -errno : 0;
}

static void close_sum(struct sum *sum)
{
	for (size_t i = 0; i < sum->count; i++)
		file_close(&sum->counters[i].fd);
	free(sum->counters);
	sum->counters = NULL;
}

static int open_sum(struct perf *perf, struct sum *sum, size_t number, const struct cpu_place *places,
		    size_t count)
{
	*sum = (struct sum){.event = number, .counters = calloc(count, sizeof(*sum->counters))};
	if (!sum->counters)
		return -ENOMEM;
	for (; sum->count < count; sum->count++) {
		struct counter *counter = &sum->counters[sum->count];

		counter->cpu = places[sum->count].cpu;

		int error = open_counter(&perf->events[number], counter);

		if (error) {
			bool denied = error == -EACCES || error == -EPERM;

			trouble_add(denied ? &perf->denied : &perf->refused, error,
				    "perf event %s/%s/ on CPU %u", known[number].pmu, known[number].name,
				    counter->cpu);
			close_sum(sum);
			return error;
		}
	}
	return 0;
}

static bool has_dies(const struct cpu_place *places, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (cpus_same_package(&places[i - 1], &places[i]))
			return true;
	return false;
}

/* A zone for each die, or for each package if the event's counters are summed. */
static void add_zones(struct perf *perf, size_t number, const struct cpu_place *places, size_t place_count,
		      struct energy_zone *zones)
{
	bool of_core = known[number].of_core, dies = !of_core && has_dies(places, place_count);
	size_t next;

	for (size_t i = 0; i < place_count && perf->count < ZONES_MAX; i = next) {
		struct energy_zone *zone = &zones[perf->count];

		for (next = i + 1; of_core && next < place_count; next++)
			if (!cpus_same_package(&places[i], &places[next]))
				break;
		if (open_sum(perf, &perf->sums[perf->count], number, &places[i], next - i))
			continue;
		*zone = (struct energy_zone){.source = energy_perf.name};
		energy_zone_identify(zone, known[number].domain, places[i].package,
				     dies ? places[i].die : -1);
		perf->count++;
	}
}

static void add_event(struct perf *perf, size_t number, struct energy_zone *zones,
		      const struct deepmon_logger *logger)
{
	char path[PATH_MAX];
	cleanup_free struct cpu_place *places = NULL;
	size_t homeless = 0;
	int error = read_event(perf, number, &perf->events[number], path);

	if (error == -ENOENT)
		return;
	if (error) {
		log_warning(logger, "energy counter left out: %.600s is not understood", path);
		finding_add(logger, DEEPMON_FOUND_MISSING, "zone", path, "",
			    "perf; the event is not understood");
		return;
	}
	snprintf(path, sizeof(path), "%s/%s/cpumask", perf->directory, known[number].pmu);

	long count = cpus_read_places(perf->sys_root, path, &places, &homeless);

	if (count < 0)
		log_warning(logger, "energy counters left out: %.600s: %s", path, strerror((int)-count));
	else if (homeless)
		log_warning(logger,
			    "energy counters left out: %zu CPUs of %.600s are of no package that is told",
			    homeless, path);
	if (count <= 0)
		return;
	/* The CPUs are one for each die, of which AMD's share one counter, or one for each core. */
	count = (long)cpus_keep_first(places, (size_t)count,
				      known[number].of_core ? cpus_same_core
				      : perf->package_scope || !energy_is_divided(known[number].domain)
					  ? cpus_same_package
					  : cpus_same_die);
	add_zones(perf, number, places, (size_t)count, zones);
}

static void perf_close(void *context)
{
	struct perf *perf = context;

	if (!perf)
		return;
	for (size_t i = 0; i < perf->count; i++)
		close_sum(&perf->sums[i]);
	free(perf->directory);
	free(perf);
}

static int explain_none(const struct perf *perf, char *why, size_t size)
{
	char text[TROUBLE_FIRST_MAX + 128];

	if (perf->denied.count) {
		trouble_text(&perf->denied, text, sizeof(text));
		snprintf(why, size, "%.500s: " REMEDY_ACCESS, text);
		return -EACCES;
	}
	if (perf->refused.count) {
		trouble_text(&perf->refused, text, sizeof(text));
		snprintf(why, size, "%.500s", text);
	} else {
		snprintf(why, size, "no event of PMU `power` in %.400s: " REMEDY_ABSENT, perf->directory);
	}
	return -ENOENT;
}

static void say_left_out(const struct trouble *trouble, const char *what, const char *remedy,
			 const struct deepmon_logger *logger)
{
	char text[ENERGY_WHY_MAX], command[PRIVILEGES_REMEDY_MAX] = "";

	if (!trouble->count)
		return;
	trouble_text(trouble, text, sizeof(text));
	log_warning(logger, "energy counter left out: %s%s", text, remedy);
	if (*remedy)
		privileges_remedy(energy_perf.capabilities, command, sizeof(command));
	finding_add(logger, DEEPMON_FOUND_MISSING, "zone", what, command, "perf; %s%s", text, remedy);
}

static int perf_open(const struct energy_roots *roots, const struct deepmon_logger *logger,
		     struct energy_found *found)
{
	struct perf *perf = calloc(1, sizeof(*perf));
	struct energy_zone *zones = calloc(ZONES_MAX, sizeof(*zones));

	if (!perf || !zones || asprintf(&perf->directory, "%s/bus/event_source/devices", roots->sys) < 0) {
		free(perf);
		free(zones);
		snprintf(found->why, sizeof(found->why), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	perf->sys_root = roots->sys;
	perf->package_scope = cpus_count_whole_package(roots->sys);
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		/* Where counters are of the package, those of `cores` are of one core for each package. */
		if (!perf->package_scope || known[i].domain != ENERGY_CORE || known[i].of_core)
			add_event(perf, i, zones, logger);
	if (!perf->count) {
		int error = explain_none(perf, found->why, sizeof(found->why));

		perf_close(perf);
		free(zones);
		return error;
	}
	say_left_out(&perf->denied, "events not allowed", ": " REMEDY_ACCESS, logger);
	say_left_out(&perf->refused, "events refused", "", logger);
	perf->sys_root = NULL;
	found->zones = zones;
	found->zone_count = perf->count;
	found->context = perf;
	return 0;
}

static int read_counter(const struct event *event, struct counter *counter, bool *anew, uint64_t *count)
{
	if (counter->fd < 0) {
		int error = open_counter(event, counter);

		if (error)
			return error;
		*anew = true;
	}

	ssize_t length = PERF_EVENT_READ(counter->fd, count);

	if (length == (ssize_t)sizeof(*count))
		return 0;
	/* The end of the file: the CPU went offline, and with it the last one that could have counted. */
	int error = length < 0 ? -errno : -ENODEV;

	file_close(&counter->fd);
	return error;
}

static int to_microjoules(unsigned __int128 count, double scale, uint64_t *uj)
{
	if (scale == SCALE_RAPL) {
		*uj = (uint64_t)(count * 1000000 >> 32);
		return 0;
	}

	/* Rounded: a scale such as 1e-7 is none of binary's. */
	long double rounded = (long double)count * (long double)scale * 1e6L + 0.5L;

	if (rounded >= 0x1p64L)
		return -ERANGE;
	*uj = (uint64_t)rounded;
	return 0;
}

static int perf_read(void *context, size_t index, uint64_t *raw_uj)
{
	struct perf *perf = context;
	struct sum *sum = &perf->sums[index];
	const struct event *event = &perf->events[sum->event];
	unsigned __int128 total = 0;

	for (size_t i = 0; i < sum->count; i++) {
		uint64_t count = 0;
		int error = read_counter(event, &sum->counters[i], &sum->anew, &count);

		if (error) {
			sum->failed_cpu = sum->counters[i].cpu;
			return error;
		}
		total += count;
	}

	int result = to_microjoules(total, event->scale, raw_uj);

	if (!result && sum->anew)
		result = ENERGY_READ_ANEW;
	sum->anew = false;
	return result;
}

static void perf_explain(void *context, size_t index, int error, char *why, size_t why_size)
{
	const struct perf *perf = context;
	const struct sum *sum = &perf->sums[index];
	bool denied = error == -EACCES || error == -EPERM;

	snprintf(why, why_size, "perf event %s/%s/ on CPU %u: %s%s", known[sum->event].pmu,
		 known[sum->event].name, sum->failed_cpu, strerror(-error),
		 denied ? ": " REMEDY_ACCESS : "; deepmon goes on trying: is the CPU online?");
}

const struct energy_source energy_perf = {
    .name = "perf",
    .capabilities = PRIVILEGE(CAP_PERFMON),
    .driver = "modprobe rapl",
    .open = perf_open,
    .read = perf_read,
    .explain = perf_explain,
    .close = perf_close,
};
