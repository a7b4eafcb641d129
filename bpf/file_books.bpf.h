/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The books of bpf/files.bpf.c: what a slot read, wrote and synced, and how long that took. They may be
 * preempted, and another program of the same kind run meanwhile: so all is added atomically.
 */
#ifndef DEEPMON_BPF_FILE_BOOKS_BPF_H
#define DEEPMON_BPF_FILE_BOOKS_BPF_H

#include "slots.bpf.h"

#include "file_io.h"
#include "file_types.h"
#include "latency.bpf.h"
#include "top_files.bpf.h"

const volatile __u32 slot_count = CPU_SLOT_FIRST; /* fixed between open and load */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at open: CPUs * slot_count */
	__type(key, __u32);
	__type(value, struct file_io_usage);
} file_io_usage SEC(".maps");

enum file_operation { FILE_READ, FILE_WRITE, FILE_SYNC };

/* NULL: there is none, or it is no regular file. */
static __always_inline struct file *regular(struct file *file)
{
	__u16 mode;

	if (!file)
		return NULL;
	mode = has_typed ? TYPED(file, file)->f_inode->i_mode : BPF_CORE_READ(file, f_inode, i_mode);
	return (mode & S_IFMT) == S_IFREG ? file : NULL;
}

/* A task's open file; NULL: none, or no regular one. */
static __always_inline struct file *regular_at(struct task_struct *task, __u32 fd)
{
	struct fdtable *fdt = task->files->fdt;
	struct file *file = NULL;

	if (fd >= fdt->max_fds)
		return NULL;
	if (has_typed)
		file = TYPED(io_kiocb, fdt->fd + fd)->file;
	else if (bpf_probe_read_kernel(&file, sizeof(file), fdt->fd + fd))
		return NULL;
	return regular(file);
}

/* An operation that returned without an error. ns: 0 if it is not known. */
static __always_inline void count(struct latency_known *known, __u32 slot, enum file_operation operation,
				  __u64 bytes, __u64 ns)
{
	__u32 index = bpf_get_smp_processor_id() * slot_count + slot;
	struct file_io_usage *usage = bpf_map_lookup_elem(&file_io_usage, &index);

	if (!usage)
		return;
	if (operation == FILE_READ) {
		__sync_fetch_and_add(&usage->read_bytes, bytes);
		__sync_fetch_and_add(&usage->reads, 1);
	} else if (operation == FILE_WRITE) {
		__sync_fetch_and_add(&usage->written_bytes, bytes);
		__sync_fetch_and_add(&usage->writes, 1);
	} else {
		__sync_fetch_and_add(&usage->syncs, 1);
	}
	if (ns && known)
		latency_add_known(known, slot, LATENCY_FILE_READ + operation, ns);
	else if (ns)
		latency_add(slot, LATENCY_FILE_READ + operation, ns);
}

/*
 * The same by file. One that is no longer open where it was gets no path this time. Global: so the verifier
 * looks at it once, not for each way to come here; and so all arguments are numbers.
 */
__noinline int count_by_file(__u64 slot_reads, __u64 inode, __u64 device_generation, __u64 bytes,
			     __u64 fd_file)
{
	__u32 slot = slot_reads >> 32, number, place;
	struct cpu_slot *owner = bpf_map_lookup_elem(&slots, &slot);
	struct file_key key = {
	    .inode = inode, .device = device_generation >> 32, .generation = (__u32)device_generation};
	struct file_set *set;
	struct file *file;
	__u64 serial;

	if (!owner)
		return 0;
	key.cgroup_id = owner->cgroup_id;
	number = file_set_of(&key, file_set_count);
	set = bpf_map_lookup_elem(&file_sets, &number);
	if (!set)
		return 0;
	serial = count_file(set, &key, (__u32)slot_reads, bytes, &place);
	if (!serial)
		return 0;
	/* No address is as low as a descriptor. */
	file =
	    fd_file <= ~0u ? regular_at(bpf_get_current_task_btf(), (__u32)fd_file) : (struct file *)fd_file;
	if (file && BPF_CORE_READ(file, f_inode, i_ino) == inode)
		name_file(number * FILE_PLACES + place, serial, file);
	end_naming(set, place);
	return 0;
}

/* All of one operation on a regular file. `known` may be NULL. */
static __always_inline int charge(struct latency_known *known, __u32 slot, enum file_operation operation,
				  const struct file_id *id, __u64 bytes, __u64 ns)
{
	/* By file first, so that what is in the sums is with the files, too. */
	if (file_set_count && operation != FILE_SYNC)
		count_by_file((__u64)slot << 32 | (operation == FILE_READ), id->inode,
			      (__u64)id->device << 32 | id->generation, bytes, id->fd_file);
	count(known, slot, operation, bytes, ns);
	return 0;
}

#endif
