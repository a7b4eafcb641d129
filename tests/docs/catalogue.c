/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Writes what is generated from the catalogues: the tables in README.md, collectd's types.db, the options in
 * the sample configurations and the manual pages. Reads and writes nothing but the file named and standard
 * output.
 *
 *   catalogue PART          prints that part
 *   catalogue fill FILE     prints FILE with each marked region ("generated: PART" to "end") of a part
 *                           that it has written anew; another's is left as it is
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/deepmon.h"
#include "../../telegraf-execd/settings.h"

#define COUNT(of)   (sizeof(of) / sizeof((of)[0]))
#define LINE_WIDTH  100
#define MAN_WIDTH   78
#define NAME_LENGTH 64

/* ---- Words ------------------------------------------------------------------------------------ */

/* A table's cell: what would end it is escaped. */
static void print_cell(const char *text)
{
	for (; *text; text++)
		printf("%s%c", *text == '|' ? "\\" : "", *text);
}

/* Breaks text into lines of that width that each begin with `prefix`. */
static void print_wrapped(const char *prefix, const char *text, size_t width)
{
	while (*text) {
		size_t room = width - strlen(prefix), length = strlen(text);

		if (length > room)
			for (length = room; length && text[length] != ' ';)
				length--;
		if (!length)
			length = strcspn(text, " ");
		printf("%s%.*s\n", prefix, (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
}

static const char *command_line_name(const struct deepmon_option *option)
{
	static char name[SETTINGS_NAME_MAX];

	settings_dashed_name(option->name, name);
	return name;
}

/* ---- Metrics ---------------------------------------------------------------------------------- */

static void print_measurement_name(const struct deepmon_measurement *measurement)
{
	printf("deepmon_%s%s", deepmon_entity_name(measurement->entity),
	       deepmon_subject_suffix(measurement->subject));
}

static const char *field_type(const struct deepmon_metric *metric)
{
	return metric->type == DEEPMON_U64 ? "integer" : "float";
}

static void print_labels(const struct deepmon_measurement *measurement, bool tags)
{
	const char *separator = "";

	for (size_t i = 0; i < deepmon_label_count; i++) {
		const struct deepmon_label_kind *label = &deepmon_label_table[i];

		if (label->tag != tags || !deepmon_measurement_has(measurement, label))
			continue;
		printf("%s`%s`", separator, label->key);
		separator = ", ";
	}
}

/* collectd's plugin instance and what ends its type instances, as deepmon.c joins them. */
static void print_collectd_names(const struct deepmon_measurement *measurement)
{
	const char *instance = deepmon_entity_instance(measurement->entity);
	const char *qualifier = measurement->qualifier;

	printf("`%s", deepmon_entity_name(measurement->entity));
	printf("%s%s%s` | ", *instance ? "-<" : "", instance, *instance ? ">" : "");
	if (!*qualifier)
		return;
	putchar('`');
	for (const char *separator = ""; *qualifier; separator = "-") {
		size_t length = strcspn(qualifier, "-");

		printf("%s<%.*s>", separator, (int)length, qualifier);
		qualifier += length;
		qualifier += *qualifier == '-';
	}
	putchar('`');
}

static void print_measurements(void)
{
	puts("| measurement | what it is about | tags | string fields | collectd's plugin instance "
	     "| ends the type instance |\n"
	     "|---|---|---|---|---|---|");
	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		printf("| `");
		print_measurement_name(&deepmon_measurement_table[i]);
		printf("` | ");
		print_cell(deepmon_entity_help(deepmon_measurement_table[i].entity));
		printf(" | ");
		print_labels(&deepmon_measurement_table[i], true);
		printf(" | ");
		print_labels(&deepmon_measurement_table[i], false);
		printf(" | ");
		print_collectd_names(&deepmon_measurement_table[i]);
		puts(" |");
	}
}

static void print_label_help(void)
{
	puts("\n| tag or string field | what it tells |\n|---|---|");
	for (size_t i = 0; i < deepmon_label_count; i++) {
		printf("| `%s` | ", deepmon_label_table[i].key);
		print_cell(deepmon_label_table[i].help);
		puts(" |");
	}
}

static void print_fields(const struct deepmon_metric *metrics, size_t count)
{
	puts("\n| field | type | unit | kind | collectd's type | type instance | what it is |\n"
	     "|---|---|---|---|---|---|---|");
	for (size_t i = 0; i < count; i++) {
		const struct deepmon_metric *metric = &metrics[i];

		printf("| `%s` | %s | %s | %s | `%s` | %s | ", metric->field, field_type(metric),
		       metric->unit, metric->kind == DEEPMON_COUNTER ? "counter" : "gauge",
		       metric->collectd_type, metric->collectd_instance);
		print_cell(metric->help);
		puts(" |");
	}
}

static void print_subject(enum deepmon_subject subject)
{
	const char *separator = "\nFields of ";
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(subject, &count);

	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		if (deepmon_measurement_table[i].subject != subject)
			continue;
		printf("%s`", separator);
		print_measurement_name(&deepmon_measurement_table[i]);
		putchar('`');
		separator = ", ";
	}
	if (*separator == '\n')
		return; /* nothing tells of it */
	puts(":");
	print_fields(metrics, count);
}

static void print_metrics(void)
{
	print_measurements();
	print_label_help();
	for (int subject = 0; subject < DEEPMON_SUBJECT_COUNT; subject++)
		print_subject(subject);
}

/* For programs: entity, whether it has an instance, type, its kind, type instance, qualifier, parted
 * by tabs. */
static void print_collectd_rows(void)
{
	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		const struct deepmon_measurement *measurement = &deepmon_measurement_table[i];
		size_t count;
		const struct deepmon_metric *metrics = deepmon_metrics_of(measurement->subject, &count);

		for (size_t metric = 0; metric < count; metric++)
			printf("%s\t%s\t%s\t%s\t%s\t%s\n", deepmon_entity_name(measurement->entity),
			       deepmon_entity_instance(measurement->entity), metrics[metric].collectd_type,
			       deepmon_metric_is_derive(&metrics[metric]) ? "DERIVE" : "GAUGE",
			       metrics[metric].collectd_instance, measurement->qualifier);
	}
}

/* ---- types.db --------------------------------------------------------------------------------- */

static int compare_types(const void *a, const void *b)
{
	const struct deepmon_metric *const *left = a, *const *right = b;

	return strcmp((*left)->collectd_type, (*right)->collectd_type);
}

static void print_types(void)
{
	const struct deepmon_metric **own = calloc(deepmon_metric_count, sizeof(*own));
	size_t count = 0;

	if (!own)
		return;
	for (size_t i = 0; i < deepmon_metric_count; i++)
		if (deepmon_metric_type_is_own(&deepmon_metric_table[i]))
			own[count++] = &deepmon_metric_table[i];
	qsort(own, count, sizeof(*own), compare_types);
	for (size_t i = 0; i < count; i++)
		if (!i || compare_types(&own[i - 1], &own[i]))
			printf("%-32s value:%s:0:U\n", own[i]->collectd_type,
			       deepmon_metric_is_derive(own[i]) ? "DERIVE" : "GAUGE");
	free(own);
}

/* ---- Options ---------------------------------------------------------------------------------- */

static bool is_number(const struct deepmon_option *option)
{
	return option->type == DEEPMON_OPTION_NUMBER || option->type == DEEPMON_OPTION_COUNT;
}

/* The first word of a CHOICE is its default. */
static const char *preset(const struct deepmon_option *option)
{
	static char word[DEEPMON_TEXT_MAX];
	size_t length =
	    option->type == DEEPMON_OPTION_CHOICE ? strcspn(option->preset, "|") : strlen(option->preset);

	snprintf(word, sizeof(word), "%.*s", (int)length, option->preset);
	return word;
}

/* "0.05 to 60 s", "one of a, b"; "" for text. */
static const char *accepted(const struct deepmon_option *option)
{
	static char text[DEEPMON_TEXT_MAX];

	text[0] = '\0';
	if (is_number(option))
		snprintf(text, sizeof(text), "%.15g to %.15g%s%s", option->least, option->most,
			 *option->unit ? " " : "", option->unit);
	if (option->type == DEEPMON_OPTION_CHOICE)
		snprintf(text, sizeof(text), "%s", option->preset);
	if (option->type == DEEPMON_OPTION_BOOL)
		snprintf(text, sizeof(text), "true|false");
	if (option->type == DEEPMON_OPTION_EVENT)
		snprintf(text, sizeof(text), "a name of `perf list`, a raw code such as r003c, or none");
	if (option->type == DEEPMON_OPTION_LIST)
		snprintf(text, sizeof(text), "names and /regexes/, parted by commas; may be given again");
	return text;
}

static void print_options(void)
{
	puts("| collectd.conf | command line | default | accepted | what it does |\n|---|---|---|---|---|");
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];

		printf("| `%s` | `--%s` | ", option->name, command_line_name(option));
		printf("%s%s%s | ", *preset(option) ? "`" : "", preset(option), *preset(option) ? "`" : "");
		print_cell(accepted(option));
		printf(" | ");
		print_cell(option->help);
		puts(" |");
	}
}

static void print_help(const char *prefix, const struct deepmon_option *option)
{
	char text[4 * DEEPMON_TEXT_MAX];
	const char *range = accepted(option);

	snprintf(text, sizeof(text), "%s%s%s", option->help, *range ? ". Accepted: " : "", range);
	print_wrapped(prefix, text, LINE_WIDTH);
}

/* As collectd's own collectd.conf has it: "#Name value" is an option at its default. */
static void print_collectd_conf(void)
{
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];
		const char *quote = is_number(option) || option->type == DEEPMON_OPTION_BOOL ? "" : "\"";

		print_help("  ## ", option);
		printf("  #%s %s%s%s\n", option->name, quote, preset(option), quote);
	}
}

static void print_telegraf_conf(void)
{
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];

		printf("  ##   \"--%s\", \"%s\"\n", command_line_name(option), preset(option));
		print_help("  ##       ", option);
	}
}

/* ---- Manual pages ----------------------------------------------------------------------------- */

/* Text of a page; what roff would take for a command is escaped. */
static void print_man_text(const char *text)
{
	char escaped[4 * DEEPMON_TEXT_MAX] = "";
	size_t length = 0;

	for (; *text && length < sizeof(escaped) - 3; text++) {
		if (*text == '\\' || *text == '-')
			escaped[length++] = '\\';
		escaped[length] = *text;
		if (*text == '\\')
			escaped[length] = 'e';
		length++;
	}
	print_wrapped("", escaped, MAN_WIDTH);
}

/* What an option takes: words in bold, what stands for something in italics. */
static void print_man_value(const struct deepmon_option *option)
{
	switch (option->type) {
	case DEEPMON_OPTION_TEXT:
	case DEEPMON_OPTION_EVENT:
		printf("\\fIText\\fP");
		break;
	case DEEPMON_OPTION_NUMBER:
	case DEEPMON_OPTION_COUNT:
		printf("\\fI%s\\fP", strcmp(option->unit, "s") == 0   ? "Seconds"
				     : strcmp(option->unit, "W") == 0 ? "Watts"
								      : "Number");
		break;
	case DEEPMON_OPTION_CHOICE:
	case DEEPMON_OPTION_BOOL:
		printf("\\fB");
		for (const char *c = option->type == DEEPMON_OPTION_BOOL ? "true|false" : option->preset; *c;
		     c++)
			if (*c == '|')
				printf("\\fP|\\fB");
			else
				putchar(*c);
		printf("\\fP");
		break;
	case DEEPMON_OPTION_LIST:
		printf("\\fIName\\fP|\\fI/regex/\\fP ...");
		break;
	}
}

static void print_man_help(const struct deepmon_option *option)
{
	char text[4 * DEEPMON_TEXT_MAX];
	bool quoted = !is_number(option);

	print_man_text(option->help);
	puts(".br");
	snprintf(text, sizeof(text), "Default: %s%s%s%s%s%s",
		 quoted && !*preset(option) ? "none" : preset(option),
		 is_number(option) && *option->unit ? " " : "", is_number(option) ? option->unit : "",
		 is_number(option) ? "; from " : "", is_number(option) ? accepted(option) : "",
		 option->type == DEEPMON_OPTION_LIST ? "; may be given again" : "");
	print_man_text(text);
}

static void print_man_collectd(void)
{
	for (size_t i = 0; i < deepmon_option_count; i++) {
		printf(".TP\n\\fB%s\\fP ", deepmon_option_table[i].name);
		print_man_value(&deepmon_option_table[i]);
		putchar('\n');
		print_man_help(&deepmon_option_table[i]);
	}
}

static void print_man_dashed(const char *name)
{
	printf(".TP\n\\fB\\-\\-");
	for (; *name; name++)
		printf("%s%c", *name == '-' ? "\\" : "", *name);
	printf("\\fP ");
}

static void print_man_execd(void)
{
	for (size_t i = 0; i < deepmon_option_count; i++) {
		print_man_dashed(command_line_name(&deepmon_option_table[i]));
		print_man_value(&deepmon_option_table[i]);
		putchar('\n');
		print_man_help(&deepmon_option_table[i]);
	}
}

static void print_man_own(void)
{
	for (size_t i = 0; i < execd_option_count; i++) {
		const struct execd_option *option = &execd_option_table[i];

		print_man_dashed(option->name);
		printf("\\fI%s\\fP\n", option->value);
		print_man_text(option->help);
		if (*option->preset)
			printf(".br\nDefault: %s\n", option->preset);
	}
}

/* ---- Files ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	void (*print)(void);
} parts[] = {
    {"metrics", print_metrics},
    {"options", print_options},
    {"types.db", print_types},
    {"collectd.conf", print_collectd_conf},
    {"telegraf.conf", print_telegraf_conf},
    {"options.five", print_man_collectd},
    {"options.eight", print_man_execd},
    {"execd.own", print_man_own},
    {"collectd-rows", print_collectd_rows},
};

static bool print_part(const char *name)
{
	for (size_t i = 0; i < COUNT(parts); i++) {
		if (strcmp(parts[i].name, name) != 0)
			continue;
		parts[i].print();
		return true;
	}
	return false;
}

/* ---- The contents of a page of Markdown ---------------------------------------------------------- */

/* The address of a heading, as GitHub and GitLab make it. */
static void print_anchor(const char *title)
{
	for (; *title; title++)
		if (isalnum((unsigned char)*title) || *title == '-' || *title == '_')
			putchar(tolower((unsigned char)*title));
		else if (*title == ' ')
			putchar('-');
}

/* Headings of the second level, a line each, with those of the third in it. */
static void print_contents(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[8192];
	bool in_code = false, has_parts = false, begun = false;

	while (file && fgets(line, sizeof(line), file)) {
		size_t level = strspn(line, "#");
		char *title = line + level + strspn(line + level, " ");

		in_code ^= strncmp(line, "```", 3) == 0;
		if (in_code || (level != 2 && level != 3))
			continue;
		title[strcspn(title, "\n")] = '\0';
		if (level == 2)
			fputs(begun ? "\n- " : "- ", stdout);
		else
			fputs(has_parts ? ", " : ": ", stdout);
		has_parts = level == 3;
		begun = true;
		printf("[%s](#", title);
		print_anchor(title);
		putchar(')');
	}
	if (begun)
		putchar('\n');
	if (file)
		fclose(file);
}

/* What a line says behind the marks of a comment, in Markdown, a configuration or a manual page. */
static const char *comment(const char *line)
{
	return strncmp(line, ".\\\"", 3) == 0 ? line + 3 + strspn(line + 3, " ")
					      : line + strspn(line, " \t#<!-");
}

static bool is_end(const char *line)
{
	const char *text = comment(line);

	return text != line && !strncmp(text, "end", 3) && !text[3 + strspn(text + 3, " \t->\n")];
}

static int fill(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[8192], name[NAME_LENGTH];
	bool inside = false;

	if (!file) {
		perror(path);
		return EXIT_FAILURE;
	}
	while (fgets(line, sizeof(line), file)) {
		inside = inside && !is_end(line);
		if (inside)
			continue;
		fputs(line, stdout);
		if (comment(line) == line || sscanf(comment(line), "generated: %63[a-z.]", name) != 1)
			continue;
		inside = true;
		if (strcmp(name, "contents") == 0)
			print_contents(path);
		else
			inside = print_part(name);
	}
	if (inside)
		fprintf(stderr, "catalogue: %s: the region of %s has no end\n", path, name);
	fclose(file);
	return inside ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "fill"))
		return fill(argv[2]);
	if (argc == 2 && print_part(argv[1]))
		return EXIT_SUCCESS;
	fputs("Usage: catalogue PART | catalogue fill FILE\n", stderr);
	return EXIT_FAILURE;
}
