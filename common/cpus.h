/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPUs there are, what processor they are of and where in it they sit, as files of /sys and /proc tell.
 */
#ifndef DEEPMON_CPUS_H
#define DEEPMON_CPUS_H

#include <stdbool.h>
#include <stddef.h>

#define CPUS_MAX 8192 /* CPU numbers are below this; Linux's own limit on x86 */

/*
 * The CPUs of a list such as "0-3,8", in its order, to cpus[]. Returns how many; -EINVAL: it is no list;
 * -E2BIG: more than `most`, or a number of CPUS_MAX or more. An empty list has none.
 */
long cpus_parse_list(const char *text, unsigned *cpus, size_t most);
/* The same of a file. -errno if it can't be read. */
long cpus_read_list(const char *path, unsigned *cpus, size_t most);

struct cpu_place {
	unsigned cpu;
	int package; /* physical package id */
	int die;     /* in the package; 0 where the kernel knows of no dies */
	int core;    /* in the die */
};

/* -errno: the CPU's package is not told. */
int cpus_read_place(const char *sys_root, unsigned cpu, struct cpu_place *place);
/*
 * The places of the CPUs in the list of that file, sorted as cpus_keep_first does; *places is malloced.
 * Returns how many, or -errno; CPUs that have no place are left out, and their number is added to *homeless.
 */
long cpus_read_places(const char *sys_root, const char *path, struct cpu_place **places, size_t *homeless);

bool cpus_same_package(const struct cpu_place *left, const struct cpu_place *right);
bool cpus_same_die(const struct cpu_place *left, const struct cpu_place *right);
bool cpus_same_core(const struct cpu_place *left, const struct cpu_place *right);

/* Sorts by package, die, core and CPU, and keeps the first of those that are the same. Returns how many. */
size_t cpus_keep_first(struct cpu_place *places, size_t count,
		       bool (*same)(const struct cpu_place *left, const struct cpu_place *right));

enum cpu_vendor { CPU_OTHER, CPU_INTEL, CPU_AMD /* Hygon too */ };

struct cpu_model {
	enum cpu_vendor vendor;
	unsigned family, model;
};

/* Of the first CPU in a text as /proc/cpuinfo. False: it is not told, as on other than x86. */
bool cpus_parse_model(const char *cpuinfo, struct cpu_model *model);
int cpus_read_model(const char *proc_root, struct cpu_model *model);

/*
 * AMD's energy counters are of the whole package, or of a single core. Some kernels show one for each of its
 * dies nevertheless, and all of them say the same.
 */
bool cpus_count_whole_package(const char *sys_root);

#endif
