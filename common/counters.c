/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Opens perf events on every CPU. The only system calls are perf_event_open, read and close.
 */
#include "counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "findings.h"
#include "log.h"
#include "privileges.h"

static int open_event(const struct counter_event *event, uint32_t cpu)
{
	struct perf_event_attr attr = {.type = event->type,
				       .size = sizeof(attr),
				       .config = event->config,
				       .read_format =
					   PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void close_event(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* On every CPU. A CPU that is offline has no events until it is back. */
static int open_everywhere(struct counters *counters, unsigned counter)
{
	bool some = false;

	for (uint32_t cpu = 0; cpu < counters->cpu_count; cpu++) {
		int fd = open_event(&counters->event[counter], cpu);

		if (fd < 0 && fd != -ENODEV)
			return fd;
		if (fd < 0)
			continue;
		counters->fds[cpu * CPU_COUNTERS + counter] = fd;
		some = true;
	}
	return some ? 0 : -ENODEV;
}

static void close_everywhere(struct counters *counters, unsigned counter)
{
	for (uint32_t cpu = 0; cpu < counters->cpu_count; cpu++)
		close_event(&counters->fds[cpu * CPU_COUNTERS + counter]);
}

/* Where one is missing all are, most often: one line of the log tells it, but a finding of each. */
static void say_refusal(const struct deepmon_logger *logger, const char *option, const char *text, int error,
			bool log)
{
	const char *why = "the CPU does not count it: look at `perf list`", *command = "";
	char grant[PRIVILEGES_REMEDY_MAX] = "";

	if (error == -EACCES || error == -EPERM) {
		privileges_remedy(PRIVILEGE(CAP_PERFMON), grant, sizeof(grant));
		command = *grant ? grant : "sysctl -w kernel.perf_event_paranoid=2";
		why = "run as root, or give the process CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN) and, "
		      "where "
		      "that is not enough, as on Debian, set kernel.perf_event_paranoid to 2";
	} else if (error == -ENOENT || error == -EOPNOTSUPP)
		why =
		    "this CPU has no counter for it, as in most virtual machines (a cloud's bare metal has)";
	else if (error == -EMFILE)
		command = why = "raise the limit of open files (LimitNOFILE): four for each CPU are needed";
	finding_add(logger, DEEPMON_FOUND_MISSING, "counter", option, command,
		    "\"%s\" can't be counted: %s%s%s", text, strerror(-error), *command ? "" : ": ",
		    *command ? "" : why);
	if (!log)
		return;
	log_warning(
	    logger,
	    "%s: \"%s\" can't be counted (%s): %s. What is not counted is left out, and without cycles "
	    "energy is shared by CPU time",
	    option, text, strerror(-error), why);
}

int counters_open(struct counters *counters, const struct deepmon_options *options, uint32_t cpu_count,
		  const struct deepmon_logger *logger)
{
	const struct {
		const char *option, *text;
	} wanted[CPU_COUNTERS] = {
	    [CPU_COUNTER_CYCLES] = {"CyclesEvent", options->cycles_event},
	    [CPU_COUNTER_INSTRUCTIONS] = {"InstructionsEvent", options->instructions_event},
	    [CPU_COUNTER_CACHE_REFERENCES] = {"CacheReferencesEvent", options->cache_references_event},
	    [CPU_COUNTER_CACHE_MISSES] = {"CacheMissesEvent", options->cache_misses_event},
	};
	bool said = false;

	*counters = (struct counters){.cpu_count = cpu_count,
				      .fds = malloc(cpu_count * CPU_COUNTERS * sizeof(int)),
				      .enabled_ns = calloc(cpu_count, sizeof(uint64_t))};
	if (!counters->fds || !counters->enabled_ns) {
		free(counters->fds);
		free(counters->enabled_ns);
		*counters = (struct counters){0};
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cpu_count * CPU_COUNTERS; i++)
		counters->fds[i] = -1;
	for (unsigned i = 0; i < CPU_COUNTERS; i++) {
		int r = counter_event_parse(wanted[i].text, &counters->event[i]);

		if (r == -ENOENT)
			finding_add(logger, DEEPMON_FOUND_OFF, "counter", wanted[i].option, "",
				    "no event is named");
		if (r)
			continue;
		r = open_everywhere(counters, i);
		if (!r) {
			counters->mask |= 1u << i;
			finding_add(logger, DEEPMON_FOUND_WELL, "counter", wanted[i].option, "",
				    "\"%s\" is counted on every CPU", wanted[i].text);
			continue;
		}
		close_everywhere(counters, i);
		say_refusal(logger, wanted[i].option, wanted[i].text, r, !said);
		said = true;
	}
	return 0;
}

void counters_close(struct counters *counters)
{
	for (unsigned i = 0; counters->fds && i < CPU_COUNTERS; i++)
		close_everywhere(counters, i);
	free(counters->fds);
	free(counters->enabled_ns);
	*counters = (struct counters){0};
}

int counters_open_cpu(struct counters *counters, uint32_t cpu)
{
	int result = 0;

	for (unsigned i = 0; i < CPU_COUNTERS; i++) {
		int *fd = &counters->fds[cpu * CPU_COUNTERS + i];

		if (!(counters->mask & 1u << i))
			continue;
		close_event(fd);
		*fd = open_event(&counters->event[i], cpu);
		if (*fd < 0 && !result)
			result = *fd;
	}
	return result;
}

bool counters_gone(struct counters *counters, uint32_t cpu)
{
	uint64_t before = counters->enabled_ns[cpu];

	for (unsigned i = 0; i < CPU_COUNTERS; i++) {
		int fd = counters->fds[cpu * CPU_COUNTERS + i];
		struct counter_reading reading;

		if (fd < 0 || read(fd, &reading, sizeof(reading)) != sizeof(reading))
			continue;
		/* While its CPU is there a counter is enabled, even when others have the registers. */
		counters->enabled_ns[cpu] = reading.enabled_ns;
		return before && reading.enabled_ns == before;
	}
	return false;
}

int counters_running(const struct counters *counters, double *ratio)
{
	double enabled = 0, running = 0;

	for (uint32_t i = 0; i < counters->cpu_count * CPU_COUNTERS; i++) {
		struct counter_reading reading;

		if (counters->fds[i] < 0 ||
		    read(counters->fds[i], &reading, sizeof(reading)) != sizeof(reading))
			continue;
		enabled += (double)reading.enabled_ns;
		running += (double)reading.running_ns;
	}
	*ratio = enabled > 0 ? running / enabled : 0;
	return enabled > 0 ? 0 : -ENODATA;
}
