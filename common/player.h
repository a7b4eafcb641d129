/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads a recording, frame by frame, whatever bytes it holds. See recording.h.
 */
#ifndef DEEPMON_PLAYER_H
#define DEEPMON_PLAYER_H

#include <stdio.h>

#include "deepmon.h"
#include "hierarchy.h"
#include "identity.h"
#include "recording.h"

struct player;

/*
 * Finds what frames there are. The stream becomes the player's, even on failure. -errno; -EBADMSG: it is no
 * recording, or its setup is damaged. -EPROTONOSUPPORT: of a later version.
 */
int player_open(struct player **player, FILE *stream);
/* Takes NULL. */
void player_close(struct player *player);

/* The span is known; host, kernel, machine and version are the setup's. */
const struct deepmon_recording *player_about(const struct player *player);

/* Back to the setup, which is the first frame. */
void player_rewind(struct player *player);
/* The kind and time of the next frame. -ENODATA: there is none. */
int player_peek(struct player *player, struct recording_frame_head *head);
/* Goes on to it. -EBADMSG: it is damaged. */
int player_next_frame(struct player *player);
/* The next record of the frame: its tag. 0: that was all, or what is left is damaged; then *bad. */
unsigned player_next(struct player *player, struct recording_in *record, bool *bad);

/* A text that is good until player_close; NULL: one of too many. */
const char *player_text(struct player *player, const char *text);

/* What hierarchy_walk and names_read would say, if the next records tell. -ENOENT: they do not. */
int player_search(struct player *player, hierarchy_visitor *visit, void *user);
int player_name(struct player *player, struct identity *identity);

/* The identity that a record holds. -EBADMSG. */
int player_take_identity(struct player *player, struct recording_in *record, struct identity *identity);

#endif
