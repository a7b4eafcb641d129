/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What endpoints are called: by the addresses of containers, and by who was seen to answer. Also where both
 * come from: the kernel's files of addresses, and its table of connections as it was recorded.
 */
#include "../../common/addresses.h"
#include "../../common/conntrack.h"
#include "../../common/peer_names.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "endpoint_text.h"

#define FIXTURES "tests/fixtures/conntrack/"

static struct peer_names *names;

static void set_up(void)
{
	names = peer_names_new();
	ck_assert(names);
}

static void tear_down(void)
{
	peer_names_free(names);
}

static void add(const char *address, const char *name, const char *pod, const char *service)
{
	const struct endpoint endpoint = endpoint_from(address);

	ck_assert_int_eq(peer_names_add(names, &endpoint, name, pod, service), 0);
}

static void want(const char *asked)
{
	const struct endpoint endpoint = endpoint_from(asked);

	ck_assert_int_eq(peer_names_want(names, &endpoint), 0);
}

static void answered(const char *asked, const char *answers)
{
	const struct endpoint one = endpoint_from(asked), other = endpoint_from(answers);

	peer_names_answered(names, &one, &other);
}

/* `expected`: "name:port", "name", or NULL. */
static void check_name(const char *text, const char *expected)
{
	const struct endpoint endpoint = endpoint_from(text);
	uint16_t port = 0;
	const char *name = peer_names_find(names, &endpoint, &port);
	char got[256];

	if (!expected) {
		ck_assert_msg(!name, "%s is called %s", text, name);
		return;
	}
	ck_assert_msg(name, "%s has no name", text);
	snprintf(got, sizeof(got), port ? "%s:%u" : "%s", name, port);
	ck_assert_str_eq(got, expected);
}

START_TEST(an_address_is_its_containers)
{
	add("172.17.0.2", "redis", "", "");
	add("fd00::2", "redis", "", "");
	add("172.17.0.3", "web", "", "");
	peer_names_settle(names);
	check_name("172.17.0.2:6379/tcp", "redis:6379");
	check_name("[fd00::2]:6379/udp", "redis:6379");
	check_name("172.17.0.3", "web");
	check_name("172.17.0.4:80/tcp", NULL);
	check_name("fd00::3", NULL);
	/* Not the IPv6 address of the same bytes. */
	check_name("ac11:2::", NULL);
}
END_TEST

START_TEST(an_address_that_several_share)
{
	add("10.1.0.5", "shop/web-7d/nginx", "shop/web-7d", "shop/web");
	add("10.1.0.5", "shop/web-7d/POD", "shop/web-7d", "shop/web");
	add("10.1.0.5", "shop/web-7d/proxy", "shop/web-7d", "shop/web");
	add("10.1.0.6", "one", "", "");
	add("10.1.0.6", "another", "", "");
	add("10.1.0.7", "twice", "", "");
	add("10.1.0.7", "twice", "", "");
	add("10.1.0.8", "shop/a/x", "shop/a", "");
	add("10.1.0.8", "stranger", "", "");
	add("10.1.0.8", "shop/a/y", "shop/a", "");
	peer_names_settle(names);
	check_name("10.1.0.5:80/tcp", "shop/web-7d:80");
	check_name("10.1.0.6", NULL);
	check_name("10.1.0.7", "twice");
	check_name("10.1.0.8", NULL);
}
END_TEST

START_TEST(who_answers)
{
	add("10.1.0.5", "shop/web-a/nginx", "shop/web-a", "shop/web");
	add("10.1.0.6", "shop/web-b/nginx", "shop/web-b", "shop/web");
	add("10.1.0.7", "db", "", "");
	add("10.1.0.8", "cache", "", "");
	want("10.96.0.1:80/tcp");
	want("10.96.0.2:5432/tcp");
	want("10.96.0.2:5432/tcp");
	want("10.96.0.3:1/tcp");
	want("10.96.0.4:1/tcp");
	want("10.96.0.5:53/udp");
	peer_names_settle(names);
	ck_assert_uint_eq(peer_names_wanted_count(names), 5);
	/* Always the same. */
	answered("10.96.0.2:5432/tcp", "10.1.0.7:6000/tcp");
	answered("10.96.0.2:5432/tcp", "10.1.0.7:6000/tcp");
	check_name("10.96.0.2:5432/tcp", "db:6000");
	/* Those of one service. */
	answered("10.96.0.1:80/tcp", "10.1.0.5:8080/tcp");
	check_name("10.96.0.1:80/tcp", "shop/web-a/nginx:8080");
	answered("10.96.0.1:80/tcp", "10.1.0.6:8080/tcp");
	answered("10.96.0.1:80/tcp", "10.1.0.5:8080/tcp");
	check_name("10.96.0.1:80/tcp", "shop/web:8080");
	answered("10.96.0.1:80/tcp", "10.1.0.8:8080/tcp");
	check_name("10.96.0.1:80/tcp", NULL);
	/* Two that have nothing in common; one of another host; one that nobody wants to know of. */
	answered("10.96.0.3:1/tcp", "10.1.0.7:1/tcp");
	answered("10.96.0.3:1/tcp", "10.1.0.8:1/tcp");
	check_name("10.96.0.3:1/tcp", NULL);
	answered("10.96.0.4:1/tcp", "10.1.0.7:1/tcp");
	answered("10.96.0.4:1/tcp", "192.168.9.9:1/tcp");
	check_name("10.96.0.4:1/tcp", NULL);
	answered("10.96.0.9:1/tcp", "10.1.0.7:1/tcp");
	check_name("10.96.0.9:1/tcp", NULL);
	/* The same numbers by another protocol. */
	answered("10.96.0.5:53/udp", "10.1.0.8:5353/udp");
	check_name("10.96.0.5:53/udp", "cache:5353");
	check_name("10.96.0.5:53/tcp", NULL);
}
END_TEST

START_TEST(what_was_known_is_taken_over)
{
	struct peer_names *before = names;

	add("10.1.0.7", "db", "", "");
	want("10.96.0.2:5432/tcp");
	want("10.96.0.3:5432/tcp");
	peer_names_settle(names);
	answered("10.96.0.2:5432/tcp", "10.1.0.7:6000/tcp");
	answered("10.96.0.3:5432/tcp", "10.1.0.7:6000/tcp");
	ck_assert(peer_names_equal(names, names));

	names = peer_names_new();
	add("10.1.0.7", "db", "", "");
	want("10.96.0.2:5432/tcp");
	want("10.96.0.4:5432/tcp");
	peer_names_settle(names);
	ck_assert(!peer_names_equal(names, before));
	peer_names_inherit(names, before);
	check_name("10.96.0.2:5432/tcp", "db:6000");
	check_name("10.96.0.3:5432/tcp", NULL);
	peer_names_inherit(names, NULL);
	peer_names_free(before);
}
END_TEST

/* ---- Addresses ----------------------------------------------------------------------------------- */

static void check_addresses(const struct addresses *addresses, const char *const *expected, size_t count)
{
	ck_assert_uint_eq(addresses->count, count);
	for (size_t i = 0; i < count; i++) {
		const struct endpoint endpoint = endpoint_from(expected[i]);

		ck_assert_msg(addresses_have(addresses, &endpoint), "%s is missing", expected[i]);
	}
}

START_TEST(addresses_of_the_trie)
{
	static const char text[] = "Main:\n"
				   "  +-- 0.0.0.0/0 3 0 5\n"
				   "     |-- 0.0.0.0\n"
				   "        /0 universe UNICAST\n"
				   "     +-- 127.0.0.0/8 2 0 2\n"
				   "        |-- 127.0.0.1\n"
				   "           /32 host LOCAL\n"
				   "     +-- 172.17.0.0/16 2 0 2\n"
				   "        |-- 172.17.0.0\n"
				   "           /16 link UNICAST\n"
				   "        |-- 172.17.0.2\n"
				   "           /32 host LOCAL\n"
				   "        |-- 172.17.255.255\n"
				   "           /32 link BROADCAST\n"
				   "Local:\n"
				   "        |-- 172.17.0.2\n"
				   "           /32 host LOCAL\n"
				   "        |-- 10.9.8.7\n"
				   "           /32 host LOCAL";
	static const char *const expected[] = {"172.17.0.2", "10.9.8.7"};
	struct addresses addresses = {0};

	addresses_parse_fib_trie(&addresses, text);
	check_addresses(&addresses, expected, 2);
}
END_TEST

START_TEST(addresses_of_ipv6)
{
	static const char text[] = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
				   "fd000000000000000000000000000002 04 40 00 82     eth0\n"
				   "00000000000000000000000000000001 01 80 10 80       lo\n"
				   "fd0000000000000000000000000000 04 40 00 82 cut\n"
				   "\n"
				   "20010db8000000000000000000000009 05 40 00 80     net1";
	static const char *const expected[] = {"fd00::2", "2001:db8::9"};
	struct addresses addresses = {0};

	addresses_parse_if_inet6(&addresses, text);
	check_addresses(&addresses, expected, 2);
}
END_TEST

START_TEST(many_addresses)
{
	struct addresses addresses = {0};
	char text[128];

	for (int i = 0; i < 3 * ADDRESSES_MAX; i++) {
		snprintf(text, sizeof(text), "|-- 10.0.0.%d\n/32 host LOCAL\n", i);
		addresses_parse_fib_trie(&addresses, text);
	}
	ck_assert_uint_eq(addresses.count, ADDRESSES_MAX);
}
END_TEST

START_TEST(our_own_addresses_can_be_read)
{
	struct addresses addresses;

	ck_assert_int_eq(addresses_read(&addresses, "/proc", "self"), 0);
	ck_assert_int_eq(addresses_read(&addresses, "/proc", "0"), -ENOENT);
}
END_TEST

/* ---- Connection tracking ------------------------------------------------------------------------- */

static char seen[1024];

static void see(void *user, const struct endpoint *asked, const struct endpoint *answers)
{
	char one[128], other[128];

	ck_assert_ptr_eq(user, seen);
	endpoint_write(asked, one);
	endpoint_write(answers, other);
	snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s\n", one, other);
}

static size_t load(const char *name, char *bytes, size_t size)
{
	char path[128];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), FIXTURES "%s", name);
	fd = open(path, O_RDONLY);
	ck_assert_msg(fd >= 0, "%s", path);
	length = read(fd, bytes, size);
	ck_assert_int_gt(length, 0);
	close(fd);
	return (size_t)length;
}

/* All of a router's connections, one of which is not translated; and those the kernel chose. */
START_TEST(recorded_connections)
{
	static const char *const files[] = {"all.nl", "translated.nl"};
	static const char *const expected[] = {"10.99.0.1:8080/tcp=10.123.0.2:80/tcp\n",
					       "[fd00:99::1]:8080/tcp=[fd00::2]:80/tcp\n",
					       "10.99.0.1:53/udp=10.123.0.2:5353/udp\n"};
	char bytes[4096];
	size_t length = load(files[_i], bytes, sizeof(bytes)), expected_length = 0;

	seen[0] = '\0';
	ck_assert_int_eq(conntrack_parse(bytes, length, see, seen), 1);
	for (int i = 0; i < 3; i++) {
		ck_assert_msg(strstr(seen, expected[i]), "%s is not in:\n%s", expected[i], seen);
		expected_length += strlen(expected[i]);
	}
	ck_assert_uint_eq(strlen(seen), expected_length);
	length = load("end.nl", bytes, sizeof(bytes));
	ck_assert_int_eq(conntrack_parse(bytes, length, see, seen), 0);
}
END_TEST

/* Wherever an answer is cut, nothing is read past its end; and what is visited was there. */
START_TEST(cut_connections)
{
	char bytes[4096], whole[sizeof(seen)];
	size_t length = load("all.nl", bytes, sizeof(bytes));

	seen[0] = '\0';
	conntrack_parse(bytes, length, see, seen);
	strcpy(whole, seen);
	for (size_t cut = 0; cut < length; cut++) {
		char *copy = malloc(cut ? cut : 1);

		memcpy(copy, bytes, cut);
		seen[0] = '\0';
		conntrack_parse(copy, cut, see, seen);
		ck_assert(strncmp(seen, whole, strlen(seen)) == 0);
		free(copy);
	}
}
END_TEST

START_TEST(errors_of_the_kernel)
{
	/* struct nlmsghdr with NLMSG_ERROR, and -EPERM. */
	const uint32_t refused[] = {36, 2, 0, 0, (uint32_t)-EPERM, 0, 0, 0, 0};
	const uint32_t nonsense[] = {36, 2, 0, 0, 77, 0, 0, 0, 0};
	const uint32_t too_long[] = {100, 0x100, 0, 0, 0};

	seen[0] = '\0';
	ck_assert_int_eq(conntrack_parse(refused, sizeof(refused), see, seen), -EPERM);
	ck_assert_int_eq(conntrack_parse(nonsense, sizeof(nonsense), see, seen), -EPROTO);
	ck_assert_int_eq(conntrack_parse(too_long, sizeof(too_long), see, seen), -EPROTO);
	ck_assert_int_eq(conntrack_parse(refused, 3, see, seen), -EPROTO);
	ck_assert_str_eq(seen, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peer_names");
	TCase *table = tcase_create("names");
	TCase *sources = tcase_create("sources");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(table, set_up, tear_down);
	tcase_add_test(table, an_address_is_its_containers);
	tcase_add_test(table, an_address_that_several_share);
	tcase_add_test(table, who_answers);
	tcase_add_test(table, what_was_known_is_taken_over);
	tcase_add_test(sources, addresses_of_the_trie);
	tcase_add_test(sources, addresses_of_ipv6);
	tcase_add_test(sources, many_addresses);
	tcase_add_test(sources, our_own_addresses_can_be_read);
	tcase_add_loop_test(sources, recorded_connections, 0, 2);
	tcase_add_test(sources, cut_connections);
	tcase_add_test(sources, errors_of_the_kernel);
	suite_add_tcase(suite, table);
	suite_add_tcase(suite, sources);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
