/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the parts of guest.c share: the methods of deepmon's that it tries, the cgroups that it works in, and
 * the tools by which it looks at what came of it.
 */
#ifndef TESTS_KERNELS_GUEST_H
#define TESTS_KERNELS_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#define CPUS	       2
#define TOLERANCE      0.01 /* of CPU time, against the kernel's account */
#define TOLERANCE_NS   2e6
#define TOLERANCE_TICK 8e6 /* and where a task is moved while it runs */
#define PAGES_TOUCHED  500
#define SAMPLE_NS      2e8 /* --sample-interval, where a CPU goes away */

#define CGROUPS	  "/sys/fs/cgroup"
#define FIXTURE	  "/fixture" /* a /sys where both CPUs are threads of one core */
#define LOG	  "/log"
#define WORKED	  "/worked"
#define CONTAINER "docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* deepmon's series. */
#define OF_CONTAINER "deepmon_container,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_MEMORY    "deepmon_container_memory,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_KERNEL    "deepmon_total,kind=kernel"

enum {
	OVERLAP = 1,
	COUNTERS = 2,
	PROCESSES = 4,
	INTERRUPTS = 8,
	OTHER_HIERARCHY = 16, /* not the one that deepmon would take */
	HOTPLUG = 32,
	CAPABILITIES = 64, /* and the sysctl that README.md gives to a binary that is run by no root */
	LITTLE_MEMLOCK = 128,
	FILES = 256,	   /* page faults, from cgroups' files, and file I/O */
	MEMORY = 512,	   /* from those files and from processes', and nothing else */
	FULL = 1024,	   /* each operation on a file, and by file */
	ACCOUNTING = 2048, /* of CPU time by eBPF: where it is refused, cgroups' files tell it */
	BLOCK = 4096,	   /* from cgroups' files, and nothing else */
	NETWORK = 8192,	   /* with peers */
	FENTRY = 16384,	   /* the network by these */
	KPROBES = 32768,
	NETWORK_AT_ALL = 65536, /* of what is refused */
	TRANSACTIONS = 131072,	/* with those of HTTP */
};

/* ---- guest_machine.c: the machine ----------------------------------------------------------------- */

/* What of a method failed first; NULL: nothing. */
extern const char *why;

void __attribute__((format(printf, 2, 3))) note(bool good, const char *format, ...);
void __attribute__((format(printf, 1, 2), noreturn)) give_up(const char *format, ...);
uint64_t clock_ns(clockid_t clock);
void rest_for(double ns);
void write_text(const char *path, const char *text);
size_t read_text(const char *path, char *text, size_t size);
void make_directory(const char *path);
void mount_on(const char *type, const char *path, const char *options);
double uptime_ns(void);

/* ---- guest_cgroups.c: the cgroups with work in them. BRIEF is a new one each time. ------------------ */

enum { HOUSED, STEADY, MOVED_FROM, MOVED_TO, BRIEF, GROUPS };
extern char brief_path[32], brief_series[64];
extern const struct group {
	const char *path, *series;
} groups[GROUPS];

/* The layouts of cgroups, and where they have hierarchies; the one that accounts CPU time is the first. */
struct hierarchy {
	const char *path, *type, *controllers;
};
struct layout {
	const char *name;
	const char *other; /* CgroupHierarchy for OTHER_HIERARCHY */
	struct hierarchy hierarchies[6];
};
extern const struct layout *layout;

bool is_v2(void);
void give_controllers(void);
void mount_cgroups(void);
void make_group(int group);
void remove_group(int group);
void join(int group, pid_t pid);
const char *block_directory(void);
const char *memory_directory(void);
double usage_ns(int group);
void choose_layout(const char *name);

/* ---- guest_work.c: work ------------------------------------------------------------------------------ */

struct worker {
	pid_t pid;
	int go;
};

/* What the container's worker reads and writes besides, in calls of 4 KiB. */
extern unsigned calls;

struct worker start_process(int group, const char *name, unsigned cpu, void (*body)(unsigned),
			    unsigned argument);
void let_go(const struct worker *worker);
void await(const struct worker *worker);
void work_in_all(double used[GROUPS]);
double work_around_hotplug(void);

/* ---- guest_execd.c: deepmon-execd --------------------------------------------------------------------- */

struct execd {
	pid_t pid;
	int to, from;
};

/* One report, and the uptime before it was asked for and after it had come. */
struct report {
	char text[1 << 16];
	double begun_ns, done_ns;
};

struct execd start_execd(unsigned with);
bool take_report(const struct execd *execd, struct report *report);
bool stop_execd(const struct execd *execd);
double field(const struct report *report, const char *series, const char *name);
double grown(const struct report reports[2], const char *series, const char *name);
double sum_of_fields(const struct report *report, const char *prefix, const char *name);
const char *read_log(unsigned with, bool heard);

/* ---- What must hold: guest_cpu.c, guest_files.c, guest_gauges.c, guest_network.c --------------------- */

void check_between(const char *what, double got, double least, double most);
void check_near(const char *what, double got, double expected, double allowed);
void check_group(const struct report reports[2], int group, double used, double allowed, unsigned with);
void check_whole(const struct report reports[2], double away, double allowed);
void check_counters(const struct report reports[2]);
void check_all(const struct report reports[2], const double used[GROUPS], unsigned with);
void check_by_files(const struct report reports[2], const double used[GROUPS]);

void check_files(const struct report reports[2], bool file_io, bool full);

bool measure_held(const struct execd *execd);
bool measure_block(const struct execd *execd);

#define PROBES "/sys/kernel/tracing/kprobe_events"

/* A process that waits in the kernel to receive, by TCP: hooks must not go from under it. */
struct waiter {
	pid_t pid;
	int to;
};

void work_over_network(unsigned with);
void exchange_messages(void);
void traffic_init(void);
void check_network(const struct report reports[2], bool transfers);
void check_transactions(const struct report reports[2]);
struct waiter start_waiter(const struct execd *execd);
bool end_waiter(const struct waiter *waiter);
bool has_probes(void);

#endif
