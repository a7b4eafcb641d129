/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The collector's life: it opens the sources, the ledger and the threads, reads, and closes all of it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "collector.h"
#include "file.h"
#include "kubelet.h"
#include "log.h"

static struct attribution_rules rules_of(const struct deepmon_options *options)
{
	struct attribution_rules rules = {
	    .idle_policy = (enum ledger_idle_policy)options->idle_policy,
	    .processes_told = options->processes,
	};

	rules.overlap_ratio_ppm = (uint32_t)(options->smt_overlap_ratio * SMT_PPM + 0.5);
	rules.idle_watts[ENERGY_PACKAGE] = options->idle_package_watts;
	rules.idle_watts[ENERGY_CORE] = options->idle_core_watts;
	rules.idle_watts[ENERGY_UNCORE] = options->idle_uncore_watts;
	rules.idle_watts[ENERGY_DRAM] = options->idle_dram_watts;
	return rules;
}

static bool has_peers(const struct deepmon *collector)
{
	return collector->network && collector->options.peers && network_peer_maps(collector->network).most;
}

static bool names_peers(const struct deepmon *collector)
{
	return has_peers(collector) && collector->options.peer_names;
}

/* NULL: operations on files are not counted. */
static struct files *files_of(const struct deepmon *collector)
{
	return collector->file_io ? file_io_files(collector->file_io) : NULL;
}

int collector_open_ledger(struct deepmon *collector, size_t zone_count)
{
	const struct attribution_rules rules = rules_of(&collector->options);
	int r;

	groups_init(&collector->groups, collector->topology.socket_count, collector->options.max_ended);
	cgroups_init(&collector->cgroups, &collector->hierarchy, &collector->names, &collector->groups,
		     (size_t)collector->options.max_cgroups * 2);
	collector->cgroups.keeps_paths = footprints_any(&collector->footprints) || names_peers(collector) ||
					 surveyor_is_wanted(&collector->options) || collector->cgroup_cpu;
	collector->cgroups.recorder = collector->recorder;
	collector->cgroups.player = collector->player;
	r = attribution_init(&collector->attribution, collector->kernel, &collector->topology,
			     &collector->cgroups, &collector->groups, zone_count, &rules);
	collector->attribution.cgroup_cpu = collector->cgroup_cpu;
	collector->attribution.network = collector->network;
	collector->attribution.file_io = collector->file_io;
	collector->attribution.latency = collector->latency;
	collector->sample.latency_buckets = collector->options.latency_buckets;
	if (!r && collector->kernel && collector->options.processes) {
		r = processes_init(&collector->processes, collector->kernel, &collector->topology,
				   collector->options.max_processes);
		collector->attribution.processes = &collector->processes;
	}
	if (!r && has_peers(collector)) {
		const struct peer_maps maps = network_peer_maps(collector->network);

		r = peers_init(&collector->peers, &maps, maps.most, collector->options.peers,
			       collector->topology.cpu_count);
		collector->peers.names_met = collector->options.peer_names;
		collector->attribution.peers = &collector->peers;
	}
	if (!r && collector->network && network_has_paths(collector->network)) {
		const struct path_maps maps = network_path_maps(collector->network);

		r = paths_init(&collector->paths, &maps, collector->options.max_http_paths,
			       collector->options.http_paths, collector->topology.cpu_count);
		collector->attribution.paths = &collector->paths;
	}
	if (!r && files_of(collector) && files_set_count(files_of(collector)) &&
	    collector_tells_files(collector)) {
		const size_t told[FILE_SCOPES] = {collector->options.top_files,
						  collector->options.container_files};

		r = top_files_init(&collector->top_files, files_of(collector),
				   collector->options.file_path_max, told);
		collector->attribution.top_files = &collector->top_files;
	}
	return r;
}

void collector_close_ledger(struct deepmon *collector)
{
	processes_clear(&collector->processes);
	peers_clear(&collector->peers);
	paths_clear(&collector->paths);
	top_files_clear(&collector->top_files);
	attribution_clear(&collector->attribution);
	cgroups_clear(&collector->cgroups);
	groups_clear(&collector->groups);
}

static int begin(struct deepmon *collector)
{
	size_t zone_count;
	int r;

	collector_zones(collector, &zone_count);
	r = collector_open_ledger(collector, zone_count);
	if (r)
		return r;
	if (collector_has_time(collector))
		cgroups_search(&collector->cgroups, clock_ns(CLOCK_MONOTONIC));
	collector_take_sample(collector);
	collector->last_report_ns = clock_ns(CLOCK_MONOTONIC);
	if (collector->energy)
		energy_find(collector->energy, &collector->logger);
	pthread_mutex_lock(&collector->lock);
	collector_read_footprints(collector, collector->last_report_ns, true);
	pthread_mutex_unlock(&collector->lock);
	attribution_begin(&collector->attribution);
	recorder_begin(collector->recorder, collector->last_report_ns);
	recorder_frame(collector->recorder, RECORDING_SAMPLE, clock_ns(CLOCK_REALTIME));
	r = namer_start(&collector->namer, &collector->names, &collector->groups, &collector->cgroups,
			collector->recorder, &collector->logger, &collector->lock);
	if (!r && names_peers(collector))
		r = peer_namer_start(&collector->peer_namer, &collector->cgroups, &collector->peers,
				     &collector->options, &collector->logger, &collector->lock);
	if (!r && collector->kernel && surveyor_is_wanted(&collector->options))
		surveyor_start(&collector->surveyor, &collector->options, &collector->cgroups,
			       &collector->told, &collector->lock, &collector->logger);
	if (!r)
		r = kubelet_start(collector->names.kubelet, &collector->groups, &collector->lock);
	return r ? r : collector_start_thread(collector);
}

struct deepmon *collector_new(const struct deepmon_options *options, const struct deepmon_logger *logger)
{
	struct deepmon *collector = calloc(1, sizeof(*collector));
	struct deepmon_logger limited;

	if (!collector)
		return NULL;
	collector->options = *options;
	log_limit_init(&collector->log_limit, logger, options->max_log_lines);
	limited = log_limit_logger(&collector->log_limit);
	findings_init(&collector->findings, &limited, &collector->logger);
	collector->epoll_fd = collector->timer_fd = collector->stop_fd = collector->hierarchy.root_fd = -1;
	collector->self.stats_fd = -1;
	collector->footprints.memory.root_fd = collector->footprints.memory.pressure_fd = -1;
	collector->footprints.block.root_fd = -1;
	pthread_mutex_init(&collector->lock, NULL);
	collector->sample.told = &collector->told;
	collector->sample.experiment = collector->options.experiment;
	return collector;
}

static int open_all(struct deepmon *collector)
{
	const struct deepmon_options *options = &collector->options;
	int r;

	r = names_init(&collector->names, options);
	if (!r)
		r = kubelet_open(&collector->names.kubelet, &collector->options, &collector->logger);
	if (!r)
		r = told_open(&collector->told, options);
	if (!r)
		r = collector_open_sources(collector);
	if (!r)
		collector_open_recorder(collector);
	if (!r)
		r = begin(collector);
	collector->findings.complete = true;
	return r;
}

/* On failure all that was opened is still to be closed: *collector, if it is not NULL. */
static int open_new(struct deepmon **collector, const struct deepmon_options *options,
		    const struct deepmon_logger *logger)
{
	int r;

	*collector = collector_new(options, logger);
	r = *collector ? open_all(*collector) : -ENOMEM;
	if (r)
		log_error(*collector ? &(*collector)->logger : logger, "nothing can be measured (%s)",
			  strerror(-r));
	return r;
}

int deepmon_open(struct deepmon **opened, const struct deepmon_options *options,
		 const struct deepmon_logger *logger)
{
	struct deepmon *collector;
	int r = open_new(&collector, options, logger);

	if (r)
		deepmon_close(collector);
	else
		*opened = collector;
	return r;
}

const struct deepmon_finding *deepmon_findings(const struct deepmon *collector, size_t *count)
{
	*count = collector->findings.count;
	return collector->findings.rows;
}

int deepmon_examine(struct deepmon_findings *findings, const struct deepmon_options *options,
		    const struct deepmon_logger *logger)
{
	struct deepmon *collector;
	int r = open_new(&collector, options, logger);

	*findings = (struct deepmon_findings){0};
	if (!collector)
		return r;
	/* They are handed over, and so not the collector's to free. */
	findings->rows = collector->findings.rows;
	findings->count = collector->findings.count;
	collector->findings.rows = NULL;
	collector->findings.count = 0;
	deepmon_close(collector);
	return r;
}

static void look_for_new_cpus(struct deepmon *collector)
{
	int cpus = collector->kernel && !collector->new_cpus_said ? kernel_cpu_count() : 0;

	if (cpus <= (int)collector->topology.cpu_count)
		return;
	collector->new_cpus_said = true;
	log_warning(&collector->logger,
		    "CPU %d was added while deepmon runs: it is not accounted until deepmon is "
		    "started again",
		    cpus - 1);
}

int deepmon_read(struct deepmon *collector, const struct deepmon_sample **sample)
{
	struct self_sources sources = {.attribution = &collector->attribution,
				       .kernel = collector->kernel,
				       .events = collector->events,
				       .counters = &collector->counters,
				       .surveyor = &collector->surveyor,
				       .latency = collector->latency,
				       .files = files_of(collector)};
	struct sample_self self;
	size_t zone_count;
	uint64_t now;
	int r;

	if (collector->player)
		return replay_read(collector, 0, sample);
	look_for_new_cpus(collector);
	pthread_mutex_lock(&collector->lock);
	if (collector->kernel)
		kernel_renew_counters(collector->kernel);
	collector_take_sample(collector);
	now = clock_ns(CLOCK_MONOTONIC);
	collector->sample.taken_ns = clock_ns(CLOCK_REALTIME);
	collector->sample.now_ns = now;
	collector_read_footprints(collector, now, false);
	sources.interval_ns = now - collector->last_report_ns;
	collector->last_report_ns = now;
	self_meter_report(&collector->self, &sources, &self);
	limits_say(&collector->limits, &self.cost, self.valid, &collector->options, &collector->logger);
	recorder_tell(collector->recorder, now, collector->sample.taken_ns, &self.cost, self.valid);
	recorder_frame(collector->recorder, RECORDING_REPORT, collector->sample.taken_ns);
	r = sample_build(&collector->sample, &collector->attribution, collector_zones(collector, &zone_count),
			 sources.interval_ns, &self);
	if (collector->sample_missed)
		collector_take_turn(collector);
	pthread_mutex_unlock(&collector->lock);
	recorder_write(collector->recorder, &collector->lock);
	*sample = &collector->sample.view;
	return r ? -EAGAIN : 0;
}

bool deepmon_names_settled(struct deepmon *collector)
{
	bool settled;

	pthread_mutex_lock(&collector->lock);
	namer_wake(&collector->namer);
	settled = namer_is_settled(&collector->namer) && kubelet_is_settled(collector->names.kubelet);
	pthread_mutex_unlock(&collector->lock);
	return settled;
}

void deepmon_close(struct deepmon *collector)
{
	uint64_t one = 1;

	if (!collector)
		return;
	if (collector->has_thread && write(collector->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(collector->thread, NULL);
	namer_stop(&collector->namer);
	peer_namer_stop(&collector->peer_namer);
	surveyor_stop(&collector->surveyor);
	kubelet_close(collector->names.kubelet);
	sample_clear(&collector->sample);
	recorder_close(collector->recorder);
	collector_close_ledger(collector);
	told_close(&collector->told);
	names_clear(&collector->names);
	footprints_close(&collector->footprints);
	topology_clear(&collector->topology);
	self_meter_close(&collector->self);
	energy_close(collector->energy);
	network_close(collector->network);
	file_io_close(collector->file_io);
	latency_close(collector->latency);
	cgroup_events_close(collector->events);
	cgroup_cpu_close(collector->cgroup_cpu);
	kernel_close(collector->kernel);
	player_close(collector->player);
	counters_close(&collector->counters);
	hierarchy_close(&collector->hierarchy);
	file_close(&collector->epoll_fd);
	file_close(&collector->timer_fd);
	file_close(&collector->stop_fd);
	findings_clear(&collector->findings);
	pthread_mutex_destroy(&collector->lock);
	log_limit_destroy(&collector->log_limit);
	free(collector);
}
