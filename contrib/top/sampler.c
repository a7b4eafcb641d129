/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A thread that takes samples into a model.
 */
#include "sampler.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND	      1000000000ull
#define SEEK_LEAD     60   /* samples before the one that is gone to: rates and graphs have something then */
#define SEEK_THROUGH  1000 /* samples forward that are rather played than jumped over */
#define SEEK_STAGE    (60 * SECOND) /* of a recording, after which it listens again */
#define LONGEST_SLEEP 3600	    /* seconds, of a recording with a gap */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void tell(struct top_sampler *sampler)
{
	const uint64_t one = 1;

	if (write(sampler->news, &one, sizeof(one)) < 0)
		return; /* it is full of news */
}

static void schedule(struct top_sampler *sampler)
{
	double seconds = sampler->interval;

	if (sampler->source->replay) {
		seconds = (double)sampler->model->host.interval_ns / 1e9 / sampler->speed;
		seconds = seconds < LONGEST_SLEEP ? seconds : LONGEST_SLEEP;
	}
	sampler->due_ns = now_ns() + (uint64_t)(seconds * 1e9);
}

static int take(struct top_sampler *sampler)
{
	int r;

	pthread_mutex_unlock(&sampler->model->lock);
	r = top_source_next(sampler->source, sampler->model, 0);
	pthread_mutex_lock(&sampler->model->lock);
	sampler->turn++;
	if (!r)
		sampler->at_ns = sampler->model->host.time_ns;
	if (!r || r == -EAGAIN)
		return r;
	sampler->ended = sampler->source->replay != NULL;
	if (r != -ENODATA)
		snprintf(sampler->trouble, sizeof(sampler->trouble), "%s: %s",
			 sampler->ended ? "The recording can't be read on" : "No sample",
			 r == -EBADMSG ? "it is damaged from here on" : strerror(-r));
	return r;
}

/* ---- Seeking ------------------------------------------------------------------------------------ */

/* Whether what is under way is still what is wanted. */
static bool goes_on(const struct top_sampler *sampler, uint64_t target_ns)
{
	return !sampler->stop && sampler->target_ns == target_ns;
}

static int seek_to(struct top_sampler *sampler, uint64_t time_ns)
{
	int r;

	pthread_mutex_unlock(&sampler->model->lock);
	r = top_source_seek(sampler->source, time_ns);
	pthread_mutex_lock(&sampler->model->lock);
	sampler->at_ns = time_ns;
	return r;
}

/*
 * To a place from which the target is played to, in stages: what was shown stays until it is there. Who wants
 * to be elsewhere by then goes on from the stage that was reached.
 */
static int jump(struct top_sampler *sampler, uint64_t target_ns, uint64_t place_ns)
{
	int r = 0;

	if (!sampler->at_ns || place_ns < sampler->at_ns)
		r = seek_to(sampler, sampler->source->about.first_ns);
	while (!r && sampler->at_ns < place_ns && goes_on(sampler, target_ns))
		r = seek_to(sampler,
			    place_ns - sampler->at_ns > SEEK_STAGE ? sampler->at_ns + SEEK_STAGE : place_ns);
	if (r || goes_on(sampler, target_ns)) {
		top_model_forget(sampler->model);
		sampler->turn++;
	}
	return r;
}

static int go(struct top_sampler *sampler, uint64_t target_ns)
{
	const struct top_host *host = &sampler->model->host;
	uint64_t first_ns = sampler->source->about.first_ns;
	uint64_t interval_ns = host->interval_ns ? host->interval_ns : SECOND;
	uint64_t lead_ns = SEEK_LEAD * interval_ns;
	int r = 0;

	if (sampler->at_ns != host->time_ns || target_ns <= host->time_ns ||
	    target_ns - host->time_ns > SEEK_THROUGH * interval_ns)
		r = jump(sampler, target_ns, target_ns > first_ns + lead_ns ? target_ns - lead_ns : first_ns);
	while (!r && goes_on(sampler, target_ns) && (!sampler->model->samples || host->time_ns < target_ns))
		r = take(sampler);
	return r;
}

static void seek(struct top_sampler *sampler)
{
	uint64_t target_ns = sampler->target_ns;
	int r;

	sampler->ended = false;
	r = go(sampler, target_ns);
	sampler->seeking = !r && sampler->target_ns != target_ns;
	sampler->ended = r != 0;
	if (r && r != -ENODATA && !*sampler->trouble)
		snprintf(sampler->trouble, sizeof(sampler->trouble), "The recording can't be read there: %s",
			 strerror(-r));
}

/* ---- The thread --------------------------------------------------------------------------------- */

static bool is_still(const struct top_sampler *sampler)
{
	return sampler->frozen || sampler->ended;
}

static void wait_for_something(struct top_sampler *sampler)
{
	const struct timespec due = {.tv_sec = (time_t)(sampler->due_ns / SECOND),
				     .tv_nsec = (long)(sampler->due_ns % SECOND)};

	if (is_still(sampler))
		pthread_cond_wait(&sampler->wake, &sampler->model->lock);
	else
		pthread_cond_clockwait(&sampler->wake, &sampler->model->lock, CLOCK_MONOTONIC, &due);
}

static void *run(void *argument)
{
	struct top_sampler *sampler = argument;

	pthread_mutex_lock(&sampler->model->lock);
	while (!sampler->stop) {
		bool due = !is_still(sampler) && now_ns() >= sampler->due_ns;

		if (sampler->seeking) {
			seek(sampler);
		} else if (sampler->steps || due) {
			sampler->steps -= sampler->steps > 0;
			take(sampler);
		} else {
			wait_for_something(sampler);
			continue;
		}
		schedule(sampler);
		tell(sampler);
	}
	pthread_mutex_unlock(&sampler->model->lock);
	return NULL;
}

int top_sampler_start(struct top_sampler *sampler, struct top_source *source, struct top_model *model,
		      double from)
{
	int r;

	sampler->source = source;
	sampler->model = model;
	sampler->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sampler->news < 0)
		return -errno;
	pthread_cond_init(&sampler->wake, NULL);
	if (from > 0)
		top_sampler_seek(sampler, from);
	r = -pthread_create(&sampler->thread, NULL, run, sampler);
	if (!r)
		return 0;
	close(sampler->news);
	sampler->source = NULL;
	return r;
}

void top_sampler_stop(struct top_sampler *sampler)
{
	if (!sampler->source)
		return;
	pthread_mutex_lock(&sampler->model->lock);
	sampler->stop = true;
	pthread_cond_signal(&sampler->wake);
	pthread_mutex_unlock(&sampler->model->lock);
	pthread_join(sampler->thread, NULL);
	pthread_cond_destroy(&sampler->wake);
	close(sampler->news);
	sampler->source = NULL;
}

void top_sampler_heard(const struct top_sampler *sampler)
{
	uint64_t count;

	if (read(sampler->news, &count, sizeof(count)) < 0)
		return; /* there were none */
}

/* ---- Asked of it -------------------------------------------------------------------------------- */

void top_sampler_pace(struct top_sampler *sampler)
{
	sampler->due_ns = 0;
	pthread_cond_signal(&sampler->wake);
}

void top_sampler_step(struct top_sampler *sampler)
{
	sampler->steps++;
	pthread_cond_signal(&sampler->wake);
}

void top_sampler_seek(struct top_sampler *sampler, double seconds)
{
	uint64_t first_ns = sampler->source->about.first_ns, last_ns = sampler->source->about.last_ns;
	uint64_t from_ns = sampler->seeking ? sampler->target_ns : sampler->model->host.time_ns;
	double wanted = (from_ns > first_ns ? (double)(from_ns - first_ns) / 1e9 : 0) + seconds;
	double length = (double)(last_ns - first_ns) / 1e9;

	wanted = wanted < 0 ? 0 : wanted < length ? wanted : length;
	sampler->target_ns = first_ns + (uint64_t)(wanted * 1e9 + 0.5);
	if (sampler->target_ns > last_ns)
		sampler->target_ns = last_ns;
	sampler->seeking = true;
	pthread_cond_signal(&sampler->wake);
}
