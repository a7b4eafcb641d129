/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The virtual machine: its console, to which guest.c's lines go, its clock, its files and mounts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

const char *why;
static char why_text[512];

/* A line of the report; one that is wrong fails the method. */
void __attribute__((format(printf, 2, 3))) note(bool good, const char *format, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printf("# %s%s\n", text, good ? "" : " WRONG");
	if (!good && !why)
		why = strcpy(why_text, text);
}

/* The machine itself fails: nothing can be said of deepmon. */
void __attribute__((format(printf, 1, 2), noreturn)) give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("guest failed: ");
	vprintf(format, arguments);
	printf(" (%s)\n", strerror(errno));
	va_end(arguments);
	reboot(RB_POWER_OFF);
	abort();
}

uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rest_for(double ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1e9), .tv_nsec = (long)ns % 1000000000};

	nanosleep(&time, NULL);
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up("%s: %s can't be written", path, text);
	close(fd);
}

size_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length, all = 0;

	while (fd >= 0 && (length = read(fd, text + all, size - 1 - (size_t)all)) > 0)
		all += length;
	if (fd < 0)
		give_up("%s", path);
	close(fd);
	text[all] = '\0';
	return (size_t)all;
}

void make_directory(const char *path)
{
	char part[256];

	for (const char *slash = path; slash;) {
		slash = strchr(slash + 1, '/');
		snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - path) : 255, path);
		if (mkdir(part, 0755) && errno != EEXIST)
			give_up("mkdir %s", part);
	}
}

void mount_on(const char *type, const char *path, const char *options)
{
	make_directory(path);
	if (mount(type, path, type, 0, options))
		give_up("mount %s at %s", type, path);
}

double uptime_ns(void)
{
	char text[64];

	read_text("/proc/uptime", text, sizeof(text));
	return strtod(text, NULL) * 1e9;
}
