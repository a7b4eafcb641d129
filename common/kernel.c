/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/cpu.bpf.c and reads its maps. The large ones are mapped memory: reading them costs no system
 * call.
 */
#include "kernel_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/cpu.skel.h"
#include "cpus.h"
#include "findings.h"
#include "log.h"

int kernel_cpu_count(void)
{
	unsigned cpus[CPUS_MAX];
	long count = cpus_read_list("/sys/devices/system/cpu/present", cpus, CPUS_MAX);

	return count > 0 ? (int)cpus[count - 1] + 1 : libbpf_num_possible_cpus();
}

/* Of each pair of twins one is loaded. */
static struct bpf_program *choose_program(struct bpf_program *plain, struct bpf_program *smt, bool overlap)
{
	bpf_program__set_autoload(plain, !overlap);
	bpf_program__set_autoload(smt, overlap);
	return overlap ? smt : plain;
}

static void choose_programs(struct kernel *kernel)
{
	struct cpu_bpf *bpf = kernel->bpf;
	bool overlap = kernel->overlap, interrupts = kernel->settings.interrupts;
	struct bpf_program *pairs[][2] = {
	    {bpf->progs.cpu_irq_handler_entry, bpf->progs.cpu_irq_handler_entry_smt},
	    {bpf->progs.cpu_irq_handler_exit, bpf->progs.cpu_irq_handler_exit_smt},
	    {bpf->progs.cpu_softirq_entry, bpf->progs.cpu_softirq_entry_smt},
	    {bpf->progs.cpu_softirq_exit, bpf->progs.cpu_softirq_exit_smt},
	};

	choose_program(bpf->progs.cpu_switch, bpf->progs.cpu_switch_smt, overlap);
	bpf_program__set_autoattach(choose_program(bpf->progs.cpu_flush, bpf->progs.cpu_flush_smt, overlap),
				    false);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		choose_program(pairs[i][0], pairs[i][1], overlap);
		if (!interrupts)
			bpf_program__set_autoload(pairs[i][overlap], false);
	}
}

static struct bpf_program *switch_program(const struct kernel *kernel)
{
	return kernel->overlap ? kernel->bpf->progs.cpu_switch_smt : kernel->bpf->progs.cpu_switch;
}

static struct bpf_program *flush_program(const struct kernel *kernel)
{
	return kernel->overlap ? kernel->bpf->progs.cpu_flush_smt : kernel->bpf->progs.cpu_flush;
}

static int load(struct kernel *kernel)
{
	const struct kernel_settings *settings = &kernel->settings;
	struct cpu_bpf *bpf = kernel->bpf = cpu_bpf__open();

	if (!bpf)
		return -errno;
	if (settings->hierarchy->subsys == HIERARCHY_SUBSYS_UNKNOWN)
		return -EOPNOTSUPP;
	bpf->rodata->slot_count = kernel->slot_count;
	bpf->rodata->cgroup_subsys = settings->hierarchy->subsys;
	bpf->rodata->cgroup_hierarchy = settings->hierarchy->id;
	bpf->rodata->counter_mask = settings->counters->mask;
	bpf->rodata->per_process = settings->max_processes > 0;
	bpf->rodata->interrupts_apart = settings->interrupts;
	bpf_map__set_max_entries(bpf->maps.cpus, kernel->cpu_count);
	bpf_map__set_max_entries(bpf->maps.cores, kernel->cpu_count);
	bpf_map__set_max_entries(bpf->maps.counter_events, kernel->cpu_count * CPU_COUNTERS);
	bpf_map__set_max_entries(bpf->maps.usage, kernel->cpu_count * kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.slots, kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.slot_by_cgroup, kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.free_slots, kernel->slot_count);
	bpf_map__set_max_entries(bpf->maps.processes, settings->max_processes ? settings->max_processes : 1);
	choose_programs(kernel);
	return bpf_object_loaded(cpu_bpf__load(bpf), bpf->bss);
}

static void find_overlap(const struct kernel *kernel, const struct deepmon_logger *logger)
{
	if (kernel->overlap)
		finding_add(logger, DEEPMON_FOUND_WELL, "eBPF", "SMT overlap", "",
			    "time beside a busy sibling hardware thread is told apart");
	else
		finding_add(logger, DEEPMON_FOUND_OFF, "eBPF", "SMT overlap", "",
			    kernel->settings.overlap ? "no core has several hardware threads here"
						     : "SmtOverlap is off");
}

/* Kernels before 5.12 refuse the programs that account overlap: then it goes without. */
static int load_some(struct kernel *kernel, const struct deepmon_logger *logger)
{
	int r;

	kernel->overlap = kernel->settings.overlap && kernel->settings.topology->has_siblings;
	r = load(kernel);
	if (!r)
		find_overlap(kernel, logger);
	if (!r || !kernel->overlap || r == -EPERM)
		return r;
	cpu_bpf__destroy(kernel->bpf);
	kernel->overlap = false;
	r = load(kernel);
	if (r)
		return r;
	log_warning(logger, "SmtOverlap: this kernel can't account the overlap of sibling hardware "
			    "threads; it takes Linux 5.12. All time counts in full");
	finding_add(logger, DEEPMON_FOUND_LESS, "eBPF", "SMT overlap", "boot Linux 5.12 or later",
		    "this kernel refuses the programs for it: time beside a busy sibling counts in full");
	return 0;
}

/* Before the events of a CPU are open its counters' readings fail, and energy goes by time. */
static int set_counter_events(const struct kernel *kernel, uint32_t cpu)
{
	const struct counters *counters = kernel->settings.counters;

	for (uint32_t i = cpu * CPU_COUNTERS; i < (cpu + 1) * CPU_COUNTERS; i++) {
		if (counters->fds[i] < 0)
			continue;
		if (bpf_map_update_elem(bpf_map__fd(kernel->bpf->maps.counter_events), &i, &counters->fds[i],
					BPF_ANY))
			return -errno;
	}
	return 0;
}

static int prepare(struct kernel *kernel)
{
	struct cpu_state *cpus;
	int r = bpf_mapping_open(&kernel->cpus, kernel->bpf->maps.cpus);

	if (!r)
		r = bpf_mapping_open(&kernel->usage, kernel->bpf->maps.usage);
	if (!r)
		r = bpf_mapping_open(&kernel->slots, kernel->bpf->maps.slots);
	if (!r && kernel->settings.max_processes)
		r = process_map_open(&kernel->processes, bpf_map__fd(kernel->bpf->maps.processes),
				     kernel->cpu_count);
	for (uint32_t slot = kernel->slot_count; !r && slot-- > CPU_SLOT_FIRST;)
		r = bpf_map_update_elem(bpf_map__fd(kernel->bpf->maps.free_slots), NULL, &slot, BPF_ANY);
	cpus = kernel->cpus.memory;
	for (uint32_t cpu = 0; !r && cpu < kernel->cpu_count; cpu++) {
		cpus[cpu].core = kernel->settings.topology->core_of_cpu[cpu];
		r = set_counter_events(kernel, cpu);
	}
	return r;
}

int kernel_open(struct kernel **opened, const struct kernel_settings *settings,
		const struct deepmon_logger *logger)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	uint32_t cpu_count = settings->topology->cpu_count;
	libbpf_print_fn_t print;
	const char *step = "loaded";
	int r;

	if (!kernel)
		return -ENOMEM;
	kernel->settings = *settings;
	kernel->cpu_count = cpu_count;
	kernel->slot_count = CPU_SLOT_FIRST + settings->max_cgroups;
	kernel->away = calloc(cpu_count, sizeof(*kernel->away));
	print = bpf_object_silence();
	r = kernel->away ? load_some(kernel, logger) : -ENOMEM;
	if (!r) {
		step = "set up";
		r = prepare(kernel);
	}
	if (!r) {
		step = "attached";
		r = cpu_bpf__attach(kernel->bpf);
	}
	libbpf_set_print(print);
	if (r) {
		bpf_object_log_refusal(logger, "the CPU accounting", step, r,
				       "CPU time is taken from the files of cgroups, where they tell it");
		kernel_close(kernel);
		return r;
	}
	bpf_links_watch(&kernel->links, kernel->bpf->skeleton);
	bpf_object_find(logger, "the CPU accounting", kernel->bpf->obj);
	kernel_flush(kernel);
	*opened = kernel;
	return 0;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	kernel_drop_copy(kernel);
	process_map_close(&kernel->processes);
	bpf_mapping_close(&kernel->slots);
	bpf_mapping_close(&kernel->usage);
	bpf_mapping_close(&kernel->cpus);
	cpu_bpf__destroy(kernel->bpf);
	free(kernel->away);
	free(kernel);
}

void kernel_mend(struct kernel *kernel, struct bpf_links_state *state)
{
	struct cpu_state *cpus = kernel->cpus.memory;

	/* Without it nobody writes there: its time begins anew, as that of a CPU that was offline. */
	if (!bpf_links_hold(&kernel->links, switch_program(kernel)))
		for (uint32_t cpu = 0; cpu < kernel->cpu_count; cpu++)
			__atomic_store_n(&cpus[cpu].since_ns, 0, __ATOMIC_RELAXED);
	bpf_links_mend(&kernel->links, state);
}

/* It may have other siblings now; its perf events went when it did. */
static void welcome_back(struct kernel *kernel, uint32_t cpu)
{
	const struct kernel_settings *settings = &kernel->settings;
	struct cpu_state *cpus = kernel->cpus.memory;

	topology_read_cpu(settings->topology, settings->sys_root, cpu);
	__atomic_store_n(&cpus[cpu].core, settings->topology->core_of_cpu[cpu], __ATOMIC_RELAXED);
	counters_open_cpu(settings->counters, cpu);
	set_counter_events(kernel, cpu);
	kernel->came_back += settings->counters->mask != 0;
}

void kernel_flush(struct kernel *kernel)
{
	struct cpu_state *cpus = kernel->cpus.memory;
	int fd = bpf_program__fd(flush_program(kernel));

	for (uint32_t cpu = 0; cpu < kernel->cpu_count; cpu++) {
		LIBBPF_OPTS(bpf_test_run_opts, on_cpu, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);
		bool away = bpf_prog_test_run_opts(fd, &on_cpu) == -ENXIO;

		/* A CPU that is offline does not idle either: when it is back, its time begins anew. */
		if (away)
			__atomic_store_n(&cpus[cpu].since_ns, 0, __ATOMIC_RELAXED);
		else if (kernel->away[cpu])
			welcome_back(kernel, cpu);
		kernel->away[cpu] = away;
	}
}

void kernel_renew_counters(struct kernel *kernel)
{
	if (!kernel->settings.counters->mask)
		return;
	for (uint32_t cpu = 0; cpu < kernel->cpu_count; cpu++)
		if (!kernel->away[cpu] && counters_gone(kernel->settings.counters, cpu))
			welcome_back(kernel, cpu);
}

bool kernel_has_overlap(const struct kernel *kernel)
{
	return kernel->overlap;
}

/* An older recording may not have them. */
bool kernel_has_switches(const struct kernel *kernel)
{
	return !kernel->copy || recording_fields_have(&kernel->copy->fields[RECORDING_OF_USAGE],
						      offsetof(struct cpu_usage, switches));
}

uint32_t kernel_counter_mask(const struct kernel *kernel)
{
	return kernel->settings.counters->mask;
}

uint32_t kernel_slot_count(const struct kernel *kernel)
{
	return kernel->slot_count;
}

const struct cpu_usage *kernel_mapped_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot)
{
	return (const struct cpu_usage *)kernel->usage.memory + (size_t)cpu * kernel->slot_count + slot;
}

uint64_t kernel_mapped_owner(const struct kernel *kernel, uint32_t slot)
{
	const struct cpu_slot *slots = kernel->slots.memory;

	return __atomic_load_n(&slots[slot].cgroup_id, __ATOMIC_RELAXED);
}

const struct cpu_usage *kernel_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot)
{
	return kernel->copy ? kernel_copy_usage(kernel->copy, cpu, slot)
			    : kernel_mapped_usage(kernel, cpu, slot);
}

uint64_t kernel_slot_owner(const struct kernel *kernel, uint32_t slot)
{
	if (kernel->copy)
		return slot < kernel->copy->slots ? kernel->copy->owners[slot] : 0;
	return kernel_mapped_owner(kernel, slot);
}

void kernel_free_slot(struct kernel *kernel, uint32_t slot)
{
	struct cpu_slot *slots = kernel->slots.memory;
	uint64_t cgroup_id;

	if (kernel->copy && slot < kernel->copy->slots)
		kernel->copy->owners[slot] = 0;
	if (!kernel->bpf)
		return;
	cgroup_id = slots[slot].cgroup_id;
	bpf_map_delete_elem(bpf_map__fd(kernel->bpf->maps.slot_by_cgroup), &cgroup_id);
	__atomic_store_n(&slots[slot].cgroup_id, 0, __ATOMIC_RELEASE);
	bpf_map_update_elem(bpf_map__fd(kernel->bpf->maps.free_slots), NULL, &slot, BPF_ANY);
}

struct kernel_slot_maps kernel_slot_maps(const struct kernel *kernel)
{
	return (struct kernel_slot_maps){.cpus = bpf_map__fd(kernel->bpf->maps.cpus),
					 .slots = bpf_map__fd(kernel->bpf->maps.slots),
					 .slot_by_cgroup = bpf_map__fd(kernel->bpf->maps.slot_by_cgroup),
					 .free_slots = bpf_map__fd(kernel->bpf->maps.free_slots)};
}

#define READ(kernel, name) __atomic_load_n(&(kernel)->bpf->bss->name, __ATOMIC_RELAXED)

struct kernel_losses kernel_mapped_losses(const struct kernel *kernel)
{
	const struct cpu_state *cpus = kernel->cpus.memory;
	struct kernel_losses losses = {.slots_refused = READ(kernel, slots_refused),
				       .counters_failed = kernel->came_back,
				       .switches_unseen = READ(kernel, switches_unseen),
				       .processes_refused = READ(kernel, processes_refused)};

	for (uint32_t cpu = 0; cpu < kernel->cpu_count; cpu++)
		losses.counters_failed += __atomic_load_n(&cpus[cpu].counters_failed, __ATOMIC_RELAXED);
	return losses;
}

static struct kernel_losses losses(const struct kernel *kernel)
{
	return kernel->copy ? kernel->copy->losses : kernel_mapped_losses(kernel);
}

uint64_t kernel_slots_refused(const struct kernel *kernel)
{
	return losses(kernel).slots_refused;
}

uint64_t kernel_switches_unseen(const struct kernel *kernel)
{
	return losses(kernel).switches_unseen;
}

uint64_t kernel_processes_refused(const struct kernel *kernel)
{
	return losses(kernel).processes_refused;
}

uint64_t kernel_counters_failed(const struct kernel *kernel)
{
	return losses(kernel).counters_failed;
}

int kernel_add_run_time(const struct kernel *kernel, uint64_t *run_time_ns, uint64_t *runs)
{
	return bpf_object_add_run_time(kernel->bpf->obj, run_time_ns, runs);
}

struct visiting {
	process_map_visitor *visit;
	void *user;
};

static void visit_copied(void *user, const struct kernel_copy_process *process)
{
	const struct visiting *visiting = user;
	struct process_reading reading = {.key = process->key,
					  .by_cpu = (const char *)process->by_cpu,
					  .stride = sizeof(process->by_cpu[0])};

	memcpy(reading.name, process->name, sizeof(reading.name));
	visiting->visit(visiting->user, &reading);
}

void kernel_each_process(const struct kernel *kernel, process_map_visitor *visit, void *user)
{
	struct visiting visiting = {visit, user};

	if (kernel->copy)
		kernel_copy_each_process(kernel->copy, visit_copied, &visiting);
	else
		process_map_each(&kernel->processes, visit, user);
}

void kernel_forget_process(const struct kernel *kernel, const struct process_key *key)
{
	if (kernel->copy)
		kernel_copy_forget_process(kernel->copy, key);
	if (kernel->bpf)
		process_map_delete(&kernel->processes, key);
}
