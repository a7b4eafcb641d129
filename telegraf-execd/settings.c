/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The command line and the configuration file of deepmon-execd: its own few options, and the catalogue's.
 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BAD_USAGE      2
#define LINE_MAX_BYTES 2000 /* more than the longest option and its value take */

/* One line, whatever control characters a path or an argument brings along. */
static int complain(const char *where, const char *why)
{
	char line[2 * DEEPMON_TEXT_MAX];

	snprintf(line, sizeof(line), "%s%s", where, why);
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "E! deepmon: %s\n", line);
	return BAD_USAGE;
}

static void print_option_name(const char *name)
{
	printf("  --");
	for (const char *c = name; *c; c++) {
		if (isupper((unsigned char)*c) && c > name && !isupper((unsigned char)c[-1]))
			putchar('-');
		putchar(tolower((unsigned char)*c));
	}
}

static int print_help(void)
{
	puts("Usage: deepmon-execd [OPTION VALUE]...\n"
	     "       deepmon-execd run [OPTION VALUE]... -- COMMAND (see deepmon-execd run --help)\n\n"
	     "Writes what each container uses, in CPU time and energy, as InfluxDB line protocol.\n\n"
	     "  --config FILE       read options from FILE, one NAME = VALUE on a line\n"
	     "  --signal none|STDIN when to write: each --interval, or for each newline on stdin (none)\n"
	     "  --interval SECONDS  for --signal none, 0.1 to 86400 (10)\n"
	     "  --once              write one sample, of one second, and end\n"
	     "  --replay FILE       write what the recording FILE (see --record) holds, with its own options "
	     "but\n"
	     "                      those given here; with --interval, a sample for each so many seconds\n"
	     "  --speed FACTOR      of --replay, 1 for as fast as it was recorded (0: as fast as can be)\n"
	     "  --debug             say more on stderr\n"
	     "  --version, --help\n");
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];

		print_option_name(option->name);
		printf(" (%s%s%s)\n      %s\n", *option->preset ? option->preset : "empty",
		       *option->unit ? " " : "", option->unit, option->help);
	}
	return 0;
}

static int set_own(struct settings *settings, const char *name, const char *value, char *why, size_t why_size)
{
	char *end = NULL;

	if (strcasecmp(name, "signal") == 0) {
		if (strcasecmp(value, "none") && strcasecmp(value, "STDIN")) {
			snprintf(why, why_size, "signal: \"%.64s\" is not one of none|STDIN", value);
			return -EINVAL;
		}
		settings->signal = strcasecmp(value, "none") ? SIGNAL_STDIN : SIGNAL_NONE;
		return 0;
	}
	if (strcasecmp(name, "interval") == 0) {
		double seconds = strtod(value, &end);

		if (!*value || *end || !(seconds >= 0.1 && seconds <= 86400)) {
			snprintf(why, why_size, "interval: \"%.64s\" is not a number from 0.1 to 86400 s",
				 value);
			return -ERANGE;
		}
		settings->interval = seconds;
		settings->interval_given = true;
		return 0;
	}
	if (strcasecmp(name, "speed") == 0) {
		double factor = strtod(value, &end);

		if (!*value || *end || !(factor >= 0 && factor <= 1e6)) {
			snprintf(why, why_size, "speed: \"%.64s\" is not a number from 0 to 1000000", value);
			return -ERANGE;
		}
		settings->replay_speed = factor;
		return 0;
	}
	return -ENOENT;
}

static int set(struct settings *settings, const char *name, const char *value, char *why, size_t why_size)
{
	int r = set_own(settings, name, value, why, why_size);

	return r == -ENOENT ? deepmon_options_set(&settings->options, name, value, why, why_size) : r;
}

/* Cuts white space from both ends, and a pair of quotation marks around what is left. */
static char *trim(char *text)
{
	size_t length;

	while (isspace((unsigned char)*text))
		text++;
	length = strlen(text);
	while (length && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
		text[length - 1] = '\0';
		text++;
	}
	return text;
}

/* One line of the file, which ends in a newline or is the last. */
static int read_line(struct settings *settings, const char *where, char *line, bool whole)
{
	char why[256];
	char *name = trim(line);
	char *equals = strchr(name, '=');

	if (!whole) {
		snprintf(why, sizeof(why), "it is longer than %d bytes, or has a NUL byte", LINE_MAX_BYTES);
		return complain(where, why);
	}
	if (!*name || *name == '#')
		return SETTINGS_GO_ON;
	if (!equals)
		return complain(where, "it is not of the form NAME = VALUE");
	*equals = '\0';
	if (set(settings, trim(name), trim(equals + 1), why, sizeof(why)))
		return complain(where, why);
	return SETTINGS_GO_ON;
}

static int read_file(struct settings *settings, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[LINE_MAX_BYTES + 2], where[DEEPMON_TEXT_MAX];
	int status = SETTINGS_GO_ON;

	snprintf(where, sizeof(where), "config: %.512s: ", path);
	if (!file)
		return complain(where, strerror(errno));
	for (int number = 1; status == SETTINGS_GO_ON && fgets(line, sizeof(line), file); number++) {
		snprintf(where, sizeof(where), "%.512s line %d: ", path, number);
		status = read_line(settings, where, line, strchr(line, '\n') || feof(file));
	}
	if (status == SETTINGS_GO_ON && ferror(file)) {
		snprintf(where, sizeof(where), "config: %.512s: ", path);
		status = complain(where, strerror(errno)); /* a directory, say */
	}
	fclose(file);
	return status;
}

static bool takes_value(const char *name)
{
	return strcmp(name, "config") == 0 || strcmp(name, "replay") == 0 || strcasecmp(name, "speed") == 0 ||
	       strcasecmp(name, "signal") == 0 || strcasecmp(name, "interval") == 0 ||
	       deepmon_option_find(name);
}

/* One argument, and its value if it takes one; *index moves past both. */
static int read_argument(struct settings *settings, int argc, char **argv, int *index)
{
	const char *argument = argv[(*index)++];
	const char *name = argument + 2;
	char why[256];

	if (strncmp(argument, "--", 2) != 0 || !*name) {
		snprintf(why, sizeof(why), "%.64s: options begin with --; see --help", argument);
		return complain("", why);
	}
	if (strcmp(name, "help") == 0)
		return print_help();
	if (strcmp(name, "version") == 0) {
		puts("deepmon-execd " DEEPMON_VERSION);
		return 0;
	}
	if (strcmp(name, "once") == 0 || strcmp(name, "debug") == 0) {
		*(*name == 'o' ? &settings->once : &settings->debug) = true;
		return SETTINGS_GO_ON;
	}
	/* A misspelt option is said to be that, rather than to lack a value. */
	const char *value = *index < argc ? argv[*index] : "";

	if (*index >= argc && takes_value(name)) {
		snprintf(why, sizeof(why), "%.64s: a value must follow", argument);
		return complain("", why);
	}
	++*index;
	if (strcmp(name, "config") == 0)
		return read_file(settings, value);
	if (strcmp(name, "replay") == 0)
		return SETTINGS_GO_ON; /* begin_replay has it */
	return set(settings, name, value, why, sizeof(why)) ? complain("", why) : SETTINGS_GO_ON;
}

/* Its options are those that all others of the command line change. */
static int begin_replay(struct settings *settings, int argc, char **argv)
{
	char where[DEEPMON_TEXT_MAX];
	int r;

	for (int i = 1; i + 1 < argc && !settings->replay; i++)
		if (argv[i] && strcmp(argv[i], "--replay") == 0)
			settings->replay = argv[i + 1];
	if (!settings->replay)
		return SETTINGS_GO_ON;
	snprintf(where, sizeof(where), "replay: %.512s: ", settings->replay);
	r = deepmon_recording_read(settings->replay, NULL, &settings->options);
	if (!r)
		return SETTINGS_GO_ON;
	return complain(where, r == -EBADMSG	       ? "it is no recording of deepmon"
			       : r == -EPROTONOSUPPORT ? "it is of a later version of deepmon"
						       : strerror(-r));
}

int settings_read(struct settings *settings, int argc, char **argv)
{
	int status = SETTINGS_GO_ON;

	*settings = (struct settings){.signal = SIGNAL_NONE, .interval = 10};
	deepmon_options_init(&settings->options);
	status = begin_replay(settings, argc, argv);
	for (int index = 1; status == SETTINGS_GO_ON && index < argc;)
		status = read_argument(settings, argc, argv, &index);
	return status;
}
