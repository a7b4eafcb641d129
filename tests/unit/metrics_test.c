/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The catalogue of metrics: that its rows agree with each other, and how values are read by it.
 */
#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/deepmon.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* ---- The rows ---------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
	if (!islower((unsigned char)*text))
		return false;
	while (islower((unsigned char)*text) || isdigit((unsigned char)*text) || *text == '_')
		text++;
	return !*text;
}

START_TEST(a_row_is_complete)
{
	const struct deepmon_metric *metric = &deepmon_metric_table[_i];

	ck_assert_msg(is_name(metric->field), "%s", metric->field);
	ck_assert_msg(is_name(metric->collectd_type), "%s: %s", metric->field, metric->collectd_type);
	ck_assert_msg(!*metric->collectd_instance || is_name(metric->collectd_instance), "%s: %s",
		      metric->field, metric->collectd_instance);
	ck_assert_msg(strcmp(metric->field, "time") != 0, "InfluxDB keeps that name for itself");
	ck_assert_msg(*metric->help && !strpbrk(metric->help, "\n\t"), "%s", metric->field);
	ck_assert_msg(metric->subject < DEEPMON_SUBJECT_COUNT, "%s", metric->field);
	ck_assert_uint_eq(metric->offset % 8, 0);
	ck_assert_uint_lt(metric->offset, sizeof(((struct deepmon_record *)0)->values));
	ck_assert_msg(__builtin_popcountll(metric->valid) == 1, "%s", metric->field);
}
END_TEST

/* The unit is in the name, where there is one. */
START_TEST(a_field_says_its_unit)
{
	static const struct {
		const char *unit, *suffix;
	} suffixes[] = {
	    {"ns", "_ns"}, {"J", "_joules"}, {"W", "_watts"}, {"B", "_bytes"}, {"percent", "_percent"}};
	const struct deepmon_metric *metric = &deepmon_metric_table[_i];

	for (size_t i = 0; i < COUNT(suffixes); i++) {
		size_t length = strlen(metric->field), suffix_length = strlen(suffixes[i].suffix);

		if (strcmp(metric->unit, suffixes[i].unit) != 0)
			continue;
		ck_assert_msg(length > suffix_length &&
				  !strcmp(metric->field + length - suffix_length, suffixes[i].suffix),
			      "%s is in %s", metric->field, metric->unit);
	}
}
END_TEST

/* Within a subject fields differ, and so do their places, bits and names in collectd. */
START_TEST(no_two_are_the_same)
{
	const struct deepmon_metric *one = &deepmon_metric_table[_i];

	for (int j = 0; j < _i; j++) {
		const struct deepmon_metric *other = &deepmon_metric_table[j];

		if (one->subject != other->subject)
			continue;
		ck_assert_str_ne(one->field, other->field);
		ck_assert_uint_ne(one->offset, other->offset);
		ck_assert_uint_ne(one->valid, other->valid);
		ck_assert_msg(strcmp(one->collectd_type, other->collectd_type) != 0 ||
				  strcmp(one->collectd_instance, other->collectd_instance) != 0,
			      "%s and %s are one in collectd", one->field, other->field);
	}
}
END_TEST

/* A type of ours can't be a DERIVE for one metric and a GAUGE for another. */
START_TEST(a_collectd_type_is_of_one_kind)
{
	const struct deepmon_metric *one = &deepmon_metric_table[_i];

	for (int j = 0; j < _i; j++) {
		const struct deepmon_metric *other = &deepmon_metric_table[j];

		if (deepmon_metric_type_is_own(one) && !strcmp(one->collectd_type, other->collectd_type))
			ck_assert_msg(deepmon_metric_is_derive(one) == deepmon_metric_is_derive(other),
				      "%s: %s and %s", one->collectd_type, one->field, other->field);
	}
}
END_TEST

START_TEST(metrics_of_a_subject_are_all_of_them)
{
	size_t sum = 0;

	for (int subject = 0; subject < DEEPMON_SUBJECT_COUNT; subject++) {
		size_t count;
		const struct deepmon_metric *metrics = deepmon_metrics_of(subject, &count);

		ck_assert_uint_gt(count, 0);
		ck_assert_ptr_eq(metrics, &deepmon_metric_table[sum]);
		for (size_t i = 0; i < count; i++) {
			ck_assert_int_eq(metrics[i].subject, subject);
			ck_assert_uint_eq(metrics[i].valid, 1ull << i);
		}
		sum += count;
	}
	ck_assert_uint_eq(sum, deepmon_metric_count);
}
END_TEST

START_TEST(a_kind_in_collectd)
{
	static const struct {
		struct deepmon_metric metric;
		bool own, derive;
	} metrics[] = {
	    {{.type = DEEPMON_U64, .kind = DEEPMON_COUNTER, .collectd_type = "deepmon_x"}, true, true},
	    {{.type = DEEPMON_U64, .kind = DEEPMON_GAUGE, .collectd_type = "deepmon_"}, true, false},
	    {{.type = DEEPMON_F64, .kind = DEEPMON_COUNTER, .collectd_type = "deepmon"}, false, false},
	    {{.type = DEEPMON_MICRO, .kind = DEEPMON_COUNTER, .collectd_type = "energy"}, false, false},
	};

	for (size_t i = 0; i < COUNT(metrics); i++) {
		ck_assert_int_eq(deepmon_metric_type_is_own(&metrics[i].metric), metrics[i].own);
		ck_assert_int_eq(deepmon_metric_is_derive(&metrics[i].metric), metrics[i].derive);
	}
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(deepmon_entity_name(DEEPMON_CONTAINER), "container");
	ck_assert_str_eq(deepmon_subject_suffix(DEEPMON_SUBJECT_ENERGY), "_energy");
	ck_assert_str_eq(deepmon_subject_suffix(DEEPMON_SUBJECT_CPU), "");
	for (int entity = 0; entity < DEEPMON_ENTITY_COUNT; entity++) {
		ck_assert(is_name(deepmon_entity_name(entity)));
		ck_assert(*deepmon_entity_help(entity));
	}
}
END_TEST

/* ---- Labels and measurements ------------------------------------------------------------------- */

#define LABEL_KEY(key, KIND, help) #key,
static const char *const label_keys[] = {DEEPMON_LABEL_ROWS(LABEL_KEY)};

#define ENTITY_LABELS(CONSTANT, name, help, labels, instance)  labels, instance,
#define MEASUREMENT_LABELS(ENTITY, SUBJECT, labels, qualifier) labels, qualifier,
static const char *const label_lists[] = {DEEPMON_ENTITIES(ENTITY_LABELS)
					      DEEPMON_MEASUREMENTS(MEASUREMENT_LABELS)};

static bool is_label(const char *key, size_t length)
{
	for (size_t i = 0; i < COUNT(label_keys); i++)
		if (strlen(label_keys[i]) == length && !strncmp(label_keys[i], key, length))
			return true;
	return false;
}

START_TEST(labels_are_sorted)
{
	for (size_t i = 1; i < COUNT(label_keys); i++)
		ck_assert_str_lt(label_keys[i - 1], label_keys[i]);
}
END_TEST

START_TEST(a_label_in_a_row_has_a_row_of_its_own)
{
	const char *list = label_lists[_i];

	while (*list) {
		size_t length = strcspn(list, ",-");

		ck_assert_msg(is_label(list, length), "%.*s is not in DEEPMON_LABEL_ROWS", (int)length, list);
		list += length;
		list += strspn(list, ",- ");
	}
}
END_TEST

#define MEASUREMENT_ROW(ENTITY, SUBJECT, labels, qualifier) \
	{DEEPMON_##ENTITY, DEEPMON_SUBJECT_##SUBJECT, qualifier},
static const struct {
	enum deepmon_entity entity;
	enum deepmon_subject subject;
	const char *qualifier;
} measurements[] = {DEEPMON_MEASUREMENTS(MEASUREMENT_ROW)};

START_TEST(a_subject_is_told_of_something)
{
	bool told = false;

	for (size_t i = 0; i < COUNT(measurements); i++)
		told |= (int)measurements[i].subject == _i;
	ck_assert_msg(told, "no row of DEEPMON_MEASUREMENTS has the subject of suffix \"%s\", number %d",
		      deepmon_subject_suffix(_i), _i);
}
END_TEST

static void assert_apart(const struct deepmon_metric *one, const struct deepmon_metric *other,
			 bool measurement, bool qualifier)
{
	ck_assert_msg(!measurement || strcmp(one->field, other->field) != 0, "%s is twice in a measurement",
		      one->field);
	ck_assert_msg(!qualifier || strcmp(one->collectd_type, other->collectd_type) != 0 ||
			  strcmp(one->collectd_instance, other->collectd_instance) != 0,
		      "%s and %s are one in collectd", one->field, other->field);
}

/* Two subjects of one entity may have one name in Telegraf, or one in collectd: their metrics must differ. */
START_TEST(what_is_told_of_an_entity_does_not_collide)
{
	size_t count, other_count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(measurements[_i].subject, &count);

	for (int j = 0; j < _i; j++) {
		const struct deepmon_metric *others =
		    deepmon_metrics_of(measurements[j].subject, &other_count);

		if (measurements[j].entity != measurements[_i].entity)
			continue;
		ck_assert_int_ne(measurements[j].subject, measurements[_i].subject);
		for (size_t a = 0; a < count; a++)
			for (size_t b = 0; b < other_count; b++)
				assert_apart(&metrics[a], &others[b],
					     !strcmp(deepmon_subject_suffix(measurements[j].subject),
						     deepmon_subject_suffix(measurements[_i].subject)),
					     !strcmp(measurements[j].qualifier, measurements[_i].qualifier));
	}
}
END_TEST

/* ---- Values ------------------------------------------------------------------------------------ */

/* Writes what the metric has into a record of its subject, in its own type. */
static void fill(struct deepmon_record *record, const struct deepmon_metric *metric, uint64_t number)
{
	char *member = (char *)&record->values + metric->offset;

	memset(record, 0, sizeof(*record));
	record->subject = metric->subject;
	record->valid = metric->valid;
	if (metric->type == DEEPMON_F64)
		*(double *)member = (double)number + 0.5;
	else
		*(uint64_t *)member = number;
}

START_TEST(a_value_is_read_in_its_type)
{
	const struct deepmon_metric *metric = &deepmon_metric_table[_i];
	struct deepmon_record record;
	uint64_t number = 1;
	double value = 1;

	fill(&record, metric, 7000001);
	ck_assert(deepmon_value_double(&record, metric, &value));
	switch (metric->type) {
	case DEEPMON_U64:
		ck_assert(deepmon_value_u64(&record, metric, &number));
		ck_assert_uint_eq(number, 7000001);
		ck_assert_double_eq(value, 7000001);
		break;
	case DEEPMON_MICRO:
		ck_assert(deepmon_value_u64(&record, metric, &number));
		ck_assert_uint_eq(number, 7000001);
		ck_assert_double_eq(value, 7.000001);
		break;
	case DEEPMON_F64:
		ck_assert(!deepmon_value_u64(&record, metric, &number));
		ck_assert_uint_eq(number, 1);
		ck_assert_double_eq(value, 7000001.5);
		break;
	}
}
END_TEST

START_TEST(what_was_not_measured_is_absent)
{
	const struct deepmon_metric *metric = &deepmon_metric_table[_i];
	struct deepmon_record record;
	uint64_t number = 42;
	double value = 42;

	fill(&record, metric, 7);
	record.valid = ~metric->valid;
	ck_assert(!deepmon_value_u64(&record, metric, &number));
	ck_assert(!deepmon_value_double(&record, metric, &value));
	record.valid = metric->valid;
	record.subject = (metric->subject + 1) % DEEPMON_SUBJECT_COUNT;
	ck_assert(!deepmon_value_u64(&record, metric, &number));
	ck_assert(!deepmon_value_double(&record, metric, &value));
	ck_assert_uint_eq(number, 42);
	ck_assert_double_eq(value, 42);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *rows = tcase_create("rows");
	TCase *labels = tcase_create("labels");
	TCase *values = tcase_create("values");
	SRunner *runner = srunner_create(suite);
	int count = (int)deepmon_metric_count;

	tcase_add_loop_test(rows, a_row_is_complete, 0, count);
	tcase_add_loop_test(rows, a_field_says_its_unit, 0, count);
	tcase_add_loop_test(rows, no_two_are_the_same, 0, count);
	tcase_add_loop_test(rows, a_collectd_type_is_of_one_kind, 0, count);
	tcase_add_test(rows, metrics_of_a_subject_are_all_of_them);
	tcase_add_test(rows, a_kind_in_collectd);
	tcase_add_test(rows, names);
	tcase_add_test(labels, labels_are_sorted);
	tcase_add_loop_test(labels, a_label_in_a_row_has_a_row_of_its_own, 0, COUNT(label_lists));
	tcase_add_loop_test(labels, a_subject_is_told_of_something, 0, DEEPMON_SUBJECT_COUNT);
	tcase_add_loop_test(labels, what_is_told_of_an_entity_does_not_collide, 0, COUNT(measurements));
	tcase_add_loop_test(values, a_value_is_read_in_its_type, 0, count);
	tcase_add_loop_test(values, what_was_not_measured_is_absent, 0, count);
	suite_add_tcase(suite, rows);
	suite_add_tcase(suite, labels);
	suite_add_tcase(suite, values);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
