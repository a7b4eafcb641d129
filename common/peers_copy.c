/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Rows of peers in a recording. Pure.
 */
#include "peers_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peers.h"

/* What is told of a row. */
enum { ANOTHER = 1, OTHER_END = 2, GREW = 4 };

int peers_copy_init(struct peers_copy *copy, uint32_t most)
{
	*copy = (struct peers_copy){.rows_used = 1};
	if (most > PEERS_COPY_ROWS_MAX)
		return -E2BIG;
	copy->rows = calloc((size_t)most + 1, sizeof(*copy->rows));
	copy->known = calloc((size_t)most + 1, sizeof(*copy->known));
	if (!copy->rows || !copy->known) {
		peers_copy_clear(copy);
		return -ENOMEM;
	}
	copy->most = most;
	return 0;
}

void peers_copy_clear(struct peers_copy *copy)
{
	for (uint32_t row = 1; copy->known && row < copy->rows_used; row++)
		free(copy->known[row].name);
	free(copy->known);
	free(copy->rows);
	*copy = (struct peers_copy){0};
}

/* Whoever has the row now goes by no name yet. */
static void set_key(struct peers_copy *copy, uint32_t row, const struct peer_key *key)
{
	copy->rows[row].key = *key;
	free(copy->known[row].name);
	copy->known[row] = (struct peer_known){0};
	if (row >= copy->rows_used)
		copy->rows_used = row + 1;
}

/* ---- Writing ------------------------------------------------------------------------------------ */

static void put_key(struct recording_out *out, const struct peer_key *key)
{
	recording_put(out, key->cgroup_id);
	if (!key->cgroup_id)
		return;
	recording_put(out, key->family);
	recording_put_bytes(out, key->address, key->family == 4 ? 4 : sizeof(key->address));
	recording_put(out, key->port);
	recording_put(out, key->protocol);
	recording_put(out, key->role);
}

void peers_copy_put(struct peers_copy *copy, struct recording_out *out, const struct recording_fields *fields,
		    uint32_t row, const struct peer_row *now)
{
	struct peer_row *last = &copy->rows[row];
	uint64_t what = 0;

	if (memcmp(&last->key, &now->key, sizeof(now->key)) != 0)
		what |= ANOTHER;
	if (last->other != now->other)
		what |= OTHER_END;
	if (recording_has_growth(fields, &last->used, &now->used))
		what |= GREW;
	if (!what)
		return;
	recording_put(out, row + 1);
	recording_put(out, what);
	if (what & ANOTHER) {
		put_key(out, &now->key);
		set_key(copy, row, &now->key);
	}
	if (what & OTHER_END)
		recording_put(out, last->other = now->other);
	if (what & GREW)
		recording_put_growth(out, fields, &last->used, &now->used);
}

static bool same_name(const char *left, const char *right)
{
	return left && right ? strcmp(left, right) == 0 : left == right;
}

/* False: there is no memory for it. */
static bool set_name(struct peers_copy *copy, uint32_t row, const char *name, uint16_t port)
{
	struct peer_known *known = &copy->known[row];
	char *text = name ? strndup(name, PEER_NAME_MAX - 1) : NULL;

	if (name && !text)
		return false;
	free(known->name);
	known->name = text;
	known->port = port;
	copy->names_changed = true;
	return true;
}

void peers_copy_put_name(struct peers_copy *copy, struct recording_out *out, uint32_t row, const char *name,
			 uint16_t port)
{
	struct peer_known *known = &copy->known[row];

	known->looked_up = true;
	if (same_name(known->name, name) && (!name || known->port == port))
		return;
	if (!set_name(copy, row, name, port))
		return;
	recording_put(out, row + 1);
	recording_put(out, port);
	recording_put_text(out, name ? known->name : "");
}

/* ---- Playing ------------------------------------------------------------------------------------ */

/* Lists of rows end with 0; each is written one higher. False: the end, or a row that can't be. */
static bool next_row(const struct peers_copy *copy, struct recording_in *record, uint32_t *row)
{
	uint64_t number = recording_take(record);

	if (!number || record->bad)
		return false;
	record->bad = number == 1 || number > (uint64_t)copy->most + 1;
	*row = (uint32_t)number - 1;
	return !record->bad;
}

static void take_key(struct recording_in *record, struct peer_key *key)
{
	uint64_t family, port, protocol, role;
	const uint8_t *address;
	size_t length;

	*key = (struct peer_key){.cgroup_id = recording_take(record)};
	if (!key->cgroup_id)
		return;
	family = recording_take(record);
	length = family == 4 ? 4 : sizeof(key->address);
	address = recording_take_bytes(record, length);
	port = recording_take(record);
	protocol = recording_take(record);
	role = recording_take(record);
	record->bad |= (family != 4 && family != 6) || port > UINT16_MAX || protocol > UINT8_MAX ||
		       role > PEER_AS_SERVER;
	if (record->bad)
		return;
	memcpy(key->address, address, length);
	key->family = (uint8_t)family;
	key->port = (uint16_t)port;
	key->protocol = (uint8_t)protocol;
	key->role = (uint8_t)role;
}

static void play_row(struct peers_copy *copy, struct recording_in *record,
		     const struct recording_fields *fields, uint32_t row)
{
	uint64_t what = recording_take(record);
	struct peer_key key;

	if (what & ANOTHER) {
		take_key(record, &key);
		if (record->bad)
			return;
		set_key(copy, row, &key);
	}
	if (what & OTHER_END)
		copy->rows[row].other = recording_take(record);
	if (what & GREW)
		recording_take_growth(record, fields, &copy->rows[row].used);
}

void peers_copy_play(struct peers_copy *copy, struct recording_in *record,
		     const struct recording_fields *fields)
{
	uint32_t row;

	while (next_row(copy, record, &row))
		play_row(copy, record, fields, row);
}

void peers_copy_play_names(struct peers_copy *copy, struct recording_in *record)
{
	char name[PEER_NAME_MAX];
	uint32_t row;

	while (next_row(copy, record, &row)) {
		uint64_t port = recording_take(record);

		recording_take_text(record, name, sizeof(name));
		record->bad |= port > UINT16_MAX || row >= copy->rows_used;
		if (!record->bad)
			record->bad = !set_name(copy, row, *name ? name : NULL, (uint16_t)port);
	}
}
