/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Opens what a collector measures this host by, as its options ask and as far as the host allows.
 */
#include <errno.h>
#include <stdio.h>

#include "collector.h"
#include "host.h"
#include "log.h"
#include "privileges.h"

const struct energy_zone *collector_zones(const struct deepmon *collector, size_t *count)
{
	*count = 0;
	return collector->energy ? energy_zones(collector->energy, count) : NULL;
}

bool collector_has_time(const struct deepmon *collector)
{
	return collector->kernel || collector->cgroup_cpu;
}

/* The words of the options SmtOverlap, Interrupts, Network and so on, in their order. */
enum { OVERLAP_AUTO, OVERLAP_OFF };
enum { INTERRUPTS_INTERRUPTED, INTERRUPTS_APART };
enum { FILE_IO_OFF, FILE_IO_COUNTS, FILE_IO_FULL };
enum { NETWORK_OFF, NETWORK_ON };
enum { HTTP_OFF, HTTP_ON };
enum { PATH_IDS_FOLD, PATH_IDS_KEEP };

static void open_network(struct deepmon *collector)
{
	const struct deepmon_options *options = &collector->options;
	struct network_settings settings = {.kernel = collector->kernel,
					    .hierarchy = &collector->hierarchy,
					    .http = options->http == HTTP_ON,
					    .hooks = options->network_hooks,
					    .max_sockets = options->max_sockets,
					    .max_peers = options->peers ? options->max_peers : 0,
					    .max_paths = options->http_paths ? options->max_http_paths : 0,
					    .path_most = options->http_path_max,
					    .fold_paths = options->http_path_ids == PATH_IDS_FOLD};

	latency_open(&collector->latency, options->max_latency_pages, &collector->logger);
	settings.latency = collector->latency;
	network_open(&collector->network, &settings, &collector->logger);
}

bool collector_tells_files(const struct deepmon *collector)
{
	return collector->options.top_files || collector->options.container_files;
}

static void open_file_io(struct deepmon *collector)
{
	bool full = collector->options.file_io == FILE_IO_FULL;
	struct files_settings settings = {
	    .kernel = collector->kernel,
	    .hierarchy = &collector->hierarchy,
	    .cpu_count = collector->topology.cpu_count,
	    .max_requests = collector->options.max_file_requests,
	    .max_files = collector_tells_files(collector) ? collector->options.max_files : 0,
	    .path_most = collector->options.file_path_max};

	if (!full && collector_tells_files(collector))
		log_warning(&collector->logger,
			    "TopFiles and ContainerFiles: no file is told of without FileIO full");
	if (collector->options.file_io == FILE_IO_OFF)
		return;
	if (full && !collector->latency &&
	    latency_open(&collector->latency, collector->options.max_latency_pages, &collector->logger))
		return;
	settings.latency = collector->latency;
	file_io_open(&collector->file_io, full, &settings, &collector->logger);
}

static void find_off(struct deepmon *collector, const char *what, const char *why)
{
	finding_add(&collector->logger, DEEPMON_FOUND_OFF, "eBPF", what, "", "%s", why);
}

/* In place of eBPF; what it alone can tell is said to be left out. */
static void open_files(struct deepmon *collector)
{
	const struct deepmon_options *options = &collector->options;
	const struct {
		const char *option, *what;
		bool wanted;
	} lost[] = {{"Network", "network's accounting", options->network == NETWORK_ON},
		    {"FileIO", "accounting of file I/O", options->file_io == FILE_IO_COUNTS},
		    {"Processes", "processes", options->processes > 0},
		    {"Interrupts", "interrupts apart", options->interrupts == INTERRUPTS_APART}};
	char names[128] = "";
	size_t length = 0;

	counters_close(&collector->counters);
	cgroup_cpu_open(&collector->cgroup_cpu, &collector->hierarchy, &collector->logger);
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		if (!lost[i].wanted)
			continue;
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", length ? ", " : "",
					   lost[i].option);
		finding_add(&collector->logger, DEEPMON_FOUND_MISSING, "eBPF", lost[i].what, "",
			    "%s asks for it, and it goes with the CPU accounting", lost[i].option);
	}
	if (length)
		log_warning(&collector->logger, "%s: what they ask for is left out with the CPU accounting",
			    names);
}

static void open_kernel(struct deepmon *collector)
{
	struct kernel_settings settings = {
	    .hierarchy = &collector->hierarchy,
	    .sys_root = collector->sys_root,
	    .topology = &collector->topology,
	    .counters = &collector->counters,
	    .max_cgroups = collector->options.max_cgroups,
	    .max_processes = collector->options.processes ? collector->options.max_processes : 0,
	    .interrupts = collector->options.interrupts == INTERRUPTS_APART,
	    .overlap = collector->options.smt_overlap == OVERLAP_AUTO};

	if (hierarchy_open(&collector->hierarchy, &collector->options, &collector->logger) ||
	    counters_open(&collector->counters, &collector->options, collector->topology.cpu_count,
			  &collector->logger))
		return;
	if (kernel_open(&collector->kernel, &settings, &collector->logger)) {
		open_files(collector);
		return;
	}
	cgroup_events_open(&collector->events, &collector->hierarchy, collector_hear, collector,
			   &collector->logger);
	if (collector->options.network == NETWORK_ON)
		open_network(collector);
	else if (collector->options.http == HTTP_ON)
		log_warning(&collector->logger, "HTTP: it is told apart among the network's transactions, "
						"which are not counted without Network on");
	if (collector->options.http_paths && collector->options.http == HTTP_OFF)
		log_warning(&collector->logger, "HTTPPaths: no path is told of without HTTP on");
	if (collector->options.network == NETWORK_OFF)
		find_off(collector, "network's accounting", "Network is off");
	open_file_io(collector);
	if (collector->options.file_io == FILE_IO_OFF)
		find_off(collector, "accounting of file I/O", "FileIO is off");
}

static void open_energy(struct deepmon *collector)
{
	char proc_root[ROOT_PATH_MAX], dev_root[ROOT_PATH_MAX];
	struct energy_settings settings = {
	    .roots = {.sys = collector->sys_root, .proc = proc_root, .dev = dev_root},
	    .from = collector->options.energy_source};

	root_proc(&collector->options, proc_root);
	root_host(&collector->options, "/dev", dev_root);
	if (energy_open(&collector->energy, &settings, &collector->logger))
		return;

	double within = (double)energy_read_within_ns(collector->energy) / 1e9;

	if (collector->options.sample_interval > within) {
		log_warning(&collector->logger,
			    "SampleInterval: %g s is too long for these energy counters, which may "
			    "wrap or change unseen; %.3g s is used",
			    collector->options.sample_interval, within);
		collector->options.sample_interval = within;
	}
}

static bool has_energy(const struct deepmon *collector)
{
	size_t zone_count;

	collector_zones(collector, &zone_count);
	return zone_count > 0;
}

int collector_open_sources(struct deepmon *collector)
{
	char proc_root[ROOT_PATH_MAX];
	int cpus = kernel_cpu_count();
	int r;

	root_sys(&collector->options, collector->sys_root);
	root_proc(&collector->options, proc_root);
	host_find(proc_root, &collector->logger);
	privileges_find(&collector->logger);
	r = topology_read(&collector->topology, collector->sys_root, cpus > 0 ? (uint32_t)cpus : 1,
			  &collector->logger);
	if (r)
		return r;
	open_kernel(collector);
	open_energy(collector);
	if (collector_has_time(collector))
		footprints_open(&collector->footprints, &collector->options, &collector->logger);
	self_meter_open(&collector->self, &collector->options, &collector->logger);
	if (collector_has_time(collector))
		names_find(&collector->names, &collector->logger);
	return collector_has_time(collector) || has_energy(collector) ? 0 : -ENODEV;
}
