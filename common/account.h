/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What somebody has used: the sums that samples are made of. Counters only grow.
 */
#ifndef DEEPMON_ACCOUNT_H
#define DEEPMON_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../bpf/cpu.h"
#include "../bpf/file_io.h"
#include "../bpf/net.h"
#include "../bpf/smt.h"
#include "energy.h"
#include "latencies.h"

#define ACCOUNT_SOCKETS_MAX 64

struct account_sums {
	uint64_t cpu_ns;
	uint64_t overlap_ns; /* of it, beside a busy sibling */
	uint64_t weight;     /* by which energy is shared: cycles, or ns where they are not counted */
	uint64_t counter[CPU_COUNTERS];
	uint64_t switches;
	uint64_t energy_uj[ENERGY_DOMAIN_COUNT];
	struct net_usage network;
	struct net_dialogues dialogues;
	struct file_io_usage file_io;
};

/* What one CPU, or several in sum, counted: the kernel may be adding to `one` meanwhile. */
static inline void usage_add(struct cpu_usage *sum, const struct cpu_usage *one)
{
	sum->time_ns += __atomic_load_n(&one->time_ns, __ATOMIC_RELAXED);
	sum->overlap_ns += __atomic_load_n(&one->overlap_ns, __ATOMIC_RELAXED);
	for (int i = 0; i < CPU_COUNTERS; i++)
		sum->counter[i] += __atomic_load_n(&one->counter[i], __ATOMIC_RELAXED);
	sum->switches += __atomic_load_n(&one->switches, __ATOMIC_RELAXED);
}

/*
 * Leaves in *now what it is more than *last, which becomes what *now was. Events whose time is not there yet,
 * for the kernel was just writing them, are left to come with it the next time.
 */
static inline void usage_advance(struct cpu_usage *now, struct cpu_usage *last)
{
	struct cpu_usage before = *last;

	if (now->time_ns == before.time_ns) {
		*now = (struct cpu_usage){0};
		return;
	}
	*last = *now;
	now->time_ns -= before.time_ns;
	now->overlap_ns -= before.overlap_ns;
	for (int i = 0; i < CPU_COUNTERS; i++)
		now->counter[i] -= before.counter[i];
	now->switches -= before.switches;
}

/*
 * What energy is shared by: cycles, or time; either counts less for the time beside a busy sibling. How many
 * of the cycles fell into that is taken from the times: within one interval a core's frequency is about the
 * same alone and beside its sibling.
 */
static inline uint64_t usage_weight(const struct cpu_usage *used, bool by_cycles, uint32_t overlap_ratio_ppm)
{
	return smt_weight(by_cycles ? used->counter[CPU_COUNTER_CYCLES] : used->time_ns, used->time_ns,
			  used->overlap_ns, overlap_ratio_ppm);
}

static inline void account_sums_use(struct account_sums *sums, const struct cpu_usage *used, uint64_t weight)
{
	sums->cpu_ns += used->time_ns;
	sums->overlap_ns += used->overlap_ns;
	sums->weight += weight;
	for (int i = 0; i < CPU_COUNTERS; i++)
		sums->counter[i] += used->counter[i];
	sums->switches += used->switches;
}

/* A sum among others, whether its type is the kernel's 64 bits or C's. */
typedef uint64_t __attribute__((may_alias)) any_sum;

/* *to += *from, of which all members are sums of 64 bits. */
static inline void sums_add(void *to, const void *from, size_t size)
{
	any_sum *sum = to;
	const any_sum *other = from;

	for (size_t i = 0; i < size / sizeof(*sum); i++)
		sum[i] += other[i];
}

/* The same of *to -= *from. */
static inline void sums_subtract(void *to, const void *from, size_t size)
{
	any_sum *sum = to;
	const any_sum *other = from;

	for (size_t i = 0; i < size / sizeof(*sum); i++)
		sum[i] -= other[i];
}

static inline void account_sums_add(struct account_sums *to, const struct account_sums *from)
{
	sums_add(to, from, sizeof(*to));
}

static inline void account_sums_subtract(struct account_sums *to, const struct account_sums *from)
{
	sums_subtract(to, from, sizeof(*to));
}

/* to += from */
static inline void file_io_usage_add(struct file_io_usage *to, const struct file_io_usage *from)
{
	to->read_bytes += from->read_bytes;
	to->written_bytes += from->written_bytes;
	to->reads += from->reads;
	to->writes += from->writes;
	to->syncs += from->syncs;
}

/* What energy of one socket is shared by, in the running interval. */
struct account_claim {
	uint64_t weight;
	uint64_t cache_misses;
};

struct account {
	struct account_sums used;     /* since the collector was opened */
	struct account_sums reported; /* as of the last report */
	struct account_claim *claims; /* by socket */
	struct latencies *latencies;  /* since the last report; NULL: there were none yet */
	bool active;		      /* has a claim in the running interval */
};

/* A report told of it, or is not to: what comes from here on is in the next. */
static inline void account_told(struct account *account)
{
	account->reported = account->used;
	latencies_empty(account->latencies);
}

/* What it holds. */
static inline void account_free(struct account *account)
{
	free(account->claims);
	latencies_free(account->latencies);
}

/* The parts of the whole. Every nanosecond and every microjoule goes to exactly one. */
enum part {
	PART_CONTAINER,
	PART_SYSTEM,	   /* cgroups that are no container */
	PART_KERNEL,	   /* kernel threads */
	PART_OTHER,	   /* cgroups past MaxCgroups */
	PART_IDLE,	   /* CPU time unused; energy that flows without work, and of sockets without any */
	PART_UNATTRIBUTED, /* energy of a socket whose CPU time was not measured */
	PART_COUNT,
};

#endif
