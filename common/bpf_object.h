/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the loaders of our BPF objects share.
 */
#ifndef DEEPMON_BPF_OBJECT_H
#define DEEPMON_BPF_OBJECT_H

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deepmon.h"

/* Where the kernel describes its types, which every program needs; and what builds it in. */
#define BPF_OBJECT_BTF	      "/sys/kernel/btf/vmlinux"
#define BPF_OBJECT_BTF_CONFIG "CONFIG_DEBUG_INFO_BTF"
bool bpf_object_has_btf(void);

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
 * What the load of an object came to; `bss` is the skeleton's. Short of memory while it finds out what the
 * kernel can do, libbpf takes it for one whose maps can't be mapped, and leaves that NULL.
 */
static inline int bpf_object_loaded(int r, const void *bss)
{
	return r ? r : bss ? 0 : -ENOMEM;
}

/*
 * Adds what the kernel counted, while its BPF statistics were on, of those of an object's programs that hang
 * on hooks. -errno.
 */
int bpf_object_add_run_time(const struct bpf_object *object, uint64_t *run_time_ns, uint64_t *runs);

/*
 * Findings about an object that is loaded: its memory, and a row for each hook, used or left out. Maps that
 * are shared belong to the object that makes them.
 */
void bpf_object_find(const struct deepmon_logger *logger, const char *what, struct bpf_object *object);
/* The name that a program's hook has among findings. */
#define BPF_OBJECT_HOOK_MAX 128
void bpf_object_hook(const struct bpf_program *program, char hook[BPF_OBJECT_HOOK_MAX]);

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
