/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the loaders of our BPF objects share.
 */
#include "bpf_object.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"

static int keep_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

libbpf_print_fn_t bpf_object_silence(void)
{
	return libbpf_set_print(keep_quiet);
}

/*
 * Linux before 5.11 charges BPF's memory to the limit of locked memory; the helper came with the end of that.
 * Without the capabilities the probe can't tell, and says that there is one.
 */
static bool is_short_of_locked_memory(int error)
{
	struct rlimit limit;

	return error == -EPERM && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	       libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_ktime_get_coarse_ns, NULL) == 0;
}

void bpf_object_log_refusal(const struct deepmon_logger *logger, const char *what, const char *step,
			    int error, const char *left_out)
{
	const char *remedy = "see Requirements in README.md";

	if (is_short_of_locked_memory(error))
		remedy =
		    "raise the limit of locked memory (LimitMEMLOCK=infinity), to which Linux before 5.11 "
		    "charges what eBPF takes; smaller MaxCgroups and MaxSockets take less";
	else if (error == -EPERM || error == -EACCES)
		remedy = "run as root, or give the process CAP_BPF and CAP_PERFMON "
			 "(before Linux 5.8: CAP_SYS_ADMIN)";
	else if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		remedy = "the kernel must be built with CONFIG_DEBUG_INFO_BTF, which gives "
			 "/sys/kernel/btf/vmlinux";
	else if (error == -ENOMEM || error == -E2BIG)
		remedy = "a smaller MaxCgroups takes less memory";
	log_warning(logger, "eBPF: %s can't be %s (%s): %s. %s", what, step, strerror(-error), remedy,
		    left_out);
}

int bpf_mapping_open(struct bpf_mapping *mapping, const struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *memory;

	size = (size + page - 1) / page * page;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		return -errno;
	*mapping = (struct bpf_mapping){memory, size};
	return 0;
}

void bpf_mapping_close(struct bpf_mapping *mapping)
{
	if (mapping->memory)
		munmap(mapping->memory, mapping->size);
	*mapping = (struct bpf_mapping){0};
}
