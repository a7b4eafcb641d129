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
#include <time.h>
#include <unistd.h>

#include "attribution.h"
#include "cgroup_events.h"
#include "file.h"
#include "footprint.h"
#include "log.h"
#include "namer.h"
#include "peer_namer.h"
#include "root.h"
#include "sample.h"
#include "self_meter.h"

struct deepmon {
	struct deepmon_options options;
	struct deepmon_logger logger;
	struct hierarchy hierarchy;
	struct names names;
	struct namer namer;
	struct peer_namer peer_namer;
	struct told told;
	char sys_root[ROOT_PATH_MAX];
	struct topology topology;
	pthread_t thread;
	bool has_thread;
	int epoll_fd, timer_fd, stop_fd;

	pthread_mutex_t lock;
	struct counters counters;
	struct kernel *kernel;
	struct cgroup_events *events;
	struct network *network;
	struct file_io *file_io;
	struct energy *energy;
	struct groups groups;
	struct cgroups cgroups;
	struct processes processes;
	struct peers peers;
	struct attribution attribution;
	struct footprints footprints;
	uint64_t events_dropped;
	uint64_t last_report_ns;
	bool new_cpus_said;
	bool reading;	    /* files, without the lock: nothing may be forgotten meanwhile */
	bool sample_missed; /* for that */
	struct self_meter self;
	struct sample sample;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void handle_event(void *user, const struct cgroup_event *event)
{
	struct deepmon *collector = user;

	if (event->kind == CGROUP_CREATED)
		cgroups_add(&collector->cgroups, event->cgroup_id, event->path);
	else
		cgroups_remove(&collector->cgroups, event->cgroup_id, clock_ns(CLOCK_MONOTONIC));
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

/* None, if energy is not measured. */
static const struct energy_zone *zones_of(const struct deepmon *collector, size_t *count)
{
	*count = 0;
	return collector->energy ? energy_zones(collector->energy, count) : NULL;
}

/* Brings everything up to now. Under the lock. */
static void take_sample(struct deepmon *collector)
{
	struct self_meter *self = &collector->self;
	uint64_t began_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t began = clock_ns(CLOCK_MONOTONIC), energy_began, ended;
	size_t zone_count;

	if (collector->kernel)
		read_events(collector);
	energy_began = clock_ns(CLOCK_MONOTONIC);
	if (collector->energy)
		energy_read(collector->energy);
	if (collector->kernel)
		kernel_flush(collector->kernel);
	if (collector->file_io)
		file_io_flush(collector->file_io);
	ended = clock_ns(CLOCK_MONOTONIC);
	if (ended - energy_began > self->skew_ns)
		self->skew_ns = ended - energy_began;
	attribution_charge(&collector->attribution, zones_of(collector, &zone_count), ended);
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
	bool cpu_known = collector->kernel && !kernel_slots_refused(collector->kernel);

	if (!footprints_any(&collector->footprints))
		return;
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
enum { FILE_IO_OFF, FILE_IO_COUNTS };
enum { NETWORK_OFF, NETWORK_ON };

static void open_network(struct deepmon *collector)
{
	const struct network_settings settings = {
	    .kernel = collector->kernel,
	    .hierarchy = &collector->hierarchy,
	    .hooks = collector->options.network_hooks,
	    .max_peers = collector->options.peers ? collector->options.max_peers : 0,
	    .max_sockets = collector->options.max_sockets};

	if (collector->options.network == NETWORK_ON)
		network_open(&collector->network, &settings, &collector->logger);
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
	if (kernel_open(&collector->kernel, &settings, &collector->logger))
		return;
	cgroup_events_open(&collector->events, &collector->hierarchy, handle_event, collector,
			   &collector->logger);
	if (collector->options.file_io == FILE_IO_COUNTS)
		file_io_open(&collector->file_io, collector->kernel, collector->topology.cpu_count,
			     &collector->hierarchy, &collector->logger);
	open_network(collector);
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

	zones_of(collector, &zone_count);
	return zone_count > 0;
}

static int open_sources(struct deepmon *collector)
{
	int cpus = kernel_cpu_count();
	int r;

	root_sys(&collector->options, collector->sys_root);
	r = topology_read(&collector->topology, collector->sys_root, cpus > 0 ? (uint32_t)cpus : 1,
			  &collector->logger);
	if (r)
		return r;
	open_kernel(collector);
	open_energy(collector);
	if (collector->kernel)
		footprints_open(&collector->footprints, &collector->options, &collector->logger);
	self_meter_open(&collector->self, &collector->options, &collector->logger);
	return collector->kernel || has_energy(collector) ? 0 : -ENODEV;
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
	return collector->network && collector->options.peers;
}

static bool names_peers(const struct deepmon *collector)
{
	return has_peers(collector) && collector->options.peer_names;
}

static int begin(struct deepmon *collector)
{
	const struct attribution_rules rules = rules_of(&collector->options);
	size_t zone_count;
	int r;

	zones_of(collector, &zone_count);
	groups_init(&collector->groups, collector->topology.socket_count, collector->options.max_ended);
	cgroups_init(&collector->cgroups, &collector->hierarchy, &collector->names, &collector->groups,
		     (size_t)collector->options.max_cgroups * 2);
	collector->cgroups.keeps_paths = footprints_any(&collector->footprints) || names_peers(collector);
	r = attribution_init(&collector->attribution, collector->kernel, &collector->topology,
			     &collector->cgroups, &collector->groups, zone_count, &rules);
	collector->attribution.network = collector->network;
	collector->attribution.file_io = collector->file_io;
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
	if (r)
		return r;
	if (collector->kernel)
		cgroups_search(&collector->cgroups, clock_ns(CLOCK_MONOTONIC));
	take_sample(collector);
	pthread_mutex_lock(&collector->lock);
	read_footprints(collector, clock_ns(CLOCK_MONOTONIC), true);
	pthread_mutex_unlock(&collector->lock);
	attribution_begin(&collector->attribution);
	collector->last_report_ns = clock_ns(CLOCK_MONOTONIC);
	r = namer_start(&collector->namer, &collector->names, &collector->groups, &collector->cgroups,
			&collector->lock);
	if (!r && names_peers(collector))
		r = peer_namer_start(&collector->peer_namer, &collector->cgroups, &collector->peers,
				     &collector->options, &collector->logger, &collector->lock);
	return r ? r : start_thread(collector);
}

int deepmon_open(struct deepmon **opened, const struct deepmon_options *options,
		 const struct deepmon_logger *logger)
{
	struct deepmon *collector = calloc(1, sizeof(*collector));
	int r;

	if (!collector)
		return -ENOMEM;
	collector->options = *options;
	if (logger)
		collector->logger = *logger;
	collector->epoll_fd = collector->timer_fd = collector->stop_fd = collector->hierarchy.root_fd = -1;
	collector->self.stats_fd = -1;
	collector->footprints.memory.root_fd = collector->footprints.memory.pressure_fd = -1;
	collector->footprints.block.root_fd = -1;
	pthread_mutex_init(&collector->lock, NULL);
	collector->sample.told = &collector->told;
	r = names_init(&collector->names, options);
	if (!r)
		r = told_open(&collector->told, options);
	if (!r)
		r = open_sources(collector);
	if (!r)
		r = begin(collector);
	if (r) {
		log_error(&collector->logger, "nothing can be measured (%s)", strerror(-r));
		deepmon_close(collector);
		return r;
	}
	*opened = collector;
	return 0;
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
				       .counters = &collector->counters};
	struct sample_self self;
	size_t zone_count;
	uint64_t now;
	int r;

	look_for_new_cpus(collector);
	pthread_mutex_lock(&collector->lock);
	take_sample(collector);
	now = clock_ns(CLOCK_MONOTONIC);
	collector->sample.taken_ns = clock_ns(CLOCK_REALTIME);
	read_footprints(collector, now, false);
	sources.interval_ns = now - collector->last_report_ns;
	collector->last_report_ns = now;
	self_meter_report(&collector->self, &sources, &self);
	r = sample_build(&collector->sample, &collector->attribution, zones_of(collector, &zone_count),
			 sources.interval_ns, &self);
	if (collector->sample_missed)
		take_turn(collector);
	pthread_mutex_unlock(&collector->lock);
	*sample = &collector->sample.view;
	return r ? -EAGAIN : 0;
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
	sample_clear(&collector->sample);
	processes_clear(&collector->processes);
	peers_clear(&collector->peers);
	attribution_clear(&collector->attribution);
	cgroups_clear(&collector->cgroups);
	groups_clear(&collector->groups);
	told_close(&collector->told);
	names_clear(&collector->names);
	footprints_close(&collector->footprints);
	topology_clear(&collector->topology);
	self_meter_close(&collector->self);
	energy_close(collector->energy);
	network_close(collector->network);
	file_io_close(collector->file_io);
	cgroup_events_close(collector->events);
	kernel_close(collector->kernel);
	counters_close(&collector->counters);
	hierarchy_close(&collector->hierarchy);
	file_close(&collector->epoll_fd);
	file_close(&collector->timer_fd);
	file_close(&collector->stop_fd);
	pthread_mutex_destroy(&collector->lock);
	free(collector);
}
