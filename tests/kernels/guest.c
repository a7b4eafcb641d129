/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The first and only process of a virtual machine that tests/kernels/run.py boots, beside those it starts:
 * deepmon-execd, by each of its methods in turn, and work in cgroups. It holds deepmon's figures against the
 * kernel's own and writes TAP to the console; without "guest done" at its end nothing of it counts.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"

#define TRIES 3 /* the emulator may stop a CPU for 100 ms between two of its instructions */

static const struct method {
	const char *name;
	unsigned with;
} methods[] = {
    {"plain", 0},
    {"overlap", OVERLAP},
    {"counters", COUNTERS},
    {"processes", PROCESSES},
    {"interrupts", INTERRUPTS},
    {"all", OVERLAP | COUNTERS | PROCESSES | INTERRUPTS},
    {"hotplug", COUNTERS | HOTPLUG},
    {"capabilities", OVERLAP | COUNTERS | PROCESSES | INTERRUPTS | CAPABILITIES},
    {"memlock", CAPABILITIES | LITTLE_MEMLOCK},
    {"files", FILES},
    {"memory", MEMORY},
    {"full", FILES | FULL},
    {"block", BLOCK},
    {"network", NETWORK},
    {"network_fentry", NETWORK | FENTRY},
    {"network_kprobes", NETWORK | KPROBES},
    {"network_capabilities", NETWORK | CAPABILITIES},
    {"transactions", TRANSACTIONS},
    {"transactions_fentry", TRANSACTIONS | FENTRY},
    {"hierarchy", OTHER_HIERARCHY},
};

/* What was refused must not be told either: absent, never zero. */
static void check_absent(const struct report reports[2], unsigned refused)
{
	if (refused & OVERLAP)
		note(field(&reports[1], OF_CONTAINER, "smt_overlap_ns") < 0, "no overlap is told");
	if (refused & COUNTERS)
		note(!strstr(reports[1].text, "_perf,"), "no counters are told");
	if (refused & FILES)
		note(!strstr(reports[1].text, "_file_io,"), "no file I/O is told");
	if (refused & TRANSACTIONS)
		note(!strstr(reports[1].text, "_transactions,"), "no transactions are told");
}

/* Work between two reports, held against the kernel's account of it. False: no report came. */
static bool measure(const struct execd *execd, unsigned with, unsigned refused)
{
	static struct report reports[2];
	double used[GROUPS] = {0}, away = 0;

	why = NULL;
	for (int group = 0; group < BRIEF; group++)
		used[group] = -usage_ns(group);
	if (!take_report(execd, &reports[0]))
		return false;
	if (with & HOTPLUG)
		away = work_around_hotplug();
	else if (with & NETWORK)
		work_over_network(with);
	else
		work_in_all(used);
	for (int group = 0; group < BRIEF; group++)
		used[group] += usage_ns(group);
	if (with & TRANSACTIONS)
		exchange_messages();
	if (!take_report(execd, &reports[1]))
		return false;
	if (with & HOTPLUG) {
		check_group(reports, HOUSED, used[HOUSED], TOLERANCE_NS, 0);
		check_group(reports, STEADY, used[STEADY], TOLERANCE_NS, 0);
		check_counters(reports);
		/* That it is away is seen at a sample. */
		check_whole(reports, away, SAMPLE_NS * 1.1);
	} else if (refused & ACCOUNTING) {
		check_by_files(reports, used);
	} else if (refused & NETWORK_AT_ALL) {
		note(!strstr(reports[1].text, "_network,") && !strstr(reports[1].text, "deepmon_peer,"),
		     "no network is told");
	} else if (with & NETWORK) {
		check_network(reports, !(refused & NETWORK));
	} else {
		check_all(reports, used, with & ~refused);
		if (with & FILES)
			check_files(reports, !(refused & FILES), with & FULL);
		if (with & TRANSACTIONS & ~refused)
			check_transactions(reports);
		check_absent(reports, refused);
	}
	if (why && getenv("show_reports"))
		printf("%s%s", reports[0].text, reports[1].text);
	return true;
}

static void try_method(const struct method *method)
{
	static struct report first;
	uint64_t begun = clock_ns(CLOCK_MONOTONIC);

	if (method->with & KPROBES)
		write_text(PROBES, "r:deepmon_99999/inet_recvmsg inet_recvmsg\n");

	struct execd execd = start_execd(method->with);
	struct waiter waiter = {0};
	bool opened = take_report(&execd, &first), goes_on = opened;
	const char *log = read_log(method->with, true);
	unsigned refused = (strstr(log, "SmtOverlap: ") ? OVERLAP : 0) |
			   (strstr(log, "the CPU accounting can't") ? ACCOUNTING : 0) |
			   (strstr(log, "Event: ") ? COUNTERS : 0) | (strstr(log, "File I/O") ? FILES : 0) |
			   (strstr(log, "bytes, messages and transactions are left out") ? NETWORK : 0) |
			   (strstr(log, "The network is left out") ? NETWORK_AT_ALL : 0) |
			   (strstr(log, "transactions are left out") ? TRANSACTIONS : 0);

	why = NULL;
	calls = method->with & FILES ? 256 : 0;
	note(opened || *log, "first report after %.1f s", (double)(clock_ns(CLOCK_MONOTONIC) - begun) / 1e9);
	if (goes_on && method->with & MEMORY)
		goes_on = measure_held(&execd);
	else if (goes_on && method->with & BLOCK)
		goes_on = measure_block(&execd);
	else
		for (int i = 0; goes_on && i < TRIES && (i == 0 || why); i++)
			goes_on = measure(&execd, method->with, refused);
	note(goes_on == opened, "deepmon-execd goes on");
	if (method->with & NETWORK)
		waiter = start_waiter(&execd);
	if (method->with & KPROBES)
		note(has_probes(), "its return probes are in tracefs");
	note(stop_execd(&execd) == opened, "deepmon-execd ends %s", opened ? "well" : "with an error");
	if (method->with & KPROBES)
		note(!has_probes(), "no probe is left behind, not even one of a process that was killed");
	if (method->with & NETWORK)
		note(end_waiter(&waiter), "a thread that waited to receive as it ended goes on");
	log = read_log(method->with, false);
	if (why)
		printf("not ok - %s # %s%s%s\n", method->name, why, *log ? " / " : "", log);
	else
		printf("%s - %s # %s\n", *log ? "refused" : "ok", method->name, log);
}

static void make_fixture(void)
{
	char path[128];

	for (int cpu = 0; cpu < CPUS; cpu++) {
		snprintf(path, sizeof(path), FIXTURE "/devices/system/cpu/cpu%d/topology", cpu);
		make_directory(path);
		snprintf(path, sizeof(path), FIXTURE "/devices/system/cpu/cpu%d/topology/core_cpus_list",
			 cpu);
		write_text(path, "0-1\n");
		snprintf(path, sizeof(path), FIXTURE "/devices/system/cpu/cpu%d/topology/physical_package_id",
			 cpu);
		write_text(path, "0\n");
	}
}

int main(void)
{
	const char *only = getenv("only");
	size_t tried = 0;
	struct utsname name;

	setlinebuf(stdout);
	signal(SIGPIPE, SIG_IGN);
	uname(&name);
	printf("\nguest begins: Linux %s\n", name.release);
	choose_layout(getenv("layout"));
	mount_on("proc", "/proc", "");
	mount_on("sysfs", "/sys", "");
	mount_on("tracefs", "/sys/kernel/tracing", "");
	mount_cgroups();
	make_fixture();
	traffic_init();
	/* Debian's kernels have 3, of their own, which not even CAP_PERFMON overrides. */
	write_text("/proc/sys/kernel/perf_event_paranoid", "2");
	for (int group = 0; group < BRIEF; group++)
		make_group(group);
	if (is_v2())
		give_controllers();
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (((methods[i].with & OTHER_HIERARCHY) && !layout->other) ||
		    (only && strcmp(only, methods[i].name) != 0))
			continue;
		try_method(&methods[i]);
		tried++;
	}
	printf("guest done %zu\n", tried);
	reboot(RB_POWER_OFF);
	return 1;
}
