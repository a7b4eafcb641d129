/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd run: a command in a cgroup of its own, once or several times, and what it used.
 */
#include "run.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/deepmon.h"
#include "run_cgroup.h"
#include "run_child.h"
#include "run_report.h"

#define REPEAT_MAX 100000

struct run {
	struct deepmon_options options;
	long repeat;
	bool json;
	const char *output; /* NULL: standard error */
	char *const *command;

	sigset_t before;
	struct deepmon *collector; /* NULL: there was nothing that it could measure */
	struct run_report report;
	int status;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "E! deepmon: run: %s%s%s\n", what, *why ? ": " : "", why);
	return RUN_NOT_STARTED;
}

static void print_help(void)
{
	puts(
	    "Usage: deepmon-execd run [--repeat N] [--json] [--output FILE] [OPTION VALUE]... -- "
	    "COMMAND...\n\n"
	    "Runs COMMAND in a cgroup of its own, and says at its end what it and all that it started used:\n"
	    "time, performance counters, energy by domain, memory, network and files.\n\n"
	    "  --repeat N       run it N times; figures are means, with standard deviation and standard "
	    "error (1)\n"
	    "  --json           as JSON\n"
	    "  --output FILE    write the figures into FILE (standard error)\n"
	    "  OPTION VALUE     as without run; --network and --file-io are on\n\n"
	    "What still runs when COMMAND ends is killed. The exit status is COMMAND's, of several runs that "
	    "of the\n"
	    "first that failed; 125: it could not be run, 126: not executed, 127: not found.");
}

static int set(struct run *run, const char *name, const char *value)
{
	char why[256], *end;

	if (!strcmp(name, "output")) {
		run->output = value;
		return 0;
	}
	if (!strcmp(name, "repeat")) {
		run->repeat = strtol(value, &end, 10);
		if (*value && !*end && run->repeat >= 1 && run->repeat <= REPEAT_MAX)
			return 0;
		snprintf(why, sizeof(why), "repeat: \"%.64s\" is not a whole number from 1 to %d", value,
			 REPEAT_MAX);
		return complain(why, "");
	}
	return deepmon_options_set(&run->options, name, value, why, sizeof(why)) ? complain(why, "") : 0;
}

/* What is of no use here, or would be in the way. */
static void begin_options(struct deepmon_options *options)
{
	static const char *const settings[][2] = {
	    {"Network", "on"},
	    {"FileIO", "counts"},
	    {"IdleReread", "0"},
	    {"ReportContainers", "false"},
	    {"ReportProcesses", "false"},
	    {"MaxUnits", "65536"},
	};
	char why[256];

	deepmon_options_init(options);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		deepmon_options_set(options, settings[i][0], settings[i][1], why, sizeof(why));
}

/* 0: go on; else the status to exit with, less 1. */
static int read_arguments(struct run *run, int argc, char **argv)
{
	int index = 1, r = 0;

	begin_options(&run->options);
	run->repeat = 1;
	while (index < argc && strcmp(argv[index], "--") != 0 && !r) {
		const char *name = argv[index++];

		if (!strcmp(name, "--json")) {
			run->json = true;
			continue;
		}
		if (!strcmp(name, "--help")) {
			print_help();
			return 1;
		}
		if (strncmp(name, "--", 2) != 0)
			return 1 + complain(name, "options begin with --, and -- comes before the command");
		if (index == argc)
			return 1 + complain(name, "a value must follow");
		r = set(run, name + 2, argv[index++]);
	}
	if (r)
		return 1 + r;
	if (index + 1 >= argc)
		return 1 + complain("no command", "give it after --");
	run->command = argv + index + 1;
	return 0;
}

/* Why something is missing stands in the report; the rest is not asked for here. */
static void hear(void *user, enum deepmon_log_level level, const char *line)
{
	struct run *run = user;

	run_report_heard(&run->report, line);
	if (level == DEEPMON_ERROR)
		fprintf(stderr, "E! deepmon: %s\n", line);
}

static void measure(struct run *run, const char *name)
{
	const struct deepmon_sample *sample;

	if (!run->collector || deepmon_read(run->collector, &sample))
		return;
	if (name)
		run_report_sample(&run->report, sample, name);
	else
		run_report_begin(&run->report, sample);
}

/* One run. 0, or -errno and what could not be done was said. */
static int run_once(struct run *run, long number, struct run_outcome *outcome)
{
	struct run_cgroup cgroup;
	char name[RUN_NAME_MAX], why[PATH_MAX];
	uint64_t peak;
	int r;

	snprintf(name, sizeof(name), RUN_NAME_FORMAT, (long)getpid(), number);
	r = run_cgroup_make(&cgroup, name, why, sizeof(why));
	if (r) {
		complain(why, strerror(-r));
		return r;
	}
	if (!run->collector)
		run->report.runs++;
	measure(run, NULL);
	r = run_child(run->command, &cgroup, &run->before, outcome);
	if (r)
		complain("the command can't be started", strerror(-r));
	else
		measure(run, name);
	if (!r && run_cgroup_memory_peak(&cgroup, &peak) == 0)
		run_report_add(&run->report, RUN_MEMORY, "peak_bytes", "B", (double)peak);
	if (!r)
		run_report_end(&run->report, outcome);
	if (run_cgroup_remove(&cgroup))
		complain(name, "this cgroup can't be removed: something in it does not end");
	return r;
}

static int report(struct run *run)
{
	FILE *out = run->output ? fopen(run->output, "we") : stderr;
	int r = 0;

	if (!out)
		return complain(run->output, strerror(errno));
	if (run->json)
		r = run_report_json(&run->report, out, run->command, run->status, run->options.experiment);
	else
		run_report_text(&run->report, out, run->command, run->status);
	if (out != stderr && fclose(out) == EOF)
		r = -errno;
	return r ? complain("the figures can't be written", strerror(-r)) : 0;
}

int run_command(int argc, char **argv)
{
	static struct run run; /* large */
	struct deepmon_logger logger = {hear, &run};
	struct run_outcome outcome = {0};
	int r = read_arguments(&run, argc, argv);

	if (r)
		return r - 1;
	run_block_signals(&run.before);
	run_cgroup_sweep();
	if (deepmon_open(&run.collector, &run.options, &logger))
		run.collector = NULL;
	for (long number = 1; number <= run.repeat && !r && !outcome.interrupted; number++) {
		r = run_once(&run, number, &outcome);
		if (!r && !run.status)
			run.status = outcome.status;
	}
	deepmon_close(run.collector);
	if (r)
		return RUN_NOT_STARTED;
	r = report(&run);
	return run.status ? run.status : r;
}
