/* SPDX-License-Identifier: GPL-3.0-only
 *
 * --help: every option, those of deepmon-execd alone first.
 */
#include <stdio.h>
#include <string.h>

#include "modes.h"

#define WIDTH 96

static void print_text(const char *text)
{
	while (*text) {
		size_t length = strlen(text);

		if (length > WIDTH)
			for (length = WIDTH; length && text[length] != ' ';)
				length--;
		if (!length)
			length = strcspn(text, " ");
		printf("      %.*s\n", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
}

static void print_own(const struct execd_option *option)
{
	printf("  --%s", option->name);
	if (*option->value)
		printf(" %s", option->value);
	if (*option->preset)
		printf(" (%s)", option->preset);
	putchar('\n');
	print_text(option->help);
}

int mode_help(void)
{
	char name[SETTINGS_NAME_MAX];

	puts("Usage: deepmon-execd [--OPTION [VALUE]]...\n\n"
	     "Writes what each container uses, in CPU time and energy, as InfluxDB line protocol,\n"
	     "for Telegraf's inputs.execd. An option's default is in brackets.\n");
	for (size_t i = 0; i < execd_option_count; i++)
		print_own(&execd_option_table[i]);
	puts("\nThose of collectd's <Plugin deepmon>, in a file by the same names:\n");
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];

		settings_dashed_name(option->name, name);
		printf("  --%s (%s%s%s)\n", name, *option->preset ? option->preset : "empty",
		       *option->unit ? " " : "", option->unit);
		print_text(option->help);
	}
	return 0;
}
