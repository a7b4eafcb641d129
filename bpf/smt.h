/* SPDX-License-Identifier: GPL-3.0-only
 *
 * SMT: how long hardware threads of one physical core were busy together, and what a cycle used meanwhile
 * counts. Arithmetic alone, for kernel and user space.
 *
 * A core is one 64-bit word, so that its threads update it with one compare-and-exchange and read it with
 * one load. The low 4 bits: how many of its threads are busy. Above, modulo 2^60 ns: with fewer than two
 * busy, the time so far during which two or more were (the shared time); with two or more, the moment less
 * that time. So at `now` the shared time is now less that, and it goes on by itself. Zero is an idle core.
 *
 * Since a thread that runs is itself busy, its overlap is what the shared time grew by meanwhile:
 *	smt_overlap_ns(smt_shared_ns(core_at_begin, begin_ns), smt_shared_ns(core_at_end, end_ns),
 *		       end_ns - begin_ns)
 * The clocks of siblings may differ a little: a difference that is negative, as 60 bits, means 0.
 */
#ifndef DEEPMON_BPF_SMT_H
#define DEEPMON_BPF_SMT_H

/* Before linux/types.h, which would make it a mere wish. */
#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

#include <linux/types.h>
#include <stdbool.h>

#define SMT_TIME_SHIFT	  4
#define SMT_THREADS_MAX	  15 /* also the mask of the count; Xeon Phi and POWER have 4 and 8 */
#define SMT_PPM		  1000000
#define SMT_RATIO_DEFAULT 550000 /* DEEP-mon's 11/20: two busy siblings cost 1.1 of one */

/* Shared time at now_ns, modulo 2^60. Just after a thread came, by a clock that is behind: negative. */
static __always_inline __u64 smt_shared_ns(__u64 core, __u64 now_ns)
{
	__u64 time =
	    (core & SMT_THREADS_MAX) < 2 ? core >> SMT_TIME_SHIFT : now_ns - (core >> SMT_TIME_SHIFT);

	return time << SMT_TIME_SHIFT >> SMT_TIME_SHIFT;
}

/*
 * The core after one of its threads became busy, or idle, at now_ns. A thread too many or too few, which
 * only a missed event can cause, leaves it as it was.
 */
static __always_inline __u64 smt_core_after(__u64 core, bool busy, __u64 now_ns)
{
	__u64 threads = core & SMT_THREADS_MAX;
	__u64 time = core >> SMT_TIME_SHIFT;

	if (threads == (busy ? SMT_THREADS_MAX : 0))
		return core;
	/* Sharing begins or ends: either way the other form is now less this one. */
	if (threads == (busy ? 1 : 2))
		time = now_ns - time;
	threads = busy ? threads + 1 : threads - 1;
	return time << SMT_TIME_SHIFT | threads;
}

/* How much of ran_ns, between two readings of the shared time, a sibling was busy too. */
static __always_inline __u64 smt_overlap_ns(__u64 shared_before, __u64 shared_after, __u64 ran_ns)
{
	__u64 difference = (shared_after - shared_before) << SMT_TIME_SHIFT;

	if (difference >> 63)
		return 0;
	difference >>= SMT_TIME_SHIFT;
	return difference < ran_ns ? difference : ran_ns;
}

#ifndef __bpf__

/*
 * What `amount` (cycles, or ns) used in time_ns counts, of which overlap_ns beside a busy sibling, when
 * that part counts ratio_ppm millionths:
 *	amount * (time - overlap + overlap * ratio) / time
 * rounded down, exact for all values. DEEP-mon's rule (IPDPSW 2018), with times for its cycles, as CPUs of
 * today can't count a sibling's. Overlap counts as at most time_ns, ratio_ppm as at most SMT_PPM.
 */
static __always_inline __u64 smt_weight(__u64 amount, __u64 time_ns, __u64 overlap_ns, __u32 ratio_ppm)
{
	unsigned __int128 beside, rest, off;
	__u64 discount = ratio_ppm < SMT_PPM ? SMT_PPM - ratio_ppm : 0;

	if (!time_ns)
		return amount;
	if (overlap_ns > time_ns)
		overlap_ns = time_ns;
	/* Rounding off up rounds the weight down; in two steps since three factors would not fit 128 bits. */
	beside = (unsigned __int128)amount * overlap_ns;
	rest = beside % time_ns * discount;
	off = beside / time_ns * discount + (rest + time_ns - 1) / time_ns;
	return amount - (__u64)((off + SMT_PPM - 1) / SMT_PPM);
}

#endif

#endif
