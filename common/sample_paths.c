/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of containers' HTTP transactions by role, method and path. Memory only.
 */
#include <stdio.h>

#include "account.h"
#include "sample_parts.h"

static struct deepmon_record *add_path(struct sample *sample, const struct subject_of *of,
				       const char *qualifier, const struct net_transactions *told)
{
	struct deepmon_record *record = sample_add_of(sample, of, DEEPMON_SUBJECT_TRANSACTIONS);

	record->qualifier = qualifier;
	sample_tell_transactions(record, told, NET_HTTP);
	return record;
}

static void add_told(struct sample *sample, struct subject_of of, const struct path *path)
{
	const uint32_t kinds = 1u << LATENCY_HTTP_CLIENT | 1u << LATENCY_HTTP_SERVER;
	char qualifier[PATH_NAME_MAX + 32];
	struct deepmon_record *record;

	of.method = path_method_name(path->method);
	of.path = sample_keep_text(sample, path->name);
	of.role = path->side == NET_AS_SERVER ? "server" : "client";
	snprintf(qualifier, sizeof(qualifier), "%s-%s-%s", of.role, of.method, of.path);
	record = add_path(sample, &of, sample_keep_text(sample, qualifier), &path->told);
	SAMPLE_TELL_LATENCIES(sample, record, TRANSACTIONS, transactions, path->latencies, kinds);
}

/* Both ends of HTTP in sum. */
static void add_http(struct net_transactions *sum, const struct net_dialogues *dialogues, bool minus)
{
	for (int side = 0; side < NET_SIDES; side++) {
		const struct net_transactions *of = &dialogues->of[NET_HTTP][side];

		minus ? sums_subtract(sum, of, sizeof(*sum)) : sums_add(sum, of, sizeof(*sum));
	}
}

void sample_add_paths(struct sample *sample, const struct attribution *attribution,
		      const struct subject_of *container, struct group *group)
{
	struct subject_of of = sample_part_of(DEEPMON_HTTP_PATH, container);
	struct net_transactions fresh = {0};

	add_http(&fresh, &group->account.used.dialogues, false);
	add_http(&fresh, &group->account.reported.dialogues, true);
	/* Paths have histograms in place of these. */
	fresh.latency_ns = fresh.timed = 0;
	paths_choose(attribution->paths, &group->paths, &fresh);
	for (const struct path *path = group->paths.first; path; path = path->next)
		if (path->telling)
			add_told(sample, of, path);
	of.path = PATH_UNTOLD;
	/* Who never had anything of HTTP is told of as none. */
	if (!paths_is_nothing(&group->paths.untold))
		add_path(sample, &of, PATH_UNTOLD, &group->paths.untold);
	paths_told(&group->paths);
}
