/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPU sits in which socket, by /sys/devices/system/cpu.
 */
#include "topology.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "file.h"
#include "log.h"
#include "root.h"

int topology_find_socket(const struct topology *topology, int socket)
{
	for (size_t i = 0; i < topology->socket_count; i++)
		if (topology->socket[i] == socket)
			return (int)i;
	return -ENOENT;
}

/* The index of the socket, added if it is new; 0 past ACCOUNT_SOCKETS_MAX. */
static uint8_t index_of_socket(struct topology *topology, int socket, const struct deepmon_logger *logger)
{
	int index = topology_find_socket(topology, socket);

	if (index >= 0)
		return (uint8_t)index;
	if (topology->socket_count == ACCOUNT_SOCKETS_MAX) {
		log_warning(logger, "topology: socket %d is past the %d that are told apart; its CPUs count to "
				    "socket %d", socket, ACCOUNT_SOCKETS_MAX, topology->socket[0]);
		return 0;
	}
	topology->socket[topology->socket_count] = socket;
	return (uint8_t)topology->socket_count++;
}

int topology_read(struct topology *topology, const char *sys_root, uint32_t cpu_count,
		  const struct deepmon_logger *logger)
{
	*topology = (struct topology){.cpu_count = cpu_count, .index_of_cpu = calloc(cpu_count, 1)};
	if (!topology->index_of_cpu)
		return -ENOMEM;
	for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
		char path[ROOT_PATH_MAX + 96];
		uint64_t socket;

		snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/topology/physical_package_id",
			 sys_root, cpu);
		if (file_read_u64(AT_FDCWD, path, &socket) == 0 && socket <= INT_MAX)
			topology->index_of_cpu[cpu] = index_of_socket(topology, (int)socket, logger);
	}
	if (!topology->socket_count)
		topology->socket_count = 1;
	return 0;
}

void topology_clear(struct topology *topology)
{
	free(topology->index_of_cpu);
	*topology = (struct topology){0};
}
