/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A thread that waits for its next turn.
 */
#include "worker.h"

#include <errno.h>
#include <time.h>

#define SECOND_NS 1000000000u

int worker_start(struct worker *worker, pthread_mutex_t *lock, void *(*run)(void *), void *argument)
{
	pthread_condattr_t attributes;
	int r;

	*worker = (struct worker){.lock = lock};
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	r = pthread_cond_init(&worker->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (r)
		return -r;
	r = pthread_create(&worker->thread, NULL, run, argument);
	if (r)
		pthread_cond_destroy(&worker->wake);
	worker->runs = !r;
	return -r;
}

void worker_stop(struct worker *worker)
{
	if (!worker->runs)
		return;
	pthread_mutex_lock(worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	worker->runs = false;
}

void worker_wake(struct worker *worker)
{
	pthread_cond_signal(&worker->wake);
}

bool worker_wait(struct worker *worker, uint64_t until_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ns / SECOND_NS),
				       .tv_nsec = (long)(until_ns % SECOND_NS)};

	return pthread_cond_timedwait(&worker->wake, worker->lock, &until) != ETIMEDOUT;
}
