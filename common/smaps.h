/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory a process maps, by /proc/PID/smaps_rollup.
 */
#ifndef DEEPMON_SMAPS_H
#define DEEPMON_SMAPS_H

#include <stdint.h>

struct smaps {
	uint64_t rss_bytes; /* resident */
	uint64_t pss_bytes; /* of it, what others map too divided by how many do */
	uint64_t uss_bytes; /* of it, what nobody else maps */
};

/* What such a file's text tells; any text at all. -EINVAL: not all three. Pure. */
int smaps_parse(const char *text, struct smaps *smaps);

/*
 * Reads it below the directory of a proc file system. The kernel walks the process's page tables for it: that
 * takes as long as there are pages. -ESRCH: the process has ended, or has no memory of its own. -ENOSYS: the
 * kernel has no such file. -EACCES: the process is there and not for us to look at.
 */
int smaps_read(int proc_fd, uint32_t pid, struct smaps *smaps);

/* -EOVERFLOW: their sum is no number; *to is then as good as nothing. */
int smaps_add(struct smaps *to, const struct smaps *from);

#endif
