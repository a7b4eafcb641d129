/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the names of containers are found.
 */
#include "names.h"

#include <errno.h>
#include <string.h>

/* A daemon that takes longer is busy; it is asked again later. */
#define ASK_TIMEOUT_MS 300

void names_init(struct names *names, const struct deepmon_options *options)
{
	root_host(options, options->docker_root, names->docker_root);
	root_host(options, options->containerd_root, names->containerd_root);
	root_host(options, options->crio_root, names->crio_root);
	root_host(options, options->podman_root, names->podman_root);
	names->docker_socket[0] = '\0';
	if (*options->docker_socket)
		root_host(options, options->docker_socket, names->docker_socket);
}

/* A container of that runtime, or one whose path does not tell which it is. */
static bool may_be(const struct identity *identity, const char *runtime)
{
	return identity->kind == IDENTITY_CONTAINER &&
	       (!identity->runtime || strcmp(identity->runtime, runtime) == 0);
}

/* Under Kubernetes a path may not tell the runtime: the first that knows the container is it. */
int names_read(const struct names *names, struct identity *identity)
{
	const struct {
		const char *runtime, *root;
		int (*read)(const char *root, struct identity *identity);
	} runtimes[] = {
	    {"docker", names->docker_root, docker_name_from_file},
	    {"containerd", names->containerd_root, containerd_name_from_file},
	    {"cri-o", names->crio_root, crio_name_from_file},
	    {"podman", names->podman_root, podman_name_from_file},
	};

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (!may_be(identity, runtimes[i].runtime) || runtimes[i].read(runtimes[i].root, identity))
			continue;
		identity->runtime = runtimes[i].runtime;
		return 0;
	}
	return -ENOENT;
}

int names_ask(const struct names *names, struct identity *identity)
{
	int r = names_read(names, identity);

	if (r && identity->runtime && may_be(identity, "docker") && *names->docker_socket)
		r = docker_name_from_socket(names->docker_socket, ASK_TIMEOUT_MS, identity);
	return r;
}
