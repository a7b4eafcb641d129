/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reading a performance counter that shares its hardware with others. Arithmetic alone, for kernel and
 * user space.
 *
 * When there are more counters than the PMU has room for, the kernel lets them take turns and gives for
 * each the time it was enabled and the time it ran. What it missed meanwhile is taken to be in proportion.
 */
#ifndef DEEPMON_BPF_COUNTER_H
#define DEEPMON_BPF_COUNTER_H

/* Before linux/types.h, which would make it a mere wish. */
#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

#include <linux/types.h>
#include <stdbool.h>

/* The layout of the kernel's struct bpf_perf_event_value. */
struct counter_reading {
	__u64 value;
	__u64 enabled_ns;
	__u64 running_ns; /* at most enabled_ns */
};
_Static_assert(sizeof(struct counter_reading) == 24, "what bpf_perf_event_read_value fills");

/*
 * value * enabled / running, 0 < running < enabled, without 128 bits. To the nearest: rounded down, a sum of
 * many small ones would drift. Exact with running below 2^32 (4.3 s), beyond to 1 part in 2^31. What does
 * not fit 64 bits is cut: 2^64 cycles are a hundred years.
 */
static __always_inline __u64 counter_scale(__u64 value, __u64 enabled, __u64 running)
{
	__u64 times = enabled / running;
	__u64 rest = enabled - times * running;
	__u64 scaled = value * times;
	__u32 shift = 0;

	/* What is left is value * rest / running, rest < running: a product fits once running is 32 bits. */
	if (running >> 32) {
		if (running >> 48)
			shift = 16;
		if (running >> shift >> 40)
			shift += 8;
		if (running >> shift >> 36)
			shift += 4;
		if (running >> shift >> 34)
			shift += 2;
		if (running >> shift >> 33)
			shift += 1;
		if (running >> shift >> 32)
			shift += 1;
		running >>= shift;
		rest >>= shift;
	}
	return scaled + value / running * rest + (value % running * rest + running / 2) / running;
}

/*
 * Events since *last, which becomes *now. If the counter was enabled and never ran, 0, and *last stays: the
 * time counts with the next stretch. If it went backwards (it was opened anew), 0.
 */
static __always_inline __u64 counter_advance(struct counter_reading *last, const struct counter_reading *now)
{
	__u64 value = now->value - last->value;
	__u64 enabled = now->enabled_ns - last->enabled_ns;
	__u64 running = now->running_ns - last->running_ns;
	bool backwards = now->value < last->value || now->enabled_ns < last->enabled_ns ||
			 now->running_ns < last->running_ns;

	if (!backwards && enabled && !running)
		return 0;
	*last = *now;
	if (backwards)
		return 0;
	return running < enabled ? counter_scale(value, enabled, running) : value;
}

#endif
