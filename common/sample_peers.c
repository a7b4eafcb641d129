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
	if (counted & NETWORK_TRANSACTIONS && connections)
		valid |= VALID(TRAFFIC, transactions) | VALID(TRAFFIC, transaction_time_ns) |
			 VALID(TRAFFIC, request_bytes) | VALID(TRAFFIC, response_bytes);
	if (counted & NETWORK_HTTP && connections)
		valid |= VALID(TRAFFIC, http_transactions) | VALID(TRAFFIC, http_transaction_time_ns);
	return valid;
}

/* `*mean` and its bit, if there were any since the last report. */
static void tell_mean(struct deepmon_record *record, double *mean, uint64_t bit, uint64_t latency_ns,
		      uint64_t count)
{
	if (!count)
		return;
	*mean = (double)latency_ns / (double)count / 1e9;
	record->valid |= bit;
}

static void add_peer(struct sample *sample, const struct subject_of *of, const char *qualifier,
		     uint64_t valid, const struct peer_usage *told, const struct peer_usage *fresh)
{
	struct deepmon_record *record = sample_add_of(sample, of, DEEPMON_SUBJECT_TRAFFIC);

	record->qualifier = qualifier;
	record->values.traffic = (struct deepmon_traffic){.sent_bytes = told->sent_bytes,
							  .received_bytes = told->received_bytes,
							  .sent_messages = told->sent_messages,
							  .received_messages = told->received_messages,
							  .opened_connections = told->opened,
							  .failed_connections = told->failed,
							  .closed_connections = told->closed,
							  .transactions = told->tcp_answered,
							  .transaction_time_ns = told->tcp_latency_ns,
							  .request_bytes = told->tcp_request_bytes,
							  .response_bytes = told->tcp_answer_bytes,
							  .http_transactions = told->http_answered,
							  .http_transaction_time_ns = told->http_latency_ns};
	record->valid = valid;
	tell_mean(record, &record->values.traffic.latency_mean_seconds, VALID(TRAFFIC, latency_mean_seconds),
		  fresh->tcp_latency_ns, fresh->tcp_answered);
	tell_mean(record, &record->values.traffic.http_latency_mean_seconds,
		  VALID(TRAFFIC, http_latency_mean_seconds), fresh->http_latency_ns, fresh->http_timed);
}

static void add_told(struct sample *sample, struct subject_of of, const struct peer *peer, uint32_t counted)
{
	char qualifier[PEER_NAME_MAX + 32];

	of.peer = sample_keep_text(sample, peer->name);
	of.protocol = peer->protocol == IPPROTO_UDP ? "udp" : "tcp";
	of.role = peer->role == PEER_AS_SERVER ? "server" : "client";
	snprintf(qualifier, sizeof(qualifier), "%s-%s-%s", of.protocol, of.role, of.peer);
	add_peer(sample, &of, sample_keep_text(sample, qualifier),
		 peer_valid(counted, peer->protocol != IPPROTO_UDP), &peer->told, &peer->fresh);
}

void sample_add_peers(struct sample *sample, const struct attribution *attribution,
		      const struct subject_of *container, struct group *group)
{
	struct subject_of of = sample_part_of(DEEPMON_PEER, container);
	uint32_t counted = network_counted(attribution->network);
	struct net_usage fresh = group->account.used.network;
	struct net_dialogues dialogues = group->account.used.dialogues;

	sums_subtract(&fresh, &group->account.reported.network, sizeof(fresh));
	sums_subtract(&dialogues, &group->account.reported.dialogues, sizeof(dialogues));
	peers_choose(attribution->peers, &group->peers, &fresh, &dialogues);
	for (const struct peer *peer = group->peers.first; peer; peer = peer->next)
		if (peer->telling)
			add_told(sample, of, peer, counted);
	of.peer = PEER_UNTOLD;
	add_peer(sample, &of, PEER_UNTOLD, peer_valid(counted, true), &group->peers.untold,
		 &group->peers.untold_fresh);
	peers_told(&group->peers);
}
