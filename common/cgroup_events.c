/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/cgroup.bpf.c and reads its ring buffer.
 */
#include "cgroup_events.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#include "bpf/cgroup.skel.h"
#include "bpf_object.h"

struct cgroup_events {
	struct cgroup_bpf *bpf;
	struct bpf_links links;
	struct ring_buffer *ring;
	cgroup_event_handler *handle;
	void *user;
};

static int take_event(void *context, void *data, size_t size)
{
	struct cgroup_events *events = context;

	(void)size;
	events->handle(events->user, data);
	return 0;
}

static int start(struct cgroup_events *events, const struct hierarchy *hierarchy, const char **step)
{
	int r;

	*step = "opened";
	events->bpf = cgroup_bpf__open();
	if (!events->bpf)
		return -errno;
	events->bpf->rodata->cgroup_hierarchy = hierarchy->id;
	*step = "loaded";
	r = bpf_object_loaded(cgroup_bpf__load(events->bpf), events->bpf->bss);
	if (r)
		return r;
	events->ring =
	    ring_buffer__new(bpf_map__fd(events->bpf->maps.cgroup_events), take_event, events, NULL);
	if (!events->ring)
		return -errno;
	*step = "attached";
	return cgroup_bpf__attach(events->bpf);
}

int cgroup_events_open(struct cgroup_events **opened, const struct hierarchy *hierarchy,
		       cgroup_event_handler *handle, void *user, const struct deepmon_logger *logger)
{
	struct cgroup_events *events = calloc(1, sizeof(*events));
	libbpf_print_fn_t print;
	const char *step;
	int r;

	if (!events)
		return -ENOMEM;
	events->handle = handle;
	events->user = user;
	print = bpf_object_silence();
	r = start(events, hierarchy, &step);
	libbpf_set_print(print);
	if (r) {
		bpf_object_log_refusal(logger, "the cgroup events", step, r,
				       "Cgroups are found by search only: the shortest may be missed");
		cgroup_events_close(events);
		return r;
	}
	bpf_links_watch(&events->links, events->bpf->skeleton);
	bpf_object_find(logger, "the cgroup events", events->bpf->obj);
	*opened = events;
	return 0;
}

void cgroup_events_close(struct cgroup_events *events)
{
	if (!events)
		return;
	ring_buffer__free(events->ring);
	cgroup_bpf__destroy(events->bpf);
	free(events);
}

void cgroup_events_mend(struct cgroup_events *events, struct bpf_links_state *state)
{
	bpf_links_mend(&events->links, state);
}

int cgroup_events_fd(const struct cgroup_events *events)
{
	return ring_buffer__epoll_fd(events->ring);
}

void cgroup_events_read(struct cgroup_events *events)
{
	ring_buffer__consume(events->ring);
}

uint64_t cgroup_events_dropped(const struct cgroup_events *events)
{
	return __atomic_load_n(&events->bpf->bss->cgroup_events_dropped, __ATOMIC_RELAXED);
}

int cgroup_events_add_run_time(const struct cgroup_events *events, uint64_t *run_time_ns, uint64_t *runs)
{
	return bpf_object_add_run_time(events->bpf->obj, run_time_ns, runs);
}
