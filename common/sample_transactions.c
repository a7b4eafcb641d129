/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Transactions in a sample: their counts and latencies. Memory only.
 */
#include <stdio.h>

#include "account.h"
#include "sample_parts.h"

/* Which of an account's transactions a record is about. */
struct which {
	enum net_protocol protocol;
	uint32_t sides; /* a bit for each enum net_side */
	const char *role;
};

static struct net_transactions sum_of(const struct net_dialogues *dialogues, const struct which *which)
{
	struct net_transactions sum = {0};

	for (int side = 0; side < NET_SIDES; side++)
		if (which->sides & 1u << side)
			sums_add(&sum, &dialogues->of[which->protocol][side], sizeof(sum));
	return sum;
}

/* A bit for each enum latency_kind. */
static uint32_t kinds_of(const struct which *which)
{
	static const enum latency_kind kinds[NET_PROTOCOLS][NET_SIDES] = {
	    {LATENCY_TCP_CLIENT, LATENCY_TCP_SERVER},
	    {LATENCY_HTTP_CLIENT, LATENCY_HTTP_SERVER},
	};
	uint32_t bits = 0;

	for (int side = 0; side < NET_SIDES; side++)
		if (which->sides & 1u << side)
			bits |= 1u << kinds[which->protocol][side];
	return bits;
}

void sample_tell_transactions(struct deepmon_record *record, const struct net_transactions *sum,
			      enum net_protocol protocol)
{
	record->values.transactions = (struct deepmon_transactions){
	    .transactions = sum->answered,
	    .unanswered = sum->unanswered,
	    .request_bytes = sum->request_bytes,
	    .response_bytes = sum->answer_bytes,
	    .responses_2xx = sum->status[0],
	    .responses_3xx = sum->status[1],
	    .responses_4xx = sum->status[2],
	    .responses_5xx = sum->status[3],
	};
	record->valid = VALID(TRANSACTIONS, transactions) | VALID(TRANSACTIONS, unanswered) |
			VALID(TRANSACTIONS, request_bytes) | VALID(TRANSACTIONS, response_bytes);
	if (protocol == NET_HTTP)
		record->valid |= VALID(TRANSACTIONS, responses_2xx) | VALID(TRANSACTIONS, responses_3xx) |
				 VALID(TRANSACTIONS, responses_4xx) | VALID(TRANSACTIONS, responses_5xx);
}

static void add(struct sample *sample, const struct subject_of *whose, const struct account *account,
		const struct which *which)
{
	static const char *const protocols[NET_PROTOCOLS] = {"tcp", "http"};
	struct net_transactions sum = sum_of(&account->used.dialogues, which);
	struct subject_of of = *whose;
	struct deepmon_record *record;
	char qualifier[32];

	/* Who never was one is told of as none. */
	if (!sum.answered && !sum.unanswered && !sum.request_bytes)
		return;
	of.protocol = protocols[which->protocol];
	of.role = which->role;
	snprintf(qualifier, sizeof(qualifier), "%s-%s", of.protocol, of.role);
	record = sample_add_of(sample, &of, DEEPMON_SUBJECT_TRANSACTIONS);
	record->qualifier = sample_keep_text(sample, qualifier);
	sample_tell_transactions(record, &sum, which->protocol);
	SAMPLE_TELL_LATENCIES(sample, record, TRANSACTIONS, transactions, account->latencies,
			      kinds_of(which));
}

void sample_add_transactions(struct sample *sample, const struct subject_of *of,
			     const struct account *account)
{
	static const struct which roles[] = {
	    {.sides = 1u << NET_AS_CLIENT, .role = "client"},
	    {.sides = 1u << NET_AS_SERVER, .role = "server"},
	    {.sides = 1u << NET_AS_CLIENT | 1u << NET_AS_SERVER, .role = "both"},
	};

	for (int protocol = 0; protocol < NET_PROTOCOLS; protocol++) {
		for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
			struct which which = roles[i];

			which.protocol = (enum net_protocol)protocol;
			add(sample, of, account, &which);
		}
	}
}
