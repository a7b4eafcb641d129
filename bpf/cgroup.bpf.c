/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The coming and going of cgroups. It touches its own maps only.
 */
#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup.h"

const volatile int cgroup_hierarchy; /* cgroup_root.hierarchy_id of the one followed; fixed before loading */

__u64 cgroup_events_dropped; /* events that found the ring buffer full */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} cgroup_events SEC(".maps");

/* A ring buffer record is as long as its path, so it is put together here first. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_event);
} event_scratch SEC(".maps");

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_created, struct cgroup *cgroup, const char *path)
{
	__u32 zero = 0;
	struct cgroup_event *event = bpf_map_lookup_elem(&event_scratch, &zero);

	if (!event || cgroup->root->hierarchy_id != cgroup_hierarchy)
		return 0;

	long length = bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);

	if (length <= 0)
		return 0;
	event->kind = CGROUP_CREATED;
	event->cgroup_id = cgroup->kn->id;
	event->path_length = (__u32)length - 1;

	__u64 size = offsetof(struct cgroup_event, path) + (length & (2 * CGROUP_EVENT_PATH_MAX - 1));

	if (size > sizeof(*event))
		return 0;
	if (bpf_ringbuf_output(&cgroup_events, event, size, 0))
		__sync_fetch_and_add(&cgroup_events_dropped, 1);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_removed, struct cgroup *cgroup, const char *path)
{
	if (cgroup->root->hierarchy_id != cgroup_hierarchy)
		return 0;

	struct cgroup_event *event =
	    bpf_ringbuf_reserve(&cgroup_events, offsetof(struct cgroup_event, path), 0);

	if (!event) {
		__sync_fetch_and_add(&cgroup_events_dropped, 1);
		return 0;
	}
	event->kind = CGROUP_REMOVED;
	event->cgroup_id = cgroup->kn->id;
	event->path_length = 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
