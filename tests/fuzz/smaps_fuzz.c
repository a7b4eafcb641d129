/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The parser of /proc/PID/smaps_rollup on any text at all.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

static int parse_with(const char *text, const char *more, struct smaps *smaps)
{
	size_t length = strlen(text), more_length = strlen(more);
	char *longer = malloc(length + more_length + 1);
	int r;

	must(longer);
	memcpy(longer, text, length);
	memcpy(longer + length, more, more_length + 1);
	r = smaps_parse(longer, smaps);
	free(longer);
	return r;
}

/* What is told is whole: lines that are none of ours change nothing, and one of ours more is one too many. */
static void check_told(const char *text, const struct smaps *told)
{
	struct smaps again;

	must(told->rss_bytes % 1024 == 0 && told->pss_bytes % 1024 == 0 && told->uss_bytes % 1024 == 0);
	must(parse_with(text, "\nRSS: 1 kB\nPss_Anon: 1 kB\nPrivate_Hugetlb: x\n\n", &again) == 0);
	must(again.rss_bytes == told->rss_bytes && again.pss_bytes == told->pss_bytes &&
	     again.uss_bytes == told->uss_bytes);
	must(parse_with(text, "\nRss: 1 kB", &again) == -EINVAL);
	must(parse_with(text, "\nPrivate_Clean: 0 kB\n", &again) == -EINVAL);
	must(parse_with(text, "\nPss: ", &again) == -EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct smaps smaps;
	int r;

	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	r = smaps_parse(text, &smaps);
	must(r == 0 || r == -EINVAL);
	if (r == 0)
		check_told(text, &smaps);
	free(text);
	return 0;
}
