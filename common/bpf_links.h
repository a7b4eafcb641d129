/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Whether programs still hang on their hooks. A link ends with its last descriptor, and whatever shares this
 * process may close what is not its own: then nothing is counted any more, and nothing says so.
 */
#ifndef DEEPMON_BPF_LINKS_H
#define DEEPMON_BPF_LINKS_H

#include <bpf/libbpf.h>
#include <stdint.h>

#define BPF_LINKS_MAX 64

/* Those of one object. */
struct bpf_links {
	const struct bpf_object_skeleton *skeleton;
	uint32_t programs[BPF_LINKS_MAX]; /* their ids; 0: it hangs nowhere, or the kernel can't tell */
	uint64_t off;			  /* a bit for each that came off and could not be attached again */
};

struct bpf_links_state {
	unsigned lost; /* came off since the last look */
	unsigned off;  /* are off now, */
	int error;     /* which is why: -errno */
};

/* Once they are attached. The skeleton must outlive it. */
void bpf_links_watch(struct bpf_links *links, const struct bpf_object_skeleton *skeleton);

/* Whether that program, if it is watched, hangs on its hook. */
bool bpf_links_hold(const struct bpf_links *links, const struct bpf_program *program);

/* Attaches again those that have come off. One system call for each that hangs. */
void bpf_links_mend(struct bpf_links *links, struct bpf_links_state *state);

#endif
