/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Looking into a sample: its records by name, their figures, and what holds for any.
 */
#ifndef TESTS_SAMPLE_LOOK_H
#define TESTS_SAMPLE_LOOK_H

#include <check.h>
#include <math.h>
#include <string.h>

#include "../../common/sample.h"
#include "random.h"

static struct sample sample;
__attribute__((unused)) static const struct deepmon_record *
find(enum deepmon_entity entity, enum deepmon_subject subject, const char *instance, const char *qualifier)
{
	for (size_t i = 0; i < sample.view.record_count; i++) {
		const struct deepmon_record *record = &sample.view.records[i];

		if (record->entity == entity && record->subject == subject &&
		    !strcmp(record->instance, instance) && !strcmp(record->qualifier, qualifier))
			return record;
	}
	return NULL;
}

__attribute__((unused)) static size_t count_of(enum deepmon_entity entity, enum deepmon_subject subject)
{
	size_t count = 0;

	for (size_t i = 0; i < sample.view.record_count; i++)
		count += sample.view.records[i].entity == entity && sample.view.records[i].subject == subject;
	return count;
}

__attribute__((unused)) static size_t count_of_subject(enum deepmon_subject subject)
{
	size_t count = 0;

	for (int entity = 0; entity < DEEPMON_ENTITY_COUNT; entity++)
		count += count_of((enum deepmon_entity)entity, subject);
	return count;
}

/* NAN: it is not told. */
__attribute__((unused)) static double value(const struct deepmon_record *record, const char *field)
{
	size_t count;
	double told;

	if (!record)
		return NAN;

	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(metrics[i].field, field))
			return deepmon_value_double(record, &metrics[i], &told) ? told : NAN;
	ck_abort_msg("there is no metric %s", field);
}

__attribute__((unused)) static void assert_is(const char *what, double told, double truth)
{
	ck_assert_msg(fabs(told - truth) <= 1e-9 * fabs(truth), "%s is %g, not %g", what, told, truth);
}

#define assert_told(record, field, truth) assert_is(#record ": " field, value(record, field), (double)(truth))
#define assert_untold(record, field) \
	ck_assert_msg(isnan(value(record, field)), "%s: %s is %g", #record, field, value(record, field))

__attribute__((unused)) static const struct deepmon_record *energy_of(enum deepmon_entity entity,
								      const char *instance)
{
	return find(entity, DEEPMON_SUBJECT_ENERGY, instance, "package-fake");
}

/* What deepmon.h promises of any sample. */
static void check_record(const struct deepmon_record *record)
{
	size_t count;
	uint64_t bits = 0;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);

	for (unsigned i = 0; i < record->label_count; i++) {
		must(*record->labels[i].key && record->labels[i].value && *record->labels[i].value);
		must(!i || strcmp(record->labels[i - 1].key, record->labels[i].key) < 0);
	}
	for (size_t i = 0; i < count; i++) {
		double told = 0;

		bits |= metrics[i].valid;
		deepmon_value_double(record, &metrics[i], &told);
		must(told >= 0 && told < 1e30);
	}
	must(record->valid && !(record->valid & ~bits));
}

static void check_sample(void)
{
	for (size_t i = 0; i < sample.view.record_count; i++) {
		const struct deepmon_record *record = &sample.view.records[i];

		check_record(record);
		must(find(record->entity, record->subject, record->instance, record->qualifier) == record);
	}
}

#endif
