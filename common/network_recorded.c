/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A copy of what the network's maps say while it is recorded, and a network that a recording is played to.
 */
#include <errno.h>
#include <stdlib.h>

#include "account.h"
#include "network_inside.h"

int network_keep_copy(struct network *network, const struct kernel *kernel)
{
	network->copy = kernel_copy_of(kernel);
	return network->copy && network->max_peers
		   ? peers_copy_init(&network->copy->peers, network->max_peers)
		   : 0;
}

static void read_sums(void *to, const void *mapped, size_t size)
{
	const any_sum *now = mapped;
	any_sum *sums = to;

	for (size_t i = 0; i < size / sizeof(*sums); i++)
		sums[i] = __atomic_load_n(&now[i], __ATOMIC_RELAXED);
}

/*
 * The owner first: what follows was written before it. Past the last row that was ever in use so many are
 * looked at as CPUs may have left out, each with one in its hands.
 */
static void capture_peers(const struct network *network, struct recording_out *out)
{
	struct kernel_copy *copy = network->copy;
	const struct peer_row *rows = network->peer_rows.memory;

	recording_begin(out, RECORDING_PEERS);
	for (uint32_t row = 1; row <= network->max_peers && row <= copy->peers.rows_used + copy->cpu_count;
	     row++) {
		uint64_t owner = __atomic_load_n(&rows[row].key.cgroup_id, __ATOMIC_ACQUIRE);
		struct peer_row now = {.other = __atomic_load_n(&rows[row].other, __ATOMIC_RELAXED)};

		if (owner)
			now.key = rows[row].key;
		now.key.cgroup_id = owner;
		read_sums(&now.used, &rows[row].used, sizeof(now.used));
		peers_copy_put(&copy->peers, out, &copy->fields[RECORDING_OF_PEER], row, &now);
	}
	recording_put(out, 0);
	recording_end(out);
}

/* Of structs of sums, one for each slot. */
static void capture_slots(struct kernel_copy *copy, struct recording_out *out, enum recording_figures figures,
			  void *last, const void *mapped, size_t size)
{
	const struct recording_fields *fields = &copy->fields[figures];
	uint64_t now[sizeof(struct net_dialogues) / sizeof(uint64_t)];

	for (uint32_t slot = 0; slot < copy->slots; slot++) {
		void *before = (char *)last + slot * size;

		read_sums(now, (const char *)mapped + slot * size, size);
		if (!recording_has_growth(fields, before, now))
			continue;
		recording_put(out, slot + 1);
		recording_put_growth(out, fields, before, now);
	}
	recording_put(out, 0);
}

_Static_assert(sizeof(struct net_usage) <= sizeof(struct net_dialogues), "room for either");

/* Peers first: so they never have more than whose they are. */
void network_capture(struct network *network, struct recording_out *out)
{
	struct kernel_copy *copy = network->copy;

	if (network->max_peers)
		capture_peers(network, out);
	recording_begin(out, RECORDING_NETWORK);
	capture_slots(copy, out, RECORDING_OF_NETWORK, copy->network, network->usage.memory,
		      sizeof(*copy->network));
	recording_end(out);
	if (!(network->counted & NETWORK_TRANSACTIONS))
		return;
	recording_begin(out, RECORDING_DIALOGUES);
	capture_slots(copy, out, RECORDING_OF_DIALOGUES, copy->dialogues, network->dialogues.memory,
		      sizeof(*copy->dialogues));
	recording_end(out);
}

int network_open_recorded(struct network **opened, uint32_t counted, const struct kernel *kernel)
{
	struct network *network = calloc(1, sizeof(*network));
	const uint32_t slots = kernel_slot_count(kernel);

	if (!network)
		return -ENOMEM;
	network->counted = counted;
	network->copy = kernel_copy_of(kernel);
	network->max_peers = network->copy->peers.most;
	network->taken = calloc(slots, sizeof(*network->taken));
	network->dialogues_taken = calloc(slots, sizeof(*network->dialogues_taken));
	if (!network->taken || !network->dialogues_taken) {
		network_close(network);
		return -ENOMEM;
	}
	*opened = network;
	return 0;
}
