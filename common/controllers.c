/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where cgroups' files of one controller are. Looks at the root directories of hierarchies.
 */
#include "controllers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

#define FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* It is mounted at cgroup_root itself, or where there are v1 hierarchies beside them. */
int controllers_open_unified(const char *cgroup_root)
{
	static const char *const mounts[] = {"", "/unified"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", cgroup_root, mounts[i]);

		int fd = open(path, FLAGS);

		if (fd >= 0 && faccessat(fd, "cgroup.controllers", F_OK, 0) == 0)
			return fd;
		file_close(&fd);
	}
	return -ENOENT;
}

/* Whether the unified hierarchy has that controller. */
static bool has_controller(int fd, const char *controller)
{
	char text[1024], *rest = NULL;

	if (file_read(fd, "cgroup.controllers", text, sizeof(text)) < 0)
		return false;
	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		if (strcmp(word, controller) == 0)
			return true;
	return false;
}

long controllers_read(int root_fd, const char *path, const char *file, char *buffer, size_t size)
{
	char relative[PATH_MAX];

	if (snprintf(relative, sizeof(relative), ".%s/%s", path, file) >= (int)sizeof(relative))
		return -ENAMETOOLONG;
	return file_read(root_fd, relative, buffer, size);
}

int controllers_open(const char *cgroup_root, const char *controller, const char *v1_file, bool *unified)
{
	const char *slash = strchr(controller, '/');
	int v1_length = (int)(slash ? (size_t)(slash - controller) : strlen(controller));
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%.*s", cgroup_root, v1_length, controller);

	int fd = open(path, FLAGS);

	*unified = false;
	if (fd >= 0 && faccessat(fd, v1_file, F_OK, 0) == 0)
		return fd;
	file_close(&fd);
	fd = controllers_open_unified(cgroup_root);
	*unified = true;
	if (fd >= 0 && has_controller(fd, slash ? slash + 1 : controller))
		return fd;
	file_close(&fd);
	return -ENOENT;
}
