/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Puts a sample together from what the attribution has charged. Memory only.
 */
#include "sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample_parts.h"

static void add_cpu(struct sample *sample, const struct attribution *attribution, const struct subject_of *of,
		    const struct account *account)
{
	struct deepmon_record *record = sample_add_of(sample, of, DEEPMON_SUBJECT_CPU);
	const struct account_sums *used = &account->used;
	bool idle = account == &attribution->parts[PART_IDLE];

	record->values.cpu.cpu_time_ns = used->cpu_ns;
	record->values.cpu.smt_overlap_ns = used->overlap_ns;
	record->values.cpu.energy_weight = used->weight;
	record->valid = VALID(CPU, cpu_time_ns);
	if (!idle && of->entity != DEEPMON_PROCESS)
		record->valid |= VALID(CPU, energy_weight);
	if (!idle && attribution->kernel && kernel_has_overlap(attribution->kernel))
		record->valid |= VALID(CPU, smt_overlap_ns);
	if (attribution->kernel && kernel_has_switches(attribution->kernel)) {
		record->values.cpu.context_switches = used->switches;
		record->valid |= VALID(CPU, context_switches);
	}
	if (sample->view.interval_ns && !attribution->time_gap) {
		record->values.cpu.cpu_usage_percent = 100.0 *
						       (double)(used->cpu_ns - account->reported.cpu_ns) /
						       (double)sample->view.interval_ns;
		record->valid |= VALID(CPU, cpu_usage_percent);
	}
}

/* Rates since the last report, where their parts were counted and it is not divided by nothing. */
static void add_rates(struct deepmon_record *record, uint32_t counted, const struct account *account)
{
	struct deepmon_perf *perf = &record->values.perf;
	double since[CPU_COUNTERS], cpu_ns = (double)(account->used.cpu_ns - account->reported.cpu_ns);

	for (int i = 0; i < CPU_COUNTERS; i++)
		since[i] =
		    counted & 1u << i ? (double)(account->used.counter[i] - account->reported.counter[i]) : 0;
	if (since[CPU_COUNTER_CYCLES] > 0 && counted & 1u << CPU_COUNTER_INSTRUCTIONS) {
		perf->instructions_per_cycle = since[CPU_COUNTER_INSTRUCTIONS] / since[CPU_COUNTER_CYCLES];
		record->valid |= VALID(PERF, instructions_per_cycle);
	}
	if (since[CPU_COUNTER_CACHE_REFERENCES] > 0 && counted & 1u << CPU_COUNTER_CACHE_MISSES) {
		perf->cache_miss_percent =
		    100.0 * since[CPU_COUNTER_CACHE_MISSES] / since[CPU_COUNTER_CACHE_REFERENCES];
		record->valid |= VALID(PERF, cache_miss_percent);
	}
	if (cpu_ns > 0 && counted & 1u << CPU_COUNTER_CYCLES) {
		perf->frequency_hertz = since[CPU_COUNTER_CYCLES] * 1e9 / cpu_ns;
		record->valid |= VALID(PERF, frequency_hertz);
	}
}

static void add_perf(struct sample *sample, const struct attribution *attribution,
		     const struct subject_of *of, const struct account *account)
{
	static const uint64_t valid[CPU_COUNTERS] = {
	    [CPU_COUNTER_CYCLES] = VALID(PERF, cycles),
	    [CPU_COUNTER_INSTRUCTIONS] = VALID(PERF, instructions),
	    [CPU_COUNTER_CACHE_REFERENCES] = VALID(PERF, cache_references),
	    [CPU_COUNTER_CACHE_MISSES] = VALID(PERF, cache_misses),
	};
	const uint64_t *used = account->used.counter;
	uint32_t counted = attribution->kernel ? kernel_counter_mask(attribution->kernel) : 0;

	if (!counted)
		return;

	struct deepmon_record *record = sample_add_of(sample, of, DEEPMON_SUBJECT_PERF);

	record->values.perf = (struct deepmon_perf){.cycles = used[CPU_COUNTER_CYCLES],
						    .instructions = used[CPU_COUNTER_INSTRUCTIONS],
						    .cache_references = used[CPU_COUNTER_CACHE_REFERENCES],
						    .cache_misses = used[CPU_COUNTER_CACHE_MISSES]};
	for (int i = 0; i < CPU_COUNTERS; i++)
		if (counted & 1u << i)
			record->valid |= valid[i];
	if (!attribution->counters_gap)
		add_rates(record, counted, account);
}

/* The figures that a group of the kernel's hooks gives. */
static uint64_t network_valid(uint32_t counted)
{
	uint64_t valid = 0;

	if (counted & NETWORK_TRAFFIC)
		valid |= VALID(NETWORK, tcp_sent_bytes) | VALID(NETWORK, tcp_received_bytes) |
			 VALID(NETWORK, tcp_sent_messages) | VALID(NETWORK, tcp_received_messages) |
			 VALID(NETWORK, udp_sent_bytes) | VALID(NETWORK, udp_received_bytes) |
			 VALID(NETWORK, udp_sent_messages) | VALID(NETWORK, udp_received_messages);
	if (counted & NETWORK_CONNECTIONS)
		valid |= VALID(NETWORK, tcp_opened_active) | VALID(NETWORK, tcp_opened_passive) |
			 VALID(NETWORK, tcp_failed) | VALID(NETWORK, tcp_closed);
	if (counted & NETWORK_RETRANSMITS)
		valid |= VALID(NETWORK, tcp_retransmits);
	if (counted & NETWORK_RESETS)
		valid |= VALID(NETWORK, tcp_resets_sent) | VALID(NETWORK, tcp_resets_received);
	return valid;
}

static void add_network(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *of, const struct account *account)
{
	struct deepmon_record *record = sample_add_of(sample, of, DEEPMON_SUBJECT_NETWORK);
	const struct net_usage *used = &account->used.network, *before = &account->reported.network;
	uint64_t readings = used->tcp_rtt_readings - before->tcp_rtt_readings;

	record->values.network = (struct deepmon_network){
	    .tcp_sent_bytes = used->tcp_sent_bytes,
	    .tcp_received_bytes = used->tcp_received_bytes,
	    .tcp_sent_messages = used->tcp_sent_messages,
	    .tcp_received_messages = used->tcp_received_messages,
	    .udp_sent_bytes = used->udp_sent_bytes,
	    .udp_received_bytes = used->udp_received_bytes,
	    .udp_sent_messages = used->udp_sent_messages,
	    .udp_received_messages = used->udp_received_messages,
	    .tcp_opened_active = used->tcp_opened_active,
	    .tcp_opened_passive = used->tcp_opened_passive,
	    .tcp_failed = used->tcp_failed,
	    .tcp_closed = used->tcp_closed,
	    .tcp_resets_sent = used->tcp_resets_sent,
	    .tcp_resets_received = used->tcp_resets_received,
	    .tcp_retransmits = used->tcp_retransmits,
	};
	record->valid = network_valid(network_counted(attribution->network));
	if (readings) {
		record->values.network.tcp_rtt_seconds =
		    (double)(used->tcp_rtt_sum_us - before->tcp_rtt_sum_us) / 1e6 / (double)readings;
		record->valid |= VALID(NETWORK, tcp_rtt_seconds);
	}
}

static void add_energy(struct sample *sample, const struct subject_of *of, enum energy_domain domain,
		       const struct domain_state *state, uint64_t used_uj, uint64_t reported_uj)
{
	struct deepmon_record *record =
	    sample_add_record(sample, of->entity, DEEPMON_SUBJECT_ENERGY, of->instance);
	char qualifier[96];

	snprintf(qualifier, sizeof(qualifier), "%s%s%s-%s", of->process ? of->process : "",
		 of->process ? "-" : "", energy_domain_name(domain), state->source);
	record->qualifier = sample_keep_text(sample, qualifier);
	sample_label_as(record, of, energy_domain_name(domain), state->source);
	record->values.energy.energy_joules = used_uj;
	record->valid = VALID(ENERGY, energy_joules);
	if (sample->view.interval_ns && !state->gap) {
		record->values.energy.power_watts =
		    (double)(used_uj - reported_uj) * 1e3 / (double)sample->view.interval_ns;
		record->valid |= VALID(ENERGY, power_watts);
	}
}

/* A source whose programs hang nowhere counts nothing, which is not zero. */
static bool is_counted(const struct attribution *attribution, enum attribution_source source)
{
	return !(attribution->off >> source & 1);
}

static void add_account(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *of, struct account *account)
{
	/* Every nanosecond is somebody's, and nobody's instructions are no figure. */
	if (attribution_has_time(attribution) && account != &attribution->parts[PART_UNATTRIBUTED]) {
		if (is_counted(attribution, ATTRIBUTION_CPU))
			add_cpu(sample, attribution, of, account);
		if (is_counted(attribution, ATTRIBUTION_CPU) && account != &attribution->parts[PART_IDLE])
			add_perf(sample, attribution, of, account);
		if (attribution->network && is_counted(attribution, ATTRIBUTION_NETWORK) &&
		    account != &attribution->parts[PART_IDLE] && of->entity != DEEPMON_PROCESS)
			add_network(sample, attribution, of, account);
		if (attribution->latency && is_counted(attribution, ATTRIBUTION_NETWORK) &&
		    of->entity != DEEPMON_PROCESS)
			sample_add_transactions(sample, of, account);
		if (attribution->file_io && is_counted(attribution, ATTRIBUTION_FILE_IO) &&
		    account != &attribution->parts[PART_IDLE] && of->entity != DEEPMON_PROCESS)
			sample_add_file_io(sample, attribution, of, account);
	}
	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++) {
		struct domain_state state = sample->domains[domain];

		/* Of what was not seen the energy is nobody's. */
		state.gap |= attribution->time_gap;
		if (state.measured && energy_is_divided((enum energy_domain)domain))
			add_energy(sample, of, domain, &state, account->used.energy_uj[domain],
				   account->reported.energy_uj[domain]);
	}
	sample_add_buckets(sample, of, account);
	account_told(account);
}

/* One line of a container's processes: what it used in all reports that told of it, and in this one. */
static void add_process(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *container, const char *process,
			const struct account_sums *told, const struct account_sums *fresh)
{
	struct subject_of of = sample_part_of(DEEPMON_PROCESS, container);
	struct account account = {.used = *told, .reported = *told};

	of.process = sample_keep_text(sample, process);
	account_sums_subtract(&account.reported, fresh);
	add_account(sample, attribution, &of, &account);
}

static void add_processes(struct sample *sample, const struct attribution *attribution,
			  const struct subject_of *container, struct group *group)
{
	processes_choose(group, attribution->rules.processes_told);
	for (const struct process *p = group->processes; p; p = p->next)
		if (p->telling)
			add_process(sample, attribution, container, p->name, &p->told, &p->fresh);
	add_process(sample, attribution, container, PROCESS_UNTOLD, &group->untold, &group->untold_fresh);
	processes_told(group);
}

static void add_group(struct sample *sample, const struct attribution *attribution, struct group *group)
{
	struct subject_of of = sample_subject_of(sample, group);
	struct account told;

	if (attribution->processes && of.entity == DEEPMON_CONTAINER)
		add_processes(sample, attribution, &of, group);
	if (attribution->top_files && is_counted(attribution, ATTRIBUTION_FILE_IO) &&
	    of.entity == DEEPMON_CONTAINER)
		sample_add_files_of_group(sample, attribution, &of, group);
	if (attribution->peers && is_counted(attribution, ATTRIBUTION_NETWORK) &&
	    of.entity == DEEPMON_CONTAINER)
		sample_add_peers(sample, attribution, &of, group);
	if (attribution->paths && of.entity == DEEPMON_CONTAINER)
		sample_add_paths(sample, attribution, &of, group);
	told_account(group, &told);
	add_account(sample, attribution, &of, &told);
	group->account.reported = group->account.used;
	sample_add_footprint(sample, &of);
}

/* What those of a kind used that are not told of one by one. */
static void add_other(struct sample *sample, const struct attribution *attribution, enum identity_kind kind)
{
	struct subject_of of = {.entity = kind == IDENTITY_CONTAINER ? DEEPMON_CONTAINER : DEEPMON_SYSTEM,
				.instance = TOLD_OTHER,
				.name = TOLD_OTHER};

	if (sample->told && sample->told->has_other[kind])
		add_account(sample, attribution, &of, &sample->told->other[kind]);
}

/* Returns how many there were of each part. */
static void add_groups(struct sample *sample, const struct attribution *attribution, uint64_t *reported)
{
	if (sample->told && told_choose(sample->told, attribution->groups))
		sample->failed = true;
	for (size_t i = 0; i < attribution->groups->count; i++) {
		struct group *group = attribution->groups->all[i];

		if (sample->told ? !group->telling : group->ended_number && group->reported)
			continue;
		add_group(sample, attribution, group);
		group->reported = group->ended_number != 0;
		reported[group_part(group)]++;
	}
	for (int kind = 0; kind < TOLD_KINDS; kind++)
		add_other(sample, attribution, (enum identity_kind)kind);
}

static void add_totals(struct sample *sample, struct attribution *attribution, const uint64_t *reported)
{
	static const char *const kinds[PART_COUNT] = {"container", "system", "kernel",
						      "other",	   "idle",   "unattributed"};

	for (int part = 0; part < PART_COUNT; part++) {
		struct subject_of of = {
		    .entity = DEEPMON_TOTAL, .instance = kinds[part], .kind = kinds[part]};

		/* Who used it is not known then: that is not to say that nobody did. */
		if (!attribution_has_time(attribution) && part != PART_UNATTRIBUTED)
			continue;
		/* Cgroups' files do not tell them apart from the root's own. */
		if (attribution->cgroup_cpu && (part == PART_KERNEL || part == PART_OTHER))
			continue;
		add_account(sample, attribution, &of, &attribution->parts[part]);
		if (part > PART_SYSTEM)
			continue;

		struct deepmon_record *record =
		    sample_add_record(sample, DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, kinds[part]);

		sample_label(record, "kind", kinds[part], true);
		record->values.churn =
		    (struct deepmon_churn){.reported = reported[part],
					   .ended_cgroups = attribution->churn[part].ended_cgroups,
					   .ended_cpu_time_ns = attribution->churn[part].ended_cpu_ns};
		record->valid =
		    VALID(CHURN, reported) | VALID(CHURN, ended_cgroups) | VALID(CHURN, ended_cpu_time_ns);
	}
}

/* Per domain, what its zones tell: the first one's source stands for all. */
static void find_domains(struct sample *sample, const struct attribution *attribution,
			 const struct energy_zone *zones)
{
	memset(sample->domains, 0, sizeof(sample->domains));
	for (size_t i = 0; i < attribution->zone_count; i++) {
		struct domain_state *state = &sample->domains[zones[i].domain];

		if (!state->source)
			state->source = zones[i].source;
		state->measured |= attribution->zones[i].measured;
		state->gap |= attribution->zones[i].gap;
		state->total_uj += zones[i].total_uj;
		state->reported_uj += attribution->zones[i].reported_uj;
	}
}

/* All zones of a domain together: what is the host's alone, such as psys, is told here. */
static void add_host(struct sample *sample)
{
	const struct subject_of of = {.entity = DEEPMON_HOST, .instance = ""};

	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++) {
		const struct domain_state *state = &sample->domains[domain];

		if (state->measured)
			add_energy(sample, &of, domain, state, state->total_uj, state->reported_uj);
	}
}

static void label_zone(struct deepmon_record *record, const struct energy_zone *zone, const char *socket)
{
	record->qualifier = zone->source;
	sample_label(record, "domain", energy_domain_name(zone->domain), true);
	sample_label(record, "socket", socket, true);
	sample_label(record, "source", zone->source, true);
	sample_label(record, "zone", zone->name, true);
}

static void add_zone(struct sample *sample, const struct energy_zone *zone, struct zone_record *kept)
{
	struct deepmon_record *record =
	    sample_add_record(sample, DEEPMON_ZONE, DEEPMON_SUBJECT_COUNTER, zone->name);
	const char *socket = "";
	char number[16];

	if (zone->socket != ENERGY_SOCKET_NONE) {
		snprintf(number, sizeof(number), "%d", zone->socket);
		socket = sample_keep_text(sample, number);
	}
	label_zone(record, zone, socket);
	record->values.counter = (struct deepmon_counter){.anomalies = zone->anomalies, .wraps = zone->wraps};
	record->valid = VALID(COUNTER, anomalies) | VALID(COUNTER, wraps);
	if (!kept->measured)
		return;
	record = sample_add_record(sample, DEEPMON_ZONE, DEEPMON_SUBJECT_ENERGY, zone->name);
	label_zone(record, zone, socket);
	record->values.energy.energy_joules = zone->total_uj;
	record->valid = VALID(ENERGY, energy_joules);
	if (sample->view.interval_ns && !kept->gap) {
		record->values.energy.power_watts =
		    (double)(zone->total_uj - kept->reported_uj) * 1e3 / (double)sample->view.interval_ns;
		record->valid |= VALID(ENERGY, power_watts);
	}
	kept->reported_uj = zone->total_uj;
}

static void label_experiment(struct sample *sample)
{
	const struct deepmon_label experiment = {"experiment", sample->experiment, true};

	if (!sample->experiment || !*sample->experiment)
		return;
	for (size_t i = 0; i < sample->view.record_count; i++)
		sample_label_between(&sample->records[i], &experiment);
}

int sample_build(struct sample *sample, struct attribution *attribution, const struct energy_zone *zones,
		 uint64_t interval_ns, const struct sample_self *self)
{
	uint64_t reported[PART_COUNT] = {0};

	texts_clear(&sample->texts);
	sample->failed = false;
	sample->view = (struct deepmon_sample){.time_ns = sample->taken_ns, .interval_ns = interval_ns};
	find_domains(sample, attribution, zones);
	add_groups(sample, attribution, reported);
	if (attribution->top_files)
		sample_add_files_of_host(sample, attribution);
	add_totals(sample, attribution, reported);
	add_host(sample);
	for (size_t i = 0; i < attribution->zone_count; i++) {
		add_zone(sample, &zones[i], &attribution->zones[i]);
		attribution->zones[i].measured = false;
		attribution->zones[i].gap = attribution->zones[i].behind;
	}
	attribution->counters_gap = attribution->time_gap = false;

	struct deepmon_record *record =
	    sample_add_record(sample, DEEPMON_SELF, DEEPMON_SUBJECT_SELF_COST, "");

	record->values.self_cost = self->cost;
	record->valid = self->valid;
	label_experiment(sample);
	sample->view.records = sample->records;
	return sample->failed ? -ENOMEM : 0;
}

void sample_clear(struct sample *sample)
{
	texts_clear(&sample->texts);
	free(sample->records);
	*sample = (struct sample){0};
}
