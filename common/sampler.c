/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The one thread that hears of cgroups as they come and go and samples between reports, and what a sample is.
 * Everything below the collector's lock is shared by that thread and the reader.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "collector.h"
#include "log.h"

void collector_hear(void *user, const struct cgroup_event *event)
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
	if (!collector->events || dropped != collector->events_dropped ||
	    collector->attribution.unseen & 1u << ATTRIBUTION_EVENTS)
		cgroups_search(&collector->cgroups, clock_ns(CLOCK_MONOTONIC));
	namer_wake(&collector->namer);
}

void collector_take_sample(struct deepmon *collector)
{
	struct self_meter *self = &collector->self;
	uint64_t began_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t began = clock_ns(CLOCK_MONOTONIC), energy_began, ended;
	size_t zone_count;

	collector_mend_hooks(collector);
	if (collector_has_time(collector))
		read_events(collector);
	energy_began = clock_ns(CLOCK_MONOTONIC);
	if (collector->energy)
		energy_read(collector->energy);
	if (collector->kernel && !(collector->attribution.off & 1u << ATTRIBUTION_CPU))
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

void collector_read_footprints(struct deepmon *collector, uint64_t now_ns, bool first)
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

void collector_take_turn(struct deepmon *collector)
{
	collector->sample_missed = collector->reading;
	if (!collector->reading)
		collector_take_sample(collector);
}

static void *run(void *argument)
{
	struct deepmon *collector = argument;

	for (;;) {
		struct epoll_event events[4];
		int count = epoll_wait(collector->epoll_fd, events, 4, -1);

		if (count < 0 && errno != EINTR) {
			log_warning(
			    &collector->logger,
			    "samples between reports are left out (%s): something else in this process "
			    "closed what deepmon waits by. Start it again",
			    strerror(errno));
			return NULL;
		}
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			uint64_t expirations;

			if (fd == collector->stop_fd)
				return NULL;
			pthread_mutex_lock(&collector->lock);
			if (fd != collector->timer_fd)
				read_events(collector);
			else if (read(fd, &expirations, sizeof(expirations)) > 0)
				collector_take_turn(collector);
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

int collector_start_thread(struct deepmon *collector)
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
