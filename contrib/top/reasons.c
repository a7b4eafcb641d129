/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Why a column has no figures: what the collector found of the host as it was opened.
 */
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "screen.h"

/* Where the reason is to be found: rows of the findings, whatever their name ("": any). */
struct whereabouts {
	const char *subject, *name;
};

static struct whereabouts whereabouts_of(enum top_figure figure)
{
	switch (top_figure_subject(figure)) {
	case DEEPMON_SUBJECT_ENERGY:
		return (struct whereabouts){"energy", ""};
	case DEEPMON_SUBJECT_PERF:
		return (struct whereabouts){"counter", figure == TOP_CYCLES	    ? "CyclesEvent"
						       : figure == TOP_INSTRUCTIONS ? "InstructionsEvent"
						       : figure == TOP_MISSES	    ? "CacheMissesEvent"
										    : "CacheReferencesEvent"};
	case DEEPMON_SUBJECT_MEMORY:
		return (struct whereabouts){"cgroups", figure == TOP_PRESSURE ? "pressure" : "memory"};
	case DEEPMON_SUBJECT_BLOCK:
		return (struct whereabouts){"cgroups", "block devices"};
	case DEEPMON_SUBJECT_NETWORK:
	case DEEPMON_SUBJECT_TRANSACTIONS:
		return (struct whereabouts){"eBPF", "network's accounting"};
	case DEEPMON_SUBJECT_FILE_IO:
	case DEEPMON_SUBJECT_FILE_LATENCY:
		return (struct whereabouts){"eBPF", "accounting of file I/O"};
	default:
		return (struct whereabouts){"eBPF", figure == TOP_OVERLAP ? "SMT overlap" : "CPU accounting"};
	}
}

/* What went wrong before what is merely not used. */
static const struct deepmon_finding *find(const struct top_screen *screen, const struct whereabouts *where)
{
	const struct deepmon_finding *found = NULL;
	size_t count;
	const struct deepmon_finding *rows = top_source_findings(&screen->source, &count);

	for (size_t i = 0; i < count; i++) {
		const struct deepmon_finding *row = &rows[i];

		if (strcmp(row->subject, where->subject) != 0 ||
		    (*where->name && strcmp(row->name, where->name) != 0) ||
		    (row->state != DEEPMON_FOUND_MISSING && row->state != DEEPMON_FOUND_OFF))
			continue;
		if (!found || (row->state == DEEPMON_FOUND_MISSING && found->state != row->state))
			found = row;
	}
	return found;
}

static bool is_measured(const struct top_screen *screen, enum top_figure figure)
{
	return figure != TOP_NONE && screen->view.sum.has[figure];
}

/* Whether a figure needs what an option turns on, which is off. */
static const char *option_of(const struct top_screen *screen, enum top_figure figure)
{
	const struct deepmon_options *options = &screen->options;
	enum deepmon_subject subject = top_figure_subject(figure);
	bool of_network = subject == DEEPMON_SUBJECT_NETWORK || subject == DEEPMON_SUBJECT_TRANSACTIONS;

	if (of_network && !options->network)
		return "Network is off (--network on)";
	if (subject == DEEPMON_SUBJECT_TRANSACTIONS && figure >= TOP_HTTP_TRANSACTIONS && !options->http)
		return "HTTP is off (--http on)";
	if (subject == DEEPMON_SUBJECT_FILE_IO && !options->file_io)
		return "FileIO is off (--file-io counts)";
	if (subject == DEEPMON_SUBJECT_FILE_LATENCY && options->file_io < 2)
		return "FileIO does not take latencies (--file-io full)";
	return NULL;
}

const char *top_screen_reason(const struct top_screen *screen, const struct top_column *column, char *text,
			      size_t size)
{
	enum top_figure figure =
	    is_measured(screen, column->of) && column->per != TOP_NONE ? column->per : column->of;
	const struct whereabouts where = whereabouts_of(figure);
	const struct deepmon_finding *finding = find(screen, &where);
	const char *option = option_of(screen, figure);

	if (top_cluster_is_shown(screen))
		top_cluster_reason(screen, figure, text, size);
	else if (!screen->view.rows)
		snprintf(text, size, "nothing is shown that could have it");
	else if (option)
		snprintf(text, size, "%s", option);
	else if (finding)
		snprintf(text, size, "%s%s%s", finding->reason, *finding->remedy ? "; " : "",
			 finding->remedy);
	else if (top_figure_is_rate(figure) && screen->model.samples < 2)
		snprintf(text, size, "rates come with the next sample");
	else if (screen->source.replay)
		snprintf(text, size, "the recording has none here");
	else
		snprintf(text, size, "none was seen since the last sample");
	return text;
}
