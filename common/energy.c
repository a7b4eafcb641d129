/* SPDX-License-Identifier: GPL-3.0-only
 *
 * From raw counters to energy used: the rule for wraps and gaps, and what is said of a counter that fails.
 * Reads the clock and the sources; touches no file itself.
 */
#include "energy_handle.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

/*
 * Counters are brought up to date at intervals (1 ms on most CPUs), and a reader may be held up between
 * the counter and the clock. Over this much more time the plausible power is allowed.
 */
#define SLACK_US 100000

static const struct {
	const char *name;
	unsigned plausible_watts;
} domains[ENERGY_DOMAIN_COUNT] = {
    /* The largest sockets sold take 500 to 800 W, and peaks of milliseconds average out. */
    [ENERGY_PACKAGE] = {"package", 2000},
    [ENERGY_CORE] = {"core", 2000},
    [ENERGY_UNCORE] = {"uncore", 2000},
    /* 24 modules of 25 W are 600 W. */
    [ENERGY_DRAM] = {"dram", 1000},
    /* A machine with its accelerators. Where that much can be, psys counts in joules: no wrap for ages. */
    [ENERGY_PSYS] = {"psys", 20000},
    [ENERGY_PLATFORM] = {"platform", 20000},
};

const char *energy_domain_name(enum energy_domain domain)
{
	return domains[domain].name;
}

bool energy_is_divided(enum energy_domain domain)
{
	return domain < ENERGY_PSYS;
}

void energy_zone_identify(struct energy_zone *zone, enum energy_domain domain, int package, int die)
{
	char suffix[32] = "", of_die[16] = "";

	zone->domain = domain;
	if (!energy_is_divided(domain)) {
		if (package > 0)
			snprintf(suffix, sizeof(suffix), "-%d", package);
		snprintf(zone->name, sizeof(zone->name), "%s%s", energy_domain_name(domain), suffix);
		zone->socket = ENERGY_SOCKET_NONE;
		return;
	}
	if (domain != ENERGY_PACKAGE)
		snprintf(suffix, sizeof(suffix), "-%s", energy_domain_name(domain));
	if (die >= 0)
		snprintf(of_die, sizeof(of_die), "-die-%d", die);
	snprintf(zone->name, sizeof(zone->name), "package-%d%s%s", package, of_die, suffix);
	zone->socket = package;
}

unsigned energy_plausible_watts(enum energy_domain domain)
{
	return domains[domain].plausible_watts;
}

/* The most that the domain can have used in that time. */
static uint64_t plausible_uj(enum energy_domain domain, uint64_t elapsed_ns)
{
	uint64_t most;

	/* W times us is uJ. */
	if (__builtin_mul_overflow(elapsed_ns / 1000 + SLACK_US, (uint64_t)domains[domain].plausible_watts,
				   &most))
		return UINT64_MAX;
	return most;
}

static void take_reading(struct energy_zone *zone, uint64_t raw_uj, uint64_t now_ns)
{
	zone->raw_uj = raw_uj;
	zone->read_ns = now_ns;
	zone->has_reading = true;
}

void energy_advance(struct energy_zone *zone, uint64_t raw_uj, uint64_t now_ns)
{
	uint64_t range = zone->range_uj, before = zone->raw_uj;
	bool back = raw_uj < before;

	zone->valid = false;
	zone->delta_uj = 0;
	zone->elapsed_ns = 0;
	if (range && raw_uj > range) {
		zone->anomalies++;
		return;
	}
	if (!zone->has_reading) {
		take_reading(zone, raw_uj, now_ns);
		return;
	}
	if (now_ns <= zone->read_ns)
		return;

	uint64_t elapsed = now_ns - zone->read_ns;
	uint64_t most = plausible_uj(zone->domain, elapsed);
	uint64_t used = back ? range - before + raw_uj : raw_uj - before;
	/* One more range must be implausible, or we could not tell which of the two it was. */
	bool certain = range ? used <= most && most - used < range : !back && used <= most;

	take_reading(zone, raw_uj, now_ns);
	if (!certain) {
		zone->anomalies++;
		return;
	}
	zone->valid = true;
	zone->delta_uj = used;
	zone->elapsed_ns = elapsed;
	zone->total_uj += used;
	zone->wraps += back;
}

uint64_t energy_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A zone that comes and goes all the time is said to do so once a minute. */
static void say_failing(struct energy *energy, size_t index, int error)
{
	struct energy_zone *zone = &energy->zones[index];
	struct energy_counter *counter = &energy->counters[index];
	const struct energy_opened *opened = &energy->opened[counter->opened];
	uint64_t now = energy_clock_ns();
	char why[ENERGY_WHY_MAX] = "", before[64] = "";

	counter->error = error;
	zone->failing = true;
	if (zone->failing_said || (zone->said_ns && now - zone->said_ns < ENERGY_QUIET_NS))
		return;
	if (zone->unsaid)
		snprintf(before, sizeof(before), " (and %" PRIu64 " times in between)", zone->unsaid);
	zone->failing_said = true;
	zone->said_ns = now;
	zone->unsaid = 0;
	opened->source->explain(opened->context, counter->index, error, why, sizeof(why));
	log_warning(&energy->logger, "energy of %s is not measured for now%s: %s", zone->name, before, why);
}

/* `before` is the zone as it was before the reading. */
static void say_well(struct energy *energy, struct energy_zone *zone, const struct energy_zone *before)
{
	zone->failing = false;
	zone->unsaid += !zone->failing_said;
	if (!zone->failing_said)
		return;
	zone->failing_said = false;
	if (before->has_reading)
		log_recovered(&energy->logger,
			      "energy of %s is measured again after %.1f s; what was used in them is %s",
			      zone->name, (double)(energy_clock_ns() - before->read_ns) / 1e9,
			      zone->valid ? "in the next figure"
					  : "left out, for the counter does not tell it");
	else
		log_recovered(&energy->logger, "energy of %s is measured from now on", zone->name);
}

static void say_anomaly(struct energy *energy, struct energy_zone *zone, const struct energy_zone *before,
			uint64_t raw_uj)
{
	zone->anomaly_said = true;
	if (zone->range_uj && raw_uj > zone->range_uj)
		log_warning(&energy->logger,
			    "energy of %s: the counter says %" PRIu64 " uJ, above its range of %" PRIu64
			    " uJ: not taken. More of these are only counted, as anomalies",
			    zone->name, raw_uj, zone->range_uj);
	else
		log_warning(&energy->logger,
			    "energy of %s: the counter went from %" PRIu64 " to %" PRIu64
			    " uJ (range %" PRIu64
			    ") in %.3f s, which does not tell the energy used: that time "
			    "is left out. More of these are only counted, as anomalies",
			    zone->name, before->raw_uj, raw_uj, zone->range_uj,
			    (double)(zone->read_ns - before->read_ns) / 1e9);
}

void energy_take(struct energy *energy, size_t index, const struct energy_reading *reading)
{
	struct energy_zone *zone = &energy->zones[index];
	const struct energy_zone before = *zone;

	if (reading->result < 0) {
		zone->valid = false;
		zone->delta_uj = 0;
		zone->elapsed_ns = 0;
		say_failing(energy, index, reading->result);
		return;
	}
	if (reading->result == ENERGY_READ_ANEW)
		zone->has_reading = false;
	energy_advance(zone, reading->raw_uj, reading->now_ns);

	bool taken = zone->has_reading && (!before.has_reading || zone->read_ns != before.read_ns);

	if (zone->failing && taken)
		say_well(energy, zone, &before);
	else if (zone->anomalies != before.anomalies && !zone->anomaly_said)
		say_anomaly(energy, zone, &before, reading->raw_uj);
}

static void read_zone(struct energy *energy, size_t index)
{
	const struct energy_counter *counter = &energy->counters[index];
	const struct energy_opened *opened = &energy->opened[counter->opened];
	struct energy_reading reading = {0};
	uint64_t start = energy_clock_ns(), end;

	reading.result = opened->source->read(opened->context, counter->index, &reading.raw_uj);
	end = energy_clock_ns();
	reading.now_ns = start + (end - start) / 2;
	if (energy->hear)
		energy->hear(energy->hearer, index, &reading);
	energy_take(energy, index, &reading);
}

void energy_listen(struct energy *energy, energy_listener *hear, void *user)
{
	energy->hear = hear;
	energy->hearer = user;
}

void energy_read(struct energy *energy)
{
	for (size_t i = 0; i < energy->zone_count; i++)
		read_zone(energy, i);
}

const struct energy_zone *energy_zones(const struct energy *energy, size_t *count)
{
	*count = energy->zone_count;
	return energy->zones;
}

/* Of one zone: how often it must be read. */
static uint64_t zone_read_within_ns(const struct energy_zone *zone)
{
	uint64_t us = zone->range_uj / domains[zone->domain].plausible_watts;
	uint64_t own = zone->read_within_ns ? zone->read_within_ns : UINT64_MAX;
	uint64_t wrap = UINT64_MAX;

	us = us > SLACK_US ? us - SLACK_US : 0;
	if (zone->range_uj && us < UINT64_MAX / 1000)
		wrap = us * 1000;
	return own < wrap ? own : wrap;
}

uint64_t energy_read_within_ns(const struct energy *energy)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < energy->zone_count; i++) {
		uint64_t within = zone_read_within_ns(&energy->zones[i]);

		least = within < least ? within : least;
	}
	return least;
}
