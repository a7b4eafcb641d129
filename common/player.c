/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads a recording. Nothing in the file is believed before it was looked at.
 */
#include "player.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "texts.h"

#define TEXTS_MAX 1024

struct player {
	FILE *stream;
	struct deepmon_recording about;
	uint64_t whole; /* bytes of the file up to the end of its last whole frame */
	uint64_t at;	/* where the next frame begins */
	uint8_t *payload;
	size_t capacity;
	struct recording_in frame; /* what is left of the running one */
	struct texts texts;
	const char *known[TEXTS_MAX];
	size_t known_count;
};

/* ---- Frames ------------------------------------------------------------------------------------- */

static int read_at(struct player *player, uint64_t offset, void *bytes, size_t length)
{
	if (fseeko(player->stream, (off_t)offset, SEEK_SET))
		return -errno;
	errno = EIO;
	if (fread(bytes, 1, length, player->stream) == length)
		return 0;
	return ferror(player->stream) ? -errno : -ENODATA;
}

static int peek_at(struct player *player, uint64_t offset, uint64_t end, uint8_t *bytes,
		   struct recording_frame_head *head)
{
	int r;

	if (end - offset < RECORDING_FRAME_HEAD_SIZE)
		return -ENODATA;
	r = read_at(player, offset, bytes, RECORDING_FRAME_HEAD_SIZE);
	if (r)
		return r;
	recording_take_frame_head(bytes, head);
	if (head->length > RECORDING_FRAME_MAX)
		return -EBADMSG;
	return head->length > end - offset - RECORDING_FRAME_HEAD_SIZE ? -ENODATA : 0;
}

/* By the heads alone; whether what is between them is whole is seen when it is played. */
static int find_frames(struct player *player)
{
	struct deepmon_recording *about = &player->about;
	struct recording_frame_head head;
	uint8_t bytes[RECORDING_FRAME_HEAD_SIZE];
	off_t size;
	int r;

	if (fseeko(player->stream, 0, SEEK_END) || (size = ftello(player->stream)) < 0)
		return -errno;
	player->whole = RECORDING_HEAD_SIZE;
	while (!(r = peek_at(player, player->whole, (uint64_t)size, bytes, &head))) {
		player->whole += RECORDING_FRAME_HEAD_SIZE + head.length;
		if (head.kind != RECORDING_REPORT)
			continue;
		about->first_ns = about->samples++ ? about->first_ns : head.time_ns;
		about->last_ns = head.time_ns;
	}
	about->cut = player->whole != (uint64_t)size;
	return r == -ENODATA || r == -EBADMSG ? 0 : r;
}

int player_peek(struct player *player, struct recording_frame_head *head)
{
	uint8_t bytes[RECORDING_FRAME_HEAD_SIZE];

	return peek_at(player, player->at, player->whole, bytes, head);
}

int player_next_frame(struct player *player)
{
	struct recording_frame_head head;
	uint8_t bytes[RECORDING_FRAME_HEAD_SIZE];
	int r = peek_at(player, player->at, player->whole, bytes, &head);

	player->frame = (struct recording_in){0};
	if (r)
		return r;
	if (!player->payload || head.length > player->capacity) {
		uint8_t *payload = realloc(player->payload, head.length ? head.length : 1);

		if (!payload)
			return -ENOMEM;
		player->payload = payload;
		player->capacity = head.length;
	}
	r = head.length
		? read_at(player, player->at + RECORDING_FRAME_HEAD_SIZE, player->payload, head.length)
		: 0;
	if (r)
		return r;
	if (!recording_frame_is_whole(bytes, player->payload))
		return -EBADMSG;
	player->at += RECORDING_FRAME_HEAD_SIZE + head.length;
	player->frame = (struct recording_in){.at = player->payload, .end = player->payload + head.length};
	return 0;
}

unsigned player_next(struct player *player, struct recording_in *record, bool *bad)
{
	unsigned tag = player->frame.at ? recording_next(&player->frame, record) : 0;

	*bad = player->frame.bad;
	return tag;
}

void player_rewind(struct player *player)
{
	player->at = RECORDING_HEAD_SIZE;
	player->frame = (struct recording_in){0};
}

const struct deepmon_recording *player_about(const struct player *player)
{
	return &player->about;
}

/* Whose it is. */
static int read_host(struct player *player)
{
	struct deepmon_recording *about = &player->about;
	struct recording_in record;
	bool bad;
	int r = player_next_frame(player);

	if (r)
		return r == -ENODATA ? -EBADMSG : r;
	if (player_next(player, &record, &bad) != RECORDING_HOST)
		return -EBADMSG;
	recording_take_text(&record, about->host, sizeof(about->host));
	recording_take_text(&record, about->kernel, sizeof(about->kernel));
	recording_take_text(&record, about->machine, sizeof(about->machine));
	recording_take_text(&record, about->version, sizeof(about->version));
	player_rewind(player);
	return record.bad ? -EBADMSG : 0;
}

int player_open(struct player **opened, FILE *stream)
{
	struct player *player = calloc(1, sizeof(*player));
	uint8_t head[RECORDING_HEAD_SIZE];
	int r;

	if (!player) {
		fclose(stream);
		return -ENOMEM;
	}
	player->stream = stream;
	r = read_at(player, 0, head, sizeof(head));
	if (!r)
		r = recording_check_head(head);
	if (!r)
		r = find_frames(player);
	player_rewind(player);
	if (!r)
		r = read_host(player);
	if (r) {
		player_close(player);
		return r == -ENODATA ? -EBADMSG : r;
	}
	*opened = player;
	return 0;
}

void player_close(struct player *player)
{
	if (!player)
		return;
	fclose(player->stream);
	texts_clear(&player->texts);
	free(player->payload);
	free(player);
}

const char *player_text(struct player *player, const char *text)
{
	const char *kept;

	for (size_t i = 0; i < player->known_count; i++)
		if (!strcmp(player->known[i], text))
			return player->known[i];
	if (player->known_count == TEXTS_MAX)
		return NULL;
	kept = texts_keep(&player->texts, text);
	if (kept)
		player->known[player->known_count++] = kept;
	return kept;
}

/* ---- What was found ------------------------------------------------------------------------------ */

/* The next record, if it has that tag; else it stays the next. */
static bool next_is(struct player *player, enum recording_tag tag, struct recording_in *record)
{
	struct recording_in frame = player->frame;

	if (!frame.at || recording_next(&frame, record) != (unsigned)tag)
		return false;
	player->frame = frame;
	return true;
}

int player_search(struct player *player, hierarchy_visitor *visit, void *user)
{
	struct recording_in record;
	char path[CGROUP_PATH_MAX];

	/* The search's own record is gone if it was what asked for the search. */
	next_is(player, RECORDING_SEARCH, &record);
	for (;;) {
		if (next_is(player, RECORDING_FOUND, &record)) {
			uint64_t id = recording_take(&record);

			recording_take_text(&record, path, sizeof(path));
			if (record.bad)
				return -EBADMSG;
			visit(user, id, path);
		} else if (next_is(player, RECORDING_SEARCHED, &record)) {
			return recording_take(&record) ? 0 : -EIO;
		} else if (!next_is(player, RECORDING_NAME, &record)) {
			return -ENOENT;
		}
	}
}

int player_take_identity(struct player *player, struct recording_in *record, struct identity *identity)
{
	uint64_t kind = recording_take(record), labels;
	char runtime[IDENTITY_NAME_MAX];

	memset(identity, 0, sizeof(*identity));
	record->bad |= kind > IDENTITY_CONTAINER;
	identity->kind = kind ? IDENTITY_CONTAINER : IDENTITY_SYSTEM;
	recording_take_text(record, runtime, sizeof(runtime));
	recording_take_text(record, identity->id, sizeof(identity->id));
	recording_take_text(record, identity->name, sizeof(identity->name));
	recording_take_text(record, identity->container, sizeof(identity->container));
	recording_take_text(record, identity->image, sizeof(identity->image));
	recording_take_text(record, identity->version, sizeof(identity->version));
	identity->named = recording_take(record);
	identity->user = recording_take_signed(record);
	labels = recording_take(record);
	record->bad |= labels > IDENTITY_LABELS_MAX || !*identity->name || (kind && !*identity->id);
	for (uint64_t i = 0; i < labels && !record->bad; i++) {
		struct identity_label *label = &identity->labels[identity->label_count++];

		recording_take_text(record, label->key, sizeof(label->key));
		recording_take_text(record, label->value, sizeof(label->value));
		record->bad |= !*label->key || !*label->value;
	}
	if (record->bad)
		return -EBADMSG;
	identity->runtime = *runtime ? player_text(player, runtime) : NULL;
	return 0;
}

int player_name(struct player *player, struct identity *identity)
{
	struct recording_in record, before = player->frame;
	struct identity found;
	char id[IDENTITY_ID_MAX];
	int r;

	if (!next_is(player, RECORDING_NAME, &record))
		return -ENOENT;
	recording_take_text(&record, id, sizeof(id));
	r = player_take_identity(player, &record, &found);
	if (r)
		return r;
	if (strcmp(id, identity->id) != 0) {
		player->frame = before;
		return -ENOENT;
	}
	*identity = found;
	return 0;
}
