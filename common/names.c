/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the names of containers are found.
 */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "findings.h"
#include "kubelet.h"
#include "log.h"
#include "privileges.h"
#include "runtimes.h"
#include "selection.h"
#include "trouble.h"

/* A daemon that takes longer is busy; it is asked again later. */
#define ASK_TIMEOUT_MS 300
/* podman's service is started when it is asked. */
#define PODMAN_TIMEOUT_MS 1500

static int read_containerd(const struct names *names, struct identity *identity)
{
	return containerd_name_from_file(names->containerd_root, identity);
}

static int read_crio(const struct names *names, struct identity *identity)
{
	return crio_name_from_file(names->crio_root, identity);
}

static int read_docker(const struct names *names, struct identity *identity)
{
	return docker_name_from_file(names->docker_root, identity);
}

static int ask_docker(const struct names *names, struct identity *identity)
{
	if (!*names->docker_socket)
		return -ENOENT;
	return docker_name_from_socket(names->docker_socket, ASK_TIMEOUT_MS, identity);
}

static int read_podman(const struct names *names, struct identity *identity)
{
	return podman_name_from_file(names->podman_root, identity);
}

static int read_home_podman(const struct names *names, struct identity *identity)
{
	return podman_name_from_home(names->host_root, identity);
}

static int read_home_docker(const struct names *names, struct identity *identity)
{
	return docker_name_from_home(names->host_root, identity);
}

static int read_logs(const struct names *names, struct identity *identity)
{
	return kubernetes_name_from_logs(names->kubernetes_log_root, identity);
}

static int read_kubelet(const struct names *names, struct identity *identity)
{
	return kubelet_name(names->kubelet, identity);
}

/* In the order in which they are tried. */
static const struct source {
	const char *runtime; /* whose containers it knows; NULL: any one's */
	int (*read)(const struct names *, struct identity *);
	bool slow; /* not for the thread that samples */
	bool
	    home; /* of users' own, and of those alone: what is below a user's manager he calls as he likes */
} sources[] = {
    {"containerd", read_containerd, false, false},
    {"cri-o", read_crio, false, false},
    {"docker", read_docker, false, false},
    {"podman", read_podman, false, false},
    {NULL, read_kubelet, false, false},
    {NULL, read_logs, false, false},
    {"podman", read_home_podman, true, true},
    {"docker", read_home_docker, true, true},
    {"docker", ask_docker, true, false},
};

int names_init(struct names *names, const struct deepmon_options *options)
{
	root_host(options, "", names->host_root);
	root_host(options, options->docker_root, names->docker_root);
	names->docker_socket[0] = '\0';
	if (*options->docker_socket)
		root_host(options, options->docker_socket, names->docker_socket);
	names->podman_socket[0] = '\0';
	if (*options->podman_socket)
		root_host(options, options->podman_socket, names->podman_socket);
	root_host(options, options->containerd_root, names->containerd_root);
	root_host(options, options->crio_root, names->crio_root);
	root_host(options, options->podman_root, names->podman_root);
	root_host(options, options->kubernetes_log_root, names->kubernetes_log_root);
	memcpy(names->node, options->node_name, sizeof(names->node));
	return selection_open(&names->labels, &options->container_label);
}

void names_clear(struct names *names)
{
	selection_close(names->labels);
	names->labels = NULL;
}

static bool is_podman(const char *runtime)
{
	return runtime && strcmp(runtime, "podman") == 0;
}

/* The directories of the runtimes that name containers, one by one; false: that was the last. */
static bool get_place(const struct names *names, size_t i, const char **name, char *path)
{
	const struct {
		const char *name, *root, *below;
	} places[] = {
	    {"containerd", names->containerd_root, "/io.containerd.runtime.v2.task"},
	    {"cri-o", names->crio_root, "/overlay-containers"},
	    {"docker", names->docker_root, "/containers"},
	    {"podman", names->podman_root, "/overlay-containers"},
	    {"kubernetes", names->kubernetes_log_root, "/containers"},
	};

	if (i >= sizeof(places) / sizeof(places[0]))
		return false;
	*name = places[i].name;
	snprintf(path, PATH_MAX, "%s%s", places[i].root, places[i].below);
	return true;
}

/* 0, -ENOENT if it is not there, or what forbids it. */
static int try_place(const char *path)
{
	/* Not access, which goes by what started us. */
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	return errno == ENOTDIR ? -ENOENT : -errno;
}

static void find_runtime(const char *name, const char *path, const struct deepmon_logger *logger,
			 struct trouble *denied)
{
	char remedy[PRIVILEGES_REMEDY_MAX];
	int r = try_place(path);

	if (!r) {
		finding_add(logger, DEEPMON_FOUND_WELL, "runtime", name, "", "%s", path);
		return;
	}
	if (r == -ENOENT) {
		finding_add(logger, DEEPMON_FOUND_OFF, "runtime", name, "", "there is no %s", path);
		return;
	}
	privileges_remedy(PRIVILEGE(CAP_DAC_READ_SEARCH), remedy, sizeof(remedy));
	finding_add(logger, DEEPMON_FOUND_MISSING, "runtime", name, remedy, "%s: %s", path, strerror(-r));
	trouble_add(denied, r, "%s", path);
}

bool names_can_be_read(const struct names *names)
{
	char path[PATH_MAX];
	const char *name;
	bool all = true;

	for (size_t i = 0; all && get_place(names, i, &name, path); i++) {
		int r = try_place(path);

		all = !r || r == -ENOENT;
	}
	return all;
}

void names_find(const struct names *names, const struct deepmon_logger *logger)
{
	struct trouble denied = {0};
	char path[PATH_MAX], text[TROUBLE_FIRST_MAX + 128];
	const char *name;

	for (size_t i = 0; get_place(names, i, &name, path); i++)
		find_runtime(name, path, logger, &denied);
	trouble_text(&denied, text, sizeof(text));
	if (denied.count)
		log_warning(
		    logger,
		    "containers go by the first digits of their ids where what names them can't be read: "
		    "%s: run as root, or give the process CAP_DAC_READ_SEARCH",
		    text);
	if (!*names->docker_socket)
		finding_add(logger, DEEPMON_FOUND_OFF, "runtime", "docker's socket", "",
			    "DockerSocket is empty");
	else if (faccessat(AT_FDCWD, names->docker_socket, R_OK | W_OK, AT_EACCESS) == 0)
		finding_add(logger, DEEPMON_FOUND_WELL, "runtime", "docker's socket", "", "%s",
			    names->docker_socket);
	else
		finding_add(logger, DEEPMON_FOUND_OFF, "runtime", "docker's socket", "",
			    "%s: %s; files tell names first", names->docker_socket, strerror(errno));
}

/* Whether a container of that runtime, NULL if its path does not tell it, may be known there. */
static bool may_know(const struct source *source, const struct identity *identity)
{
	if (source->home != (identity->user >= 0))
		return false;
	if (!source->runtime)
		return !is_podman(identity->runtime);
	return !identity->runtime || !strcmp(identity->runtime, source->runtime);
}

static int find(const struct names *names, struct identity *identity, bool also_slow)
{
	int r = -ENOENT;

	if (identity->kind != IDENTITY_CONTAINER)
		return -ENOENT;
	identity->chosen = names->labels;
	for (size_t i = 0; r && i < sizeof(sources) / sizeof(sources[0]); i++)
		if ((also_slow || !sources[i].slow) && may_know(&sources[i], identity))
			r = sources[i].read(names, identity);
	identity->more = !r && *names->podman_socket && is_podman(identity->runtime);
	if (!r && identity_label(identity, "pod_name")) {
		identity_set_label(identity, "node", names->node);
		kubelet_tell(names->kubelet, identity);
	}
	return r;
}

void names_identify(const struct names *names, const char *path, struct identity *identity)
{
	identity_from_path(path, identity);
	if (identity->kind == IDENTITY_SYSTEM)
		containerd_has_path(names->containerd_root, path, identity);
}

int names_read(const struct names *names, struct identity *identity)
{
	return find(names, identity, false);
}

int names_ask(const struct names *names, struct identity *identity)
{
	return find(names, identity, true);
}

/* podman alone keeps labels where they can't be read. */
int names_ask_more(const struct names *names, struct identity *identity)
{
	char path[ROOT_PATH_MAX + 64];

	if (identity->user < 0)
		snprintf(path, sizeof(path), "%s", names->podman_socket);
	else
		snprintf(path, sizeof(path), "%s/run/user/%lld/podman/podman.sock", names->host_root,
			 (long long)identity->user);
	identity->chosen = names->labels;
	return podman_labels_from_socket(path, PODMAN_TIMEOUT_MS, identity);
}

bool names_may_change(const char *runtime)
{
	return is_podman(runtime) || (runtime && strcmp(runtime, "docker") == 0);
}

/* All of its containers are in one list, which changes with each that comes and goes, too. */
static uint64_t podman_written(const struct names *names, const struct identity *identity)
{
	return identity->user < 0 ? podman_list_written(names->podman_root)
				  : podman_list_written_home(names->host_root, identity->user);
}

static uint64_t docker_written(const struct names *names, const struct identity *identity)
{
	cleanup_close int fd = -1;
	char path[PATH_MAX];

	if (!identity_is_id(identity->id, strlen(identity->id)) ||
	    snprintf(path, sizeof(path), "%s/containers/%s/config.v2.json", names->docker_root,
		     identity->id) >= (int)sizeof(path))
		return 0;
	fd = file_open(AT_FDCWD, path);
	return runtime_written(fd);
}

uint64_t names_written(const struct names *names, const struct identity *identity)
{
	if (!names_may_change(identity->runtime))
		return 0;
	return is_podman(identity->runtime) ? podman_written(names, identity)
					    : docker_written(names, identity);
}
