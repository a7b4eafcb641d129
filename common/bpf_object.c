/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the loaders of our BPF objects share.
 */
#include "bpf_object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "file.h"
#include "findings.h"
#include "log.h"
#include "privileges.h"

bool bpf_object_has_btf(void)
{
	return access(BPF_OBJECT_BTF, R_OK) == 0;
}

/*
 * libbpf's first warning since it was silenced, which has no argument to be put into: which program it was,
 * or which map. That it could not raise the limit of locked memory comes before, and is none of it
 * since 5.11.
 */
static _Thread_local char first_warning[256];

static int keep_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !*first_warning && !strstr(format, "RLIMIT_MEMLOCK")) {
		vsnprintf(first_warning, sizeof(first_warning), format, args);
		first_warning[strcspn(first_warning, "\n")] = '\0';
	}
	return 0;
}

libbpf_print_fn_t bpf_object_silence(void)
{
	first_warning[0] = '\0';
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
	char command[PRIVILEGES_REMEDY_MAX] = "";

	if (error == -EPERM || error == -EACCES)
		privileges_remedy(PRIVILEGES_OF_BPF, command, sizeof(command));
	if (is_short_of_locked_memory(error))
		remedy =
		    "raise the limit of locked memory (LimitMEMLOCK=infinity), to which Linux before 5.11 "
		    "charges what eBPF takes; smaller MaxCgroups and MaxSockets take less";
	else if (error == -EPERM || error == -EACCES)
		remedy = "run as root, or give the process CAP_BPF and CAP_PERFMON "
			 "(before Linux 5.8: CAP_SYS_ADMIN)";
	else if (!bpf_object_has_btf())
		remedy =
		    "the kernel must be built with " BPF_OBJECT_BTF_CONFIG ", which gives " BPF_OBJECT_BTF;
	else if (error == -ENOMEM || error == -E2BIG)
		remedy = "a smaller MaxCgroups takes less memory";
	log_warning(logger, "eBPF: %s can't be %s (%s): %s. %s", what, step, strerror(-error), remedy,
		    left_out);
	finding_add(logger, DEEPMON_FOUND_MISSING, "eBPF", what + (strncmp(what, "the ", 4) ? 0 : 4),
		    *command ? command : remedy, "it can't be %s: %s%s%s. %s", step, strerror(-error),
		    *first_warning ? "; " : "", first_warning, left_out);
}

void bpf_object_hook(const struct bpf_program *program, char hook[BPF_OBJECT_HOOK_MAX])
{
	snprintf(hook, BPF_OBJECT_HOOK_MAX, "%s (%s)", bpf_program__section_name(program),
		 bpf_program__name(program));
}

/* What the kernel says that a map or a program takes, in the line memlock; 0: it does not tell. */
static uint64_t memory_of(int fd)
{
	char path[64], text[1024];
	unsigned long long bytes;
	const char *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (fd < 0 || file_read(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, "memlock:");
	return line && sscanf(line, "memlock: %llu", &bytes) == 1 ? bytes : 0;
}

/* Another program serves the hook, or tells already that none does. */
static bool is_told_by_another(struct bpf_object *object, const struct bpf_program *left_out)
{
	struct bpf_program *program;
	bool before = true;

	bpf_object__for_each_program(program, object)
	{
		bool same = !strcmp(bpf_program__section_name(program), bpf_program__section_name(left_out));

		if (program == left_out)
			before = false;
		else if (same && (before || bpf_program__autoload(program)))
			return true;
	}
	return false;
}

void bpf_object_find(const struct deepmon_logger *logger, const char *what, struct bpf_object *object)
{
	struct bpf_program *program;
	struct bpf_map *map;
	uint64_t bytes = 0;
	unsigned programs = 0;
	char hook[BPF_OBJECT_HOOK_MAX];

	what += strncmp(what, "the ", 4) ? 0 : 4;
	bpf_object__for_each_program(program, object)
	{
		bpf_object_hook(program, hook);
		if (bpf_program__autoload(program)) {
			finding_add(logger, DEEPMON_FOUND_WELL, "hook", hook, "", "%s", what);
			bytes += memory_of(bpf_program__fd(program));
			programs++;
		} else if (!is_told_by_another(object, program)) {
			finding_add(logger, DEEPMON_FOUND_OFF, "hook", hook, "",
				    "%s does not need it with these options", what);
		}
	}
	bpf_object__for_each_map(map, object)
	{
		uint64_t takes = memory_of(bpf_map__fd(map));

		/* One that is shared has its row already. */
		if (takes && finding_add(logger, DEEPMON_FOUND_FACT, "map", bpf_map__name(map), "",
					 "%.1f KiB; %s", (double)takes / 1024, what))
			bytes += takes;
	}
	finding_add(logger, DEEPMON_FOUND_WELL, "eBPF", what, "", "%u programs; with their maps %.1f MiB",
		    programs, (double)bytes / 1048576);
}

int bpf_object_add_run_time(const struct bpf_object *object, uint64_t *run_time_ns, uint64_t *runs)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(program), r;

		if (fd < 0 || !bpf_program__autoattach(program))
			continue;
		r = bpf_obj_get_info_by_fd(fd, &info, &size);
		if (r)
			return r;
		*run_time_ns += info.run_time_ns;
		*runs += info.run_cnt;
	}
	return 0;
}

int bpf_mapping_open_fd(struct bpf_mapping *mapping, int fd, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory;

	size = (size + page - 1) / page * page;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*mapping = (struct bpf_mapping){memory, size};
	return 0;
}

int bpf_mapping_open(struct bpf_mapping *mapping, const struct bpf_map *map)
{
	return bpf_mapping_open_fd(mapping, bpf_map__fd(map),
				   (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map));
}

void bpf_mapping_close(struct bpf_mapping *mapping)
{
	if (mapping->memory)
		munmap(mapping->memory, mapping->size);
	*mapping = (struct bpf_mapping){0};
}
