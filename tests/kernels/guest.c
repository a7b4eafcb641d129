/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The first and only process of a virtual machine that tests/kernels/run.py boots, beside those it starts:
 * deepmon-execd, by each of its methods in turn, and work in cgroups. It holds deepmon's figures against the
 * kernel's own and writes TAP to the console; without "guest done" at its end nothing of it counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "held_memory.h"
#include "used_device.h"

#define CPUS		 2
#define REPORT_SECONDS	 40
#define TRIES		 3    /* the emulator may stop a CPU for 100 ms between two of its instructions */
#define TOLERANCE	 0.01 /* of CPU time, against the kernel's account, */
#define TOLERANCE_NS	 2e6
#define TOLERANCE_TICK	 8e6   /* and where a task is moved while it runs */
#define TOLERANCE_WHOLE	 0.002 /* of all the CPU time there is, */
#define UPTIME_STEP_NS	 2e7   /* which is known by two readings of two decimals */
#define TOLERANCE_SHARED 0.05  /* of overlap, of which the kernel keeps no account */
#define PAGES_TOUCHED	 500
#define SAMPLE_NS	 2e8 /* --sample-interval, where a CPU goes away */
#define AWAY_NS		 1e9

#define CGROUPS	  "/sys/fs/cgroup"
#define FIXTURE	  "/fixture" /* a /sys where both CPUs are threads of one core */
#define LOG	  "/log"
#define WORKED	  "/worked"
#define CONTAINER "docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* deepmon's series. */
#define OF_CONTAINER	  "deepmon_container,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_CONTAINER_PERF "deepmon_container_perf,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_PROCESS	  "deepmon_process,container_name=aaaaaaaaaaaa,process="
#define OF_MEMORY	  "deepmon_container_memory,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_BLOCK	  "deepmon_container_block,container_name=aaaaaaaaaaaa,device=" DEVICE ",runtime=docker"
#define OF_FILE_IO	  "deepmon_container_file_io,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_FILE		  "deepmon_container_file,container_name=aaaaaaaaaaaa,file=" WORKED
#define OF_READ		  "deepmon_container_file_latency,container_name=aaaaaaaaaaaa,latency=file_read,runtime=docker"
#define OF_KERNEL	  "deepmon_total,kind=kernel"
#define OF_NETWORK	  "deepmon_container_network,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_NETWORK_STEADY "deepmon_system_network,cgroup=steady.service"
#define OF_PEER(address)  "deepmon_peer,container_name=aaaaaaaaaaaa,peer=" address ",protocol=tcp,role=server"

/* The cgroups with work in them. BRIEF is a new one each time. */
enum { HOUSED, STEADY, MOVED_FROM, MOVED_TO, BRIEF, GROUPS };
static char brief_path[32], brief_series[64];
static const struct {
	const char *path, *series;
} groups[GROUPS] = {
    [HOUSED] = {CONTAINER, OF_CONTAINER},
    [STEADY] = {"steady.service", "deepmon_system,cgroup=steady.service"},
    [MOVED_FROM] = {"from.service", "deepmon_system,cgroup=from.service"},
    [MOVED_TO] = {"to.service", "deepmon_system,cgroup=to.service"},
    [BRIEF] = {brief_path, brief_series},
};

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
static const struct method {
	const char *name;
	unsigned with;
} methods[] = {
    {"plain", 0},
    {"overlap", OVERLAP},
    {"counters", COUNTERS},
    {"processes", PROCESSES},
    {"interrupts", INTERRUPTS},
    {"all", OVERLAP | COUNTERS | PROCESSES | INTERRUPTS},
    {"hotplug", COUNTERS | HOTPLUG},
    {"capabilities", OVERLAP | COUNTERS | PROCESSES | INTERRUPTS | CAPABILITIES},
    {"memlock", CAPABILITIES | LITTLE_MEMLOCK},
    {"files", FILES},
    {"memory", MEMORY},
    {"full", FILES | FULL},
    {"block", BLOCK},
    {"network", NETWORK},
    {"network_fentry", NETWORK | FENTRY},
    {"network_kprobes", NETWORK | KPROBES},
    {"network_capabilities", NETWORK | CAPABILITIES},
    {"transactions", TRANSACTIONS},
    {"hierarchy", OTHER_HIERARCHY},
};

/* The layouts of cgroups, and where they have hierarchies; the one that accounts CPU time is the first. */
struct hierarchy {
	const char *path, *type, *controllers;
};
static const struct layout {
	const char *name;
	const char *other; /* CgroupHierarchy for OTHER_HIERARCHY */
	struct hierarchy hierarchies[6];
} layouts[] = {
    {"v2", NULL, {{CGROUPS, "cgroup2", ""}}},
    {"v1",
     "perf_event",
     {{CGROUPS "/cpu,cpuacct", "cgroup", "cpu,cpuacct"},
      {CGROUPS "/perf_event", "cgroup", "perf_event"},
      {CGROUPS "/memory", "cgroup", "memory"},
      {CGROUPS "/blkio", "cgroup", "blkio"},
      {CGROUPS "/pids", "cgroup", "pids"}}},
    {"hybrid",
     "unified",
     {{CGROUPS "/cpu,cpuacct", "cgroup", "cpu,cpuacct"},
      {CGROUPS "/perf_event", "cgroup", "perf_event"},
      {CGROUPS "/memory", "cgroup", "memory"},
      {CGROUPS "/blkio", "cgroup", "blkio"},
      {CGROUPS "/unified", "cgroup2", ""}}},
};
static const struct layout *layout;

static const char *why; /* what of a method failed first; NULL: nothing */
static char why_text[512];

/* A line of the report; one that is wrong fails the method. */
static void __attribute__((format(printf, 2, 3))) note(bool good, const char *format, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printf("# %s%s\n", text, good ? "" : " WRONG");
	if (!good && !why)
		why = strcpy(why_text, text);
}

/* The machine itself fails: nothing can be said of deepmon. */
static void __attribute__((format(printf, 1, 2), noreturn)) give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("guest failed: ");
	vprintf(format, arguments);
	printf(" (%s)\n", strerror(errno));
	va_end(arguments);
	reboot(RB_POWER_OFF);
	abort();
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void rest_for(double ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1e9), .tv_nsec = (long)ns % 1000000000};

	nanosleep(&time, NULL);
}

/* ---- Files --------------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up("%s: %s can't be written", path, text);
	close(fd);
}

static size_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length, all = 0;

	while (fd >= 0 && (length = read(fd, text + all, size - 1 - (size_t)all)) > 0)
		all += length;
	if (fd < 0)
		give_up("%s", path);
	close(fd);
	text[all] = '\0';
	return (size_t)all;
}

static void make_directory(const char *path)
{
	char part[256];

	for (const char *slash = path; slash;) {
		slash = strchr(slash + 1, '/');
		snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - path) : 255, path);
		if (mkdir(part, 0755) && errno != EEXIST)
			give_up("mkdir %s", part);
	}
}

static void mount_on(const char *type, const char *path, const char *options)
{
	make_directory(path);
	if (mount(type, path, type, 0, options))
		give_up("mount %s at %s", type, path);
}

static double uptime_ns(void)
{
	char text[64];

	read_text("/proc/uptime", text, sizeof(text));
	return strtod(text, NULL) * 1e9;
}

/* ---- Cgroups ------------------------------------------------------------------------------------- */

static bool is_v2(void)
{
	return strcmp(layout->name, "v2") == 0;
}

/* Of v2's controllers a cgroup has those that the one above gives it. */
static void give_controllers(void)
{
	write_text(CGROUPS "/cgroup.subtree_control", "+memory +io");
	write_text(CGROUPS "/docker/cgroup.subtree_control", "+memory +io");
}

static void mount_cgroups(void)
{
	/* As systemd does. */
	if (!is_v2())
		mount_on("tmpfs", CGROUPS, "mode=755");
	for (const struct hierarchy *h = layout->hierarchies; h->path; h++)
		mount_on(h->type, h->path, h->controllers);
	if (!is_v2() &&
	    (symlink("cpu,cpuacct", CGROUPS "/cpu") || symlink("cpu,cpuacct", CGROUPS "/cpuacct")))
		give_up("symlink");
}

static void make_group(int group)
{
	char path[256];

	for (const struct hierarchy *h = layout->hierarchies; h->path; h++) {
		snprintf(path, sizeof(path), "%s/%s", h->path, groups[group].path);
		make_directory(path);
	}
}

static void remove_group(int group)
{
	char path[256];

	for (const struct hierarchy *h = layout->hierarchies; h->path; h++) {
		snprintf(path, sizeof(path), "%s/%s", h->path, groups[group].path);
		if (rmdir(path))
			give_up("rmdir %s", path);
	}
}

static void join(int group, pid_t pid)
{
	char path[256], text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (const struct hierarchy *h = layout->hierarchies; h->path; h++) {
		snprintf(path, sizeof(path), "%s/%s/cgroup.procs", h->path, groups[group].path);
		write_text(path, text);
	}
}

/* Where the container's use of devices is accounted. */
static const char *block_directory(void)
{
	return is_v2() ? CGROUPS "/" CONTAINER : CGROUPS "/blkio/" CONTAINER;
}

/* Where the container's memory is accounted. */
static const char *memory_directory(void)
{
	return is_v2() ? CGROUPS "/" CONTAINER : CGROUPS "/memory/" CONTAINER;
}

/* The kernel's own account. */
static double usage_ns(int group)
{
	char path[256], text[4096];

	snprintf(path, sizeof(path), "%s/%s/%s", layout->hierarchies[0].path, groups[group].path,
		 is_v2() ? "cpu.stat" : "cpuacct.usage");
	read_text(path, text, sizeof(text));
	if (!is_v2())
		return strtod(text, NULL);

	const char *value = strstr(text, "usage_usec ");

	return value ? strtod(value + strlen("usage_usec "), NULL) * 1e3 : 0;
}

/* ---- The network ---------------------------------------------------------------------------------- */

#include "traffic.h"

/* ---- Work ---------------------------------------------------------------------------------------- */

struct worker {
	pid_t pid;
	int go;
};

static void burn_until(uint64_t cpu_ns)
{
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < cpu_ns)
		;
}

static void touch_pages(void)
{
	volatile char *pages = malloc(PAGES_TOUCHED * 4096);

	for (size_t i = 0; i < PAGES_TOUCHED; i++)
		pages[i * 4096] = 1;
}

/* What the container's worker reads and writes besides, in calls of 4 KiB. */
static unsigned calls;

static void read_and_write(void)
{
	char text[4096] = "";
	int file = open(WORKED, O_RDWR | O_CREAT, 0644);

	if (file < 0)
		give_up("a worker's file");
	for (unsigned i = 0; i < calls; i++)
		if (pwrite(file, text, sizeof(text), 0) != sizeof(text) ||
		    read(file, text, sizeof(text)) != sizeof(text) || lseek(file, 0, SEEK_SET))
			give_up("a worker's file");
	close(file);
}

static void burn(unsigned milliseconds)
{
	touch_pages();
	burn_until(milliseconds * 1000000ull);
}

static void read_write_and_burn(unsigned milliseconds)
{
	read_and_write();
	burn(milliseconds);
}

/*
 * A process of that name on that CPU, which is put into the cgroup while it sleeps: a v1 hierarchy charges a
 * running task's time at ticks, all of it to where it is by then.
 */
static struct worker start_process(int group, const char *name, unsigned cpu, void (*body)(unsigned),
				   unsigned argument)
{
	struct worker worker;
	cpu_set_t cpus;
	int go[2], ready[2];
	char byte;

	if (pipe2(go, O_CLOEXEC) || pipe2(ready, O_CLOEXEC))
		give_up("pipe");
	worker = (struct worker){fork(), go[1]};
	if (worker.pid < 0)
		give_up("fork");
	if (worker.pid) {
		close(go[0]);
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			give_up("a worker is gone");
		close(ready[0]);
		join(group, worker.pid);
		return worker;
	}
	prctl(PR_SET_NAME, name);
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	if (write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 1)
		body(argument);
	_exit(0);
}

static struct worker start_worker(int group, const char *name, unsigned cpu, unsigned milliseconds)
{
	return start_process(group, name, cpu, group == HOUSED ? read_write_and_burn : burn, milliseconds);
}

static void let_go(const struct worker *worker)
{
	if (write(worker->go, "x", 1) != 1)
		give_up("a worker is gone");
	close(worker->go);
}

static void await(const struct worker *worker)
{
	if (waitpid(worker->pid, NULL, 0) != worker->pid)
		give_up("waitpid");
}

static void work(int group, const char *name, unsigned cpu, unsigned milliseconds)
{
	struct worker worker = start_worker(group, name, cpu, milliseconds);

	let_go(&worker);
	await(&worker);
}

/* Two CPUs busy together for 0.4 s, then one alone; a task moved while it runs; a cgroup's whole life. */
static void work_in_all(double used[GROUPS])
{
	static unsigned number;
	struct worker housed = start_worker(HOUSED, "housed", 0, 700);
	struct worker steady = start_worker(STEADY, "steady", 1, 400);

	let_go(&housed);
	let_go(&steady);
	await(&steady);
	await(&housed);

	struct worker moved = start_worker(MOVED_FROM, "moved", 1, 300);

	let_go(&moved);
	rest_for(1.5e8);
	join(MOVED_TO, moved.pid);
	await(&moved);

	snprintf(brief_path, sizeof(brief_path), "brief%u.service", ++number);
	snprintf(brief_series, sizeof(brief_series), "deepmon_system,cgroup=%s", brief_path);
	make_group(BRIEF);
	work(BRIEF, "brief", 0, 50);
	used[BRIEF] = usage_ns(BRIEF);
	remove_group(BRIEF);
}

/* The container serves, another cgroup asks. */
static void work_over_network(unsigned with)
{
	struct worker server, client;
	pid_t crowd[CROWD];

	start_crowd(crowd);
	memset(traffic, 0, sizeof(*traffic));
	traffic->splice = with & (FENTRY | KPROBES);
	server = start_process(HOUSED, "server", 0, serve, 0);
	client = start_process(STEADY, "client", 1, ask, 0);
	let_go(&server);
	while (!traffic->listening)
		rest_for(1e7);
	let_go(&client);
	await(&client);
	await(&server);
	end_crowd(crowd);
	note(traffic->side[SERVER].done && traffic->side[CLIENT].done,
	     "server and client came to their ends");
}

/* A CPU goes away, and is back and does work. For how long it was away, in ns. */
static double work_around_hotplug(void)
{
	static const char *const switch_of_cpu = "/sys/devices/system/cpu/cpu1/online";
	uint64_t gone;
	double away;

	write_text(switch_of_cpu, "0");
	gone = clock_ns(CLOCK_MONOTONIC);
	work(STEADY, "steady", 0, 200);
	rest_for(AWAY_NS - 2e8);
	away = (double)(clock_ns(CLOCK_MONOTONIC) - gone);
	write_text(switch_of_cpu, "1");
	/* Its counters are opened again at the next sample. */
	rest_for(2 * SAMPLE_NS);
	work(HOUSED, "housed", 1, 200);
	return away;
}

/* ---- deepmon ------------------------------------------------------------------------------------- */

struct execd {
	pid_t pid;
	int to, from;
};

/* One report, and the uptime before it was asked for and after it had come. */
struct report {
	char text[1 << 16];
	double begun_ns, done_ns;
};

/* No root any more, but with these capabilities. */
static void keep_capabilities_only(bool little_memlock)
{
	static const unsigned kept[] = {CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH};
	/* What Telegraf's unit gives, and what Linux gives by default before 5.16. */
	const rlim_t memlock = little_memlock ? 64 << 10 : 8 << 20;
	/* What a user's eBPF took is still charged to it for a while after its end. */
	const uid_t uid = little_memlock ? 1001 : 1000;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct __user_cap_data_struct *word = &data[CAP_TO_INDEX(kept[i])];

		word->effective = word->permitted = word->inheritable |= CAP_TO_MASK(kept[i]);
	}
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){memlock, memlock}) || prctl(PR_SET_KEEPCAPS, 1) ||
	    setresuid(uid, uid, uid) || syscall(SYS_capset, &header, data))
		_exit(126);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0))
			_exit(126);
}

static struct execd start_execd(unsigned with)
{
	const char *arguments[44] = {"/deepmon-execd", "--signal", "STDIN", "--energy-source", "none"};
	const char **next = arguments + 5;
	const bool counters = with & COUNTERS;
	const char *more[][2] = {
	    {"--smt-overlap", with & OVERLAP ? "auto" : "off"},
	    {with & OVERLAP ? "--sys-root" : NULL, FIXTURE},
	    {with & OVERLAP ? "--cgroup-root" : NULL, CGROUPS},
	    {"--cycles-event", counters ? "cpu-clock" : "none"},
	    {"--instructions-event", counters ? "page-faults" : "none"},
	    {"--cache-references-event", counters ? "context-switches" : "none"},
	    {"--cache-misses-event", "none"},
	    {with & PROCESSES ? "--processes" : NULL, "5"},
	    {with & INTERRUPTS ? "--interrupts" : NULL, "kernel"},
	    {with & HOTPLUG ? "--sample-interval" : NULL, "0.2"},
	    {with & FILES ? "--file-io" : NULL, with & FULL ? "full" : "counts"},
	    {with & FULL ? "--container-files" : NULL, "3"},
	    {with & (FILES | MEMORY | BLOCK) ? "--idle-reread" : NULL, "0"},
	    {with & MEMORY ? "--proportional-memory" : NULL, "on"},
	    {with & MEMORY ? "--proportional-memory-interval" : NULL, "0.2"},
	    {with & MEMORY ? "--proportional-memory-budget" : NULL, "20"},
	    {with & (NETWORK | TRANSACTIONS) ? "--network" : NULL, "on"},
	    {with & TRANSACTIONS ? "--http" : NULL, "on"},
	    {with & TRANSACTIONS ? "--http-paths" : NULL, "8"},
	    {with & OTHER_HIERARCHY ? "--cgroup-hierarchy" : NULL, layout->other},
	    {with & NETWORK ? "--peers" : NULL, "10"},
	    {with & FENTRY ? "--network-hooks" : NULL, "fentry"},
	    {with & KPROBES ? "--network-hooks" : NULL, "kprobes"},
	};
	int to[2], from[2];
	struct execd execd;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		if (!more[i][0])
			continue;
		*next++ = more[i][0];
		*next++ = more[i][1];
	}
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		give_up("pipe");
	execd = (struct execd){fork(), to[1], from[0]};
	if (execd.pid < 0)
		give_up("fork");
	if (!execd.pid) {
		int log = open(LOG, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		if (with & CAPABILITIES)
			keep_capabilities_only(with & LITTLE_MEMLOCK);
		execv(arguments[0], (char **)arguments);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	return execd;
}

/* deepmon_self is its last line. */
static bool is_whole(const char *text, size_t length)
{
	const char *last = strstr(text, "\ndeepmon_self ");

	return last && length && text[length - 1] == '\n';
}

static bool take_report(const struct execd *execd, struct report *report)
{
	struct pollfd ready = {.fd = execd->from, .events = POLLIN};
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + REPORT_SECONDS * 1000000000ull;
	size_t length = 0;

	report->text[0] = '\0';
	report->begun_ns = uptime_ns();
	if (write(execd->to, "\n", 1) != 1)
		return false;
	while (!is_whole(report->text, length)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now > deadline || poll(&ready, 1, (int)((deadline - now) / 1000000)) <= 0)
			return false;

		ssize_t got = read(execd->from, report->text + length, sizeof(report->text) - 1 - length);

		if (got <= 0)
			return false;
		length += (size_t)got;
		report->text[length] = '\0';
	}
	report->done_ns = uptime_ns();
	return true;
}

static bool stop_execd(const struct execd *execd)
{
	int status;

	close(execd->to);
	close(execd->from);
	if (waitpid(execd->pid, &status, 0) != execd->pid)
		give_up("waitpid");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A field of the series of exactly that name; -1: it is not there. */
static double field(const struct report *report, const char *series, const char *name)
{
	size_t series_length = strlen(series), name_length = strlen(name);

	for (const char *line = report->text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, series, series_length) != 0 || line[series_length] != ' ')
			continue;
		for (const char *f = line + series_length; *f && *f != '\n'; f++)
			if ((*f == ' ' || *f == ',') && strncmp(f + 1, name, name_length) == 0 &&
			    f[1 + name_length] == '=')
				return strtod(f + 2 + name_length, NULL);
	}
	return -1;
}

static double grown(const struct report reports[2], const char *series, const char *name)
{
	double first = field(&reports[0], series, name), last = field(&reports[1], series, name);

	return last - (first > 0 ? first : 0);
}

/* The sum of all the series that begin so. */
static double sum_of_fields(const struct report *report, const char *prefix, const char *name)
{
	double sum = 0;
	char series[256];

	for (const char *line = report->text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(series, sizeof(series), "%.*s", (int)strcspn(line, " \n"), line);

		double value = field(report, series, name);

		sum += value > 0 ? value : 0;
	}
	return sum;
}

/* ---- What must hold ------------------------------------------------------------------------------ */

static void check_between(const char *what, double got, double least, double most)
{
	note(got >= least && got <= most, "%s: %.3f ms, expected %.3f to %.3f", what, got / 1e6, least / 1e6,
	     most / 1e6);
}

static void check_near(const char *what, double got, double expected, double allowed)
{
	check_between(what, got, expected - allowed, expected + allowed);
}

/* What a group lacks is in the kernel's part, where interrupts are charged there. */
static void check_group(const struct report reports[2], int group, double used, double allowed, unsigned with)
{
	double kernels = with & INTERRUPTS ? grown(reports, OF_KERNEL, "cpu_time_ns") : 0;

	allowed += used * TOLERANCE;
	check_between(groups[group].path, grown(reports, groups[group].series, "cpu_time_ns"),
		      used - kernels - allowed, used + allowed);
}

static void check_whole(const struct report reports[2], double away, double allowed)
{
	double parts = sum_of_fields(&reports[1], "deepmon_total,", "cpu_time_ns") -
		       sum_of_fields(&reports[0], "deepmon_total,", "cpu_time_ns");
	double least = CPUS * (reports[1].begun_ns - reports[0].done_ns) - away;
	double most = CPUS * (reports[1].done_ns - reports[0].begun_ns) - away;
	double middle = (least + most) / 2;

	check_near("the sum of all parts, against uptime", parts, middle,
		   (most - least) / 2 + CPUS * UPTIME_STEP_NS + middle * TOLERANCE_WHOLE + allowed);
}

static void check_overlap(const struct report reports[2], double shared)
{
	check_near("overlap of both", grown(reports, OF_CONTAINER, "smt_overlap_ns"), shared,
		   shared * TOLERANCE_SHARED + TOLERANCE_NS);
}

static void check_counters(const struct report reports[2])
{
	double time = grown(reports, OF_CONTAINER, "cpu_time_ns");
	double faults = grown(reports, OF_CONTAINER_PERF, "instructions");

	check_near("cpu-clock", grown(reports, OF_CONTAINER_PERF, "cycles"), time,
		   time * TOLERANCE + TOLERANCE_NS);
	note(faults >= PAGES_TOUCHED && faults < PAGES_TOUCHED + 200, "page-faults: %.0f, of pages: %d",
	     faults, PAGES_TOUCHED);
}

/* Since deepmon began: a process that did not run is not told of, and goes on from where it was. */
static void check_processes(const struct report *report)
{
	double all = field(report, OF_CONTAINER, "cpu_time_ns");
	double parts = sum_of_fields(report, OF_PROCESS, "cpu_time_ns");

	check_near("process housed", field(report, OF_PROCESS "housed", "cpu_time_ns"), all, TOLERANCE_NS);
	note(parts == all, "processes of the container: %.0f ns, of %.0f", parts, all);
}

static void check_call(const char *what, double bytes, double number)
{
	/* A worker reads and writes a byte to be started. */
	note(bytes >= calls * 4096 && bytes <= calls * 4096 + 64, "bytes of calls that %s: %.0f, of %u", what,
	     bytes, calls * 4096);
	note(number >= calls && number <= calls + 4, "calls that %s: %.0f, of %u", what, number, calls);
}

/* A file is told of when something was done to it: its counters go on from where they were then. */
static double file_grown(const struct report *report, const char *name, double *before)
{
	double now = field(report, OF_FILE, name), more = now - *before;

	*before = now;
	return more;
}

static void check_file(const struct report *report)
{
	static double bytes[2], number[2];

	check_call("read in its file", file_grown(report, "read_bytes", &bytes[0]),
		   file_grown(report, "read_calls", &number[0]));
	check_call("wrote to its file", file_grown(report, "written_bytes", &bytes[1]),
		   file_grown(report, "write_calls", &number[1]));
	note(field(report, OF_READ, "latency_p50_seconds") > 0, "the latency of reads is told");
}

static void check_files(const struct report reports[2], bool file_io, bool full)
{
	double faults = grown(reports, OF_MEMORY, "minor_faults");

	/* The kernel sums them up now and then. */
	note(faults >= PAGES_TOUCHED - 50 && faults < PAGES_TOUCHED + 400, "page faults: %.0f, of pages: %d",
	     faults, PAGES_TOUCHED);
	if (!file_io)
		return;
	check_call("read", grown(reports, OF_FILE_IO, "read_bytes"),
		   grown(reports, OF_FILE_IO, "read_calls"));
	check_call("wrote", grown(reports, OF_FILE_IO, "written_bytes"),
		   grown(reports, OF_FILE_IO, "write_calls"));
	if (full)
		check_file(&reports[1]);
}

/* One figure against the kernel's; what this kernel lacks is not told. */
static void check_held(const struct report *report, const char *name, double expected, double allowed)
{
	double got = field(report, OF_MEMORY, name);

	note(expected < 0 ? got < 0 || strcmp(name, "kernel_bytes") == 0
			  : got >= expected - allowed && got <= expected + allowed,
	     "%s: %.0f, %.0f by the kernel", name, got, expected);
}

/* The kernel's account of it, before a report and after, is the same: then the report's is, too. */
static void check_still(const struct report *report, const struct held *held)
{
	double usage = held->figures[0], limit = 0;

	for (size_t i = 0; i < HELD_FIGURES; i++) {
		check_held(report, held_figures[i].field, held->figures[i], 0);
		if (strcmp(held_figures[i].field, "limit_bytes") == 0)
			limit = held->figures[i];
	}
	check_held(report, "working_set_bytes", usage - held->inactive_file, 0);
	check_held(report, "limit_percent", 100 * (usage - held->inactive_file) / limit, 1e-6);
	check_held(report, "rss_processes", HELD_PROCESSES, 0);
	check_held(report, "rss_bytes", held->rss, 0);
	check_held(report, "pss_bytes", held->pss, 0);
	check_held(report, "uss_bytes", held->uss, 0);
	note(held->rss >= HELD_ANONYMOUS + 2 * HELD_SHARED && held->pss >= HELD_ANONYMOUS + HELD_SHARED &&
		 held->pss < held->rss && held->uss >= HELD_ANONYMOUS && held->uss < held->pss,
	     "what is shared is in RSS twice, in PSS once, in USS not at all");
}

#include "network.h"

/* What was refused must not be told either: absent, never zero. */
static void check_absent(const struct report reports[2], unsigned refused)
{
	if (refused & OVERLAP)
		note(field(&reports[1], OF_CONTAINER, "smt_overlap_ns") < 0, "no overlap is told");
	if (refused & COUNTERS)
		note(!strstr(reports[1].text, "_perf,"), "no counters are told");
	if (refused & FILES)
		note(!strstr(reports[1].text, "_file_io,"), "no file I/O is told");
	if (refused & TRANSACTIONS)
		note(!strstr(reports[1].text, "_transactions,"), "no transactions are told");
}

static void check_all(const struct report reports[2], const double used[GROUPS], unsigned with)
{
	double moved = used[MOVED_FROM] + used[MOVED_TO], allowed = moved * TOLERANCE + TOLERANCE_NS;

	for (int group = 0; group < GROUPS; group++) {
		bool was_moved = group == MOVED_FROM || group == MOVED_TO;

		/* From one hierarchy's move to the next it takes the kernel some ms. */
		if (!was_moved || !(with & OTHER_HIERARCHY))
			check_group(reports, group, used[group], was_moved ? TOLERANCE_TICK : TOLERANCE_NS,
				    with);
	}
	/* Of which cgroup the tick around a move is, the kernel knows less well than of which task. */
	check_between("moved, both together",
		      grown(reports, groups[MOVED_FROM].series, "cpu_time_ns") +
			  grown(reports, groups[MOVED_TO].series, "cpu_time_ns"),
		      moved - (with & INTERRUPTS ? grown(reports, OF_KERNEL, "cpu_time_ns") : 0) - allowed,
		      moved + allowed);
	check_whole(reports, 0, 0);
	if (with & OVERLAP)
		check_overlap(reports, used[STEADY]);
	if (with & COUNTERS)
		check_counters(reports);
	if (with & PROCESSES)
		check_processes(&reports[1]);
	if (with & INTERRUPTS)
		note(grown(reports, OF_KERNEL, "cpu_time_ns") > 0, "kernel with its interrupts: %.3f ms",
		     grown(reports, OF_KERNEL, "cpu_time_ns") / 1e6);
}

/*
 * By cgroups' files: the kernel's own figures of them, but for what a cgroup did last before it ended, and
 * what they do not tell.
 */
static void check_by_files(const struct report reports[2], const double used[GROUPS])
{
	for (int group = 0; group < BRIEF; group++)
		check_group(reports, group, used[group], TOLERANCE_NS, 0);
	check_whole(reports, 0, CPUS * TOLERANCE_TICK);
	note(field(&reports[1], OF_KERNEL, "cpu_time_ns") < 0, "no kernel threads are told");
}

/* ---- A method ------------------------------------------------------------------------------------ */

/* All that deepmon had to say, in one line. run.py knows what it may. */
static const char *read_log(unsigned with, bool heard)
{
	static char text[8192], all[3 * sizeof(text)];
	char *rest = NULL;

	read_text(LOG, text, sizeof(text));
	all[0] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		/* Which hooks were chosen is no loss, but of transactions. */
		if (!(with & TRANSACTIONS) && strstr(line, "sends and receives are heard of by")) {
			if (heard)
				note(true, "%s", line);
			continue;
		}
		if (all[0])
			strcat(all, " / ");
		strcat(all, line);
	}
	return all;
}

/* Work between two reports, held against the kernel's account of it. False: no report came. */
static void start_holder(char *shared, bool first, pid_t *pid)
{
	int go, ready;
	char byte;

	*pid = held_start(shared, first, &go, &ready);
	if (*pid < 0)
		give_up("a holder of memory");
	join(HOUSED, *pid);
	if (write(go, "", 1) != 1 || read(ready, &byte, 1) != 1)
		give_up("the memory of a holder");
	close(go);
	close(ready);
}

/* Whether the report has figures of the processes' memory from after that moment. */
static bool is_of_after(const struct report *report, uint64_t asked_ns, uint64_t moment_ns)
{
	return field(report, OF_MEMORY, "rss_processes") == HELD_PROCESSES &&
	       field(report, OF_MEMORY, "rss_age_seconds") * 1e9 < (double)(asked_ns - moment_ns);
}

/* Memory that nobody touches while it is looked at. */
static bool measure_held(const struct execd *execd)
{
	static struct report report;
	static struct held before, after;
	pid_t pids[HELD_PROCESSES];
	char *shared = held_shared(), limit[256];
	uint64_t held_ns, asked_ns;
	bool goes_on = true, still = false;

	why = NULL;
	if (shared == MAP_FAILED)
		give_up("memory to share");
	snprintf(limit, sizeof(limit), "%s/%s", memory_directory(),
		 is_v2() ? "memory.max" : "memory.limit_in_bytes");
	write_text(limit, "268435456");
	for (int i = 0; i < HELD_PROCESSES; i++)
		start_holder(shared, i == 0, &pids[i]);
	for (int i = 0; goes_on && !still && i < 40; i++) {
		held_read(&before, memory_directory(), is_v2(), pids);
		held_ns = clock_ns(CLOCK_MONOTONIC);
		/* Processes are read five times a second. */
		rest_for(4e8);
		asked_ns = clock_ns(CLOCK_MONOTONIC);
		goes_on = take_report(execd, &report);
		held_read(&after, memory_directory(), is_v2(), pids);
		still =
		    memcmp(&before, &after, sizeof(before)) == 0 && is_of_after(&report, asked_ns, held_ns);
	}
	note(still, "the kernel's account stood still around a report");
	if (still)
		check_still(&report, &after);
	for (int i = 0; i < HELD_PROCESSES; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	munmap(shared, HELD_SHARED);
	unlink("/held");
	if (why && getenv("show_reports"))
		printf("%s", report.text);
	return goes_on;
}

/* A process of the container that uses the disk, and ends. */
static bool measure_block(const struct execd *execd)
{
	static struct report report;
	const dev_t number = device_find();
	struct worker worker;
	int go[2], status;
	char byte, rule[64];

	why = NULL;
	if (!number || pipe(go))
		give_up("the disk " DEVICE);
	if (!is_v2()) {
		/* Newer kernels count on devices alone that have rules; these hold nobody up. */
		snprintf(rule, sizeof(rule), "%u:%u 1000000000000", major(number), minor(number));
		write_text(CGROUPS "/blkio/" CONTAINER "/blkio.throttle.read_bps_device", rule);
		write_text(CGROUPS "/blkio/" CONTAINER "/blkio.throttle.write_bps_device", rule);
	}
	worker = (struct worker){fork(), go[1]};
	if (worker.pid == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		device_use();
	}
	join(HOUSED, worker.pid);
	if (write(go[1], "", 1) != 1 || waitpid(worker.pid, &status, 0) != worker.pid || status)
		give_up("who uses the disk");
	close(go[0]);
	close(go[1]);
	if (!take_report(execd, &report))
		return false;
	for (size_t i = 0; i < DEVICE_FIGURES; i++) {
		double got = field(&report, OF_BLOCK, device_figures[i].field);
		double kernels = device_figure(i, block_directory(), is_v2(), number);

		note(got == kernels && got == device_figures[i].used, "%s: %.0f, %.0f by the kernel, %u used",
		     device_figures[i].field, got, kernels, device_figures[i].used);
	}
	if (why && getenv("show_reports"))
		printf("%s", report.text);
	return true;
}

static bool measure(const struct execd *execd, unsigned with, unsigned refused)
{
	static struct report reports[2];
	double used[GROUPS] = {0}, away = 0;

	why = NULL;
	for (int group = 0; group < BRIEF; group++)
		used[group] = -usage_ns(group);
	if (!take_report(execd, &reports[0]))
		return false;
	if (with & HOTPLUG)
		away = work_around_hotplug();
	else if (with & NETWORK)
		work_over_network(with);
	else
		work_in_all(used);
	for (int group = 0; group < BRIEF; group++)
		used[group] += usage_ns(group);
	if (with & TRANSACTIONS)
		exchange_messages();
	if (!take_report(execd, &reports[1]))
		return false;
	if (with & HOTPLUG) {
		check_group(reports, HOUSED, used[HOUSED], TOLERANCE_NS, 0);
		check_group(reports, STEADY, used[STEADY], TOLERANCE_NS, 0);
		check_counters(reports);
		/* That it is away is seen at a sample. */
		check_whole(reports, away, SAMPLE_NS * 1.1);
	} else if (refused & ACCOUNTING) {
		check_by_files(reports, used);
	} else if (refused & NETWORK_AT_ALL) {
		note(!strstr(reports[1].text, "_network,") && !strstr(reports[1].text, "deepmon_peer,"),
		     "no network is told");
	} else if (with & NETWORK) {
		check_network(reports, !(refused & NETWORK));
	} else {
		check_all(reports, used, with & ~refused);
		if (with & FILES)
			check_files(reports, !(refused & FILES), with & FULL);
		if (with & TRANSACTIONS & ~refused)
			check_transactions(reports);
		check_absent(reports, refused);
	}
	if (why && getenv("show_reports"))
		printf("%s%s", reports[0].text, reports[1].text);
	return true;
}

static void try_method(const struct method *method)
{
	static struct report first;
	uint64_t begun = clock_ns(CLOCK_MONOTONIC);

	if (method->with & KPROBES)
		write_text(PROBES, "r:deepmon_99999/inet_recvmsg inet_recvmsg\n");

	struct execd execd = start_execd(method->with);
	struct waiter waiter = {0};
	bool opened = take_report(&execd, &first), goes_on = opened;
	const char *log = read_log(method->with, true);
	unsigned refused = (strstr(log, "SmtOverlap: ") ? OVERLAP : 0) |
			   (strstr(log, "the CPU accounting can't") ? ACCOUNTING : 0) |
			   (strstr(log, "Event: ") ? COUNTERS : 0) | (strstr(log, "File I/O") ? FILES : 0) |
			   (strstr(log, "bytes, messages and transactions are left out") ? NETWORK : 0) |
			   (strstr(log, "The network is left out") ? NETWORK_AT_ALL : 0) |
			   (strstr(log, "transactions are left out") ? TRANSACTIONS : 0);

	why = NULL;
	calls = method->with & FILES ? 256 : 0;
	note(opened || *log, "first report after %.1f s", (double)(clock_ns(CLOCK_MONOTONIC) - begun) / 1e9);
	if (goes_on && method->with & MEMORY)
		goes_on = measure_held(&execd);
	else if (goes_on && method->with & BLOCK)
		goes_on = measure_block(&execd);
	else
		for (int i = 0; goes_on && i < TRIES && (i == 0 || why); i++)
			goes_on = measure(&execd, method->with, refused);
	note(goes_on == opened, "deepmon-execd goes on");
	if (method->with & NETWORK)
		waiter = start_waiter(&execd);
	if (method->with & KPROBES)
		note(has_probes(), "its return probes are in tracefs");
	note(stop_execd(&execd) == opened, "deepmon-execd ends %s", opened ? "well" : "with an error");
	if (method->with & KPROBES)
		note(!has_probes(), "no probe is left behind, not even one of a process that was killed");
	if (method->with & NETWORK)
		note(end_waiter(&waiter), "a thread that waited to receive as it ended goes on");
	log = read_log(method->with, false);
	if (why)
		printf("not ok - %s # %s%s%s\n", method->name, why, *log ? " / " : "", log);
	else
		printf("%s - %s # %s\n", *log ? "refused" : "ok", method->name, log);
}

static void make_fixture(void)
{
	char path[128];

	for (int cpu = 0; cpu < CPUS; cpu++) {
		snprintf(path, sizeof(path), FIXTURE "/devices/system/cpu/cpu%d/topology", cpu);
		make_directory(path);
		snprintf(path, sizeof(path), FIXTURE "/devices/system/cpu/cpu%d/topology/core_cpus_list",
			 cpu);
		write_text(path, "0-1\n");
		snprintf(path, sizeof(path), FIXTURE "/devices/system/cpu/cpu%d/topology/physical_package_id",
			 cpu);
		write_text(path, "0\n");
	}
}

static void choose_layout(const char *name)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (name && strcmp(name, layouts[i].name) == 0)
			layout = &layouts[i];
	if (!layout)
		give_up("the kernel's command line has no layout= that is known");
}

int main(void)
{
	const char *only = getenv("only");
	size_t tried = 0;
	struct utsname name;

	setlinebuf(stdout);
	signal(SIGPIPE, SIG_IGN);
	uname(&name);
	printf("\nguest begins: Linux %s\n", name.release);
	choose_layout(getenv("layout"));
	mount_on("proc", "/proc", "");
	mount_on("sysfs", "/sys", "");
	mount_on("tracefs", "/sys/kernel/tracing", "");
	mount_cgroups();
	make_fixture();
	traffic_init();
	/* Debian's kernels have 3, of their own, which not even CAP_PERFMON overrides. */
	write_text("/proc/sys/kernel/perf_event_paranoid", "2");
	for (int group = 0; group < BRIEF; group++)
		make_group(group);
	if (is_v2())
		give_controllers();
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (((methods[i].with & OTHER_HIERARCHY) && !layout->other) ||
		    (only && strcmp(only, methods[i].name) != 0))
			continue;
		try_method(&methods[i]);
		tried++;
	}
	printf("guest done %zu\n", tried);
	reboot(RB_POWER_OFF);
	return 1;
}
