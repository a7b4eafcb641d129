/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which CPUs there are, and of what processor. Reads what it is told to; keeps nothing.
 */
#include "cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

#define LIST_MOST    65536
#define CPUINFO_MOST (4 << 20)

/* A CPU's number; moves *text past it. CPUS_MAX if it is too large, -1 if there is none. */
static long parse_cpu(const char **text)
{
	long cpu = 0;

	if (**text < '0' || **text > '9')
		return -1;
	for (; **text >= '0' && **text <= '9'; ++*text)
		if (cpu < CPUS_MAX)
			cpu = cpu * 10 + (**text - '0');
	return cpu < CPUS_MAX ? cpu : CPUS_MAX;
}

long cpus_parse_list(const char *text, unsigned *cpus, size_t most)
{
	size_t count = 0;

	while (*text && *text != '\n') {
		long first = parse_cpu(&text), last = first;

		if (*text == '-') {
			text++;
			last = parse_cpu(&text);
		}
		if (first < 0 || last < first || (*text && *text != ',' && *text != '\n'))
			return -EINVAL;
		if (last >= CPUS_MAX || (size_t)(last - first) >= most - count)
			return -E2BIG;
		for (long cpu = first; cpu <= last; cpu++)
			cpus[count++] = (unsigned)cpu;
		if (*text == ',' && (!*++text || *text == '\n'))
			return -EINVAL;
	}
	return (long)count;
}

long cpus_read_list(const char *path, unsigned *cpus, size_t most)
{
	cleanup_free char *text = NULL;
	long length = file_read_new(AT_FDCWD, path, LIST_MOST, &text);

	return length < 0 ? length : cpus_parse_list(text, cpus, most);
}

static int read_id(const char *sys_root, unsigned cpu, const char *name, int *id)
{
	char path[PATH_MAX];
	uint64_t value;
	int length =
	    snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/topology/%s", sys_root, cpu, name);

	if ((size_t)length >= sizeof(path))
		return -ENAMETOOLONG;

	int error = file_read_u64(AT_FDCWD, path, &value);

	if (error)
		return error;
	if (value > INT_MAX)
		return -ERANGE;
	*id = (int)value;
	return 0;
}

int cpus_read_place(const char *sys_root, unsigned cpu, struct cpu_place *place)
{
	*place = (struct cpu_place){.cpu = cpu, .core = (int)cpu};
	read_id(sys_root, cpu, "die_id", &place->die);
	read_id(sys_root, cpu, "core_id", &place->core);
	return read_id(sys_root, cpu, "physical_package_id", &place->package);
}

static int compare_places(const void *left, const void *right)
{
	const struct cpu_place *a = left, *b = right;

	if (a->package != b->package)
		return a->package < b->package ? -1 : 1;
	if (a->die != b->die)
		return a->die < b->die ? -1 : 1;
	if (a->core != b->core)
		return a->core < b->core ? -1 : 1;
	return a->cpu < b->cpu ? -1 : a->cpu > b->cpu;
}

long cpus_read_places(const char *sys_root, const char *path, struct cpu_place **places, size_t *homeless)
{
	cleanup_free unsigned *cpus = calloc(CPUS_MAX, sizeof(*cpus));
	long listed = cpus ? cpus_read_list(path, cpus, CPUS_MAX) : -ENOMEM;
	size_t count = 0;

	if (listed < 0)
		return listed;
	*places = calloc((size_t)listed + 1, sizeof(**places));
	if (!*places)
		return -ENOMEM;
	for (long i = 0; i < listed; i++) {
		if (cpus_read_place(sys_root, cpus[i], &(*places)[count]) == 0)
			count++;
		else
			++*homeless;
	}
	qsort(*places, count, sizeof(**places), compare_places);
	return (long)count;
}

bool cpus_same_package(const struct cpu_place *left, const struct cpu_place *right)
{
	return left->package == right->package;
}

bool cpus_same_die(const struct cpu_place *left, const struct cpu_place *right)
{
	return cpus_same_package(left, right) && left->die == right->die;
}

bool cpus_same_core(const struct cpu_place *left, const struct cpu_place *right)
{
	return cpus_same_die(left, right) && left->core == right->core;
}

size_t cpus_keep_first(struct cpu_place *places, size_t count,
		       bool (*same)(const struct cpu_place *left, const struct cpu_place *right))
{
	size_t kept = 0;

	qsort(places, count, sizeof(*places), compare_places);
	for (size_t i = 0; i < count; i++)
		if (!kept || !same(&places[kept - 1], &places[i]))
			places[kept++] = places[i];
	return kept;
}

/* The value of the first line "key : value"; NULL: there is none. */
static const char *value_of(const char *cpuinfo, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = cpuinfo; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length))
			continue;

		const char *value = line + length + strspn(line + length, " \t");

		if (*value == ':')
			return value + 1 + strspn(value + 1, " \t");
	}
	return NULL;
}

static bool number_of(const char *cpuinfo, const char *key, unsigned *number)
{
	const char *value = value_of(cpuinfo, key);

	if (!value || *value < '0' || *value > '9')
		return false;
	*number = (unsigned)strtoul(value, NULL, 10);
	return true;
}

bool cpus_parse_model(const char *cpuinfo, struct cpu_model *model)
{
	static const struct {
		const char *id;
		enum cpu_vendor vendor;
	} vendors[] = {
	    {"GenuineIntel\n", CPU_INTEL},
	    {"AuthenticAMD\n", CPU_AMD},
	    {"HygonGenuine\n", CPU_AMD},
	};
	const char *vendor = value_of(cpuinfo, "vendor_id");

	model->vendor = CPU_OTHER;
	for (size_t i = 0; vendor && i < sizeof(vendors) / sizeof(vendors[0]); i++)
		if (!strncmp(vendor, vendors[i].id, strlen(vendors[i].id)))
			model->vendor = vendors[i].vendor;
	return vendor && number_of(cpuinfo, "cpu family", &model->family) &&
	       number_of(cpuinfo, "model", &model->model);
}

int cpus_read_model(const char *proc_root, struct cpu_model *model)
{
	char path[PATH_MAX];
	cleanup_free char *cpuinfo = NULL;

	if ((size_t)snprintf(path, sizeof(path), "%s/cpuinfo", proc_root) >= sizeof(path))
		return -ENAMETOOLONG;

	long length = file_read_new(AT_FDCWD, path, CPUINFO_MOST, &cpuinfo);

	if (length < 0)
		return (int)length;
	return cpus_parse_model(cpuinfo, model) ? 0 : -ENOENT;
}

bool cpus_count_whole_package(const char *sys_root)
{
	char path[PATH_MAX];
	cleanup_free char *modalias = NULL;
	int length = snprintf(path, sizeof(path), "%s/devices/system/cpu/modalias", sys_root);

	/* "cpu:type:x86,ven0002fam0019mod0011:feature:..."; 2 is AMD, 9 Hygon. */
	if ((size_t)length >= sizeof(path) || file_read_new(AT_FDCWD, path, 65536, &modalias) < 0)
		return false;
	return strstr(modalias, ",ven0002") || strstr(modalias, ",ven0009");
}
