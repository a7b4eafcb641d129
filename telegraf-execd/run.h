/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd run: measures a command.
 */
#ifndef DEEPMON_EXECD_RUN_H
#define DEEPMON_EXECD_RUN_H

/* argv[0] is "run". The status to exit with: the command's; 125 if it could not be run. */
int run_command(int argc, char **argv);

#endif
