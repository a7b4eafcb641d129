/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The endpoints that each group talks with, by name. Reads the kernel's rows, which are memory, and takes
 * those back that are not used: bpf/peer.h says how.
 */
#include "peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "cgroups.h"

#define IDLE_NS	 30000000000u /* a row not used for so long is taken back: its next use gets it one again */
#define GRACE_NS 500000000u   /* after which no program of the kernel's still adds to what was taken back */

enum entry_state { ENTRY_FREE, ENTRY_USED, ENTRY_TAKEN_BACK };

struct peer_entry {
	enum entry_state state;
	struct peer_key key;
	uint64_t other;		 /* the row's, as of when it was given its name */
	struct peer_usage taken; /* what the row held when it was last read */
	uint64_t used_ns;	 /* when something was added to it, or it was taken back */
	char *name;
};

/* ---- The peers of a group ------------------------------------------------------------------------ */

static int compare_peers(const void *a, const void *b)
{
	const struct peer *left = a, *right = b;

	if (left->role != right->role)
		return left->role < right->role ? -1 : 1;
	if (left->protocol != right->protocol)
		return left->protocol < right->protocol ? -1 : 1;
	return strcmp(left->name, right->name);
}

/* *to += *from or, with a minus, -=. All members are sums of 64 bits. */
static void add_usage(struct peer_usage *to, const struct peer_usage *from, bool minus)
{
	__u64 *sum = (__u64 *)to;
	const __u64 *other = (const __u64 *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += minus ? -other[i] : other[i];
}

static bool is_nothing(const struct peer_usage *usage)
{
	static const struct peer_usage nothing;

	return memcmp(usage, &nothing, sizeof(nothing)) == 0;
}

static struct peer *peer_new(const char *name, uint8_t protocol, uint8_t role)
{
	size_t size = strlen(name) + 1;
	struct peer *peer = calloc(1, sizeof(*peer) + size);

	if (!peer)
		return NULL;
	memcpy(peer->name, name, size);
	peer->protocol = protocol;
	peer->role = role;
	return peer;
}

static void keep(void *node)
{
	(void)node;
}

void peer_list_clear(struct peer_list *list)
{
	tdestroy(list->by_name, keep);
	while (list->first) {
		struct peer *peer = list->first;

		list->first = peer->next;
		free(peer);
	}
	*list = (struct peer_list){0};
}

/* The one of that name, which is `peer` itself if there was none; NULL: out of memory. */
static struct peer *insert(struct peer_list *list, struct peer *peer)
{
	struct peer **node = tsearch(peer, &list->by_name, compare_peers);

	if (!node)
		return NULL;
	if (*node == peer) {
		peer->next = list->first;
		list->first = peer;
	}
	return *node;
}

void peer_list_absorb(struct peer_list *to, struct peer_list *from)
{
	tdestroy(from->by_name, keep);
	from->by_name = NULL;
	while (from->first) {
		struct peer *peer = from->first, *same;

		from->first = peer->next;
		same = insert(to, peer);
		if (same == peer)
			continue;
		/* Without memory for it, it is told as what nobody has. */
		add_usage(same ? &same->fresh : &to->untold, &peer->fresh, false);
		add_usage(same ? &same->told : &to->untold, &peer->told, false);
		free(peer);
	}
	add_usage(&to->untold, &from->untold, false);
	*from = (struct peer_list){0};
}

void peers_told(struct peer_list *list)
{
	for (struct peer *peer = list->first; peer; peer = peer->next)
		peer->fresh = (struct peer_usage){0};
}

static uint64_t bytes_of(const struct peer_usage *usage)
{
	return usage->sent_bytes + usage->received_bytes;
}

/* Those with most bytes first, then those with most connections; by name, so that it is always the same. */
static int compare_use(const void *a, const void *b)
{
	const struct peer *left = *(struct peer *const *)a, *right = *(struct peer *const *)b;
	uint64_t left_bytes = bytes_of(&left->fresh), right_bytes = bytes_of(&right->fresh);

	if (left_bytes != right_bytes)
		return left_bytes > right_bytes ? -1 : 1;
	if (left->fresh.opened != right->fresh.opened)
		return left->fresh.opened > right->fresh.opened ? -1 : 1;
	return compare_peers(left, right);
}

static struct peer_usage usage_of_group(const struct net_usage *all, const struct net_dialogues *dialogues)
{
	struct peer_usage usage = {
	    .sent_bytes = all->tcp_sent_bytes + all->udp_sent_bytes,
	    .sent_messages = all->tcp_sent_messages + all->udp_sent_messages,
	    .received_bytes = all->tcp_received_bytes + all->udp_received_bytes,
	    .received_messages = all->tcp_received_messages + all->udp_received_messages,
	    .opened = all->tcp_opened_active + all->tcp_opened_passive,
	    .failed = all->tcp_failed,
	    .closed = all->tcp_closed,
	};

	for (int side = 0; side < NET_SIDES; side++) {
		const struct net_transactions *tcp = &dialogues->of[NET_TCP][side];
		const struct net_transactions *http = &dialogues->of[NET_HTTP][side];

		usage.tcp_answered += tcp->answered;
		usage.tcp_latency_ns += tcp->latency_ns;
		usage.tcp_request_bytes += tcp->request_bytes;
		usage.tcp_answer_bytes += tcp->answer_bytes;
		usage.http_answered += http->answered;
		usage.http_latency_ns += http->latency_ns;
		usage.http_timed += http->timed;
	}
	return usage;
}

void peers_choose(struct peers *peers, struct peer_list *list, const struct net_usage *fresh,
		  const struct net_dialogues *dialogues)
{
	struct peer_usage rest = usage_of_group(fresh, dialogues);
	size_t count = 0;

	for (struct peer *peer = list->first; peer; peer = peer->next) {
		peer->telling = false;
		if (!is_nothing(&peer->fresh) && count < peers->most)
			peers->sorted[count++] = peer;
	}
	qsort(peers->sorted, count, sizeof(struct peer *), compare_use);
	for (size_t i = 0; i < count && i < peers->told; i++) {
		struct peer *peer = peers->sorted[i];

		peer->telling = true;
		add_usage(&peer->told, &peer->fresh, false);
		add_usage(&rest, &peer->fresh, true);
	}
	list->untold_fresh = rest;
	add_usage(&list->untold, &rest, false);
}

/* ---- The kernel's rows --------------------------------------------------------------------------- */

int peers_init(struct peers *peers, const struct peer_maps *maps, uint32_t most, uint32_t told,
	       uint32_t cpu_count)
{
	*peers =
	    (struct peers){.maps = *maps, .most = most, .told = told, .rows_used = 1, .slack = cpu_count + 1};
	peers->entries = calloc((size_t)most + 1, sizeof(*peers->entries));
	peers->sorted = calloc(most, sizeof(*peers->sorted));
	if (!peers->entries || !peers->sorted)
		return -ENOMEM;
	for (uint32_t row = most; row && maps->rows; row--)
		bpf_map_update_elem(maps->free_rows, NULL, &row, BPF_ANY);
	return 0;
}

void peers_clear(struct peers *peers)
{
	for (uint32_t row = 1; peers->entries && row < peers->rows_used; row++)
		free(peers->entries[row].name);
	free(peers->entries);
	free(peers->sorted);
	peer_names_free(peers->names);
	*peers = (struct peers){0};
}

struct endpoint peer_endpoint(const struct peer_key *key)
{
	struct endpoint endpoint = {.port = key->port, .family = key->family};

	memcpy(endpoint.address, key->address, sizeof(endpoint.address));
	if (key->port)
		endpoint.protocol = key->protocol;
	return endpoint;
}

/* NULL: it is none, or not known. */
static const char *name_of_container(const struct cgroups *cgroups, uint64_t cgroup_id)
{
	const struct cgroup *cgroup =
	    cgroup_id && cgroup_id != PEER_SEVERAL ? cgroups_find(cgroups, cgroup_id) : NULL;

	return cgroup && cgroup->group->kind == IDENTITY_CONTAINER ? cgroup->group->name : NULL;
}

/* What the tables know of the endpoint of a row: a name, and the port that it has by it. NULL: nothing. */
static const char *name_by_tables(const struct peers *peers, uint32_t row, uint16_t *port)
{
	const struct peers_copy *copy = peers->maps.copy;
	const struct endpoint endpoint = peer_endpoint(&peers->entries[row].key);

	if (!copy)
		return peers->names ? peer_names_find(peers->names, &endpoint, port) : NULL;
	if (!peers->names_met || !copy->known[row].name)
		return NULL;
	*port = copy->known[row].port;
	return copy->known[row].name;
}

/* "10.0.0.7:6379", "[fd00::7]:6379", "redis:6379"; of a server's peers, the address or name alone. */
static void write_name(const struct peers *peers, const struct cgroups *cgroups, uint32_t row,
		       char name[PEER_NAME_MAX])
{
	const struct peer_entry *entry = &peers->entries[row];
	const struct peer_key *key = &entry->key;
	uint16_t port = key->port;
	const char *known = peers->names_met ? name_of_container(cgroups, entry->other) : NULL;
	char address[INET6_ADDRSTRLEN] = "?";
	bool six = key->family == 6;

	if (!known)
		known = name_by_tables(peers, row, &port);
	if (!known)
		inet_ntop(six ? AF_INET6 : AF_INET, key->address, address, sizeof(address));
	if (!port)
		snprintf(name, PEER_NAME_MAX, "%s", known ? known : address);
	else
		snprintf(name, PEER_NAME_MAX, six && !known ? "[%s]:%u" : "%s:%u", known ? known : address,
			 port);
}

static void give_name(const struct peers *peers, const struct cgroups *cgroups, uint32_t row)
{
	struct peer_entry *entry = &peers->entries[row];
	char name[PEER_NAME_MAX];

	write_name(peers, cgroups, row, name);
	if (entry->name && strcmp(entry->name, name) == 0)
		return;
	free(entry->name);
	entry->name = strdup(name);
}

void peers_set_names(struct peers *peers, struct peer_names *names)
{
	peer_names_free(peers->names);
	peers->names = names;
	peers->names_changed = true;
}

void peers_each_server(const struct peers *peers, peers_visitor *visit, void *user)
{
	for (uint32_t row = 1; row < peers->rows_used; row++) {
		const struct peer_entry *entry = &peers->entries[row];

		if (entry->state == ENTRY_USED && entry->key.role == PEER_AS_CLIENT) {
			const struct endpoint endpoint = peer_endpoint(&entry->key);

			visit(user, &endpoint);
		}
	}
}

static bool names_changed(const struct peers *peers)
{
	return peers->maps.copy ? peers->maps.copy->names_changed : peers->names_changed;
}

/* Takes in what the row is now: another's, or nobody's. */
static void look_at(struct peers *peers, const struct cgroups *cgroups, uint32_t index,
		    const struct peer_row *row, uint64_t now_ns)
{
	struct peer_entry *entry = &peers->entries[index];
	uint64_t other = __atomic_load_n(&row->other, __ATOMIC_RELAXED);
	uint64_t owner = __atomic_load_n(&row->key.cgroup_id, __ATOMIC_ACQUIRE);
	struct peer_key key = row->key;

	key.cgroup_id = owner;
	if (entry->state != ENTRY_FREE && memcmp(&key, &entry->key, sizeof(key)) == 0) {
		/* A container may have another name by now. */
		if (names_changed(peers) || other != entry->other || other) {
			entry->other = other;
			give_name(peers, cgroups, index);
		}
		return;
	}
	free(entry->name);
	entry->name = NULL;
	entry->state = key.cgroup_id ? ENTRY_USED : ENTRY_FREE;
	entry->key = key;
	entry->other = other;
	entry->used_ns = now_ns;
	if (key.cgroup_id)
		give_name(peers, cgroups, index);
}

/* What was added to the row since the last time. */
static struct peer_usage take(struct peer_entry *entry, const struct peer_row *row)
{
	const __u64 *now = (const __u64 *)&row->used;
	struct peer_usage fresh = {0};
	__u64 *taken = (__u64 *)&entry->taken, *out = (__u64 *)&fresh;

	for (size_t i = 0; i < sizeof(fresh) / sizeof(*out); i++) {
		__u64 value = __atomic_load_n(&now[i], __ATOMIC_RELAXED);

		out[i] = value - taken[i];
		taken[i] = value;
	}
	return fresh;
}

/*
 * Drops the names that were not used for so long that their rows went back, too. Those whose rows are in use
 * are not more than rows: so they find room, and their counters go on.
 */
static void drop_unused(struct peers *peers, const struct groups *groups, uint64_t now_ns)
{
	for (size_t i = 0; i < groups->count; i++) {
		struct peer_list *list = &groups->all[i]->peers;

		for (struct peer **link = &list->first; *link;) {
			struct peer *peer = *link;

			if (now_ns - peer->used_ns < IDLE_NS || !is_nothing(&peer->fresh)) {
				link = &peer->next;
				continue;
			}
			*link = peer->next;
			tdelete(peer, &list->by_name, compare_peers);
			free(peer);
			peers->count--;
		}
	}
}

/* Groups that ended took theirs with them: so they are counted anew. */
static void count_names(struct peers *peers, const struct groups *groups, uint64_t now_ns)
{
	peers->count = 0;
	for (size_t i = 0; i < groups->count; i++)
		for (struct peer *peer = groups->all[i]->peers.first; peer; peer = peer->next)
			peers->count++;
	if (peers->count >= peers->most - peers->most / 4)
		drop_unused(peers, groups, now_ns);
}

/* NULL: there is no room; its use stays the group's. */
static struct peer *find_or_add(struct peers *peers, struct peer_list *list, const struct peer_entry *entry)
{
	struct peer *peer = peer_new(entry->name ? entry->name : "?", entry->key.protocol, entry->key.role);
	struct peer *const *known = peer ? tfind(peer, &list->by_name, compare_peers) : NULL;

	if (known) {
		free(peer);
		return *known;
	}
	if (peer && peers->count < peers->most && insert(list, peer)) {
		peers->count++;
		return peer;
	}
	free(peer);
	peers->refused++;
	return NULL;
}

static void charge_entry(struct peers *peers, struct group *group, struct peer_entry *entry,
			 const struct peer_row *row, uint64_t now_ns)
{
	struct peer_usage fresh = take(entry, row);
	struct peer *peer;

	if (is_nothing(&fresh))
		return;
	if (entry->state == ENTRY_USED)
		entry->used_ns = now_ns;
	if (group->kind != IDENTITY_CONTAINER)
		return;
	peer = find_or_add(peers, &group->peers, entry);
	if (!peer)
		return;
	add_usage(&peer->fresh, &fresh, false);
	peer->used_ns = now_ns;
}

/* From here on every socket that had the row looks for another. */
static void take_back(struct peers *peers, uint32_t index, struct peer_entry *entry, uint64_t now_ns)
{
	bpf_map_delete_elem(peers->maps.row_by_peer, &entry->key);
	if (peers->maps.rows)
		__atomic_add_fetch(&peers->maps.rows[index].serial, 1, __ATOMIC_RELEASE);
	entry->state = ENTRY_TAKEN_BACK;
	entry->used_ns = now_ns;
}

/* What it holds stays: its next owner goes on from there. */
static void give_again(struct peers *peers, uint32_t index, struct peer_entry *entry)
{
	if (peers->maps.copy)
		peers->maps.copy->rows[index].key.cgroup_id = 0;
	if (peers->maps.rows)
		__atomic_store_n(&peers->maps.rows[index].key.cgroup_id, 0, __ATOMIC_RELEASE);
	free(entry->name);
	entry->name = NULL;
	entry->state = ENTRY_FREE;
	bpf_map_update_elem(peers->maps.free_rows, NULL, &index, BPF_ANY);
}

static void charge_row(struct peers *peers, const struct cgroups *cgroups, uint32_t index, uint64_t now_ns)
{
	struct peer_entry *entry = &peers->entries[index];
	const struct peer_row *row =
	    peers->maps.copy ? &peers->maps.copy->rows[index] : &peers->maps.rows[index];
	const struct cgroup *owner;

	look_at(peers, cgroups, index, row, now_ns);
	if (entry->state == ENTRY_FREE)
		return;
	owner = cgroups_find(cgroups, entry->key.cgroup_id);
	/* Not before its slot is: a container must not have less than its peers. */
	if (owner && owner->slot)
		charge_entry(peers, owner->group, entry, row, now_ns);
	if (entry->state == ENTRY_TAKEN_BACK && now_ns - entry->used_ns >= GRACE_NS) {
		take(entry, row);
		give_again(peers, index, entry);
	} else if (entry->state == ENTRY_USED && now_ns - entry->used_ns >= IDLE_NS) {
		take_back(peers, index, entry, now_ns);
	}
}

void peers_mark_slots(struct peer_slot *slots, struct cgroup *const *owners, uint32_t owner_count)
{
	for (uint32_t slot = 0; slot < owner_count; slot++)
		if (owners[slot] && owners[slot]->group->kind != IDENTITY_CONTAINER)
			slots[slot].unwanted = owners[slot]->id;
		else
			slots[slot].unwanted = 0;
}

void peers_charge(struct peers *peers, const struct cgroups *cgroups, struct cgroup *const *owners,
		  uint32_t owner_count, uint64_t now_ns)
{
	uint32_t beyond = peers->rows_used + peers->slack;

	count_names(peers, cgroups->groups, now_ns);
	if (peers->maps.slots)
		peers_mark_slots(peers->maps.slots, owners, owner_count);
	for (uint32_t row = 1; row <= peers->most && row < beyond; row++) {
		charge_row(peers, cgroups, row, now_ns);
		if (peers->entries[row].state != ENTRY_FREE && row >= peers->rows_used) {
			peers->rows_used = row + 1;
			beyond = peers->rows_used + peers->slack;
		}
	}
	/* A row that was given while others were still made free would be past those that are looked at. */
	if (peers->maps.ready)
		__atomic_store_n(peers->maps.ready, true, __ATOMIC_RELEASE);
	peers->names_changed = false;
	if (peers->maps.copy)
		peers->maps.copy->names_changed = false;
}
