/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Before each sample: programs that came off their hooks are attached again, and the ledger is told what it
 * does not know.
 */
#include <string.h>

#include "collector.h"
#include "log.h"

static const struct {
	const char *name, *lost;
} sources[ATTRIBUTION_SOURCES] = {
    [ATTRIBUTION_CPU] = {"CPU accounting",
			 "CPU time since the last sample is not told, and the energy is nobody's"},
    [ATTRIBUTION_EVENTS] = {"cgroup events", "Cgroups are found by search"},
    [ATTRIBUTION_NETWORK] = {"network's accounting",
			     "What was sent and received since the last sample is not told"},
    [ATTRIBUTION_FILE_IO] = {"accounting of file I/O",
			     "What was read and written since the last sample is not told"},
};

static void tell(struct deepmon *collector, enum attribution_source source,
		 const struct bpf_links_state *state)
{
	struct attribution *attribution = &collector->attribution;
	uint32_t bit = 1u << source;
	bool was_off = attribution->off & bit;

	collector->self.programs_lost += state->lost;
	if (state->lost || state->off || was_off)
		attribution->unseen |= bit;
	attribution->off = (attribution->off & ~bit) | (state->off ? bit : 0);
	if (state->off && !was_off)
		log_warning(
		    &collector->logger,
		    "eBPF: programs of the %s came off their hooks, as when something else in this process "
		    "closes their descriptors, and can't be attached again (%s). What they tell is left out "
		    "until they can: start deepmon again",
		    sources[source].name, strerror(-state->error));
	else if (was_off && !state->off)
		log_recovered(&collector->logger, "eBPF: the programs of the %s hang on their hooks again",
			      sources[source].name);
	else if (state->lost && !(collector->hooks_said & bit))
		log_warning(
		    &collector->logger,
		    "eBPF: programs of the %s had come off their hooks, as when something else in this "
		    "process closes their descriptors: look for what does. They hang there again. %s",
		    sources[source].name, sources[source].lost);
	if (state->lost)
		collector->hooks_said |= bit;
}

void collector_mend_hooks(struct deepmon *collector)
{
	struct bpf_links_state state;

	collector->attribution.unseen = 0;
	if (collector->kernel) {
		kernel_mend(collector->kernel, &state);
		tell(collector, ATTRIBUTION_CPU, &state);
	}
	if (collector->events) {
		cgroup_events_mend(collector->events, &state);
		tell(collector, ATTRIBUTION_EVENTS, &state);
	}
	if (collector->network) {
		network_mend(collector->network, &state);
		tell(collector, ATTRIBUTION_NETWORK, &state);
	}
	if (collector->file_io) {
		file_io_mend(collector->file_io, &state);
		tell(collector, ATTRIBUTION_FILE_IO, &state);
	}
}
