/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd: reads its options and does what they ask for. Statuses: 0, it did, or its agent is done with
 * it; 1, nothing can be measured, or standard output can't be written; 2, bad options. Those of --doctor are
 * in doctor.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "modes.h"
#include "run.h"
#include "say.h"

/* One that was closed would go to the first file that is opened, and get reports or log lines in it. */
static void hold_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILURE);
}

static int run(const struct settings *settings, const struct deepmon_logger *logger)
{
	switch (settings->mode) {
	case MODE_SERVE:
		return mode_serve(settings, logger);
	case MODE_ONCE:
		return mode_once(settings, logger);
	case MODE_LIST_METRICS:
		return mode_list_metrics();
	case MODE_CHECK_CONFIG:
		return EXIT_SUCCESS; /* or it would not have come this far */
	case MODE_DOCTOR:
		return doctor_run(&settings->options, DOCTOR_TEXT);
	case MODE_DOCTOR_JSON:
		return doctor_run(&settings->options, DOCTOR_JSON);
	case MODE_REPLAY:
		return mode_replay(settings, logger);
	case MODE_VERSION:
		puts("deepmon-execd " DEEPMON_VERSION);
		return EXIT_SUCCESS;
	case MODE_HELP:
		return mode_help();
	}
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct settings settings;
	struct deepmon_logger logger = say_logger(&settings);
	int status;

	hold_standard_descriptors();
	if (argc > 1 && !strcmp(argv[1], "run"))
		return run_command(argc - 1, argv + 1);
	status = settings_read(&settings, argc, argv);
	if (!status)
		status = run(&settings, &logger);
	/* What was printed, as of --help: a full disk is an error. */
	return fflush(stdout) == EOF || ferror(stdout) ? EXIT_FAILURE : status;
}
