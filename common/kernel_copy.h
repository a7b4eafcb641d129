/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel's books as they were at a sample, in plain memory: what the ledger reads while a recording is
 * made, of which exactly that is written down; and what it reads of a recording, where there is no such
 * kernel.
 */
#ifndef DEEPMON_KERNEL_COPY_H
#define DEEPMON_KERNEL_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/cpu.h"
#include "../bpf/file_io.h"
#include "../bpf/net.h"
#include "files_copy.h"
#include "latency_copy.h"
#include "peers_copy.h"
#include "recording.h"

#define KERNEL_COPY_CELLS_MAX (1u << 23) /* CPUs times slots, or processes: half a GiB */

/* What was not accounted so far. They only grow. */
struct kernel_losses {
	uint64_t slots_refused, counters_failed, switches_unseen, processes_refused;
};

/* A process in a slot. */
struct kernel_copy_process {
	struct process_key key;
	char name[PROCESS_NAME_MAX];
	struct cpu_usage by_cpu[];
};

struct kernel_copy {
	uint32_t cpu_count, slot_count;
	uint32_t slots;	   /* those that there is room for yet: one past the highest that ever had an owner */
	uint32_t capacity; /* of the arrays */
	struct cpu_usage *usage; /* [slot * cpu_count + cpu] */
	uint64_t *owners;
	struct net_usage *network;
	struct net_dialogues *dialogues;
	struct file_io_usage *file_io;
	struct kernel_losses losses;
	void *processes; /* tsearch tree of struct kernel_copy_process */
	size_t process_count, processes_most;
	struct latency_copy latency; /* each of these is nothing until it is asked for */
	struct peers_copy peers;
	struct files_copy files;
	struct recording_fields fields[RECORDING_FIGURES]; /* of the recording */
};

/* -E2BIG: more CPUs and slots than a copy is made of. -ENOMEM. */
int kernel_copy_init(struct kernel_copy *copy, uint32_t cpu_count, uint32_t slot_count,
		     size_t processes_most);
void kernel_copy_clear(struct kernel_copy *copy);

/* Makes room up to that many slots. -E2BIG, -ENOMEM. */
int kernel_copy_reach(struct kernel_copy *copy, uint32_t slots);

/* What one CPU counted in a slot; nothing, in one that never had an owner. */
const struct cpu_usage *kernel_copy_usage(const struct kernel_copy *copy, uint32_t cpu, uint32_t slot);

/* NULL: it is not known, or there is no room. */
struct kernel_copy_process *kernel_copy_process(struct kernel_copy *copy, const struct process_key *key,
						bool make);
void kernel_copy_forget_process(struct kernel_copy *copy, const struct process_key *key);
typedef void kernel_copy_visitor(void *user, const struct kernel_copy_process *process);
void kernel_copy_each_process(const struct kernel_copy *copy, kernel_copy_visitor *visit, void *user);

/* One record of a recording, by its tag. -EBADMSG: it is none that can be. -ENOENT: of another kind. */
int kernel_copy_play(struct kernel_copy *copy, unsigned tag, struct recording_in *record);

#endif
