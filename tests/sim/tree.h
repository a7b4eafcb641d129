/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Writes the simulated tree: powercap zones laid out as the kernel lays them out under /sys, and the CPU
 * topology. Touches nothing outside the root it is given. A header only so that the simulator is one object.
 */
#ifndef DEEPMON_SIM_TREE_H
#define DEEPMON_SIM_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cputime.h"
#include "model.h"

#define SIM_ZONES_MAX (SIM_SOCKETS_MAX * 5 + 1)
#define SIM_MARKER    "class/powercap/deepmon-simulated"
#define SIM_PATH_MAX  192 /* the longest is about 100 */

struct sim_zone {
	enum sim_domain domain;
	unsigned int socket;
	bool mirror;		 /* under intel-rapl-mmio: no counter of its own in the truth */
	char name[32];		 /* what the truth calls it: "package-0-core" */
	char path[SIM_PATH_MAX]; /* its directory under the root */
};

struct sim_tree {
	int rootfd;
	char temporary[64]; /* what is written before it takes its place */
	uint64_t range_uj;
	uint64_t start_uj;
	unsigned int sockets;
	unsigned int domain_count;
	enum sim_domain domains[SIM_DOMAIN_COUNT]; /* in the order that was asked for */
	bool mmio;
	unsigned int zone_count;
	struct sim_zone zones[SIM_ZONES_MAX];
};

static const char *const sim_domain_names[SIM_DOMAIN_COUNT] = {"package", "core", "uncore", "dram", "psys"};

static inline int tree_mkdir_all(int dirfd, const char *path)
{
	char part[4096];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(dirfd, part, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdirat(dirfd, part, 0755) && errno != EEXIST ? -errno : 0;
}

/* Readers see the old contents or the new, never half: written aside, then renamed. */
static inline int tree_write(const struct sim_tree *tree, const char *path, const char *text)
{
	cleanup_close int fd =
	    openat(tree->rootfd, tree->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t length = strlen(text);
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, text, length);
	if (written < 0)
		return -errno;
	if ((size_t)written != length)
		return -ENOSPC;
	return renameat(tree->rootfd, tree->temporary, tree->rootfd, path) ? -errno : 0;
}

__attribute__((format(printf, 4, 5))) static inline int
tree_put(const struct sim_tree *tree, const char *directory, const char *file, const char *format, ...)
{
	char path[SIM_PATH_MAX + 64], text[256];
	va_list arguments;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return tree_write(tree, path, text);
}

/* A link that is there from an earlier run must say the same. */
static inline int tree_link(const struct sim_tree *tree, const char *target, const char *path)
{
	char there[SIM_PATH_MAX + 64];
	ssize_t length;

	if (!symlinkat(target, tree->rootfd, path))
		return 0;
	if (errno != EEXIST)
		return -errno;
	length = readlinkat(tree->rootfd, path, there, sizeof(there));
	return length == (ssize_t)strlen(target) && !memcmp(there, target, (size_t)length) ? 0 : -EEXIST;
}

/* The directory of a control type or zone, `depth` levels below devices/virtual/powercap, and its link. */
static inline int tree_device(const struct sim_tree *tree, const char *path, unsigned int depth)
{
	static const char up[] = "../../../../../../";
	char link[SIM_PATH_MAX + 32], target[SIM_PATH_MAX + 32];
	int error = tree_mkdir_all(tree->rootfd, path);

	if (error)
		return error;
	snprintf(target, sizeof(target), "%.*sclass/powercap", (int)(3 * (depth + 3)), up);
	snprintf(link, sizeof(link), "%s/subsystem", path);
	error = tree_link(tree, target, link);
	if (error)
		return error;
	snprintf(target, sizeof(target), "../../%s", path);
	snprintf(link, sizeof(link), "class/powercap/%s", strrchr(path, '/') + 1);
	return tree_link(tree, target, link);
}

static inline int tree_control_type(const struct sim_tree *tree, const char *name)
{
	char path[SIM_PATH_MAX];
	int error;

	snprintf(path, sizeof(path), "devices/virtual/powercap/%s", name);
	error = tree_device(tree, path, 1);
	return error ? error : tree_put(tree, path, "enabled", "1\n");
}

static inline int tree_zone(struct sim_tree *tree, const struct sim_zone *zone, const char *kernel_name,
			    unsigned int depth)
{
	int error = tree_device(tree, zone->path, depth);

	if (!error)
		error = tree_put(tree, zone->path, "name", "%s\n", kernel_name);
	if (!error)
		error = tree_put(tree, zone->path, "enabled", "0\n");
	if (!error)
		error = tree_put(tree, zone->path, "max_energy_range_uj", "%" PRIu64 "\n", tree->range_uj);
	if (!error)
		error = tree_put(tree, zone->path, "energy_uj", "%" PRIu64 "\n",
				 sim_counter_uj(tree->start_uj, 0, tree->range_uj));
	if (!error)
		tree->zones[tree->zone_count++] = *zone;
	return error;
}

static inline int tree_package(struct sim_tree *tree, const char *control_type, unsigned int index,
			       unsigned int socket)
{
	struct sim_zone zone = {.domain = SIM_PACKAGE, .socket = socket};
	unsigned int children = 0;
	int error;

	zone.mirror = strcmp(control_type, "intel-rapl") != 0;
	snprintf(zone.name, sizeof(zone.name), "package-%u", socket);
	snprintf(zone.path, sizeof(zone.path), "devices/virtual/powercap/%s/%s:%u", control_type,
		 control_type, index);
	error = tree_zone(tree, &zone, zone.name, 2);
	if (error || zone.mirror)
		return error;
	for (unsigned int i = 0; i < tree->domain_count && !error; i++) {
		const char *name = sim_domain_names[tree->domains[i]];
		struct sim_zone child = {.domain = tree->domains[i], .socket = socket};

		if (child.domain == SIM_PACKAGE || child.domain == SIM_PSYS)
			continue;
		snprintf(child.name, sizeof(child.name), "package-%u-%s", socket, name);
		snprintf(child.path, sizeof(child.path), "devices/virtual/powercap/%s/%s:%u/%s:%u:%u",
			 control_type, control_type, index, control_type, index, children++);
		error = tree_zone(tree, &child, name, 3);
	}
	return error;
}

static inline bool tree_has(const struct sim_tree *tree, enum sim_domain domain)
{
	for (unsigned int i = 0; i < tree->domain_count; i++)
		if (tree->domains[i] == domain)
			return true;
	return false;
}

/*
 * Zones in an order that some real hosts have and that catches who takes the index for the socket: psys
 * first, then the last package before the first.
 */
static inline int tree_zones(struct sim_tree *tree)
{
	unsigned int index = 0;
	int error = tree_control_type(tree, "intel-rapl");

	if (!error && tree_has(tree, SIM_PSYS)) {
		struct sim_zone psys = {.domain = SIM_PSYS, .name = "psys"};

		snprintf(psys.path, sizeof(psys.path), "devices/virtual/powercap/intel-rapl/intel-rapl:%u",
			 index++);
		error = tree_zone(tree, &psys, "psys", 2);
	}
	if (!tree_has(tree, SIM_PACKAGE))
		return error;
	for (unsigned int s = tree->sockets; s > 0 && !error; s--)
		error = tree_package(tree, "intel-rapl", index++, s - 1);
	if (!error && tree->mmio)
		error = tree_control_type(tree, "intel-rapl-mmio");
	for (unsigned int s = tree->sockets; s > 0 && tree->mmio && !error; s--)
		error = tree_package(tree, "intel-rapl-mmio", tree->sockets - s, s - 1);
	return error;
}

/* One CPU: a core of its own; core ids start again in each package, as real ones do. */
static inline int tree_cpu(const struct sim_tree *tree, const struct cputime *cputime, unsigned int cpu)
{
	char directory[SIM_PATH_MAX];
	struct cpu_list *package = calloc(1, sizeof(*package));
	char *text = NULL;
	size_t size;
	unsigned int core = 0;
	int error = -ENOMEM;
	FILE *out = package ? open_memstream(&text, &size) : NULL;

	if (!out)
		goto end;
	for (unsigned int i = 0; i < cputime->online.count; i++) {
		unsigned int other = cputime->online.cpu[i];

		if (cputime->socket_of[other] != cputime->socket_of[cpu])
			continue;
		if (other == cpu)
			core = package->count;
		package->cpu[package->count++] = other;
	}
	cpu_list_print(out, package);
	if (fclose(out))
		goto end;
	snprintf(directory, sizeof(directory), "devices/system/cpu/cpu%u/topology", cpu);
	error = tree_mkdir_all(tree->rootfd, directory);
	if (!error)
		error = tree_put(tree, directory, "physical_package_id", "%d\n", cputime->socket_of[cpu]);
	if (!error)
		error = tree_put(tree, directory, "core_id", "%u\n", core);
	if (!error)
		error = tree_put(tree, directory, "thread_siblings_list", "%u\n", cpu);
	if (!error)
		error = tree_put(tree, directory, "core_cpus_list", "%u\n", cpu);
	if (!error) {
		snprintf(directory, sizeof(directory), "devices/system/cpu/cpu%u/topology/package_cpus_list",
			 cpu);
		error = tree_write(tree, directory, text);
	}
end:
	free(text);
	free(package);
	return error;
}

static inline int tree_topology(const struct sim_tree *tree, const struct cputime *cputime)
{
	static const char *const lists[] = {"online", "possible", "present"};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int error = tree_mkdir_all(tree->rootfd, "devices/system/cpu");

	if (!out)
		return -ENOMEM;
	cpu_list_print(out, &cputime->online);
	if (fclose(out))
		error = -ENOMEM;
	for (unsigned int i = 0; i < 3 && !error; i++) {
		char path[SIM_PATH_MAX];

		snprintf(path, sizeof(path), "devices/system/cpu/%s", lists[i]);
		error = tree_write(tree, path, text);
	}
	free(text);
	for (unsigned int i = 0; i < cputime->online.count && !error; i++)
		error = tree_cpu(tree, cputime, cputime->online.cpu[i]);
	return error;
}

/* Zones of an earlier run stay where they are, so another run under the same root must want the same. */
static inline int tree_keep_shape(const struct sim_tree *tree)
{
	char wanted[128], there[128];
	int length =
	    snprintf(wanted, sizeof(wanted), "sockets=%u mmio=%d domains=", tree->sockets, tree->mmio);

	for (unsigned int i = 0; i < tree->domain_count; i++)
		length += snprintf(wanted + length, sizeof(wanted) - (size_t)length, "%s,",
				   sim_domain_names[tree->domains[i]]);
	if (file_read(tree->rootfd, ".rapl-sim/shape", there, sizeof(there)) >= 0)
		return strcmp(there, wanted) ? -EEXIST : 0;
	return tree_write(tree, ".rapl-sim/shape", wanted);
}

/*
 * The whole tree under `root`, which is made if need be. -EEXIST: there are zones that no simulator
 * wrote, or another shape of tree.
 */
static inline int tree_build(struct sim_tree *tree, const char *root, const struct cputime *cputime)
{
	int error = tree_mkdir_all(AT_FDCWD, root);

	if (error)
		return error;
	tree->rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree->rootfd < 0)
		return -errno;
	if (!faccessat(tree->rootfd, "class/powercap", F_OK, 0) &&
	    faccessat(tree->rootfd, SIM_MARKER, F_OK, 0))
		return -EEXIST;
	error = tree_mkdir_all(tree->rootfd, "class/powercap");
	if (!error)
		error = tree_mkdir_all(tree->rootfd, ".rapl-sim");
	snprintf(tree->temporary, sizeof(tree->temporary), ".rapl-sim/%d", (int)getpid());
	if (!error)
		error = tree_keep_shape(tree);
	if (!error)
		error = tree_write(tree, SIM_MARKER, "simulated by rapl-sim: no figure here was measured\n");
	if (!error)
		error = tree_topology(tree, cputime);
	return error ? error : tree_zones(tree);
}

/* Brings every counter to the energy of the span. */
static inline int tree_update(const struct sim_tree *tree, const struct sim_model *model,
			      const struct sim_span *total)
{
	for (unsigned int i = 0; i < tree->zone_count; i++) {
		const struct sim_zone *zone = &tree->zones[i];
		sim_aj energy = sim_energy(model, total, zone->domain, zone->socket);
		int error = tree_put(tree, zone->path, "energy_uj", "%" PRIu64 "\n",
				     sim_counter_uj(tree->start_uj, energy, tree->range_uj));

		if (error)
			return error;
	}
	return 0;
}

#endif
