/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Attaches one program of reference.bpf.c, prints its id and how the four counters are counted (hardware,
 * software, or none for a program that reads none), and stays until stdin is closed.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "reference.h"
#include "tests/bench/reference.skel.h"

struct event {
	__u32 type;
	__u64 config;
};

static const struct event hardware[REFERENCE_COUNTERS] = {
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
};

static const struct event software[REFERENCE_COUNTERS] = {
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
};

static int open_event(const struct event *event, int cpu)
{
	struct perf_event_attr attributes = {
	    .size = sizeof(attributes), .type = event->type, .config = event->config};

	return (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* On every CPU that is there; the files stay open in the map. -errno if the first CPU has not got it. */
static int count(const struct event *event, const struct bpf_map *map)
{
	int cpus = libbpf_num_possible_cpus();

	for (int cpu = 0; cpu < cpus; cpu++) {
		int fd = open_event(event, cpu);
		int r;

		if (fd < 0 && errno == ENODEV && cpu > 0)
			continue;
		if (fd < 0)
			return -errno;
		r = bpf_map_update_elem(bpf_map__fd(map), &cpu, &fd, BPF_ANY);
		if (r)
			return r;
	}
	return 0;
}

static int count_all(const struct event *events, const struct reference_bpf *bpf)
{
	const struct bpf_map *maps[REFERENCE_COUNTERS] = {bpf->maps.counter_0, bpf->maps.counter_1,
							  bpf->maps.counter_2, bpf->maps.counter_3};
	int r = 0;

	for (int i = 0; !r && i < REFERENCE_COUNTERS; i++)
		r = count(&events[i], maps[i]);
	return r;
}

static int attach(struct reference_bpf *bpf, const char *name)
{
	struct bpf_program *program, *wanted = NULL;
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	const char *counted = "none";
	int r;

	bpf_object__for_each_program(program, bpf->obj)
	{
		bool is_it = strcmp(bpf_program__name(program), name) == 0;

		bpf_program__set_autoload(program, is_it);
		if (is_it)
			wanted = program;
	}
	if (!wanted)
		return -ENOENT;
	r = reference_bpf__load(bpf);
	if (!r && wanted == bpf->progs.four_reads) {
		counted = "hardware";
		r = count_all(hardware, bpf);
		if (r) {
			counted = "software";
			r = count_all(software, bpf);
		}
	}
	if (!r)
		r = reference_bpf__attach(bpf);
	if (!r)
		r = bpf_obj_get_info_by_fd(bpf_program__fd(wanted), &info, &size);
	if (!r) {
		printf("%u %s\n", info.id, counted);
		fflush(stdout);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct reference_bpf *bpf = reference_bpf__open();
	int r = -errno;

	if (argc != 2) {
		fprintf(stderr, "Usage: attach PROGRAM\n");
		reference_bpf__destroy(bpf);
		return 2;
	}
	if (bpf)
		r = attach(bpf, argv[1]);
	if (r)
		fprintf(stderr, "attach: %s: %s\n", argv[1], strerror(-r));
	while (!r && getchar() != EOF)
		;
	reference_bpf__destroy(bpf);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
