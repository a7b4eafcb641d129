/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What must hold of what cgroups' files tell of memory and block devices, and of processes' memory.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "held_memory.h"
#include "used_device.h"

#define OF_BLOCK "deepmon_container_block,container_name=aaaaaaaaaaaa,device=" DEVICE ",runtime=docker"

/* One figure against the kernel's; what this kernel lacks is not told. */
static void check_held(const struct report *report, const char *name, double expected, double allowed)
{
	double got = field(report, OF_MEMORY, name);

	note(expected < 0 ? got < 0 || strcmp(name, "kernel_bytes") == 0
			  : got >= expected - allowed && got <= expected + allowed,
	     "%s: %.0f, %.0f by the kernel", name, got, expected);
}

/* The kernel's account of it, before a report and after, is the same: then the report's is, too. */
static void check_still(const struct report *report, const struct held *held)
{
	double usage = held->figures[0], limit = 0;

	for (size_t i = 0; i < HELD_FIGURES; i++) {
		check_held(report, held_figures[i].field, held->figures[i], 0);
		if (strcmp(held_figures[i].field, "limit_bytes") == 0)
			limit = held->figures[i];
	}
	check_held(report, "working_set_bytes", usage - held->inactive_file, 0);
	check_held(report, "limit_percent", 100 * (usage - held->inactive_file) / limit, 1e-6);
	check_held(report, "rss_processes", HELD_PROCESSES, 0);
	check_held(report, "rss_bytes", held->rss, 0);
	check_held(report, "pss_bytes", held->pss, 0);
	check_held(report, "uss_bytes", held->uss, 0);
	note(held->rss >= HELD_ANONYMOUS + 2 * HELD_SHARED && held->pss >= HELD_ANONYMOUS + HELD_SHARED &&
		 held->pss < held->rss && held->uss >= HELD_ANONYMOUS && held->uss < held->pss,
	     "what is shared is in RSS twice, in PSS once, in USS not at all");
}

static void start_holder(char *shared, bool first, pid_t *pid)
{
	int go, ready;
	char byte;

	*pid = held_start(shared, first, &go, &ready);
	if (*pid < 0)
		give_up("a holder of memory");
	join(HOUSED, *pid);
	if (write(go, "", 1) != 1 || read(ready, &byte, 1) != 1)
		give_up("the memory of a holder");
	close(go);
	close(ready);
}

/* Whether the report has figures of the processes' memory from after that moment. */
static bool is_of_after(const struct report *report, uint64_t asked_ns, uint64_t moment_ns)
{
	return field(report, OF_MEMORY, "rss_processes") == HELD_PROCESSES &&
	       field(report, OF_MEMORY, "rss_age_seconds") * 1e9 < (double)(asked_ns - moment_ns);
}

/* Memory that nobody touches while it is looked at. */
bool measure_held(const struct execd *execd)
{
	static struct report report;
	static struct held before, after;
	pid_t pids[HELD_PROCESSES];
	char *shared = held_shared(), limit[256];
	uint64_t held_ns, asked_ns;
	bool goes_on = true, still = false;

	why = NULL;
	if (shared == MAP_FAILED)
		give_up("memory to share");
	snprintf(limit, sizeof(limit), "%s/%s", memory_directory(),
		 is_v2() ? "memory.max" : "memory.limit_in_bytes");
	write_text(limit, "268435456");
	for (int i = 0; i < HELD_PROCESSES; i++)
		start_holder(shared, i == 0, &pids[i]);
	for (int i = 0; goes_on && !still && i < 40; i++) {
		held_read(&before, memory_directory(), is_v2(), pids);
		held_ns = clock_ns(CLOCK_MONOTONIC);
		/* Processes are read five times a second. */
		rest_for(4e8);
		asked_ns = clock_ns(CLOCK_MONOTONIC);
		goes_on = take_report(execd, &report);
		held_read(&after, memory_directory(), is_v2(), pids);
		still =
		    memcmp(&before, &after, sizeof(before)) == 0 && is_of_after(&report, asked_ns, held_ns);
	}
	note(still, "the kernel's account stood still around a report");
	if (still)
		check_still(&report, &after);
	for (int i = 0; i < HELD_PROCESSES; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	munmap(shared, HELD_SHARED);
	unlink("/held");
	if (why && getenv("show_reports"))
		printf("%s", report.text);
	return goes_on;
}

/* A process of the container that uses the disk, and ends. */
bool measure_block(const struct execd *execd)
{
	static struct report report;
	const dev_t number = device_find();
	struct worker worker;
	int go[2], status;
	char byte, rule[64];

	why = NULL;
	if (!number || pipe(go))
		give_up("the disk " DEVICE);
	if (!is_v2()) {
		/* Newer kernels count on devices alone that have rules; these hold nobody up. */
		snprintf(rule, sizeof(rule), "%u:%u 1000000000000", major(number), minor(number));
		write_text(CGROUPS "/blkio/" CONTAINER "/blkio.throttle.read_bps_device", rule);
		write_text(CGROUPS "/blkio/" CONTAINER "/blkio.throttle.write_bps_device", rule);
	}
	worker = (struct worker){fork(), go[1]};
	if (worker.pid == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		device_use();
	}
	join(HOUSED, worker.pid);
	if (write(go[1], "", 1) != 1 || waitpid(worker.pid, &status, 0) != worker.pid || status)
		give_up("who uses the disk");
	close(go[0]);
	close(go[1]);
	if (!take_report(execd, &report))
		return false;
	for (size_t i = 0; i < DEVICE_FIGURES; i++) {
		double got = field(&report, OF_BLOCK, device_figures[i].field);
		double kernels = device_figure(i, block_directory(), is_v2(), number);

		note(got == kernels && got == device_figures[i].used, "%s: %.0f, %.0f by the kernel, %u used",
		     device_figures[i].field, got, kernels, device_figures[i].used);
	}
	if (why && getenv("show_reports"))
		printf("%s", report.text);
	return true;
}
