/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Whom each group talks with: what the kernel counted of each endpoint at the other side, by its name. What
 * is told of no peer is its group's all the same.
 */
#ifndef DEEPMON_PEERS_H
#define DEEPMON_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/net.h"
#include "../bpf/peer.h"
#include "peer_names.h"
#include "peers_copy.h"

struct cgroup;
struct cgroups;

/* What a report tells of no peer goes by this name. */
#define PEER_UNTOLD "(other)"

/* An address or a container's name; of a server with its port. */
#define PEER_NAME_MAX 512

/* All endpoints of one name, protocol and role in a group. */
struct peer {
	struct peer *next;	 /* in its group */
	uint8_t protocol;	 /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t role;		 /* enum peer_role: what the group is to it */
	bool telling;		 /* the report that is being made tells of it */
	uint64_t used_ns;	 /* when it was last seen to be used, CLOCK_MONOTONIC */
	struct peer_usage fresh; /* since the last report */
	struct peer_usage told;	 /* in those reports that told of it */
	char name[];
};

/* A group's. All zero: it has none. */
struct peer_list {
	struct peer *first;
	void *by_name;			/* tsearch tree of the same */
	struct peer_usage untold;	/* in no report told of any of them */
	struct peer_usage untold_fresh; /* of it, in the last report */
};

void peer_list_clear(struct peer_list *list);
/* Moves those of another group over; of the same name they become one. */
void peer_list_absorb(struct peer_list *to, struct peer_list *from);

/* The kernel's side: maps of bpf/peers.bpf.h, two of them as memory, or but a copy of what they said. */
struct peer_maps {
	struct peer_row *rows;	 /* `most` and one more, the first nobody's */
	struct peer_slot *slots; /* by slot */
	int row_by_peer, free_rows;
	bool *ready;		 /* no row is given before it is true; NULL: nobody asks */
	uint32_t most;		 /* 0: there are no peers */
	struct peers_copy *copy; /* read in place of the rows, which may be NULL then; NULL: they are read */
};

/* What is kept of a row between samples. */
struct peer_entry;

struct peers {
	struct peer_maps maps;
	uint32_t most;	    /* rows, and names over all groups */
	uint32_t told;	    /* of each container, at most */
	uint32_t rows_used; /* one past the highest row that was ever seen in use */
	uint32_t slack;	    /* rows past it that are looked at, too */
	uint64_t refused;   /* times that a name found no room; only grows */

	size_t count;		    /* of names */
	struct peer_entry *entries; /* by row */
	struct peer **sorted;	    /* room for all names of a group */

	struct peer_names *names; /* NULL: addresses have none */
	bool names_changed;	  /* since the last charge */
	bool names_met; /* a peer goes by the name of the container that the kernel saw at the other end */
};

/* -ENOMEM. All rows are free then, and are given to the kernel. */
int peers_init(struct peers *peers, const struct peer_maps *maps, uint32_t most, uint32_t told,
	       uint32_t cpu_count);
void peers_clear(struct peers *peers);

/* Tells the kernel whose peers and paths are not told. `owners`: the cgroup of each slot, or NULL. */
void peers_mark_slots(struct peer_slot *slots, struct cgroup *const *owners, uint32_t owner_count);

/*
 * Takes what the kernel counted since the last call to each group's peers, and takes back rows that nobody
 * uses. `owners`: the cgroup of each slot, or NULL. Read before the slots, so that what the peers have is
 * never more than what their group has.
 */
void peers_charge(struct peers *peers, const struct cgroups *cgroups, struct cgroup *const *owners,
		  uint32_t owner_count, uint64_t now_ns);

/*
 * Marks those that a report tells of: those of the group that had most bytes since the last. `fresh` and
 * `dialogues` are what the group itself had since then; the rest of that goes to list->untold. After the
 * report, peers_told.
 */
void peers_choose(struct peers *peers, struct peer_list *list, const struct net_usage *fresh,
		  const struct net_dialogues *dialogues);

/* Who is at the other side. */
struct endpoint peer_endpoint(const struct peer_key *key);

/* What endpoints are called from now on; it is the peers' then, and the one before is freed. */
void peers_set_names(struct peers *peers, struct peer_names *names);

/* Gets each endpoint that is the server of one of our containers. */
typedef void peers_visitor(void *user, const struct endpoint *server);
void peers_each_server(const struct peers *peers, peers_visitor *visit, void *user);

/* For recordings: brings to the copy by what names the rows go now, and writes down those that changed. */
void peers_capture_names(struct peers *peers, struct recording_out *out);

/* What was used up to here is told, or is not to be. */
void peers_told(struct peer_list *list);

#endif
