/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Questions in InfluxQL and Flux, by the catalogue.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "influx_names.h"

/* How each API writes what both have. */
struct words {
	const char *before, *after; /* a tag's name, for its value */
	const char *equals;	    /* between that and a text, */
	char quote;		    /* which stands in these */
	const char *and, * or ;
};

static const struct words words_of[] = {
    [INFLUX_QL] = {"\"", "\"", " = ", '\'', " AND ", " OR "},
    [INFLUX_FLUX] = {"r[\"", "\"]", " == ", '"', " and ", " or "},
};

static void write_tag(FILE *out, const struct words *words, const char *name)
{
	fprintf(out, "%s%s%s", words->before, name, words->after);
}

/* That a tag, or in Flux a field's name, is a text. */
static void write_is(FILE *out, const struct words *words, const char *name, const char *text, size_t length)
{
	write_tag(out, words, name);
	fprintf(out, "%s%c%.*s%c", words->equals, words->quote, (int)length, text, words->quote);
}

static bool is_wanted(const struct influx_want *want, const struct deepmon_measurement *measurement,
		      enum top_figure figure)
{
	return want->figures[measurement->entity][figure] &&
	       top_figure_subject(figure) == measurement->subject;
}

static bool is_anything_wanted(const struct influx_want *want, const struct deepmon_measurement *measurement)
{
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		if (is_wanted(want, measurement, (enum top_figure)figure))
			return true;
	return false;
}

/* A list whose members are parted by a word. */
struct list {
	FILE *out;
	const char *begin, *between;
	bool begun;
};

static FILE *next(struct list *list)
{
	fputs(list->begun ? list->between : list->begin, list->out);
	list->begun = true;
	return list->out;
}

/* Whether an earlier figure that is wanted has the same metric, or is in the same record. */
static bool is_again(const struct influx_want *want, const struct deepmon_measurement *measurement,
		     int figure, bool by_metric)
{
	for (int before = 0; before < figure; before++) {
		if (!is_wanted(want, measurement, (enum top_figure)before))
			continue;
		if (by_metric ? top_figure_metric((enum top_figure)before) ==
				    top_figure_metric((enum top_figure)figure)
			      : !strcmp(top_figure_which((enum top_figure)before),
					top_figure_which((enum top_figure)figure)))
			return true;
	}
	return false;
}

/* ---- Line protocol ------------------------------------------------------------------------------ */

/* A field: in InfluxQL what is selected, in Flux what a row is of. */
static void write_field(struct list *list, enum influx_api api, const char *key)
{
	if (api == INFLUX_QL)
		write_tag(next(list), &words_of[api], key);
	else
		write_is(next(list), &words_of[api], "_field", key, strlen(key));
}

/* Each field that is wanted, and those that are labels, once for each entity. */
static void write_fields(struct list *list, const struct influx_dialect *dialect,
			 const struct influx_want *want, const struct deepmon_measurement *measurement)
{
	if (dialect->schema == INFLUX_COLLECTD) {
		write_field(list, dialect->api, "value");
		return;
	}
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		if (is_wanted(want, measurement, (enum top_figure)figure) &&
		    !is_again(want, measurement, figure, true))
			write_field(list, dialect->api, top_figure_metric((enum top_figure)figure)->field);
	for (size_t i = 0; i < deepmon_label_count && measurement->subject == DEEPMON_SUBJECT_CPU; i++)
		if (!deepmon_label_table[i].tag &&
		    deepmon_measurement_has(measurement, &deepmon_label_table[i]))
			write_field(list, dialect->api, deepmon_label_table[i].key);
}

/* The labels that have the words of which record it is, in their order. */
static void write_which(FILE *out, const struct words *words, const char *labels, const char *which)
{
	struct list list = {.out = out, .begin = "(", .between = words->and };

	while (*which && *labels) {
		size_t length = strcspn(which, "-"), label_length = strcspn(labels, ",");
		char label[64];

		snprintf(label, sizeof(label), "%.*s", (int)label_length, labels);
		write_is(next(&list), words, label, which, length);
		which += length + (which[length] == '-');
		labels += label_length + strspn(labels + label_length, ", ");
	}
	fputc(')', out);
}

/* Those records in which something is wanted. */
static void write_records(FILE *out, const struct words *words, const struct influx_want *want,
			  const struct deepmon_measurement *measurement)
{
	struct list list = {.out = out, .begin = "(", .between = words->or };

	fputs(words->and, out);
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		if (is_wanted(want, measurement, (enum top_figure)figure) &&
		    !is_again(want, measurement, figure, false))
			write_which(next(&list), words, measurement->labels,
				    top_figure_which((enum top_figure)figure));
	fputc(')', out);
}

static bool has_which(const struct influx_want *want, const struct deepmon_measurement *measurement)
{
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++)
		if (is_wanted(want, measurement, (enum top_figure)figure) &&
		    *top_figure_which((enum top_figure)figure))
			return true;
	return false;
}

/* ---- collectd ----------------------------------------------------------------------------------- */

/* How type instances begin; of processes, whose names come first behind the metric's word, that word. */
static void write_type_instances(FILE *out, const struct influx_want *want,
				 const struct deepmon_measurement *measurement, const char *type)
{
	struct list list = {.out = out, .begin = "/^(", .between = "|"};

	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		const struct deepmon_metric *metric = top_figure_metric((enum top_figure)figure);
		bool of_parts = measurement->entity == DEEPMON_PROCESS;
		const char *which = of_parts ? "" : top_figure_which((enum top_figure)figure);

		if (!is_wanted(want, measurement, (enum top_figure)figure) ||
		    strcmp(metric->collectd_type, type) != 0)
			continue;
		fprintf(next(&list), "%s%s%s%s", metric->collectd_instance,
			*metric->collectd_instance && *which ? "-" : "", which,
			of_parts && !*metric->collectd_instance ? ".*" : "");
	}
	fputs(")(-|$)/", out);
}

static void write_type(FILE *out, const struct influx_dialect *dialect, const struct influx_want *want,
		       const struct deepmon_measurement *measurement, const char *type)
{
	const struct words *words = &words_of[dialect->api];

	fputc('(', out);
	write_is(out, words, "type", type, strlen(type));
	fputs(words->and, out);
	/* In Flux a tag that is not there is no empty text. */
	if (dialect->api == INFLUX_FLUX)
		fputs("(if exists r[\"type_instance\"] then r[\"type_instance\"] else \"\")", out);
	else
		write_tag(out, words, "type_instance");
	fputs(" =~ ", out);
	write_type_instances(out, want, measurement, type);
	fputc(')', out);
}

/* Each type once, and the entity, which an experiment's name may precede. */
static void write_identifiers(FILE *out, const struct influx_dialect *dialect, const struct influx_want *want,
			      const struct deepmon_measurement *measurement)
{
	const struct words *words = &words_of[dialect->api];
	struct list list = {.out = out, .begin = "(", .between = words->or };

	fputs(words->and, out);
	write_tag(out, words, "instance");
	fprintf(out, " =~ /^(.*-)?%s%s/", deepmon_entity_name(measurement->entity),
		*deepmon_entity_instance(measurement->entity) ? "-" : "$");
	fputs(words->and, out);
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		const char *type = top_figure_metric((enum top_figure)figure)->collectd_type;
		bool again = false;

		if (!is_wanted(want, measurement, (enum top_figure)figure))
			continue;
		for (int before = 0; before < figure; before++)
			again |= is_wanted(want, measurement, (enum top_figure)before) &&
				 !strcmp(top_figure_metric((enum top_figure)before)->collectd_type, type);
		if (!again)
			write_type(next(&list), dialect, want, measurement, type);
	}
	fputc(')', out);
}

/* ---- Questions ---------------------------------------------------------------------------------- */

static void write_conditions(FILE *out, const struct influx_dialect *dialect, const struct influx_want *want,
			     const struct deepmon_measurement *measurement)
{
	if (dialect->schema == INFLUX_COLLECTD)
		write_identifiers(out, dialect, want, measurement);
	else if (has_which(want, measurement))
		write_records(out, &words_of[dialect->api], want, measurement);
}

static void write_ql(FILE *out, const struct influx_dialect *dialect, const struct influx_want *want,
		     const struct deepmon_measurement *measurement, const char *name)
{
	struct list list = {.out = out, .begin = "SELECT ", .between = ", "};

	write_fields(&list, dialect, want, measurement);
	fprintf(out, " FROM \"%s\" WHERE time > now() - %.0fms", name, dialect->window * 1000);
	write_conditions(out, dialect, want, measurement);
	fprintf(out, " GROUP BY * ORDER BY time DESC LIMIT %d", INFLUX_POINTS);
}

static void write_flux(FILE *out, const struct influx_dialect *dialect, const struct influx_want *want,
		       const struct deepmon_measurement *measurement, const char *name)
{
	struct list list = {.out = out, .begin = " and (", .between = " or "};

	fputs("from(bucket: \"", out);
	for (const char *c = dialect->bucket; *c; c++)
		fprintf(out, "%s%c", *c == '"' || *c == '\\' || *c == '$' ? "\\" : "", *c);
	/* A host's clock may be ahead. */
	fprintf(out,
		"\") |> range(start: -%.0fms, stop: 1h) |> filter(fn: (r) => r[\"_measurement\"] == \"%s\"",
		dialect->window * 1000, name);
	write_fields(&list, dialect, want, measurement);
	fputc(')', out);
	write_conditions(out, dialect, want, measurement);
	fprintf(out, ") |> tail(n: %d) |> drop(columns: [\"_start\", \"_stop\"])", INFLUX_POINTS);
}

char *influx_query(const struct influx_dialect *dialect, const struct influx_want *want,
		   const struct deepmon_measurement *measurement, int *r)
{
	char name[128] = INFLUX_COLLECTD_MEASUREMENT, *text = NULL;
	size_t size;
	FILE *out;
	bool whole;

	*r = 0;
	if (!is_anything_wanted(want, measurement))
		return NULL;
	out = open_memstream(&text, &size);
	if (!out) {
		*r = -ENOMEM;
		return NULL;
	}
	if (dialect->schema == INFLUX_LINES)
		snprintf(name, sizeof(name), "deepmon_%s%s", deepmon_entity_name(measurement->entity),
			 deepmon_subject_suffix(measurement->subject));
	if (dialect->api == INFLUX_QL)
		write_ql(out, dialect, want, measurement, name);
	else
		write_flux(out, dialect, want, measurement, name);
	whole = !ferror(out);
	if (fclose(out) || !whole) {
		free(text);
		*r = -ENOMEM;
		return NULL;
	}
	return text;
}
