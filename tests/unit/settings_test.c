/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd's command line and configuration file: what is taken, and that every error gives one line on
 * stderr and status 2.
 */
#include "../../telegraf-execd/settings.h"

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
	ck_assert_int_eq(run((const char *const[]){NULL}), SETTINGS_GO_ON);
	ck_assert_int_eq(settings.signal, SIGNAL_NONE);
	ck_assert_double_eq(settings.interval, 10);
	ck_assert(!settings.once && !settings.debug);
	ck_assert_double_eq(settings.options.sample_interval, 1);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(every_argument_is_taken)
{
	ck_assert_int_eq(run((const char *const[]){"--signal", "stdin", "--interval", "0.5", "--max-cgroups",
						   "100", "--once", "--debug"}),
			 SETTINGS_GO_ON);
	ck_assert_int_eq(settings.signal, SIGNAL_STDIN);
	ck_assert_double_eq(settings.interval, 0.5);
	ck_assert_uint_eq(settings.options.max_cgroups, 100);
	ck_assert(settings.once && settings.debug);
}
END_TEST

START_TEST(the_last_of_two_counts)
{
	write_bytes("MaxCgroups = 50\n", 16);
	ck_assert_int_eq(run((const char *const[]){"--max-cgroups", "20", "--config", path, NULL}),
			 SETTINGS_GO_ON);
	ck_assert_uint_eq(settings.options.max_cgroups, 50);
	ck_assert_int_eq(run((const char *const[]){"--config", path, "--MaxCgroups", "20", NULL}),
			 SETTINGS_GO_ON);
	ck_assert_uint_eq(settings.options.max_cgroups, 20);
}
END_TEST

START_TEST(help_names_every_option)
{
	ck_assert_int_eq(run((const char *const[]){"--help", NULL}), 0);
	ck_assert_str_eq(said, "");
	for (size_t i = 0; i < deepmon_option_count; i++)
		ck_assert_msg(strstr(printed, deepmon_option_table[i].help) != NULL, "%s",
			      deepmon_option_table[i].name);
	ck_assert(strstr(printed, "--sample-interval (1 s)"));
}
END_TEST

START_TEST(version_is_said)
{
	ck_assert_int_eq(run((const char *const[]){"--version", NULL}), 0);
	ck_assert_str_eq(printed, "deepmon-execd " DEEPMON_VERSION "\n");
	ck_assert_str_eq(said, "");
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
    {"# HostRoot = /host\n  # MaxCgroups = 16\n", "/", 8192},
    {"HostRoot = /host\nMaxCgroups = 16\n", "/host", 16},
    {"HostRoot=/host", "/host", 8192},
    {"host-root = /host\nmax_cgroups=16", "/host", 16},
    {"\tHostRoot\t=\t/host\t\r\n", "/host", 8192},
    {"HostRoot = \"/host\"\nMaxCgroups = \"16\"\n", "/host", 16},
    {"HostRoot = \" /with spaces \"\n", " /with spaces ", 8192},
    {"HostRoot = /with spaces\n", "/with spaces", 8192},
    {"HostRoot = \"\"\"\n", "\"", 8192},
    {"HostRoot = \"\n", "\"", 8192},
    {"HostRoot = \"/half\n", "\"/half", 8192},
    {"HostRoot = /a=b\n", "/a=b", 8192},
    {"HostRoot = /a # b\n", "/a # b", 8192},
    {"HostRoot =\n", "", 8192},
    {"HostRoot = \"\"\n", "", 8192},
    {"HostRoot = /one\nHostRoot = /two\n", "/two", 8192},
};

START_TEST(a_file_is_read)
{
	ck_assert_msg(run_file(files[_i].text) == SETTINGS_GO_ON, "%s", said);
	ck_assert_str_eq(settings.options.host_root, files[_i].host_root);
	ck_assert_uint_eq(settings.options.max_cgroups, files[_i].max_cgroups);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_file_has_the_front_ends_own_options_too)
{
	ck_assert_int_eq(run_file("Signal = STDIN\ninterval = 2\n"), SETTINGS_GO_ON);
	ck_assert_int_eq(settings.signal, SIGNAL_STDIN);
	ck_assert_double_eq(settings.interval, 2);
}
END_TEST

static const struct {
	const char *text;
	const char *word;
} bad_files[] = {
    {"HostRoot /host\n", "line 1: it is not of the form NAME = VALUE"},
    {"\n# comment\nHostRoot\n", "line 3: it is not of the form NAME = VALUE"},
    {"HostRoot = /\nNoSuchOption = 1\n", "line 2: NoSuchOption: there is no option"},
    {" = 1\n", "line 1: : there is no option"},
    {"SampleInterval = 900\n", "line 1: SampleInterval: 900 is out of range; 0.05 to 60 s"},
    {"SampleInterval = 1 # second\n", "line 1: SampleInterval: \"1 # second\" is not a number"},
    {"SampleInterval =", "line 1: SampleInterval: \"\" is not a number"},
    {"interval = 0\n", "line 1: interval: \"0\""},
    {"config = other.conf\n", "line 1: config: there is no option"},
    {"once = true\n", "line 1: once: there is no option"},
    {"[deepmon]\n", "line 1: it is not of the form"},
    {"SampleInterval = 1\t2\n", "\"1?2\""},
    {"NoSuchOption = 1\nNoSuchOption = 2\n", "line 1"}, /* and no more than that */
};

START_TEST(a_wrong_file_gives_one_line)
{
	ck_assert_int_eq(run_file(bad_files[_i].text), 2);
	assert_one_line_with(bad_files[_i].word);
	ck_assert_msg(strstr(said, path) != NULL, "the file is not named: %s", said);
}
END_TEST

/* Too long for the reader: it must not be taken for two lines. */
START_TEST(a_line_that_is_too_long_is_an_error)
{
	char text[8192];

	for (size_t length = 1990; length < 2010; length++) {
		memset(text, ' ', length);
		memcpy(text, "HostRoot = /a", 13);
		memcpy(text + length, "\nMaxCgroups = 16\n", 18);
		if (length <= 2000) {
			ck_assert_msg(run_file(text) == SETTINGS_GO_ON, "%zu: %s", length, said);
			ck_assert_str_eq(settings.options.host_root, "/a");
			ck_assert_uint_eq(settings.options.max_cgroups, 16);
		} else {
			ck_assert_int_eq(run_file(text), 2);
			assert_one_line_with("line 1: it is longer than 2000 bytes");
		}
	}
	memset(text, '#', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(run_file(text), 2);
	assert_one_line_with("line 1: it is longer");
}
END_TEST

START_TEST(a_nul_byte_is_an_error)
{
	static const char text[] = "HostRoot = /a\0b\nMaxCgroups = 16\n";

	write_bytes(text, sizeof(text) - 1);
	ck_assert_int_eq(run((const char *const[]){"--config", path, NULL}), 2);
	assert_one_line_with("line 1: it is longer than 2000 bytes, or has a NUL byte");
}
END_TEST

/* The longest text fits into a line, and one byte more is refused by the option and not cut by the reader. */
START_TEST(the_longest_value_fits)
{
	char text[DEEPMON_TEXT_MAX + 32];

	for (int more = 0; more < 2; more++) {
		size_t length = (size_t)sprintf(text, "HostRoot = ");

		memset(text + length, 'a', DEEPMON_TEXT_MAX - 1 + more);
		strcpy(text + length + DEEPMON_TEXT_MAX - 1 + more, "\n");
		ck_assert_int_eq(run_file(text), more ? 2 : SETTINGS_GO_ON);
	}
	assert_one_line_with("HostRoot: 1024 bytes are too long");
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
	tcase_add_test(arguments, version_is_said);
	tcase_add_loop_test(arguments, a_wrong_command_line_gives_one_line, 0, COUNT(refused));
	tcase_add_checked_fixture(file, set_up, tear_down);
	tcase_add_loop_test(file, a_file_is_read, 0, COUNT(files));
	tcase_add_test(file, a_file_has_the_front_ends_own_options_too);
	tcase_add_loop_test(file, a_wrong_file_gives_one_line, 0, COUNT(bad_files));
	tcase_add_test(file, a_line_that_is_too_long_is_an_error);
	tcase_add_test(file, a_nul_byte_is_an_error);
	tcase_add_test(file, the_longest_value_fits);
	suite_add_tcase(suite, arguments);
	suite_add_tcase(suite, file);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
