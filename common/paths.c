/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The HTTP transactions of each group by role, method and path. Reads the kernel's rows, which are memory,
 * and takes those back that are not used: bpf/peer.h says how.
 */
#include "paths.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "account.h"
#include "cgroups.h"
#include "deepmon.h"

#define IDLE_NS \
	30000000000u	    /* a row not used for so long may be taken back: its next use gets it one again */
#define GRACE_NS 500000000u /* after which no program of the kernel's still adds to what was taken back */

enum entry_state { ENTRY_FREE, ENTRY_USED, ENTRY_TAKEN_BACK };

struct path_entry {
	enum entry_state state;
	struct path_key key;
	struct net_transactions taken; /* what the row held when it was last read */
	uint64_t used_ns;	       /* when something was added to it, or it was taken back */
};

/* ---- Names --------------------------------------------------------------------------------------- */

const char *path_method_name(uint8_t method)
{
	static const char *const names[] = {"other",  "GET",	 "HEAD",    "POST",  "PUT",
					    "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

	return method < sizeof(names) / sizeof(names[0]) ? names[method] : names[HTTP_METHOD_OTHER];
}

void path_write_name(const struct path_key *key, char name[PATH_NAME_MAX])
{
	const char *text = (const char *)key->path.bytes;
	char path[HTTP_PATH_ROOM + 1] = {0};
	size_t length = 0;

	memcpy(path, text, HTTP_PATH_MOST);
	for (const char *next = path; *next;) {
		size_t character = deepmon_utf8_length(next);

		/* Names in brackets are ours. */
		if (!character || (next == path && *next == '(')) {
			length += (size_t)sprintf(name + length, "%%%02X", (unsigned char)*next++);
			continue;
		}
		memcpy(name + length, next, character);
		length += character;
		next += character;
	}
	strcpy(name + length, key->cut ? "..." : length ? "" : "(none)");
}

/* ---- The paths of a group ------------------------------------------------------------------------ */

static int compare_paths(const void *a, const void *b)
{
	const struct path *left = a, *right = b;

	if (left->side != right->side)
		return left->side < right->side ? -1 : 1;
	if (left->method != right->method)
		return left->method < right->method ? -1 : 1;
	return strcmp(left->name, right->name);
}

bool paths_is_nothing(const struct net_transactions *transactions)
{
	static const struct net_transactions nothing;

	return memcmp(transactions, &nothing, sizeof(nothing)) == 0;
}

static struct path *path_new(const struct path_key *key)
{
	char name[PATH_NAME_MAX];
	struct path *path;
	size_t size;

	path_write_name(key, name);
	size = strlen(name) + 1;
	path = calloc(1, sizeof(*path) + size);
	if (!path)
		return NULL;
	memcpy(path->name, name, size);
	path->side = key->side;
	path->method = key->method;
	return path;
}

static void path_free(struct path *path)
{
	if (path)
		latencies_free(path->latencies);
	free(path);
}

static void keep(void *node)
{
	(void)node;
}

void path_list_clear(struct path_list *list)
{
	tdestroy(list->by_name, keep);
	while (list->first) {
		struct path *path = list->first;

		list->first = path->next;
		path_free(path);
	}
	*list = (struct path_list){0};
}

/* The one of that name, which is `path` itself if there was none; NULL: out of memory. */
static struct path *insert(struct path_list *list, struct path *path)
{
	struct path **node = tsearch(path, &list->by_name, compare_paths);

	if (!node)
		return NULL;
	if (*node == path) {
		path->next = list->first;
		list->first = path;
	}
	return *node;
}

void path_list_absorb(struct path_list *to, struct path_list *from)
{
	tdestroy(from->by_name, keep);
	from->by_name = NULL;
	while (from->first) {
		struct path *path = from->first, *same;

		from->first = path->next;
		same = insert(to, path);
		if (same == path)
			continue;
		/* Without memory for it, it is told as what nobody has. */
		sums_add(same ? &same->fresh : &to->untold, &path->fresh, sizeof(path->fresh));
		sums_add(same ? &same->told : &to->untold, &path->told, sizeof(path->told));
		if (same)
			latencies_merge(&same->latencies, path->latencies);
		path_free(path);
	}
	sums_add(&to->untold, &from->untold, sizeof(to->untold));
	*from = (struct path_list){0};
}

void paths_told(struct path_list *list)
{
	for (struct path *path = list->first; path; path = path->next) {
		path->fresh = (struct net_transactions){0};
		latencies_empty(path->latencies);
	}
}

/* Those with most transactions first, then those with most bytes; by name, so that it is always the same. */
static int compare_use(const void *a, const void *b)
{
	const struct path *left = *(struct path *const *)a, *right = *(struct path *const *)b;
	uint64_t left_count = left->fresh.answered + left->fresh.unanswered;
	uint64_t right_count = right->fresh.answered + right->fresh.unanswered;

	if (left_count == right_count) {
		left_count = left->fresh.request_bytes + left->fresh.answer_bytes;
		right_count = right->fresh.request_bytes + right->fresh.answer_bytes;
	}
	if (left_count != right_count)
		return left_count > right_count ? -1 : 1;
	return compare_paths(left, right);
}

void paths_choose(struct paths *paths, struct path_list *list, const struct net_transactions *fresh)
{
	struct net_transactions rest = *fresh;
	size_t count = 0;

	for (struct path *path = list->first; path; path = path->next) {
		path->telling = false;
		if (!paths_is_nothing(&path->fresh) && count < paths->most)
			paths->sorted[count++] = path;
	}
	qsort(paths->sorted, count, sizeof(struct path *), compare_use);
	for (size_t i = 0; i < count && i < paths->told; i++) {
		struct path *path = paths->sorted[i];

		path->telling = true;
		sums_add(&path->told, &path->fresh, sizeof(path->told));
		sums_subtract(&rest, &path->fresh, sizeof(rest));
	}
	sums_add(&list->untold, &rest, sizeof(rest));
}

/* ---- The kernel's rows --------------------------------------------------------------------------- */

int paths_init(struct paths *paths, const struct path_maps *maps, uint32_t most, uint32_t told,
	       uint32_t cpu_count)
{
	*paths =
	    (struct paths){.maps = *maps, .most = most, .told = told, .rows_used = 1, .slack = cpu_count + 1};
	paths->entries = calloc((size_t)most + 1, sizeof(*paths->entries));
	paths->sorted = calloc(most, sizeof(*paths->sorted));
	if (!paths->entries || !paths->sorted)
		return -ENOMEM;
	for (uint32_t row = most; row; row--)
		bpf_map_update_elem(maps->free_rows, NULL, &row, BPF_ANY);
	return 0;
}

void paths_clear(struct paths *paths)
{
	free(paths->entries);
	free(paths->sorted);
	*paths = (struct paths){0};
}

/* Takes in what the row is now: another's, or nobody's. */
static void look_at(struct path_entry *entry, const struct path_row *row, uint64_t now_ns)
{
	struct path_key key = row->key;

	key.cgroup_id = __atomic_load_n(&row->key.cgroup_id, __ATOMIC_ACQUIRE);
	if (entry->state != ENTRY_FREE && memcmp(&key, &entry->key, sizeof(key)) == 0)
		return;
	entry->state = key.cgroup_id ? ENTRY_USED : ENTRY_FREE;
	entry->key = key;
	entry->used_ns = now_ns;
}

/* What was added to the row since the last time. */
static struct net_transactions take(struct path_entry *entry, const struct path_row *row)
{
	const __u64 *now = (const __u64 *)&row->used;
	struct net_transactions fresh;
	any_sum *taken = (any_sum *)&entry->taken, *out = (any_sum *)&fresh;

	for (size_t i = 0; i < sizeof(fresh) / sizeof(*out); i++) {
		uint64_t value = __atomic_load_n(&now[i], __ATOMIC_RELAXED);

		out[i] = value - taken[i];
		taken[i] = value;
	}
	return fresh;
}

/*
 * Drops the names that were not used for so long that their rows may have gone back, too. Those whose rows
 * are in use are not more than rows: so they find room, and their counters go on.
 */
static void drop_unused(struct paths *paths, const struct groups *groups, uint64_t now_ns)
{
	for (size_t i = 0; i < groups->count; i++) {
		struct path_list *list = &groups->all[i]->paths;

		for (struct path **link = &list->first; *link;) {
			struct path *path = *link;

			if (now_ns - path->used_ns < IDLE_NS || !paths_is_nothing(&path->fresh)) {
				link = &path->next;
				continue;
			}
			*link = path->next;
			tdelete(path, &list->by_name, compare_paths);
			path_free(path);
			paths->count--;
		}
	}
}

/* Groups that ended took theirs with them: so they are counted anew. */
static void count_names(struct paths *paths, const struct groups *groups, uint64_t now_ns)
{
	paths->count = 0;
	for (size_t i = 0; i < groups->count; i++)
		for (struct path *path = groups->all[i]->paths.first; path; path = path->next)
			paths->count++;
	if (paths->count >= paths->most - paths->most / 4)
		drop_unused(paths, groups, now_ns);
}

static struct path *find(const struct path_list *list, const struct path *like)
{
	struct path *const *known = tfind(like, &list->by_name, compare_paths);

	return known ? *known : NULL;
}

/* NULL: there is no room; its use stays the group's. */
static struct path *find_or_add(struct paths *paths, struct path_list *list, const struct path_key *key)
{
	struct path *path = path_new(key), *known = path ? find(list, path) : NULL;

	if (known) {
		path_free(path);
		return known;
	}
	if (path && paths->count < paths->most && insert(list, path)) {
		paths->count++;
		return path;
	}
	path_free(path);
	paths->refused++;
	return NULL;
}

static void charge_entry(struct paths *paths, struct group *group, struct path_entry *entry,
			 const struct path_row *row, uint64_t now_ns)
{
	struct net_transactions fresh = take(entry, row);
	struct path *path;

	if (paths_is_nothing(&fresh))
		return;
	if (entry->state == ENTRY_USED)
		entry->used_ns = now_ns;
	if (group->kind != IDENTITY_CONTAINER)
		return;
	path = find_or_add(paths, &group->paths, &entry->key);
	if (!path)
		return;
	sums_add(&path->fresh, &fresh, sizeof(fresh));
	path->used_ns = now_ns;
}

/* From here on what every socket kept of the row means nothing. */
static void take_back(struct paths *paths, uint32_t index, struct path_entry *entry, uint64_t now_ns)
{
	bpf_map_delete_elem(paths->maps.row_by_path, &entry->key);
	__atomic_add_fetch(&paths->maps.rows[index].serial, 1, __ATOMIC_RELEASE);
	entry->state = ENTRY_TAKEN_BACK;
	entry->used_ns = now_ns;
}

/* What it holds stays: its next owner goes on from there. */
static void give_again(struct paths *paths, uint32_t index, struct path_entry *entry)
{
	__atomic_store_n(&paths->maps.rows[index].key.cgroup_id, 0, __ATOMIC_RELEASE);
	entry->state = ENTRY_FREE;
	bpf_map_update_elem(paths->maps.free_rows, NULL, &index, BPF_ANY);
}

static bool is_unused(const struct paths *paths, const struct path_entry *entry, const struct cgroup *owner,
		      uint64_t now_ns)
{
	bool few = paths->rows_busy >= paths->most - paths->most / 4;

	return now_ns - entry->used_ns >= IDLE_NS && (few || !owner);
}

static void charge_row(struct paths *paths, const struct cgroups *cgroups, uint32_t index, uint64_t now_ns)
{
	struct path_entry *entry = &paths->entries[index];
	const struct path_row *row = &paths->maps.rows[index];
	const struct cgroup *owner;

	look_at(entry, row, now_ns);
	if (entry->state == ENTRY_FREE)
		return;
	owner = cgroups_find(cgroups, entry->key.cgroup_id);
	/* Not before its slot is: a container must not have less than its paths. */
	if (owner && owner->slot)
		charge_entry(paths, owner->group, entry, row, now_ns);
	if (entry->state == ENTRY_TAKEN_BACK && now_ns - entry->used_ns >= GRACE_NS) {
		take(entry, row);
		give_again(paths, index, entry);
	} else if (entry->state == ENTRY_USED && is_unused(paths, entry, owner, now_ns)) {
		take_back(paths, index, entry, now_ns);
	}
}

void paths_charge(struct paths *paths, const struct cgroups *cgroups, struct cgroup *const *owners,
		  uint32_t owner_count, uint64_t now_ns)
{
	uint32_t beyond = paths->rows_used + paths->slack, busy = 0;

	count_names(paths, cgroups->groups, now_ns);
	peers_mark_slots(paths->maps.slots, owners, owner_count);
	for (uint32_t row = 1; row <= paths->most && row < beyond; row++) {
		charge_row(paths, cgroups, row, now_ns);
		if (paths->entries[row].state == ENTRY_FREE)
			continue;
		busy++;
		if (row >= paths->rows_used) {
			paths->rows_used = row + 1;
			beyond = paths->rows_used + paths->slack;
		}
	}
	paths->rows_busy = busy;
	if (paths->maps.ready)
		__atomic_store_n(paths->maps.ready, true, __ATOMIC_RELEASE);
}

int paths_charge_latency(struct paths *paths, const struct cgroups *cgroups, struct latency_fresh *fresh)
{
	const struct path_entry *entry = fresh->slot <= paths->most ? &paths->entries[fresh->slot] : NULL;
	const struct cgroup *owner =
	    entry && entry->state != ENTRY_FREE ? cgroups_find(cgroups, entry->key.cgroup_id) : NULL;
	struct path *like, *path;

	if (!owner || owner->group->kind != IDENTITY_CONTAINER)
		return 0;
	like = path_new(&entry->key);
	if (!like)
		return -ENOMEM;
	path = find(&owner->group->paths, like);
	path_free(like);
	fresh->kind = entry->key.side == NET_AS_SERVER ? LATENCY_HTTP_SERVER : LATENCY_HTTP_CLIENT;
	return path ? latencies_add(&path->latencies, fresh) : 0;
}
