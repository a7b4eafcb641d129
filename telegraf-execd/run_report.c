/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a command used, in one run or several. Pure but for what it prints.
 */
#include "run_report.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static const struct {
	const char *name;
	const char *heard; /* what a line of the log that tells why it is missing has in it */
	const char *else_why;
} groups[RUN_GROUPS] = {
    [RUN_TIME] = {"CPU time", "the CPU accounting", "deepmon told nothing of its cgroup"},
    [RUN_COUNTERS] = {"performance counters", "can't be counted",
		      "no event is open: see the options CyclesEvent "
		      "and so on"},
    [RUN_ENERGY] = {"energy", "no energy", "EnergySource is none"},
    [RUN_MEMORY] = {"memory", "Memory:",
		    "the option Memory is off, or the controller memory is not enabled below "
		    "the root of its hierarchy"},
    [RUN_NETWORK] = {"network", "etwork", "the option Network is off"},
    [RUN_FILES] = {"file I/O", "file I/O", "the option FileIO is off"},
    [RUN_BLOCK] = {"block I/O", "BlockDevices:", "no use of a block device was seen"},
};

/* ---- Figures ------------------------------------------------------------------------------------ */

static struct run_figure *find(const struct run_report *report, const char *key)
{
	for (size_t i = 0; i < report->count; i++)
		if (!strcmp(report->figures[i].key, key))
			return (struct run_figure *)&report->figures[i];
	return NULL;
}

void run_report_add(struct run_report *report, enum run_group group, const char *key, const char *unit,
		    double value)
{
	struct run_figure *figure = find(report, key);
	double off;

	if (!figure && report->count == RUN_FIGURES_MAX)
		return;
	if (!figure) {
		figure = &report->figures[report->count++];
		*figure = (struct run_figure){.group = group, .unit = unit};
		snprintf(figure->key, sizeof(figure->key), "%s", key);
	}
	figure->last = value;
	figure->last_run = report->runs;
	off = value - figure->mean;
	figure->mean += off / ++figure->runs;
	figure->squares += off * (value - figure->mean);
}

double run_figure_sd(const struct run_figure *figure)
{
	return figure->runs > 1 ? sqrt(figure->squares / (figure->runs - 1)) : 0;
}

double run_figure_percent(const struct run_figure *figure)
{
	if (figure->runs < 2 || figure->mean == 0)
		return 0;
	return 100 * run_figure_sd(figure) / sqrt(figure->runs) / fabs(figure->mean);
}

/* Of the run that is ending. */
static bool value_of(const struct run_report *report, const char *key, double *value)
{
	const struct run_figure *figure = find(report, key);

	if (!figure || figure->last_run != report->runs)
		return false;
	*value = figure->last;
	return true;
}

static const char *label_of(const struct deepmon_record *record, const char *key)
{
	for (unsigned i = 0; i < record->label_count; i++)
		if (!strcmp(record->labels[i].key, key))
			return record->labels[i].value;
	return "";
}

static bool group_of(enum deepmon_subject subject, enum run_group *group)
{
	static const struct {
		enum deepmon_subject subject;
		enum run_group group;
	} known[] = {
	    {DEEPMON_SUBJECT_CPU, RUN_TIME},	    {DEEPMON_SUBJECT_PERF, RUN_COUNTERS},
	    {DEEPMON_SUBJECT_ENERGY, RUN_ENERGY},   {DEEPMON_SUBJECT_MEMORY, RUN_MEMORY},
	    {DEEPMON_SUBJECT_NETWORK, RUN_NETWORK}, {DEEPMON_SUBJECT_FILE_IO, RUN_FILES},
	    {DEEPMON_SUBJECT_BLOCK, RUN_BLOCK},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].subject != subject)
			continue;
		*group = known[i].group;
		return true;
	}
	return false;
}

/* All its counters: the cgroup is new, so they begin with the command. */
static void add_record(struct run_report *report, const struct deepmon_record *record)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	const char *part = record->subject == DEEPMON_SUBJECT_ENERGY	? label_of(record, "domain")
			   : record->subject == DEEPMON_SUBJECT_BLOCK	? label_of(record, "device")
			   : record->subject == DEEPMON_SUBJECT_FILE_IO ? "file"
									: "";
	enum run_group group;
	double value;

	if (!group_of(record->subject, &group))
		return;
	for (size_t i = 0; i < count; i++) {
		char key[RUN_KEY_MAX];

		/* What energy is shared by says nothing more than the figures that it is made of. */
		if (record->subject == DEEPMON_SUBJECT_CPU &&
		    metrics[i].offset == offsetof(struct deepmon_cpu, energy_weight))
			continue;
		if (metrics[i].kind != DEEPMON_COUNTER || !deepmon_value_double(record, &metrics[i], &value))
			continue;
		snprintf(key, sizeof(key), "%s%s%s", part, *part ? "_" : "", metrics[i].field);
		run_report_add(report, group, key, metrics[i].unit, value);
	}
}

/* The host's energy of a domain: false, the record is of something else. */
static bool host_energy(const struct deepmon_record *record, const char **domain, double *joules)
{
	if (record->entity != DEEPMON_HOST || record->subject != DEEPMON_SUBJECT_ENERGY)
		return false;
	*domain = label_of(record, "domain");
	return deepmon_value_double(record,
				    deepmon_metrics_of(DEEPMON_SUBJECT_ENERGY, &(size_t){0}) +
					DEEPMON_INDEX_ENERGY_energy_joules,
				    joules);
}

void run_report_begin(struct run_report *report, const struct deepmon_sample *sample)
{
	const char *domain;
	double joules;

	report->runs++;
	report->before_count = 0;
	for (size_t i = 0; i < sample->record_count && report->before_count < RUN_DOMAINS_MAX; i++) {
		struct run_before *before = &report->before[report->before_count];

		if (!host_energy(&sample->records[i], &domain, &joules))
			continue;
		snprintf(before->domain, sizeof(before->domain), "%s", domain);
		before->joules = joules;
		report->before_count++;
	}
}

static void add_host(struct run_report *report, const char *domain, double joules)
{
	char key[RUN_KEY_MAX];

	for (size_t i = 0; i < report->before_count; i++) {
		if (strcmp(report->before[i].domain, domain) != 0)
			continue;
		snprintf(key, sizeof(key), "host_%s_energy_joules", domain);
		run_report_add(report, RUN_ENERGY, key, "J", joules - report->before[i].joules);
	}
}

void run_report_sample(struct run_report *report, const struct deepmon_sample *sample, const char *name)
{
	const char *domain;
	double joules;

	for (size_t i = 0; i < sample->record_count; i++) {
		const struct deepmon_record *record = &sample->records[i];

		if (record->entity == DEEPMON_SYSTEM && !strcmp(record->instance, name))
			add_record(report, record);
	}
	for (size_t i = 0; i < sample->record_count; i++)
		if (host_energy(&sample->records[i], &domain, &joules))
			add_host(report, domain, joules);
}

static double nanoseconds(const struct timeval *time)
{
	return (double)time->tv_sec * 1e9 + (double)time->tv_usec * 1e3;
}

static void add_ratio(struct run_report *report, enum run_group group, const char *key, const char *unit,
		      const char *of, const char *by, double factor)
{
	double above, below;

	if (value_of(report, of, &above) && value_of(report, by, &below) && below > 0)
		run_report_add(report, group, key, unit, factor * above / below);
}

void run_report_end(struct run_report *report, const struct run_outcome *outcome)
{
	struct rusage own;

	run_report_add(report, RUN_TIME, "elapsed_ns", "ns", (double)outcome->elapsed_ns);
	run_report_add(report, RUN_TIME, "user_ns", "ns", nanoseconds(&outcome->usage.ru_utime));
	run_report_add(report, RUN_TIME, "system_ns", "ns", nanoseconds(&outcome->usage.ru_stime));
	add_ratio(report, RUN_TIME, "cpus_used", "", "cpu_time_ns", "elapsed_ns", 1);
	run_report_add(report, RUN_TIME, "voluntary_switches", "", (double)outcome->usage.ru_nvcsw);
	run_report_add(report, RUN_TIME, "involuntary_switches", "", (double)outcome->usage.ru_nivcsw);
	/* A child begins with all of our memory, which counts: what is not more than that is not its own. */
	if (getrusage(RUSAGE_SELF, &own) == 0 && outcome->usage.ru_maxrss > own.ru_maxrss)
		run_report_add(report, RUN_MEMORY, "largest_process_bytes", "B",
			       (double)outcome->usage.ru_maxrss * 1024);
	add_ratio(report, RUN_COUNTERS, "instructions_per_cycle", "", "instructions", "cycles", 1);
	add_ratio(report, RUN_COUNTERS, "cache_miss_percent", "percent", "cache_misses", "cache_references",
		  100);
	add_ratio(report, RUN_COUNTERS, "frequency_hertz", "Hz", "cycles", "cpu_time_ns", 1e9);
	/* J per ns. */
	add_ratio(report, RUN_ENERGY, "package_power_watts", "W", "package_energy_joules", "elapsed_ns", 1e9);
	add_ratio(report, RUN_ENERGY, "joules_per_instruction", "J", "package_energy_joules", "instructions",
		  1);
}

void run_report_heard(struct run_report *report, const char *line)
{
	for (int group = 0; group < RUN_GROUPS; group++)
		if (!*report->why[group] && strstr(line, groups[group].heard))
			snprintf(report->why[group], sizeof(report->why[group]), "%s", line);
}

/* Why a group is missing; NULL: it is there. Of memory the largest process is always known, but no more. */
static const char *missing(const struct run_report *report, enum run_group group)
{
	const char *needed = group == RUN_TIME ? "cpu_time_ns" : group == RUN_MEMORY ? "minor_faults" : NULL;

	for (size_t i = 0; i < report->count; i++)
		if (report->figures[i].group == group && (!needed || !strcmp(report->figures[i].key, needed)))
			return NULL;
	/* Without its accounting nothing is told of the cgroup at all. */
	if (group != RUN_ENERGY && *report->why[RUN_TIME])
		return report->why[RUN_TIME];
	return *report->why[group] ? report->why[group] : groups[group].else_why;
}

/* ---- Text --------------------------------------------------------------------------------------- */

static void print_command(FILE *out, char *const *command)
{
	/* On one line, whatever is in it. */
	for (; *command; command++) {
		fputc(' ', out);
		for (const char *c = *command; *c; c++)
			fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, out);
	}
}

/* 1234567.8 -> "1,234,568": the digits before the point. */
static void print_whole(char *text, size_t size, double value)
{
	char digits[64];
	size_t length, at = 0;

	snprintf(digits, sizeof(digits), "%.0f", value);
	length = strlen(digits);
	for (size_t i = 0; i < length && at + 2 < size; i++) {
		text[at++] = digits[i];
		if (digits[i] != '-' && (length - i) % 3 == 1 && i + 1 < length)
			text[at++] = ',';
	}
	text[at] = '\0';
}

/* In the unit that people read: seconds for nanoseconds. */
static const char *print_value(char *text, size_t size, const struct run_figure *figure, double value)
{
	if (!strcmp(figure->unit, "ns")) {
		snprintf(text, size, "%.6f", value / 1e9);
		return "s";
	}
	if (!strcmp(figure->unit, "B") || (!*figure->unit && value == floor(value)) || value >= 1e6)
		print_whole(text, size, value);
	else
		snprintf(text, size, value != 0 && fabs(value) < 1e-3 ? "%.3e" : "%.3f", value);
	return !strcmp(figure->unit, "percent") ? "%" : figure->unit;
}

/* "cpu_time_ns" -> "cpu time" */
static void print_name(char *text, size_t size, const struct run_figure *figure)
{
	static const char *const suffixes[] = {"_ns", "_bytes", "_joules", "_watts", "_percent", "_hertz"};
	size_t length;

	snprintf(text, size, "%s", figure->key);
	length = strlen(text);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t suffix = strlen(suffixes[i]);

		if (length > suffix && !strcmp(text + length - suffix, suffixes[i]))
			text[length - suffix] = '\0';
	}
	for (char *c = strchr(text, '_'); c; c = strchr(c, '_'))
		*c = ' ';
}

static void print_figure(FILE *out, const struct run_figure *figure)
{
	char value[64], sd[64], name[RUN_KEY_MAX];
	const char *unit = print_value(value, sizeof(value), figure, figure->mean);

	print_name(name, sizeof(name), figure);
	fprintf(out, "  %20s %-2s %-30s", value, unit, name);
	if (figure->runs > 1) {
		unit = print_value(sd, sizeof(sd), figure, run_figure_sd(figure));
		fprintf(out, " sd %s%s%s, ± %.2f %%", sd, *unit ? " " : "", unit, run_figure_percent(figure));
	}
	fputc('\n', out);
}

void run_report_text(const struct run_report *report, FILE *out, char *const *command, int status)
{
	fprintf(out, "\nWhat this used, mean of %u run%s:", report->runs, report->runs == 1 ? "" : "s");
	print_command(out, command);
	fputc('\n', out);
	for (int group = 0; group < RUN_GROUPS; group++) {
		const char *why = missing(report, (enum run_group)group);

		fprintf(out, "\n%s%s%s\n", groups[group].name, why ? ": not measured: " : "", why ? why : "");
		for (size_t i = 0; i < report->count; i++)
			if (report->figures[i].group == (enum run_group)group)
				print_figure(out, &report->figures[i]);
	}
	if (status)
		fprintf(out, "\nIt ended with status %d.\n", status);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

/* JSON is UTF-8: a byte that is part of no character becomes '?'. */
static char *as_utf8(const char *text)
{
	char *copy = strdup(text);

	for (char *c = copy; c && *c;) {
		size_t length = (unsigned char)*c < 0x80 ? 1 : deepmon_utf8_length(c);

		if (!length)
			*c = '?';
		c += length ? length : 1;
	}
	return copy;
}

static cJSON *string_of(const char *text)
{
	char *copy = as_utf8(text);
	cJSON *string = copy ? cJSON_CreateString(copy) : NULL;

	free(copy);
	return string;
}

static void add_figure(cJSON *figures, const struct run_figure *figure)
{
	char *key = as_utf8(figure->key); /* a device's name is in it */
	cJSON *object = key ? cJSON_AddObjectToObject(figures, key) : NULL;

	free(key);
	cJSON_AddStringToObject(object, "unit", figure->unit);
	cJSON_AddStringToObject(object, "group", groups[figure->group].name);
	cJSON_AddNumberToObject(object, "mean", figure->mean);
	if (figure->runs > 1) {
		cJSON_AddNumberToObject(object, "sd", run_figure_sd(figure));
		cJSON_AddNumberToObject(object, "error_percent", run_figure_percent(figure));
	}
	cJSON_AddNumberToObject(object, "runs", figure->runs);
}

int run_report_json(const struct run_report *report, FILE *out, char *const *command, int status,
		    const char *experiment)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *words = cJSON_AddArrayToObject(root, "command");
	cJSON *figures, *absent;
	char *text;

	for (; words && *command; command++)
		cJSON_AddItemToArray(words, string_of(*command));
	if (*experiment)
		cJSON_AddItemToObject(root, "experiment", string_of(experiment));
	cJSON_AddNumberToObject(root, "runs", report->runs);
	cJSON_AddNumberToObject(root, "status", status);
	figures = cJSON_AddObjectToObject(root, "figures");
	for (size_t i = 0; i < report->count; i++)
		add_figure(figures, &report->figures[i]);
	absent = cJSON_AddObjectToObject(root, "not_measured");
	for (int group = 0; group < RUN_GROUPS; group++) {
		const char *why = missing(report, (enum run_group)group);

		if (why)
			cJSON_AddItemToObject(absent, groups[group].name, string_of(why));
	}
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (!text)
		return -ENOMEM;
	fprintf(out, "%s\n", text);
	free(text);
	return 0;
}
