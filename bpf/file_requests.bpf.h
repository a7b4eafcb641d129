/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Requests that are handed in and end later: io_uring's, and those of Linux AIO (libaio).
 *
 * When one began and for whom is kept until it ends. What is not kept, for there are too many, is counted at
 * its end all the same, for whoever gets it, without how long it took.
 */
#ifndef DEEPMON_BPF_FILE_REQUESTS_BPF_H
#define DEEPMON_BPF_FILE_REQUESTS_BPF_H

#include <linux/aio_abi.h>
#include <linux/io_uring.h>

#include "file_books.bpf.h"

/* Of Linux 6.15; headers before it have them not. */
enum { OP_READV_FIXED = 60, OP_WRITEV_FIXED = 61 };

#define REQUESTS_AT_ONCE 1024 /* of Linux AIO, in one system call */

struct request_key {
	__u64 address; /* of io_uring's in the kernel, of AIO's in its process */
	__u64 tgid;    /* 0: io_uring's */
};

struct request {
	__u64 began_ns;
	__u64 cgroup_id;
	__u32 slot, tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* set at open */
	__type(key, struct request_key);
	__type(value, struct request);
} file_requests SEC(".maps");

__u64 file_requests_lost; /* past REQUESTS_AT_ONCE */

static __always_inline void queue(const struct request_key *key)
{
	struct request request = {.tgid = bpf_get_current_pid_tgid() >> 32};
	struct cpu_slot *owner;

	request.slot = slot_of_preemptible(bpf_get_current_task_btf());
	owner = bpf_map_lookup_elem(&slots, &request.slot);
	request.cgroup_id = owner ? owner->cgroup_id : 0;
	request.began_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&file_requests, key, &request, BPF_ANY);
}

/* Its slot and process, and how long it took. Of one that is not known, whoever gets it, and 0. */
static __always_inline __u32 unqueue(const struct request_key *key, __u64 *ns, __u32 *tgid)
{
	struct request *request = bpf_map_lookup_elem(&file_requests, key);
	struct cpu_slot *owner;
	__u32 slot;

	*ns = 0;
	*tgid = bpf_get_current_pid_tgid() >> 32;
	if (!request)
		return slot_of_preemptible(bpf_get_current_task_btf());
	*ns = bpf_ktime_get_ns() - request->began_ns;
	*tgid = request->tgid;
	slot = request->slot;
	owner = bpf_map_lookup_elem(&slots, &slot);
	/* Its cgroup may have ended since, and the slot be another's. */
	if (!owner || owner->cgroup_id != request->cgroup_id)
		slot = CPU_SLOT_OTHER;
	bpf_map_delete_elem(&file_requests, key);
	return slot;
}

/* ---- io_uring ----------------------------------------------------------------------------------- */

static __always_inline int uring_operation(__u8 opcode)
{
	switch (opcode) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_READ_FIXED:
	case OP_READV_FIXED:
		return FILE_READ;
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_WRITE_FIXED:
	case OP_WRITEV_FIXED:
		return FILE_WRITE;
	case IORING_OP_FSYNC:
	case IORING_OP_SYNC_FILE_RANGE:
		return FILE_SYNC;
	default:
		return -1;
	}
}

static __always_inline int uring_submit(struct io_kiocb *request)
{
	struct request_key key = {.address = (__u64)request};

	if (uring_operation(BPF_CORE_READ(request, opcode)) >= 0)
		queue(&key);
	return 0;
}

static __always_inline int uring_complete(struct io_kiocb *request)
{
	struct request_key key = {.address = (__u64)request};
	int operation = request ? uring_operation(BPF_CORE_READ(request, opcode)) : -1;
	struct file_id id = {};
	struct file *file;
	__s32 result;
	__u32 slot, tgid;
	__u64 ns;

	if (operation < 0)
		return 0;
	slot = unqueue(&key, &ns, &tgid);
	file = regular(BPF_CORE_READ(request, file));
	result = BPF_CORE_READ(request, cqe.res);
	if (!file || result < 0)
		return 0;
	/* A path is as its own process sees it; and another has nothing at that descriptor. */
	identify(&id, file, tgid == bpf_get_current_pid_tgid() >> 32 ? (__u64)file : ~0u);
	return charge(NULL, slot, operation, &id, operation == FILE_SYNC ? 0 : (__u64)result, ns);
}

/* ---- Linux AIO ---------------------------------------------------------------------------------- */

static __always_inline int aio_operation(__u16 opcode)
{
	switch (opcode) {
	case IOCB_CMD_PREAD:
	case IOCB_CMD_PREADV:
		return FILE_READ;
	case IOCB_CMD_PWRITE:
	case IOCB_CMD_PWRITEV:
		return FILE_WRITE;
	case IOCB_CMD_FSYNC:
	case IOCB_CMD_FDSYNC:
		return FILE_SYNC;
	default:
		return -1;
	}
}

/* Global, as the next: so the verifier looks at it once, not for each of a list. */
__noinline int queue_one_aio(__u64 place)
{
	struct request_key key = {.tgid = bpf_get_current_pid_tgid() >> 32};

	if (bpf_probe_read_user(&key.address, sizeof(key.address), (void *)place))
		return 0;
	queue(&key);
	return 0;
}

/* `list` is of pointers to requests. Those that the kernel does not take are queued again later. */
static __always_inline int queue_aio(__u64 list, __u64 requests)
{
	for (__u32 i = 0; i < REQUESTS_AT_ONCE && i < requests; i++)
		queue_one_aio(list + i * sizeof(void *));
	return 0;
}

__noinline int reap_one_aio(__u64 place)
{
	struct request_key key = {.tgid = bpf_get_current_pid_tgid() >> 32};
	struct file_id id = {};
	struct io_event event;
	struct iocb asked;
	int operation;
	__u32 slot, tgid;
	__u64 ns;

	if (bpf_probe_read_user(&event, sizeof(event), (void *)place))
		return 0;
	key.address = event.obj;
	slot = unqueue(&key, &ns, &tgid);
	if (event.res < 0 || bpf_probe_read_user(&asked, sizeof(asked), (void *)event.obj))
		return 0;
	operation = aio_operation(asked.aio_lio_opcode);
	if (operation < 0)
		return 0;
	identify(&id, regular_at(bpf_get_current_task_btf(), asked.aio_fildes), asked.aio_fildes);
	if (!id.is_regular)
		return 0;
	return charge(NULL, slot, operation, &id, operation == FILE_SYNC ? 0 : (__u64)event.res, ns);
}

/* `list` is of events, as many as the system call returned. */
static __always_inline int reap_aio(__u64 list, long events)
{
	if (events > REQUESTS_AT_ONCE)
		__sync_fetch_and_add(&file_requests_lost, events - REQUESTS_AT_ONCE);
	for (__s32 i = 0; i < REQUESTS_AT_ONCE && i < events; i++)
		reap_one_aio(list + i * sizeof(struct io_event));
	return 0;
}

#endif
