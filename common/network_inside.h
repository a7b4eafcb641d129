/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Inside of struct network, shared by network.c, which loads the programs and reads their maps, and
 * network_recorded.c, which keeps a copy of what those say.
 */
#ifndef DEEPMON_NETWORK_INSIDE_H
#define DEEPMON_NETWORK_INSIDE_H

#include "bpf_object.h"
#include "network.h"
#include "network_hooks.h"

struct network {
	struct net_bpf *bpf; /* NULL: all is played to the copy */
	struct bpf_links watched;
	struct network_way way;
	struct network_links links;
	uint32_t counted;
	enum network_follows follows;
	uint32_t max_peers; /* rows but the first; 0: peers are not counted apart */
	struct bpf_mapping usage, dialogues, peer_rows, peer_slots, path_rows;
	struct net_usage *taken;	       /* [slot] */
	struct net_dialogues *dialogues_taken; /* [slot] */
	struct kernel_copy *copy;	       /* read in place of the maps; NULL: they are read */
};

#endif
