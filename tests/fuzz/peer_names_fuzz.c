/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes what names of peers are made of: the kernel's answer about connections, and its files of addresses.
 * The first byte of an input says which: c, t (net/fib_trie) or 6 (net/if_inet6).
 */
#include "../../common/addresses.h"
#include "../../common/conntrack.h"
#include "../../common/peer_names.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static void check_endpoint(const struct endpoint *endpoint, bool with_port)
{
	static const uint8_t zeros[16];

	require(endpoint->family == 4 || endpoint->family == 6);
	if (endpoint->family == 4)
		require(memcmp(endpoint->address + 4, zeros, 12) == 0);
	if (with_port)
		require(endpoint->protocol == IPPROTO_TCP || endpoint->protocol == IPPROTO_UDP);
	else
		require(!endpoint->port && !endpoint->protocol);
}

/* All that is seen is put into a table as it would be: every other address has a name. */
static void see(void *user, const struct endpoint *asked, const struct endpoint *answers)
{
	struct peer_names *names = user;
	const struct endpoint address = endpoint_address(answers);

	check_endpoint(asked, true);
	check_endpoint(answers, true);
	require(endpoint_compare(asked, answers) != 0);
	peer_names_want(names, asked);
	if (answers->address[0] % 2)
		peer_names_add(names, &address, answers->address[1] % 2 ? "one" : "another",
			       answers->address[2] % 2 ? "pod" : "",
			       answers->address[3] % 2 ? "service" : "");
}

static void answer(void *user, const struct endpoint *asked, const struct endpoint *answers)
{
	struct peer_names *names = user;
	uint16_t port;

	peer_names_answered(names, asked, answers);
	require(peer_names_wants(names, asked));
	peer_names_find(names, asked, &port);
	peer_names_find(names, answers, &port);
}

static void fuzz_connections(const uint8_t *data, size_t size)
{
	struct peer_names *names = peer_names_new(), *later = peer_names_new();

	if (names && later) {
		int r = conntrack_parse(data, size, see, names);

		require(r <= 1);
		peer_names_settle(names);
		require(conntrack_parse(data, size, answer, names) == r);
		require(peer_names_equal(names, names));
		conntrack_parse(data, size, see, later);
		peer_names_settle(later);
		peer_names_inherit(later, names);
		require(peer_names_wanted_count(later) == peer_names_wanted_count(names));
	}
	peer_names_free(names);
	peer_names_free(later);
}

static void fuzz_addresses(const char *text, bool six)
{
	struct addresses addresses = {0};

	if (six)
		addresses_parse_if_inet6(&addresses, text);
	else
		addresses_parse_fib_trie(&addresses, text);
	require(addresses.count <= ADDRESSES_MAX);
	for (size_t i = 0; i < addresses.count; i++) {
		check_endpoint(&addresses.all[i], false);
		require(addresses.all[i].family == (six ? 6 : 4));
		require(!endpoint_is_loopback(&addresses.all[i]));
		require(addresses_have(&addresses, &addresses.all[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 1)
		return 0;
	if (data[0] == 'c') {
		fuzz_connections(data + 1, size - 1);
		return 0;
	}
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	fuzz_addresses(text, data[0] == '6');
	free(text);
	return 0;
}
