/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd's command line and configuration file: what is taken, and that every error gives one line on
 * stderr and status 2.
 */
#include "../../telegraf-execd/modes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

#define COUNT(of)     (sizeof(of) / sizeof((of)[0]))
#define ARGUMENTS_MAX 8

static struct tree tree;
static struct settings settings;
static char path[PATH_MAX], said[8192], printed[32768];

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	snprintf(path, sizeof(path), "%s/deepmon.conf", tree.root);
}

static void tear_down(void)
{
	tree_close(&tree);
}

/* Lets a standard stream go into a file; returns what it was. */
static int redirect(FILE *stream, FILE *file)
{
	int kept = dup(fileno(stream));

	fflush(stream);
	ck_assert_int_ge(dup2(fileno(file), fileno(stream)), 0);
	return kept;
}

static void restore(FILE *stream, int kept, FILE *file, char *text, size_t size)
{
	fflush(stream);
	dup2(kept, fileno(stream));
	close(kept);
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* Reads a command line, its first NULL the end; what it says goes to `said` and `printed`. */
static int run(const char *const *arguments)
{
	char *argv[ARGUMENTS_MAX + 2] = {"deepmon-execd"};
	FILE *errors = tmpfile(), *output = tmpfile();
	int argc = 1;

	while (argc <= ARGUMENTS_MAX && arguments[argc - 1]) {
		argv[argc] = (char *)arguments[argc - 1];
		argc++;
	}
	ck_assert(errors && output);

	int kept_errors = redirect(stderr, errors), kept_output = redirect(stdout, output);
	int status = settings_read(&settings, argc, argv);

	restore(stderr, kept_errors, errors, said, sizeof(said));
	restore(stdout, kept_output, output, printed, sizeof(printed));
	return status;
}

static void write_bytes(const char *bytes, size_t length)
{
	FILE *file = fopen(path, "we");

	ck_assert(file);
	ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

static int run_file(const char *text)
{
	write_bytes(text, strlen(text));
	return run((const char *const[]){"--config", path, NULL});
}

static void assert_one_line_with(const char *word)
{
	const char *end = strchr(said, '\n');

	ck_assert_msg(!strncmp(said, "E! deepmon: ", 12), "it begins with another prefix: %s", said);
	ck_assert_msg(end && !end[1], "it is not one line: %s", said);
	ck_assert_msg(strstr(said, word) != NULL, "\"%s\" is not in: %s", word, said);
	ck_assert_str_eq(printed, "");
}

/* ---- The command line -------------------------------------------------------------------------- */

START_TEST(without_arguments_all_is_at_its_default)
{
	ck_assert_int_eq(run((const char *const[]){NULL}), 0);
	ck_assert_int_eq(settings.signal, SIGNAL_NONE);
	ck_assert_double_eq(settings.interval, 10);
	ck_assert_int_eq(settings.mode, MODE_SERVE);
	ck_assert(!settings.debug);
	ck_assert_double_eq(settings.options.sample_interval, 1);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(every_argument_is_taken)
{
	ck_assert_int_eq(run((const char *const[]){"--signal", "stdin", "--interval", "0.5", "--max-cgroups",
						   "100", "--once", "--debug"}),
			 0);
	ck_assert_int_eq(settings.signal, SIGNAL_STDIN);
	ck_assert_double_eq(settings.interval, 0.5);
	ck_assert_uint_eq(settings.options.max_cgroups, 100);
	ck_assert_int_eq(settings.mode, MODE_ONCE);
	ck_assert(settings.debug);
}
END_TEST

START_TEST(the_last_of_two_counts)
{
	write_bytes("MaxCgroups 50\n", 14);
	ck_assert_int_eq(run((const char *const[]){"--max-cgroups", "20", "--config", path, NULL}), 0);
	ck_assert_uint_eq(settings.options.max_cgroups, 50);
	ck_assert_int_eq(run((const char *const[]){"--config", path, "--MaxCgroups", "20", NULL}), 0);
	ck_assert_uint_eq(settings.options.max_cgroups, 20);
}
END_TEST

START_TEST(help_names_every_option)
{
	FILE *output = tmpfile();
	int kept = redirect(stdout, output);

	mode_help();
	restore(stdout, kept, output, printed, sizeof(printed));
	for (size_t i = 0; i < deepmon_option_count; i++)
		ck_assert_msg(strstr(printed, deepmon_option_table[i].name) || strstr(printed, "--"), "%s",
			      deepmon_option_table[i].name);
	for (size_t i = 0; i < execd_option_count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "  --%s", execd_option_table[i].name);
		ck_assert_msg(strstr(printed, name) != NULL, "%s", name);
	}
	ck_assert(strstr(printed, "--sample-interval (1 s)"));
	ck_assert(strstr(printed, "--max-cgroups (8192)"));
	ck_assert(strstr(printed, "--interval SECONDS (10)"));
}
END_TEST

static const struct {
	const char *arguments[3];
	enum settings_mode mode;
} modes[] = {
    {{NULL}, MODE_SERVE},
    {{"--once"}, MODE_ONCE},
    {{"--once", "--once"}, MODE_ONCE},
    {{"--list-metrics"}, MODE_LIST_METRICS},
    {{"--check-config", "--debug"}, MODE_CHECK_CONFIG},
    {{"--version"}, MODE_VERSION},
    {{"--help", "--no-such-option"}, MODE_HELP}, /* what follows is not read */
};

START_TEST(what_is_to_be_done)
{
	ck_assert_int_eq(run(modes[_i].arguments), 0);
	ck_assert_int_eq(settings.mode, modes[_i].mode);
	ck_assert_str_eq(said, "");
	ck_assert_str_eq(printed, "");
}
END_TEST

static const struct {
	const char *word;
	enum signal_mode mode;
} signals[] = {{"none", SIGNAL_NONE},  {"STDIN", SIGNAL_STDIN},	 {"stdin", SIGNAL_STDIN},
	       {"SIGHUP", SIGNAL_HUP}, {"SIGUSR1", SIGNAL_USR1}, {"SIGUSR2", SIGNAL_USR2}};

START_TEST(each_of_telegrafs_signals)
{
	ck_assert_int_eq(run((const char *const[]){"--signal", signals[_i].word, NULL}), 0);
	ck_assert_int_eq(settings.signal, signals[_i].mode);
}
END_TEST

static const struct {
	const char *arguments[4];
	const char *word;
} refused[] = {
    {{"once"}, "once: options begin with --"},
    {{"-once"}, "-once: options begin with --"},
    {{"--"}, "--: options begin with --"},
    {{""}, ": options begin with --"},
    {{"--smaple-interval", "1"}, "smaple-interval: there is no option of that name"},
    {{"--smaple-interval"}, "smaple-interval: there is no option of that name"},
    {{"--interval=5"}, "interval=5: there is no option of that name"},
    {{"--sample-interval"}, "--sample-interval: a value must follow"},
    {{"--interval"}, "--interval: a value must follow"},
    {{"--signal"}, "--signal: a value must follow"},
    {{"--config"}, "--config: a value must follow"},
    {{"--sample-interval", "900"}, "SampleInterval: 900 is out of range; 0.05 to 60 s"},
    {{"--sample-interval", "--once"}, "SampleInterval: \"--once\" is not a number"},
    {{"--max-cgroups", "abc"}, "MaxCgroups: \"abc\" is not a whole number"},
    {{"--interval", "0"}, "interval: \"0\" is not a number from 0.1 to 86400 s"},
    {{"--interval", "abc"}, "interval: \"abc\" is not a number from 0.1 to 86400 s"},
    {{"--interval", ""}, "interval: \"\" is not a number from 0.1 to 86400 s"},
    {{"--interval", "nan"}, "interval: \"nan\" is not a number from 0.1 to 86400 s"},
    {{"--interval", "86401"}, "interval: \"86401\" is not a number from 0.1 to 86400 s"},
    {{"--signal", "SIGINT"}, "signal: \"SIGINT\" is not one of none|STDIN|SIGHUP|SIGUSR1|SIGUSR2"},
    {{"--signal", ""}, "signal: \"\" is not one of none|STDIN"},
    {{"--config", "/nowhere/deepmon.conf"}, "/nowhere/deepmon.conf: No such file"},
    {{"--config", "/"}, "/: Is a directory"},
    {{"--config", ""}, "No such file"},
    {{"--config", "/no\nwhere"}, "/no?where: No such file"},
    {{"--a\nb", "1"}, "a?b"},
    {{"--once", "--host\nroot", "1"}, "host?root"},
    {{"--once", "--check-config"}, "--check-config: another option says already what to do"},
};

START_TEST(a_wrong_command_line_gives_one_line)
{
	ck_assert_int_eq(run(refused[_i].arguments), 2);
	assert_one_line_with(refused[_i].word);
}
END_TEST

/* ---- The file ---------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	const char *host_root;
	uint32_t max_cgroups;
} files[] = {
    {"", "/", 8192},
    {"\n\n", "/", 8192},
    {"# HostRoot \"/host\"\n  # MaxCgroups 16\n", "/", 8192},
    {"HostRoot \"/host\"\nMaxCgroups 16\n", "/host", 16},
    {"HostRoot \"/host\"", "/host", 8192},
    {"host_root \"/host\"\nmax_cgroups 16", "/host", 16},
    {"\tHostRoot\t\"/host\"\t\r\nMaxCgroups 16\r\n", "/host", 16},
    {"MaxCgroups \"16\"\n", "/", 16},
    {"MaxCgroups 0x10\n", "/", 16},
    {"MaxCgroups +16.0\n", "/", 16},
    {"MaxCgroups 1.60e+1 # comment\n", "/", 16},
    {"MaxCgroups 020\n", "/", 20},
    {"HostRoot \"/a b\"#comment\n", "/a b", 8192},
    {"HostRoot \"/a # b\"\n", "/a # b", 8192},
    {"HostRoot \"/\\\"a\\\\b\\n\"\n", "/\"a\\bn", 8192},
    {"HostRoot \"\"\n", "", 8192},
    {"HostRoot host_1\n", "host_1", 8192},
    {"HostRoot on\n", "true", 8192},
    {"HostRoot 192.168.0.1:80\n", "192.168.0.1:80", 8192},
    {"HostRoot ::1\n", "::1", 8192},
    {"HostRoot \\\n  \"/host\"\nMaxCgroups 16", "/host", 16},
    {"HostRoot \"/ho\\\n   st\"\nMaxCgroups \\\r\n16", "/host", 16},
    {"HostRoot \"/one\"\nHostRoot \"/two\"\n", "/two", 8192},
    {"<Plugin deepmon>\n  HostRoot \"/host\"\n</Plugin>\n", "/host", 8192},
    {"LoadPlugin deepmon\n<Plugin \"deepmon\">\nMaxCgroups 16\n</Plugin>\nHostRoot \"/host\"", "/host", 16},
    {"<LoadPlugin deepmon>\n  Interval 5\n</LoadPlugin>\n<Plugin deepmon>\n</Plugin>", "/", 8192},
};

START_TEST(a_file_is_read)
{
	ck_assert_msg(run_file(files[_i].text) == 0, "%s", said);
	ck_assert_str_eq(settings.options.host_root, files[_i].host_root);
	ck_assert_uint_eq(settings.options.max_cgroups, files[_i].max_cgroups);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_file_has_the_front_ends_own_options_too)
{
	ck_assert_int_eq(run_file("Signal \"STDIN\"\ninterval 2\n"), 0);
	ck_assert_int_eq(settings.signal, SIGNAL_STDIN);
	ck_assert_double_eq(settings.interval, 2);
	ck_assert_int_eq(run_file("<LoadPlugin deepmon>\nInterval 0.5\n</LoadPlugin>\n"), 0);
	ck_assert_double_eq(settings.interval, 0.5);
}
END_TEST

START_TEST(a_list_is_given_in_one_line_or_in_several)
{
	static const char texts[] = "web\0/^db-[0-9]+$/\0cache";

	ck_assert_int_eq(run_file("Container web \"/^db-[0-9]+$/\"\nContainer cache\n"), 0);
	ck_assert_uint_eq(settings.options.container.count, 3);
	ck_assert_uint_eq(settings.options.container.length, sizeof(texts));
	ck_assert_int_eq(memcmp(settings.options.container.texts, texts, sizeof(texts)), 0);
}
END_TEST

static const struct {
	const char *text;
	const char *word;
} bad_files[] = {
    {"HostRoot /host\n", "line 1: HostRoot: the values of an option end with the line"},
    {"HostRoot = \"/host\"\n", "line 1: near \"=\": a line is a name and its values, as in collectd.conf"},
    {"\n# comment\nHostRoot\n", "line 3: HostRoot: a value must follow"},
    {"HostRoot \"/\"\nNoSuchOption 1\n", "line 2: NoSuchOption: there is no option"},
    {"1 1\n", "line 1: a name was to stand here"},
    {"on 1\n", "line 1: a name was to stand here"},
    {"\"HostRoot\" 1\n", "line 1: a name was to stand here"},
    {"SampleInterval 900\n", "line 1: SampleInterval: 900 is out of range; 0.05 to 60 s"},
    {"SampleInterval \"\"", "line 1: SampleInterval: \"\" is not a number"},
    {"SampleInterval 1 2\n", "line 1: SampleInterval: one value is accepted"},
    {"SampleInterval 1e5\n", "line 1: SampleInterval: 1e5 is out of range"}, /* a text that is a number */
    {"SampleInterval 1-2\n", "line 1: near \"1-2\": text belongs in quotation marks"},
    {"host-root \"/host\"\n", "line 1: near \"host-root\": text belongs in quotation marks"},
    {"interval 0\n", "line 1: interval: \"0\""},
    {"config \"other.conf\"\n", "line 1: config: there is no option"},
    {"once true\n", "line 1: once: there is no option"},
    {"[deepmon]\n", "line 1: near \"[deepmon]\""},
    {"HostRoot \"/host\n\nMaxCgroups 16\n", "line 1: a quotation mark has no second one"},
    {"HostRoot \"/host\\", "line 1: a quotation mark has no second one"},
    {"HostRoot \"a\nb\"\nMaxCgroups x", "line 3: MaxCgroups: \"x\" is not a whole number"},
    {"HostRoot \\\n\"a\" \\\nb", "line 3: HostRoot: one value is accepted"},
    {"SampleInterval \"1\t2\"\n", "\"1?2\""},
    {"Container \"/(/\"\n", "line 1: Container: "},
    {"<Plugin deepmon>\n", "line 2: <Plugin deepmon> has no </Plugin>"},
    {"<Plugin deepmon\n", "line 1: <Plugin: a > must follow"},
    {"<Plugin deepmon> HostRoot\n", "line 1: nothing more may stand in the line of <Plugin>"},
    {"<Plugin cpu>\n</Plugin>\n", "line 1: <Plugin …>: the one block there is is <Plugin deepmon>"},
    {"<Plugin>\n</Plugin>\n", "line 1: <Plugin …>: the one block"},
    {"<Plugin deepmon>\n<Plugin deepmon>\n", "line 2: <Plugin>: there are no blocks within <Plugin>"},
    {"<Plugin deepmon>\n</Plugins>\n", "line 2: </Plugins>: no block of that name is open"},
    {"</Plugin>\n", "line 1: </Plugin>: no block of that name is open"},
    {"LoadPlugin cpu\n", "line 1: LoadPlugin: there is no option"},
    {"NoSuchOption 1\nNoSuchOption 2\n", "line 1"}, /* and no more than that */
};

START_TEST(a_wrong_file_gives_one_line)
{
	ck_assert_int_eq(run_file(bad_files[_i].text), 2);
	assert_one_line_with(bad_files[_i].word);
	ck_assert_msg(strstr(said, path) != NULL, "the file is not named: %s", said);
}
END_TEST

START_TEST(a_nul_byte_is_an_error)
{
	static const char quoted[] = "HostRoot \"/a\0b\"\nMaxCgroups 16\n", bare[] = "HostRoot \0\n";

	write_bytes(quoted, sizeof(quoted) - 1);
	ck_assert_int_eq(run((const char *const[]){"--config", path, NULL}), 2);
	assert_one_line_with("line 1: a NUL byte has no place in it");
	write_bytes(bare, sizeof(bare) - 1);
	ck_assert_int_eq(run((const char *const[]){"--config", path, NULL}), 2);
	assert_one_line_with("line 1: near \"N\"");
}
END_TEST

/* The longest text fits, and one byte more is refused by the option; what no option could take, by the
 * reader. */
START_TEST(the_longest_value_fits)
{
	static char text[2 * DEEPMON_LIST_MAX];
	static const size_t lengths[] = {DEEPMON_TEXT_MAX - 1, DEEPMON_TEXT_MAX, DEEPMON_LIST_MAX};
	static const char *const words[] = {"", "HostRoot: 1024 bytes are too long",
					    "line 1: a value is longer than 4095 bytes"};

	for (size_t i = 0; i < COUNT(lengths); i++) {
		size_t length = (size_t)sprintf(text, "HostRoot \"");

		memset(text + length, 'a', lengths[i]);
		strcpy(text + length + lengths[i], "\"\n");
		ck_assert_int_eq(run_file(text), *words[i] ? 2 : 0);
		if (*words[i])
			assert_one_line_with(words[i]);
	}
}
END_TEST

START_TEST(a_file_without_end_is_an_error)
{
	ck_assert_int_eq(run((const char *const[]){"--config", "/dev/zero", NULL}), 2);
	assert_one_line_with("config: /dev/zero: File too large");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *arguments = tcase_create("arguments");
	TCase *file = tcase_create("file");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(arguments, set_up, tear_down);
	tcase_add_test(arguments, without_arguments_all_is_at_its_default);
	tcase_add_test(arguments, every_argument_is_taken);
	tcase_add_test(arguments, the_last_of_two_counts);
	tcase_add_test(arguments, help_names_every_option);
	tcase_add_loop_test(arguments, what_is_to_be_done, 0, COUNT(modes));
	tcase_add_loop_test(arguments, each_of_telegrafs_signals, 0, COUNT(signals));
	tcase_add_loop_test(arguments, a_wrong_command_line_gives_one_line, 0, COUNT(refused));
	tcase_add_checked_fixture(file, set_up, tear_down);
	tcase_add_loop_test(file, a_file_is_read, 0, COUNT(files));
	tcase_add_test(file, a_file_has_the_front_ends_own_options_too);
	tcase_add_loop_test(file, a_wrong_file_gives_one_line, 0, COUNT(bad_files));
	tcase_add_test(file, a_list_is_given_in_one_line_or_in_several);
	tcase_add_test(file, a_file_without_end_is_an_error);
	tcase_add_test(file, a_nul_byte_is_an_error);
	tcase_add_test(file, the_longest_value_fits);
	suite_add_tcase(suite, arguments);
	suite_add_tcase(suite, file);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
