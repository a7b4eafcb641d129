/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the loaders of our BPF objects share.
 */
#ifndef DEEPMON_BPF_OBJECT_H
#define DEEPMON_BPF_OBJECT_H

#include <bpf/libbpf.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"

/* libbpf's own lines are about its insides; ours say what to do. What this returns goes to libbpf_set_print.
 */
libbpf_print_fn_t bpf_object_silence(void);

/*
 * Says why `what` can't be loaded, attached and so on (`step`), what to do about it, and what is left out.
 * `error` is negative, as the kernel or libbpf gave it.
 */
void bpf_object_log_refusal(const struct deepmon_logger *logger, const char *what, const char *step,
			    int error, const char *left_out);

/*
 * Adds what the kernel counted, while its BPF statistics were on, of those of an object's programs that hang
 * on hooks. -errno.
 */
int bpf_object_add_run_time(const struct bpf_object *object, uint64_t *run_time_ns, uint64_t *runs);

/* A map's values as memory that the kernel goes on writing. */
struct bpf_mapping {
	void *memory;
	size_t size;
};

/* The map has BPF_F_MMAPABLE. -errno. */
int bpf_mapping_open(struct bpf_mapping *mapping, const struct bpf_map *map);
/* The same of one that is not libbpf's: `size` is that of all its values, each of whole 8 bytes. */
int bpf_mapping_open_fd(struct bpf_mapping *mapping, int fd, size_t size);
void bpf_mapping_close(struct bpf_mapping *mapping);

#endif
