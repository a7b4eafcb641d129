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
	names->docker_socket[0] = '\0';
	if (*options->docker_socket)
		root_host(options, options->docker_socket, names->docker_socket);
}

static bool is_docker(const struct identity *identity)
{
	return identity->kind == IDENTITY_CONTAINER && identity->runtime &&
	       strcmp(identity->runtime, "docker") == 0;
}

int names_read(const struct names *names, struct identity *identity)
{
	return is_docker(identity) ? docker_name_from_file(names->docker_root, identity) : -ENOENT;
}

int names_ask(const struct names *names, struct identity *identity)
{
	int r = names_read(names, identity);

	if (r && is_docker(identity) && *names->docker_socket)
		r = docker_name_from_socket(names->docker_socket, ASK_TIMEOUT_MS, identity);
	return r;
}
