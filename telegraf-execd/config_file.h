/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Configuration as collectd's own parser takes it for a plugin's block: a name and its values on a line,
 * numbers, true and false bare, text in quotation marks. Pure.
 *
 *   # comment
 *   <Plugin deepmon>              (the block may be left out)
 *     SampleInterval 0.5
 *     Container "web" "/^db-[0-9]+$/"
 *   </Plugin>
 */
#ifndef DEEPMON_CONFIG_FILE_H
#define DEEPMON_CONFIG_FILE_H

#include <stddef.h>

#include "../common/deepmon.h"

#define CONFIG_FILE_MAX	 (1 << 20) /* bytes of a file */
#define CONFIG_VALUE_MAX DEEPMON_LIST_MAX
#define CONFIG_NAME_MAX	 128

/*
 * Gets each value of each option, as text; `nth` counts the values of one line from 0. Not 0: an error, which
 * `why` tells in one line.
 */
typedef int config_set(void *user, const char *name, const char *value, unsigned nth, char *why,
		       size_t why_size);

/* Reads a file's text. -EINVAL: *line is where it is wrong, and `why` gets one line about it. */
int config_file_parse(const char *text, size_t length, config_set *set, void *user, unsigned *line, char *why,
		      size_t why_size);

#endif
