/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-top makes of an InfluxDB, without one: names there and back, questions, answers in both forms,
 * and rows of several hosts.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../collectd-plugin/identifier.h"
#include "../../contrib/top/influx_rows.h"

#define SECOND 1000000000ull
#define T0     1700000000000000000ull

static struct influx_rows rows;
static struct top_model model;

static void begin(void)
{
	influx_rows_init(&rows, 100, true);
	top_model_init(&model, 4);
}

static void end(void)
{
	influx_rows_clear(&rows);
	top_model_clear(&model);
}

/* ---- Series ------------------------------------------------------------------------------------- */

static struct influx_series series_of(const char *measurement, const char *host)
{
	struct influx_series series = {.measurement = measurement, .count = 2, .times_ns = {T0, T0 - SECOND}};

	series.tags[series.tag_count++] = (struct influx_tag){"host", host};
	return series;
}

static void tag(struct influx_series *series, const char *key, const char *value)
{
	series->tags[series->tag_count++] = (struct influx_tag){key, value};
}

static void field(struct influx_series *series, const char *key, double newest, double before)
{
	series->fields[series->field_count++] =
	    (struct influx_field){.key = key, .values = {newest, before}, .has = {true, true}};
}

static void take(const struct influx_series *series)
{
	ck_assert_int_eq(influx_rows_take(&rows, series), 0);
}

static const struct top_row *row_of(const char *instance)
{
	for (size_t i = 0; i < model.count; i++)
		if (!strcmp(model.rows[i]->instance, instance) && model.rows[i]->shown)
			return model.rows[i];
	return NULL;
}

/* ---- Names there and back ----------------------------------------------------------------------- */

static bool is_in_a_terminal(enum deepmon_entity entity)
{
	return entity == DEEPMON_CONTAINER || entity == DEEPMON_SYSTEM || entity == DEEPMON_PROCESS ||
	       entity == DEEPMON_TOTAL || entity == DEEPMON_HOST;
}

/* A record's labels, each with a value that such a label may well have. */
static void label_record(struct deepmon_record *record, const struct deepmon_measurement *measurement,
			 char qualifier[256])
{
	static const char *const values[][2] = {
	    {"domain", "package"}, {"source", "powercap"}, {"protocol", "http"},
	    {"role", "both"},	   {"device", "dm-0"},	   {"latency", "file_read"},
	    {"gt", "0.5"},	   {"le", "+Inf"},	   {"process", "a-b cycles"}};
	const char *labels = measurement->qualifier;

	qualifier[0] = '\0';
	record->qualifier = qualifier;
	while (*labels) {
		size_t length = strcspn(labels, "-");

		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			if (strlen(values[i][0]) != length || strncmp(labels, values[i][0], length) != 0)
				continue;
			record->labels[record->label_count++] =
			    (struct deepmon_label){values[i][0], values[i][1], true};
			sprintf(qualifier + strlen(qualifier), "%s%s", *qualifier ? "-" : "", values[i][1]);
		}
		labels += length + (labels[length] == '-');
	}
}

static const char *label_of(const struct deepmon_record *record, const char *key)
{
	for (unsigned i = 0; i < record->label_count; i++)
		if (!strcmp(record->labels[i].key, key))
			return record->labels[i].value;
	return "";
}

static void check_same(const struct influx_records *records, const struct deepmon_record *written,
		       const struct deepmon_metric *metric, const char *name)
{
	const struct deepmon_record *read = &records->records[0];
	double value;

	ck_assert_msg(read->entity == written->entity && read->subject == written->subject,
		      "%s: %s%s, where it was %s%s", name, deepmon_entity_name(read->entity),
		      deepmon_subject_suffix(read->subject), deepmon_entity_name(written->entity),
		      deepmon_subject_suffix(written->subject));
	ck_assert_str_eq(read->instance, written->instance);
	ck_assert_msg(read->valid == metric->valid, "%s: is not %s", name, metric->field);
	ck_assert(deepmon_value_double(read, metric, &value));
	ck_assert_double_eq(value, 7);
	ck_assert(deepmon_value_double(&records->records[1], metric, &value));
	ck_assert_double_eq(value, 4);
	for (unsigned i = 0; i < written->label_count; i++)
		ck_assert_str_eq(label_of(read, written->labels[i].key), written->labels[i].value);
}

/* Each metric of each measurement that a terminal shows, as the plugin names it, with an experiment or not.
 */
START_TEST(collectd_names_come_back)
{
	size_t checked = 0, count;

	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		const struct deepmon_measurement *measurement = &deepmon_measurement_table[i];
		const struct deepmon_metric *metrics = deepmon_metrics_of(measurement->subject, &count);
		bool named = *deepmon_entity_instance(measurement->entity);
		struct deepmon_record record = {.entity = measurement->entity,
						.subject = measurement->subject,
						.instance = named ? "web-1-host" : ""};
		struct identifiers none = {0};
		char qualifier[256], instance[128], type_instance[128], experiment[160];
		struct influx_records records;

		if (!is_in_a_terminal(measurement->entity))
			continue;
		label_record(&record, measurement, qualifier);
		identifier_instance(&none, &record, instance, sizeof(instance));
		snprintf(experiment, sizeof(experiment), "night-run 1-%s", instance);
		for (size_t metric = 0; metric < 2 * count; metric++) {
			const struct deepmon_metric *of = &metrics[metric / 2];
			struct influx_series series = series_of(INFLUX_COLLECTD_MEASUREMENT, "a");

			identifier_type_instance(&record, of, type_instance, sizeof(type_instance));
			tag(&series, "instance", metric % 2 ? experiment : instance);
			tag(&series, "type", of->collectd_type);
			if (*type_instance)
				tag(&series, "type_instance", type_instance);
			field(&series, "value", 7, 4);
			ck_assert_msg(influx_records_read(&records, &series), "%s %s %s is nothing", instance,
				      of->collectd_type, type_instance);
			check_same(&records, &record, of, type_instance);
			checked++;
		}
	}
	ck_assert_uint_gt(checked, 300);
}
END_TEST

START_TEST(lines_come_back)
{
	size_t count;

	for (size_t i = 0; i < deepmon_measurement_count; i++) {
		const struct deepmon_measurement *measurement = &deepmon_measurement_table[i];
		const struct deepmon_metric *metrics = deepmon_metrics_of(measurement->subject, &count);
		const char *label = deepmon_entity_instance(measurement->entity);
		struct deepmon_record record = {.entity = measurement->entity,
						.subject = measurement->subject,
						.instance = *label ? "web" : ""};
		struct influx_series series;
		struct influx_records records;
		char name[128], qualifier[256];

		label_record(&record, measurement, qualifier);
		snprintf(name, sizeof(name), "deepmon_%s%s", deepmon_entity_name(measurement->entity),
			 deepmon_subject_suffix(measurement->subject));
		for (size_t metric = 0; metric < count; metric++) {
			series = series_of(name, "a");
			if (*label)
				tag(&series, label, "web");
			for (unsigned of = 0; of < record.label_count; of++)
				tag(&series, record.labels[of].key, record.labels[of].value);
			field(&series, metrics[metric].field, 7, 4);
			ck_assert_msg(influx_records_read(&records, &series), "%s is nothing", name);
			check_same(&records, &record, &metrics[metric], name);
		}
	}
}
END_TEST

START_TEST(what_is_no_name_of_ours)
{
	static const char *const others[][3] = {{"container-web", "memory", "bogus"},
						{"container-web", "power", "package"},
						{"container-web", "cpu", ""},
						{"container", "deepmon_cpu_ns", ""},
						{"host-", "power", "package-powercap"},
						{"bogus-web", "deepmon_cpu_ns", ""},
						{"", "deepmon_cpu_ns", ""}};
	struct influx_records records;
	struct influx_series series;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		series = series_of(INFLUX_COLLECTD_MEASUREMENT, "a");
		tag(&series, "instance", others[i][0]);
		tag(&series, "type", others[i][1]);
		tag(&series, "type_instance", others[i][2]);
		field(&series, "value", 1, 1);
		ck_assert_msg(!influx_records_read(&records, &series), "%s is one", others[i][0]);
	}
	series = series_of("cpu_value", "a");
	ck_assert(!influx_records_read(&records, &series));
	series = series_of("deepmon_container_bogus", "a");
	tag(&series, "container_name", "web");
	ck_assert(!influx_records_read(&records, &series));
	series = series_of("deepmon_container", "a");
	ck_assert(!influx_records_read(&records, &series)); /* of no container */
}
END_TEST

START_TEST(values_that_can_not_be)
{
	struct influx_series series = series_of("deepmon_container", "a");
	struct influx_records records;

	tag(&series, "container_name", "web");
	field(&series, "cpu_time_ns", -1, 1e30);
	ck_assert(influx_records_read(&records, &series));
	ck_assert_uint_eq(records.records[0].valid | records.records[1].valid, 0);
}
END_TEST

/* ---- Questions ---------------------------------------------------------------------------------- */

static const struct deepmon_measurement *measurement_of(enum deepmon_entity entity,
							enum deepmon_subject subject)
{
	for (size_t i = 0; i < deepmon_measurement_count; i++)
		if (deepmon_measurement_table[i].entity == entity &&
		    deepmon_measurement_table[i].subject == subject)
			return &deepmon_measurement_table[i];
	ck_abort_msg("no such measurement");
}

static void check_query(enum influx_api api, enum influx_schema schema, const struct influx_want *want,
			enum deepmon_entity entity, enum deepmon_subject subject, const char *expected)
{
	const struct influx_dialect dialect = {api, schema, "a\"b", 30};
	int r;
	char *query = influx_query(&dialect, want, measurement_of(entity, subject), &r);

	ck_assert_int_eq(r, 0);
	if (expected)
		ck_assert_str_eq(query, expected);
	else
		ck_assert_ptr_null(query);
	free(query);
}

START_TEST(questions)
{
	struct influx_want want = {0};

	want.figures[DEEPMON_CONTAINER][TOP_PACKAGE_WATTS] = true;
	want.figures[DEEPMON_CONTAINER][TOP_DRAM_WATTS] = true;
	want.figures[DEEPMON_CONTAINER][TOP_CPU_PERCENT] = true;
	want.figures[DEEPMON_PROCESS][TOP_CYCLES] = true;
	want.figures[DEEPMON_HOST][TOP_PACKAGE_JOULES] = true;
	check_query(INFLUX_QL, INFLUX_LINES, &want, DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU,
		    "SELECT \"cpu_usage_percent\", \"container_id\" FROM \"deepmon_container\" WHERE time > "
		    "now() - 30000ms GROUP BY * ORDER BY time DESC LIMIT 2");
	check_query(INFLUX_QL, INFLUX_LINES, &want, DEEPMON_CONTAINER, DEEPMON_SUBJECT_ENERGY,
		    "SELECT \"power_watts\" FROM \"deepmon_container_energy\" WHERE time > now() - 30000ms "
		    "AND ((\"domain\" = 'package') OR (\"domain\" = 'dram')) GROUP BY * ORDER BY time DESC "
		    "LIMIT 2");
	check_query(INFLUX_QL, INFLUX_COLLECTD, &want, DEEPMON_CONTAINER, DEEPMON_SUBJECT_ENERGY,
		    "SELECT \"value\" FROM \"deepmon_value\" WHERE time > now() - 30000ms AND \"instance\" "
		    "=~ /^(.*-)?container-/ AND ((\"type\" = 'power' AND \"type_instance\" =~ "
		    "/^(package|dram)(-|$)/)) GROUP BY * ORDER BY time DESC LIMIT 2");
	check_query(INFLUX_QL, INFLUX_COLLECTD, &want, DEEPMON_PROCESS, DEEPMON_SUBJECT_PERF,
		    "SELECT \"value\" FROM \"deepmon_value\" WHERE time > now() - 30000ms AND \"instance\" "
		    "=~ /^(.*-)?process-/ AND ((\"type\" = 'perf' AND \"type_instance\" =~ "
		    "/^(cycles)(-|$)/)) GROUP BY * ORDER BY time DESC LIMIT 2");
	check_query(
	    INFLUX_FLUX, INFLUX_LINES, &want, DEEPMON_CONTAINER, DEEPMON_SUBJECT_ENERGY,
	    "from(bucket: \"a\\\"b\") |> range(start: -30000ms, stop: 1h) |> filter(fn: (r) => "
	    "r[\"_measurement\"] == \"deepmon_container_energy\" and (r[\"_field\"] == "
	    "\"power_watts\") and ((r[\"domain\"] == \"package\") or (r[\"domain\"] == \"dram\"))) |> "
	    "tail(n: 2) |> drop(columns: [\"_start\", \"_stop\"])");
	check_query(INFLUX_FLUX, INFLUX_COLLECTD, &want, DEEPMON_HOST, DEEPMON_SUBJECT_ENERGY,
		    "from(bucket: \"a\\\"b\") |> range(start: -30000ms, stop: 1h) |> filter(fn: (r) => "
		    "r[\"_measurement\"] == \"deepmon_value\" and (r[\"_field\"] == \"value\") and "
		    "r[\"instance\"] =~ /^(.*-)?host$/ and ((r[\"type\"] == \"energy\" and (if exists "
		    "r[\"type_instance\"] then r[\"type_instance\"] else \"\") =~ /^(package)(-|$)/))) |> "
		    "tail(n: 2) |> drop(columns: [\"_start\", \"_stop\"])");
	check_query(INFLUX_QL, INFLUX_LINES, &want, DEEPMON_SYSTEM, DEEPMON_SUBJECT_CPU, NULL);
	check_query(INFLUX_QL, INFLUX_LINES, &want, DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY, NULL);
}
END_TEST

START_TEST(questions_for_both_labels)
{
	struct influx_want want = {0};

	want.figures[DEEPMON_CONTAINER][TOP_HTTP_SERVED] = true;
	want.figures[DEEPMON_CONTAINER][TOP_TCP_TRANSACTIONS] = true;
	want.figures[DEEPMON_CONTAINER][TOP_TCP_P99] = true;
	check_query(INFLUX_QL, INFLUX_LINES, &want, DEEPMON_CONTAINER, DEEPMON_SUBJECT_TRANSACTIONS,
		    "SELECT \"transactions\", \"latency_p99_seconds\" FROM "
		    "\"deepmon_container_transactions\" WHERE time > now() - 30000ms AND ((\"protocol\" = "
		    "'tcp' AND \"role\" = 'both') OR (\"protocol\" = 'http' AND \"role\" = 'server')) GROUP "
		    "BY * ORDER BY time DESC LIMIT 2");
}
END_TEST

/* ---- Answers ------------------------------------------------------------------------------------ */

static char told[4096]; /* each series that was told, one a line */

static int write_down(void *user, const struct influx_series *series)
{
	size_t length = strlen(told);

	(void)user;
#define ADD(...) length += (size_t)snprintf(told + length, sizeof(told) - length, __VA_ARGS__)
	ADD("%s", series->measurement);
	for (size_t i = 0; i < series->tag_count; i++)
		ADD(",%s=%s", series->tags[i].key, series->tags[i].value);
	for (size_t point = 0; point < series->count; point++) {
		ADD(" @%llu", (unsigned long long)series->times_ns[point]);
		for (size_t i = 0; i < series->field_count; i++)
			if (series->fields[i].has[point])
				ADD(" %s=%g", series->fields[i].key, series->fields[i].values[point]);
	}
	for (size_t i = 0; i < series->field_count; i++)
		if (series->fields[i].text)
			ADD(" %s=\"%s\"", series->fields[i].key, series->fields[i].text);
	ADD("\n");
	return 0;
}

/* In pieces of that many bytes. What the matter was goes to `why`. */
static int read_answer(enum influx_api api, const char *text, size_t piece, char *why)
{
	const struct influx_reader_settings settings = {.api = api, .take = write_down, .line_most = 2000};
	struct influx_reader *reader;
	size_t length = strlen(text);
	int r = 0;

	told[0] = '\0';
	ck_assert_int_eq(influx_reader_open(&reader, &settings), 0);
	for (size_t i = 0; i < length && !r; i += piece)
		r = influx_reader_feed(reader, text + i, length - i < piece ? length - i : piece);
	r = r ? r : influx_reader_end(reader);
	strcpy(why, influx_reader_why(reader));
	influx_reader_close(reader);
	return r;
}

static void check_answer(enum influx_api api, const char *text, int error, const char *expected,
			 const char *expected_why)
{
	char why[INFLUX_WHY_MAX];

	for (size_t piece = 1; piece < 400; piece = piece * 3 + 1) {
		ck_assert_int_eq(read_answer(api, text, piece, why), error);
		ck_assert_str_eq(told, expected);
		ck_assert_str_eq(why, expected_why);
	}
}

#define SERIES(tags, values) \
	"{\"name\":\"m\",\"tags\":{" tags "},\"columns\":[\"time\",\"a\",\"b\"],\"values\":[" values "]}"
#define RESULT(series) "{\"results\":[{\"statement_id\":0,\"series\":[" series "]}]}\n"

START_TEST(answers_in_json)
{
	const char *two = "[\"2023-11-14T22:13:20.5Z\",1,null],[\"2023-11-14T22:13:19Z\",2,\"x\"]";
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"tags\":{\"host\":\"ü\","
		 "\"e\":\"\"},"
		 "\"columns\":[\"time\",\"a\",\"b\"],\"values\":[%s]}],\"partial\":true}]}\n\n" RESULT(
		     SERIES("\"host\":\"b\"", "[\"2023-11-14T22:13:20Z\",1e400,3]")),
		 two);
	check_answer(INFLUX_QL, text, 0,
		     "m,host=ü @1700000000500000000 a=1 @1699999999000000000 a=2 b=\"x\"\n"
		     "m,host=b @1700000000000000000 b=3\n",
		     "");
	check_answer(INFLUX_QL, "{\"results\":[{\"statement_id\":0}]}\n", 0, "", "");
	check_answer(INFLUX_QL, "", 0, "", "");
	check_answer(INFLUX_QL, "{\"results\":[{\"statement_id\":0,\"error\":\"database not\\n found\"}]}",
		     -EPROTO, "", "database not  found");
	check_answer(INFLUX_QL, "{\"error\":\"unable to parse\"}", -EPROTO, "", "unable to parse");
}
END_TEST

START_TEST(answers_that_are_no_json)
{
	static const char *const lines[] = {
	    RESULT(SERIES("", "[1700000000,1,2]")),
	    RESULT(SERIES("", "[\"2023-11-14T22:13:20Z\",1]")),
	    RESULT(SERIES("", "[\"2023-11-14T22:13:20Z\",1,1],[\"2023-11-14T22:13:20Z\",1,1]")),
	    RESULT("{\"name\":\"m\",\"columns\":[\"a\"],\"values\":[]}"),
	    RESULT("{\"name\":\"m\",\"columns\":[\"time\",3],\"values\":[]}"),
	    RESULT("{\"name\":\"m\",\"columns\":[\"time\"]}"),
	    RESULT("7"),
	    "<html>not InfluxDB</html>\n",
	    "[]\n",
	    "{\"results\":{}}\n",
	    "{\"results\":[\n",
	};
	char why[INFLUX_WHY_MAX], *too_long = malloc(4000);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ck_assert_msg(read_answer(INFLUX_QL, lines[i], 7, why) == -EBADMSG, "%s", lines[i]);
		ck_assert_str_ne(why, "");
	}
	memset(too_long, ' ', 3999);
	too_long[3999] = '\0';
	ck_assert_int_eq(read_answer(INFLUX_QL, too_long, 999, why), -EFBIG);
	free(too_long);
}
END_TEST

#define ANNOTATIONS \
	"#datatype,string,long,dateTime:RFC3339,double,string,string,string\r\n" \
	"#group,false,false,false,false,true,true,true\r\n#default,_result,,,,,,\r\n"

START_TEST(answers_in_csv)
{
	const char *text =
	    ANNOTATIONS ",result,table,_time,_value,_field,_measurement,host\r\n"
			",,0,2023-11-14T22:13:18Z,7,a,m,b\r\n"
			",,0,2023-11-14T22:13:19Z,1,a,m,b\r\n"
			",,0,2023-11-14T22:13:20.5Z,2.5,a,m,b\r\n"
			",,1,2023-11-14T22:13:20Z,4,a,m,\"c,\"\"d\nd\"\r\n"
			"\r\n" ANNOTATIONS ",result,table,_time,_value,_field,_measurement,host,pod\r\n"
			",,1,2023-11-14T22:13:20Z,5a,b,m,e,\r\n"
			",,2,2023-11-14T22:13:20Z,NaN,b,m,e,p\r\n\r\n";

	check_answer(INFLUX_FLUX, text, 0,
		     "m,host=b @1700000000500000000 a=2.5 @1699999999000000000 a=1 a=\"2.5\"\n"
		     "m,host=c,\"d\nd @1700000000000000000 a=4 a=\"4\"\n"
		     "m,host=e @1700000000000000000 b=\"5a\"\n"
		     "m,host=e,pod=p @1700000000000000000 b=\"NaN\"\n",
		     "");
	check_answer(INFLUX_FLUX, "\r\n", 0, "", "");
	check_answer(INFLUX_FLUX, "", 0, "", "");
	check_answer(INFLUX_FLUX,
		     "#datatype,string,long\n#group,true,true\n#default,,\n,error,reference\n,\"Failed to, "
		     "parse\",897\n",
		     -EPROTO, "", "Failed to, parse");
}
END_TEST

START_TEST(answers_that_are_no_csv)
{
	static const char head[] = ",result,table,_time,_value,_field,_measurement,host\n";
	static const char *const lines[] = {
	    "<html>not InfluxDB</html>\n",
	    ",result,table,_value,_field,_measurement\n",
	    ",,0,2023-11-14,7,a,m,b\n",
	    ",,0,2023-11-14T22:13:20Z,7,a,m,b\n,,0,2023-11-14T22:13:20Z,7,a,m,b\n",
	    ",,0,2023-11-14T22:13:20Z,7,a,m,\"b\n",
	};
	char why[INFLUX_WHY_MAX], text[512];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", i < 2 ? "" : head, lines[i]);
		ck_assert_msg(read_answer(INFLUX_FLUX, text, 7, why) == -EBADMSG, "%s", text);
		ck_assert_str_ne(why, "");
	}
}
END_TEST

START_TEST(times)
{
	uint64_t time_ns;

	ck_assert(influx_time("2023-11-14T22:13:20Z", &time_ns));
	ck_assert_uint_eq(time_ns, T0);
	ck_assert(influx_time("2023-11-14T22:13:20.000000001Z", &time_ns));
	ck_assert_uint_eq(time_ns, T0 + 1);
	ck_assert(influx_time("2023-11-14T22:13:20.0000000019999Z", &time_ns));
	ck_assert_uint_eq(time_ns, T0 + 1);
	ck_assert(!influx_time("2023-11-14T22:13:20", &time_ns));
	ck_assert(!influx_time("2023-11-14T22:13:20+01:00", &time_ns));
	ck_assert(!influx_time("1969-11-14T22:13:20Z", &time_ns));
	ck_assert(!influx_time("2300-11-14T22:13:20Z", &time_ns));
	ck_assert(!influx_time("", &time_ns));
}
END_TEST

START_TEST(messages)
{
	char text[64];

	influx_message("{\"code\":\"unauthorized\",\"message\":\"no access\"}", text, sizeof(text));
	ck_assert_str_eq(text, "no access");
	influx_message("{\"error\":\"authorization failed\"}\n", text, sizeof(text));
	ck_assert_str_eq(text, "authorization failed");
	influx_message("404 page\n not found\n", text, sizeof(text));
	ck_assert_str_eq(text, "404 page  not found");
	influx_message("", text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

/* ---- Rows --------------------------------------------------------------------------------------- */

static struct influx_series container(const char *measurement, const char *host, const char *name)
{
	struct influx_series series = series_of(measurement, host);

	tag(&series, "container_name", name);
	return series;
}

START_TEST(rows_of_two_hosts)
{
	struct influx_series series = container("deepmon_container", "a", "web");

	field(&series, "cpu_usage_percent", 12, 10);
	field(&series, "cpu_time_ns", 5e9, 4e9);
	series.fields[series.field_count++] = (struct influx_field){.key = "container_id", .text = "abc"};
	take(&series);
	series.tags[0].value = "b";
	series.times_ns[1] = T0 - 2 * SECOND;
	take(&series);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_uint_eq(model.host.containers, 2);
	ck_assert_uint_eq(model.host.time_ns, T0);
	ck_assert_str_eq(row_of("a/web")->name, "web");
	ck_assert_str_eq(row_of("a/web")->id, "abc");
	ck_assert_str_eq(row_of("a/web")->labels[TOP_BY_HOST], "a");
	ck_assert_double_eq(row_of("a/web")->figures.values[TOP_CPU_PERCENT], 12);
	ck_assert_double_eq(row_of("a/web")->figures.values[TOP_CPU_RATE], 1e9);
	ck_assert_double_eq(row_of("b/web")->figures.values[TOP_CPU_RATE], 0.5e9);
	ck_assert_uint_eq(rows.host_count, 2);
	ck_assert_uint_eq(rows.hosts[1]->rows, 1);
}
END_TEST

START_TEST(pods_of_one_container_name)
{
	struct influx_series series = container("deepmon_container", "a", "web");

	tag(&series, "namespace", "shop");
	tag(&series, "pod_name", "web-1");
	field(&series, "cpu_usage_percent", 1, 1);
	take(&series);
	series.tags[series.tag_count - 1].value = "web-2";
	take(&series);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_str_eq(row_of("a/shop_web-1_web")->labels[TOP_BY_POD], "web-1");
	ck_assert_ptr_nonnull(row_of("a/shop_web-2_web"));
}
END_TEST

/* Of the last two reports of a host, whichever series has them. */
START_TEST(what_has_ended)
{
	struct influx_series series = container("deepmon_container", "a", "web");

	field(&series, "cpu_usage_percent", 1, 1);
	take(&series);
	series.tags[1].value = "late";
	series.times_ns[0] = T0 - SECOND;
	series.times_ns[1] = T0 - 2 * SECOND;
	take(&series);
	series.tags[1].value = "ended";
	series.times_ns[0] = T0 - 2 * SECOND;
	series.times_ns[1] = T0 - 3 * SECOND;
	take(&series);
	/* Another host's reports are not this one's. */
	series.tags[0].value = "b";
	take(&series);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_ptr_nonnull(row_of("a/web"));
	ck_assert_ptr_nonnull(row_of("a/late"));
	ck_assert_ptr_null(row_of("a/ended"));
	ck_assert_ptr_nonnull(row_of("b/ended"));
}
END_TEST

START_TEST(figures_that_have_ended)
{
	struct influx_series series = container("deepmon_container", "a", "web");
	struct influx_series old = container("deepmon_container_memory", "a", "web");

	field(&series, "cpu_usage_percent", 1, 1);
	take(&series);
	field(&old, "working_set_bytes", 7, 7);
	old.times_ns[0] = T0 - 2 * SECOND;
	old.times_ns[1] = T0 - 3 * SECOND;
	take(&old);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert(row_of("a/web")->figures.has[TOP_CPU_PERCENT]);
	ck_assert(!row_of("a/web")->figures.has[TOP_WORKING_SET]);
}
END_TEST

START_TEST(rates_need_two_points)
{
	struct influx_series series = container("deepmon_container_network", "a", "web");

	field(&series, "tcp_sent_bytes", 300, 100);
	field(&series, "tcp_received_bytes", 300, 0);
	series.fields[1].has[1] = false;	    /* told for the first time */
	field(&series, "udp_sent_bytes", 100, 300); /* began anew */
	take(&series);
	series.tags[1].value = "new";
	series.count = 1;
	take(&series);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_double_eq(row_of("a/web")->figures.values[TOP_TCP_SENT], 200);
	ck_assert(!row_of("a/web")->figures.has[TOP_TCP_RECEIVED]);
	ck_assert(!row_of("a/web")->figures.has[TOP_UDP_SENT]);
	ck_assert(!row_of("a/new")->figures.has[TOP_TCP_SENT]);
}
END_TEST

START_TEST(devices_in_sum_and_alone)
{
	struct influx_series series = container("deepmon_container_block", "a", "web");

	tag(&series, "device", "vda");
	field(&series, "read_bytes", 300, 100);
	take(&series);
	series.tags[2].value = "vdb";
	take(&series);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	for (size_t i = 0; i < model.count; i++) {
		const struct top_row *row = model.rows[i];

		ck_assert_double_eq(row->figures.values[TOP_DISK_READ],
				    row->entity == DEEPMON_CONTAINER ? 400 : 200);
	}
	ck_assert_uint_eq(model.count, 3);
}
END_TEST

/* An image that is learned late makes another series: the newer takes the older's place. */
START_TEST(labels_that_come_late)
{
	struct influx_series series = container("deepmon_container", "a", "web");

	tag(&series, "container_image", "nginx");
	field(&series, "cpu_usage_percent", 5, 5);
	take(&series);
	series.tag_count--;
	series.times_ns[0] = T0 - SECOND;
	series.times_ns[1] = T0 - 2 * SECOND;
	series.fields[0].values[0] = 90;
	take(&series);
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_uint_eq(model.count, 1);
	ck_assert_str_eq(row_of("a/web")->labels[TOP_BY_IMAGE], "nginx");
	ck_assert_double_eq(row_of("a/web")->figures.values[TOP_CPU_PERCENT], 5);
}
END_TEST

START_TEST(hosts_in_sum)
{
	for (int host = 0; host < 2; host++) {
		struct influx_series series = series_of("deepmon_total", host ? "a" : "b");

		tag(&series, "kind", "idle");
		field(&series, "cpu_usage_percent", 150, 150);
		take(&series);
		series.tags[1].value = "system";
		series.fields[0].values[0] = 50;
		take(&series);
		series = series_of("deepmon_host_energy", host ? "a" : "b");
		tag(&series, "domain", "package");
		tag(&series, "source", "powercap");
		field(&series, "power_watts", 20, 20);
		take(&series);
	}
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_double_eq(model.host.figures.values[TOP_PACKAGE_WATTS], 40);
	ck_assert_double_eq(model.host.figures.values[TOP_CPU_PERCENT], 100);
	ck_assert_double_eq(model.host.idle_percent, 75);
}
END_TEST

START_TEST(too_many_rows)
{
	char name[32];

	for (int i = 0; i < 150; i++) {
		struct influx_series series = container("deepmon_container", "a", name);

		snprintf(name, sizeof(name), "web%d", i);
		field(&series, "cpu_usage_percent", 1, 1);
		take(&series);
		take(&series);
	}
	ck_assert_uint_eq(rows.count, 100);
	ck_assert_uint_eq(rows.refused, 100); /* each time that they were told */
	ck_assert_int_eq(influx_rows_tell(&rows, &model), 0);
	ck_assert_uint_eq(model.host.containers, 100);
}
END_TEST

START_TEST(nothing_at_all)
{
	ck_assert_int_eq(influx_rows_tell(&rows, &model), -ENODATA);
	ck_assert_uint_eq(model.samples, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("influx");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, begin, end);
	tcase_add_test(all, collectd_names_come_back);
	tcase_add_test(all, lines_come_back);
	tcase_add_test(all, what_is_no_name_of_ours);
	tcase_add_test(all, values_that_can_not_be);
	tcase_add_test(all, questions);
	tcase_add_test(all, questions_for_both_labels);
	tcase_add_test(all, answers_in_json);
	tcase_add_test(all, answers_that_are_no_json);
	tcase_add_test(all, answers_in_csv);
	tcase_add_test(all, answers_that_are_no_csv);
	tcase_add_test(all, times);
	tcase_add_test(all, messages);
	tcase_add_test(all, rows_of_two_hosts);
	tcase_add_test(all, pods_of_one_container_name);
	tcase_add_test(all, what_has_ended);
	tcase_add_test(all, figures_that_have_ended);
	tcase_add_test(all, rates_need_two_points);
	tcase_add_test(all, devices_in_sum_and_alone);
	tcase_add_test(all, labels_that_come_late);
	tcase_add_test(all, hosts_in_sum);
	tcase_add_test(all, too_many_rows);
	tcase_add_test(all, nothing_at_all);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
