/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPU is a thread of which core, in which socket, by /sys/devices/system/cpu.
 */
#include "topology.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpus.h"
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

static long read_text(const char *sys_root, uint32_t cpu, const char *file, char *text, size_t size)
{
	char path[ROOT_PATH_MAX + 96];

	snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/topology/%s", sys_root, cpu, file);
	return file_read(AT_FDCWD, path, text, size);
}

/* -errno: it does not tell. */
static int read_socket(const char *sys_root, uint32_t cpu)
{
	struct cpu_place place;
	int r = cpus_read_place(sys_root, cpu, &place);

	return r ? r : place.package;
}

/* The list of its core's CPUs, such as "3,35" or "6-7". Lists are in order. */
static void read_core(struct topology *topology, const char *sys_root, uint32_t cpu)
{
	char text[4096], *end;
	unsigned long first;

	topology->core_of_cpu[cpu] = cpu;
	/* The second is its name before Linux 5.3. */
	if (read_text(sys_root, cpu, "core_cpus_list", text, sizeof(text)) <= 0 &&
	    read_text(sys_root, cpu, "thread_siblings_list", text, sizeof(text)) <= 0)
		return;
	first = strtoul(text, &end, 10);
	if (end == text || first >= topology->cpu_count)
		return;
	topology->core_of_cpu[cpu] = (uint32_t)first;
	topology->has_siblings |= *end == ',' || *end == '-';
}

int topology_read(struct topology *topology, const char *sys_root, uint32_t cpu_count,
		  const struct deepmon_logger *logger)
{
	*topology = (struct topology){.cpu_count = cpu_count,
				      .index_of_cpu = calloc(cpu_count, sizeof(uint8_t)),
				      .core_of_cpu = calloc(cpu_count, sizeof(uint32_t))};
	if (!topology->index_of_cpu || !topology->core_of_cpu)
		return -ENOMEM;
	for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
		int socket = read_socket(sys_root, cpu);

		read_core(topology, sys_root, cpu);
		if (socket < 0)
			continue;

		int index = topology_find_socket(topology, socket);

		if (index < 0 && topology->socket_count == ACCOUNT_SOCKETS_MAX) {
			log_warning(
			    logger,
			    "topology: socket %d is past the %d that are told apart; its CPUs count to "
			    "socket %d",
			    socket, ACCOUNT_SOCKETS_MAX, topology->socket[0]);
			index = 0;
		} else if (index < 0) {
			index = (int)topology->socket_count++;
			topology->socket[index] = socket;
		}
		topology->index_of_cpu[cpu] = (uint8_t)index;
	}
	if (!topology->socket_count)
		topology->socket_count = 1;
	return 0;
}

void topology_read_cpu(struct topology *topology, const char *sys_root, uint32_t cpu)
{
	int index = topology_find_socket(topology, read_socket(sys_root, cpu));

	if (index >= 0)
		topology->index_of_cpu[cpu] = (uint8_t)index;
	read_core(topology, sys_root, cpu);
}

void topology_clear(struct topology *topology)
{
	free(topology->index_of_cpu);
	free(topology->core_of_cpu);
	*topology = (struct topology){0};
}
