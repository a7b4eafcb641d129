/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Any command line and configuration file: they are taken, or one line says why not, and the options are
 * within their ranges either way. The input is a number of arguments, these, each up to a NUL, and the file.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What it would say on stderr goes where it can be looked at. */
static FILE *complaints;
static FILE *real_stderr(void)
{
	return stderr;
}
#undef stderr
#define stderr complaints
#include "../../common/counter_event.h"
#include "../../telegraf-execd/config_file.c"
#include "../../telegraf-execd/settings.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARGUMENTS_MAX 8

#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(real_stderr(), "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static void check_number(const struct deepmon_option *option, double value)
{
	must(value >= option->least && value <= option->most);
}

/* Its texts are as many as it says, and each ends within it. */
static void check_list(const struct deepmon_list *list)
{
	uint32_t ends = 0;

	must(list->length <= sizeof(list->texts));
	for (uint32_t i = 0; i < list->length; i++)
		ends += list->texts[i] == '\0';
	must(ends == list->count);
	must(!list->length || list->texts[list->length - 1] == '\0');
}

static void check_option(const struct deepmon_options *options, const struct deepmon_option *option)
{
	const void *value = (const char *)options + option->offset;
	struct counter_event event;

	switch (option->type) {
	case DEEPMON_OPTION_EVENT:
		must(counter_event_parse(value, &event) != -EINVAL);
		/* fall through */
	case DEEPMON_OPTION_TEXT:
		must(memchr(value, '\0', DEEPMON_TEXT_MAX));
		break;
	case DEEPMON_OPTION_NUMBER:
		check_number(option, *(const double *)value);
		break;
	case DEEPMON_OPTION_COUNT:
		check_number(option, *(const uint32_t *)value);
		break;
	case DEEPMON_OPTION_CHOICE:
		for (uint32_t i = *(const uint32_t *)value, words = 0; i > words; words++)
			must(strchr(option->preset, '|'));
		break;
	case DEEPMON_OPTION_BOOL:
		must(*(const uint8_t *)value <= 1);
		break;
	case DEEPMON_OPTION_LIST:
		check_list(value);
		break;
	}
}

static void check(const struct settings *settings, int status, const char *said)
{
	const char *end = strchr(said, '\n');

	must(status == 0 || status == 2);
	must((status == 2) == (*said != '\0'));
	if (*said) {
		must(!strncmp(said, "E! deepmon: ", 12));
		must(end && !end[1]);
		for (const char *c = said; c < end; c++)
			must((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	must(settings->interval >= 0.1 && settings->interval <= 86400);
	must(settings->signal >= SIGNAL_NONE && settings->signal <= SIGNAL_USR2);
	must(settings->mode >= MODE_SERVE && settings->mode <= MODE_HELP);
	for (size_t i = 0; i < deepmon_option_count; i++)
		check_option(&settings->options, &deepmon_option_table[i]);
}

/* A file that the reader finds by its path. */
static int write_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("settings", MFD_CLOEXEC);

	must(fd >= 0);
	must(write(fd, data, size) == (ssize_t)size);
	return fd;
}

/* Cuts arguments off the input; how many. Whatever file one names, it is ours that is read. */
static int take_arguments(char **argv, char *path, char **data, size_t *size)
{
	int wanted = *size ? (unsigned char)**data % ARGUMENTS_MAX : 0, argc = 1;

	argv[0] = "deepmon-execd";
	if (*size) {
		++*data;
		--*size;
	}
	while (argc <= wanted) {
		char *end = memchr(*data, '\0', *size);

		if (!end)
			break;
		argv[argc] = strcmp(argv[argc - 1], "--config") ? *data : path;
		argc++;
		*size -= (size_t)(end + 1 - *data);
		*data = end + 1;
	}
	argv[argc++] = "--config";
	argv[argc++] = path;
	argv[argc] = NULL;
	return argc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings;
	char *copy = malloc(size + 1), *rest = copy, *said, *argv[ARGUMENTS_MAX + 4], path[64] = "";
	size_t said_size, left = size;

	must(copy);
	memcpy(copy, data, size);

	int argc = take_arguments(argv, path, &rest, &left);
	int fd = write_file((const uint8_t *)rest, left);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	complaints = open_memstream(&said, &said_size);

	int status = settings_read(&settings, argc, argv);

	fclose(complaints);
	check(&settings, status, said);
	free(said);
	free(copy);
	close(fd);
	return 0;
}
