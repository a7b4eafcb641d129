/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/cpu.bpf.c and reads its maps. The large ones are mapped memory: reading them costs no system
 * call.
 */
#include "kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/cpu.skel.h"
#include "log.h"

struct mapping {
	void *memory;
	size_t size;
};

struct kernel {
	struct cpu_bpf *bpf;
	struct ring_buffer *events;
	uint32_t cpu_count;
	uint32_t slot_count;
	struct mapping cpus, usage, slots;
	kernel_event_handler *on_event;
	void *user;
};

/* libbpf's own lines are about its insides; ours say what to do. */
static int keep_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static void log_refusal(const struct deepmon_logger *logger, const char *step, int error)
{
	const char *remedy = "see Requirements in README.md";

	if (error == -EPERM || error == -EACCES)
		remedy = "run as root, or give the process CAP_BPF and CAP_PERFMON "
			 "(before Linux 5.8: CAP_SYS_ADMIN)";
	else if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		remedy = "the kernel must be built with CONFIG_DEBUG_INFO_BTF, which gives "
			 "/sys/kernel/btf/vmlinux";
	else if (error == -ENOMEM || error == -E2BIG)
		remedy = "a smaller MaxCgroups takes less memory";
	log_warning(logger, "eBPF: the CPU accounting can't be %s (%s): %s. CPU time is left out", step,
		    strerror(-error), remedy);
}

static int map_memory(struct mapping *mapping, const struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *memory;

	size = (size + page - 1) / page * page;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		return -errno;
	*mapping = (struct mapping){memory, size};
	return 0;
}

static void unmap_memory(struct mapping *mapping)
{
	if (mapping->memory)
		munmap(mapping->memory, mapping->size);
}

static int load(struct kernel *kernel, const struct kernel_settings *settings)
{
	struct cpu_bpf *bpf = kernel->bpf = cpu_bpf__open();

	if (!bpf)
		return -errno;
	bpf->rodata->slot_count = kernel->slot_count;
	bpf->rodata->cgroup_subsys = settings->hierarchy->subsys;
	bpf->rodata->cgroup_hierarchy = settings->hierarchy->id;
	bpf_map__set_max_entries(bpf->maps.cpus, kernel->cpu_count);
	bpf_map__set_max_entries(bpf->maps.usage, kernel->cpu_count * kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.slots, kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.slot_by_cgroup, kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.free_slots, kernel->slot_count);
	bpf_program__set_autoattach(bpf->progs.cpu_flush, false);
	return cpu_bpf__load(bpf);
}

static int handle_event(void *context, void *data, size_t size)
{
	struct kernel *kernel = context;

	(void)size;
	kernel->on_event(kernel->user, data);
	return 0;
}

static int prepare(struct kernel *kernel)
{
	int r = map_memory(&kernel->cpus, kernel->bpf->maps.cpus);

	if (!r)
		r = map_memory(&kernel->usage, kernel->bpf->maps.usage);
	if (!r)
		r = map_memory(&kernel->slots, kernel->bpf->maps.slots);
	for (uint32_t slot = kernel->slot_count; !r && slot-- > CPU_SLOT_FIRST;)
		r = bpf_map_update_elem(bpf_map__fd(kernel->bpf->maps.free_slots), NULL, &slot, BPF_ANY);
	if (r)
		return r;
	kernel->events =
	    ring_buffer__new(bpf_map__fd(kernel->bpf->maps.cgroup_events), handle_event, kernel, NULL);
	return kernel->events ? 0 : -errno;
}

int kernel_open(struct kernel **opened, const struct kernel_settings *settings,
		const struct deepmon_logger *logger)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	libbpf_print_fn_t print = libbpf_set_print(keep_quiet);
	const char *step = "set up";
	int r = kernel ? libbpf_num_possible_cpus() : -ENOMEM;

	if (r > 0) {
		kernel->cpu_count = (uint32_t)r;
		kernel->slot_count = CPU_SLOT_FIRST + settings->max_cgroups;
		kernel->on_event = settings->on_event;
		kernel->user = settings->user;
		step = "loaded";
		r = load(kernel, settings);
	}
	if (!r)
		r = prepare(kernel);
	if (!r) {
		step = "attached";
		r = cpu_bpf__attach(kernel->bpf);
	}
	libbpf_set_print(print);
	if (r) {
		log_refusal(logger, step, r);
		kernel_close(kernel);
		return r;
	}
	kernel_flush(kernel);
	*opened = kernel;
	return 0;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	ring_buffer__free(kernel->events);
	unmap_memory(&kernel->slots);
	unmap_memory(&kernel->usage);
	unmap_memory(&kernel->cpus);
	cpu_bpf__destroy(kernel->bpf);
	free(kernel);
}

int kernel_event_fd(const struct kernel *kernel)
{
	return ring_buffer__epoll_fd(kernel->events);
}

void kernel_read_events(struct kernel *kernel)
{
	ring_buffer__consume(kernel->events);
}

void kernel_flush(struct kernel *kernel)
{
	struct cpu_state *cpus = kernel->cpus.memory;
	int fd = bpf_program__fd(kernel->bpf->progs.cpu_flush);

	for (uint32_t cpu = 0; cpu < kernel->cpu_count; cpu++) {
		LIBBPF_OPTS(bpf_test_run_opts, on_cpu, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

		/* A CPU that is offline does not idle either: when it is back, its time begins anew. */
		if (bpf_prog_test_run_opts(fd, &on_cpu) == -ENXIO)
			__atomic_store_n(&cpus[cpu].since_ns, 0, __ATOMIC_RELAXED);
	}
}

uint32_t kernel_cpu_count(const struct kernel *kernel)
{
	return kernel->cpu_count;
}

uint32_t kernel_slot_count(const struct kernel *kernel)
{
	return kernel->slot_count;
}

const struct cpu_usage *kernel_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot)
{
	return (const struct cpu_usage *)kernel->usage.memory + (size_t)cpu * kernel->slot_count + slot;
}

uint64_t kernel_slot_owner(const struct kernel *kernel, uint32_t slot)
{
	const struct cpu_slot *slots = kernel->slots.memory;

	return __atomic_load_n(&slots[slot].cgroup_id, __ATOMIC_RELAXED);
}

void kernel_free_slot(struct kernel *kernel, uint32_t slot)
{
	struct cpu_slot *slots = kernel->slots.memory;
	uint64_t cgroup_id = slots[slot].cgroup_id;

	bpf_map_delete_elem(bpf_map__fd(kernel->bpf->maps.slot_by_cgroup), &cgroup_id);
	__atomic_store_n(&slots[slot].cgroup_id, 0, __ATOMIC_RELEASE);
	bpf_map_update_elem(bpf_map__fd(kernel->bpf->maps.free_slots), NULL, &slot, BPF_ANY);
}

uint64_t kernel_slots_refused(const struct kernel *kernel)
{
	return __atomic_load_n(&kernel->bpf->bss->slots_refused, __ATOMIC_RELAXED);
}

uint64_t kernel_events_dropped(const struct kernel *kernel)
{
	return __atomic_load_n(&kernel->bpf->bss->cgroup_events_dropped, __ATOMIC_RELAXED);
}
