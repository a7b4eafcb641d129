/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/file_io.bpf.c and reads its map.
 */
#include "file_io.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/file_io.skel.h"
#include "bpf_object.h"
#include "file.h"

#define COUNTS (sizeof(struct file_io_usage) / sizeof(__u64))

struct file_io {
	struct file_io_bpf *bpf;
	uint32_t cpu_count, slot_count;
	struct bpf_mapping usage;
	struct file_io_usage *taken; /* [slot] */
	struct kernel_copy *copy;    /* read in place of the map; NULL: that is read */
};

static int share_slots(const struct file_io *file_io, const struct kernel *kernel)
{
	const struct kernel_slot_maps maps = kernel_slot_maps(kernel);
	int r = bpf_map__reuse_fd(file_io->bpf->maps.cpus, maps.cpus);

	if (!r)
		r = bpf_map__reuse_fd(file_io->bpf->maps.slots, maps.slots);
	if (!r)
		r = bpf_map__reuse_fd(file_io->bpf->maps.slot_by_cgroup, maps.slot_by_cgroup);
	if (!r)
		r = bpf_map__reuse_fd(file_io->bpf->maps.free_slots, maps.free_slots);
	return r;
}

static int load(struct file_io *file_io, const struct kernel *kernel, const struct hierarchy *hierarchy)
{
	struct file_io_bpf *bpf = file_io->bpf = file_io_bpf__open();
	int r;

	if (!bpf)
		return -errno;
	bpf->rodata->cgroup_subsys = hierarchy->subsys;
	bpf->rodata->slot_count = file_io->slot_count;
	bpf_map__set_max_entries(bpf->maps.file_io_usage, file_io->cpu_count * file_io->slot_count);
	bpf_program__set_autoattach(bpf->progs.file_io_flush, false);
	bpf_program__set_autoattach(bpf->progs.file_io_begin, false);
	r = share_slots(file_io, kernel);
	if (!r)
		r = file_io_bpf__load(bpf);
	return r ? r : bpf_mapping_open(&file_io->usage, bpf->maps.file_io_usage);
}

/* Tasks that come meanwhile are told of by then, and left as they are. */
static int visit_tasks(const struct file_io *file_io)
{
	struct bpf_link *link = bpf_program__attach_iter(file_io->bpf->progs.file_io_begin, NULL);
	cleanup_close int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -errno;
	char nothing[64];
	ssize_t n = fd < 0 ? fd : 1;

	while (n > 0)
		n = read(fd, nothing, sizeof(nothing));
	bpf_link__destroy(link);
	return n < 0 && fd >= 0 ? -errno : (int)n;
}

int file_io_open(struct file_io **opened, const struct kernel *kernel, uint32_t cpu_count,
		 const struct hierarchy *hierarchy, const struct deepmon_logger *logger)
{
	struct file_io *file_io = calloc(1, sizeof(*file_io));
	const char *step = "loaded";
	libbpf_print_fn_t print;
	int r;

	if (!file_io)
		return -ENOMEM;
	file_io->cpu_count = cpu_count;
	file_io->slot_count = kernel_slot_count(kernel);
	file_io->taken = calloc(file_io->slot_count, sizeof(*file_io->taken));
	print = bpf_object_silence();
	r = file_io->taken ? load(file_io, kernel, hierarchy) : -ENOMEM;
	if (!r) {
		step = "attached";
		r = file_io_bpf__attach(file_io->bpf);
	}
	if (!r)
		r = visit_tasks(file_io);
	libbpf_set_print(print);
	if (r) {
		bpf_object_log_refusal(logger, "the accounting of file I/O", step, r, "File I/O is left out");
		file_io_close(file_io);
		return r;
	}
	*opened = file_io;
	return 0;
}

void file_io_close(struct file_io *file_io)
{
	if (!file_io)
		return;
	bpf_mapping_close(&file_io->usage);
	file_io_bpf__destroy(file_io->bpf);
	free(file_io->taken);
	free(file_io);
}

void file_io_flush(const struct file_io *file_io)
{
	int fd = bpf_program__fd(file_io->bpf->progs.file_io_flush);

	for (uint32_t cpu = 0; cpu < file_io->cpu_count; cpu++) {
		struct bpf_test_run_opts on_cpu = {
		    .sz = sizeof(on_cpu), .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu};

		/* One that is offline runs nothing. */
		(void)bpf_prog_test_run_opts(fd, &on_cpu);
	}
}

/* What all CPUs counted in the slot. */
static void sum_slot(const struct file_io *file_io, uint32_t slot, struct file_io_usage *sum)
{
	const struct file_io_usage *usage = file_io->usage.memory;
	__u64 *sums = (__u64 *)sum;

	*sum = (struct file_io_usage){0};
	for (uint32_t cpu = 0; cpu < file_io->cpu_count; cpu++) {
		const __u64 *counts = (const __u64 *)&usage[(size_t)cpu * file_io->slot_count + slot];

		for (size_t i = 0; i < COUNTS; i++)
			sums[i] += __atomic_load_n(&counts[i], __ATOMIC_RELAXED);
	}
}

void file_io_take(struct file_io *file_io, uint32_t slot, struct file_io_usage *used)
{
	__u64 *sums = (__u64 *)used, *taken = (__u64 *)&file_io->taken[slot];

	if (file_io->copy)
		*used = file_io->copy->file_io[slot];
	else
		sum_slot(file_io, slot, used);
	for (size_t i = 0; i < COUNTS; i++) {
		__u64 sum = sums[i];

		sums[i] -= taken[i];
		taken[i] = sum;
	}
}

void file_io_keep_copy(struct file_io *file_io, const struct kernel *kernel)
{
	file_io->copy = kernel_copy_of(kernel);
}

void file_io_capture(struct file_io *file_io, struct recording_out *out)
{
	struct kernel_copy *copy = file_io->copy;

	recording_begin(out, RECORDING_FILE_IO);
	for (uint32_t slot = 0; slot < copy->slots; slot++) {
		struct file_io_usage now;

		sum_slot(file_io, slot, &now);
		if (!recording_has_growth(&copy->fields[RECORDING_OF_FILE_IO], &copy->file_io[slot], &now))
			continue;
		recording_put(out, slot + 1);
		recording_put_growth(out, &copy->fields[RECORDING_OF_FILE_IO], &copy->file_io[slot], &now);
	}
	recording_put(out, 0);
	recording_end(out);
}

int file_io_open_recorded(struct file_io **opened, const struct kernel *kernel)
{
	struct file_io *file_io = calloc(1, sizeof(*file_io));

	if (file_io)
		file_io->taken = calloc(kernel_slot_count(kernel), sizeof(*file_io->taken));
	if (!file_io || !file_io->taken) {
		free(file_io);
		return -ENOMEM;
	}
	file_io->copy = kernel_copy_of(kernel);
	*opened = file_io;
	return 0;
}
