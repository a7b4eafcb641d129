/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The kernel structures of files, mounts and requests that our programs read, as kernel_types.h does it.
 */
#ifndef DEEPMON_BPF_FILE_TYPES_H
#define DEEPMON_BPF_FILE_TYPES_H

#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation; /* tells files apart that had the same number one after the other */
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash; /* in no list: its name was removed */
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent; /* itself: there is none */
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
};

struct io_cqe {
	__s32 res;
};

struct io_kiocb {
	struct file *file;
	__u8 opcode;
	struct io_cqe cqe;
};

/* Where system calls find their arguments, on x86-64, and still have them at their end. */
struct pt_regs___call {
	unsigned long r10, dx, si, di, orig_ax;
};

#pragma clang attribute pop

/*
 * Gives an address its type, so that what is there is a plain load; Linux has it from 6.2 on. An address in a
 * table of open files is typed as that of a struct which begins with a pointer to a file.
 */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;
#define TYPED(type, address) \
	((struct type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(struct type)))
const volatile bool has_typed = false; /* whether the kernel has it; fixed between open and load */

#define S_IFMT	0170000
#define S_IFREG 0100000
#define TS_COMPAT \
	2 /* arch/x86/include/asm/thread_info.h: in a system call of 32 bits, with other numbers \
	   */

#endif
