/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Asks the kubelet of this host for its pods, and the API server for services, when there is something to
 * learn and each KubeletInterval. A thread of its own: one that does not answer costs what it would have
 * told, and no more.
 */
#ifndef DEEPMON_KUBELET_H
#define DEEPMON_KUBELET_H

#include <pthread.h>

#include "deepmon.h"
#include "groups.h"
#include "identity.h"

struct kubelet;

/* *opened stays NULL if the options ask for none, or if libcurl is missing, which is said. -ENOMEM. */
int kubelet_open(struct kubelet **opened, const struct deepmon_options *options,
		 const struct deepmon_logger *logger);
/* Begins to ask. The lock is that of groups; both must outlive it. Takes NULL. -errno of pthread_create. */
int kubelet_start(struct kubelet *kubelet, struct groups *groups, pthread_mutex_t *lock);
/* Under that lock: whether it was asked once, and its answer, if there was one, is with the groups. NULL:
 * yes. */
bool kubelet_is_settled(const struct kubelet *kubelet);
/* Ends that and releases it, without the lock; takes NULL. May wait a second for an answer. */
void kubelet_close(struct kubelet *kubelet);

/*
 * What it told last, from any thread, without waiting for it; NULL knows nothing. The first names a container
 * by its id, as a reader of runtimes.h does, the second gives one of a pod its owner, node and services.
 */
int kubelet_name(struct kubelet *kubelet, struct identity *identity);
void kubelet_tell(struct kubelet *kubelet, struct identity *identity);

#endif
