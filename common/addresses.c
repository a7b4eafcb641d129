/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The addresses of a network namespace, from files below /proc.
 */
#include "addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "file.h"
#include "root.h"

#define FILE_MOST  (1 << 20) /* a router with all routes of the world has more, and is no container */
#define SCOPE_HOST 0x10
#define SCOPE_LINK 0x20
#define HEX_DIGITS 32

bool addresses_have(const struct addresses *addresses, const struct endpoint *address)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (endpoint_compare(&addresses->all[i], address) == 0)
			return true;
	return false;
}

static void add(struct addresses *addresses, const struct endpoint *address)
{
	if (addresses->count < ADDRESSES_MAX && !endpoint_is_loopback(address) &&
	    !addresses_have(addresses, address))
		addresses->all[addresses->count++] = *address;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

/* "|-- 172.17.0.2", and behind it what that is: "/32 host LOCAL" of an address of its own. */
void addresses_parse_fib_trie(struct addresses *addresses, const char *text)
{
	struct endpoint address = {0};

	for (const char *line = text; line; line = next_line(line)) {
		size_t blanks = strspn(line, " ");
		unsigned bytes[4];

		if (sscanf(line + blanks, "|-- %3u.%3u.%3u.%3u", &bytes[0], &bytes[1], &bytes[2],
			   &bytes[3]) == 4) {
			address = (struct endpoint){.family = 4};
			for (int i = 0; i < 4; i++)
				address.address[i] = (uint8_t)bytes[i];
			if ((bytes[0] | bytes[1] | bytes[2] | bytes[3]) > 255)
				address.family = 0;
		} else if (address.family &&
			   strncmp(line + blanks, "/32 host LOCAL", strlen("/32 host LOCAL")) == 0) {
			add(addresses, &address);
		}
	}
}

/* "fd00…02 04 40 00 82 eth0": address, interface, length of the prefix, scope, flags, name. */
void addresses_parse_if_inet6(struct addresses *addresses, const char *text)
{
	for (const char *line = text; line; line = next_line(line)) {
		struct endpoint address = {.family = 6};
		unsigned scope, byte;

		if (strspn(line, "0123456789abcdefABCDEF") != HEX_DIGITS ||
		    sscanf(line + HEX_DIGITS, " %*x %*x %x", &scope) != 1 || scope == SCOPE_HOST ||
		    scope == SCOPE_LINK)
			continue;
		for (int i = 0; i < HEX_DIGITS / 2; i++) {
			sscanf(line + 2 * i, "%2x", &byte);
			address.address[i] = (uint8_t)byte;
		}
		add(addresses, &address);
	}
}

static long read_file(const char *proc_root, const char *process, const char *name, char **text)
{
	char path[ROOT_PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s/net/%s", proc_root, process, name);
	return file_read_new(AT_FDCWD, path, FILE_MOST, text);
}

int addresses_read(struct addresses *addresses, const char *proc_root, const char *process)
{
	cleanup_free char *four = NULL, *six = NULL;
	long r = read_file(proc_root, process, "fib_trie", &four);

	addresses->count = 0;
	if (r < 0)
		return (int)r;
	addresses_parse_fib_trie(addresses, four);
	/* Without IPv6 there is no such file. */
	if (read_file(proc_root, process, "if_inet6", &six) >= 0)
		addresses_parse_if_inet6(addresses, six);
	return 0;
}
