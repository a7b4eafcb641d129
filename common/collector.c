/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The collector: opens the sources, and runs the one thread that hears of cgroups as they come and go and
 * samples between reports. Everything below `lock` is shared by that thread and the reader.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "collector.h"
#include "file.h"
#include "host.h"
#include "kubelet.h"
#include "log.h"
#include "privileges.h"

static void handle_event(void *user, const struct cgroup_event *event)
{
	struct deepmon *collector = user;

	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (event->kind == CGROUP_CREATED) {
		recorder_created(collector->recorder, event->cgroup_id, event->path);
		cgroups_add(&collector->cgroups, event->cgroup_id, event->path);
	} else {
		recorder_removed(collector->recorder, event->cgroup_id, now);
		cgroups_remove(&collector->cgroups, event->cgroup_id, now);
	}
}

/* Where there are no events, or some were lost, the cgroups are found by search. */
static void read_events(struct deepmon *collector)
{
	uint64_t dropped = collector->events_dropped;

	if (collector->events) {
		cgroup_events_read(collector->events);
		collector->events_dropped = cgroup_events_dropped(collector->events);
	}
	if (!collector->events || dropped != collector->events_dropped)
		cgroups_search(&collector->cgroups, clock_ns(CLOCK_MONOTONIC));
	namer_wake(&collector->namer);
}

const struct energy_zone *collector_zones(const struct deepmon *collector, size_t *count)
{
	*count = 0;
	return collector->energy ? energy_zones(collector->energy, count) : NULL;
}

/* Whether anything tells whose CPU time it is. */
static bool has_time(const struct deepmon *collector)
{
	return collector->kernel || collector->cgroup_cpu;
}

/* Brings everything up to now. Under the lock. */
static void take_sample(struct deepmon *collector)
{
	struct self_meter *self = &collector->self;
	uint64_t began_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t began = clock_ns(CLOCK_MONOTONIC), energy_began, ended;
	size_t zone_count;

	if (has_time(collector))
		read_events(collector);
	energy_began = clock_ns(CLOCK_MONOTONIC);
	if (collector->energy)
		energy_read(collector->energy);
	if (collector->kernel)
		kernel_flush(collector->kernel);
	if (collector->file_io)
		file_io_flush(collector->file_io);
	if (collector->cgroup_cpu)
		collector->attribution.cpus_online = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	ended = clock_ns(CLOCK_MONOTONIC);
	if (ended - energy_began > self->skew_ns)
		self->skew_ns = ended - energy_began;
	collector_capture(collector, ended);
	attribution_charge(&collector->attribution, collector_zones(collector, &zone_count), ended);
	recorder_frame(collector->recorder, RECORDING_SAMPLE, clock_ns(CLOCK_REALTIME));
	self->samples++;
	self->sample_cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_cpu;
	self->sample_duration_ns = clock_ns(CLOCK_MONOTONIC) - began;
}

/*
 * What cgroups' files tell, for a report. Under the lock, but for the reading: events are heard meanwhile,
 * and a sample whose turn comes is taken after it.
 */
static void read_footprints(struct deepmon *collector, uint64_t now_ns, bool first)
{
	uint64_t began_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	/* A cgroup that found no slot uses CPU time that is not seen to be its own. */
	bool cpu_known =
	    collector->cgroup_cpu || (collector->kernel && !kernel_slots_refused(collector->kernel));

	recorder_choose(collector->recorder, now_ns, first);
	footprints_choose(&collector->footprints, &collector->cgroups, now_ns, cpu_known, first);
	collector->reading = true;
	pthread_mutex_unlock(&collector->lock);
	footprints_read(&collector->footprints);
	pthread_mutex_lock(&collector->lock);
	collector->reading = false;
	footprints_tell(&collector->footprints, &collector->groups);
	collector->self.sample_cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_cpu;
}

/* Under the lock, as all that forgets cgroups. */
static void take_turn(struct deepmon *collector)
{
	collector->sample_missed = collector->reading;
	if (!collector->reading)
		take_sample(collector);
}

static void *run(void *argument)
{
	struct deepmon *collector = argument;

	for (;;) {
		struct epoll_event events[4];
		int count = epoll_wait(collector->epoll_fd, events, 4, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			uint64_t expirations;

			if (fd == collector->stop_fd)
				return NULL;
			pthread_mutex_lock(&collector->lock);
			if (fd != collector->timer_fd)
				read_events(collector);
			else if (read(fd, &expirations, sizeof(expirations)) > 0)
				take_turn(collector);
			pthread_mutex_unlock(&collector->lock);
			recorder_write(collector->recorder, &collector->lock);
		}
	}
}

static int watch(struct deepmon *collector, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(collector->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int start_thread(struct deepmon *collector)
{
	double interval = collector->options.sample_interval;
	struct timespec step = {.tv_sec = (time_t)interval,
				.tv_nsec = (long)((interval - (double)(time_t)interval) * 1e9)};
	struct itimerspec timer = {step, step};
	int r = 0;

	collector->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	collector->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	collector->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (collector->epoll_fd < 0 || collector->timer_fd < 0 || collector->stop_fd < 0 ||
	    timerfd_settime(collector->timer_fd, 0, &timer, NULL))
		return -errno;
	r = watch(collector, collector->timer_fd);
	if (!r)
		r = watch(collector, collector->stop_fd);
	if (!r && collector->events)
		r = watch(collector, cgroup_events_fd(collector->events));
	if (!r)
		r = -pthread_create(&collector->thread, NULL, run, collector);
	collector->has_thread = !r;
	return r;
}

/* The words of the options SmtOverlap, Interrupts and Network, in their order. */
enum { OVERLAP_AUTO, OVERLAP_OFF };
enum { INTERRUPTS_INTERRUPTED, INTERRUPTS_APART };
enum { FILE_IO_OFF, FILE_IO_COUNTS, FILE_IO_FULL };
enum { NETWORK_OFF, NETWORK_ON };
enum { HTTP_OFF, HTTP_ON };

static void open_network(struct deepmon *collector)
{
	const struct deepmon_options *options = &collector->options;
	struct network_settings settings = {.kernel = collector->kernel,
					    .hierarchy = &collector->hierarchy,
					    .http = options->http == HTTP_ON,
					    .hooks = options->network_hooks,
					    .max_sockets = options->max_sockets,
					    .max_peers = options->peers ? options->max_peers : 0};

	latency_open(&collector->latency, options->max_latency_pages, &collector->logger);
	settings.latency = collector->latency;
	network_open(&collector->network, &settings, &collector->logger);
}

static bool tells_files(const struct deepmon *collector)
{
	return collector->options.top_files || collector->options.container_files;
}

static void open_file_io(struct deepmon *collector)
{
	bool full = collector->options.file_io == FILE_IO_FULL;
	struct files_settings settings = {.kernel = collector->kernel,
					  .hierarchy = &collector->hierarchy,
					  .cpu_count = collector->topology.cpu_count,
					  .max_requests = collector->options.max_file_requests,
					  .max_files =
					      tells_files(collector) ? collector->options.max_files : 0,
					  .path_most = collector->options.file_path_max};

	if (!full && tells_files(collector))
		log_warning(&collector->logger,
			    "TopFiles and ContainerFiles: no file is told of without FileIO full");
	if (collector->options.file_io == FILE_IO_OFF)
		return;
	if (full && !collector->latency &&
	    latency_open(&collector->latency, collector->options.max_latency_pages, &collector->logger))
		return;
	settings.latency = collector->latency;
	file_io_open(&collector->file_io, full, &settings, &collector->logger);
}

static void find_off(struct deepmon *collector, const char *what, const char *why)
{
	finding_add(&collector->logger, DEEPMON_FOUND_OFF, "eBPF", what, "", "%s", why);
}

/* In place of eBPF; what it alone can tell is said to be left out. */
static void open_files(struct deepmon *collector)
{
	const struct deepmon_options *options = &collector->options;
	const struct {
		const char *option, *what;
		bool wanted;
	} lost[] = {{"Network", "network's accounting", options->network == NETWORK_ON},
		    {"FileIO", "accounting of file I/O", options->file_io == FILE_IO_COUNTS},
		    {"Processes", "processes", options->processes > 0},
		    {"Interrupts", "interrupts apart", options->interrupts == INTERRUPTS_APART}};
	char names[128] = "";
	size_t length = 0;

	counters_close(&collector->counters);
	cgroup_cpu_open(&collector->cgroup_cpu, &collector->hierarchy, &collector->logger);
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		if (!lost[i].wanted)
			continue;
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", length ? ", " : "",
					   lost[i].option);
		finding_add(&collector->logger, DEEPMON_FOUND_MISSING, "eBPF", lost[i].what, "",
			    "%s asks for it, and it goes with the CPU accounting", lost[i].option);
	}
	if (length)
		log_warning(&collector->logger, "%s: what they ask for is left out with the CPU accounting",
			    names);
}

static void open_kernel(struct deepmon *collector)
{
	struct kernel_settings settings = {
	    .hierarchy = &collector->hierarchy,
	    .sys_root = collector->sys_root,
	    .topology = &collector->topology,
	    .counters = &collector->counters,
	    .max_cgroups = collector->options.max_cgroups,
	    .max_processes = collector->options.processes ? collector->options.max_processes : 0,
	    .interrupts = collector->options.interrupts == INTERRUPTS_APART,
	    .overlap = collector->options.smt_overlap == OVERLAP_AUTO};

	if (hierarchy_open(&collector->hierarchy, &collector->options, &collector->logger) ||
	    counters_open(&collector->counters, &collector->options, collector->topology.cpu_count,
			  &collector->logger))
		return;
	if (kernel_open(&collector->kernel, &settings, &collector->logger)) {
		open_files(collector);
		return;
	}
	cgroup_events_open(&collector->events, &collector->hierarchy, handle_event, collector,
			   &collector->logger);
	if (collector->options.network == NETWORK_ON)
		open_network(collector);
	else if (collector->options.http == HTTP_ON)
		log_warning(&collector->logger, "HTTP: it is told apart among the network's transactions, "
						"which are not counted without Network on");
	if (collector->options.network == NETWORK_OFF)
		find_off(collector, "network's accounting", "Network is off");
	open_file_io(collector);
	if (collector->options.file_io == FILE_IO_OFF)
		find_off(collector, "accounting of file I/O", "FileIO is off");
}

static void open_energy(struct deepmon *collector)
{
	char proc_root[ROOT_PATH_MAX], dev_root[ROOT_PATH_MAX];
	struct energy_settings settings = {
	    .roots = {.sys = collector->sys_root, .proc = proc_root, .dev = dev_root},
	    .from = collector->options.energy_source};

	root_proc(&collector->options, proc_root);
	root_host(&collector->options, "/dev", dev_root);
	if (energy_open(&collector->energy, &settings, &collector->logger))
		return;

	double within = (double)energy_read_within_ns(collector->energy) / 1e9;

	if (collector->options.sample_interval > within) {
		log_warning(&collector->logger,
			    "SampleInterval: %g s is too long for these energy counters, which may "
			    "wrap or change unseen; %.3g s is used",
			    collector->options.sample_interval, within);
		collector->options.sample_interval = within;
	}
}

static bool has_energy(const struct deepmon *collector)
{
	size_t zone_count;

	collector_zones(collector, &zone_count);
	return zone_count > 0;
}

static int open_sources(struct deepmon *collector)
{
	char proc_root[ROOT_PATH_MAX];
	int cpus = kernel_cpu_count();
	int r;

	root_sys(&collector->options, collector->sys_root);
	root_proc(&collector->options, proc_root);
	host_find(proc_root, &collector->logger);
	privileges_find(&collector->logger);
	r = topology_read(&collector->topology, collector->sys_root, cpus > 0 ? (uint32_t)cpus : 1,
			  &collector->logger);
	if (r)
		return r;
	open_kernel(collector);
	open_energy(collector);
	if (has_time(collector))
		footprints_open(&collector->footprints, &collector->options, &collector->logger);
	self_meter_open(&collector->self, &collector->options, &collector->logger);
	if (has_time(collector))
		names_find(&collector->names, &collector->logger);
	return has_time(collector) || has_energy(collector) ? 0 : -ENODEV;
}

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
	return collector->network && collector->options.peers && !collector->player;
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

		r = peers_init(&collector->peers, &maps, collector->options.max_peers,
			       collector->options.peers, collector->topology.cpu_count);
		collector->peers.names_met = collector->options.peer_names;
		collector->attribution.peers = &collector->peers;
	}
	if (!r && files_of(collector) && tells_files(collector)) {
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
	if (has_time(collector))
		cgroups_search(&collector->cgroups, clock_ns(CLOCK_MONOTONIC));
	take_sample(collector);
	collector->last_report_ns = clock_ns(CLOCK_MONOTONIC);
	if (collector->energy)
		energy_find(collector->energy, &collector->logger);
	pthread_mutex_lock(&collector->lock);
	read_footprints(collector, collector->last_report_ns, true);
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
	return r ? r : start_thread(collector);
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

/* On failure all that was opened is still to be closed. */
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
		r = open_sources(collector);
	if (!r)
		collector_open_recorder(collector);
	if (!r)
		r = begin(collector);
	collector->findings.complete = true;
	if (r)
		log_error(&collector->logger, "nothing can be measured (%s)", strerror(-r));
	return r;
}

int deepmon_open(struct deepmon **opened, const struct deepmon_options *options,
		 const struct deepmon_logger *logger)
{
	struct deepmon *collector = collector_new(options, logger);
	int r = collector ? open_all(collector) : -ENOMEM;

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
	struct deepmon *collector = collector_new(options, logger);
	int r = collector ? open_all(collector) : -ENOMEM;

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
	take_sample(collector);
	now = clock_ns(CLOCK_MONOTONIC);
	collector->sample.taken_ns = clock_ns(CLOCK_REALTIME);
	collector->sample.now_ns = now;
	read_footprints(collector, now, false);
	sources.interval_ns = now - collector->last_report_ns;
	collector->last_report_ns = now;
	self_meter_report(&collector->self, &sources, &self);
	recorder_tell(collector->recorder, now, collector->sample.taken_ns, &self.cost, self.valid);
	recorder_frame(collector->recorder, RECORDING_REPORT, collector->sample.taken_ns);
	r = sample_build(&collector->sample, &collector->attribution, collector_zones(collector, &zone_count),
			 sources.interval_ns, &self);
	if (collector->sample_missed)
		take_turn(collector);
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
