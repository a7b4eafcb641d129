/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Histograms of latencies in a recording. Pure.
 */
#include "latency_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "latencies.h"

#define KIND_NAME_MAX 64

_Static_assert(HISTOGRAM_SUBS == 64, "a bit of a number for each bucket");

int latency_copy_init(struct latency_copy *copy, uint32_t page_count, uint32_t slot_count)
{
	*copy = (struct latency_copy){.slot_count = slot_count, .kind_count = LATENCY_KINDS};
	for (int kind = 0; kind < LATENCY_KINDS; kind++)
		copy->kind[kind] = kind;
	if (page_count > LATENCY_COPY_PAGES_MAX)
		return -E2BIG;
	copy->keys = calloc(page_count, sizeof(*copy->keys));
	if (!copy->keys)
		return -ENOMEM;
	copy->page_count = page_count;
	return 0;
}

void latency_copy_clear(struct latency_copy *copy)
{
	free(copy->keys);
	free(copy->fresh);
	*copy = (struct latency_copy){0};
}

int latency_copy_add(struct latency_copy *copy, const struct latency_fresh *fresh)
{
	if (copy->fresh_count == copy->page_count)
		return -E2BIG;
	if (copy->fresh_count == copy->fresh_capacity) {
		size_t capacity = copy->fresh_capacity ? copy->fresh_capacity * 2 : 64;
		struct latency_fresh *all = reallocarray(copy->fresh, capacity, sizeof(*all));

		if (!all)
			return -ENOMEM;
		copy->fresh = all;
		copy->fresh_capacity = capacity;
	}
	copy->fresh[copy->fresh_count++] = *fresh;
	return 0;
}

bool latency_copy_take(struct latency_copy *copy, uint32_t *cursor, struct latency_fresh *fresh)
{
	if (*cursor == copy->fresh_count) {
		copy->fresh_count = 0;
		return false;
	}
	*fresh = copy->fresh[(*cursor)++];
	return true;
}

/* ---- The setup ---------------------------------------------------------------------------------- */

void latency_copy_put_setup(const struct latency_copy *copy, struct recording_out *out)
{
	recording_begin(out, RECORDING_TIMED);
	recording_put(out, copy->page_count);
	recording_put(out, HISTOGRAM_FIRST_POWER);
	recording_put(out, HISTOGRAM_OCTAVES);
	recording_put(out, HISTOGRAM_SUBS);
	recording_put(out, LATENCY_KINDS);
	for (int kind = 0; kind < LATENCY_KINDS; kind++)
		recording_put_text(out, latency_kind_name(kind));
	recording_end(out);
}

static int kind_of(const char *name, uint32_t wanted)
{
	for (int kind = 0; kind < LATENCY_KINDS; kind++)
		if (wanted & 1u << kind && strcmp(latency_kind_name(kind), name) == 0)
			return kind;
	return -1;
}

int latency_copy_take_setup(struct latency_copy *copy, struct recording_in *record, uint32_t slot_count,
			    uint32_t wanted)
{
	uint64_t pages = recording_take(record), first = recording_take(record);
	uint64_t octaves = recording_take(record), subs = recording_take(record);
	uint64_t kinds = recording_take(record);
	char name[KIND_NAME_MAX];
	int r;

	if (record->bad || !pages || pages > LATENCY_COPY_PAGES_MAX || kinds > LATENCY_COPY_KINDS_MAX)
		return -EBADMSG;
	if (first != HISTOGRAM_FIRST_POWER || octaves != HISTOGRAM_OCTAVES || subs != HISTOGRAM_SUBS)
		return -EPROTONOSUPPORT;
	r = latency_copy_init(copy, (uint32_t)pages, slot_count);
	if (r)
		return r;
	copy->kind_count = (uint32_t)kinds;
	for (uint32_t kind = 0; kind < copy->kind_count; kind++) {
		recording_take_text(record, name, sizeof(name));
		copy->kind[kind] = kind_of(name, wanted);
	}
	return record->bad ? -EBADMSG : 0;
}

/* ---- What came ---------------------------------------------------------------------------------- */

void latency_copy_put(struct latency_copy *copy, struct recording_out *out, uint32_t page,
		      const struct latency_fresh *fresh)
{
	struct latency_key *key = &copy->keys[page];
	uint64_t mask = 0;

	recording_put(out, page + 1);
	if (!key->slot) {
		*key = (struct latency_key){fresh->slot, (uint16_t)fresh->kind, (uint16_t)fresh->octave};
		recording_put(out, key->slot);
		recording_put(out, key->kind);
		recording_put(out, key->octave);
	}
	recording_put(out, fresh->sum_ns);
	for (uint32_t sub = 0; sub < HISTOGRAM_SUBS; sub++)
		mask |= fresh->buckets.counts[sub] ? 1ull << sub : 0;
	recording_put(out, mask);
	for (uint32_t sub = 0; sub < HISTOGRAM_SUBS; sub++)
		if (mask & 1ull << sub)
			recording_put(out, fresh->buckets.counts[sub]);
}

static void take_key(const struct latency_copy *copy, struct recording_in *record, struct latency_key *key)
{
	uint64_t slot = recording_take(record), kind = recording_take(record),
		 octave = recording_take(record);

	record->bad |=
	    !slot || slot >= copy->slot_count || kind >= copy->kind_count || octave >= HISTOGRAM_OCTAVES;
	if (!record->bad)
		*key = (struct latency_key){(uint32_t)slot, (uint16_t)kind, (uint16_t)octave};
}

static void play_page(struct latency_copy *copy, struct recording_in *record, struct latency_key *key)
{
	struct latency_fresh fresh = {.slot = key->slot, .octave = key->octave};
	uint64_t mask;

	fresh.sum_ns = recording_take(record);
	mask = recording_take(record);
	for (uint32_t sub = 0; sub < HISTOGRAM_SUBS; sub++)
		if (mask & 1ull << sub)
			fresh.buckets.counts[sub] = recording_take(record);
	if (record->bad || copy->kind[key->kind] < 0)
		return;
	fresh.kind = (enum latency_kind)copy->kind[key->kind];
	record->bad = latency_copy_add(copy, &fresh) != 0;
}

void latency_copy_play(struct latency_copy *copy, struct recording_in *record)
{
	uint64_t page;

	while (!record->bad && (page = recording_take(record))) {
		record->bad |= page > copy->page_count;
		if (!record->bad && !copy->keys[page - 1].slot)
			take_key(copy, record, &copy->keys[page - 1]);
		if (!record->bad)
			play_page(copy, record, &copy->keys[page - 1]);
	}
}
