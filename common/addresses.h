/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The addresses of a network namespace, as the files in /proc/PID/net of a process in it tell them: no
 * namespace has to be entered.
 */
#ifndef DEEPMON_ADDRESSES_H
#define DEEPMON_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "endpoint.h"

#define ADDRESSES_MAX 32 /* of one namespace; more are left out */

/* Without those of the loopback interface and those that hold on one link alone. */
struct addresses {
	struct endpoint all[ADDRESSES_MAX];
	size_t count;
};

/* Adds those in the text of net/fib_trie (IPv4), and of net/if_inet6. Pure. */
void addresses_parse_fib_trie(struct addresses *addresses, const char *text);
void addresses_parse_if_inet6(struct addresses *addresses, const char *text);

bool addresses_have(const struct addresses *addresses, const struct endpoint *address);

/* Those of a process, "1" or "self" or a number, below a /proc. -errno: it is gone, or not to be read. */
int addresses_read(struct addresses *addresses, const char *proc_root, const char *process);

#endif
