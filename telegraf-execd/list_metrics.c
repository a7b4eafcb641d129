/* SPDX-License-Identifier: GPL-3.0-only
 *
 * --list-metrics: what stands in the lines, by the catalogue.
 */
#include <stdio.h>

#include "modes.h"

static void print_measurement(const struct deepmon_measurement *measurement)
{
	printf("deepmon_%s%s", deepmon_entity_name(measurement->entity),
	       deepmon_subject_suffix(measurement->subject));
}

static void print_labels(const struct deepmon_measurement *measurement)
{
	for (size_t i = 0; i < deepmon_label_count; i++) {
		const struct deepmon_label_kind *label = &deepmon_label_table[i];

		if (!deepmon_measurement_has(measurement, label))
			continue;
		print_measurement(measurement);
		printf("\t%s\t%s\tstring\t\t\t%s\n", label->tag ? "tag" : "field", label->key, label->help);
	}
}

static void print_fields(const struct deepmon_measurement *measurement)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(measurement->subject, &count);

	for (size_t i = 0; i < count; i++) {
		print_measurement(measurement);
		printf("\tfield\t%s\t%s\t%s\t%s\t%s\n", metrics[i].field,
		       metrics[i].type == DEEPMON_U64 ? "integer" : "float", metrics[i].unit,
		       metrics[i].kind == DEEPMON_COUNTER ? "counter" : "gauge", metrics[i].help);
	}
}

int mode_list_metrics(void)
{
	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		print_labels(&deepmon_measurement_table[i]);
		print_fields(&deepmon_measurement_table[i]);
	}
	return 0;
}
