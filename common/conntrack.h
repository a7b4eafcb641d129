/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Connection tracking: who really answers where addresses are translated. Asks the kernel by netlink
 * (ctnetlink) for the connections of this network namespace.
 */
#ifndef DEEPMON_CONNTRACK_H
#define DEEPMON_CONNTRACK_H

#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"

/* A connection to `asked` that `answers` has instead. */
typedef void conntrack_visitor(void *user, const struct endpoint *asked, const struct endpoint *answers);

/*
 * Visits those in one netlink message of the kernel's answer; bytes that make no sense are passed over. Pure.
 * 1: there is more to come. 0: that was the end. -errno: as the kernel said; -EPROTO: it is no answer.
 */
int conntrack_parse(const void *bytes, size_t length, conntrack_visitor *visit, void *user);

/*
 * Visits those that there are now, of some millions at most. -EPERM: CAP_NET_ADMIN is missing. Other errors:
 * there is no connection tracking here; -ETIMEDOUT: the kernel did not go on.
 */
int conntrack_read(conntrack_visitor *visit, void *user);

#endif
