/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What this process may do. Reads /proc/self/status, the link /proc/self/exe and the limits.
 */
#include "privileges.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "file.h"
#include "findings.h"

/* Those that the packaging gives, in the words of setcap and of a unit of systemd. */
#define GRANT_SETCAP "cap_bpf,cap_perfmon,cap_dac_read_search,cap_sys_ptrace+ep"
#define GRANTED	     (PRIVILEGES_OF_BPF | PRIVILEGE(CAP_DAC_READ_SEARCH) | PRIVILEGE(CAP_SYS_PTRACE))
#define GRANT_UNIT   "CAP_BPF CAP_PERFMON CAP_DAC_READ_SEARCH CAP_SYS_PTRACE"

static const struct {
	unsigned capability;
	const char *name;
	const char *use;
} known[] = {
    {CAP_BPF, "CAP_BPF",
     "loads eBPF, with CAP_PERFMON: CPU time at each context switch, the network, file I/O"},
    {CAP_PERFMON, "CAP_PERFMON", "eBPF that reads the kernel, performance counters, RAPL by perf"},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH",
     "reads RAPL's energy_uj, and the files of runtimes that name containers"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "looks into other users' processes (/proc/PID)"},
    {CAP_SYS_RAWIO, "CAP_SYS_RAWIO", "RAPL by the processor's registers (EnergySource msr)"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "BpfStats; before Linux 5.8, all of eBPF and perf"},
};

struct status {
	uint64_t effective, bounding;
	unsigned no_new_privileges, seccomp;
};

static uint64_t number_of(const char *text, const char *key, int base)
{
	const char *found = strstr(text, key);

	return found ? strtoull(found + strlen(key), NULL, base) : 0;
}

static struct status read_status(void)
{
	cleanup_free char *text = NULL;

	if (file_read_new(AT_FDCWD, "/proc/self/status", 65536, &text) < 0)
		return (struct status){0};
	return (struct status){.effective = number_of(text, "\nCapEff:", 16),
			       .bounding = number_of(text, "\nCapBnd:", 16),
			       .no_new_privileges = (unsigned)number_of(text, "\nNoNewPrivs:", 10),
			       .seccomp = (unsigned)number_of(text, "\nSeccomp:", 10)};
}

static uint64_t lacking(uint64_t capabilities, uint64_t of)
{
	if (of & PRIVILEGE(CAP_SYS_ADMIN))
		of |= PRIVILEGES_OF_BPF;
	return capabilities & ~of;
}

bool privileges_held(uint64_t capabilities)
{
	return lacking(capabilities, read_status().effective) == 0;
}

static void list(uint64_t capabilities, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && length < size; i++)
		if (capabilities & PRIVILEGE(known[i].capability))
			length += (size_t)snprintf(text + length, size - length, "%s%s", length ? " " : "",
						   known[i].name);
}

void privileges_remedy(uint64_t capabilities, char *remedy, size_t size)
{
	const struct status status = read_status();
	/* A file that has more capabilities than are allowed is not executed at all. */
	uint64_t forbidden = (capabilities | GRANTED) & ~status.bounding;
	char names[128], exe[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[length > 0 ? length : 0] = '\0';
	remedy[0] = '\0';
	if (!lacking(capabilities, status.effective))
		return;
	list(forbidden ? forbidden : capabilities, names, sizeof(names));
	if (forbidden)
		snprintf(remedy, size,
			 "what started deepmon forbids it %s: add them to CapabilityBoundingSet= of a unit, "
			 "--cap-add= of docker run, or securityContext.capabilities.add of Kubernetes",
			 names);
	else if (status.no_new_privileges || !strstr(exe, "deepmon"))
		snprintf(remedy, size, "AmbientCapabilities=" GRANT_UNIT " in the unit that starts %s", exe);
	else
		snprintf(remedy, size, "setcap " GRANT_SETCAP " %s", exe);
}

static void find_limit(const struct deepmon_logger *logger, const char *name, int resource, const char *use)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		finding_add(logger, DEEPMON_FOUND_FACT, "limit", name, "", "unlimited; %s", use);
	else
		finding_add(logger, DEEPMON_FOUND_FACT, "limit", name, "", "%llu; %s",
			    (unsigned long long)limit.rlim_cur, use);
}

void privileges_find(const struct deepmon_logger *logger)
{
	const struct status status = read_status();

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		bool held = status.effective & PRIVILEGE(known[i].capability);

		finding_add(logger, held ? DEEPMON_FOUND_WELL : DEEPMON_FOUND_OFF, "capability",
			    known[i].name, "", "%s; %s", held ? "held" : "not held", known[i].use);
	}
	finding_add(logger, DEEPMON_FOUND_FACT, "limit", "no new privileges", "",
		    status.no_new_privileges ? "yes: capabilities of a file have no effect" : "no");
	finding_add(logger, DEEPMON_FOUND_FACT, "limit", "seccomp", "",
		    status.seccomp ? "a filter decides about system calls, bpf and perf_event_open among them"
				   : "no filter");
	find_limit(logger, "locked memory (bytes)", RLIMIT_MEMLOCK,
		   "Linux before 5.11 charges eBPF's maps to it");
	find_limit(logger, "open files", RLIMIT_NOFILE, "performance counters take four for each CPU");
}
