/* SPDX-License-Identifier: GPL-3.0-only
 *
 * By what names peers go, while they are recorded.
 */
#include "peers.h"

void peers_capture_names(struct peers *peers, struct recording_out *out)
{
	struct peers_copy *copy = peers->maps.copy;

	recording_begin(out, RECORDING_PEER_NAMES);
	for (uint32_t row = 1; row < copy->rows_used; row++) {
		const struct endpoint endpoint = peer_endpoint(&copy->rows[row].key);
		uint16_t port = endpoint.port;

		if (!copy->rows[row].key.cgroup_id || (copy->known[row].looked_up && !peers->names_changed))
			continue;
		peers_copy_put_name(copy, out, row,
				    peers->names ? peer_names_find(peers->names, &endpoint, &port) : NULL,
				    port);
	}
	recording_put(out, 0);
	recording_end(out);
}
