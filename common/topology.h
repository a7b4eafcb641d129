/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPU is a thread of which core, in which socket.
 */
#ifndef DEEPMON_TOPOLOGY_H
#define DEEPMON_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "deepmon.h"

struct topology {
	size_t socket_count;		 /* at least 1 */
	int socket[ACCOUNT_SOCKETS_MAX]; /* physical package id of each, as found */
	uint32_t cpu_count;
	uint8_t *index_of_cpu; /* into socket[] */
	uint32_t *core_of_cpu; /* the lowest CPU of its core stands for the core */
	bool has_siblings;     /* some core has several threads (SMT) */
};

/*
 * Reads cpuN/topology/ of cpu_count CPUs under sys_root. A CPU that tells nothing, as one that is offline,
 * counts to the first socket and is a core of its own; a host without any has one socket, 0. -ENOMEM.
 */
int topology_read(struct topology *topology, const char *sys_root, uint32_t cpu_count,
		  const struct deepmon_logger *logger);
void topology_clear(struct topology *topology);

/*
 * Reads one CPU again, for it was away. If it tells nothing, as one that has gone once more, it stays where
 * it was, and so does one of a socket that was not there at first: that is not added any more.
 */
void topology_read_cpu(struct topology *topology, const char *sys_root, uint32_t cpu);

/* The index of a socket by its physical package id; -ENOENT. */
int topology_find_socket(const struct topology *topology, int socket);

#endif
