/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-top without its screen: rows from samples, columns, filters, order, groups with sums, history, and
 * what
 * --batch writes.
 */
#include <check.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "../../contrib/top/batch.h"
#include "../../contrib/top/text.h"

#define SECOND		      1000000000ull
#define RECORDS_MAX	      64
#define VALID(SUBJECT, field) (1ull << DEEPMON_INDEX_##SUBJECT##_##field)

static struct deepmon_record records[RECORDS_MAX];
static size_t record_count;
static uint64_t now_ns;
static struct top_model model;
static struct top_view view;
static struct top_settings settings;

static void begin(void)
{
	now_ns = 1000 * SECOND;
	record_count = 0;
	top_model_init(&model, 8);
	view = (struct top_view){0};
	top_settings_init(&settings);
}

static void end(void)
{
	top_view_clear(&view);
	top_model_clear(&model);
}

/* ---- Samples ------------------------------------------------------------------------------------ */

static struct deepmon_record *add(enum deepmon_entity entity, enum deepmon_subject subject,
				  const char *instance)
{
	struct deepmon_record *record = &records[record_count++];

	ck_assert_uint_le(record_count, RECORDS_MAX);
	*record = (struct deepmon_record){
	    .entity = entity, .subject = subject, .instance = instance, .qualifier = ""};
	return record;
}

static void label(struct deepmon_record *record, const char *key, const char *value)
{
	record->labels[record->label_count++] = (struct deepmon_label){key, value, true};
}

static struct deepmon_record *container_of(enum deepmon_subject subject, const char *name)
{
	struct deepmon_record *record = add(DEEPMON_CONTAINER, subject, name);

	label(record, "container_name", name);
	return record;
}

static struct deepmon_record *cpu(const char *name, double percent)
{
	struct deepmon_record *record = container_of(DEEPMON_SUBJECT_CPU, name);

	record->values.cpu.cpu_usage_percent = percent;
	record->valid = VALID(CPU, cpu_usage_percent);
	return record;
}

static void perf(const char *name, uint64_t cycles, uint64_t instructions)
{
	struct deepmon_record *record = container_of(DEEPMON_SUBJECT_PERF, name);

	record->values.perf.cycles = cycles;
	record->values.perf.instructions = instructions;
	record->valid = VALID(PERF, cycles) | VALID(PERF, instructions);
}

static void power(enum deepmon_entity entity, const char *name, const char *domain, double watts, uint64_t uj)
{
	struct deepmon_record *record = entity == DEEPMON_CONTAINER
					    ? container_of(DEEPMON_SUBJECT_ENERGY, name)
					    : add(entity, DEEPMON_SUBJECT_ENERGY, name);

	label(record, "domain", domain);
	record->values.energy.power_watts = watts;
	record->values.energy.energy_joules = uj;
	record->valid = VALID(ENERGY, power_watts) | VALID(ENERGY, energy_joules);
}

static void block(const char *name, const char *device, uint64_t read_bytes)
{
	struct deepmon_record *record = container_of(DEEPMON_SUBJECT_BLOCK, name);

	label(record, "device", device);
	record->values.block.read_bytes = read_bytes;
	record->valid = VALID(BLOCK, read_bytes);
}

static void update(double seconds)
{
	struct deepmon_sample sample;

	now_ns += (uint64_t)(seconds * 1e9);
	sample = (struct deepmon_sample){.time_ns = now_ns,
					 .interval_ns = (uint64_t)(seconds * 1e9),
					 .records = records,
					 .record_count = record_count};
	ck_assert_int_eq(top_model_update(&model, &sample), 0);
	record_count = 0;
}

static const struct top_row *row(const char *name)
{
	for (size_t i = 0; i < model.count; i++)
		if (!strcmp(model.rows[i]->name, name))
			return model.rows[i];
	ck_abort_msg("no row %s", name);
	return NULL;
}

static double value(const struct top_figures *figures, const char *key)
{
	double found;

	ck_assert_msg(top_column_find(key) != NULL, "column %s", key);
	return top_column_value(top_column_find(key), figures, &found) ? found : NAN;
}

/* Names of the view's lines, each with a blank for each step of its depth, parted by '|'. */
static const char *lines(void)
{
	static char text[1024];
	size_t length = 0;

	ck_assert_int_eq(top_view_make(&view, &model, &settings), 0);
	*text = '\0';
	for (size_t i = 0; i < view.count; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%*s%s", i ? "|" : "",
					   (int)view.lines[i].depth, "", view.lines[i].name);
	return text;
}

/* ---- The model ---------------------------------------------------------------------------------- */

START_TEST(rates_need_two_samples)
{
	perf("web", 1000, 500);
	update(2);
	ck_assert(isnan(value(&row("web")->figures, "cycles")));
	perf("web", 5000, 6500);
	update(2);
	ck_assert_double_eq(value(&row("web")->figures, "cycles"), 2000);
	ck_assert_double_eq(value(&row("web")->figures, "ipc"), 1.5);
	/* One that came since: all that it did was since then. */
	perf("web", 5000, 6500);
	perf("late", 300, 300);
	update(3);
	ck_assert_double_eq(value(&row("late")->figures, "cycles"), 100);
	ck_assert_double_eq(value(&row("web")->figures, "cycles"), 0);
	ck_assert(isnan(value(&row("web")->figures, "ipc")));
}
END_TEST

START_TEST(what_is_not_told_is_absent)
{
	perf("web", 1000, 500);
	update(1);
	perf("web", 2000, 900);
	update(1);
	cpu("web", 12);
	update(1);
	ck_assert(isnan(value(&row("web")->figures, "cycles")));
	ck_assert_double_eq(value(&row("web")->figures, "cpu_percent"), 12);
	/* A counter that began anew. */
	perf("web", 100, 100);
	update(1);
	perf("web", 50, 200);
	update(1);
	ck_assert(isnan(value(&row("web")->figures, "cycles")));
	ck_assert_double_eq(value(&row("web")->figures, "instructions"), 100);
}
END_TEST

START_TEST(a_gap_is_averaged_over)
{
	perf("web", 1000, 0);
	update(1);
	update(1);
	ck_assert(!row("web")->shown);
	perf("web", 4000, 0);
	update(1);
	ck_assert(row("web")->shown);
	ck_assert_double_eq(value(&row("web")->figures, "cycles"), 1500);
}
END_TEST

START_TEST(devices_and_domains)
{
	block("web", "vda", 100);
	block("web", "vdb", 1000);
	power(DEEPMON_CONTAINER, "web", "package", 3, 30000000);
	power(DEEPMON_CONTAINER, "web", "dram", 1, 2500000);
	update(1);
	block("web", "vda", 300);
	block("web", "vdb", 2000);
	power(DEEPMON_CONTAINER, "web", "package", 4, 34000000);
	update(1);
	ck_assert_double_eq(value(&row("web")->figures, "disk_read"), 1200);
	ck_assert_double_eq(value(&row("web")->figures, "package_watts"), 4);
	ck_assert_double_eq(value(&row("web")->figures, "package_joules"), 34);
	ck_assert(isnan(value(&row("web")->figures, "dram_watts")));
}
END_TEST

START_TEST(the_host)
{
	struct deepmon_record *idle = add(DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU, "idle");
	struct deepmon_record *busy = add(DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU, "container");

	idle->values.cpu.cpu_usage_percent = 150;
	busy->values.cpu.cpu_usage_percent = 50;
	idle->values.cpu.context_switches = 300;
	busy->values.cpu.context_switches = 200;
	idle->valid = busy->valid = VALID(CPU, cpu_usage_percent) | VALID(CPU, context_switches);
	power(DEEPMON_HOST, "", "psys", 99, 1);
	power(DEEPMON_HOST, "", "package", 40, 1);
	cpu("web", 50);
	update(1);
	ck_assert_double_eq(model.host.idle_percent, 75);
	ck_assert_double_eq(value(&model.host.figures, "cpu_percent"), 50);
	ck_assert_double_eq(value(&model.host.figures, "package_watts"), 40);
	ck_assert_uint_eq(model.host.containers, 1);
	ck_assert_str_eq(lines(), "web");
	settings.entities[DEEPMON_TOTAL] = true;
	ck_assert_str_eq(lines(), "idle|container|web");
	/* Switches are the growth of all parts. */
	record_count = 2;
	idle->values.cpu.context_switches += 40;
	busy->values.cpu.context_switches += 60;
	update(2);
	ck_assert_double_eq(value(&model.host.figures, "context_switches"), 50);
}
END_TEST

START_TEST(history_of_a_column)
{
	double found;

	for (int i = 1; i <= 12; i++) {
		if (i != 10)
			cpu("web", i);
		update(1);
	}
	for (size_t ago = 0; ago < 8; ago++) {
		bool known =
		    top_history_value(&model, row("web"), top_column_find("cpu_percent"), ago, &found);

		ck_assert_msg(known == (ago != 2), "%zu samples ago", ago);
		if (known)
			ck_assert_double_eq(found, 12.0 - (double)ago);
	}
	ck_assert(!top_history_value(&model, row("web"), top_column_find("cpu_percent"), 8, &found));
}
END_TEST

START_TEST(rows_are_forgotten)
{
	cpu("gone", 1);
	update(1);
	for (int i = 0; i < 60; i++)
		update(1);
	ck_assert_uint_eq(model.count, 1);
	update(1);
	ck_assert_uint_eq(model.count, 0);
	cpu("web", 1);
	update(1);
	top_model_note(&model, "a reason");
	top_model_forget(&model);
	ck_assert_uint_eq(model.count + model.samples, 0);
	ck_assert_uint_eq(model.note_count, 1);
	for (int i = 0; i < 20; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%d", i);
		top_model_note(&model, line);
	}
	ck_assert_uint_eq(model.note_count, TOP_NOTES_MAX);
	ck_assert_str_eq(model.notes[0], "4");
}
END_TEST

/* ---- Views -------------------------------------------------------------------------------------- */

/* Three pods' containers and one of none. */
static void fill(void)
{
	static const struct {
		const char *name, *pod, *space, *image;
		double percent, watts;
	} all[] = {{"shop/a/web", "a", "shop", "nginx", 10, 4},
		   {"shop/a/db", "a", "shop", "postgres", 30, 2},
		   {"shop/b/web", "b", "shop", "nginx", 5, 9},
		   {"mail/c/smtp", "c", "mail", "postfix", 20, 1},
		   {"alone", "", "", "registry:5000/nginx", 50, 3}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct deepmon_record *record = cpu(all[i].name, all[i].percent);

		label(record, "container_image", all[i].image);
		if (*all[i].space) {
			label(record, "namespace", all[i].space);
			label(record, "pod_name", all[i].pod);
		}
		power(DEEPMON_CONTAINER, all[i].name, "package", all[i].watts, 0);
	}
	/* The label set of the first record of a row is the row's: energy's has the same in a real sample. */
	update(1);
}

START_TEST(order)
{
	fill();
	ck_assert_str_eq(lines(), "alone|shop/a/db|mail/c/smtp|shop/a/web|shop/b/web");
	settings.ascending = true;
	ck_assert_str_eq(lines(), "shop/b/web|shop/a/web|mail/c/smtp|shop/a/db|alone");
	settings.ascending = false;
	settings.sort = top_column_find("PACKAGE_watts");
	ck_assert_str_eq(lines(), "shop/b/web|shop/a/web|alone|shop/a/db|mail/c/smtp");
	settings.sort = NULL;
	ck_assert_str_eq(lines(), "alone|mail/c/smtp|shop/a/db|shop/a/web|shop/b/web");
	ck_assert_double_eq(value(&view.sum, "cpu_percent"), 115);
	ck_assert_uint_eq(view.rows, 5);
	/* What lacks the column is last either way, by name. */
	settings.sort = top_column_find("dram_watts");
	power(DEEPMON_CONTAINER, "x", "dram", 1, 0);
	cpu("y", 1);
	cpu("w", 1);
	update(1);
	ck_assert_str_eq(lines(), "x|w|y");
	settings.ascending = true;
	ck_assert_str_eq(lines(), "x|w|y");
}
END_TEST

START_TEST(filters)
{
	static const struct {
		const char *filter, *passes;
	} cases[] = {
	    {"", "alone|shop/a/db|mail/c/smtp|shop/a/web|shop/b/web"},
	    {"WEB", "shop/a/web|shop/b/web"},
	    {"web pod:a", "shop/a/web"},
	    {"!web", "alone|shop/a/db|mail/c/smtp"},
	    {"namespace:shop !image:nginx", "shop/a/db"},
	    {"nginx", "alone|shop/a/web|shop/b/web"},
	    {"registry:5000", "alone"},
	    {"cpu_percent>10", "alone|shop/a/db|mail/c/smtp"},
	    {"  cpu_percent<30   package_watts>1 ", "shop/a/web|shop/b/web"},
	    {"!dram_watts>0 name:alone", "alone"},
	    {"dram_watts<1", ""},
	    {"nothing", ""},
	};

	fill();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[128];

		ck_assert_int_eq(top_filter_check(cases[i].filter, why, sizeof(why)), 0);
		strcpy(settings.filter, cases[i].filter);
		ck_assert_msg(!strcmp(lines(), cases[i].passes), "%s: expected %s, got %s", cases[i].filter,
			      cases[i].passes, lines());
	}
}
END_TEST

START_TEST(filters_that_can_not_be)
{
	char why[128];

	ck_assert_int_ne(top_filter_check("web bogus>3", why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "bogus"));
	ck_assert_int_ne(top_filter_check("cpu_percent<many", why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "many"));
	ck_assert_int_ne(top_filter_check("!cpu_percent>", why, sizeof(why)), 0);
}
END_TEST

START_TEST(groups_with_sums)
{
	fill();
	ck_assert_int_eq(top_settings_group(&settings, "namespace,pod"), 0);
	/* Who is in no namespace is in no pod, which need not be said twice. */
	ck_assert_str_eq(lines(), "(none)| alone|shop| a|  shop/a/db|  shop/a/web| b|  shop/b/web|"
				  "mail| c|  mail/c/smtp");
	ck_assert_double_eq(value(&view.lines[2].figures, "cpu_percent"), 45);
	ck_assert_double_eq(value(&view.lines[2].figures, "package_watts"), 15);
	ck_assert_uint_eq(view.lines[2].members, 3);
	ck_assert_str_eq(view.lines[3].path, "shop/a");
	settings.sort = top_column_find("package_watts");
	ck_assert_int_eq(top_settings_group(&settings, "image"), 0);
	ck_assert_str_eq(lines(),
			 "nginx| shop/b/web| shop/a/web|registry:5000/nginx| alone|postgres| shop/a/db|"
			 "postfix| mail/c/smtp");
	strcpy(settings.filter, "web");
	ck_assert_str_eq(lines(), "nginx| shop/b/web| shop/a/web");
	ck_assert_int_ne(top_settings_group(&settings, "nothing"), 0);
	ck_assert_int_ne(top_settings_group(&settings, "pod,pod,pod,pod,pod"), 0);
	ck_assert_int_eq(top_settings_group(&settings, ""), 0);
	ck_assert_str_eq(lines(), "shop/b/web|shop/a/web");
}
END_TEST

static bool is_shop(void *user, const char *path)
{
	return !strcmp(path, user);
}

START_TEST(groups_that_are_folded)
{
	static char shop[] = "shop";

	fill();
	top_settings_group(&settings, "namespace");
	settings.is_folded = is_shop;
	settings.user = shop;
	ck_assert_str_eq(lines(), "(none)| alone|shop|mail| mail/c/smtp");
	ck_assert_double_eq(value(&view.lines[2].figures, "cpu_percent"), 45);
}
END_TEST

static void transactions(const char *name, const char *protocol, const char *role, uint64_t count, double p99)
{
	struct deepmon_record *record = container_of(DEEPMON_SUBJECT_TRANSACTIONS, name);

	label(record, "protocol", protocol);
	label(record, "role", role);
	record->values.transactions.transactions = count;
	record->values.transactions.latency_p99_seconds = p99;
	record->valid = VALID(TRANSACTIONS, transactions) | VALID(TRANSACTIONS, latency_p99_seconds);
}

/* Those of both roles once, a protocol at a time; energy is per request that was served. */
START_TEST(transactions_of_both_roles)
{
	for (uint64_t round = 0; round < 2; round++) {
		transactions("web", "tcp", "both", 100 * round, 0.5);
		transactions("web", "http", "client", 3 * round, 0.125);
		transactions("web", "http", "server", 40 * round, 0.25);
		transactions("web", "http", "both", 43 * round, 0.25);
		power(DEEPMON_CONTAINER, "web", "package", 10, 0);
		update(2);
	}
	top_view_make(&view, &model, &settings);
	ck_assert_uint_eq(view.count, 1);
	ck_assert_double_eq(value(&view.lines[0].figures, "tcp_transactions"), 50);
	ck_assert_double_eq(value(&view.lines[0].figures, "tcp_p99_ms"), 500);
	ck_assert_double_eq(value(&view.lines[0].figures, "http_transactions"), 21.5);
	ck_assert_double_eq(value(&view.lines[0].figures, "http_p99_ms"), 250);
	ck_assert_double_eq(value(&view.lines[0].figures, "joules_per_request"), 0.5);
}
END_TEST

/* A container has its devices in one figure, and each of them is a row of its own. */
START_TEST(devices_one_by_one)
{
	for (uint64_t round = 0; round < 2; round++) {
		block("web", "vda", 1000 * round);
		block("web", "vdb", 500 * round);
		block("mail", "vda", 100 * round);
		update(1);
	}
	top_view_make(&view, &model, &settings);
	ck_assert_uint_eq(view.count, 2);
	ck_assert_double_eq(value(&view.sum, "disk_read"), 1600);
	memset(settings.entities, 0, sizeof(settings.entities));
	settings.entities[TOP_DEVICE] = true;
	settings.sort = top_column_find("disk_read");
	top_settings_group(&settings, "device");
	ck_assert_str_eq(lines(), "vda| web| mail|vdb| web");
	settings.group_count = 0;
	settings.instance = "mail";
	ck_assert_str_eq(lines(), "mail");
	ck_assert_double_eq(value(&view.sum, "disk_read"), 100);
}
END_TEST

/* Ratios of a group are those of its sums, and what can't be summed is the most. */
START_TEST(ratios_of_groups)
{
	struct top_figures group = {0}, a = {0}, b = {0};

	a.values[TOP_CYCLES] = 100, a.values[TOP_INSTRUCTIONS] = 300, a.values[TOP_LIMIT_PERCENT] = 20;
	b.values[TOP_CYCLES] = 300, b.values[TOP_INSTRUCTIONS] = 100, b.values[TOP_LIMIT_PERCENT] = 90;
	a.has[TOP_CYCLES] = a.has[TOP_INSTRUCTIONS] = a.has[TOP_LIMIT_PERCENT] = true;
	memcpy(b.has, a.has, sizeof(b.has));
	top_figures_join(&group, &a);
	top_figures_join(&group, &b);
	ck_assert_double_eq(value(&group, "ipc"), 1);
	ck_assert_double_eq(value(&group, "limit_percent"), 90);
}
END_TEST

START_TEST(columns_as_people_read_them)
{
	static const struct {
		const char *key;
		enum top_figure figure;
		double value;
		enum top_units units;
		const char *text;
	} cases[] = {
	    {"working_set_bytes", TOP_WORKING_SET, 0, TOP_UNITS_BINARY, "0"},
	    {"working_set_bytes", TOP_WORKING_SET, 1023, TOP_UNITS_BINARY, "1023"},
	    {"working_set_bytes", TOP_WORKING_SET, 1023.9, TOP_UNITS_BINARY, "1.0K"},
	    {"working_set_bytes", TOP_WORKING_SET, 1536, TOP_UNITS_BINARY, "1.5K"},
	    {"working_set_bytes", TOP_WORKING_SET, 1536, TOP_UNITS_HOURS, "1.5K"},
	    {"working_set_bytes", TOP_WORKING_SET, 1023, TOP_UNITS_DECIMAL, "1.0K"},
	    {"working_set_bytes", TOP_WORKING_SET, 5e9, TOP_UNITS_BINARY, "4.7G"},
	    {"working_set_bytes", TOP_WORKING_SET, 5e9, TOP_UNITS_DECIMAL, "5.0G"},
	    {"working_set_bytes", TOP_WORKING_SET, 123456789012, TOP_UNITS_EXACT, "123456789012"},
	    {"working_set_bytes", TOP_WORKING_SET, 150.0 * 1048576, TOP_UNITS_BINARY, "150M"},
	    {"cycles", TOP_CYCLES, 999, TOP_UNITS_BINARY, "999"},
	    {"cycles", TOP_CYCLES, 2400000000, TOP_UNITS_BINARY, "2.4G"},
	    {"cycles", TOP_CYCLES, 2400000000, TOP_UNITS_EXACT, "2400000000"},
	    {"cycles", TOP_CYCLES, 0.25, TOP_UNITS_BINARY, "0.2"},
	    {"package_watts", TOP_PACKAGE_WATTS, 3.14159, TOP_UNITS_BINARY, "3.14"},
	    {"package_watts", TOP_PACKAGE_WATTS, 3.14159, TOP_UNITS_HOURS, "3142"},
	    {"package_joules", TOP_PACKAGE_JOULES, 1800, TOP_UNITS_DECIMAL, "1800.0"},
	    {"package_joules", TOP_PACKAGE_JOULES, 1800, TOP_UNITS_HOURS, "0.5000"},
	    {"oom_kills", TOP_OOM_KILLS, 2, TOP_UNITS_BINARY, "2"},
	    {"tcp_rtt_ms", TOP_TCP_RTT, 0.0015, TOP_UNITS_EXACT, "1.50"},
	};
	char text[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct top_column *column = top_column_find(cases[i].key);
		struct top_figures figures = {0};

		figures.has[cases[i].figure] = true;
		figures.values[cases[i].figure] = cases[i].value;
		ck_assert_str_eq(top_column_print(column, &figures, cases[i].units, text, sizeof(text)),
				 cases[i].text);
		memset(figures.has, 0, sizeof(figures.has));
		ck_assert_str_eq(top_column_print(column, &figures, cases[i].units, text, sizeof(text)), "-");
	}
}
END_TEST

/* A title says the unit that the figures below it are in, and finds room above them. */
START_TEST(titles_and_units)
{
	enum top_units units;
	char text[32];

	ck_assert_int_eq(top_units_find("HOURS", &units), 0);
	ck_assert_str_eq(top_column_title(top_column_find("core_watts"), units, text, sizeof(text)),
			 "CORE mW");
	ck_assert_str_eq(top_column_title(top_column_find("core_joules"), units, text, sizeof(text)),
			 "CORE Wh");
	ck_assert_str_eq(top_column_title(top_column_find("ipc"), units, text, sizeof(text)), "IPC");
	ck_assert_int_eq(top_units_find("furlongs", &units), -ENOENT);
	for (units = TOP_UNITS_BINARY; units < TOP_UNITS; units++)
		for (size_t i = 0; i < top_column_count; i++)
			ck_assert_uint_lt(
			    strlen(top_column_title(&top_columns[i], units, text, sizeof(text))),
			    (size_t)top_units_width(units));
}
END_TEST

/* As a terminal can show them: what controls it is a '?', and what is cut is cut by columns. */
START_TEST(names_of_all_kinds)
{
	static const struct {
		const char *name;
		bool utf8;
		const char *shown;
		int width;
	} cases[] = {
	    {"", true, "", 0},
	    {"web-1", false, "web-1", 5},
	    {"tab\tbell\a\x7f", true, "tab?bell??", 10},
	    {"\x1b[31mred", true, "?[31mred", 8},
	    {"\xff\xc3", true, "??", 2},
	    {"caf\xc3\xa9", true, "caf\xc3\xa9", 4},
	    {"caf\xc3\xa9", false, "caf?", 4},
	    {"cafe\xcc\x81", true, "cafe\xcc\x81", 4},
	    {"\xea\xb2\x80\xec\x83\x89", true, "\xea\xb2\x80\xec\x83\x89", 4},
	    {"\xe2\x80\xaetxt.exe", true, "?txt.exe", 8},
	    {"a\xc2\x85z", true, "a?z", 3},
	};
	static const char wide[] = "\xea\xb2\x80\xec\x83\x89-ab";
	int used;

	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].name;
		char shown[64] = "";
		wchar_t character;

		while ((character = top_text_next(&text, cases[i].utf8, &used)))
			ck_assert_int_ge(snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown), "%lc",
						  (wint_t)character),
					 1);
		ck_assert_str_eq(shown, cases[i].shown);
		ck_assert_int_eq(top_text_width(cases[i].name, cases[i].utf8), cases[i].width);
	}
	ck_assert_uint_eq(top_text_cut(wide, true, 7, 1, &used), strlen(wide));
	ck_assert_int_eq(used, 7);
	ck_assert_uint_eq(top_text_cut(wide, true, 5, 1, &used), 6);
	ck_assert_int_eq(used, 4);
	/* Half of a wide one finds no room. */
	ck_assert_uint_eq(top_text_cut(wide, true, 3, 0, &used), 3);
	ck_assert_int_eq(used, 2);
}
END_TEST

/* Every page's columns are there, and it begins sorted by one of them. */
START_TEST(pages)
{
	for (size_t i = 0; i < top_page_count; i++) {
		bool sorted = false;

		for (const char *const *key = top_pages[i].keys; *key; key++) {
			ck_assert_msg(top_column_find(*key) != NULL, "%s: %s", top_pages[i].name, *key);
			sorted |= !strcmp(*key, top_pages[i].sort);
		}
		ck_assert_msg(sorted, "%s", top_pages[i].name);
		ck_assert_ptr_eq(top_page_find(top_pages[i].name), &top_pages[i]);
	}
	ck_assert_ptr_null(top_page_find("nothing"));
}
END_TEST

/* ---- Batch -------------------------------------------------------------------------------------- */

static char *write_batch(enum top_format format)
{
	const struct top_column *columns[] = {top_column_find("cpu_percent"), top_column_find("dram_watts")};
	struct top_batch batch = {.format = format, .columns = columns, .column_count = 2};
	char *text = NULL;
	size_t size;

	batch.out = open_memstream(&text, &size);
	ck_assert_int_eq(top_view_make(&view, &model, &settings), 0);
	ck_assert_int_eq(top_batch_write(&batch, &model, &view), 0);
	fclose(batch.out);
	return text;
}

static void fill_hostile(void)
{
	label(cpu("a \"b\", c\n\xff", 12.5), "container_image", "\xc3\xbc,x");
	top_model_note(&model, "no energy: a reason");
	update(2);
}

START_TEST(batch_as_csv)
{
	char *text;

	fill_hostile();
	text = write_batch(TOP_CSV);
	ck_assert_str_eq(
	    text, "time,kind,name,path,id,host,namespace,pod,image,project,service,runtime,container,device,"
		  "cpu_percent,dram_watts\r\n1970-01-01T00:16:42.000000000Z,container,\"a \"\"b\"\", "
		  "c\n\xff\",,,,,,"
		  "\"\xc3\xbc,x\",,,,,,12.5,\r\n");
	free(text);
}
END_TEST

START_TEST(batch_as_json)
{
	char *text;
	cJSON *root, *line;

	fill_hostile();
	top_settings_group(&settings, "image");
	text = write_batch(TOP_JSON);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	root = cJSON_Parse(text);
	ck_assert_ptr_nonnull(root);
	ck_assert_str_eq(cJSON_GetObjectItem(root, "time")->valuestring, "1970-01-01T00:16:42.000000000Z");
	ck_assert_double_eq(cJSON_GetObjectItem(root, "interval_seconds")->valuedouble, 2);
	ck_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "notes"), 0)->valuestring,
			 "no energy: a reason");
	line = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "lines"), 0);
	ck_assert_str_eq(cJSON_GetObjectItem(line, "kind")->valuestring, "group");
	ck_assert_double_eq(cJSON_GetObjectItem(line, "cpu_percent")->valuedouble, 12.5);
	line = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "lines"), 1);
	ck_assert_str_eq(cJSON_GetObjectItem(line, "name")->valuestring, "a \"b\", c\n?");
	ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(line, "labels"), "image")->valuestring,
			 "\xc3\xbc,x");
	ck_assert_msg(!cJSON_GetObjectItem(line, "dram_watts"), "absent, never zero");
	cJSON_Delete(root);
	free(text);
}
END_TEST

START_TEST(batch_as_text)
{
	char *text;

	fill_hostile();
	text = write_batch(TOP_TEXT);
	ck_assert_ptr_nonnull(strstr(text, "# no energy: a reason\n"));
	ck_assert_ptr_nonnull(strstr(text, "a \"b\", c??                            12.5         -\n"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, begin, end);
	tcase_add_test(all, rates_need_two_samples);
	tcase_add_test(all, what_is_not_told_is_absent);
	tcase_add_test(all, a_gap_is_averaged_over);
	tcase_add_test(all, devices_and_domains);
	tcase_add_test(all, the_host);
	tcase_add_test(all, history_of_a_column);
	tcase_add_test(all, rows_are_forgotten);
	tcase_add_test(all, order);
	tcase_add_test(all, filters);
	tcase_add_test(all, filters_that_can_not_be);
	tcase_add_test(all, groups_with_sums);
	tcase_add_test(all, groups_that_are_folded);
	tcase_add_test(all, ratios_of_groups);
	tcase_add_test(all, transactions_of_both_roles);
	tcase_add_test(all, devices_one_by_one);
	tcase_add_test(all, columns_as_people_read_them);
	tcase_add_test(all, titles_and_units);
	tcase_add_test(all, names_of_all_kinds);
	tcase_add_test(all, pages);
	tcase_add_test(all, batch_as_csv);
	tcase_add_test(all, batch_as_json);
	tcase_add_test(all, batch_as_text);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
