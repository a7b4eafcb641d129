/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a collector hands to its recorder: the setup, and at each sample what the kernel's books say.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "collector.h"
#include "log.h"

/* The network, file I/O and latencies go with the kernel. With no copy nothing fails. */
static int follow_copy(struct deepmon *collector)
{
	int r = 0;

	if (collector->network)
		r = network_keep_copy(collector->network, collector->kernel);
	if (collector->file_io && !r)
		r = file_io_keep_copy(collector->file_io, collector->kernel);
	if (collector->latency && !r)
		r = latency_keep_copy(collector->latency, kernel_copy_of(collector->kernel));
	return r;
}

static int keep_copy(struct deepmon *collector)
{
	int r = kernel_keep_copy(collector->kernel);

	return r ? r : follow_copy(collector);
}

static void drop_copy(struct deepmon *collector)
{
	kernel_drop_copy(collector->kernel);
	follow_copy(collector);
	if (collector->attribution.peers)
		collector->peers.maps = network_peer_maps(collector->network);
}

/* In the order in which the ledger charges it: see attribution_charge. */
static void capture_kernel(struct deepmon *collector, struct recording_out *out)
{
	kernel_capture(collector->kernel, out);
	if (collector->network)
		network_capture(collector->network, out);
	if (collector->attribution.peers)
		peers_capture_names(&collector->peers, out);
	if (collector->file_io)
		file_io_capture(collector->file_io, out);
	if (collector->latency)
		latency_capture(collector->latency, out);
}

/*
 * What the kernel's books and the topology say now is what the ledger reads while it is recorded, and nothing
 * later. Once the recording has ended it reads the books themselves again.
 */
void collector_capture(struct deepmon *collector, uint64_t now_ns)
{
	struct recording_out *out = recorder_notes(collector->recorder);

	if (out && collector->kernel) {
		recorder_topology(collector->recorder, &collector->topology);
		capture_kernel(collector, out);
	} else if (collector->kernel && kernel_copy_of(collector->kernel)) {
		drop_copy(collector);
	}
	recorder_charge(collector->recorder, now_ns, collector->attribution.unseen,
			collector->attribution.off);
}

static void record_number(struct recording_out *out, enum recording_tag tag, uint64_t number)
{
	recording_begin(out, tag);
	recording_put(out, number);
	recording_end(out);
}

static void record_file_io(const struct file_io *file_io, struct recording_out *out)
{
	const struct files *files = file_io_files(file_io);

	recording_begin(out, RECORDING_FILES);
	recording_end(out);
	if (files)
		record_number(out, RECORDING_FILE_SETS, files_set_count(files));
}

/* What is counted by the kernel. */
static void record_kernel(const struct deepmon *collector, struct recording_out *out)
{
	const struct kernel *kernel = collector->kernel;

	recording_begin(out, RECORDING_KERNEL);
	recording_put(out, kernel_slot_count(kernel) - CPU_SLOT_FIRST);
	recording_put(out, kernel_has_overlap(kernel));
	recording_put(out, kernel_counter_mask(kernel));
	recording_put(out, collector->options.processes ? collector->options.max_processes : 0);
	recording_end(out);
	if (collector->latency)
		latency_copy_put_setup(&kernel_copy_of(kernel)->latency, out);
	if (collector->network) {
		record_number(out, RECORDING_NETWORKED, network_counted(collector->network));
		record_number(out, RECORDING_PEER_ROWS, network_peer_maps(collector->network).most);
	}
	if (collector->file_io)
		record_file_io(collector->file_io, out);
}

/* What all that is heard later is to be read with. */
static void record_setup(struct deepmon *collector)
{
	struct recorder *recorder = collector->recorder;
	struct recording_out *out = recorder_notes(recorder);
	struct timespec now;
	size_t zone_count;
	const struct energy_zone *zones = collector_zones(collector, &zone_count);

	if (!out)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	recorder_host(recorder, &collector->options);
	recorder_topology(recorder, &collector->topology);
	for (size_t i = 0; i < zone_count; i++)
		recorder_zone(recorder, &zones[i]);
	if (collector->kernel)
		record_kernel(collector, out);
	recording_begin(out, RECORDING_FOOTPRINTS);
	recording_put(out, collector->footprints.has_memory);
	recording_put(out, collector->footprints.has_block);
	recording_end(out);
	recorder_frame(recorder, RECORDING_SETUP, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

/* A recording that can't be made keeps nothing from being measured. */
void collector_open_recorder(struct deepmon *collector)
{
	int r;

	if (recorder_open(&collector->recorder, &collector->options, &collector->logger) ||
	    !collector->recorder)
		return;
	r = collector->kernel ? keep_copy(collector) : 0;
	if (r) {
		drop_copy(collector);
		log_error(&collector->logger, "Record: nothing is recorded: %s",
			  r == -E2BIG
			      ? "there are too many CPUs for so many cgroups; a smaller MaxCgroups helps"
			      : strerror(-r));
		recorder_close(collector->recorder);
		collector->recorder = NULL;
		return;
	}
	collector->footprints.recorder = collector->recorder;
	if (collector->energy)
		energy_listen(collector->energy, recorder_energy, collector->recorder);
	record_setup(collector);
}
