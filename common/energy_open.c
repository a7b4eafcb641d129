/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which sources of energy serve, and what is said of those that do not. Touches no file itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "energy_handle.h"
#include "findings.h"
#include "log.h"
#include "privileges.h"

static const struct energy_source *const sources[ENERGY_SOURCE_COUNT] = {
    &energy_powercap,
    &energy_perf,
    &energy_msr,
    &energy_hwmon,
};

static bool any_zone(const struct energy_zone *zone)
{
	(void)zone;
	return true;
}

static bool is_of_the_host(const struct energy_zone *zone)
{
	return !energy_is_divided(zone->domain);
}

/* Adds those zones that are wanted to the handle's; the source's own array is freed. Returns how many. */
static long take_zones(struct energy *energy, const struct energy_source *source, struct energy_found *found,
		       bool (*wanted)(const struct energy_zone *zone))
{
	size_t most = energy->zone_count + found->zone_count, before = energy->zone_count;
	struct energy_zone *zones = realloc(energy->zones, most * sizeof(*zones));
	struct energy_counter *counters = realloc(energy->counters, most * sizeof(*counters));

	energy->zones = zones ? zones : energy->zones;
	energy->counters = counters ? counters : energy->counters;
	for (size_t i = 0; zones && counters && i < found->zone_count; i++) {
		if (!wanted(&found->zones[i]))
			continue;
		zones[energy->zone_count] = found->zones[i];
		counters[energy->zone_count++] = (struct energy_counter){energy->opened_count, i, 0};
	}
	free(found->zones);
	if (energy->zone_count == before) {
		source->close(found->context);
		return zones && counters ? 0 : -ENOMEM;
	}
	energy->opened[energy->opened_count++] = (struct energy_opened){source, found->context};
	return (long)(energy->zone_count - before);
}

/* "2 counters: package-0, package-0-dram" */
static void describe(const struct energy *energy, size_t first, char *text, size_t size)
{
	size_t count = energy->zone_count - first;
	int length = snprintf(text, size, "%zu counter%s%s", count, count == 1 ? "" : "s",
			      strcmp(energy->zones[first].source, "simulated") ? "" : ", simulated");

	for (size_t i = first; i < energy->zone_count; i++) {
		size_t left = size - (size_t)length;
		int more =
		    snprintf(text + length, left, "%s%s", i == first ? ": " : ", ", energy->zones[i].name);

		if ((size_t)more + sizeof(", ...") >= left) {
			snprintf(text + length, left, ", ...");
			return;
		}
		length += more;
	}
}

/* Opens a source for the zones that are wanted of it. 0: it has some and they are taken. */
static int try_source(struct energy *energy, size_t number, const struct energy_roots *roots,
		      bool (*wanted)(const struct energy_zone *zone))
{
	struct energy_verdict *verdict = &energy->verdicts[number];
	struct energy_found found = {0};
	size_t before = energy->zone_count;
	int error = sources[number]->open(roots, &energy->logger, &found);

	if (!error) {
		long taken = take_zones(energy, sources[number], &found, wanted);

		if (taken > 0) {
			verdict->used = true;
			describe(energy, before, verdict->text, sizeof(verdict->text));
			return 0;
		}
		error = taken ? (int)taken : -ENOENT;
		snprintf(found.why, sizeof(found.why), "%s",
			 taken ? strerror(ENOMEM)
			       : "its power meters are of the processors, which are measured");
	}
	verdict->error = error;
	snprintf(verdict->text, sizeof(verdict->text), "%s", found.why);
	return error;
}

static bool has_divided_zone(const struct energy *energy)
{
	for (size_t i = 0; i < energy->zone_count; i++)
		if (energy_is_divided(energy->zones[i].domain))
			return true;
	return false;
}

/* The processors' energy can't be had: all the reasons in one line. */
static void say_none(const struct energy *energy)
{
	char line[LOG_LINE_MAX] = "";
	size_t length = 0;

	for (size_t i = 0; i < ENERGY_SOURCE_COUNT && length < sizeof(line); i++) {
		const struct energy_verdict *verdict = &energy->verdicts[i];

		if (verdict->error || verdict->used)
			length += (size_t)snprintf(line + length, sizeof(line) - length, "%s%s: %s",
						   length ? "; " : "", verdict->source, verdict->text);
	}
	log_warning(&energy->logger, "no energy%s: %s",
		    energy->zone_count ? " of containers, only the host's" : "", line);
}

/* Those preferred to the one that serves are told of: somebody may want them. */
static void say_choice(const struct energy *energy)
{
	enum deepmon_log_level level = DEEPMON_INFO;

	for (size_t i = 0; i < ENERGY_SOURCE_COUNT; i++) {
		const struct energy_verdict *verdict = &energy->verdicts[i];

		if (verdict->used)
			log_info(&energy->logger, "energy is read from %s: %s", verdict->source,
				 verdict->text);
		else if (verdict->error)
			log_line(&energy->logger, level, "no energy from %s: %s", verdict->source,
				 verdict->text);
		if (sources[i] == energy->opened[0].source)
			level = DEEPMON_DEBUG;
	}
}

/* Why the sources that have no verdict yet were not asked. */
static void not_asked(struct energy *energy, const char *why)
{
	for (size_t i = 0; i < ENERGY_SOURCE_COUNT; i++)
		if (!energy->verdicts[i].used && !energy->verdicts[i].error)
			snprintf(energy->verdicts[i].text, sizeof(energy->verdicts[i].text), "not asked: %s",
				 why);
}

static void choose(struct energy *energy, const struct energy_settings *settings)
{
	uint32_t from = settings->from;
	bool asked = from != ENERGY_FROM_AUTO;
	size_t first = asked ? from - ENERGY_FROM_FIRST : 0, last = asked ? first : ENERGY_SOURCE_COUNT - 1;
	size_t number = first;

	while (number <= last && try_source(energy, number, &settings->roots, any_zone))
		number++;
	if (number <= last && sources[number] != &energy_hwmon)
		try_source(energy, ENERGY_SOURCE_COUNT - 1, &settings->roots, is_of_the_host);
	not_asked(energy, asked ? "EnergySource asks for another" : "one before it serves");
	if (has_divided_zone(energy))
		say_choice(energy);
	else
		say_none(energy);
}

int energy_open(struct energy **energy, const struct energy_settings *settings,
		const struct deepmon_logger *logger)
{
	struct energy *opened = calloc(1, sizeof(*opened));

	if (!opened)
		return -ENOMEM;
	if (logger)
		opened->logger = *logger;
	for (size_t i = 0; i < ENERGY_SOURCE_COUNT; i++)
		opened->verdicts[i].source = sources[i]->name;
	if (settings->from == ENERGY_FROM_NONE)
		not_asked(opened, "EnergySource is none");
	else
		choose(opened, settings);
	*energy = opened;
	return 0;
}

static void find_source(const struct energy *energy, size_t number, const struct deepmon_logger *logger)
{
	const struct energy_verdict *verdict = &energy->verdicts[number];
	enum deepmon_finding_state state = DEEPMON_FOUND_OFF;
	char remedy[PRIVILEGES_REMEDY_MAX] = "";

	if (verdict->used)
		state = DEEPMON_FOUND_WELL;
	else if (verdict->error && !has_divided_zone(energy))
		state = DEEPMON_FOUND_MISSING;
	if (verdict->error == -EACCES)
		privileges_remedy(sources[number]->capabilities, remedy, sizeof(remedy));
	else if (verdict->error == -ENOENT && *sources[number]->driver)
		snprintf(remedy, sizeof(remedy), "%s (not in a virtual machine)", sources[number]->driver);
	finding_add(logger, state, "energy", verdict->source, remedy, "%s", verdict->text);
}

static void find_zone(const struct energy *energy, size_t index, const struct deepmon_logger *logger)
{
	const struct energy_zone *zone = &energy->zones[index];
	const struct energy_counter *counter = &energy->counters[index];
	const struct energy_opened *opened = &energy->opened[counter->opened];
	char why[ENERGY_WHY_MAX] = "";

	if (zone->failing)
		opened->source->explain(opened->context, counter->index, counter->error, why, sizeof(why));
	if (zone->failing)
		finding_add(logger, DEEPMON_FOUND_MISSING, "zone", zone->name, "", "%s; %s", zone->source,
			    why);
	else if (zone->range_uj)
		finding_add(logger, DEEPMON_FOUND_WELL, "zone", zone->name, "",
			    "%s, domain %s; wraps at %.6g J", zone->source, energy_domain_name(zone->domain),
			    (double)zone->range_uj / 1e6);
	else
		finding_add(logger, DEEPMON_FOUND_WELL, "zone", zone->name, "", "%s, domain %s; never wraps",
			    zone->source, energy_domain_name(zone->domain));
}

void energy_find(const struct energy *energy, const struct deepmon_logger *logger)
{
	for (size_t i = 0; i < ENERGY_SOURCE_COUNT; i++)
		find_source(energy, i, logger);
	for (size_t i = 0; i < energy->zone_count; i++)
		find_zone(energy, i, logger);
}

size_t energy_verdicts(const struct energy *energy, const struct energy_verdict **verdicts)
{
	*verdicts = energy->verdicts;
	return ENERGY_SOURCE_COUNT;
}

void energy_close(struct energy *energy)
{
	if (!energy)
		return;
	for (size_t i = 0; i < energy->opened_count; i++)
		energy->opened[i].source->close(energy->opened[i].context);
	free(energy->zones);
	free(energy->counters);
	free(energy);
}
