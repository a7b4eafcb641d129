/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A thread beside the sampler's, which does what may take long and waits for its next turn under a lock.
 */
#ifndef DEEPMON_WORKER_H
#define DEEPMON_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* All zero: it was never started. */
struct worker {
	pthread_t thread;
	pthread_mutex_t *lock; /* of `stopping`, and of what else its owner says */
	pthread_cond_t wake;
	bool runs;     /* the owner's */
	bool stopping; /* run() is to return */
};

/* run(argument) in a thread of its own. -errno, and then nothing is to be stopped. */
int worker_start(struct worker *worker, pthread_mutex_t *lock, void *(*run)(void *), void *argument);
/* Without the lock: waits for the end of what is under way. Nothing, if it does not run. */
void worker_stop(struct worker *worker);

/* Under the lock: what waits goes on at once. */
void worker_wake(struct worker *worker);
/* By the thread, under the lock, which is let go meanwhile: until then (CLOCK_MONOTONIC), or until it is
 * woken. Whether it was woken. */
bool worker_wait(struct worker *worker, uint64_t until_ns);

#endif
