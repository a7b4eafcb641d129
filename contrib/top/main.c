/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-top: what the containers of a host, of a recording, or of a cluster use.
 */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "batch.h"
#include "influx_options.h"
#include "screen.h"

#define BAD_USAGE 2

struct arguments {
	struct deepmon_options options;
	struct top_settings settings;
	struct top_batch batch;
	const char *replay;	       /* NULL: this host */
	struct influx_settings influx; /* its url "": no cluster */
	double interval;	       /* seconds; 0: of a recording, each sample */
	double speed;		       /* of a recording; 0: at once */
	double from;		       /* seconds from its beginning */
	long count;		       /* samples; 0: for ever */
	const struct top_page *page;
	bool has_format, sorted, grouped;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "E! deepmon-top: %s%s%s\n", what, *why ? ": " : "", why);
	return BAD_USAGE;
}

static void print_help(void)
{
	puts("Usage: deepmon-top [OPTION VALUE]...\n\n"
	     "Shows what the containers of this host, of a recording, or of a cluster, use. Its keys: ?\n\n"
	     "  --batch FORMAT     no screen: write each sample as text, json (an object a line) or "
	     "csv\n"
	     "  --replay FILE      a recording (see deepmon's option Record) in place of this host\n"
	     "  --speed FACTOR     of a recording, 1 for as fast as it was recorded (0: as fast as can be)\n"
	     "  --from SECONDS     of a recording, from its beginning (0)\n"
	     "  --interval SECONDS between samples (2; of a cluster 10; of a recording, all of them)\n"
	     "  --count N          end after so many (0: never)\n"
	     "  --page NAME        overview, power, energy, memory, disk, files, tcp, tcp-latency, http, "
	     "http-latency, processes or devices (overview; JSON and CSV: all)\n"
	     "  --columns A,B...   in place of a page's\n"
	     "  --sort COLUMN      the highest first; COLUMN:asc the lowest; name by name (the page's)\n"
	     "  --filter WORDS     rows that have all of these words; KEY:TEXT, COLUMN>NUMBER, "
	     "COLUMN<NUMBER, !WORD\n"
	     "  --group KEYS       a tree with sums: host, namespace, pod, image, project, service, runtime, "
	     "container, device, parted by commas\n"
	     "  --units NAME       binary, decimal (bytes by 1000), hours (mW and Wh) or exact (binary)\n"
	     "  --show KINDS       containers, system, processes, devices, totals, parted by commas "
	     "(containers)\n"
	     "  OPTION VALUE       any option of deepmon");
	influx_settings_help(stdout);
	puts("\nColumns:");
	for (size_t i = 0; i < top_column_count; i++)
		printf("  %-27s %s\n", top_columns[i].key, top_columns[i].help);
}

static int set_number(double *target, const char *name, const char *value, double least, double most)
{
	char why[128], *end;
	double number = strtod(value, &end);

	if (!*value || *end || !(number >= least && number <= most)) {
		snprintf(why, sizeof(why), "%s: \"%.48s\" is not a number from %g to %g", name, value, least,
			 most);
		return complain(why, "");
	}
	*target = number;
	return 0;
}

/* Names that commas part. 0, or the first that `add` refused. */
static int each_name(struct arguments *arguments, const char *names,
		     int (*add)(struct arguments *, const char *name))
{
	char name[64];
	int r = 0;

	while (*names && !r) {
		size_t length = strcspn(names, ",");

		snprintf(name, sizeof(name), "%.*s", (int)length, names);
		r = add(arguments, name);
		names += length + (names[length] == ',');
	}
	return r;
}

static int add_column(struct arguments *arguments, const char *key)
{
	struct top_batch *batch = &arguments->batch;
	const struct top_column *column = top_column_find(key);

	if (!column)
		return complain("columns: there is none of that name", key);
	if (batch->column_count == top_column_count)
		return complain("columns: there are not so many", key);
	batch->columns[batch->column_count++] = column;
	return 0;
}

static int set_page(struct arguments *arguments, const char *name)
{
	const struct top_page *page = top_page_find(name);
	int r = 0;

	if (!page)
		return complain("page: there is none of that name", name);
	arguments->page = page;
	arguments->batch.column_count = 0;
	for (size_t i = 0; page->keys[i] && !r; i++)
		r = add_column(arguments, page->keys[i]);
	arguments->settings.sort = top_column_find(page->sort);
	if (page->kind == DEEPMON_CONTAINER)
		return r;
	memset(arguments->settings.entities, 0, sizeof(arguments->settings.entities));
	arguments->settings.entities[page->kind] = true;
	top_settings_group(&arguments->settings, page->group);
	return r;
}

static int show(struct arguments *arguments, const char *name)
{
	static const struct {
		const char *name;
		enum deepmon_entity entity;
	} kinds[] = {{"containers", DEEPMON_CONTAINER},
		     {"system", DEEPMON_SYSTEM},
		     {"processes", DEEPMON_PROCESS},
		     {"devices", TOP_DEVICE},
		     {"totals", DEEPMON_TOTAL}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcasecmp(kinds[i].name, name) != 0)
			continue;
		arguments->settings.entities[kinds[i].entity] = true;
		return 0;
	}
	return complain("show: neither containers, system, processes, devices nor totals", name);
}

static int set_sort(struct top_settings *settings, const char *value)
{
	char key[64];
	size_t length = strcspn(value, ":");
	bool by_name;

	snprintf(key, sizeof(key), "%.*s", (int)length, value);
	by_name = strcasecmp(key, "name") == 0;
	settings->sort = top_column_find(key);
	settings->ascending = strcasecmp(value + length, ":asc") == 0;
	if ((!settings->sort && !by_name) || (value[length] && !settings->ascending))
		return complain("sort: neither name nor a column, with :asc or without", value);
	return 0;
}

static int set_filter(struct top_settings *settings, const char *value)
{
	char why[160];

	if (strlen(value) >= sizeof(settings->filter))
		return complain("filter: too long", value);
	if (top_filter_check(value, why, sizeof(why)))
		return complain(why, "");
	strcpy(settings->filter, value);
	return 0;
}

static int set(struct arguments *arguments, const char *name, const char *value)
{
	char why[256];
	double count;
	int r = 0;

	if (!strcmp(name, "replay"))
		return 0; /* it was read before all others */
	if (!strcmp(name, "batch")) {
		arguments->has_format = true;
		return top_format_find(value, &arguments->batch.format)
			   ? complain("batch: neither text, json nor csv", value)
			   : 0;
	}
	if (!strcmp(name, "interval"))
		return set_number(&arguments->interval, name, value, 0.1, 86400);
	if (!strcmp(name, "speed"))
		return set_number(&arguments->speed, name, value, 0, 1e6);
	if (!strcmp(name, "from"))
		return set_number(&arguments->from, name, value, 0, 1e9);
	if (!strcmp(name, "count")) {
		r = set_number(&count, name, value, 0, 1e9);
		arguments->count = r ? 0 : (long)count;
		return r;
	}
	if (!strcmp(name, "page"))
		return set_page(arguments, value);
	if (!strcmp(name, "columns")) {
		arguments->batch.column_count = 0;
		return each_name(arguments, value, add_column);
	}
	if (!strcmp(name, "sort")) {
		arguments->sorted = true;
		return set_sort(&arguments->settings, value);
	}
	if (!strcmp(name, "filter"))
		return set_filter(&arguments->settings, value);
	if (!strcmp(name, "group")) {
		arguments->grouped = true;
		return top_settings_group(&arguments->settings, value)
			   ? complain(
				 "group: keys are host, namespace, pod, image, project, service, runtime, "
				 "container, device, at most four",
				 value)
			   : 0;
	}
	if (!strcmp(name, "units"))
		return top_units_find(value, &arguments->batch.units)
			   ? complain("units: neither binary, decimal, hours nor exact", value)
			   : 0;
	if (!strcmp(name, "show")) {
		memset(arguments->settings.entities, 0, sizeof(arguments->settings.entities));
		return each_name(arguments, value, show);
	}
	r = influx_settings_set(&arguments->influx, name, value, why, sizeof(why));
	if (r != -ENOENT)
		return r ? complain(why, "") : 0;
	return deepmon_options_set(&arguments->options, name, value, why, sizeof(why)) ? complain(why, "")
										       : 0;
}

static bool is_cluster(const struct arguments *arguments)
{
	return *arguments->influx.url;
}

/* A recording's options are what all others change. */
static int begin(struct arguments *arguments, int argc, char **argv)
{
	int r;

	influx_settings_init(&arguments->influx);
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--replay"))
			arguments->replay = argv[i + 1];
		if (!strcmp(argv[i], "--influx"))
			arguments->influx.url = argv[i + 1];
	}
	if (arguments->replay && is_cluster(arguments))
		return complain("replay: a recording is of one host, not of a cluster (--influx)", "");
	top_settings_init(&arguments->settings);
	arguments->batch.out = stdout;
	arguments->batch.columns = calloc(top_column_count, sizeof(*arguments->batch.columns));
	if (!arguments->batch.columns)
		return complain(strerror(ENOMEM), "");
	r = top_source_options(&arguments->options, arguments->replay);
	if (r)
		return complain(arguments->replay, r == -EBADMSG ? "it is no recording of deepmon"
						   : r == -EPROTONOSUPPORT
						       ? "it is of a later version of deepmon"
						       : strerror(-r));
	arguments->interval = arguments->replay ? 0 : is_cluster(arguments) ? arguments->influx.interval : 2;
	return 0;
}

/* Those of the first page for people, all for scripts. -1, or the status to exit with. */
static int choose_columns(struct arguments *arguments)
{
	const struct top_settings kept = arguments->settings;
	int r = 0;

	if (arguments->batch.column_count)
		return -1;
	if (arguments->batch.format == TOP_TEXT) {
		r = set_page(arguments, top_pages[0].name);
		arguments->settings = kept;
		return r ? r : -1;
	}
	for (size_t i = 0; i < top_column_count && !r; i++)
		r = add_column(arguments, top_columns[i].key);
	return r ? r : -1;
}

/* -1: go on; else the status to exit with. */
static int read_arguments(struct arguments *arguments, int argc, char **argv)
{
	int r = begin(arguments, argc, argv);

	for (int i = 1; i < argc && !r; i += 2) {
		if (!strcmp(argv[i], "--help")) {
			print_help();
			return 0;
		}
		if (!strcmp(argv[i], "--version")) {
			puts("deepmon-top " DEEPMON_VERSION);
			return 0;
		}
		if (strncmp(argv[i], "--", 2) != 0)
			return complain(argv[i], "options begin with --; see --help");
		if (i + 1 == argc)
			return complain(argv[i], "a value must follow");
		r = set(arguments, argv[i] + 2, argv[i + 1]);
	}
	return r ? r : choose_columns(arguments);
}

static void wait_seconds(double seconds)
{
	struct timespec pause = {.tv_sec = (time_t)seconds,
				 .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

	while (nanosleep(&pause, &pause) && errno == EINTR)
		;
}

/* Before each sample but the first. */
static void wait_for_next(const struct arguments *arguments, const struct top_model *model,
			  uint64_t before_ns)
{
	if (!arguments->replay)
		wait_seconds(arguments->interval);
	else if (arguments->speed > 0 && before_ns)
		wait_seconds((double)(model->host.time_ns - before_ns) / 1e9 / arguments->speed);
}

static int write_sample(struct arguments *arguments, const struct top_model *model, struct top_view *view)
{
	int r = top_view_make(view, model, &arguments->settings);

	return r ? r : top_batch_write(&arguments->batch, model, view);
}

static int run(struct arguments *arguments, struct top_source *source, struct top_model *model)
{
	uint64_t step_ns = arguments->replay ? (uint64_t)(arguments->interval * 1e9) : 0;
	struct top_view view = {0};
	int r = 0;

	if (arguments->replay && arguments->from > 0)
		r = top_source_seek(source, source->about.first_ns + (uint64_t)(arguments->from * 1e9));
	/* Rates need a sample before them. */
	if (!arguments->replay)
		r = top_source_next(source, model, 0);
	for (long written = 0; (!r || r == -EAGAIN) && (!arguments->count || written < arguments->count);) {
		uint64_t before_ns = model->host.time_ns;

		if (!arguments->replay)
			wait_for_next(arguments, model, 0);
		r = top_source_next(source, model, step_ns);
		if (r)
			continue;
		if (arguments->replay)
			wait_for_next(arguments, model, before_ns);
		r = write_sample(arguments, model, &view);
		written++;
	}
	top_view_clear(&view);
	return r;
}

/* Why there is nothing new, once. -EIO: there never was. */
static int say_trouble(const struct top_source *source, const struct top_model *model, char *said,
		       size_t size)
{
	struct influx_state state;

	influx_look(source->influx, &state);
	if (strcmp(state.trouble, said) != 0 && *state.trouble)
		complain(state.trouble, "");
	snprintf(said, size, "%s", state.trouble);
	return *state.trouble && !model->samples ? -EIO : 0;
}

/* Each answer as it comes. A server that never told anything is a mistake; one that does not any more may
 * again. */
static int run_cluster(struct arguments *arguments, struct top_source *source, struct top_model *model)
{
	struct pollfd news = {.fd = influx_fd(source->influx), .events = POLLIN};
	char said[sizeof(((struct influx_state *)0)->trouble)] = "";
	struct top_view view = {0};
	int r = 0;

	for (long written = 0; !r && (!arguments->count || written < arguments->count);) {
		poll(&news, 1, -1);
		r = top_source_next(source, model, 0);
		if (!r) {
			r = write_sample(arguments, model, &view);
			written++;
		} else if (r == -EAGAIN) {
			r = 0;
		}
		r = r ? r : say_trouble(source, model, said, sizeof(said));
	}
	top_view_clear(&view);
	return r;
}

static struct influx_want want_of(const struct arguments *arguments)
{
	return top_source_want(&arguments->settings, arguments->batch.columns, arguments->batch.column_count);
}

static int open_source(struct arguments *arguments, struct top_source *source, struct top_model *model)
{
	const struct influx_want want = want_of(arguments);

	if (!is_cluster(arguments))
		return top_source_open(source, &arguments->options, arguments->replay, model);
	return top_source_open_cluster(source, &arguments->influx, &want, model);
}

static int run_screen(const struct arguments *arguments)
{
	const struct top_start start = {
	    .options = &arguments->options,
	    .settings = &arguments->settings,
	    .page = arguments->page,
	    .units = arguments->batch.units,
	    .sorted = arguments->sorted,
	    .replay = arguments->replay,
	    .influx = is_cluster(arguments) ? &arguments->influx : NULL,
	    .interval = arguments->interval,
	    .speed = arguments->speed,
	    .from = arguments->from,
	};
	char why[512] = "";
	int r = top_screen_run(&start, why, sizeof(why));

	if (r)
		fprintf(stderr, "E! deepmon-top: %s\n", why);
	return r == -ENOTTY ? BAD_USAGE : r ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct arguments arguments; /* large */
	struct top_model model;
	struct top_source source = {0};
	int status = read_arguments(&arguments, argc, argv), r;

	if (status >= 0) {
		free(arguments.batch.columns);
		return status;
	}
	arguments.influx.interval = arguments.interval;
	signal(SIGPIPE, SIG_IGN);
	if (!arguments.has_format) {
		if (is_cluster(&arguments) && !arguments.grouped)
			top_settings_group(&arguments.settings, top_key_name(TOP_BY_HOST));
		free(arguments.batch.columns);
		return run_screen(&arguments);
	}
	setlocale(LC_CTYPE, "C.UTF-8"); /* which has the widths of all characters */
	top_model_init(&model, 0);
	r = open_source(&arguments, &source, &model);
	if (r)
		for (size_t i = 0; i < model.note_count; i++)
			fprintf(stderr, "E! deepmon-top: %s\n", model.notes[i]);
	else
		r = is_cluster(&arguments) ? run_cluster(&arguments, &source, &model)
					   : run(&arguments, &source, &model);
	top_source_close(&source);
	top_model_clear(&model);
	free(arguments.batch.columns);
	/* The end of a recording, and nobody who reads any more. */
	return !r || r == -ENODATA || r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE;
}
