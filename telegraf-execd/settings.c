/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The command line and the configuration file of deepmon-execd: its own few options, and the catalogue's.
 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_file.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

#define ROW(name, value, preset, help) {name, value, preset, help},
const struct execd_option execd_option_table[] = {EXECD_OPTION_ROWS(ROW)};
const size_t execd_option_count = COUNT(execd_option_table);

static const struct {
	const char *name;
	enum settings_mode mode;
} modes[] = {
    {"once", MODE_ONCE},     {"list-metrics", MODE_LIST_METRICS}, {"check-config", MODE_CHECK_CONFIG},
    {"doctor", MODE_DOCTOR}, {"doctor=json", MODE_DOCTOR_JSON},	  {"version", MODE_VERSION},
    {"help", MODE_HELP},
};

void settings_dashed_name(const char *name, char dashed[SETTINGS_NAME_MAX])
{
	size_t length = 0;

	for (const char *c = name; *c && length < SETTINGS_NAME_MAX - 2; c++) {
		if (isupper((unsigned char)*c) && c > name && !isupper((unsigned char)c[-1]))
			dashed[length++] = '-';
		dashed[length++] = (char)tolower((unsigned char)*c);
	}
	dashed[length] = '\0';
}

/* One line, whatever control characters a path or an argument brings along. */
static int complain(const char *where, const char *why)
{
	char line[2 * DEEPMON_TEXT_MAX];

	snprintf(line, sizeof(line), "%s%s", where, why);
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "E! deepmon: %s\n", line);
	return SETTINGS_BAD_USAGE;
}

/* ---- One option ------------------------------------------------------------------------------- */

static int set_signal(struct settings *settings, const char *value, char *why, size_t why_size)
{
	static const char *const words[] = {"none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2"};

	for (size_t i = 0; i < COUNT(words); i++) {
		if (strcasecmp(value, words[i]) == 0) {
			settings->signal = (enum signal_mode)i;
			return 0;
		}
	}
	snprintf(why, why_size, "signal: \"%.64s\" is not one of none|STDIN|SIGHUP|SIGUSR1|SIGUSR2", value);
	return -EINVAL;
}

static int set_interval(struct settings *settings, const char *value, char *why, size_t why_size)
{
	char *end = NULL;
	double seconds = strtod(value, &end);

	if (!*value || *end || !(seconds >= 0.1 && seconds <= 86400)) {
		snprintf(why, why_size, "interval: \"%.64s\" is not a number from 0.1 to 86400 s", value);
		return -ERANGE;
	}
	settings->interval = seconds;
	settings->interval_given = true;
	return 0;
}

static int set_speed(struct settings *settings, const char *value, char *why, size_t why_size)
{
	char *end = NULL;
	double factor = strtod(value, &end);

	if (!*value || *end || !(factor >= 0 && factor <= 1e6)) {
		snprintf(why, why_size, "speed: \"%.64s\" is not a number from 0 to 1000000", value);
		return -ERANGE;
	}
	settings->replay_speed = factor;
	return 0;
}

static int set(struct settings *settings, const char *name, const char *value, char *why, size_t why_size)
{
	if (strcasecmp(name, "signal") == 0)
		return set_signal(settings, value, why, why_size);
	if (strcasecmp(name, "interval") == 0)
		return set_interval(settings, value, why, why_size);
	if (strcasecmp(name, "speed") == 0)
		return set_speed(settings, value, why, why_size);
	return deepmon_options_set(&settings->options, name, value, why, why_size);
}

/* ---- The file --------------------------------------------------------------------------------- */

static int set_from_file(void *user, const char *name, const char *value, unsigned nth, char *why,
			 size_t why_size)
{
	const struct deepmon_option *option = deepmon_option_find(name);

	if (nth && !(option && option->type == DEEPMON_OPTION_LIST)) {
		snprintf(why, why_size, "%.64s: one value is accepted", name);
		return -EINVAL;
	}
	return set(user, name, value, why, why_size);
}

/* The whole of a file, to be freed, or NULL and errno. */
static char *read_whole(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(CONFIG_FILE_MAX + 1);
	ssize_t got = 1;
	int error;

	for (*length = 0; text && got > 0 && *length <= CONFIG_FILE_MAX;) {
		got = read(fd, text + *length, CONFIG_FILE_MAX + 1 - *length);
		*length += got > 0 ? (size_t)got : 0;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	if (text && (got < 0 || *length > CONFIG_FILE_MAX)) {
		free(text);
		text = NULL;
		error = got < 0 ? error : EFBIG;
	}
	errno = error;
	return text;
}

static int read_file(struct settings *settings, const char *path)
{
	char where[DEEPMON_TEXT_MAX], why[256];
	size_t length;
	char *text = read_whole(path, &length);
	unsigned line;
	int r;

	if (!text) {
		snprintf(where, sizeof(where), "config: %.512s: ", path);
		return complain(where, strerror(errno));
	}
	r = config_file_parse(text, length, set_from_file, settings, &line, why, sizeof(why));
	free(text);
	if (!r)
		return 0;
	snprintf(where, sizeof(where), "%.512s line %u: ", path, line);
	return complain(where, why);
}

/* ---- The command line ------------------------------------------------------------------------- */

static const struct execd_option *find_own(const char *name)
{
	for (size_t i = 0; i < execd_option_count; i++)
		if (strcasecmp(execd_option_table[i].name, name) == 0)
			return &execd_option_table[i];
	return NULL;
}

/* One that takes no value. */
static int set_flag(struct settings *settings, const char *name)
{
	char why[256];

	if (strcasecmp(name, "debug") == 0) {
		settings->debug = true;
		return 0;
	}
	for (size_t i = 0; i < COUNT(modes); i++) {
		if (strcasecmp(modes[i].name, name) != 0)
			continue;
		if (settings->mode != MODE_SERVE && settings->mode != modes[i].mode) {
			snprintf(why, sizeof(why), "--%s: another option says already what to do", name);
			return complain("", why);
		}
		settings->mode = modes[i].mode;
	}
	return 0;
}

static int set_argument(struct settings *settings, const char *name, const char *value)
{
	char why[256];

	if (strcasecmp(name, "config") == 0)
		return read_file(settings, value);
	if (strcasecmp(name, "replay") == 0)
		return 0; /* begin_replay has it */
	return set(settings, name, value, why, sizeof(why)) ? complain("", why) : 0;
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

	const struct execd_option *own = find_own(name);

	if (own && !*own->value)
		return set_flag(settings, name);
	/* A misspelt option is said to be that, rather than to lack a value. */
	if (*index >= argc && (own || deepmon_option_find(name))) {
		snprintf(why, sizeof(why), "%.64s: a value must follow", argument);
		return complain("", why);
	}
	return set_argument(settings, name, *index < argc ? argv[(*index)++] : "");
}

static bool ends_reading(const struct settings *settings)
{
	return settings->mode == MODE_HELP || settings->mode == MODE_VERSION;
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
		return 0;
	settings->mode = MODE_REPLAY;
	snprintf(where, sizeof(where), "replay: %.512s: ", settings->replay);
	r = deepmon_recording_read(settings->replay, NULL, &settings->options);
	if (!r)
		return 0;
	return complain(where, r == -EBADMSG	       ? "it is no recording of deepmon"
			       : r == -EPROTONOSUPPORT ? "it is of a later version of deepmon"
						       : strerror(-r));
}

int settings_read(struct settings *settings, int argc, char **argv)
{
	int status = 0;

	*settings = (struct settings){.signal = SIGNAL_NONE, .interval = 10};
	deepmon_options_init(&settings->options);
	status = begin_replay(settings, argc, argv);
	for (int index = 1; !status && index < argc && !ends_reading(settings);)
		status = read_argument(settings, argc, argv, &index);
	return status;
}
