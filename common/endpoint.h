/* SPDX-License-Identifier: GPL-3.0-only
 *
 * An address of IPv4 or IPv6, alone or with a protocol and port.
 */
#ifndef DEEPMON_ENDPOINT_H
#define DEEPMON_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What does not apply is 0, so that endpoints can be compared as memory. */
struct endpoint {
	uint8_t address[16]; /* an IPv4 address is in the first bytes */
	uint16_t port;	     /* in the host's byte order */
	uint8_t family;	     /* 4 or 6 */
	uint8_t protocol;    /* IPPROTO_TCP, IPPROTO_UDP */
};
_Static_assert(sizeof(struct endpoint) == 20, "no holes");

static inline int endpoint_compare(const struct endpoint *left, const struct endpoint *right)
{
	return memcmp(left, right, sizeof(*left));
}

/* The address of it alone. */
static inline struct endpoint endpoint_address(const struct endpoint *endpoint)
{
	struct endpoint address = *endpoint;

	address.port = 0;
	address.protocol = 0;
	return address;
}

static inline bool endpoint_is_loopback(const struct endpoint *endpoint)
{
	static const uint8_t one[16] = {[15] = 1};

	return endpoint->family == 4 ? endpoint->address[0] == 127
				     : memcmp(endpoint->address, one, sizeof(one)) == 0;
}

#endif
