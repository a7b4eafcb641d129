/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The two catalogues: every metric and every option of deepmon, each one row. The structs of a sample,
 * the names on both agent paths, collectd's types.db and the tables in README.md come from these rows.
 * Included by deepmon.h, which explains the words used here; nothing else includes it.
 */
#ifndef DEEPMON_CATALOGUE_H
#define DEEPMON_CATALOGUE_H

/*
 * What a sample's records are about.
 * X(constant, name: Telegraf's measurement is deepmon_<name>, help)
 */
#define DEEPMON_ENTITIES(X)                                                                    \
	X(CONTAINER, container, "a container, with all cgroups nested in it")                  \
	X(SYSTEM, system, "a systemd unit or another cgroup that belongs to no container")     \
	X(TOTAL, total, "everything of one kind, ended ones included: the parts of the whole") \
	X(ZONE, zone, "one energy counter of the hardware")                                    \
	X(HOST, host, "the host as a whole")                                                   \
	X(SELF, self, "deepmon itself")

/*
 * What a record tells of its entity: a struct deepmon_<name>, whose members are the rows below.
 * X(constant, name, suffix of Telegraf's measurement)
 */
#define DEEPMON_SUBJECTS(X)          \
	X(CPU, cpu, "")              \
	X(ENERGY, energy, "_energy") \
	X(COUNTER, counter, "")      \
	X(CHURN, churn, "_churn")    \
	X(SELF_COST, self_cost, "")

/*
 * The metrics of each subject.
 * X(subject, field: its name in a sample and in Telegraf, type, kind, unit,
 *   collectd type, collectd type instance, help)
 * A collectd type that collectd's own types.db lacks begins with deepmon_.
 */
#define DEEPMON_CPU_METRICS(X)                                                      \
	X(CPU, cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "",               \
	  "CPU time used; for the idle total, CPU time unused")                     \
	X(CPU, cpu_usage_percent, F64, GAUGE, "percent", "deepmon_cpu_percent", "", \
	  "CPU time used per wall time since the last report; 100 is one CPU")

#define DEEPMON_ENERGY_METRICS(X)                                   \
	X(ENERGY, energy_joules, MICRO, COUNTER, "J", "energy", "", \
	  "Energy used since deepmon began to measure")             \
	X(ENERGY, power_watts, F64, GAUGE, "W", "power", "", "Average power since the last report")

#define DEEPMON_COUNTER_METRICS(X)                                           \
	X(COUNTER, anomalies, U64, COUNTER, "", "total_events", "anomalies", \
	  "Readings of this counter that made no sense; each leaves a gap")  \
	X(COUNTER, wraps, U64, COUNTER, "", "total_events", "wraps",         \
	  "Times that this counter wrapped, each made good")

#define DEEPMON_CHURN_METRICS(X)                                                   \
	X(CHURN, reported, U64, GAUGE, "", "count", "reported",                    \
	  "Containers, or system groups, in this report")                          \
	X(CHURN, ended_cgroups, U64, COUNTER, "", "total_objects", "ended",        \
	  "Cgroups of this kind that have ended")                                  \
	X(CHURN, ended_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "ended", \
	  "CPU time of those ended cgroups, over their lives as seen")

#define DEEPMON_SELF_COST_METRICS(X)                                                                \
	X(SELF_COST, process_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "process",          \
	  "CPU time of the process that deepmon runs in (under collectd: of collectd)")             \
	X(SELF_COST, sample_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "samples",           \
	  "CPU time that deepmon's own samples took")                                               \
	X(SELF_COST, resident_bytes, U64, GAUGE, "B", "memory", "resident",                         \
	  "Resident memory of that process")                                                        \
	X(SELF_COST, samples, U64, COUNTER, "", "total_operations", "samples",                      \
	  "Samples taken: those for reports and those in between")                                  \
	X(SELF_COST, cgroups_tracked, U64, GAUGE, "", "count", "cgroups_tracked",                   \
	  "Cgroups that have a slot of their own; MaxCgroups is the limit")                         \
	X(SELF_COST, slots_refused, U64, COUNTER, "", "total_events", "slots_refused",              \
	  "Times that a cgroup ran and found no free slot: its time is in the total of kind other") \
	X(SELF_COST, events_dropped, U64, COUNTER, "", "total_events", "events_dropped",            \
	  "Cgroup events that found their buffer full; the cgroups are found again by search")      \
	X(SELF_COST, ended_unreported, U64, COUNTER, "", "total_events", "ended_unreported",        \
	  "Groups that ended and, past MaxEnded, were dropped before a report; the totals have them")

/*
 * The options.
 * X(member of struct deepmon_options, collectd name, type, default, least, most, unit, help)
 * On the command line the name is the same in lower case with dashes. Types: TEXT (at most
 * DEEPMON_TEXT_MAX - 1 bytes; least and most do not apply), NUMBER, COUNT (a whole number), CHOICE
 * (default and the words to choose from, parted by |).
 */
#define DEEPMON_OPTION_ROWS(X)                                                                             \
	X(host_root, HostRoot, TEXT, "/", 0, 0, "",                                                        \
	  "Where the host's file system is; a monitoring container may have it at /host")                  \
	X(sys_root, SysRoot, TEXT, "", 0, 0, "", "The host's /sys; empty: HostRoot/sys")                   \
	X(proc_root, ProcRoot, TEXT, "", 0, 0, "", "The host's /proc; empty: HostRoot/proc")               \
	X(cgroup_root, CgroupRoot, TEXT, "", 0, 0, "",                                                     \
	  "The host's cgroup file system; empty: SysRoot/fs/cgroup")                                       \
	X(cgroup_hierarchy, CgroupHierarchy, CHOICE, "auto|unified|cpuacct|cpu|perf_event|memory|pids", 0, \
	  0, "",                                                                                           \
	  "Whose cgroups tell containers apart: the unified hierarchy (v2) or that of a v1 controller; "   \
	  "auto: unified where it is the only one, else cpuacct")                                          \
	X(docker_root, DockerRoot, TEXT, "/var/lib/docker", 0, 0, "",                                      \
	  "Docker's data directory under HostRoot: where containers' names are read")                      \
	X(docker_socket, DockerSocket, TEXT, "/run/docker.sock", 0, 0, "",                                 \
	  "Docker's socket under HostRoot, asked for a name that no file has; empty: never")               \
	X(energy_source, EnergySource, CHOICE, "auto|powercap|perf|msr|hwmon|none", 0, 0, "",              \
	  "Where the processors' energy is read; auto: the first of these that has counters")              \
	X(sample_interval, SampleInterval, NUMBER, "1", 0.05, 60, "s",                                     \
	  "How often energy and CPU time are read between reports, so that no counter wraps unseen")       \
	X(max_cgroups, MaxCgroups, COUNT, "8192", 16, 262144, "",                                          \
	  "Cgroups accounted one by one; those past it are summed in the total of kind other")             \
	X(max_ended, MaxEnded, COUNT, "1024", 16, 65536, "",                                                \
	  "Ended containers and system groups whose totals are kept, to go on if the name comes back")

#endif
