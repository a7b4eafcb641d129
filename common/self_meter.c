/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon itself costs: CPU time by the process's clock, memory by /proc/self, and what the kernel
 * tells of our programs.
 */
#include "self_meter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "file.h"
#include "log.h"

#define VALID(field) (1ull << DEEPMON_INDEX_SELF_COST_##field)

/* The words of the option BpfStats, in its order. */
enum { STATS_OFF, STATS_ON };

void self_meter_open(struct self_meter *meter, const struct deepmon_options *options,
		     const struct deepmon_logger *logger)
{
	*meter = (struct self_meter){.stats_fd = -1};
	if (options->bpf_stats != STATS_ON)
		return;
	meter->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (meter->stats_fd < 0)
		log_warning(
		    logger,
		    "BpfStats: the kernel does not measure its programs for us (%s): it takes Linux 5.8 "
		    "and CAP_SYS_ADMIN. Their cost is left out",
		    strerror(-meter->stats_fd));
}

void self_meter_close(struct self_meter *meter)
{
	file_close(&meter->stats_fd);
}

static void measure_process(struct deepmon_self_cost *cost, uint64_t *valid)
{
	struct timespec used;
	unsigned long long resident;
	char statm[128];

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	cost->process_cpu_time_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
	*valid |= VALID(process_cpu_time_ns);
	if (file_read(-1, "/proc/self/statm", statm, sizeof(statm)) > 0 &&
	    sscanf(statm, "%*u %llu", &resident) == 1) {
		cost->resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
		*valid |= VALID(resident_bytes);
	}
}

/* All programs that hang on the kernel's hooks. */
static int add_run_times(const struct self_sources *sources, struct deepmon_self_cost *cost)
{
	const struct attribution *attribution = sources->attribution;
	int r = kernel_add_run_time(sources->kernel, &cost->bpf_run_time_ns, &cost->bpf_runs);

	if (!r && sources->events)
		r = cgroup_events_add_run_time(sources->events, &cost->bpf_run_time_ns, &cost->bpf_runs);
	if (!r && attribution->network)
		r = network_add_run_time(attribution->network, &cost->bpf_run_time_ns, &cost->bpf_runs);
	if (!r && attribution->file_io)
		r = file_io_add_run_time(attribution->file_io, &cost->bpf_run_time_ns, &cost->bpf_runs);
	return r;
}

static void measure_network(const struct attribution *attribution, struct deepmon_self_cost *cost,
			    uint64_t *valid)
{
	const struct network *network = attribution->network;

	if (network_keeps_hash(network)) {
		cost->sockets_refused = network_sockets_refused(network);
		*valid |= VALID(sockets_refused);
	}
	if (network_has_kprobes(network)) {
		cost->calls_missed = network_calls_missed(network);
		*valid |= VALID(calls_missed);
	}
	if (attribution->peers) {
		cost->peers_refused = network_peers_refused(network) + attribution->peers->refused;
		*valid |= VALID(peers_refused);
	}
	if (attribution->paths) {
		cost->http_paths_refused = network_paths_refused(network) + attribution->paths->refused;
		*valid |= VALID(http_paths_refused);
	}
}

static void measure_kernel(const struct self_meter *meter, const struct self_sources *sources,
			   struct deepmon_self_cost *cost, uint64_t *valid)
{
	const struct kernel *kernel = sources->kernel;
	double running;

	cost->cgroups_tracked = sources->attribution->cgroups->count;
	cost->slots_used = sources->attribution->slots_owned;
	cost->slots_refused = kernel_slots_refused(kernel) + sources->attribution->owners_refused;
	cost->switches_unseen = kernel_switches_unseen(kernel);
	cost->programs_lost = meter->programs_lost;
	*valid |= VALID(cgroups_tracked) | VALID(slots_used) | VALID(slots_refused) | VALID(switches_unseen) |
		  VALID(programs_lost);
	if (sources->attribution->processes) {
		cost->processes_refused =
		    kernel_processes_refused(kernel) + sources->attribution->processes->refused;
		*valid |= VALID(processes_refused);
	}
	if (sources->attribution->network)
		measure_network(sources->attribution, cost, valid);
	if (sources->events) {
		cost->events_dropped = cgroup_events_dropped(sources->events);
		*valid |= VALID(events_dropped);
	}
	if (sources->latency) {
		cost->latency_pages = latency_pages_used(sources->latency);
		cost->latencies_refused =
		    latency_refused(sources->latency) + sources->attribution->latencies_lost;
		*valid |= VALID(latency_pages) | VALID(latencies_refused);
	}
	if (sources->files) {
		cost->file_operations_lost = files_lost(sources->files);
		*valid |= VALID(file_operations_lost);
	}
	if (counters_running(sources->counters, &running) == 0) {
		cost->counters_running_percent = 100 * running;
		cost->counters_failed = kernel_counters_failed(kernel);
		*valid |= VALID(counters_running_percent) | VALID(counters_failed);
	}
	if (sources->attribution->file_io) {
		cost->file_io_refused = file_io_refused(sources->attribution->file_io);
		*valid |= VALID(file_io_refused);
	}
	if (meter->stats_fd >= 0 && add_run_times(sources, cost) == 0)
		*valid |= VALID(bpf_run_time_ns) | VALID(bpf_runs);
}

/* CPU time and package energy that was used by anybody: all but what idled. */
static void sum_used(const struct attribution *attribution, uint64_t *busy_ns, uint64_t *used_uj)
{
	*busy_ns = *used_uj = 0;
	for (int part = 0; part < PART_IDLE; part++) {
		*busy_ns += attribution->parts[part].used.cpu_ns;
		*used_uj += attribution->parts[part].used.energy_uj[ENERGY_PACKAGE];
	}
}

static void measure_energy(struct self_meter *meter, const struct self_sources *sources,
			   struct deepmon_self_cost *cost, uint64_t *valid)
{
	uint64_t own_ns = cost->sample_cpu_time_ns + cost->survey_cpu_time_ns + cost->bpf_run_time_ns;
	uint64_t busy_ns, used_uj;

	sum_used(sources->attribution, &busy_ns, &used_uj);
	if (used_uj > meter->used_uj && busy_ns > meter->busy_ns) {
		double own = (double)(own_ns - meter->reported_ns) / (double)(busy_ns - meter->busy_ns);
		double uj = own * (double)(used_uj - meter->used_uj);

		meter->total_uj += (uint64_t)uj;
		cost->energy_joules = meter->total_uj;
		*valid |= VALID(energy_joules);
		if (sources->interval_ns) {
			cost->power_watts = uj * 1e3 / (double)sources->interval_ns;
			*valid |= VALID(power_watts);
		}
	}
	meter->reported_ns = own_ns;
	meter->busy_ns = busy_ns;
	meter->used_uj = used_uj;
}

void self_meter_report(struct self_meter *meter, const struct self_sources *sources, struct sample_self *self)
{
	struct deepmon_self_cost *cost = &self->cost;

	*self = (struct sample_self){0};
	cost->sample_cpu_time_ns = meter->sample_cpu_ns;
	cost->sample_duration_ns = meter->sample_duration_ns;
	cost->samples = meter->samples;
	cost->ended_unreported = sources->attribution->groups->ended_unreported;
	self->valid =
	    VALID(sample_cpu_time_ns) | VALID(sample_duration_ns) | VALID(samples) | VALID(ended_unreported);
	if (surveyor_cpu_time(sources->surveyor, &cost->survey_cpu_time_ns))
		self->valid |= VALID(survey_cpu_time_ns);
	measure_process(cost, &self->valid);
	if (sources->kernel)
		measure_kernel(meter, sources, cost, &self->valid);
	if (sources->kernel && sources->attribution->zone_count) {
		cost->energy_skew_ns = meter->skew_ns;
		self->valid |= VALID(energy_skew_ns);
		measure_energy(meter, sources, cost, &self->valid);
	}
	meter->skew_ns = 0;
}
