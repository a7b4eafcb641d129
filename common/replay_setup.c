/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The setup of a recording: what was measured, and the sources that stand for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"
#include "cpus.h"

#define ZONES_MAX	 4096
#define SLOTS_MAX	 (1u << 19)
#define SOCKET_SLOTS_MAX (1u << 22) /* slots times sockets */

struct setup {
	struct kernel_recorded kernel;
	struct energy_zone *zones;
	size_t zone_count;
	uint32_t counter_mask, network_counted, peer_rows, file_sets;
	struct recording_in timed; /* the record of it; at is NULL: there is none */
	bool has_topology, has_kernel, has_network, has_file_io, has_files, has_memory, has_block;
};

int replay_topology(struct topology *topology, struct recording_in *record, bool again)
{
	bool has_siblings = recording_take(record);
	uint64_t cpus = recording_take(record), sockets = recording_take(record);
	int64_t ids[ACCOUNT_SOCKETS_MAX];
	const uint8_t *indexes;

	if (record->bad || !cpus || cpus > CPUS_MAX || !sockets || sockets > ACCOUNT_SOCKETS_MAX)
		return -EBADMSG;
	if (again && (cpus != topology->cpu_count || sockets != topology->socket_count))
		return -EBADMSG;
	for (uint64_t i = 0; i < sockets; i++)
		ids[i] = recording_take_signed(record);
	indexes = recording_take_bytes(record, cpus);
	for (uint64_t cpu = 0; indexes && cpu < cpus; cpu++)
		record->bad |= indexes[cpu] >= sockets;
	if (record->bad || !indexes)
		return -EBADMSG;
	if (!again) {
		topology_clear(topology);
		topology->index_of_cpu = calloc(cpus, sizeof(*topology->index_of_cpu));
		topology->core_of_cpu = calloc(cpus, sizeof(*topology->core_of_cpu));
		if (!topology->index_of_cpu || !topology->core_of_cpu)
			return -ENOMEM;
	}
	topology->has_siblings = has_siblings;
	topology->cpu_count = (uint32_t)cpus;
	topology->socket_count = sockets;
	for (uint64_t i = 0; i < sockets; i++)
		topology->socket[i] = (int)ids[i];
	memcpy(topology->index_of_cpu, indexes, cpus);
	return 0;
}

static int take_domain(const char *name, enum energy_domain *domain)
{
	for (int i = 0; i < ENERGY_DOMAIN_COUNT; i++) {
		if (strcmp(energy_domain_name((enum energy_domain)i), name) != 0)
			continue;
		*domain = (enum energy_domain)i;
		return 0;
	}
	return -EBADMSG;
}

static int play_zone(struct deepmon *collector, struct setup *setup, struct recording_in *record)
{
	struct energy_zone zone = {0}, *zones;
	char source[64], domain[64];

	recording_take_text(record, zone.name, sizeof(zone.name));
	recording_take_text(record, source, sizeof(source));
	recording_take_text(record, domain, sizeof(domain));
	zone.socket = (int)recording_take_signed(record);
	zone.range_uj = recording_take(record);
	zone.read_within_ns = recording_take(record);
	zone.source = player_text(collector->player, source);
	if (record->bad || !zone.source || setup->zone_count == ZONES_MAX ||
	    take_domain(domain, &zone.domain))
		return -EBADMSG;
	zones = reallocarray(setup->zones, setup->zone_count + 1, sizeof(*zones));
	if (!zones)
		return -ENOMEM;
	setup->zones = zones;
	zones[setup->zone_count++] = zone;
	return 0;
}

static int play_kernel(struct setup *setup, struct recording_in *record)
{
	uint64_t slots = recording_take(record), processes;

	setup->kernel.overlap = recording_take(record);
	setup->counter_mask = (uint32_t)recording_take(record);
	processes = recording_take(record);
	if (record->bad || slots > SLOTS_MAX || processes > UINT32_MAX)
		return -EBADMSG;
	setup->kernel.max_cgroups = (uint32_t)slots;
	setup->kernel.max_processes = (uint32_t)processes;
	setup->has_kernel = true;
	return 0;
}

static int play_fields(struct replay *replay, struct recording_in *record)
{
	uint64_t figures = recording_take(record);

	/* A kind of struct that is not known is in no record that is. */
	if (figures < RECORDING_FIGURES)
		recording_take_fields(record, (enum recording_figures)figures, &replay->fields[figures]);
	return record->bad ? -EBADMSG : 0;
}

/* *number, which is at most `most`. */
static int play_number(struct recording_in *record, uint64_t most, uint32_t *number)
{
	uint64_t taken = recording_take(record);

	record->bad |= taken > most;
	*number = (uint32_t)taken;
	return record->bad ? -EBADMSG : 0;
}

static int play_setup_record(struct deepmon *collector, struct setup *setup, unsigned tag,
			     struct recording_in *record)
{
	switch (tag) {
	case RECORDING_TOPOLOGY:
		setup->has_topology = true;
		return replay_topology(&collector->topology, record, false);
	case RECORDING_KERNEL:
		return play_kernel(setup, record);
	case RECORDING_ZONE:
		return play_zone(collector, setup, record);
	case RECORDING_FIELDS:
		return play_fields(&collector->replay, record);
	case RECORDING_NETWORKED:
		setup->has_network = true;
		return play_number(record, UINT32_MAX, &setup->network_counted);
	case RECORDING_PEER_ROWS:
		return play_number(record, PEERS_COPY_ROWS_MAX, &setup->peer_rows);
	case RECORDING_FILE_SETS:
		setup->has_files = true;
		return play_number(record, FILES_COPY_SETS_MAX, &setup->file_sets);
	case RECORDING_TIMED:
		setup->timed = *record;
		break;
	case RECORDING_FILES:
		setup->has_file_io = true;
		break;
	case RECORDING_FOOTPRINTS:
		setup->has_memory = recording_take(record);
		setup->has_block = recording_take(record);
		break;
	default:
		break;
	}
	return record->bad ? -EBADMSG : 0;
}

/* The words of the options Network and FileIO, in their order. */
enum { IS_OFF, NETWORK_ON, FILE_IO_FULL = 2 };

/* A recording of a version that wrote no transactions says all the same that they were counted. */
static int open_network(struct deepmon *collector, const struct setup *setup)
{
	struct kernel_copy *copy = kernel_copy_of(collector->kernel);
	uint32_t counted = setup->network_counted;
	int r = setup->peer_rows ? peers_copy_init(&copy->peers, setup->peer_rows) : 0;

	if (!copy->fields[RECORDING_OF_DIALOGUES].count)
		counted &= ~(uint32_t)NETWORK_TRANSACTIONS;
	return r ? r : network_open_recorded(&collector->network, counted, collector->kernel);
}

static int open_file_io(struct deepmon *collector, const struct setup *setup)
{
	bool full = setup->has_files && collector->options.file_io == FILE_IO_FULL;
	int r = full && setup->file_sets
		    ? files_copy_init(&kernel_copy_of(collector->kernel)->files, setup->file_sets)
		    : 0;

	return r ? r : file_io_open_recorded(&collector->file_io, collector->kernel, full);
}

/* The kinds of latencies that what was opened tells of. */
static uint32_t kinds_wanted(const struct deepmon *collector)
{
	const uint32_t files = 1u << LATENCY_FILE_READ | 1u << LATENCY_FILE_WRITE | 1u << LATENCY_FILE_SYNC;
	uint32_t wanted = 0;

	if (collector->file_io && file_io_files(collector->file_io))
		wanted |= files;
	if (collector->network && network_counted(collector->network) & NETWORK_TRANSACTIONS)
		wanted |= ((1u << LATENCY_KINDS) - 1) & ~files;
	return wanted;
}

static int open_latency(struct deepmon *collector, struct setup *setup)
{
	struct kernel_copy *copy = kernel_copy_of(collector->kernel);
	int r =
	    latency_copy_take_setup(&copy->latency, &setup->timed, copy->slot_count, kinds_wanted(collector));

	/* Histograms of another shape are left out. */
	if (r == -EPROTONOSUPPORT)
		return 0;
	return r ? r : latency_open_recorded(&collector->latency, copy);
}

static int open_kernel(struct deepmon *collector, struct setup *setup)
{
	const struct topology *topology = &collector->topology;
	int r;

	if (!setup->has_kernel)
		return 0;
	if ((uint64_t)(setup->kernel.max_cgroups + CPU_SLOT_FIRST) * topology->socket_count >
	    SOCKET_SLOTS_MAX)
		return -EBADMSG;
	setup->kernel.cpu_count = topology->cpu_count;
	collector->counters.mask = setup->counter_mask;
	r = kernel_open_recorded(&collector->kernel, &setup->kernel, &collector->counters);
	if (r)
		return r == -E2BIG ? -EBADMSG : r;
	memcpy(kernel_copy_of(collector->kernel)->fields, collector->replay.fields,
	       sizeof(collector->replay.fields));
	if (setup->has_network && collector->options.network != IS_OFF)
		r = open_network(collector, setup);
	if (!r && setup->has_file_io && collector->options.file_io != IS_OFF)
		r = open_file_io(collector, setup);
	if (!r && setup->timed.at)
		r = open_latency(collector, setup);
	if (!r)
		footprints_open_recorded(&collector->footprints, &collector->options, setup->has_memory,
					 setup->has_block);
	if (!setup->kernel.max_processes)
		collector->options.processes = 0;
	return r;
}

int replay_setup(struct deepmon *collector)
{
	struct setup setup = {0};
	struct recording_in record;
	unsigned tag;
	bool bad;
	int r = player_next_frame(collector->player);

	collector->replay = (struct replay){0};
	while (!r && (tag = player_next(collector->player, &record, &bad)))
		r = play_setup_record(collector, &setup, tag, &record);
	if (!r && (bad || !setup.has_topology))
		r = -EBADMSG;
	if (!r)
		r = open_kernel(collector, &setup);
	if (!r && collector->options.energy_source != ENERGY_FROM_NONE)
		r = energy_open_recorded(&collector->energy, setup.zones, setup.zone_count,
					 &collector->logger);
	if (!collector->energy)
		free(setup.zones);
	if (!r)
		r = collector_open_ledger(collector, collector->energy ? setup.zone_count : 0);
	return r;
}
