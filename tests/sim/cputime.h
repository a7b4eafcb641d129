/* SPDX-License-Identifier: GPL-3.0-only
 *
 * How much the machine's CPUs, and single cgroups, have really been used. Reads cgroup files and /proc.
 * A header only so that the simulator is one object; its unit test includes it for the parsers.
 */
#ifndef DEEPMON_SIM_CPUTIME_H
#define DEEPMON_SIM_CPUTIME_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../common/file.h"
#include "model.h"

#define SIM_CPUS_MAX  4096
#define SIM_FILE_MOST (4UL << 20) /* /proc/stat has a number for each interrupt line */

struct cpu_list {
	unsigned int count;
	unsigned int cpu[SIM_CPUS_MAX];
};

struct cputime {
	unsigned int sockets;
	struct cpu_list online;
	struct cpu_list possible;	 /* cpuacct.usage_percpu has one number for each of these */
	int16_t socket_of[SIM_CPUS_MAX]; /* -1: not online at the start, not counted */
	char cpuacct[4096];		 /* the root cgroup of cpuacct; empty: count from /proc/stat */
	uint64_t tick_ns;
};

/* "0-3,8" and a newline. */
static inline int cpu_list_parse(const char *text, struct cpu_list *list)
{
	list->count = 0;
	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10);
		unsigned long last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= SIM_CPUS_MAX)
			return -ERANGE;
		for (unsigned long cpu = first; cpu <= last; cpu++) {
			if (list->count && cpu <= list->cpu[list->count - 1])
				return -EINVAL;
			list->cpu[list->count++] = (unsigned int)cpu;
		}
		text = *end == ',' ? end + 1 : end;
	}
	return list->count && (*text == '\n' || *text == '\0') ? 0 : -EINVAL;
}

static inline void cpu_list_print(FILE *out, const struct cpu_list *list)
{
	for (unsigned int i = 0, last; i < list->count; i = last + 1) {
		for (last = i; last + 1 < list->count && list->cpu[last + 1] == list->cpu[last] + 1; last++)
			;
		fprintf(out, "%s%u", i ? "," : "", list->cpu[i]);
		if (last > i)
			fprintf(out, "-%u", list->cpu[last]);
	}
	fputc('\n', out);
}

/* CPU i of n is in socket i * sockets / n. */
static inline void cputime_deal(struct cputime *cputime, unsigned int sockets)
{
	cputime->sockets = sockets;
	memset(cputime->socket_of, -1, sizeof(cputime->socket_of));
	for (unsigned int i = 0; i < cputime->online.count; i++)
		cputime->socket_of[cputime->online.cpu[i]] = (int16_t)(i * sockets / cputime->online.count);
}

static inline void cputime_add(const struct cputime *cputime, unsigned long cpu, uint64_t ns,
			       uint64_t *busy_ns)
{
	if (cpu < SIM_CPUS_MAX && cputime->socket_of[cpu] >= 0)
		busy_ns[cputime->socket_of[cpu]] += ns;
}

static inline const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

/* cpuacct.usage_percpu: nanoseconds of every possible CPU in order. */
static inline int cputime_parse_percpu(const struct cputime *cputime, const char *text, uint64_t *busy_ns)
{
	unsigned int i = 0;

	memset(busy_ns, 0, cputime->sockets * sizeof(*busy_ns));
	for (;;) {
		char *end;

		text += strspn(text, " \n");
		if (!*text)
			break;
		if (*text < '0' || *text > '9' || i == cputime->possible.count)
			return -EINVAL;
		cputime_add(cputime, cputime->possible.cpu[i++], strtoull(text, &end, 10), busy_ns);
		text = end;
	}
	return i == cputime->possible.count ? 0 : -EINVAL;
}

/* /proc/stat: ticks; the fields are user nice system idle iowait irq softirq steal. */
static inline int cputime_parse_stat(const struct cputime *cputime, const char *text, uint64_t *busy_ns)
{
	unsigned int lines = 0;

	memset(busy_ns, 0, cputime->sockets * sizeof(*busy_ns));
	for (const char *line = text; line && !strncmp(line, "cpu", 3); line = next_line(line)) {
		unsigned long cpu;
		unsigned long long user, nice, system, irq, softirq;

		if (sscanf(line, "cpu%lu %llu %llu %llu %*u %*u %llu %llu", &cpu, &user, &nice, &system, &irq,
			   &softirq) != 6)
			continue; /* the sum of all */
		cputime_add(cputime, cpu, (user + nice + system + irq + softirq) * cputime->tick_ns, busy_ns);
		lines++;
	}
	return lines ? 0 : -EINVAL;
}

/* cpu.stat of v2. -ENOENT: a cpu.stat of v1, which tells no usage. */
static inline int cputime_parse_usage_usec(const char *text, uint64_t *usage_ns)
{
	for (const char *line = text; line; line = next_line(line)) {
		unsigned long long usec;

		if (sscanf(line, "usage_usec %llu", &usec) == 1) {
			*usage_ns = usec * 1000;
			return 0;
		}
	}
	return -ENOENT;
}

/* The mount point of cpuacct's root cgroup out of /proc/self/mountinfo. */
static inline int cputime_parse_mountinfo(char *text, char *mount, size_t size)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char root[4096], point[4096], options[512];
		char *tail = strstr(line, " - cgroup ");

		if (!tail || sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) != 2 ||
		    sscanf(tail, " - cgroup %*s %511s", options) != 1)
			continue;
		if (strcmp(root, "/"))
			continue; /* a bind mount of some cgroup below is not the whole machine */

		char *next;

		for (char *o = strtok_r(options, ",", &next); o; o = strtok_r(NULL, ",", &next))
			if (!strcmp(o, "cpuacct"))
				return snprintf(mount, size, "%s", point) < (int)size ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}

static inline int cputime_read_list(const char *path, struct cpu_list *list)
{
	cleanup_free char *text = NULL;
	long length = file_read_new(AT_FDCWD, path, SIM_FILE_MOST, &text);

	return length < 0 ? (int)length : cpu_list_parse(text, list);
}

/* What the machine has; `from_stat`: leave cpuacct aside even if it is there. */
static inline int cputime_open(struct cputime *cputime, bool from_stat)
{
	cleanup_free char *text = NULL;
	int error = cputime_read_list("/sys/devices/system/cpu/online", &cputime->online);

	if (error)
		return error;
	if (cputime_read_list("/sys/devices/system/cpu/possible", &cputime->possible))
		cputime->possible = cputime->online;
	cputime->tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	if (from_stat || file_read_new(AT_FDCWD, "/proc/self/mountinfo", SIM_FILE_MOST, &text) < 0 ||
	    cputime_parse_mountinfo(text, cputime->cpuacct, sizeof(cputime->cpuacct)))
		cputime->cpuacct[0] = '\0';
	return 0;
}

static inline int cputime_read_percpu(const struct cputime *cputime, int dirfd, uint64_t *busy_ns)
{
	cleanup_free char *text = NULL;
	long length = file_read_new(dirfd, "cpuacct.usage_percpu", SIM_FILE_MOST, &text);

	return length < 0 ? (int)length : cputime_parse_percpu(cputime, text, busy_ns);
}

/* Busy time of each socket since the machine started. */
static inline int cputime_read(const struct cputime *cputime, uint64_t *busy_ns)
{
	cleanup_close int dirfd = -1;
	cleanup_free char *text = NULL;

	if (!cputime->cpuacct[0]) {
		long length = file_read_new(AT_FDCWD, "/proc/stat", SIM_FILE_MOST, &text);

		return length < 0 ? (int)length : cputime_parse_stat(cputime, text, busy_ns);
	}
	dirfd = open(cputime->cpuacct, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd < 0 ? -errno : cputime_read_percpu(cputime, dirfd, busy_ns);
}

/*
 * A cgroup's CPU time: by socket, or (*unsplit) all in busy_ns[0] where cgroup v2 tells no more. *id is
 * its directory's inode, which no later cgroup gets again.
 */
static inline int cputime_read_cgroup(const struct cputime *cputime, const char *path, uint64_t *id,
				      bool *unsplit, uint64_t *busy_ns)
{
	cleanup_close int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	struct stat status;

	if (dirfd < 0 || fstat(dirfd, &status))
		return -errno;
	*id = status.st_ino;

	int error = cputime_read_percpu(cputime, dirfd, busy_ns);

	*unsplit = error == -ENOENT;
	if (!*unsplit)
		return error;

	long length = file_read_new(dirfd, "cpu.stat", SIM_FILE_MOST, &text);

	memset(busy_ns, 0, cputime->sockets * sizeof(*busy_ns));
	return length < 0 ? (int)length : cputime_parse_usage_usec(text, &busy_ns[0]);
}

#endif
