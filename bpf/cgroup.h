/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What bpf/cgroup.bpf.c and common/cgroup_events.c share.
 */
#ifndef DEEPMON_BPF_CGROUP_H
#define DEEPMON_BPF_CGROUP_H

#include <linux/types.h>

#define CGROUP_EVENT_PATH_MAX 1024

enum cgroup_event_kind {
	CGROUP_CREATED = 1,
	CGROUP_REMOVED =
	    2, /* its directory is gone; a task of it that is exiting may still run for some µs */
};

/* A record of the ring buffer `cgroup_events`. CREATED is sent without the unused end of its path. */
struct cgroup_event {
	__u64 cgroup_id;
	__u32 kind;
	__u32 path_length; /* without the final NUL; CGROUP_EVENT_PATH_MAX - 1 may be cut */
	char path[CGROUP_EVENT_PATH_MAX];
};

#endif
