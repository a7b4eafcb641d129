/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A disk of the guest's own that a process of a cgroup uses, and what the kernel says of that: by the
 * cgroup's own files, of v1 or v2. For guest_gauges.c.
 */
#ifndef TESTS_USED_DEVICE_H
#define TESTS_USED_DEVICE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEVICE	       "nvme0n1"
#define DEVICE_FILE    "/disk"
#define DEVICE_REQUEST 65536
#define DEVICE_WRITTEN (8 << 20)
#define DEVICE_READ    (4 << 20)

/* deepmon's fields: the word of io.stat, and v1's file and kind. */
static const struct {
	const char *field, *v2_word, *v1_file, *v1_kind;
	unsigned used;
} device_figures[] = {
    {"read_bytes", "rbytes=", "blkio.throttle.io_service_bytes_recursive", "Read", DEVICE_READ},
    {"written_bytes", "wbytes=", "blkio.throttle.io_service_bytes_recursive", "Write", DEVICE_WRITTEN},
    {"read_operations", "rios=", "blkio.throttle.io_serviced_recursive", "Read",
     DEVICE_READ / DEVICE_REQUEST},
    {"write_operations", "wios=", "blkio.throttle.io_serviced_recursive", "Write",
     DEVICE_WRITTEN / DEVICE_REQUEST},
};
#define DEVICE_FIGURES (sizeof(device_figures) / sizeof(device_figures[0]))

/* Its number; makes a file of it. 0: there is none. */
static dev_t device_find(void)
{
	unsigned major_number, minor_number;
	dev_t number = 0;
	FILE *file = fopen("/sys/class/block/" DEVICE "/dev", "r");

	if (file && fscanf(file, "%u:%u", &major_number, &minor_number) == 2)
		number = makedev(major_number, minor_number);
	if (file)
		fclose(file);
	if (number && mknod(DEVICE_FILE, S_IFBLK | 0600, number) && access(DEVICE_FILE, F_OK))
		number = 0;
	return number;
}

/* Past the page cache. Ends the process. */
static void __attribute__((noreturn)) device_use(void)
{
	int fd = open(DEVICE_FILE, O_RDWR | O_DIRECT);
	void *buffer = aligned_alloc(4096, DEVICE_REQUEST);

	if (fd < 0 || !buffer)
		_exit(1);
	memset(buffer, 1, DEVICE_REQUEST);
	for (off_t at = 0; at < DEVICE_WRITTEN; at += DEVICE_REQUEST)
		if (pwrite(fd, buffer, DEVICE_REQUEST, at) != DEVICE_REQUEST)
			_exit(1);
	for (off_t at = 0; at < DEVICE_READ; at += DEVICE_REQUEST)
		if (pread(fd, buffer, DEVICE_REQUEST, at) != DEVICE_REQUEST)
			_exit(1);
	_exit(0);
}

/* What the kernel says of one figure in the cgroup of that directory; -1: nothing. */
static double device_figure(size_t figure, const char *directory, bool v2, dev_t number)
{
	char path[256], line[512], begin[64];
	double found = -1;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, v2 ? "io.stat" : device_figures[figure].v1_file);
	snprintf(begin, sizeof(begin), "%u:%u %s", major(number), minor(number),
		 v2 ? "" : device_figures[figure].v1_kind);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		const char *value = line + strlen(begin);

		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		if (v2) {
			value = strstr(line, device_figures[figure].v2_word);
			value = value ? value + strlen(device_figures[figure].v2_word) : "-1";
		}
		found = strtod(value, NULL);
	}
	if (file)
		fclose(file);
	return found;
}

#endif
