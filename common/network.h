/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What each slot did on the network: loads bpf/net.bpf.c and reads what it counts.
 */
#ifndef DEEPMON_NETWORK_H
#define DEEPMON_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/net.h"
#include "deepmon.h"
#include "hierarchy.h"
#include "kernel.h"
#include "latency.h"
#include "paths.h"
#include "peers.h"

struct network;

/* The groups of figures that the kernel can give; others are absent. */
enum {
	NETWORK_TRAFFIC = 1,	 /* bytes, messages and the round-trip time */
	NETWORK_CONNECTIONS = 2, /* opened, failed, closed */
	NETWORK_RETRANSMITS = 4,
	NETWORK_RESETS = 8,
	NETWORK_TRANSACTIONS = 16,
	NETWORK_HTTP = 32, /* those of HTTP */
};

struct network_settings {
	const struct kernel *kernel;   /* whose slots are shared */
	const struct latency *latency; /* whose maps are; NULL: transactions are not counted */
	const struct hierarchy *hierarchy;
	bool http;	/* tell HTTP apart among transactions */
	uint32_t hooks; /* a word of the option NetworkHooks */
	/* Kept, and calls under way, where the kernel has no storage of sockets for us. */
	uint32_t max_sockets;
	uint32_t max_peers; /* counted apart; 0: none are */
	/* HTTP transactions by path, with `http`. */
	uint32_t max_paths; /* counted apart; 0: none are */
	uint32_t path_most; /* bytes of a path, at most HTTP_PATH_MOST */
	bool fold_paths;    /* ids in them are one */
};

/*
 * Shares the kernel's slots. Where sends and receives are heard of, if it is not the first choice, and what
 * stood in the way, is said to the logger. -errno.
 */
int network_open(struct network **network, const struct network_settings *settings,
		 const struct deepmon_logger *logger);
/* Takes NULL. */
void network_close(struct network *network);

/* As bpf_links_mend, but for kprobes. */
void network_mend(struct network *network, struct bpf_links_state *state);

/* A bit for each group that is counted. */
uint32_t network_counted(const struct network *network);

/* Whether sockets are kept in a hash; how many found no room in it, which only grows. */
bool network_keeps_hash(const struct network *network);
uint64_t network_sockets_refused(const struct network *network);

/* Whether kprobes are used; how many calls they lost, which only grows. */
bool network_has_kprobes(const struct network *network);
uint64_t network_calls_missed(const struct network *network);

/* The maps of peers, if they are counted apart; they belong to the network. How many found no row. */
struct peer_maps network_peer_maps(const struct network *network);
uint64_t network_peers_refused(const struct network *network);

/* Whether HTTP transactions are counted by path. The maps of that, likewise. */
bool network_has_paths(const struct network *network);
struct path_maps network_path_maps(const struct network *network);
uint64_t network_paths_refused(const struct network *network);

/* What was counted in the slot since the last call for it. */
void network_take(struct network *network, uint32_t slot, struct net_usage *used);
/* The same of its transactions. */
void network_take_dialogues(struct network *network, uint32_t slot, struct net_dialogues *used);

/* As bpf_object_add_run_time. */
int network_add_run_time(const struct network *network, uint64_t *run_time_ns, uint64_t *runs);

/* For recordings: as of the kernel, whose copy it takes part in. */
/* -ENOMEM. */
int network_keep_copy(struct network *network, const struct kernel *kernel);
void network_capture(struct network *network, struct recording_out *out);
/* One that is played to, through the kernel's copy. -ENOMEM. */
int network_open_recorded(struct network **network, uint32_t counted, const struct kernel *kernel);

#endif
