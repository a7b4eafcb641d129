/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The path of an open file, as the current task sees it: from the file up over dentries and mounts to the
 * task's root, written from its end to its beginning.
 */
#ifndef DEEPMON_BPF_FILE_PATH_BPF_H
#define DEEPMON_BPF_FILE_PATH_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "file_types.h"
#include "top_files.h"

#define FILE_PATH_STEPS 128 /* names and mounts on the way; what has more is cut */
#define NAME_MAX	255

const volatile __u32 file_path_most = 256; /* a power of two; fixed between open and load */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: one for each place */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct file_path) + 256 + FILE_PATH_SLACK); /* set at open */
} file_paths SEC(".maps");

enum { FILE_PATH_GOES_ON, FILE_PATH_ENDS };

/* Puts a name and a slash before what is there; if it has no room the path is cut. */
static __always_inline int prepend_name(struct file_path *path, const struct dentry *dentry)
{
	__u32 length = BPF_CORE_READ(dentry, d_name.len) & NAME_MAX, begin = path->begin;
	char *text = (char *)(path + 1);

	if (begin > file_path_most || begin < length + 1) {
		path->flags |= FILE_PATH_CUT;
		return FILE_PATH_ENDS;
	}
	begin -= length;
	/* The masks change nothing; they are for the verifier. */
	bpf_probe_read_kernel(text + (begin & (file_path_most - 1)), length,
			      BPF_CORE_READ(dentry, d_name.name));
	begin--;
	text[begin & (file_path_most - 1)] = '/';
	path->begin = begin;
	return FILE_PATH_GOES_ON;
}

/* One name or mount further up. Global: so the verifier looks at it once, not for each step. */
__noinline int file_path_step(__u32 number)
{
	struct file_path *path = bpf_map_lookup_elem(&file_paths, &number);
	struct dentry *dentry, *parent;
	struct vfsmount *mnt;

	if (!path)
		return FILE_PATH_ENDS;
	dentry = (struct dentry *)path->dentry;
	mnt = (struct vfsmount *)path->mount;
	if (path->dentry == path->root_dentry && path->mount == path->root_mount)
		return FILE_PATH_ENDS;
	if (dentry == BPF_CORE_READ(mnt, mnt_root)) {
		struct mount *mount =
		    (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount)
			return FILE_PATH_ENDS;
		path->dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		path->mount = (__u64)((char *)above + bpf_core_field_offset(struct mount, mnt));
		return FILE_PATH_GOES_ON;
	}
	if (prepend_name(path, dentry) == FILE_PATH_ENDS)
		return FILE_PATH_ENDS;
	parent = BPF_CORE_READ(dentry, d_parent);
	path->dentry = (__u64)parent;
	/* Such as memory's, which are in no directory. */
	return parent == dentry ? FILE_PATH_ENDS : FILE_PATH_GOES_ON;
}

/* The element is the caller's alone. */
static __always_inline void write_path(__u32 number, struct file_path *path, struct file *file)
{
	struct fs_struct *fs = bpf_get_current_task_btf()->fs;
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	path->dentry = (__u64)dentry;
	path->mount = (__u64)BPF_CORE_READ(file, f_path.mnt);
	path->root_dentry = (__u64)BPF_CORE_READ(fs, root.dentry);
	path->root_mount = (__u64)BPF_CORE_READ(fs, root.mnt);
	path->begin = file_path_most;
	path->flags = BPF_CORE_READ(dentry, d_hash.pprev) ? 0 : FILE_PATH_DELETED;
	for (int step = 0; step < FILE_PATH_STEPS; step++)
		if (file_path_step(number) == FILE_PATH_ENDS)
			return;
	path->flags |= FILE_PATH_CUT;
}

#endif
