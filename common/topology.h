/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPU sits in which socket.
 */
#ifndef DEEPMON_TOPOLOGY_H
#define DEEPMON_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "deepmon.h"

struct topology {
	size_t socket_count;		 /* at least 1 */
	int socket[ACCOUNT_SOCKETS_MAX]; /* physical package id of each, as found */
	uint32_t cpu_count;
	uint8_t *index_of_cpu; /* into socket[] */
};

/*
 * Reads cpuN/topology/physical_package_id of cpu_count CPUs under sys_root. A CPU without one counts to
 * the first socket; a host without any has one socket, 0. -ENOMEM.
 */
int topology_read(struct topology *topology, const char *sys_root, uint32_t cpu_count,
		  const struct deepmon_logger *logger);
void topology_clear(struct topology *topology);

/* The index of a socket by its physical package id; -ENOENT. */
int topology_find_socket(const struct topology *topology, int socket);

#endif
