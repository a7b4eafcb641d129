/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The command line and the configuration file of deepmon-execd.
 */
#ifndef DEEPMON_SETTINGS_H
#define DEEPMON_SETTINGS_H

#include "../common/deepmon.h"

enum signal_mode {
	SIGNAL_NONE,  /* by our own timer */
	SIGNAL_STDIN, /* one sample for each newline on standard input */
};

struct settings {
	struct deepmon_options options;
	enum signal_mode signal;
	double interval; /* seconds, for SIGNAL_NONE */
	bool once;
	bool debug;
	const char *replay;  /* a recording, in place of this host; NULL: this host */
	double replay_speed; /* times its own; 0: as fast as can be */
	bool interval_given;
};

#define SETTINGS_GO_ON (-1)

/* SETTINGS_GO_ON, or the status to exit with: 0 after --help, 2 after an error that was said on stderr. */
int settings_read(struct settings *settings, int argc, char **argv);

#endif
