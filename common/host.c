/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What is to be known of the host. Reads uname, /proc/cpuinfo, /proc/sys/kernel and the kernel's lockdown.
 */
#include "host.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "bpf_object.h"
#include "file.h"
#include "findings.h"
#include "root.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"

/* Settings of the kernel that this process is under: never a root's of another tree. */
static const struct {
	const char *name, *path, *use;
} settings[] = {
    {"kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid",
     "above 2, Debian's kernels want CAP_SYS_ADMIN for perf events, or root"},
    {"kernel.unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled",
     "deepmon's programs take CAP_BPF and CAP_PERFMON at any value"},
    {"lockdown", LOCKDOWN, "the word in brackets holds; [confidentiality] forbids eBPF to read the kernel"},
};

static void find_settings(const struct deepmon_logger *logger)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char text[128];
		long length = file_read(AT_FDCWD, settings[i].path, text, sizeof(text));

		if (length < 0)
			snprintf(text, sizeof(text), "not told (%s)", strerror((int)-length));
		text[strcspn(text, "\n")] = '\0';
		finding_add(logger, DEEPMON_FOUND_FACT, "limit", settings[i].name, "", "%s; %s", text,
			    settings[i].use);
	}
}

static void find_machine(const char *proc_root, const struct deepmon_logger *logger)
{
	char path[ROOT_PATH_MAX + 16];
	cleanup_free char *cpuinfo = NULL;

	snprintf(path, sizeof(path), "%s/cpuinfo", proc_root);
	if (file_read_new(AT_FDCWD, path, 4 << 20, &cpuinfo) < 0)
		return;
	finding_add(logger, DEEPMON_FOUND_FACT, "host", "machine", "",
		    strstr(cpuinfo, " hypervisor") ? "a virtual machine: most have neither RAPL nor a PMU"
						   : "no virtual machine that says so");
}

void host_find(const char *proc_root, const struct deepmon_logger *logger)
{
	struct utsname kernel;

	if (uname(&kernel) == 0)
		finding_add(logger, DEEPMON_FOUND_FACT, "host", "kernel", "", "Linux %s %s", kernel.release,
			    kernel.machine);
	if (bpf_object_has_btf())
		finding_add(logger, DEEPMON_FOUND_WELL, "host", "BTF", "", BPF_OBJECT_BTF);
	else
		finding_add(logger, DEEPMON_FOUND_MISSING, "host", "BTF",
			    "boot a kernel with " BPF_OBJECT_BTF_CONFIG,
			    BPF_OBJECT_BTF " can't be read: there is no eBPF without it");
	find_machine(proc_root, logger);
	find_settings(logger);
}
