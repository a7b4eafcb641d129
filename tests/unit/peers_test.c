/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Peers: what is read of the kernel's rows, how rows go from one peer to the next, and that peers and the
 * rest are always all that a container did.
 */
#include "../../common/cgroups.h"
#include "../../common/peers.h"

#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "endpoint_text.h"
#include "fake_kernel.h"

#define MOST	  8
#define SLOTS	  16
#define SECOND_NS 1000000000ull
#define CONTAINER "/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct groups groups;
static struct cgroups cgroups;
static struct hierarchy hierarchy;
static struct peers peers;
static struct peer_row rows[MOST + 1];
static struct peer_slot slots[SLOTS];
static struct cgroup *owners[SLOTS];
static uint64_t now;

static void set_up(void)
{
	const struct peer_maps maps = {.rows = rows, .slots = slots, .row_by_peer = -1, .free_rows = -1};

	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, &hierarchy, NULL, &groups, 100);
	ck_assert_int_eq(peers_init(&peers, &maps, MOST, 2, 2), 0);
	now = SECOND_NS;
}

static void tear_down(void)
{
	peers_clear(&peers);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
}

/* A container of that number: its cgroup's id. */
static struct group *container(unsigned number)
{
	char path[128];
	struct cgroup *cgroup;

	snprintf(path, sizeof(path), CONTAINER "%02x", number);
	cgroup = cgroups_add(&cgroups, number, path);
	ck_assert(cgroup);
	cgroup->slot = CPU_SLOT_FIRST + number;
	return cgroup->group;
}

/* As the kernel does. */
static void fill(unsigned row, uint64_t cgroup_id, const char *text, enum peer_role role)
{
	const struct endpoint endpoint = endpoint_from(text);
	struct peer_key key = {.cgroup_id = cgroup_id,
			       .port = endpoint.port,
			       .family = endpoint.family,
			       .protocol = endpoint.protocol ? endpoint.protocol : IPPROTO_TCP,
			       .role = (uint8_t)role};

	memcpy(key.address, endpoint.address, sizeof(key.address));
	rows[row].key = key;
}

static void charge(uint64_t after_ns)
{
	now += after_ns;
	peers_charge(&peers, &cgroups, owners, SLOTS, now);
}

static const struct peer *find_peer(const struct group *group, const char *name)
{
	const struct peer *found = NULL;

	for (const struct peer *peer = group->peers.first; peer; peer = peer->next) {
		if (strcmp(peer->name, name) != 0)
			continue;
		ck_assert_msg(!found, "two of the name %s", name);
		found = peer;
	}
	return found;
}

static uint64_t fresh_bytes(const struct group *group, const char *name)
{
	const struct peer *peer = find_peer(group, name);

	ck_assert_msg(peer, "no peer %s", name);
	return peer->fresh.sent_bytes;
}

START_TEST(what_was_added_since_the_last_time)
{
	struct group *group = container(1);

	rows[1].used.sent_bytes = 1000; /* of somebody before */
	charge(SECOND_NS);
	fill(1, 1, "10.0.0.7:6379/tcp", PEER_AS_CLIENT);
	fill(2, 1, "[fd00::7]:53/udp", PEER_AS_CLIENT);
	fill(3, 1, "10.0.0.8", PEER_AS_SERVER);
	rows[2].used = (struct peer_usage){.sent_bytes = 5, .received_messages = 2};
	rows[3].used.opened = 1;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "[fd00::7]:53"), 5);
	ck_assert_uint_eq(find_peer(group, "[fd00::7]:53")->fresh.received_messages, 2);
	ck_assert_uint_eq(find_peer(group, "10.0.0.8")->fresh.opened, 1);
	rows[2].used.sent_bytes += 7;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "[fd00::7]:53"), 12);
	peers_told(&group->peers);
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "[fd00::7]:53"), 0);
}
END_TEST

START_TEST(of_a_cgroup_that_is_not_known_yet)
{
	struct group *group;

	fill(1, 7, "10.0.0.7:1/tcp", PEER_AS_CLIENT);
	rows[1].used.sent_bytes = 9;
	charge(SECOND_NS);
	group = container(7);
	cgroups_find(&cgroups, 7)->slot = 0; /* which was taken since slots were looked at */
	charge(SECOND_NS);
	ck_assert_ptr_null(group->peers.first);
	cgroups_find(&cgroups, 7)->slot = CPU_SLOT_FIRST;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.7:1"), 9);
}
END_TEST

START_TEST(system_groups_have_none)
{
	struct cgroup *unit = cgroups_add(&cgroups, 3, "/system.slice/cron.service");

	ck_assert(unit);
	ck_assert_int_eq(unit->group->kind, IDENTITY_SYSTEM);
	container(1);
	owners[4] = unit;
	owners[5] = cgroups_find(&cgroups, 1);
	fill(1, 3, "10.0.0.7:1/tcp", PEER_AS_CLIENT);
	rows[1].used.sent_bytes = 9;
	charge(SECOND_NS);
	ck_assert_ptr_null(unit->group->peers.first);
	/* By its id: the slot's next owner, at once, may be a container. */
	ck_assert_uint_eq(slots[4].unwanted, 3);
	ck_assert(!slots[5].unwanted && !slots[6].unwanted);
	owners[4] = NULL;
	charge(SECOND_NS);
	ck_assert(!slots[4].unwanted);
}
END_TEST

/* A row that nobody uses goes back, in two steps, and what is added in between is not lost. */
START_TEST(rows_go_back)
{
	struct group *group = container(1);

	fill(1, 1, "10.0.0.7:1/tcp", PEER_AS_CLIENT);
	rows[1].used.sent_bytes = 9;
	charge(SECOND_NS);
	charge(29 * SECOND_NS);
	ck_assert_uint_eq(rows[1].serial, 0);
	rows[1].used.sent_bytes += 1;
	charge(2 * SECOND_NS);
	ck_assert_uint_eq(rows[1].serial, 0);
	charge(30 * SECOND_NS);
	ck_assert_uint_eq(rows[1].serial, 1);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 1);
	/* A program that had looked at the serial before. */
	rows[1].used.sent_bytes += 10;
	charge(1000);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 1);
	charge(SECOND_NS);
	ck_assert_uint_eq(rows[1].key.cgroup_id, 0);
	ck_assert_uint_eq(rows[1].serial, 1);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.7:1"), 20);
	/* The next has it from there on. */
	fill(1, 1, "10.0.0.9:1/tcp", PEER_AS_CLIENT);
	rows[1].used.sent_bytes += 4;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.9:1"), 4);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.7:1"), 20);
}
END_TEST

/* Of two CPUs that made one, the loser's row was nobody's: it may be anybody's at the next look. */
START_TEST(a_row_that_changed_hands_unseen)
{
	struct group *group = container(1);

	fill(1, 1, "10.0.0.7:1/tcp", PEER_AS_CLIENT);
	charge(SECOND_NS);
	fill(1, 1, "10.0.0.8:1/tcp", PEER_AS_CLIENT);
	rows[1].used.sent_bytes = 3;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.8:1"), 3);
	ck_assert_ptr_null(find_peer(group, "10.0.0.7:1"));
	rows[1].key.cgroup_id = 0;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.8:1"), 3);
}
END_TEST

START_TEST(what_is_told_and_the_rest)
{
	struct group *group = container(1);
	struct net_usage all = {.tcp_sent_bytes = 100,
				.udp_sent_bytes = 11,
				.tcp_opened_active = 3,
				.tcp_opened_passive = 1,
				.tcp_failed = 2};
	struct net_dialogues dialogues = {0};
	uint64_t sum;

	dialogues.of[NET_TCP][NET_AS_CLIENT] = (struct net_transactions){
	    .answered = 7, .latency_ns = 700, .request_bytes = 70, .answer_bytes = 7000};
	dialogues.of[NET_TCP][NET_AS_SERVER].answered = 2;
	dialogues.of[NET_HTTP][NET_AS_CLIENT] =
	    (struct net_transactions){.answered = 4, .latency_ns = 300, .timed = 3};

	fill(1, 1, "10.0.0.1:1/tcp", PEER_AS_CLIENT);
	fill(2, 1, "10.0.0.2:1/tcp", PEER_AS_CLIENT);
	fill(3, 1, "10.0.0.3:1/tcp", PEER_AS_CLIENT);
	rows[1].used = (struct peer_usage){.sent_bytes = 10, .opened = 1};
	rows[2].used = (struct peer_usage){.sent_bytes = 30,
					   .tcp_answered = 5,
					   .tcp_latency_ns = 600,
					   .tcp_request_bytes = 50,
					   .tcp_answer_bytes = 5000,
					   .http_answered = 3,
					   .http_timed = 2,
					   .http_latency_ns = 250};
	rows[3].used.sent_bytes = 20;
	charge(SECOND_NS);
	peers_choose(&peers, &group->peers, &all, &dialogues);
	ck_assert(!find_peer(group, "10.0.0.1:1")->telling);
	ck_assert(find_peer(group, "10.0.0.2:1")->telling);
	ck_assert(find_peer(group, "10.0.0.3:1")->telling);
	ck_assert_uint_eq(group->peers.untold.sent_bytes, 100 + 11 - 30 - 20);
	ck_assert_uint_eq(group->peers.untold.opened, 4);
	ck_assert_uint_eq(group->peers.untold.failed, 2);
	ck_assert_uint_eq(group->peers.untold.tcp_answered, 7 + 2 - 5);
	ck_assert_uint_eq(group->peers.untold.tcp_latency_ns, 100);
	ck_assert_uint_eq(group->peers.untold.tcp_request_bytes, 20);
	ck_assert_uint_eq(group->peers.untold.tcp_answer_bytes, 2000);
	ck_assert_uint_eq(group->peers.untold.http_answered, 1);
	ck_assert_uint_eq(group->peers.untold.http_timed, 1);
	ck_assert_uint_eq(group->peers.untold_fresh.http_latency_ns, 50);
	peers_told(&group->peers);
	dialogues = (struct net_dialogues){0};
	/* Another leads now: its counter begins with what it had since, the others' stand still. */
	rows[1].used.sent_bytes += 50;
	all = (struct net_usage){.tcp_sent_bytes = 50};
	charge(SECOND_NS);
	peers_choose(&peers, &group->peers, &all, &dialogues);
	ck_assert(!find_peer(group, "10.0.0.2:1")->telling);
	ck_assert_uint_eq(find_peer(group, "10.0.0.1:1")->told.sent_bytes, 50);
	ck_assert_uint_eq(find_peer(group, "10.0.0.2:1")->told.sent_bytes, 30);
	sum = group->peers.untold.sent_bytes;
	for (const struct peer *peer = group->peers.first; peer; peer = peer->next)
		sum += peer->told.sent_bytes;
	ck_assert_uint_eq(sum, 100 + 11 + 50);
}
END_TEST

/* Rows of one name are one peer, and a row's name can change. */
START_TEST(names)
{
	struct group *group = container(1);
	struct peer_names *table = peer_names_new();
	const struct endpoint four = endpoint_from("10.0.0.7"), six = endpoint_from("fd00::7");

	fill(1, 1, "10.0.0.7:6379/tcp", PEER_AS_CLIENT);
	fill(2, 1, "[fd00::7]:6379/tcp", PEER_AS_CLIENT);
	fill(3, 1, "10.0.0.7", PEER_AS_SERVER);
	rows[1].used.sent_bytes = rows[2].used.sent_bytes = rows[3].used.sent_bytes = 1;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.7:6379"), 1);
	ck_assert_int_eq(peer_names_add(table, &four, "redis", "", ""), 0);
	ck_assert_int_eq(peer_names_add(table, &six, "redis", "", ""), 0);
	peer_names_settle(table);
	peers_set_names(&peers, table);
	rows[1].used.sent_bytes += 10;
	rows[2].used.sent_bytes += 20;
	rows[3].used.sent_bytes += 40;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "redis:6379"), 30);
	ck_assert_uint_eq(fresh_bytes(group, "redis"), 40);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.7:6379"), 1);
	peers_set_names(&peers, peer_names_new());
	rows[1].used.sent_bytes += 2;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.7:6379"), 3);
}
END_TEST

/* The kernel saw whose socket is at the other end. */
START_TEST(names_of_who_was_met)
{
	struct group *group = container(1), *other = container(2);
	char text[64];

	fill(1, 1, "127.0.0.1:80/tcp", PEER_AS_CLIENT);
	rows[1].other = 2;
	charge(SECOND_NS);
	rows[1].used.sent_bytes = 1;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "127.0.0.1:80"), 1);
	peers.names_met = true;
	rows[1].used.sent_bytes += 2;
	charge(SECOND_NS);
	snprintf(text, sizeof(text), "%s:80", other->name);
	ck_assert_uint_eq(fresh_bytes(group, text), 2);
	/* A unit is not called by name, nor is one of several. */
	ck_assert(cgroups_add(&cgroups, 3, "/system.slice/cron.service"));
	rows[1].other = 3;
	rows[1].used.sent_bytes += 4;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "127.0.0.1:80"), 5);
	rows[1].other = PEER_SEVERAL;
	rows[1].used.sent_bytes += 8;
	charge(SECOND_NS);
	ck_assert_uint_eq(fresh_bytes(group, "127.0.0.1:80"), 13);
}
END_TEST

static size_t count_peers(const struct group *group)
{
	size_t count = 0;

	for (const struct peer *peer = group->peers.first; peer; peer = peer->next)
		count++;
	return count;
}

/*
 * Names are kept for longer than rows, so that counters go on, but not past the bound: those whose rows went
 * back make room before there is none.
 */
START_TEST(names_have_a_bound)
{
	struct group *group = container(1);
	char text[32];

	for (unsigned i = 0; i < 5 * MOST; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u:1/tcp", i + 1);
		fill(1 + i % MOST, 1, text, PEER_AS_CLIENT);
		rows[1 + i % MOST].used.sent_bytes += 1;
		charge(31 * SECOND_NS / (MOST / 2));
		snprintf(text, sizeof(text), "10.0.0.%u:1", i + 1);
		ck_assert_uint_eq(fresh_bytes(group, text), 1);
		peers_told(&group->peers);
		ck_assert_uint_le(count_peers(group), MOST);
	}
	ck_assert_uint_ge(count_peers(group), MOST / 2);
	ck_assert_uint_eq(peers.refused, 0);
}
END_TEST

/* What no report told of is not dropped; what finds no room is counted. */
START_TEST(names_that_find_no_room)
{
	struct group *group = container(1);
	char text[32];

	for (unsigned i = 0; i < 2 * MOST; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u:1/tcp", i + 1);
		fill(1 + i % MOST, 1, text, PEER_AS_CLIENT);
		rows[1 + i % MOST].used.sent_bytes += 1;
		charge(40 * SECOND_NS);
	}
	ck_assert_uint_eq(count_peers(group), MOST);
	ck_assert_uint_eq(fresh_bytes(group, "10.0.0.1:1"), 1);
	ck_assert_uint_eq(peers.refused, MOST);
}
END_TEST

START_TEST(of_two_groups_that_become_one)
{
	struct peer_list to = container(1)->peers, from;

	fill(1, 1, "10.0.0.1:1/tcp", PEER_AS_CLIENT);
	fill(2, 2, "10.0.0.1:1/tcp", PEER_AS_CLIENT);
	fill(3, 2, "10.0.0.2:1/tcp", PEER_AS_CLIENT);
	rows[1].used.sent_bytes = rows[2].used.sent_bytes = rows[3].used.sent_bytes = 1;
	container(2);
	charge(SECOND_NS);
	to = cgroups_find(&cgroups, 1)->group->peers;
	from = cgroups_find(&cgroups, 2)->group->peers;
	cgroups_find(&cgroups, 2)->group->peers = (struct peer_list){0};
	from.untold.sent_bytes = 5;
	peer_list_absorb(&to, &from);
	cgroups_find(&cgroups, 1)->group->peers = to;
	ck_assert_uint_eq(fresh_bytes(cgroups_find(&cgroups, 1)->group, "10.0.0.1:1"), 2);
	ck_assert_uint_eq(fresh_bytes(cgroups_find(&cgroups, 1)->group, "10.0.0.2:1"), 1);
	ck_assert_uint_eq(to.untold.sent_bytes, 5);
	ck_assert_ptr_null(from.first);
}
END_TEST

static void list_server(void *user, const struct endpoint *server)
{
	char text[128];

	endpoint_write(server, text);
	strcat(strcat(user, text), " ");
}

START_TEST(servers_that_are_asked)
{
	char list[512] = "";

	container(1);
	fill(1, 1, "10.0.0.1:80/tcp", PEER_AS_CLIENT);
	fill(2, 1, "10.0.0.9", PEER_AS_SERVER);
	fill(4, 1, "[fd00::1]:53/udp", PEER_AS_CLIENT);
	charge(SECOND_NS);
	peers_each_server(&peers, list_server, list);
	ck_assert_str_eq(list, "10.0.0.1:80/tcp [fd00::1]:53/udp ");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peers");
	TCase *all = tcase_create("peers");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, what_was_added_since_the_last_time);
	tcase_add_test(all, of_a_cgroup_that_is_not_known_yet);
	tcase_add_test(all, system_groups_have_none);
	tcase_add_test(all, rows_go_back);
	tcase_add_test(all, a_row_that_changed_hands_unseen);
	tcase_add_test(all, what_is_told_and_the_rest);
	tcase_add_test(all, names);
	tcase_add_test(all, names_of_who_was_met);
	tcase_add_test(all, names_have_a_bound);
	tcase_add_test(all, names_that_find_no_room);
	tcase_add_test(all, of_two_groups_that_become_one);
	tcase_add_test(all, servers_that_are_asked);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
