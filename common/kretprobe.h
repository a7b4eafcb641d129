/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Programs at the end of functions that wait. The kernel keeps a place for each call that is under way, and
 * by itself has very few: ten, or twice the CPUs. More are to be had by tracefs alone.
 */
#ifndef DEEPMON_KRETPROBE_H
#define DEEPMON_KRETPROBE_H

#include <stdbool.h>

#include <bpf/libbpf.h>

#define KRETPROBE_CALLS 4096 /* the most that the kernel gives */

struct kretprobe {
	struct bpf_link *link;
	char event[96]; /* "group/name" in tracefs; "" where it has the kernel's few places */
};

/*
 * Attaches the program. Without a tracefs that we may write it has the few places. -errno: not even that;
 * -ENOENT: there is no such function.
 */
int kretprobe_attach(struct kretprobe *probe, const struct bpf_program *program, const char *function);
void kretprobe_detach(struct kretprobe *probe);

/* Removes what was left behind by those of us that were killed. */
void kretprobe_sweep(void);

#endif
