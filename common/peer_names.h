/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The names that endpoints go by: a table that is built once and then only read. Memory only.
 *
 * An address is its container's. Where several containers of one pod share it, it is the pod's; where others
 * do, nobody's. An endpoint whose connections another answers goes by who that is, if it is always the same;
 * if not, by the service that all of those belong to, if it is one.
 */
#ifndef DEEPMON_PEER_NAMES_H
#define DEEPMON_PEER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "endpoint.h"

struct peer_names;

/* Empty. NULL: out of memory. */
struct peer_names *peer_names_new(void);
/* Takes NULL. */
void peer_names_free(struct peer_names *names);

/*
 * In this order: first the addresses, with what their container is called, its pod and its service ("" for
 * none); then the endpoints that it is wanted to be known of who answers there; then who was seen to.
 * -ENOMEM: without it.
 */
int peer_names_add(struct peer_names *names, const struct endpoint *address, const char *name,
		   const char *pod, const char *service);
int peer_names_want(struct peer_names *names, const struct endpoint *asked);
void peer_names_settle(struct peer_names *names); /* before the first of what follows */
void peer_names_answered(struct peer_names *names, const struct endpoint *asked,
			 const struct endpoint *answers);
/* Takes over what another table knows of who answers. */
void peer_names_inherit(struct peer_names *names, const struct peer_names *other);

/* Whether the address has a name; whether it is wanted, or known, who answers there. */
bool peer_names_has_address(const struct peer_names *names, const struct endpoint *endpoint);
bool peer_names_wants(const struct peer_names *names, const struct endpoint *asked);
size_t peer_names_wanted_count(const struct peer_names *names);

/* The name of who is there, and the port that it has there. NULL: none. Good as long as the table. */
const char *peer_names_find(const struct peer_names *names, const struct endpoint *endpoint, uint16_t *port);

bool peer_names_equal(const struct peer_names *left, const struct peer_names *right);

#endif
