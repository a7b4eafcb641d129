/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of whom containers talk with. Memory only.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "sample_parts.h"

/* What the kernel's hooks give of it; UDP has no connections. */
static uint64_t peer_valid(uint32_t counted, bool connections)
{
	uint64_t valid = 0;

	if (counted & NETWORK_TRAFFIC)
		valid |= VALID(TRAFFIC, sent_bytes) | VALID(TRAFFIC, received_bytes) |
			 VALID(TRAFFIC, sent_messages) | VALID(TRAFFIC, received_messages);
	if (counted & NETWORK_CONNECTIONS && connections)
		valid |= VALID(TRAFFIC, opened_connections) | VALID(TRAFFIC, failed_connections) |
			 VALID(TRAFFIC, closed_connections);
	return valid;
}

static struct deepmon_record *add_peer(struct sample *sample, const struct subject_of *of,
				       const char *qualifier, const struct peer_usage *told)
{
	struct deepmon_record *record = sample_add_of(sample, of, DEEPMON_SUBJECT_TRAFFIC);

	record->qualifier = qualifier;
	record->values.traffic = (struct deepmon_traffic){.sent_bytes = told->sent_bytes,
							  .received_bytes = told->received_bytes,
							  .sent_messages = told->sent_messages,
							  .received_messages = told->received_messages,
							  .opened_connections = told->opened,
							  .failed_connections = told->failed,
							  .closed_connections = told->closed};
	return record;
}

static void add_told(struct sample *sample, struct subject_of of, const struct peer *peer, uint32_t counted)
{
	char qualifier[PEER_NAME_MAX + 32];

	of.peer = sample_keep_text(sample, peer->name);
	of.protocol = peer->protocol == IPPROTO_UDP ? "udp" : "tcp";
	of.role = peer->role == PEER_AS_SERVER ? "server" : "client";
	snprintf(qualifier, sizeof(qualifier), "%s-%s-%s", of.protocol, of.role, of.peer);
	add_peer(sample, &of, sample_keep_text(sample, qualifier), &peer->told)->valid =
	    peer_valid(counted, peer->protocol != IPPROTO_UDP);
}

void sample_add_peers(struct sample *sample, const struct attribution *attribution,
		      const struct subject_of *container, struct group *group)
{
	struct subject_of of = sample_part_of(DEEPMON_PEER, container);
	uint32_t counted = network_counted(attribution->network);
	struct net_usage fresh = group->account.used.network;

	sums_subtract(&fresh, &group->account.reported.network, sizeof(fresh));
	peers_choose(attribution->peers, &group->peers, &fresh);
	for (const struct peer *peer = group->peers.first; peer; peer = peer->next)
		if (peer->telling)
			add_told(sample, of, peer, counted);
	of.peer = PEER_UNTOLD;
	add_peer(sample, &of, PEER_UNTOLD, &group->peers.untold)->valid = peer_valid(counted, true);
	peers_told(&group->peers);
}
