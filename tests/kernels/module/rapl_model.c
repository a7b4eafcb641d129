/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A RAPL for a machine that has none, for tests: zones package-0, core and dram in the kernel's own powercap
 * framework, whose energy follows the time that the machine's CPUs are not idle:
 *
 *	energy = idle power * time + busy power * busy time of all CPUs
 *
 * energy_uj wraps at range_uj, which is max_energy_range_uj. What it would be had it never wrapped is in
 * /sys/module/rapl_model/parameters/: package_uj, core_uj, dram_uj.
 */
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/powercap.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

enum { PACKAGE, CORE, DRAM, ZONES };

static struct model_zone {
	struct powercap_zone zone; /* the first: the framework gives it back */
	const char *name;
	unsigned int idle_mw, busy_mw;
} zones[ZONES] = {
    [PACKAGE] = {.name = "package-0", .idle_mw = 50000, .busy_mw = 150000},
    [CORE] = {.name = "core", .idle_mw = 5000, .busy_mw = 120000},
    [DRAM] = {.name = "dram", .idle_mw = 10000, .busy_mw = 5000},
};
static struct powercap_control_type *control_type;
static u64 begun_ns;

static unsigned long range_uj = 262143328850;
module_param(range_uj, ulong, 0444);
MODULE_PARM_DESC(range_uj, "energy_uj wraps there");

/* The time that a CPU was not idle: until its last switch, and since when it is not. */
struct cpu_busy {
	raw_spinlock_t lock;
	u64 sum_ns, since_ns; /* since_ns 0: it is idle */
};
static DEFINE_PER_CPU(struct cpu_busy, cpu_busy);

static void on_switch(void *data, bool preempt, struct task_struct *prev, struct task_struct *next,
		      unsigned int prev_state)
{
	struct cpu_busy *busy = this_cpu_ptr(&cpu_busy);
	u64 now_ns = ktime_get_mono_fast_ns();

	raw_spin_lock(&busy->lock);
	if (busy->since_ns)
		busy->sum_ns += now_ns - busy->since_ns;
	busy->since_ns = is_idle_task(next) ? 0 : now_ns;
	raw_spin_unlock(&busy->lock);
}

static u64 busy_ns(void)
{
	u64 sum_ns = 0;
	int cpu;

	for_each_possible_cpu(cpu)
	{
		struct cpu_busy *busy = per_cpu_ptr(&cpu_busy, cpu);
		unsigned long flags;
		u64 now_ns;

		raw_spin_lock_irqsave(&busy->lock, flags);
		now_ns = ktime_get_mono_fast_ns();
		sum_ns += busy->sum_ns;
		if (busy->since_ns && now_ns > busy->since_ns)
			sum_ns += now_ns - busy->since_ns;
		raw_spin_unlock_irqrestore(&busy->lock, flags);
	}
	return sum_ns;
}

static struct tracepoint *sched_switch;

static void find_sched_switch(struct tracepoint *tracepoint, void *data)
{
	if (!strcmp(tracepoint->name, "sched_switch"))
		sched_switch = tracepoint;
}

/* A mW for a ns is a pJ. */
static u64 total_uj(const struct model_zone *model)
{
	u64 picojoules = model->idle_mw * (ktime_get_ns() - begun_ns) + model->busy_mw * busy_ns();

	return div_u64(picojoules, 1000000);
}

static int get_energy_uj(struct powercap_zone *zone, u64 *energy_uj)
{
	div64_u64_rem(total_uj(container_of(zone, struct model_zone, zone)), range_uj, energy_uj);
	return 0;
}

static int get_max_energy_range_uj(struct powercap_zone *zone, u64 *range)
{
	*range = range_uj;
	return 0;
}

static int release(struct powercap_zone *zone)
{
	return 0;
}

static const struct powercap_zone_ops zone_ops = {
    .get_energy_uj = get_energy_uj,
    .get_max_energy_range_uj = get_max_energy_range_uj,
    .release = release,
};

/* The framework wants them even where a zone has no constraints, and so never asks. */
static int get_nothing(struct powercap_zone *zone, int constraint, u64 *value)
{
	return -EOPNOTSUPP;
}

static int set_nothing(struct powercap_zone *zone, int constraint, u64 value)
{
	return -EOPNOTSUPP;
}

static const struct powercap_zone_constraint_ops constraint_ops = {
    .set_power_limit_uw = set_nothing,
    .get_power_limit_uw = get_nothing,
    .set_time_window_us = set_nothing,
    .get_time_window_us = get_nothing,
};

static int show_total(char *text, const struct kernel_param *parameter)
{
	return sysfs_emit(text, "%llu\n", total_uj(parameter->arg));
}

static const struct kernel_param_ops total_ops = {.get = show_total};
module_param_cb(package_uj, &total_ops, &zones[PACKAGE], 0444);
module_param_cb(core_uj, &total_ops, &zones[CORE], 0444);
module_param_cb(dram_uj, &total_ops, &zones[DRAM], 0444);

static void forget_switches(void)
{
	tracepoint_probe_unregister(sched_switch, on_switch, NULL);
	tracepoint_synchronize_unregister();
}

static void unregister_zones(int count)
{
	while (count-- > 0)
		powercap_unregister_zone(control_type, &zones[count].zone);
	powercap_unregister_control_type(control_type);
	forget_switches();
}

static int __init rapl_model_init(void)
{
	int cpu, error;

	begun_ns = ktime_get_ns();
	for_each_possible_cpu(cpu)
		raw_spin_lock_init(&per_cpu_ptr(&cpu_busy, cpu)->lock);
	for_each_kernel_tracepoint(find_sched_switch, NULL);
	error = sched_switch ? tracepoint_probe_register(sched_switch, on_switch, NULL) : -ENOENT;
	if (error)
		return error;
	control_type = powercap_register_control_type(NULL, "intel-rapl", NULL);
	if (IS_ERR(control_type)) {
		forget_switches();
		return PTR_ERR(control_type);
	}
	for (int i = 0; i < ZONES; i++) {
		struct powercap_zone *parent = i == PACKAGE ? NULL : &zones[PACKAGE].zone;
		struct powercap_zone *zone = powercap_register_zone(
		    &zones[i].zone, control_type, zones[i].name, parent, &zone_ops, 0, &constraint_ops);

		if (IS_ERR(zone)) {
			unregister_zones(i);
			return PTR_ERR(zone);
		}
	}
	return 0;
}

static void __exit rapl_model_exit(void)
{
	unregister_zones(ZONES);
}

module_init(rapl_model_init);
module_exit(rapl_model_exit);
MODULE_DESCRIPTION("A modelled RAPL in the powercap framework, for tests");
MODULE_LICENSE("GPL");
