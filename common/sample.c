/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Puts a sample together from what the attribution has charged. Memory only.
 */
#include "sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALID(SUBJECT, field) (1ull << DEEPMON_INDEX_##SUBJECT##_##field)

struct text {
	struct text *next;
	char bytes[];
};

static const char *keep_text(struct sample *sample, const char *value)
{
	struct text *text = malloc(sizeof(*text) + strlen(value) + 1);

	if (!text) {
		sample->failed = true;
		return "?";
	}
	text->next = sample->texts;
	sample->texts = text;
	return strcpy(text->bytes, value);
}

static void clear_texts(struct sample *sample)
{
	struct text *next;

	for (struct text *text = sample->texts; text; text = next) {
		next = text->next;
		free(text);
	}
	sample->texts = NULL;
}

/* A new record, or on lack of memory one that is thrown away. */
static struct deepmon_record *add(struct sample *sample, enum deepmon_entity entity,
				  enum deepmon_subject subject, const char *instance)
{
	static struct deepmon_record nowhere;
	struct deepmon_record *record = &nowhere;
	size_t *count = &sample->view.record_count;

	if (*count == sample->capacity) {
		size_t capacity = sample->capacity ? sample->capacity * 2 : 256;
		struct deepmon_record *records = reallocarray(sample->records, capacity, sizeof(*records));

		if (!records) {
			sample->failed = true;
			return memset(record, 0, sizeof(*record));
		}
		sample->records = records;
		sample->capacity = capacity;
	}
	record = &sample->records[(*count)++];
	memset(record, 0, sizeof(*record));
	record->entity = entity;
	record->subject = subject;
	record->instance = instance;
	record->qualifier = "";
	return record;
}

/* Labels are added in the order of their keys; one without a value is left out. */
static void label(struct deepmon_record *record, const char *key, const char *value, bool tag)
{
	if (value && *value)
		record->labels[record->label_count++] = (struct deepmon_label){key, value, tag};
}

/* Who a record is about: the instance, and the labels that tell it. */
struct subject_of {
	enum deepmon_entity entity;
	const char *instance;
	const char *kind; /* of a total */
	const struct group *group;
	const char *name, *id, *image, *version; /* the group's, kept */
};

static void label_as(struct deepmon_record *record, const struct subject_of *of, const char *domain,
		     const char *source)
{
	if (of->entity == DEEPMON_SYSTEM)
		label(record, "cgroup", of->name, true);
	if (of->entity == DEEPMON_CONTAINER) {
		label(record, "container_id", of->id, false);
		label(record, "container_image", of->image, true);
		label(record, "container_name", of->name, true);
		label(record, "container_version", of->version, true);
	}
	label(record, "domain", domain, true);
	label(record, "kind", of->kind, true);
	if (of->group)
		label(record, "runtime", of->group->runtime, true);
	label(record, "source", source, true);
}

static void add_cpu(struct sample *sample, const struct subject_of *of, uint64_t used_ns,
		    uint64_t reported_ns)
{
	struct deepmon_record *record = add(sample, of->entity, DEEPMON_SUBJECT_CPU, of->instance);

	label_as(record, of, "", "");
	record->values.cpu.cpu_time_ns = used_ns;
	record->valid = VALID(CPU, cpu_time_ns);
	if (sample->view.interval_ns) {
		record->values.cpu.cpu_usage_percent =
		    100.0 * (double)(used_ns - reported_ns) / (double)sample->view.interval_ns;
		record->valid |= VALID(CPU, cpu_usage_percent);
	}
}

static void add_energy(struct sample *sample, const struct subject_of *of, enum energy_domain domain,
		       const char *source, uint64_t used_uj, uint64_t reported_uj, bool gap)
{
	struct deepmon_record *record = add(sample, of->entity, DEEPMON_SUBJECT_ENERGY, of->instance);
	char qualifier[64];

	snprintf(qualifier, sizeof(qualifier), "%s-%s", energy_domain_name(domain), source);
	record->qualifier = keep_text(sample, qualifier);
	label_as(record, of, energy_domain_name(domain), source);
	record->values.energy.energy_joules = used_uj;
	record->valid = VALID(ENERGY, energy_joules);
	if (sample->view.interval_ns && !gap) {
		record->values.energy.power_watts =
		    (double)(used_uj - reported_uj) * 1e3 / (double)sample->view.interval_ns;
		record->valid |= VALID(ENERGY, power_watts);
	}
}

static void add_account(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *of, struct account *account, const char *source)
{
	if (attribution->kernel && of->kind != NULL && account == &attribution->parts[PART_UNATTRIBUTED])
		; /* every nanosecond is somebody's */
	else if (attribution->kernel)
		add_cpu(sample, of, account->used.cpu_ns, account->reported.cpu_ns);
	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++)
		if (attribution->measured[domain] && energy_is_divided((enum energy_domain)domain))
			add_energy(sample, of, domain, source, account->used.energy_uj[domain],
				   account->reported.energy_uj[domain], attribution->gap[domain]);
	account->reported = account->used;
}

static void add_group(struct sample *sample, const struct attribution *attribution, struct group *group,
		      const char *source)
{
	struct subject_of of = {
	    .entity = group->kind == IDENTITY_CONTAINER ? DEEPMON_CONTAINER : DEEPMON_SYSTEM,
	    .group = group,
	    .name = keep_text(sample, group->name),
	    .id = keep_text(sample, group->id),
	    .image = keep_text(sample, group->image),
	    .version = keep_text(sample, group->version),
	};

	of.instance = of.name;
	add_account(sample, attribution, &of, &group->account, source);
}

/* Returns how many there were of each part. */
static void add_groups(struct sample *sample, const struct attribution *attribution, const char *source,
		       uint64_t *reported)
{
	for (size_t i = 0; i < attribution->groups->count; i++) {
		struct group *group = attribution->groups->all[i];

		if (group->ended_number && group->reported)
			continue;
		add_group(sample, attribution, group, source);
		group->reported = group->ended_number != 0;
		reported[group_part(group)]++;
	}
}

static void add_totals(struct sample *sample, struct attribution *attribution, const char *source,
		       const uint64_t *reported)
{
	static const char *const kinds[PART_COUNT] = {"container", "system", "kernel",
						      "other",	   "idle",   "unattributed"};

	for (int part = 0; part < PART_COUNT; part++) {
		struct subject_of of = {
		    .entity = DEEPMON_TOTAL, .instance = kinds[part], .kind = kinds[part]};

		add_account(sample, attribution, &of, &attribution->parts[part], source);
		if (!attribution->kernel || part > PART_SYSTEM)
			continue;

		struct deepmon_record *record =
		    add(sample, DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, kinds[part]);

		label(record, "kind", kinds[part], true);
		record->values.churn = (struct deepmon_churn){
		    .reported = reported[part],
		    .ended_cgroups = attribution->churn[part].ended_cgroups,
		    .ended_cpu_time_ns = attribution->churn[part].ended_cpu_ns};
		record->valid = VALID(CHURN, reported) | VALID(CHURN, ended_cgroups) |
				VALID(CHURN, ended_cpu_time_ns);
	}
}

static void add_zone(struct sample *sample, const struct energy_zone *zone)
{
	struct deepmon_record *record = add(sample, DEEPMON_ZONE, DEEPMON_SUBJECT_COUNTER, zone->name);
	const char *domain = energy_domain_name(zone->domain);
	char socket[16] = "";

	if (zone->socket != ENERGY_SOCKET_NONE)
		snprintf(socket, sizeof(socket), "%d", zone->socket);
	record->values.counter = (struct deepmon_counter){.anomalies = zone->anomalies, .wraps = zone->wraps};
	record->valid = VALID(COUNTER, anomalies) | VALID(COUNTER, wraps);

	const char *kept_socket = keep_text(sample, socket);

	for (int energy = 0; energy <= zone->valid; energy++) {
		if (energy) {
			record = add(sample, DEEPMON_ZONE, DEEPMON_SUBJECT_ENERGY, zone->name);
			record->values.energy.energy_joules = zone->total_uj;
			record->values.energy.power_watts =
			    (double)zone->delta_uj * 1e3 / (double)zone->elapsed_ns;
			record->valid = VALID(ENERGY, energy_joules) | VALID(ENERGY, power_watts);
		}
		record->qualifier = zone->source;
		label(record, "domain", domain, true);
		label(record, "socket", kept_socket, true);
		label(record, "source", zone->source, true);
		label(record, "zone", zone->name, true);
	}
}

int sample_build(struct sample *sample, struct attribution *attribution, const struct energy_zone *zones,
		 size_t zone_count, uint64_t interval_ns, const struct sample_self *self)
{
	const char *source = zone_count ? zones[0].source : "";
	uint64_t reported[PART_COUNT] = {0};
	struct timespec now;

	clear_texts(sample);
	clock_gettime(CLOCK_REALTIME, &now);
	sample->failed = false;
	sample->view = (struct deepmon_sample){.time_ns = (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec,
					       .interval_ns = interval_ns};
	add_groups(sample, attribution, source, reported);
	add_totals(sample, attribution, source, reported);
	for (size_t i = 0; i < zone_count; i++)
		add_zone(sample, &zones[i]);

	struct deepmon_record *record = add(sample, DEEPMON_SELF, DEEPMON_SUBJECT_SELF_COST, "");

	record->values.self_cost = self->cost;
	record->valid = self->valid;
	memset(attribution->measured, 0, sizeof(attribution->measured));
	memset(attribution->gap, 0, sizeof(attribution->gap));
	sample->view.records = sample->records;
	return sample->failed ? -ENOMEM : 0;
}

void sample_clear(struct sample *sample)
{
	clear_texts(sample);
	free(sample->records);
	*sample = (struct sample){0};
}
