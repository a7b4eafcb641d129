/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the names of containers are found: what each runtime keeps in its files, or tells on its socket.
 */
#ifndef DEEPMON_NAMES_H
#define DEEPMON_NAMES_H

#include "deepmon.h"
#include "identity.h"
#include "root.h"

struct names {
	char docker_root[ROOT_PATH_MAX];
	char docker_socket[ROOT_PATH_MAX]; /* "": not to be asked */
};

void names_init(struct names *names, const struct deepmon_options *options);

/* Fills in name and image from the runtime's files; fast. 0, or -errno and the identity is as it was. */
int names_read(const struct names *names, struct identity *identity);

/* The same, and then by asking the runtime: may wait for some tenths of a second. */
int names_ask(const struct names *names, struct identity *identity);

#endif
