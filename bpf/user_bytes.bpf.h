/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The bytes that a system call sends or receives, where the program has them: in its own memory, by the
 * arguments of the call. Included by the programs that look at what goes over a socket.
 *
 * Of sendfile, splice, io_uring, sendmmsg, recvmmsg and calls of 32-bit programs it is not known where the
 * bytes are.
 */
#ifndef DEEPMON_BPF_USER_BYTES_BPF_H
#define DEEPMON_BPF_USER_BYTES_BPF_H

#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* include/linux/sched.h: it has no memory of a program's own, or not the calling one's */
#define PF_IO_WORKER   0x00000010
#define PF_USER_WORKER 0x00004000

/* ---- The processor ------------------------------------------------------------------------------ */

/* The calls that carry bytes, by number; and the arguments of one that is being made. */
#if defined(__TARGET_ARCH_x86)

enum {
	CALL_READ = 0,
	CALL_WRITE = 1,
	CALL_READV = 19,
	CALL_WRITEV = 20,
	CALL_SENDTO = 44,
	CALL_RECVFROM = 45,
	CALL_SENDMSG = 46,
	CALL_RECVMSG = 47,
};

#define TS_COMPAT 0x0002 /* arch/x86: a call of 32 bits */

static __always_inline int call_number(const struct task_struct *task, const struct pt_regs *regs)
{
	/* Once it is done, and io_uring's work is before it returns, ax is its result. */
	if (task->thread_info.status & TS_COMPAT || (long)regs->ax != -38 /* ENOSYS */)
		return -1;
	return (int)regs->orig_ax;
}

#define CALL_SECOND(regs) ((regs)->si)
#define CALL_THIRD(regs)  ((regs)->dx)

#elif defined(__TARGET_ARCH_arm64)

enum {
	CALL_READ = 63,
	CALL_WRITE = 64,
	CALL_READV = 65,
	CALL_WRITEV = 66,
	CALL_SENDTO = 206,
	CALL_RECVFROM = 207,
	CALL_SENDMSG = 211,
	CALL_RECVMSG = 212,
};

#define TIF_32BIT (1ul << 22) /* arch/arm64 */

static __always_inline int call_number(const struct task_struct *task, const struct pt_regs *regs)
{
	/* Once it is done, and io_uring's work is before it returns, the first register is its result. */
	if (task->thread_info.flags & TIF_32BIT || regs->regs[0] != regs->orig_x0)
		return -1;
	return regs->syscallno;
}

#define CALL_SECOND(regs) ((regs)->regs[1])
#define CALL_THIRD(regs)  ((regs)->regs[2])

#else
#define USER_BYTES_UNKNOWN
#endif

/* ---- Where the bytes are ------------------------------------------------------------------------ */

struct user_vector {
	__u64 base, length;
};

struct user_header { /* the kernel's struct user_msghdr */
	__u64 name, name_length;
	__u64 vectors, vector_count;
};

/* The next byte of a call's, and what is behind it. */
struct user_bytes {
	__u64 base, left;	     /* of the piece that is at hand */
	__u64 vectors, vector_count; /* the pieces after it */
};

static __always_inline bool user_bytes_of_header(struct user_bytes *bytes, __u64 address)
{
	struct user_header header;

	if (bpf_probe_read_user(&header, sizeof(header), (void *)address))
		return false;
	bytes->left = 0;
	bytes->vectors = header.vectors;
	bytes->vector_count = header.vector_count;
	return true;
}

/* Those of the call that the current task is making; false: they can't be read. */
static __always_inline bool user_bytes_find(struct user_bytes *bytes, bool sent)
{
#ifdef USER_BYTES_UNKNOWN
	return false;
#else
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	int call;

	if (task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER))
		return false;
	call = call_number(task, regs);
	if (sent ? call == CALL_WRITE || call == CALL_SENDTO : call == CALL_READ || call == CALL_RECVFROM) {
		bytes->base = CALL_SECOND(regs);
		bytes->left = CALL_THIRD(regs);
		bytes->vector_count = 0;
		return true;
	}
	if (call == (sent ? CALL_WRITEV : CALL_READV)) {
		bytes->vectors = CALL_SECOND(regs);
		bytes->vector_count = CALL_THIRD(regs);
		bytes->left = 0;
		return true;
	}
	if (call == (sent ? CALL_SENDMSG : CALL_RECVMSG))
		return user_bytes_of_header(bytes, CALL_SECOND(regs));
	return false;
#endif
}

/* Goes on to the next piece when one is used up; that may be empty. False: there is none. */
static __always_inline bool user_bytes_turn(struct user_bytes *bytes)
{
	struct user_vector vector;

	if (bytes->left)
		return true;
	if (!bytes->vector_count || bpf_probe_read_user(&vector, sizeof(vector), (void *)bytes->vectors))
		return false;
	bytes->vectors += sizeof(vector);
	bytes->vector_count--;
	bytes->base = vector.base;
	bytes->left = vector.length;
	return true;
}

#endif
