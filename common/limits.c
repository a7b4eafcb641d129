/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What there is to say when a limit is passed. Pure but for the logger.
 */
#include "limits.h"

#include <stddef.h>
#include <stdio.h>

#include "log.h"

struct limit {
	uint64_t valid; /* of the counter of what was past it, */
	size_t counter; /* and where that is */
	const char *option;
	size_t value; /* where in the options; a COUNT */
	const char *what;
	const char *instead;
};

#define COUNTER(field)	     1ull << DEEPMON_INDEX_SELF_COST_##field, offsetof(struct deepmon_self_cost, field)
#define OPTION(name, member) name, offsetof(struct deepmon_options, member)

static const struct limit limits_known[] = {
    {COUNTER(slots_refused), OPTION("MaxCgroups", max_cgroups), "cgroups ran at once",
     "what those past it use is in the total of kind other"},
    {COUNTER(processes_refused), OPTION("MaxProcesses", max_processes), "processes ran at once",
     "what those past it use is in their container's (other)"},
    {COUNTER(sockets_refused), OPTION("MaxSockets", max_sockets), "TCP sockets were open at once",
     "of those past it bytes are counted, but not opens and closes"},
    {COUNTER(peers_refused), OPTION("MaxPeers", max_peers), "peers were talked with at once",
     "what was exchanged with those past it is in their container's (other)"},
    {COUNTER(latencies_refused), OPTION("MaxLatencyPages", max_latency_pages),
     "octaves of latencies were to be kept", "what falls past it is counted, but in no percentile"},
    {COUNTER(ended_unreported), OPTION("MaxEnded", max_ended),
     "containers and units ended between two reports", "those past it were told of in the totals alone"},
};

/* What happened by no option's limit: the whole line. */
static const struct {
	uint64_t valid;
	size_t counter;
	const char *line;
} losses_known[] = {
    {COUNTER(events_dropped),
     "cgroups came and went faster than they were heard of: some events were dropped, "
     "and the cgroups are found by search. Those that ended before it are in the totals "
     "without their names"},
    {COUNTER(file_operations_lost),
     "some operations on files were not counted: the kernel had no memory to keep "
     "them in, or more than 1,024 of Linux AIO ended at once"},
    {COUNTER(file_io_refused),
     "the file I/O of some tasks is told of nobody: the kernel had no memory for them"},
};

#define LIMITS (sizeof(limits_known) / sizeof(limits_known[0]))
#define LOSSES (sizeof(losses_known) / sizeof(losses_known[0]))

/* Whether that counter was measured and has counted something, for the first time. */
static bool is_news(struct limits *limits, size_t row, const struct deepmon_self_cost *cost, uint64_t valid,
		    size_t counter)
{
	const uint64_t *counted = (const uint64_t *)((const char *)cost + counter);

	if (!valid || !*counted || limits->said & 1u << row)
		return false;
	limits->said |= 1u << row;
	return true;
}

void limits_say(struct limits *limits, const struct deepmon_self_cost *cost, uint64_t valid,
		const struct deepmon_options *options, const struct deepmon_logger *logger)
{
	_Static_assert(LIMITS + LOSSES <= 32, "a bit for each");

	for (size_t i = 0; i < LIMITS; i++) {
		const struct limit *limit = &limits_known[i];
		const uint32_t *value = (const uint32_t *)((const char *)options + limit->value);

		if (is_news(limits, i, cost, valid & limit->valid, limit->counter))
			log_warning(logger, "%s: more than %u %s: %s. A larger %s tells more of them apart",
				    limit->option, *value, limit->what, limit->instead, limit->option);
	}
	for (size_t i = 0; i < LOSSES; i++)
		if (is_news(limits, LIMITS + i, cost, valid & losses_known[i].valid, losses_known[i].counter))
			log_warning(logger, "%s", losses_known[i].line);
}
