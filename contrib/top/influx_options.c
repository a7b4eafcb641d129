/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Options of a cluster's InfluxDB.
 */
#include "influx_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(member)   offsetof(struct influx_settings, member), 0, 0
#define NUMBER(member) offsetof(struct influx_settings, member)

static const struct {
	const char *name, *value;
	size_t offset;
	double least, most; /* both 0: a text */
	const char *help;
} options[] = {
    {"influx", "URL", TEXT(url), "a cluster, by the InfluxDB that its agents fill, in place of this host"},
    {"influx-database", "NAME", TEXT(database), "its database, or bucket (telegraf)"},
    {"influx-org", "NAME", TEXT(organisation),
     "the organisation: asks by the API of 2.x, in Flux (INFLUX_ORG; none: by that of 1.x, in InfluxQL)"},
    {"influx-ca-file", "FILE", TEXT(ca_file),
     "of whoever vouches for its certificate (those the host knows)"},
    {"influx-window", "SECONDS", NUMBER(window), 1, 86400,
     "what was told before these is not shown; rates need two reports in it (60)"},
    {"influx-timeout", "SECONDS", NUMBER(timeout), 0.1, 3600, "that an answer may take (30)"},
    {"influx-rows", "N", NUMBER(rows), 1, 1e6, "rows that are kept at most (20000)"},
    {"influx-answer", "MIB", NUMBER(answer_mebibytes), 1, 4096, "of one answer at most (256)"},
};

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

void influx_settings_init(struct influx_settings *settings)
{
	*settings = (struct influx_settings){.url = "",
					     .database = "telegraf",
					     .organisation = environment("INFLUX_ORG"),
					     .token = environment("INFLUX_TOKEN"),
					     .user = environment("INFLUX_USERNAME"),
					     .password = environment("INFLUX_PASSWORD"),
					     .ca_file = "",
					     .interval = 10,
					     .window = 60,
					     .timeout = 30,
					     .rows = 20000,
					     .answer_mebibytes = 256};
}

int influx_settings_set(struct influx_settings *settings, const char *name, const char *value, char *why,
			size_t why_size)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		void *target = (char *)settings + options[i].offset;
		double number;
		char *end;

		if (strcmp(options[i].name, name) != 0)
			continue;
		if (options[i].most == 0) {
			*(const char **)target = value;
			return 0;
		}
		number = strtod(value, &end);
		if (!*value || *end || !(number >= options[i].least && number <= options[i].most)) {
			snprintf(why, why_size, "%s: \"%.48s\" is not a number from %g to %g", name, value,
				 options[i].least, options[i].most);
			return -ERANGE;
		}
		*(double *)target = number;
		return 0;
	}
	return -ENOENT;
}

void influx_settings_help(FILE *out)
{
	char option[64];

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(option, sizeof(option), "--%s %s", options[i].name, options[i].value);
		fprintf(out, "  %-*s %s\n", strlen(option) > 18 ? 25 : 18, option, options[i].help);
	}
	fputs("                     INFLUX_TOKEN, or INFLUX_USERNAME and INFLUX_PASSWORD, say who asks\n",
	      out);
}
