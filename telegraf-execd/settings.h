/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The command line and the configuration file of deepmon-execd.
 */
#ifndef DEEPMON_SETTINGS_H
#define DEEPMON_SETTINGS_H

#include "../common/deepmon.h"

/*
 * deepmon-execd's own options, beside the catalogue's: X(name, what its value is called or "" if it takes
 * none, default or "", help). --help and the manual page are made of these rows.
 */
#define EXECD_OPTION_ROWS(X) \
	X("config", "FILE", "", \
	  "Reads options from FILE, in the syntax of collectd.conf: a name and its value on a line; " \
	  "what comes later, in the file or on the command line, counts") \
	X("signal", "none|STDIN|SIGHUP|SIGUSR1|SIGUSR2", "none", \
	  "When to report: at each --interval, for each newline on standard input, or for each such " \
	  "signal; the same as in Telegraf's configuration") \
	X("interval", "SECONDS", "10", "How often to report with --signal none; 0.1 to 86400") \
	X("once", "", "", "Reports once, on one second or as long as names are asked for, and ends") \
	X("replay", "FILE", "", \
	  "Writes what the recording FILE (see Record) holds, with its own options but for those given " \
	  "here, and ends; with --interval, a report for each so many seconds") \
	X("speed", "FACTOR", "0", "Of --replay: 1 for as fast as it was recorded, 0 for as fast as can be") \
	X("list-metrics", "", "", \
	  "Prints all tags and fields that there are, a line for each: measurement, tag or field, name, " \
	  "type, unit, gauge or counter, and what it is, parted by tabs") \
	X("check-config", "", "", "Reads the options and ends; the status tells whether they are good") \
	X("doctor", "", "", \
	  "Tells what this host offers and lacks, with what mends it, and ends: status 0, all that the " \
	  "options ask for is measured; 1, something is missing; 2, nothing can be measured") \
	X("doctor=json", "", "", "The same as JSON") \
	X("debug", "", "", "Says more on standard error") \
	X("version", "", "", "Prints the version") \
	X("help", "", "", "Prints all options")

struct execd_option {
	const char *name, *value, *preset, *help;
};

extern const struct execd_option execd_option_table[];
extern const size_t execd_option_count;

enum signal_mode {
	SIGNAL_NONE,  /* by our own timer */
	SIGNAL_STDIN, /* one report for each newline on standard input */
	SIGNAL_HUP,   /* one for each such signal */
	SIGNAL_USR1,
	SIGNAL_USR2,
};

/* What is to be done; each but the first is named by an option. */
enum settings_mode {
	MODE_SERVE,
	MODE_ONCE,
	MODE_LIST_METRICS,
	MODE_CHECK_CONFIG,
	MODE_REPLAY,
	MODE_DOCTOR,
	MODE_DOCTOR_JSON,
	MODE_VERSION,
	MODE_HELP,
};

struct settings {
	struct deepmon_options options;
	enum settings_mode mode;
	enum signal_mode signal;
	double interval; /* seconds, for SIGNAL_NONE */
	bool debug;
	const char *replay;  /* a recording, in place of this host; NULL: this host */
	double replay_speed; /* times its own; 0: as fast as can be */
	bool interval_given;
};

#define SETTINGS_BAD_USAGE 2
#define SETTINGS_NAME_MAX  64

/* An option of the catalogue as the command line has it: SampleInterval is sample-interval. */
void settings_dashed_name(const char *name, char dashed[SETTINGS_NAME_MAX]);

/* 0, or SETTINGS_BAD_USAGE after one line on stderr: the status to exit with. */
int settings_read(struct settings *settings, int argc, char **argv);

#endif
