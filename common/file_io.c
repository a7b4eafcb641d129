/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/file_io.bpf.c, and reads its map or the like one of bpf/files.bpf.c.
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
	struct file_io_bpf *bpf; /* NULL: there are files */
	struct bpf_links links;
	struct files *files;
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

static int load(struct file_io *file_io, const struct files_settings *settings)
{
	struct file_io_bpf *bpf = file_io->bpf = file_io_bpf__open();
	int r;

	if (!bpf)
		return -errno;
	bpf->rodata->cgroup_subsys = settings->hierarchy->subsys;
	bpf->rodata->slot_count = file_io->slot_count;
	bpf_map__set_max_entries(bpf->maps.file_io_usage, file_io->cpu_count * file_io->slot_count);
	bpf_program__set_autoattach(bpf->progs.file_io_flush, false);
	bpf_program__set_autoattach(bpf->progs.file_io_begin, false);
	r = share_slots(file_io, settings->kernel);
	if (!r)
		r = bpf_object_loaded(file_io_bpf__load(bpf), bpf->bss);
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

static int open_counts(struct file_io *file_io, const struct files_settings *settings,
		       const struct deepmon_logger *logger)
{
	libbpf_print_fn_t print = bpf_object_silence();
	const char *step = "loaded";
	int r = load(file_io, settings);

	if (!r) {
		step = "attached";
		r = file_io_bpf__attach(file_io->bpf);
	}
	if (!r)
		r = visit_tasks(file_io);
	libbpf_set_print(print);
	if (r)
		bpf_object_log_refusal(logger, "the accounting of file I/O", step, r, "File I/O is left out");
	return r;
}

static int open_files(struct file_io *file_io, const struct files_settings *settings,
		      const struct deepmon_logger *logger)
{
	int r = files_open(&file_io->files, settings, logger);

	return r ? r : bpf_mapping_open(&file_io->usage, files_usage(file_io->files));
}

int file_io_open(struct file_io **opened, bool full, const struct files_settings *settings,
		 const struct deepmon_logger *logger)
{
	struct file_io *file_io = calloc(1, sizeof(*file_io));
	int r = -ENOMEM;

	if (!file_io)
		return -ENOMEM;
	file_io->cpu_count = settings->cpu_count;
	file_io->slot_count = kernel_slot_count(settings->kernel);
	file_io->taken = calloc(file_io->slot_count, sizeof(*file_io->taken));
	if (file_io->taken)
		r = full ? open_files(file_io, settings, logger) : open_counts(file_io, settings, logger);
	if (r) {
		file_io_close(file_io);
		return r;
	}
	bpf_links_watch(&file_io->links,
			file_io->bpf ? file_io->bpf->skeleton : files_skeleton(file_io->files));
	if (file_io->bpf)
		bpf_object_find(logger, "the accounting of file I/O", file_io->bpf->obj);
	*opened = file_io;
	return 0;
}

void file_io_close(struct file_io *file_io)
{
	if (!file_io)
		return;
	bpf_mapping_close(&file_io->usage);
	file_io_bpf__destroy(file_io->bpf);
	files_close(file_io->files);
	free(file_io->taken);
	free(file_io);
}

void file_io_mend(struct file_io *file_io, struct bpf_links_state *state)
{
	bpf_links_mend(&file_io->links, state);
}

void file_io_flush(const struct file_io *file_io)
{
	int fd = file_io->bpf ? bpf_program__fd(file_io->bpf->progs.file_io_flush) : -1;

	/* What operations do is charged as they end. */
	if (fd < 0)
		return;

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

uint64_t file_io_refused(const struct file_io *file_io)
{
	return file_io->bpf ? __atomic_load_n(&file_io->bpf->bss->file_io_tasks_refused, __ATOMIC_RELAXED)
			    : 0;
}

int file_io_add_run_time(const struct file_io *file_io, uint64_t *run_time_ns, uint64_t *runs)
{
	return file_io->bpf ? bpf_object_add_run_time(file_io->bpf->obj, run_time_ns, runs)
			    : files_add_run_time(file_io->files, run_time_ns, runs);
}

struct files *file_io_files(const struct file_io *file_io)
{
	return file_io->files;
}

int file_io_keep_copy(struct file_io *file_io, const struct kernel *kernel)
{
	file_io->copy = kernel_copy_of(kernel);
	return file_io->files ? files_keep_copy(file_io->files, file_io->copy) : 0;
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
	if (file_io->files)
		files_capture(file_io->files, out, &copy->fields[RECORDING_OF_FILE]);
}

int file_io_open_recorded(struct file_io **opened, const struct kernel *kernel, bool full)
{
	struct file_io *file_io = calloc(1, sizeof(*file_io));
	int r = -ENOMEM;

	if (!file_io)
		return -ENOMEM;
	file_io->copy = kernel_copy_of(kernel);
	file_io->taken = calloc(kernel_slot_count(kernel), sizeof(*file_io->taken));
	if (file_io->taken)
		r = full ? files_open_recorded(&file_io->files, file_io->copy) : 0;
	if (r) {
		file_io_close(file_io);
		return r;
	}
	*opened = file_io;
	return 0;
}
