/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel's rows of peers as they were at a sample, and by what names the tables of addresses have them:
 * what the ledger reads while it is recorded, and of a recording. See kernel_copy.h.
 */
#ifndef DEEPMON_PEERS_COPY_H
#define DEEPMON_PEERS_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/peer.h"
#include "recording.h"

#define PEERS_COPY_ROWS_MAX (1u << 20)

/* What the tables know of the endpoint that has a row. */
struct peer_known {
	char *name;	/* NULL: nothing */
	uint16_t port;	/* that it has by that name */
	bool looked_up; /* since it has the row; while it is recorded */
};

struct peers_copy {
	uint32_t most;		  /* rows but the first, which is nobody's; 0: there are no peers */
	uint32_t rows_used;	  /* one past the highest that was ever in use */
	struct peer_row *rows;	  /* serial is not kept */
	struct peer_known *known; /* [row] */
	bool names_changed;	  /* since the last charge */
};

/* -E2BIG: more rows than a copy is made of. -ENOMEM. */
int peers_copy_init(struct peers_copy *copy, uint32_t most);
void peers_copy_clear(struct peers_copy *copy);

/* RECORDING_PEERS, in a record that is open: brings a row up to `now`, and writes down what changed. */
void peers_copy_put(struct peers_copy *copy, struct recording_out *out, const struct recording_fields *fields,
		    uint32_t row, const struct peer_row *now);
/* RECORDING_PEER_NAMES, likewise. `name` may be NULL. */
void peers_copy_put_name(struct peers_copy *copy, struct recording_out *out, uint32_t row, const char *name,
			 uint16_t port);

/* What is bad the record says. */
void peers_copy_play(struct peers_copy *copy, struct recording_in *record,
		     const struct recording_fields *fields);
void peers_copy_play_names(struct peers_copy *copy, struct recording_in *record);

#endif
