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
#include "file.h"
#include "log.h"
#include "sample.h"

#define NAME_TRIES 8

struct deepmon {
	struct deepmon_options options;
	struct deepmon_logger logger;
	struct hierarchy hierarchy;
	struct names names;
	struct topology topology;
	pthread_t thread;
	bool has_thread;
	int epoll_fd, timer_fd, stop_fd;

	pthread_mutex_t lock;
	struct kernel *kernel;
	struct energy *energy;
	struct groups groups;
	struct cgroups cgroups;
	struct attribution attribution;
	uint64_t events_dropped;
	uint64_t last_report_ns;
	uint64_t samples, sample_cpu_ns;
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

static void read_events(struct deepmon *collector)
{
	uint64_t dropped = kernel_events_dropped(collector->kernel);

	kernel_read_events(collector->kernel);
	if (dropped != collector->events_dropped) {
		collector->events_dropped = dropped;
		cgroups_search(&collector->cgroups, clock_ns(CLOCK_MONOTONIC));
	}
}

static const struct energy_zone *zones_of(const struct deepmon *collector, size_t *count)
{
	*count = 0;
	return collector->energy ? energy_zones(collector->energy, count) : NULL;
}

/* Brings everything up to now. Under the lock. */
static void take_sample(struct deepmon *collector)
{
	uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	size_t zone_count;

	if (collector->kernel)
		read_events(collector);
	if (collector->energy)
		energy_read(collector->energy);
	if (collector->kernel)
		kernel_flush(collector->kernel);

	const struct energy_zone *zones = zones_of(collector, &zone_count);

	attribution_charge(&collector->attribution, zones, zone_count, clock_ns(CLOCK_MONOTONIC));
	collector->samples++;
	collector->sample_cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
}

/* A container without a name whose turn it is to be asked for; its id goes to *identity. */
static bool find_nameless(struct deepmon *collector, uint64_t now_ns, struct identity *identity)
{
	for (size_t i = 0; i < collector->groups.count; i++) {
		struct group *group = collector->groups.all[i];

		if (group->kind != IDENTITY_CONTAINER || group->named || group->ended_number ||
		    group->name_tries >= NAME_TRIES || group->next_try_ns > now_ns)
			continue;
		group->next_try_ns = now_ns + (1000000000ull << group->name_tries++);
		*identity = (struct identity){.kind = group->kind, .runtime = group->runtime};
		snprintf(identity->id, sizeof(identity->id), "%s", group->id);
		snprintf(identity->name, sizeof(identity->name), "%s", group->name);
		return true;
	}
	return false;
}

/* Runtimes are asked without the lock, as they may take their time. One for each round. */
static void name_one(struct deepmon *collector)
{
	struct identity identity;
	bool found;

	pthread_mutex_lock(&collector->lock);
	found = find_nameless(collector, clock_ns(CLOCK_MONOTONIC), &identity);
	pthread_mutex_unlock(&collector->lock);
	if (!found || names_ask(&collector->names, &identity))
		return;
	pthread_mutex_lock(&collector->lock);

	struct group *group = groups_find_container(&collector->groups, identity.id);

	if (group && !group->named) {
		struct group *named = groups_name(&collector->groups, group, &identity);

		if (named)
			cgroups_regroup(&collector->cgroups, group, named);
	}
	pthread_mutex_unlock(&collector->lock);
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
				take_sample(collector);
			pthread_mutex_unlock(&collector->lock);
			if (fd == collector->timer_fd)
				name_one(collector);
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
	if (!r && collector->kernel)
		r = watch(collector, kernel_event_fd(collector->kernel));
	if (!r)
		r = -pthread_create(&collector->thread, NULL, run, collector);
	collector->has_thread = !r;
	return r;
}

static void open_energy(struct deepmon *collector)
{
	char sys_root[ROOT_PATH_MAX], proc_root[ROOT_PATH_MAX], dev_root[ROOT_PATH_MAX];
	struct energy_settings settings = {.roots = {.sys = sys_root, .proc = proc_root, .dev = dev_root},
					   .from = collector->options.energy_source};

	root_sys(&collector->options, sys_root);
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

static void open_sources(struct deepmon *collector)
{
	struct kernel_settings settings = {.hierarchy = &collector->hierarchy,
					   .max_cgroups = collector->options.max_cgroups,
					   .on_event = handle_event,
					   .user = collector};

	if (hierarchy_open(&collector->hierarchy, &collector->options, &collector->logger) == 0)
		kernel_open(&collector->kernel, &settings, &collector->logger);
	open_energy(collector);
}

static int begin(struct deepmon *collector)
{
	char sys_root[ROOT_PATH_MAX];
	uint32_t cpus = collector->kernel ? kernel_cpu_count(collector->kernel) : 1;
	int r;

	root_sys(&collector->options, sys_root);
	r = topology_read(&collector->topology, sys_root, cpus, &collector->logger);
	if (r)
		return r;
	groups_init(&collector->groups, collector->topology.socket_count, collector->options.max_ended);
	cgroups_init(&collector->cgroups, &collector->hierarchy, &collector->names, &collector->groups,
		     (size_t)collector->options.max_cgroups * 2);
	r = attribution_init(&collector->attribution, collector->kernel, &collector->topology,
			     &collector->cgroups, &collector->groups);
	if (r)
		return r;
	collector->last_report_ns = clock_ns(CLOCK_MONOTONIC);
	if (collector->kernel)
		cgroups_search(&collector->cgroups, collector->last_report_ns);
	take_sample(collector);
	return start_thread(collector);
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
	pthread_mutex_init(&collector->lock, NULL);
	names_init(&collector->names, options);
	open_sources(collector);
	r = collector->kernel || has_energy(collector) ? begin(collector) : -ENODEV;
	if (r) {
		log_error(&collector->logger, "nothing can be measured (%s)", strerror(-r));
		deepmon_close(collector);
		return r;
	}
	*opened = collector;
	return 0;
}

static void measure_self(const struct deepmon *collector, struct sample_self *self)
{
	struct deepmon_self_cost *cost = &self->cost;
	char statm[128];
	unsigned long long resident;

	*self = (struct sample_self){0};
	cost->process_cpu_time_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	cost->sample_cpu_time_ns = collector->sample_cpu_ns;
	cost->samples = collector->samples;
	cost->ended_unreported = collector->groups.ended_unreported;
	self->valid = 1ull << DEEPMON_INDEX_SELF_COST_process_cpu_time_ns |
		      1ull << DEEPMON_INDEX_SELF_COST_sample_cpu_time_ns |
		      1ull << DEEPMON_INDEX_SELF_COST_samples |
		      1ull << DEEPMON_INDEX_SELF_COST_ended_unreported;
	if (file_read(-1, "/proc/self/statm", statm, sizeof(statm)) > 0 &&
	    sscanf(statm, "%*u %llu", &resident) == 1) {
		cost->resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
		self->valid |= 1ull << DEEPMON_INDEX_SELF_COST_resident_bytes;
	}
	if (collector->kernel) {
		cost->cgroups_tracked = collector->cgroups.count;
		cost->slots_refused = kernel_slots_refused(collector->kernel);
		cost->events_dropped = kernel_events_dropped(collector->kernel);
		self->valid |= 1ull << DEEPMON_INDEX_SELF_COST_cgroups_tracked |
			       1ull << DEEPMON_INDEX_SELF_COST_slots_refused |
			       1ull << DEEPMON_INDEX_SELF_COST_events_dropped;
	}
}

int deepmon_read(struct deepmon *collector, const struct deepmon_sample **sample)
{
	struct sample_self self;
	size_t zone_count;
	int r;

	pthread_mutex_lock(&collector->lock);
	take_sample(collector);
	measure_self(collector, &self);

	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	const struct energy_zone *zones = zones_of(collector, &zone_count);

	r = sample_build(&collector->sample, &collector->attribution, zones, zone_count,
			 now - collector->last_report_ns, &self);
	collector->last_report_ns = now;
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
	sample_clear(&collector->sample);
	attribution_clear(&collector->attribution);
	cgroups_clear(&collector->cgroups);
	groups_clear(&collector->groups);
	topology_clear(&collector->topology);
	energy_close(collector->energy);
	kernel_close(collector->kernel);
	hierarchy_close(&collector->hierarchy);
	file_close(&collector->epoll_fd);
	file_close(&collector->timer_fd);
	file_close(&collector->stop_fd);
	pthread_mutex_destroy(&collector->lock);
	free(collector);
}
