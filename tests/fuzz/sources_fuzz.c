/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The sources perf, msr and hwmon on any tree at all: events, scales, lists of CPUs, cpuinfo, registers,
 * labels. What the tree says is no reason to open events of the machine's own kernel, so those are simulated.
 */
#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/types.h>

static int event_open(const struct perf_event_attr *attr, unsigned cpu);
static ssize_t event_read(int fd, uint64_t *count);

#define PERF_EVENT_OPEN(attr, cpu) event_open(attr, cpu)
#define PERF_EVENT_READ(fd, count) event_read(fd, count)
#include "../../common/energy_perf.c"

/* As in the real device. */
#define TREE_REGISTER_STEP 1
#include "energy_tree_fuzz.h"

static uint64_t event_state;

/* By its number an event is refused, ends at once, or counts. */
static int event_open(const struct perf_event_attr *attr, unsigned cpu)
{
	const char *path = attr->config & 0x20 ? "/dev/null" : "/dev/zero";

	(void)cpu;
	errno = attr->config & 0x80 ? EACCES : ENOENT;
	return attr->config & 0xC0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

static ssize_t event_read(int fd, uint64_t *count)
{
	ssize_t length = read(fd, count, sizeof(*count));

	event_state = event_state * 6364136223846793005u + 1442695040888963407u;
	*count = event_state;
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t from[] = {ENERGY_FROM_FIRST + 1, ENERGY_FROM_FIRST + 2, ENERGY_FROM_FIRST + 3,
					ENERGY_FROM_AUTO};

	return fuzz_tree(data, size, from, sizeof(from) / sizeof(from[0]));
}
