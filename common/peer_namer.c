/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Finds what endpoints are called. Addresses are read in /proc of some process in each container, now and
 * then again; the kernel's connection tracking is asked when a container talks with an endpoint that is
 * nobody's.
 */
#include "peer_namer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addresses.h"
#include "clock.h"
#include "conntrack.h"
#include "file.h"
#include "peers.h"

#define SECOND_NS     1000000000ull
#define LOOK_NS	      (2 * SECOND_NS)
#define READ_AGAIN_NS (60 * SECOND_NS) /* a container's addresses */
#define READ_SOON_NS  (4 * SECOND_NS)  /* of one that had none */
#define ASK_AGAIN_NS \
	(10 * SECOND_NS) /* the connection tracking; at most a fiftieth of the time is spent on it */
#define COST_MOST	 50
#define DEPTH_MOST	 4  /* how far down a container's cgroups a process is looked for, */
#define DIRECTORIES_MOST 32 /* and in how many at most */
#define PROCS_MOST	 4096
#define SERVICE_MAX	 (2 * IDENTITY_NAME_MAX)

struct peer_namer_place {
	uint64_t cgroup_id;
	char *path; /* NULL: its addresses are known already */
	char *name, *pod, *service;
	struct addresses addresses;
	uint64_t read_ns; /* when they were read; 0: never */
};

/* ---- The containers that there are --------------------------------------------------------------- */

static void free_place(struct peer_namer_place *place)
{
	free(place->path);
	free(place->name);
	free(place->pod);
	free(place->service);
}

static void free_places(struct peer_namer_place *places, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_place(&places[i]);
	free(places);
}

struct listing {
	struct peer_namer_place *all;
	size_t count, capacity;
	bool failed;
};

static char *join(const char *first, const char *second)
{
	char text[SERVICE_MAX] = "";

	if (first && second)
		snprintf(text, sizeof(text), "%s/%s", first, second);
	return strdup(text);
}

static void list_container(void *user, struct cgroup *cgroup, bool holds_others)
{
	const struct group *group = cgroup->group;
	struct listing *listing = user;
	const char *name_space = group_label(group, "namespace"), *owner = group_label(group, "owner_name");
	struct peer_namer_place place = {.cgroup_id = cgroup->id};

	(void)holds_others;
	if (group->kind != IDENTITY_CONTAINER || !cgroup->path || listing->failed)
		return;
	if (listing->count == listing->capacity) {
		size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
		struct peer_namer_place *all = reallocarray(listing->all, capacity, sizeof(*all));

		listing->failed = !all;
		if (!all)
			return;
		listing->all = all;
		listing->capacity = capacity;
	}
	place.path = strdup(cgroup->path);
	place.name = strdup(group->name);
	place.pod = join(name_space, group_label(group, "pod_name"));
	place.service =
	    owner ? join(name_space, owner)
		  : join(group_label(group, "compose_project"), group_label(group, "compose_service"));
	listing->all[listing->count++] = place;
	listing->failed = !place.path || !place.name || !place.pod || !place.service;
}

static int compare_places(const void *a, const void *b)
{
	const struct peer_namer_place *left = a, *right = b;

	return left->cgroup_id < right->cgroup_id ? -1 : left->cgroup_id > right->cgroup_id;
}

/* What was read of those that are known already is kept. */
static void take_listing(struct peer_namer *namer, struct listing *listing)
{
	size_t old = 0;

	qsort(listing->all, listing->count, sizeof(*listing->all), compare_places);
	for (size_t i = 0; i < listing->count; i++) {
		struct peer_namer_place *place = &listing->all[i];

		while (old < namer->place_count && namer->places[old].cgroup_id < place->cgroup_id)
			old++;
		if (old == namer->place_count || namer->places[old].cgroup_id != place->cgroup_id)
			continue;
		place->addresses = namer->places[old].addresses;
		place->read_ns = namer->places[old].read_ns;
	}
	free_places(namer->places, namer->place_count);
	namer->places = listing->all;
	namer->place_count = listing->count;
}

/* ---- Their addresses ----------------------------------------------------------------------------- */

/* The first process in a directory of cgroups, or below. False: there is none, or it is not of our /proc. */
static bool find_process(int dirfd, const char *path, char process[16], unsigned depth, unsigned *left)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char pids[PROCS_MOST];
	struct dirent *entry;
	bool found = false;
	DIR *directory;
	long length;
	int copy;

	if (fd < 0 || !*left)
		return false;
	--*left;
	/* The beginning will do. */
	length = file_read(fd, "cgroup.procs", pids, sizeof(pids));
	if (length > 0 || length == -EFBIG) {
		snprintf(process, 16, "%.*s", (int)strcspn(pids, "\n"), pids);
		return strcmp(process, "0") != 0;
	}
	copy = depth ? dup(fd) : -1;
	directory = copy >= 0 ? fdopendir(copy) : NULL;
	if (!directory && copy >= 0)
		close(copy);
	while (directory && !found && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && *entry->d_name != '.')
			found = find_process(fd, entry->d_name, process, depth - 1, left);
	if (directory)
		closedir(directory);
	return found;
}

static void read_place(const struct peer_namer *namer, struct peer_namer_place *place, uint64_t now)
{
	uint64_t again = place->addresses.count ? READ_AGAIN_NS : READ_SOON_NS;
	unsigned left = DIRECTORIES_MOST;
	struct addresses addresses;
	char process[16];

	if (place->read_ns && now - place->read_ns < again)
		return;
	place->read_ns = now;
	/* Where nothing can be read any more, the last that was known stays until the cgroup goes. */
	if (find_process(namer->cgroups->hierarchy->root_fd, place->path + 1, process, DEPTH_MOST, &left) &&
	    addresses_read(&addresses, namer->proc_root, process) == 0)
		place->addresses = addresses;
}

/* What a container has in common with the host is the host's. */
static int add_place(struct peer_names *names, const struct peer_namer_place *place,
		     const struct addresses *hosts)
{
	int r = 0;

	for (size_t i = 0; i < place->addresses.count && !r; i++) {
		const struct endpoint *address = &place->addresses.all[i];

		if (!addresses_have(hosts, address))
			r = peer_names_add(names, address, place->name, place->pod, place->service);
	}
	return r;
}

static int add_addresses(struct peer_namer *namer, struct peer_names *names)
{
	struct addresses hosts = {0};
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	int r = 0;

	if (addresses_read(&hosts, namer->proc_root, "1"))
		addresses_read(&hosts, namer->proc_root, "self");
	for (size_t i = 0; i < namer->place_count && !r; i++) {
		read_place(namer, &namer->places[i], now);
		r = add_place(names, &namer->places[i], &hosts);
	}
	return r;
}

/* ---- Who answers --------------------------------------------------------------------------------- */

struct servers {
	struct endpoint *all;
	size_t count, capacity;
};

static void list_server(void *user, const struct endpoint *server)
{
	struct servers *servers = user;

	if (endpoint_is_loopback(server) || servers->count == servers->capacity)
		return;
	servers->all[servers->count++] = *server;
}

static void want_servers(struct peer_names *names, const struct servers *servers)
{
	for (size_t i = 0; i < servers->count; i++)
		if (!peer_names_has_address(names, &servers->all[i]))
			peer_names_want(names, &servers->all[i]);
	peer_names_settle(names);
}

static void answered(void *user, const struct endpoint *asked, const struct endpoint *answers)
{
	peer_names_answered(user, asked, answers);
}

static void say_refusal(struct peer_namer *namer, int r)
{
	namer->conntrack_refused = true;
	if (r == -EPERM)
		log_info(&namer->logger,
			 "peers: connection tracking can't be read (%s): servers whose addresses are "
			 "translated go "
			 "by those that were asked for. It takes CAP_NET_ADMIN",
			 strerror(-r));
}

/* Where nobody asked for a translated address, or there is no connection tracking, nothing is read. */
static void find_answers(struct peer_namer *namer, struct peer_names *names, const struct peer_names *before)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC), took;
	int r;

	if (!peer_names_wanted_count(names))
		return;
	if (began < namer->next_conntrack_ns || namer->conntrack_refused) {
		peer_names_inherit(names, before);
		return;
	}
	r = conntrack_read(answered, names);
	if (r == -EPERM)
		say_refusal(namer, r);
	took = clock_ns(CLOCK_MONOTONIC) - began;
	namer->next_conntrack_ns =
	    clock_ns(CLOCK_MONOTONIC) + (took * COST_MOST > ASK_AGAIN_NS ? took * COST_MOST : ASK_AGAIN_NS);
}

/* ---- The thread ---------------------------------------------------------------------------------- */

/* Under the lock, which is let go meanwhile. Only this thread gives the peers their names. */
static void look(struct peer_namer *namer)
{
	struct listing listing = {0};
	struct servers servers = {.capacity = namer->peers->most};
	struct peer_names *names = peer_names_new();
	const struct peer_names *before = namer->peers->names;
	bool good;

	servers.all = calloc(servers.capacity, sizeof(*servers.all));
	good = names && servers.all;
	if (good) {
		cgroups_each_topmost(namer->cgroups, list_container, &listing);
		peers_each_server(namer->peers, list_server, &servers);
	}
	pthread_mutex_unlock(namer->lock);
	if (listing.failed || !good) {
		free_places(listing.all, listing.count);
		good = false;
	} else {
		take_listing(namer, &listing);
		good = add_addresses(namer, names) == 0;
		want_servers(names, &servers);
		find_answers(namer, names, before);
	}
	free(servers.all);
	good = good && !(before && peer_names_equal(names, before));
	pthread_mutex_lock(namer->lock);
	if (good)
		peers_set_names(namer->peers, names);
	else
		peer_names_free(names);
}

static void *run(void *argument)
{
	struct peer_namer *namer = argument;

	pthread_mutex_lock(namer->lock);
	while (!namer->worker.stopping) {
		uint64_t next = clock_ns(CLOCK_MONOTONIC) + LOOK_NS;

		look(namer);
		if (!namer->worker.stopping)
			worker_wait(&namer->worker, next);
	}
	pthread_mutex_unlock(namer->lock);
	return NULL;
}

int peer_namer_start(struct peer_namer *namer, struct cgroups *cgroups, struct peers *peers,
		     const struct deepmon_options *options, const struct deepmon_logger *logger,
		     pthread_mutex_t *lock)
{
	*namer = (struct peer_namer){.cgroups = cgroups, .peers = peers, .logger = *logger, .lock = lock};
	root_proc(options, namer->proc_root);
	return worker_start(&namer->worker, lock, run, namer);
}

void peer_namer_stop(struct peer_namer *namer)
{
	if (!namer->worker.runs)
		return;
	worker_stop(&namer->worker);
	free_places(namer->places, namer->place_count);
}
