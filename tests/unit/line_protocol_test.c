/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The line protocol that deepmon-execd writes, byte by byte.
 */
#include "../../telegraf-execd/line_protocol.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "comma_locale.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define TIME_NS	  1700000000123456789u
#define TIME_TEXT " 1700000000123456789\n"

#define VALID(SUBJECT, field) (1ull << DEEPMON_INDEX_##SUBJECT##_##field)

static struct deepmon_record record;
static char *written;

/* A record with a plain value: one integer. */
static void set_up(void)
{
	record = (struct deepmon_record){.entity = DEEPMON_CONTAINER,
					 .subject = DEEPMON_SUBJECT_CPU,
					 .instance = "",
					 .qualifier = "",
					 .valid = VALID(CPU, cpu_time_ns)};
	record.values.cpu.cpu_time_ns = 7;
}

static void tear_down(void)
{
	free(written);
	written = NULL;
}

static void label(const char *key, const char *value, bool tag)
{
	record.labels[record.label_count++] = (struct deepmon_label){key, value, tag};
}

static const char *write_records(const struct deepmon_record *records, size_t count)
{
	const struct deepmon_sample sample = {.time_ns = TIME_NS, .records = records, .record_count = count};
	size_t size;

	free(written);
	written = NULL;

	FILE *out = open_memstream(&written, &size);

	ck_assert(out);
	line_protocol_write(out, &sample);
	fclose(out);
	return written;
}

static const char *line(void)
{
	return write_records(&record, 1);
}

/* ---- Lines ------------------------------------------------------------------------------------- */

START_TEST(a_plain_line)
{
	ck_assert_str_eq(line(), "deepmon_container cpu_time_ns=7i" TIME_TEXT);
	record.entity = DEEPMON_TOTAL;
	label("kind", "idle", true);
	ck_assert_str_eq(line(), "deepmon_total,kind=idle cpu_time_ns=7i" TIME_TEXT);
}
END_TEST

START_TEST(tags_come_first_and_in_order_and_strings_last)
{
	label("container_id", "0123", false);
	label("container_image", "nginx", true);
	label("container_name", "web", true);
	label("note", "two words", false);
	label("runtime", "docker", true);
	ck_assert_str_eq(line(), "deepmon_container,container_image=nginx,container_name=web,runtime=docker "
				 "cpu_time_ns=7i,container_id=\"0123\",note=\"two words\"" TIME_TEXT);
}
END_TEST

START_TEST(a_record_without_a_value_gives_no_line)
{
	label("container_id", "0123", false);
	label("container_name", "web", true);
	record.valid = 0;
	ck_assert_str_eq(line(), "");
	record.valid = VALID(CPU, cpu_usage_percent);
	record.values.cpu.cpu_usage_percent = NAN;
	ck_assert_str_eq(line(), "");
	ck_assert_str_eq(write_records(NULL, 0), "");
}
END_TEST

START_TEST(a_line_for_each_record_that_has_one)
{
	struct deepmon_record records[3] = {record, record, record};

	records[1].valid = 0;
	records[2].subject = DEEPMON_SUBJECT_ENERGY;
	records[2].valid = VALID(ENERGY, energy_joules);
	records[2].values.energy.energy_joules = 1;
	ck_assert_str_eq(write_records(records, 3),
			 "deepmon_container cpu_time_ns=7i" TIME_TEXT
			 "deepmon_container_energy energy_joules=0.000001" TIME_TEXT);
}
END_TEST

/* ---- Text -------------------------------------------------------------------------------------- */

/* What a byte between letters becomes; the letters make any byte above 0x7f invalid UTF-8. */
static const char *expected(int byte, const char *escaped)
{
	static char text[8];

	if (byte < 0x20 || byte >= 0x7f)
		return "a_b";
	snprintf(text, sizeof(text), "a%s%cb", strchr(escaped, byte) ? "\\" : "", byte);
	return text;
}

START_TEST(every_byte_in_a_tag)
{
	char value[] = {'a', (char)_i, 'b', 0}, whole[128];

	label("container_name", value, true);
	snprintf(whole, sizeof(whole), "deepmon_container,container_name=%s cpu_time_ns=7i" TIME_TEXT,
		 expected(_i, ", ="));
	ck_assert_str_eq(line(), whole);
}
END_TEST

START_TEST(every_byte_in_a_string)
{
	char value[] = {'a', (char)_i, 'b', 0}, whole[128];

	label("container_id", value, false);
	snprintf(whole, sizeof(whole), "deepmon_container cpu_time_ns=7i,container_id=\"%s\"" TIME_TEXT,
		 expected(_i, "\"\\"));
	ck_assert_str_eq(line(), whole);
}
END_TEST

static const struct {
	const char *value, *tag, *string;
} texts[] = {
    {"a", "a", "a"},
    {" ", "\\ ", " "},
    {"a=b,c d", "a\\=b\\,c\\ d", "a=b,c d"},
    {"\"", "\"", "\\\""},
    /* A backslash at the end would escape what follows. */
    {"a\\", "a", "a\\\\"},
    {"a\\\\\\", "a", "a\\\\\\\\\\\\"},
    {"\\", "_", "\\\\"},
    {"a\\b", "a\\b", "a\\\\b"},
    {"a\\,b", "a\\\\,b", "a\\\\,b"},
    {"a\\ ", "a\\\\ ", "a\\\\ "},
    {"a\\\n", "a\\_", "a\\\\_"},
    /* UTF-8 */
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"\xe2\x82\xac", "\xe2\x82\xac", "\xe2\x82\xac"},
    {"\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3"},
    {"\xef\xbf\xbd\xf4\x8f\xbf\xbf", "\xef\xbf\xbd\xf4\x8f\xbf\xbf", "\xef\xbf\xbd\xf4\x8f\xbf\xbf"},
    {"\xc3", "_", "_"}, /* cut short */
    {"\xe2\x82", "__", "__"},
    {"\xf0\x9f\x90", "___", "___"},
    {"\xe2\x82,", "__\\,", "__,"},
    {"\xc0\x80", "__", "__"}, /* longer than need be */
    {"\xe0\x80\x80", "___", "___"},
    {"\xf0\x80\x80\x80", "____", "____"},
    {"\xed\xa0\x80", "___", "___"},	  /* half of a surrogate pair */
    {"\xf4\x90\x80\x80", "____", "____"}, /* past the last character */
    {"\xf8\x88\x80\x80\x80", "_____", "_____"},
    {"\x80", "_", "_"},
    {"\xff\xfe", "__", "__"},
    {"a\r\nb", "a__b", "a__b"},
};

START_TEST(a_text)
{
	char whole[256];

	label("container_id", texts[_i].value, false);
	label("container_name", texts[_i].value, true);
	snprintf(whole, sizeof(whole),
		 "deepmon_container,container_name=%s cpu_time_ns=7i,container_id=\"%s\"" TIME_TEXT,
		 texts[_i].tag, texts[_i].string);
	ck_assert_str_eq(line(), whole);
}
END_TEST

START_TEST(a_long_text_is_whole)
{
	char *value = malloc(100001);

	ck_assert(value);
	memset(value, 'x', 100000);
	value[100000] = '\0';
	label("container_name", value, true);
	ck_assert_uint_eq(strspn(line() + strlen("deepmon_container,container_name="), "x"), 100000);
	free(value);
}
END_TEST

/* ---- Numbers ----------------------------------------------------------------------------------- */

static const struct {
	uint64_t number;
	const char *integer, *micro;
} numbers[] = {
    {0, "0i", "0.000000"},
    {1, "1i", "0.000001"},
    {999999, "999999i", "0.999999"},
    {1000000, "1000000i", "1.000000"},
    {1500000, "1500000i", "1.500000"},
    {INT64_MAX, "9223372036854775807i", "9223372036854.775807"},
    {(uint64_t)INT64_MAX + 1, "9223372036854775807i", "9223372036854.775808"},
    {UINT64_MAX, "9223372036854775807i", "18446744073709.551615"},
};

START_TEST(a_number)
{
	char whole[128];

	record.values.cpu.cpu_time_ns = numbers[_i].number;
	snprintf(whole, sizeof(whole), "deepmon_container cpu_time_ns=%s" TIME_TEXT, numbers[_i].integer);
	ck_assert_str_eq(line(), whole);

	record.subject = DEEPMON_SUBJECT_ENERGY;
	record.valid = VALID(ENERGY, energy_joules);
	record.values.energy.energy_joules = numbers[_i].number;
	snprintf(whole, sizeof(whole), "deepmon_container_energy energy_joules=%s" TIME_TEXT,
		 numbers[_i].micro);
	ck_assert_str_eq(line(), whole);
}
END_TEST

static const char *line_of(double percent)
{
	record.values.cpu.cpu_usage_percent = percent;
	record.valid = VALID(CPU, cpu_usage_percent);
	return line();
}

START_TEST(what_is_not_finite_is_left_out)
{
	static const double strange[] = {NAN, INFINITY, -INFINITY};

	record.valid = VALID(CPU, cpu_time_ns) | VALID(CPU, cpu_usage_percent);
	for (size_t i = 0; i < COUNT(strange); i++) {
		record.values.cpu.cpu_usage_percent = strange[i];
		ck_assert_str_eq(line(), "deepmon_container cpu_time_ns=7i" TIME_TEXT);
	}
}
END_TEST

static const struct {
	double value;
	const char *text;
} doubles[] = {
    {0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {100, "100"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {1e21, "1e+21"},
    {-2.5, "-2.5"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {5e-324, "5e-324"},
    {1.5e-320, "1.5e-320"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
};

START_TEST(a_double)
{
	char whole[128];

	snprintf(whole, sizeof(whole), "deepmon_container cpu_usage_percent=%s" TIME_TEXT, doubles[_i].text);
	ck_assert_str_eq(line_of(doubles[_i].value), whole);
}
END_TEST

static uint64_t random_state = 3;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static double read_back(void)
{
	char *end;
	double value = strtod(strchr(written, '=') + 1, &end);

	ck_assert_int_eq(*end, ' ');
	return value;
}

START_TEST(any_double_reads_back_as_the_same)
{
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = random_number();
		double value;

		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value))
			continue;
		line_of(value);
		if (read_back() != value)
			ck_abort_msg("%a became %s", value, written);
	}
}
END_TEST

START_TEST(a_locale_with_a_comma_changes_nothing)
{
	use_comma_locale();
	ck_assert_str_eq(line_of(0.5), "deepmon_container cpu_usage_percent=0.5" TIME_TEXT);
	ck_assert_str_eq(line_of(1234567.25), "deepmon_container cpu_usage_percent=1234567.25" TIME_TEXT);
	ck_assert_str_eq(line_of(0.1 + 0.2),
			 "deepmon_container cpu_usage_percent=0.30000000000000004" TIME_TEXT);
	record.subject = DEEPMON_SUBJECT_ENERGY;
	record.valid = VALID(ENERGY, energy_joules);
	record.values.energy.energy_joules = 1500000;
	ck_assert_str_eq(line(), "deepmon_container_energy energy_joules=1.500000" TIME_TEXT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line protocol");
	TCase *lines = tcase_create("lines");
	TCase *text = tcase_create("text");
	TCase *number = tcase_create("numbers");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(lines, set_up, tear_down);
	tcase_add_test(lines, a_plain_line);
	tcase_add_test(lines, tags_come_first_and_in_order_and_strings_last);
	tcase_add_test(lines, a_record_without_a_value_gives_no_line);
	tcase_add_test(lines, a_line_for_each_record_that_has_one);
	tcase_add_checked_fixture(text, set_up, tear_down);
	tcase_add_loop_test(text, every_byte_in_a_tag, 1, 256);
	tcase_add_loop_test(text, every_byte_in_a_string, 1, 256);
	tcase_add_loop_test(text, a_text, 0, COUNT(texts));
	tcase_add_test(text, a_long_text_is_whole);
	tcase_add_checked_fixture(number, set_up, tear_down);
	tcase_add_loop_test(number, a_number, 0, COUNT(numbers));
	tcase_add_test(number, what_is_not_finite_is_left_out);
	tcase_add_loop_test(number, a_double, 0, COUNT(doubles));
	tcase_add_test(number, any_double_reads_back_as_the_same);
	tcase_add_test(number, a_locale_with_a_comma_changes_nothing);
	suite_add_tcase(suite, lines);
	suite_add_tcase(suite, text);
	suite_add_tcase(suite, number);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
