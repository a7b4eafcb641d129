/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Files of cgroups that are read at each report: opened each time, or kept open as far as there is room.
 * Opening costs more than reading, and an open file costs a descriptor and a page of the kernel's memory.
 */
#ifndef DEEPMON_KEPT_FILE_H
#define DEEPMON_KEPT_FILE_H

#include <stddef.h>
#include <stdint.h>

struct kept_files {
	uint32_t most, count; /* descriptors that may be kept, and are */
};

/* No more than `most`, nor than a quarter of the descriptors that this process may have. */
void kept_files_init(struct kept_files *files, uint32_t most);

/*
 * Reads the file `name` in the directory at `path` (beginning with '/') below root_fd as file_read does.
 * *fd is what was kept of it, -1 at first, and may be kept again. NULL: it is not to be kept.
 */
long kept_file_read(struct kept_files *files, int *fd, int root_fd, const char *path, const char *name,
		    char *buffer, size_t size);
void kept_file_close(struct kept_files *files, int *fd);

#endif
