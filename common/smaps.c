/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory a process maps. Reads /proc/PID/smaps_rollup.
 */
#include "smaps.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

/* Today's has less than 1 KiB. */
#define FILE_MAX 4096

static const struct {
	const char *word;
	size_t offset; /* of what it adds to */
} words[] = {
    {"Rss:", offsetof(struct smaps, rss_bytes)},
    {"Pss:", offsetof(struct smaps, pss_bytes)},
    {"Private_Clean:", offsetof(struct smaps, uss_bytes)},
    {"Private_Dirty:", offsetof(struct smaps, uss_bytes)},
};
#define WORDS	  (sizeof(words) / sizeof(words[0]))
#define ALL_WORDS ((1u << WORDS) - 1)

/* "                1612 kB", up to the end of the line. */
static bool parse_kb(const char *text, uint64_t *bytes)
{
	uint64_t kb = 0;

	text += strspn(text, " \t");
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(kb, (uint64_t)10, &kb) ||
		    __builtin_add_overflow(kb, (uint64_t)(*text - '0'), &kb))
			return false;
	return strncmp(text, " kB", 3) == 0 && (!text[3] || text[3] == '\n') &&
	       !__builtin_mul_overflow(kb, (uint64_t)1024, bytes);
}

/* Which word the line begins with, and adds what it tells. WORDS: none of them. -1: it makes no sense. */
static int take_line(const char *line, struct smaps *smaps)
{
	for (size_t i = 0; i < WORDS; i++) {
		size_t length = strlen(words[i].word);
		uint64_t bytes = 0, *to = (uint64_t *)((char *)smaps + words[i].offset);

		if (strncmp(line, words[i].word, length) != 0)
			continue;
		if (!parse_kb(line + length, &bytes) || __builtin_add_overflow(*to, bytes, to))
			return -1;
		return (int)i;
	}
	return (int)WORDS;
}

int smaps_parse(const char *text, struct smaps *smaps)
{
	unsigned seen = 0;

	*smaps = (struct smaps){0};
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';

		int word = take_line(line, smaps);

		if (word < 0 || seen & 1u << word)
			return -EINVAL;
		if (word < (int)WORDS)
			seen |= 1u << word;
	}
	return seen == ALL_WORDS ? 0 : -EINVAL;
}

/* Why there is no such file: mounted with hidepid, a proc file system has no directories of others. */
static int why_missing(int proc_fd, uint32_t pid)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", pid);
	if (faccessat(proc_fd, name, F_OK, 0) == 0)
		return -ENOSYS;
	return kill((pid_t)pid, 0) == 0 || errno == EPERM ? -EACCES : -ESRCH;
}

int smaps_read(int proc_fd, uint32_t pid, struct smaps *smaps)
{
	char name[32], text[FILE_MAX];
	long length;

	snprintf(name, sizeof(name), "%u/smaps_rollup", pid);
	length = file_read(proc_fd, name, text, sizeof(text));
	if (length == -ENOENT)
		return why_missing(proc_fd, pid);
	if (length < 0)
		return length == -EPERM ? -EACCES : (int)length;
	/* One that ends as it is read may be told without a word. */
	return length == 0 ? -ESRCH : smaps_parse(text, smaps);
}

int smaps_add(struct smaps *to, const struct smaps *from)
{
	if (__builtin_add_overflow(to->rss_bytes, from->rss_bytes, &to->rss_bytes) ||
	    __builtin_add_overflow(to->pss_bytes, from->pss_bytes, &to->pss_bytes) ||
	    __builtin_add_overflow(to->uss_bytes, from->uss_bytes, &to->uss_bytes))
		return -EOVERFLOW;
	return 0;
}
