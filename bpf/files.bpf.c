/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What is read from, written to and synced in regular files, by cgroup, as the system calls return it, and
 * how long each took. It stands at those system calls, at their own functions where the kernel lets programs
 * be put there, else at the tracepoints that every system call passes; and at io_uring's. It touches its own
 * maps and storage, the slots' and the latencies'.
 */
#include <asm/unistd.h>

#include "file_books.bpf.h"
#include "file_requests.bpf.h"

/* What a system call does with its descriptors. */
enum call {
	CALL_NONE,
	CALL_READ,	/* from the first argument */
	CALL_WRITE,	/* to it */
	CALL_SYNC,	/* it */
	CALL_SENDFILE,	/* from the second to the first */
	CALL_COPY,	/* from the first to the third */
	CALL_AIO_QUEUE, /* what the third lists */
	CALL_AIO_REAP,	/* into what the fourth is */
};

#define CALLS 512

static const __u8 calls[CALLS] = {
    [__NR_read] = CALL_READ,
    [__NR_pread64] = CALL_READ,
    [__NR_readv] = CALL_READ,
    [__NR_preadv] = CALL_READ,
    [__NR_preadv2] = CALL_READ,
    [__NR_write] = CALL_WRITE,
    [__NR_pwrite64] = CALL_WRITE,
    [__NR_writev] = CALL_WRITE,
    [__NR_pwritev] = CALL_WRITE,
    [__NR_pwritev2] = CALL_WRITE,
    [__NR_fsync] = CALL_SYNC,
    [__NR_fdatasync] = CALL_SYNC,
    [__NR_sync_file_range] = CALL_SYNC,
    [__NR_sendfile] = CALL_SENDFILE,
    [__NR_copy_file_range] = CALL_COPY,
    [__NR_splice] = CALL_COPY,
    [__NR_io_submit] = CALL_AIO_QUEUE,
    [__NR_io_getevents] = CALL_AIO_REAP,
    [__NR_io_pgetevents] = CALL_AIO_REAP,
};

/* What a task is doing. */
struct doing {
	__u64 began_ns;
	__u64 call; /* CALL_NONE: nothing that is counted */
	struct file_id from, to;
	struct latency_known reads, writes; /* syncs are with what is read */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct doing);
} file_doing SEC(".maps");

__u64 file_calls_lost; /* of tasks that nothing could be kept with */

/* Which descriptors a call reads from and writes to; what is synced is `from`. ~0: none. */
static __always_inline void descriptors(const struct pt_regs___call *regs, enum call call, __u32 *from,
					__u32 *to)
{
	*from = *to = ~0u;
	switch (call) {
	case CALL_READ:
	case CALL_SYNC:
		*from = (__u32)regs->di;
		break;
	case CALL_WRITE:
		*to = (__u32)regs->di;
		break;
	case CALL_SENDFILE:
		*from = (__u32)regs->si;
		*to = (__u32)regs->di;
		break;
	default:
		*from = (__u32)regs->di;
		*to = (__u32)regs->dx;
	}
}

static __always_inline int enter(struct task_struct *task, const struct pt_regs___call *regs, enum call call)
{
	struct file *read, *written;
	struct doing *doing;
	__u32 from, to;

	if (call == CALL_NONE || call == CALL_AIO_REAP)
		return 0;
	if (call == CALL_AIO_QUEUE)
		return queue_aio(regs->dx, regs->si);
	descriptors(regs, call, &from, &to);
	read = from == ~0u ? NULL : regular_at(task, from);
	written = to == ~0u ? NULL : regular_at(task, to);
	if (!read) {
		barrier(); /* else both are tested at once, by arithmetic on pointers */
		if (!written)
			return 0;
	}
	doing = bpf_task_storage_get(&file_doing, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!doing) {
		__sync_fetch_and_add(&file_calls_lost, 1);
		return 0;
	}
	identify(&doing->from, read, from);
	identify(&doing->to, written, to);
	doing->call = call;
	doing->began_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int leave(struct task_struct *task, const struct pt_regs___call *regs, enum call call,
				 long result)
{
	struct doing *doing;
	__u32 slot;
	__u64 ns;

	if (call == CALL_NONE || call == CALL_AIO_QUEUE)
		return 0;
	if (call == CALL_AIO_REAP)
		return reap_aio(regs->r10, result);
	doing = bpf_task_storage_get(&file_doing, task, NULL, 0);
	if (!doing || doing->call != call)
		return 0;
	doing->call = CALL_NONE;
	if (result < 0)
		return 0;
	ns = bpf_ktime_get_ns() - doing->began_ns;
	slot = slot_of_preemptible(task);
	for (int i = 0; i < 2; i++) {
		const struct file_id *id = i ? &doing->to : &doing->from;

		if (id->is_regular)
			charge(i ? &doing->writes : &doing->reads, slot,
			       i		   ? FILE_WRITE
			       : call == CALL_SYNC ? FILE_SYNC
						   : FILE_READ,
			       id, (__u64)result, ns);
	}
	return 0;
}

/* ---- At all system calls ------------------------------------------------------------------------ */

/* Of 32 bits they have other numbers, and are not counted. */
static __always_inline bool is_compat(const struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(files_enter, struct pt_regs___call *regs, long number)
{
	enum call call = (__u64)number < CALLS ? calls[number] : CALL_NONE;
	struct task_struct *task;

	if (call == CALL_NONE)
		return 0;
	task = bpf_get_current_task_btf();
	return is_compat(task) ? 0 : enter(task, regs, call);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(files_leave, struct pt_regs___call *regs, long result)
{
	__u64 number = regs->orig_ax;
	enum call call = number < CALLS ? calls[number] : CALL_NONE;
	struct task_struct *task;

	if (call == CALL_NONE)
		return 0;
	task = bpf_get_current_task_btf();
	return is_compat(task) ? 0 : leave(task, regs, call, result);
}

/* ---- At the system calls' own functions --------------------------------------------------------- */

#define AT_CALL(name, call) \
	SEC("fentry/__x64_sys_" #name) \
	int BPF_PROG(files_enter_##name, const struct pt_regs___call *regs) \
	{ \
		return enter(bpf_get_current_task_btf(), regs, call); \
	} \
	SEC("fexit/__x64_sys_" #name) \
	int BPF_PROG(files_leave_##name, const struct pt_regs___call *regs, long result) \
	{ \
		return leave(bpf_get_current_task_btf(), regs, call, result); \
	}

AT_CALL(read, CALL_READ)
AT_CALL(pread64, CALL_READ)
AT_CALL(readv, CALL_READ)
AT_CALL(preadv, CALL_READ)
AT_CALL(preadv2, CALL_READ)
AT_CALL(write, CALL_WRITE)
AT_CALL(pwrite64, CALL_WRITE)
AT_CALL(writev, CALL_WRITE)
AT_CALL(pwritev, CALL_WRITE)
AT_CALL(pwritev2, CALL_WRITE)
AT_CALL(fsync, CALL_SYNC)
AT_CALL(fdatasync, CALL_SYNC)
AT_CALL(sync_file_range, CALL_SYNC)
AT_CALL(sendfile64, CALL_SENDFILE)
AT_CALL(copy_file_range, CALL_COPY)
AT_CALL(splice, CALL_COPY)
AT_CALL(io_submit, CALL_AIO_QUEUE)
AT_CALL(io_getevents, CALL_AIO_REAP)
AT_CALL(io_pgetevents, CALL_AIO_REAP)

/* ---- io_uring ----------------------------------------------------------------------------------- */

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(files_uring_submit, struct io_kiocb *request)
{
	return uring_submit(request);
}

/* As it was called before Linux 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(files_uring_submit_before, struct io_kiocb *request)
{
	return uring_submit(request);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(files_uring_complete, void *ring, struct io_kiocb *request)
{
	return uring_complete(request);
}

char LICENSE[] SEC("license") = "GPL";
