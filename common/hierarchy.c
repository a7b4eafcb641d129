/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Finds the cgroup hierarchy to follow, and the paths of its cgroups. Reads the cgroup file system,
 * /proc/cgroups, /proc/self/cgroup and the kernel's BTF.
 */
#include "hierarchy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "file.h"
#include "findings.h"
#include "log.h"
#include "root.h"

/* The words of the option CgroupHierarchy after "auto", in its order. */
enum { CHOICE_AUTO, CHOICE_UNIFIED, CHOICE_FIRST_CONTROLLER };
static const char *const controllers[] = {"cpuacct", "cpu", "perf_event", "memory", "pids"};

static bool is_mounted(const char *path, long magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == magic;
}

/* Whether a list parted by commas has that word. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
		if (strncmp(list, word, length) == 0 && (!list[length] || list[length] == ','))
			return true;
	return false;
}

/* A line of /proc/cgroups: "cpuacct	2	7	1". */
static bool parse_controller(const char *line, const char *controller, int *id)
{
	char name[64];

	return sscanf(line, "%63s %d", name, id) == 2 && strcmp(name, controller) == 0;
}

/* A line of /proc/PID/cgroup: "2:cpu,cpuacct:/docker". */
static bool parse_membership(const char *line, const char *controller, int *id)
{
	char names[256];

	return sscanf(line, "%d:%255[^:]:", id, names) == 2 && has_word(names, controller);
}

static int find_id_in(const char *path, bool (*parse)(const char *line, const char *controller, int *id),
		      const char *controller, int *id)
{
	cleanup_free char *text = NULL;
	char *rest = NULL;
	long length = file_read_new(AT_FDCWD, path, 65536, &text);

	if (length < 0)
		return (int)length;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (parse(line, controller, id))
			return *id > 0 ? 0 : -ENOENT;
	return -ENOENT;
}

/*
 * The kernel's number of a v1 hierarchy. Where /proc/cgroups is hidden (mounted with subset=pid, or ProcRoot
 * is no /proc), by what the kernel says of ourselves.
 */
static int read_hierarchy_id(const char *proc_root, const char *controller, int *id)
{
	char path[ROOT_PATH_MAX + 16];
	int r;

	snprintf(path, sizeof(path), "%s/cgroups", proc_root);
	r = find_id_in(path, parse_controller, controller, id);
	return r ? find_id_in("/proc/self/cgroup", parse_membership, controller, id) : 0;
}

/* Its enum cgroup_subsys_id, which differs from kernel to kernel. The blkio controller is called io there. */
static int find_subsys(const char *controller)
{
	struct btf *btf = btf__load_vmlinux_btf();
	char constant[64];
	int found = -ENOENT;

	if (!btf)
		return -errno;
	snprintf(constant, sizeof(constant), "%s_cgrp_id", controller);

	int type_id = btf__find_by_name_kind(btf, "cgroup_subsys_id", BTF_KIND_ENUM);
	const struct btf_type *type = type_id > 0 ? btf__type_by_id(btf, type_id) : NULL;

	for (int i = 0; type && i < btf_vlen(type); i++) {
		const struct btf_enum *value = &btf_enum(type)[i];

		if (strcmp(btf__name_by_offset(btf, value->name_off), constant) == 0)
			found = value->val;
	}
	btf__free(btf);
	return found;
}

static int choose_unified(struct hierarchy *hierarchy, const char *cgroup_root)
{
	const char *mounts[] = {"", "/unified"};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		snprintf(hierarchy->root, sizeof(hierarchy->root), "%s%s", cgroup_root, mounts[i]);
		if (is_mounted(hierarchy->root, CGROUP2_SUPER_MAGIC)) {
			hierarchy->controller = "unified";
			hierarchy->subsys = -1;
			hierarchy->id = 0;
			return 0;
		}
	}
	return -ENOENT;
}

static int choose_controller(struct hierarchy *hierarchy, const char *cgroup_root, const char *proc_root,
			     const char *controller, const struct deepmon_logger *logger)
{
	int r;

	snprintf(hierarchy->root, sizeof(hierarchy->root), "%s/%s", cgroup_root, controller);
	if (!is_mounted(hierarchy->root, CGROUP_SUPER_MAGIC))
		return -ENOENT;
	r = read_hierarchy_id(proc_root, controller, &hierarchy->id);
	if (r) {
		log_warning(logger,
			    "ProcRoot: which hierarchy is at %s can't be told, for neither %s/cgroups nor "
			    "/proc/self/cgroup has it (%s): it is not used. Set ProcRoot to where the host's "
			    "/proc is",
			    hierarchy->root, proc_root, strerror(-r));
		return r;
	}
	r = find_subsys(controller);
	hierarchy->controller = controller;
	hierarchy->subsys = r < 0 ? HIERARCHY_SUBSYS_UNKNOWN : r;
	return 0;
}

/* Where the unified hierarchy is the only one, all is in it; beside v1 controllers it may be empty. */
static int choose_auto(struct hierarchy *hierarchy, const char *cgroup_root, const char *proc_root,
		       const struct deepmon_logger *logger)
{
	if (is_mounted(cgroup_root, CGROUP2_SUPER_MAGIC))
		return choose_unified(hierarchy, cgroup_root);
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		if (choose_controller(hierarchy, cgroup_root, proc_root, controllers[i], logger) == 0)
			return 0;
	return choose_unified(hierarchy, cgroup_root);
}

int hierarchy_open(struct hierarchy *hierarchy, const struct deepmon_options *options,
		   const struct deepmon_logger *logger)
{
	char cgroup_root[PATH_MAX], proc_root[ROOT_PATH_MAX];
	const char *asked = "any";
	uint32_t choice = options->cgroup_hierarchy;
	int r;

	memset(hierarchy, 0, sizeof(*hierarchy));
	hierarchy->root_fd = -1;
	root_cgroup(options, cgroup_root);
	root_proc(options, proc_root);
	if (choice == CHOICE_AUTO) {
		r = choose_auto(hierarchy, cgroup_root, proc_root, logger);
	} else if (choice == CHOICE_UNIFIED) {
		asked = "the unified";
		r = choose_unified(hierarchy, cgroup_root);
	} else {
		asked = controllers[choice - CHOICE_FIRST_CONTROLLER];
		r = choose_controller(hierarchy, cgroup_root, proc_root, asked, logger);
	}
	if (r) {
		log_warning(logger,
			    "CgroupRoot: %s cgroup hierarchy is not mounted under %s (%s): set CgroupRoot to "
			    "where the host's cgroups are, or CgroupHierarchy to one of those that are there",
			    asked, cgroup_root, strerror(-r));
		finding_add(
		    logger, DEEPMON_FOUND_MISSING, "cgroups", "hierarchy",
		    "set CgroupRoot to where the host's cgroups are, or CgroupHierarchy to one of those",
		    "%s cgroup hierarchy is not mounted under %s: %s", asked, cgroup_root, strerror(-r));
		return r;
	}
	/* As the kernel will name what is in it: no symbolic link, no double slash. */
	if (!realpath(hierarchy->root, cgroup_root)) {
		r = -errno;
	} else {
		snprintf(hierarchy->root, sizeof(hierarchy->root), "%s",
			 strcmp(cgroup_root, "/") ? cgroup_root : "");
		hierarchy->root_fd = open(cgroup_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = hierarchy->root_fd < 0 ? -errno : 0;
	}
	if (r) {
		log_warning(logger, "%s: can't be opened: %s", hierarchy->root, strerror(-r));
		finding_add(logger, DEEPMON_FOUND_MISSING, "cgroups", "hierarchy", "",
			    "%s can't be opened: %s", hierarchy->root, strerror(-r));
	} else {
		finding_add(logger, DEEPMON_FOUND_WELL, "cgroups", "hierarchy", "",
			    "containers are told apart by the %s hierarchy%s, at %s%s", hierarchy->controller,
			    hierarchy->id ? " (v1)" : " (v2)", hierarchy->root, *hierarchy->root ? "" : "/");
	}
	return r;
}

void hierarchy_close(struct hierarchy *hierarchy)
{
	file_close(&hierarchy->root_fd);
}

struct walk {
	hierarchy_visitor *visit;
	void *user;
	char path[CGROUP_PATH_MAX];
};

/* Below the directory `fd`, which it closes; walk->path is its path of that length. */
static int walk_below(struct walk *walk, int fd, size_t length)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!directory) {
		r = -errno;
		close(fd);
		return r;
	}
	while (!r && (entry = readdir(directory))) {
		size_t name_length = strlen(entry->d_name);

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    length + 1 + name_length >= sizeof(walk->path))
			continue;
		walk->path[length] = '/';
		memcpy(walk->path + length + 1, entry->d_name, name_length + 1);
		walk->visit(walk->user, entry->d_ino, walk->path);

		int below =
		    openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (below >= 0)
			r = walk_below(walk, below, length + 1 + name_length);
		else if (errno != ENOENT && errno != ENODEV)
			r = -errno;
	}
	closedir(directory);
	return r;
}

int hierarchy_walk_from(const struct hierarchy *hierarchy, const char *path, hierarchy_visitor *visit,
			void *user)
{
	struct walk walk = {.visit = visit, .user = user};
	size_t length = strcmp(path, "/") ? strlen(path) : 0;
	char relative[CGROUP_PATH_MAX + 1];
	struct stat status;
	int fd;

	if (length >= sizeof(walk.path))
		return -ENAMETOOLONG;
	memcpy(walk.path, path, length);
	snprintf(relative, sizeof(relative), ".%s", path);
	fd = openat(hierarchy->root_fd, relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) == 0)
		visit(user, status.st_ino, path);
	return walk_below(&walk, fd, length);
}

int hierarchy_walk(const struct hierarchy *hierarchy, hierarchy_visitor *visit, void *user)
{
	return hierarchy_walk_from(hierarchy, "/", visit, user);
}
