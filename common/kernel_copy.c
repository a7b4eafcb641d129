/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel's books in plain memory. Pure.
 */
#include "kernel_copy.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

int kernel_copy_init(struct kernel_copy *copy, uint32_t cpu_count, uint32_t slot_count, size_t processes_most)
{
	*copy = (struct kernel_copy){
	    .cpu_count = cpu_count, .slot_count = slot_count, .processes_most = processes_most};
	for (int figures = 0; figures < RECORDING_FIGURES; figures++)
		recording_fields_own(figures, &copy->fields[figures]);
	return kernel_copy_reach(copy, CPU_SLOT_FIRST);
}

static int compare_keys(const void *a, const void *b)
{
	const struct kernel_copy_process *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

void kernel_copy_clear(struct kernel_copy *copy)
{
	tdestroy(copy->processes, free);
	free(copy->usage);
	free(copy->owners);
	free(copy->network);
	free(copy->dialogues);
	free(copy->file_io);
	latency_copy_clear(&copy->latency);
	peers_copy_clear(&copy->peers);
	files_copy_clear(&copy->files);
	*copy = (struct kernel_copy){0};
}

/* False: out of memory, and it is as it was. New elements are 0, and take no memory before they are used. */
static bool grow(void *array, size_t size, size_t from, size_t to)
{
	void *grown = calloc(to, size), *old = *(void **)array;

	if (!grown)
		return false;
	if (from)
		memcpy(grown, old, from * size);
	free(old);
	*(void **)array = grown;
	return true;
}

int kernel_copy_reach(struct kernel_copy *copy, uint32_t slots)
{
	uint32_t capacity = copy->capacity ? copy->capacity : 16;

	if (slots <= copy->slots)
		return 0;
	if (slots > copy->slot_count || (uint64_t)slots * copy->cpu_count > KERNEL_COPY_CELLS_MAX)
		return -E2BIG;
	if (slots > copy->capacity) {
		while (capacity < slots)
			capacity *= 2;
		capacity = capacity < copy->slot_count ? capacity : copy->slot_count;
		if (!grow(&copy->usage, sizeof(*copy->usage), (size_t)copy->capacity * copy->cpu_count,
			  (size_t)capacity * copy->cpu_count) ||
		    !grow(&copy->owners, sizeof(*copy->owners), copy->capacity, capacity) ||
		    !grow(&copy->network, sizeof(*copy->network), copy->capacity, capacity) ||
		    !grow(&copy->dialogues, sizeof(*copy->dialogues), copy->capacity, capacity) ||
		    !grow(&copy->file_io, sizeof(*copy->file_io), copy->capacity, capacity))
			return -ENOMEM;
		copy->capacity = capacity;
	}
	copy->slots = slots;
	return 0;
}

const struct cpu_usage *kernel_copy_usage(const struct kernel_copy *copy, uint32_t cpu, uint32_t slot)
{
	static const struct cpu_usage nothing;

	return slot < copy->slots ? &copy->usage[(size_t)slot * copy->cpu_count + cpu] : &nothing;
}

/* ---- Processes ---------------------------------------------------------------------------------- */

struct kernel_copy_process *kernel_copy_process(struct kernel_copy *copy, const struct process_key *key,
						bool make)
{
	struct kernel_copy_process wanted = {.key = *key}, *process;
	struct kernel_copy_process *const *known = tfind(&wanted, &copy->processes, compare_keys);

	if (known || !make)
		return known ? *known : NULL;
	if (copy->process_count >= copy->processes_most ||
	    (uint64_t)copy->process_count * copy->cpu_count > KERNEL_COPY_CELLS_MAX)
		return NULL;
	process = calloc(1, sizeof(*process) + copy->cpu_count * sizeof(process->by_cpu[0]));
	if (!process)
		return NULL;
	process->key = *key;
	if (!tsearch(process, &copy->processes, compare_keys)) {
		free(process);
		return NULL;
	}
	copy->process_count++;
	return process;
}

void kernel_copy_forget_process(struct kernel_copy *copy, const struct process_key *key)
{
	struct kernel_copy_process *process = kernel_copy_process(copy, key, false);

	if (!process)
		return;
	tdelete(process, &copy->processes, compare_keys);
	copy->process_count--;
	free(process);
}

struct visiting {
	kernel_copy_visitor *visit;
	void *user;
};

static void visit_process(const void *node, VISIT visit, void *closure)
{
	const struct visiting *visiting = closure;

	if (visit == postorder || visit == leaf)
		visiting->visit(visiting->user, *(struct kernel_copy_process *const *)node);
}

void kernel_copy_each_process(const struct kernel_copy *copy, kernel_copy_visitor *visit, void *user)
{
	struct visiting visiting = {visit, user};

	twalk_r(copy->processes, visit_process, &visiting);
}

/* ---- A recording's records ---------------------------------------------------------------------- */

/* Lists of slots end with 0; each is written one higher. False: the end, or a slot that can't be. */
static bool next_slot(struct kernel_copy *copy, struct recording_in *record, uint32_t *slot)
{
	uint64_t number = recording_take(record);

	if (!number || record->bad)
		return false;
	record->bad = number > copy->slot_count || kernel_copy_reach(copy, (uint32_t)number);
	*slot = (uint32_t)number - 1;
	return !record->bad;
}

static void play_owners(struct kernel_copy *copy, struct recording_in *record)
{
	uint32_t slot;

	copy->losses.slots_refused = recording_take(record);
	copy->losses.counters_failed = recording_take(record);
	copy->losses.switches_unseen = recording_take(record);
	copy->losses.processes_refused = recording_take(record);
	while (next_slot(copy, record, &slot))
		copy->owners[slot] = recording_take(record);
}

static void play_usage(struct kernel_copy *copy, struct recording_in *record)
{
	uint32_t slot;

	while (next_slot(copy, record, &slot)) {
		uint64_t cpu = recording_take(record);

		record->bad |= cpu >= copy->cpu_count;
		if (!record->bad)
			recording_take_growth(record, &copy->fields[RECORDING_OF_USAGE],
					      &copy->usage[(size_t)slot * copy->cpu_count + cpu]);
	}
}

static void play_network(struct kernel_copy *copy, struct recording_in *record)
{
	uint32_t slot;

	while (next_slot(copy, record, &slot))
		recording_take_growth(record, &copy->fields[RECORDING_OF_NETWORK], &copy->network[slot]);
}

static void play_dialogues(struct kernel_copy *copy, struct recording_in *record)
{
	uint32_t slot;

	while (next_slot(copy, record, &slot))
		recording_take_growth(record, &copy->fields[RECORDING_OF_DIALOGUES], &copy->dialogues[slot]);
}

static void play_file_io(struct kernel_copy *copy, struct recording_in *record)
{
	uint32_t slot;

	while (next_slot(copy, record, &slot))
		recording_take_growth(record, &copy->fields[RECORDING_OF_FILE_IO], &copy->file_io[slot]);
}

static void play_process(struct kernel_copy *copy, struct recording_in *record)
{
	struct process_key key = {0};
	struct kernel_copy_process *process;
	uint64_t cpu;

	key.start_ns = recording_take(record);
	key.tgid = (uint32_t)recording_take(record);
	key.slot = (uint32_t)recording_take(record);
	record->bad |= key.slot >= copy->slot_count;
	process = record->bad ? NULL : kernel_copy_process(copy, &key, true);
	if (!process)
		return;
	recording_take_text(record, process->name, sizeof(process->name));
	while (!record->bad && (cpu = recording_take(record))) {
		record->bad |= cpu > copy->cpu_count;
		if (!record->bad)
			recording_take_growth(record, &copy->fields[RECORDING_OF_USAGE],
					      &process->by_cpu[cpu - 1]);
	}
}

/* What was not opened, for the options ask for less than was recorded, is passed over. */

static void play_latencies(struct kernel_copy *copy, struct recording_in *record)
{
	if (copy->latency.page_count)
		latency_copy_play(&copy->latency, record);
}

static void play_peers(struct kernel_copy *copy, struct recording_in *record)
{
	if (copy->peers.most)
		peers_copy_play(&copy->peers, record, &copy->fields[RECORDING_OF_PEER]);
}

static void play_peer_names(struct kernel_copy *copy, struct recording_in *record)
{
	if (copy->peers.most)
		peers_copy_play_names(&copy->peers, record);
}

static void play_by_file(struct kernel_copy *copy, struct recording_in *record)
{
	if (copy->files.set_count)
		files_copy_play(&copy->files, record, &copy->fields[RECORDING_OF_FILE]);
}

int kernel_copy_play(struct kernel_copy *copy, unsigned tag, struct recording_in *record)
{
	static void (*const players[])(struct kernel_copy *, struct recording_in *) = {
	    [RECORDING_OWNERS] = play_owners,	      [RECORDING_USAGE] = play_usage,
	    [RECORDING_NETWORK] = play_network,	      [RECORDING_FILE_IO] = play_file_io,
	    [RECORDING_PROCESS] = play_process,	      [RECORDING_DIALOGUES] = play_dialogues,
	    [RECORDING_LATENCIES] = play_latencies,   [RECORDING_PEERS] = play_peers,
	    [RECORDING_PEER_NAMES] = play_peer_names, [RECORDING_BY_FILE] = play_by_file,
	};

	if (tag >= sizeof(players) / sizeof(players[0]) || !players[tag])
		return -ENOENT;
	players[tag](copy, record);
	return record->bad ? -EBADMSG : 0;
}
