/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A cgroup for one command, through the files of the hierarchies that are mounted.
 */
#include "run_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX    64
#define REMOVE_TRIES 500 /* of 10 ms each */
#define PATH_SIZE    (PATH_MAX + NAME_MAX + 2)

static int write_text(const char *directory, const char *file, const char *text)
{
	char path[PATH_SIZE];
	size_t length = strlen(text);
	int fd, r = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length)
		r = -errno;
	close(fd);
	return r;
}

static long read_text(const char *directory, const char *file, char *text, size_t size)
{
	char path[PATH_SIZE];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -errno : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length;
}

/* A new cgroup of cpuset (v1) takes no process before it has CPUs and memory. */
static void fill_cpuset(const char *root, const char *directory)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char text[4096];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (read_text(root, files[i], text, sizeof(text)) > 0)
			write_text(directory, files[i], text);
}

static int make_in(struct run_cgroup *cgroup, const struct mntent *mount, const char *name)
{
	struct run_directory *directory = &cgroup->directories[cgroup->count];

	if (snprintf(directory->path, sizeof(directory->path), "%s/%s", mount->mnt_dir, name) >=
	    (int)sizeof(directory->path))
		return -ENAMETOOLONG;
	if (mkdir(directory->path, 0755))
		return -errno;
	directory->unified = strcmp(mount->mnt_type, "cgroup2") == 0;
	if (hasmntopt(mount, "cpuset"))
		fill_cpuset(mount->mnt_dir, directory->path);
	cgroup->count++;
	return 0;
}

/* Systemd's own (v1, without any controller) is left alone. */
static bool is_wanted(const struct mntent *mount)
{
	return strcmp(mount->mnt_type, "cgroup2") == 0 ||
	       (strcmp(mount->mnt_type, "cgroup") == 0 && !hasmntopt(mount, "name"));
}

static void sweep_in(const char *root)
{
	DIR *stream = opendir(root);
	const struct dirent *entry;
	long pid, number;

	while (stream && (entry = readdir(stream)))
		if (sscanf(entry->d_name, RUN_NAME_FORMAT, &pid, &number) == 2 && pid > 0 &&
		    kill((pid_t)pid, 0) && errno == ESRCH)
			unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR);
	if (stream)
		closedir(stream);
}

void run_cgroup_sweep(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *mount;

	while (mounts && (mount = getmntent(mounts)))
		if (is_wanted(mount))
			sweep_in(mount->mnt_dir);
	if (mounts)
		endmntent(mounts);
}

int run_cgroup_make(struct run_cgroup *cgroup, const char *name, char *why, size_t why_size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *mount;
	int error = -ENOENT;

	*cgroup = (struct run_cgroup){0};
	snprintf(cgroup->name, sizeof(cgroup->name), "%s", name);
	snprintf(why, why_size, "no cgroup hierarchy is mounted");
	while (mounts && (mount = getmntent(mounts)) && cgroup->count < RUN_HIERARCHIES_MAX) {
		int r = is_wanted(mount) ? make_in(cgroup, mount, name) : 0;

		/* A hierarchy that is mounted twice has it already. */
		if (r && r != -EEXIST) {
			snprintf(why, why_size, "%s/%s", mount->mnt_dir, name);
			error = r;
		}
	}
	if (mounts)
		endmntent(mounts);
	return cgroup->count ? 0 : error;
}

int run_cgroup_join(const struct run_cgroup *cgroup)
{
	int r = 0;

	for (size_t i = 0; i < cgroup->count; i++) {
		int refused = write_text(cgroup->directories[i].path, "cgroup.procs", "0");

		r = r ? r : refused;
	}
	return r;
}

int run_cgroup_memory_peak(const struct run_cgroup *cgroup, uint64_t *bytes)
{
	static const char *const files[] = {"memory.peak", "memory.max_usage_in_bytes"};
	char text[64], *end;

	for (size_t i = 0; i < cgroup->count; i++) {
		for (size_t file = 0; file < sizeof(files) / sizeof(files[0]); file++) {
			if (read_text(cgroup->directories[i].path, files[file], text, sizeof(text)) <= 0)
				continue;
			*bytes = strtoull(text, &end, 10);
			if (end > text)
				return 0;
		}
	}
	return -ENOENT;
}

/* Kills all processes of one cgroup directory. */
static void kill_in(const char *directory)
{
	char path[PATH_SIZE];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		if (pid > 1)
			kill(pid, SIGKILL);
	if (file)
		fclose(file);
}

/* The cgroup and those below, the deepest first. True: they are gone. */
static bool remove_below(const char *directory, unsigned depth)
{
	DIR *stream = depth < DEPTH_MAX ? opendir(directory) : NULL;
	const struct dirent *entry;
	char path[PATH_SIZE];

	while (stream && (entry = readdir(stream))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) >= PATH_MAX)
			continue;
		remove_below(path, depth + 1);
	}
	if (stream)
		closedir(stream);
	if (rmdir(directory) == 0 || errno == ENOENT)
		return true;
	kill_in(directory);
	return false;
}

int run_cgroup_remove(struct run_cgroup *cgroup)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	bool gone = true;

	for (int tries = 0; tries < REMOVE_TRIES; tries++) {
		gone = true;
		for (size_t i = 0; i < cgroup->count; i++)
			gone &= remove_below(cgroup->directories[i].path, 0);
		if (gone)
			break;
		nanosleep(&pause, NULL);
	}
	cgroup->count = gone ? 0 : cgroup->count;
	return gone ? 0 : -EBUSY;
}
