/* SPDX-License-Identifier: GPL-3.0-only
 *
 * RAPL counters from the processor's own registers, for hosts whose kernel has drivers for neither powercap
 * nor perf's. Reads <dev>/cpu/N/msr, the CPUs' topology under <sys> and <proc>/cpuinfo. Registers as Intel's
 * SDM, volume 4, and AMD's PPR for family 17h have them.
 */
#include "energy.h"

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
#ifndef MSR_CLOCK_NS
#define MSR_CLOCK_NS()		 energy_clock_ns()
#define MSR_READ(fd, value, reg) pread(fd, value, sizeof(*(value)), reg)
#endif

#define ZONES_MAX 256

#define REMEDY_ABSENT "load the driver: modprobe msr"
#define REMEDY_ACCESS "run as root with the capability CAP_SYS_RAWIO"

#define INTEL_UNIT 0x606
#define AMD_UNIT   0xC0010299

static const struct kind {
	enum cpu_vendor vendor;
	uint32_t reg;
	enum energy_domain domain;
	bool of_core; /* of a single core: a zone sums those of a socket, as PP0 does */
} kinds[] = {
    {CPU_INTEL, 0x611, ENERGY_PACKAGE, false}, {CPU_INTEL, 0x639, ENERGY_CORE, false},
    {CPU_INTEL, 0x641, ENERGY_UNCORE, false},  {CPU_INTEL, 0x619, ENERGY_DRAM, false},
    {CPU_INTEL, 0x64D, ENERGY_PSYS, false},    {CPU_AMD, 0xC001029B, ENERGY_PACKAGE, false},
    {CPU_AMD, 0xC001029A, ENERGY_CORE, true},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

enum quirk {
	DRAM_16,    /* DRAM counts 2^-16 J, whatever the unit register says */
	PSYS_JOULE, /* the platform counts in J */
	OWN_UNIT,   /* the unit register means something else */
};

/* Of Intel's family 6. */
static const struct {
	unsigned model;
	enum quirk quirk;
} quirks[] = {
    {0x3F, DRAM_16},	/* Haswell server */
    {0x4F, DRAM_16},	/* Broadwell server */
    {0x56, DRAM_16},	/* Broadwell-D */
    {0x55, DRAM_16},	/* Skylake server, Cascade Lake, Cooper Lake */
    {0x6A, DRAM_16},	/* Ice Lake server */
    {0x6C, DRAM_16},	/* Ice Lake-D */
    {0x57, DRAM_16},	/* Knights Landing */
    {0x85, DRAM_16},	/* Knights Mill */
    {0x8F, PSYS_JOULE}, /* Sapphire Rapids */
    {0xCF, PSYS_JOULE}, /* Emerald Rapids */
    {0x37, OWN_UNIT},	/* Silvermont and Airmont */
    {0x4A, OWN_UNIT},	{0x4C, OWN_UNIT}, {0x4D, OWN_UNIT}, {0x5A, OWN_UNIT}, {0x5D, OWN_UNIT},
};

/* The counter of one CPU. It has 32 bits; total goes on where it wraps. */
struct counter {
	unsigned cpu;
	int fd;
	uint32_t last;
	uint64_t total;
};

/* A zone of ours: the sum of these counters. */
struct sum {
	const struct kind *kind;
	unsigned shift; /* it counts 2^-shift J */
	struct counter *counters;
	size_t count;
	bool has_reading;
	uint64_t read_ns, read_within_ns; /* of sums: their wraps are made good here */
	unsigned failed_cpu;		  /* of the last reading, to be explained */
};

struct msr {
	char *directory;
	struct cpu_model model;
	bool package_scope;
	struct cpu_place *places;
	size_t place_count;
	struct trouble absent, denied, failed;
	size_t count;
	struct sum sums[ZONES_MAX];
};

static void device_path(const struct msr *msr, unsigned cpu, char *path, size_t size)
{
	snprintf(path, size, "%.500s/%u/msr", msr->directory, cpu);
}

/* 0 or -errno; the descriptor is the caller's. */
static int open_device(const struct msr *msr, unsigned cpu, int *fd)
{
	char path[600];

	device_path(msr, cpu, path, sizeof(path));
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return *fd < 0 ? -errno : 0;
}

/* -EIO: the processor has no such register. */
static int read_register(int fd, uint32_t reg, uint64_t *value)
{
	ssize_t length = MSR_READ(fd, value, reg);

	if (length < 0)
		return -errno;
	return length == (ssize_t)sizeof(*value) ? 0 : -EIO;
}

static bool has_quirk(const struct cpu_model *model, enum quirk quirk)
{
	for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++)
		if (model->vendor == CPU_INTEL && model->family == 6 && quirks[i].model == model->model &&
		    quirks[i].quirk == quirk)
			return true;
	return false;
}

/* By bits 12:8 of the unit register. */
static unsigned shift_of(const struct cpu_model *model, enum energy_domain domain, uint64_t unit)
{
	if (domain == ENERGY_DRAM && has_quirk(model, DRAM_16))
		return 16;
	if (domain == ENERGY_PSYS && has_quirk(model, PSYS_JOULE))
		return 0;
	return (unsigned)(unit >> 8 & 0x1F);
}

static uint64_t to_microjoules(unsigned __int128 count, unsigned shift)
{
	return (uint64_t)(count * 1000000 >> shift);
}

static void close_sum(struct sum *sum)
{
	for (size_t i = 0; i < sum->count; i++)
		file_close(&sum->counters[i].fd);
	free(sum->counters);
	sum->counters = NULL;
	sum->count = 0;
}

static void note(struct msr *msr, int error, unsigned cpu, uint32_t reg)
{
	char path[600];
	struct trouble *trouble = error == -EACCES || error == -EPERM			    ? &msr->denied
				  : error == -ENOENT || error == -ENXIO || error == -ENODEV ? &msr->absent
											    : &msr->failed;

	device_path(msr, cpu, path, sizeof(path));
	if (trouble == &msr->failed)
		trouble_add(trouble, error, "%s, register 0x%X", path, reg);
	else
		trouble_add(trouble, error, "%s", path);
}

/*
 * Opens one counter and looks whether it counts. One that says 0 does not: servers have the registers of
 * domains that they lack, and virtual machines have all of them.
 */
static int open_counter(struct msr *msr, const struct kind *kind, struct counter *counter, uint64_t *unit,
			uint64_t *value)
{
	uint32_t reg = kind->vendor == CPU_AMD ? AMD_UNIT : INTEL_UNIT;
	int error = open_device(msr, counter->cpu, &counter->fd);

	if (!error)
		error = read_register(counter->fd, reg, unit);
	if (!error) {
		reg = kind->reg;
		error = read_register(counter->fd, reg, value);
	}
	if (error)
		note(msr, error, counter->cpu, reg);
	if (error)
		file_close(&counter->fd);
	return error;
}

/* -ENOENT: none of the CPUs' counters counts. */
static int open_sum(struct msr *msr, struct sum *sum, const struct kind *kind, const struct cpu_place *places,
		    size_t count)
{
	bool counts = false;

	*sum = (struct sum){.kind = kind, .counters = calloc(count, sizeof(*sum->counters))};
	if (!sum->counters)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct counter *counter = &sum->counters[i];
		uint64_t unit, value;

		counter->cpu = places[i].cpu;

		int error = open_counter(msr, kind, counter, &unit, &value);

		if (error) {
			close_sum(sum);
			return error;
		}
		sum->count++;
		sum->shift = shift_of(&msr->model, kind->domain, unit);
		counts |= (uint32_t)value != 0;
	}
	if (!counts)
		close_sum(sum);
	return counts ? 0 : -ENOENT;
}

/* One counter has the range of 32 bits. Of a sum each wraps by itself, and that is made good in read_sum. */
static void set_range(struct sum *sum, struct energy_zone *zone)
{
	uint64_t range = to_microjoules((unsigned __int128)1 << 32, sum->shift);

	if (!sum->kind->of_core) {
		zone->range_uj = range;
		return;
	}
	zone->read_within_ns = range / energy_plausible_watts(zone->domain) * 1000;
	sum->read_within_ns = zone->read_within_ns;
}

static void add_zones(struct msr *msr, const struct kind *kind, struct energy_zone *zones, bool dies)
{
	size_t next;

	for (size_t i = 0; i < msr->place_count && msr->count < ZONES_MAX; i = next) {
		const struct cpu_place *place = &msr->places[i];
		struct energy_zone *zone = &zones[msr->count];
		struct sum *sum = &msr->sums[msr->count];

		for (next = i + 1; kind->of_core && next < msr->place_count; next++)
			if (!cpus_same_package(place, &msr->places[next]))
				break;
		if (open_sum(msr, sum, kind, place, next - i))
			continue;
		*zone = (struct energy_zone){.source = energy_msr.name};
		energy_zone_identify(zone, kind->domain, place->package, dies ? place->die : -1);
		set_range(sum, zone);
		msr->count++;
	}
}

static bool has_dies(const struct msr *msr)
{
	for (size_t i = 1; i < msr->place_count; i++)
		if (cpus_same_package(&msr->places[i - 1], &msr->places[i]))
			return true;
	return false;
}

static int read_places(struct msr *msr, const char *sys_root)
{
	char path[PATH_MAX];
	size_t homeless = 0;

	free(msr->places);
	msr->places = NULL;
	msr->place_count = 0;
	snprintf(path, sizeof(path), "%.3000s/devices/system/cpu/online", sys_root);

	long count = cpus_read_places(sys_root, path, &msr->places, &homeless);

	if (count < 0)
		return (int)count;
	msr->place_count = (size_t)count;
	return 0;
}

/* Each kind of counter on one CPU of each die, package or core. */
static void add_kind(struct msr *msr, const struct kind *kind, const char *sys_root,
		     struct energy_zone *zones)
{
	bool whole = kind->vendor == CPU_AMD || !energy_is_divided(kind->domain);

	if (kind->vendor != msr->model.vendor || read_places(msr, sys_root))
		return;
	msr->place_count = cpus_keep_first(msr->places, msr->place_count,
					   kind->of_core ? cpus_same_core
					   : whole	 ? cpus_same_package
							 : cpus_same_die);
	add_zones(msr, kind, zones, !kind->of_core && has_dies(msr));
}

static void msr_close(void *context)
{
	struct msr *msr = context;

	if (!msr)
		return;
	for (size_t i = 0; i < msr->count; i++)
		close_sum(&msr->sums[i]);
	free(msr->places);
	free(msr->directory);
	free(msr);
}

static int explain_none(const struct msr *msr, char *why, size_t size)
{
	char text[TROUBLE_FIRST_MAX + 128];

	if (msr->denied.count) {
		trouble_text(&msr->denied, text, sizeof(text));
		snprintf(why, size, "%.500s: " REMEDY_ACCESS, text);
		return -EACCES;
	}
	if (msr->absent.count) {
		trouble_text(&msr->absent, text, sizeof(text));
		snprintf(why, size, "%.500s: " REMEDY_ABSENT, text);
	} else if (msr->failed.count) {
		trouble_text(&msr->failed, text, sizeof(text));
		snprintf(why, size, "%.500s: this processor, or virtual machine, has no such counters", text);
	} else {
		snprintf(why, size, "the counters in %.400s/*/msr say 0, as in a virtual machine",
			 msr->directory);
	}
	return -ENOENT;
}

/* Whether this processor's registers are known; else why they are not. */
static int check_model(struct msr *msr, const struct energy_roots *roots, char *why, size_t size)
{
	int error = cpus_read_model(roots->proc, &msr->model);

	if (error)
		snprintf(why, size, "%.400s/cpuinfo tells no processor of Intel or AMD", roots->proc);
	else if (msr->model.vendor == CPU_OTHER || has_quirk(&msr->model, OWN_UNIT) ||
		 (msr->model.vendor == CPU_AMD && msr->model.family < 0x17))
		snprintf(why, size, "the registers of this processor are not known (family %u, model %u)",
			 msr->model.family, msr->model.model);
	else if (read_places(msr, roots->sys) || !msr->place_count)
		snprintf(why, size,
			 "no CPU in %.400s/devices/system/cpu/online: give deepmon the host's whole /sys",
			 roots->sys);
	else
		return 0;
	return -ENOENT;
}

static int msr_open(const struct energy_roots *roots, const struct deepmon_logger *logger,
		    struct energy_found *found)
{
	struct msr *msr = calloc(1, sizeof(*msr));
	struct energy_zone *zones = calloc(ZONES_MAX, sizeof(*zones));
	char text[TROUBLE_FIRST_MAX + 128];
	int error = -ENOMEM;

	snprintf(found->why, sizeof(found->why), "%s", strerror(ENOMEM));
	if (!msr || !zones || asprintf(&msr->directory, "%s/cpu", roots->dev) < 0) {
		free(msr);
		free(zones);
		return error;
	}
	error = check_model(msr, roots, found->why, sizeof(found->why));
	for (size_t i = 0; !error && i < KIND_COUNT; i++)
		add_kind(msr, &kinds[i], roots->sys, zones);
	if (!error && !msr->count)
		error = explain_none(msr, found->why, sizeof(found->why));
	if (error) {
		msr_close(msr);
		free(zones);
		return error;
	}
	if (msr->denied.count || msr->absent.count) {
		trouble_text(msr->denied.count ? &msr->denied : &msr->absent, text, sizeof(text));
		log_warning(logger, "energy counters left out: %s: %s", text,
			    msr->denied.count ? REMEDY_ACCESS : REMEDY_ABSENT);
		finding_add(logger, DEEPMON_FOUND_MISSING, "zone", "registers",
			    msr->denied.count ? "" : energy_msr.driver, "msr; %s: %s", text,
			    msr->denied.count ? REMEDY_ACCESS : REMEDY_ABSENT);
	}
	if (msr->failed.count) {
		trouble_text(&msr->failed, text, sizeof(text));
		log_info(logger, "energy counters left out: %s: this processor has none there", text);
		finding_add(logger, DEEPMON_FOUND_OFF, "zone", "registers of other processors", "",
			    "msr; %s: this processor has none there", text);
	}
	found->zones = zones;
	found->zone_count = msr->count;
	found->context = msr;
	return 0;
}

/* Whether the counters of a sum may have wrapped unseen since the last reading. */
static bool is_late(const struct sum *sum, uint64_t now_ns)
{
	return !sum->has_reading || now_ns - sum->read_ns > sum->read_within_ns;
}

static int msr_read(void *context, size_t index, uint64_t *raw_uj)
{
	struct msr *msr = context;
	struct sum *sum = &msr->sums[index];
	uint64_t now_ns = MSR_CLOCK_NS();
	unsigned __int128 total = 0;

	for (size_t i = 0; i < sum->count; i++) {
		struct counter *counter = &sum->counters[i];
		uint64_t value = 0;
		int error = read_register(counter->fd, sum->kind->reg, &value);

		if (error) {
			sum->failed_cpu = counter->cpu;
			return error;
		}
		counter->total += (uint32_t)value - counter->last;
		counter->last = (uint32_t)value;
		total += sum->kind->of_core ? counter->total : counter->last;
	}

	bool anew = sum->kind->of_core && is_late(sum, now_ns);

	*raw_uj = to_microjoules(total, sum->shift);
	sum->read_ns = now_ns;
	sum->has_reading = true;
	return anew ? ENERGY_READ_ANEW : 0;
}

static void msr_explain(void *context, size_t index, int error, char *why, size_t why_size)
{
	const struct msr *msr = context;
	const struct sum *sum = &msr->sums[index];
	bool denied = error == -EACCES || error == -EPERM;
	char path[600];

	device_path(msr, sum->failed_cpu, path, sizeof(path));
	snprintf(why, why_size, "%s, register 0x%X: %s%s", path, sum->kind->reg, strerror(-error),
		 denied ? ": " REMEDY_ACCESS : "; deepmon goes on trying: is the CPU online?");
}

const struct energy_source energy_msr = {
    .name = "msr",
    .capabilities = PRIVILEGE(CAP_SYS_RAWIO) | PRIVILEGE(CAP_DAC_READ_SEARCH),
    .driver = "modprobe msr",
    .open = msr_open,
    .read = msr_read,
    .explain = msr_explain,
    .close = msr_close,
};
