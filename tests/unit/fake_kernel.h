/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A kernel, its network and file I/O, a cgroup hierarchy and runtimes' names in plain memory, in place of
 * common/kernel.c, latency.c, network.c, file_io.c, files.c, hierarchy.c and names.c: a test that includes
 * this defines all that those do, so that the linker leaves them out.
 */
#ifndef TESTS_FAKE_KERNEL_H
#define TESTS_FAKE_KERNEL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/file_io.h"
#include "../../common/files.h"
#include "../../common/hierarchy.h"
#include "../../common/kernel.h"
#include "../../common/latency.h"
#include "../../common/names.h"
#include "../../common/network.h"

/* ---- The kernel's accounting ------------------------------------------------------------------- */

struct kernel {
	uint32_t cpu_count, slot_count, counter_mask;
	bool overlap, no_switches;
	uint64_t counters_failed, slots_refused;
	struct cpu_usage *usage;	       /* [cpu * slot_count + slot] */
	uint64_t *owners;		       /* [slot]: a cgroup's id; 0: free */
	void (*before_reading)(uint32_t slot); /* its usage is about to be read, if not NULL */
};

__attribute__((unused)) static struct kernel *fake_kernel_new(uint32_t cpu_count, uint32_t cgroups)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	kernel->cpu_count = cpu_count;
	kernel->slot_count = CPU_SLOT_FIRST + cgroups;
	kernel->usage = calloc((size_t)cpu_count * kernel->slot_count, sizeof(*kernel->usage));
	kernel->owners = calloc(kernel->slot_count, sizeof(*kernel->owners));
	return kernel;
}

__attribute__((unused)) static struct cpu_usage *fake_usage(const struct kernel *kernel, uint32_t cpu,
							    uint32_t slot)
{
	return &kernel->usage[(size_t)cpu * kernel->slot_count + slot];
}

/* The cgroup's slot: the one it has, or the lowest that is free but for `holes` of them. */
__attribute__((unused)) static uint32_t fake_slot(struct kernel *kernel, uint64_t cgroup_id, uint32_t holes)
{
	uint32_t unused = 0;

	for (uint32_t slot = CPU_SLOT_FIRST; slot < kernel->slot_count; slot++) {
		if (kernel->owners[slot] == cgroup_id)
			return slot;
		if (!kernel->owners[slot] && (!unused || holes)) {
			holes -= unused != 0;
			unused = slot;
		}
	}
	kernel->slots_refused += !unused;
	if (!unused)
		return CPU_SLOT_OTHER;
	kernel->owners[unused] = cgroup_id;
	return unused;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	free(kernel->usage);
	free(kernel->owners);
	free(kernel);
}

int kernel_cpu_count(void)
{
	return 1;
}

int kernel_open(struct kernel **kernel, const struct kernel_settings *settings,
		const struct deepmon_logger *logger)
{
	(void)kernel, (void)settings, (void)logger;
	return -ENOSYS;
}

void kernel_flush(struct kernel *kernel)
{
	(void)kernel;
}

bool kernel_has_overlap(const struct kernel *kernel)
{
	return kernel->overlap;
}

bool kernel_has_switches(const struct kernel *kernel)
{
	return !kernel->no_switches;
}

uint32_t kernel_counter_mask(const struct kernel *kernel)
{
	return kernel->counter_mask;
}

uint32_t kernel_slot_count(const struct kernel *kernel)
{
	return kernel->slot_count;
}

const struct cpu_usage *kernel_usage(const struct kernel *kernel, uint32_t cpu, uint32_t slot)
{
	if (cpu == 0 && kernel->before_reading)
		kernel->before_reading(slot);
	return fake_usage(kernel, cpu, slot);
}

uint64_t kernel_slot_owner(const struct kernel *kernel, uint32_t slot)
{
	return kernel->owners[slot];
}

void kernel_free_slot(struct kernel *kernel, uint32_t slot)
{
	kernel->owners[slot] = 0;
}

uint64_t kernel_slots_refused(const struct kernel *kernel)
{
	return kernel->slots_refused;
}

uint64_t kernel_switches_unseen(const struct kernel *kernel)
{
	(void)kernel;
	return 0;
}

uint64_t kernel_counters_failed(const struct kernel *kernel)
{
	return kernel->counters_failed;
}

uint64_t kernel_processes_refused(const struct kernel *kernel)
{
	(void)kernel;
	return 0;
}

int kernel_add_run_time(const struct kernel *kernel, uint64_t *run_time_ns, uint64_t *runs)
{
	(void)kernel, (void)run_time_ns, (void)runs;
	return -ENOSYS;
}

/* The map is real code's, of a descriptor that a test may stand behind. */
void kernel_each_process(const struct kernel *kernel, process_map_visitor *visit, void *user)
{
	struct process_map map;

	if (process_map_open(&map, -1, kernel->cpu_count) == 0)
		process_map_each(&map, visit, user);
	process_map_close(&map);
}

void kernel_forget_process(const struct kernel *kernel, const struct process_key *key)
{
	const struct process_map map = {.fd = -1};

	(void)kernel;
	process_map_delete(&map, key);
}

/* ---- The hierarchy ----------------------------------------------------------------------------- */

#define FAKE_CGROUPS 32

/* Those that a walk finds: id 0 is none. */
static struct fake_cgroup {
	uint64_t id;
	char path[128];
} fake_cgroups[FAKE_CGROUPS];

int hierarchy_open(struct hierarchy *hierarchy, const struct deepmon_options *options,
		   const struct deepmon_logger *logger)
{
	(void)hierarchy, (void)options, (void)logger;
	return -ENOENT;
}

void hierarchy_close(struct hierarchy *hierarchy)
{
	(void)hierarchy;
}

int hierarchy_walk(const struct hierarchy *hierarchy, hierarchy_visitor *visit, void *user)
{
	(void)hierarchy;
	for (size_t i = 0; i < FAKE_CGROUPS; i++)
		if (fake_cgroups[i].id)
			visit(user, fake_cgroups[i].id, fake_cgroups[i].path);
	return 0;
}

/* ---- Latencies --------------------------------------------------------------------------------- */

static struct latency_fresh fake_latencies[64]; /* what comes at the next charge */
static uint32_t fake_latency_count;

__attribute__((unused)) static void fake_latency(uint32_t slot, enum latency_kind kind, uint64_t ns,
						 uint64_t count)
{
	struct histogram_bucket bucket = histogram_bucket_of(ns);
	struct latency_fresh *fresh = &fake_latencies[fake_latency_count++];

	*fresh =
	    (struct latency_fresh){.slot = slot, .kind = kind, .octave = bucket.octave, .sum_ns = ns * count};
	fresh->buckets.counts[bucket.sub] = count;
}

bool latency_take(struct latency *latency, uint32_t *cursor, struct latency_fresh *fresh)
{
	(void)latency;
	if (*cursor == fake_latency_count) {
		fake_latency_count = 0;
		return false;
	}
	*fresh = fake_latencies[(*cursor)++];
	return true;
}

/* ---- The network ------------------------------------------------------------------------------- */

static uint32_t fake_network_counted;		/* of NETWORK_TRAFFIC and so on */
static struct net_dialogues fake_dialogues[64]; /* [slot]: what comes at the next charge */
static struct net_usage fake_traffic[64];	/* likewise */

uint32_t network_counted(const struct network *network)
{
	(void)network;
	return fake_network_counted;
}

bool network_keeps_hash(const struct network *network)
{
	(void)network;
	return false;
}

bool network_has_kprobes(const struct network *network)
{
	(void)network;
	return false;
}

uint64_t network_sockets_refused(const struct network *network)
{
	(void)network;
	return 0;
}

uint64_t network_calls_missed(const struct network *network)
{
	(void)network;
	return 0;
}

uint64_t network_peers_refused(const struct network *network)
{
	(void)network;
	return 0;
}

bool network_has_paths(const struct network *network)
{
	(void)network;
	return false;
}

uint64_t network_paths_refused(const struct network *network)
{
	(void)network;
	return 0;
}

void network_take(struct network *network, uint32_t slot, struct net_usage *used)
{
	(void)network;
	*used = fake_traffic[slot];
	fake_traffic[slot] = (struct net_usage){0};
}

void network_take_dialogues(struct network *network, uint32_t slot, struct net_dialogues *used)
{
	(void)network;
	*used = fake_dialogues[slot];
	fake_dialogues[slot] = (struct net_dialogues){0};
}

/* ---- File I/O ---------------------------------------------------------------------------------- */

/* Since it was last taken, of each slot. */
static struct file_io_usage fake_file_io[64];
static struct files *fake_files; /* not NULL: operations on regular files are counted */

struct files *file_io_files(const struct file_io *file_io)
{
	(void)file_io;
	return fake_files;
}

/* What the kernel keeps of files: filled in by hand. */
#define FAKE_FILE_SETS 4
static struct file_set fake_file_sets[FAKE_FILE_SETS];
static uint32_t fake_file_round;
static uint64_t fake_file_worth;

size_t files_set_count(const struct files *files)
{
	(void)files;
	return FAKE_FILE_SETS;
}

const struct file_entry *files_next(struct files *files, size_t *cursor, size_t *place)
{
	(void)files;
	while (*cursor < FAKE_FILE_SETS * FILE_PLACES) {
		const struct file_entry *entry;

		*place = (*cursor)++;
		entry = &fake_file_sets[*place / FILE_PLACES].places[*place % FILE_PLACES];
		if (entry->serial)
			return entry;
	}
	return NULL;
}

/* The inode's last five digits; of 404 it is not known. */
int files_path(const struct files *files, size_t place, uint64_t serial, char *path, size_t most)
{
	const struct file_entry *entry = &fake_file_sets[place / FILE_PLACES].places[place % FILE_PLACES];

	(void)files;
	if (entry->serial != serial || entry->key.inode == 404)
		return -ENOENT;
	snprintf(path, most, "/%llu", (unsigned long long)entry->key.inode % 100000);
	return 0;
}

void files_begin_round(const struct files *files, uint64_t worth)
{
	(void)files;
	fake_file_round++;
	fake_file_worth = worth;
}

void file_io_take(struct file_io *file_io, uint32_t slot, struct file_io_usage *used)
{
	(void)file_io;
	*used = fake_file_io[slot];
	fake_file_io[slot] = (struct file_io_usage){0};
}

/* ---- Names ------------------------------------------------------------------------------------- */

/* Whether runtimes' files tell names already; a runtime that is asked always does. */
static bool fake_names_in_files;

/* "c" and the id's first 4 digits: containers whose ids differ after those have the name one after another.
 */
static int fake_name(struct identity *identity)
{
	if (identity->kind != IDENTITY_CONTAINER)
		return -ENOENT;
	snprintf(identity->name, sizeof(identity->name), "c%.4s", identity->id);
	snprintf(identity->image, sizeof(identity->image), "image");
	snprintf(identity->version, sizeof(identity->version), "%.2s", identity->id);
	identity->named = true;
	return 0;
}

int names_init(struct names *names, const struct deepmon_options *options)
{
	(void)names, (void)options;
	return 0;
}

void names_clear(struct names *names)
{
	(void)names;
}

bool names_may_change(const char *runtime)
{
	(void)runtime;
	return false;
}

uint64_t names_written(const struct names *names, const struct identity *identity)
{
	(void)names, (void)identity;
	return 0;
}

void names_identify(const struct names *names, const char *path, struct identity *identity)
{
	(void)names;
	identity_from_path(path, identity);
}

int names_ask_more(const struct names *names, struct identity *identity)
{
	(void)names, (void)identity;
	return -ENOENT;
}

int names_read(const struct names *names, struct identity *identity)
{
	(void)names;
	return fake_names_in_files ? fake_name(identity) : -ENOENT;
}

int names_ask(const struct names *names, struct identity *identity)
{
	(void)names;
	return fake_name(identity);
}

#endif
