/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Endpoints as tests write them: "10.0.0.7:6379/tcp", "[fd00::7]:53/udp", or an address alone.
 */
#ifndef TESTS_UNIT_ENDPOINT_TEXT_H
#define TESTS_UNIT_ENDPOINT_TEXT_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../common/endpoint.h"

__attribute__((unused)) static struct endpoint endpoint_from(const char *text)
{
	struct endpoint endpoint = {0};
	bool six = strchr(text, '[') || (strchr(text, ':') && strchr(text, ':') != strrchr(text, ':'));
	const char *port = strchr(text, '/') ? strrchr(text, ':') : NULL;
	char address[64];

	snprintf(address, sizeof(address), "%.*s", port ? (int)(port - text) : 63, text);
	if (address[0] == '[') {
		memmove(address, address + 1, strlen(address));
		address[strcspn(address, "]")] = '\0';
	}
	endpoint.family = six ? 6 : 4;
	ck_assert_msg(inet_pton(six ? AF_INET6 : AF_INET, address, endpoint.address) == 1, "%s", text);
	if (port) {
		endpoint.port = (uint16_t)strtoul(port + 1, NULL, 10);
		endpoint.protocol = strstr(port, "/udp") ? IPPROTO_UDP : IPPROTO_TCP;
	}
	return endpoint;
}

__attribute__((unused)) static void endpoint_write(const struct endpoint *endpoint, char text[128])
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(endpoint->family == 6 ? AF_INET6 : AF_INET, endpoint->address, address, sizeof(address));
	if (!endpoint->port)
		snprintf(text, 128, "%s", address);
	else
		snprintf(text, 128, endpoint->family == 6 ? "[%s]:%u/%s" : "%s:%u/%s", address,
			 endpoint->port, endpoint->protocol == IPPROTO_UDP ? "udp" : "tcp");
}

#endif
