/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Files of cgroups that are read at each report.
 */
#include "kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "file.h"

void kept_files_init(struct kept_files *files, uint32_t most)
{
	struct rlimit limit;

	*files = (struct kept_files){.most = most};
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur / 4 < most)
		files->most = (uint32_t)(limit.rlim_cur / 4);
}

/* From the file's beginning, as file_read. */
static long read_whole(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = pread(fd, buffer + length, size - length, (off_t)length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	if (length == size)
		return -EFBIG;
	buffer[length] = '\0';
	return (long)length;
}

long kept_file_read(struct kept_files *files, int *fd, int root_fd, const char *path, const char *name,
		    char *buffer, size_t size)
{
	char relative[PATH_MAX];
	int opened;

	if (fd && *fd >= 0) {
		long length = read_whole(*fd, buffer, size);

		if (length >= 0)
			return length;
		/* Its cgroup is gone; another may be in its place. */
		kept_file_close(files, fd);
	}
	if (snprintf(relative, sizeof(relative), ".%s/%s", path, name) >= (int)sizeof(relative))
		return -ENAMETOOLONG;
	opened = openat(root_fd, relative, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (opened < 0)
		return -errno;

	long length = read_whole(opened, buffer, size);

	if (length < 0 || !fd || files->count >= files->most) {
		file_close(&opened);
		return length;
	}
	*fd = opened;
	files->count++;
	return length;
}

void kept_file_close(struct kept_files *files, int *fd)
{
	if (*fd >= 0)
		files->count--;
	file_close(fd);
}
