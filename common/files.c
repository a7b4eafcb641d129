/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/files.bpf.c: at the system calls' own functions, or where the kernel lets no program be put at
 * functions, at the tracepoints of all system calls; with io_uring's requests or without.
 */
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf/files.skel.h"
#include "bpf_object.h"
#include "log.h"

struct files {
	struct files_bpf *bpf;
	uint32_t set_count, path_room; /* powers of two */
	struct bpf_mapping paths;
	struct file_set *sets;	 /* as they were at the beginning of the round, */
	size_t sets_read;	 /* so many of them */
	struct files_copy *copy; /* read in place of the maps; NULL: they are read */
};

/* Ways to hook in, the best first. */
static const struct way {
	const char *section; /* the programs at system calls: how their section's name begins */
	bool uring;
} ways[] = {
    {"f", true}, /* fentry, fexit */
    {"tp_btf/sys_", true},
    {"f", false},
    {"tp_btf/sys_", false},
};

/* What this kernel has. */
struct features {
	/* Whose first argument is the request: the tracepoint io_uring_submit_req, or before Linux 6.3 _sqe.
	 */
	bool submit_req, submit_sqe;
	bool complete; /* the second argument of io_uring_complete is the request */
	bool typed;    /* bpf_rdonly_cast */
};

/* Whether an argument of a tracepoint, from 1, is a pointer; to that struct, or if NULL, to anything. */
static bool takes_pointer(const struct btf *btf, const char *tracepoint, uint32_t argument, const char *to)
{
	int id = btf__find_by_name_kind(btf, tracepoint, BTF_KIND_TYPEDEF);
	const struct btf_type *type =
	    id > 0 ? btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type) : NULL;
	const struct btf_type *proto = type ? btf__type_by_id(btf, type->type) : NULL;

	if (!proto || !btf_is_func_proto(proto) || btf_vlen(proto) <= argument)
		return false;
	type = btf__type_by_id(btf, btf_params(proto)[argument].type);
	if (!type || !btf_is_ptr(type))
		return false;
	type = btf__type_by_id(btf, type->type);
	return !to || (type && !strcmp(btf__name_by_offset(btf, type->name_off), to));
}

static void find_features(struct features *features)
{
	struct btf *btf = btf__load_vmlinux_btf();

	*features = (struct features){0};
	if (!btf)
		return;
	features->submit_req = takes_pointer(btf, "btf_trace_io_uring_submit_req", 1, "io_kiocb");
	features->submit_sqe = takes_pointer(btf, "btf_trace_io_uring_submit_sqe", 1, "io_kiocb");
	features->complete = takes_pointer(btf, "btf_trace_io_uring_complete", 2, NULL);
	features->typed = btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	btf__free(btf);
}

static bool has_uring(const struct features *features)
{
	return features->complete && (features->submit_req || features->submit_sqe);
}

static bool begins_with(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static void choose_programs(const struct files *files, const struct features *features, const struct way *way)
{
	const struct bpf_object *object = files->bpf->obj;
	struct bpf_program *program = NULL;

	while ((program = bpf_object__next_program(object, program)))
		bpf_program__set_autoload(program,
					  begins_with(bpf_program__section_name(program), way->section));
	bpf_program__set_autoload(files->bpf->progs.files_uring_submit, way->uring && features->submit_req);
	bpf_program__set_autoload(files->bpf->progs.files_uring_submit_before,
				  way->uring && features->submit_sqe);
	bpf_program__set_autoload(files->bpf->progs.files_uring_complete, way->uring);
}

static int share_maps(const struct files *files, const struct files_settings *settings)
{
	const struct kernel_slot_maps maps = kernel_slot_maps(settings->kernel);
	const struct latency_maps latency = {files->bpf->maps.latency_pages, files->bpf->maps.latency_index,
					     files->bpf->maps.latency_free, files->bpf->maps.latency_refused};
	int r = bpf_map__reuse_fd(files->bpf->maps.cpus, maps.cpus);

	if (!r)
		r = bpf_map__reuse_fd(files->bpf->maps.slots, maps.slots);
	if (!r)
		r = bpf_map__reuse_fd(files->bpf->maps.slot_by_cgroup, maps.slot_by_cgroup);
	if (!r)
		r = bpf_map__reuse_fd(files->bpf->maps.free_slots, maps.free_slots);
	return r ? r : latency_share(settings->latency, &latency);
}

static uint32_t power_of_two(uint32_t least)
{
	uint32_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

static void size_maps(struct files *files, const struct files_settings *settings)
{
	struct files_bpf *bpf = files->bpf;
	uint32_t slot_count = kernel_slot_count(settings->kernel);

	files->set_count =
	    settings->max_files ? power_of_two((settings->max_files + FILE_PLACES - 1) / FILE_PLACES) : 0;
	files->path_room = power_of_two(settings->path_most);
	bpf->rodata->slot_count = slot_count;
	bpf->rodata->file_set_count = files->set_count;
	bpf->rodata->file_path_most = files->path_room;
	bpf_map__set_max_entries(bpf->maps.file_io_usage, settings->cpu_count * slot_count);
	bpf_map__set_max_entries(bpf->maps.file_requests, settings->max_requests);
	bpf_map__set_value_size(bpf->maps.file_paths,
				(uint32_t)sizeof(struct file_path) + files->path_room + FILE_PATH_SLACK);
	if (files->set_count) {
		bpf_map__set_max_entries(bpf->maps.file_sets, files->set_count);
		bpf_map__set_max_entries(bpf->maps.file_paths, files->set_count * FILE_PLACES);
	}
}

static int load(struct files *files, const struct files_settings *settings, const struct features *features,
		const struct way *way)
{
	struct files_bpf *bpf = files->bpf = files_bpf__open();
	int r;

	if (!bpf)
		return -errno;
	bpf->rodata->cgroup_subsys = settings->hierarchy->subsys;
	bpf->rodata->has_typed = features->typed;
	size_maps(files, settings);
	choose_programs(files, features, way);
	r = share_maps(files, settings);
	if (!r)
		r = bpf_object_loaded(files_bpf__load(bpf), bpf->bss);
	return r ? r : files_bpf__attach(bpf);
}

static void log_way(const struct way *way, const struct deepmon_logger *logger)
{
	if (!begins_with(way->section, "f"))
		log_warning(logger,
			    "FileIO: this kernel lets no program be put at its functions (fentry); every "
			    "system call of the host passes one instead, which makes each dearer");
	if (!way->uring)
		log_warning(logger,
			    "FileIO: this kernel does not tell whose io_uring's requests are; they are "
			    "left out");
}

int files_open(struct files **opened, const struct files_settings *settings,
	       const struct deepmon_logger *logger)
{
	struct files *files = calloc(1, sizeof(*files));
	struct features features;
	libbpf_print_fn_t print;
	size_t way = 0;
	int r = -ENOENT;

	if (!files)
		return -ENOMEM;
	print = bpf_object_silence();
	find_features(&features);
	for (; way < sizeof(ways) / sizeof(ways[0]); way++) {
		if (ways[way].uring && !has_uring(&features))
			continue;
		r = load(files, settings, &features, &ways[way]);
		if (!r)
			break;
		files_bpf__destroy(files->bpf);
		files->bpf = NULL;
	}
	if (!r && files->set_count) {
		files->sets = calloc(files->set_count, sizeof(*files->sets));
		r = files->sets ? bpf_mapping_open(&files->paths, files->bpf->maps.file_paths) : -ENOMEM;
	}
	libbpf_set_print(print);
	if (r) {
		bpf_object_log_refusal(logger, "the accounting of files", "loaded", r,
				       "File I/O is left out");
		files_close(files);
		return r;
	}
	log_way(&ways[way], logger);
	bpf_object_find(logger, "the accounting of files", files->bpf->obj);
	*opened = files;
	return 0;
}

void files_close(struct files *files)
{
	if (!files)
		return;
	bpf_mapping_close(&files->paths);
	files_bpf__destroy(files->bpf);
	free(files->sets);
	free(files);
}

const struct bpf_object_skeleton *files_skeleton(const struct files *files)
{
	return files->bpf->skeleton;
}

const struct bpf_map *files_usage(const struct files *files)
{
	return files->bpf->maps.file_io_usage;
}

int files_add_run_time(const struct files *files, uint64_t *run_time_ns, uint64_t *runs)
{
	return bpf_object_add_run_time(files->bpf->obj, run_time_ns, runs);
}

uint64_t files_lost(const struct files *files)
{
	const struct files_bpf__bss *counts = files->bpf->bss;

	return __atomic_load_n(&counts->file_calls_lost, __ATOMIC_RELAXED) +
	       __atomic_load_n(&counts->file_requests_lost, __ATOMIC_RELAXED);
}

/* ---- By file ------------------------------------------------------------------------------------ */

size_t files_set_count(const struct files *files)
{
	return files->copy ? files->copy->set_count : files->set_count;
}

/* Returns how many could be read. */
static size_t read_sets(const struct files *files, struct file_set *sets)
{
	LIBBPF_OPTS(bpf_map_batch_opts, locked, .elem_flags = BPF_F_LOCK);
	uint32_t place = 0, count = files->set_count;
	uint32_t *numbers = calloc(count, sizeof(*numbers));
	int r = -ENOMEM;

	if (numbers)
		r = bpf_map_lookup_batch(bpf_map__fd(files->bpf->maps.file_sets), NULL, &place, numbers, sets,
					 &count, &locked);
	free(numbers);
	/* Of an array all keys come, in their order; that there are no more is said as an error. */
	return r && r != -ENOENT ? 0 : count;
}

static const struct file_entry *next_entry(struct files *files, size_t *cursor, size_t *place)
{
	if (!*cursor)
		files->sets_read = read_sets(files, files->sets);
	while (*cursor < files->sets_read * FILE_PLACES) {
		const struct file_entry *entry;

		*place = (*cursor)++;
		entry = &files->sets[*place / FILE_PLACES].places[*place % FILE_PLACES];
		if (entry->serial)
			return entry;
	}
	return NULL;
}

const struct file_entry *files_next(struct files *files, size_t *cursor, size_t *place)
{
	return files->copy ? files_copy_next(files->copy, cursor, place) : next_entry(files, cursor, place);
}

/* As the kernel keeps it. */
static int read_path(const struct files *files, size_t place, uint64_t serial, char path[FILES_PATH_MAX + 1],
		     uint32_t *flags)
{
	size_t size = sizeof(struct file_path) + files->path_room + FILE_PATH_SLACK;
	const struct file_path *kept = (const void *)((const char *)files->paths.memory + place * size);
	uint32_t begin = __atomic_load_n(&kept->begin, __ATOMIC_RELAXED);
	const char *text = (const char *)(kept + 1);

	*flags = kept->flags;
	if (__atomic_load_n(&kept->serial, __ATOMIC_ACQUIRE) != serial || begin >= files->path_room)
		return -ENOENT;
	path[0] = '\0';
	strncat(path, text + begin, files->path_room - begin);
	/* It was not written anew meanwhile. */
	return __atomic_load_n(&kept->serial, __ATOMIC_ACQUIRE) == serial ? 0 : -ENOENT;
}

static void write_path(char *path, size_t most, const char *kept, uint32_t flags)
{
	size_t length = strlen(kept);

	if (length > most) {
		kept += length - most;
		flags |= FILE_PATH_CUT;
	}
	path[0] = '\0';
	if (flags & FILE_PATH_CUT)
		strcpy(path, "...");
	strcat(path, kept);
	if (flags & FILE_PATH_DELETED)
		strcat(path, " (deleted)");
}

int files_path(const struct files *files, size_t place, uint64_t serial, char *path, size_t most)
{
	const struct copied_file *copied = files->copy ? &files->copy->files[place] : NULL;
	char kept[FILES_PATH_MAX + 1];
	uint32_t flags;
	int r;

	if (copied) {
		if (copied->entry.serial != serial || !copied->path)
			return -ENOENT;
		write_path(path, most, copied->path, copied->path_flags);
		return 0;
	}
	r = read_path(files, place, serial, kept, &flags);
	if (!r)
		write_path(path, most, kept, flags);
	return r;
}

void files_begin_round(const struct files *files, uint64_t worth)
{
	if (!files->bpf)
		return;
	__atomic_store_n(&files->bpf->bss->file_worth, worth, __ATOMIC_RELAXED);
	__atomic_fetch_add(&files->bpf->data->file_round, 1, __ATOMIC_RELAXED);
}

/* ---- Recordings -------------------------------------------------------------------------------- */

int files_keep_copy(struct files *files, struct kernel_copy *copy)
{
	files->copy = copy ? &copy->files : NULL;
	return copy ? files_copy_init(&copy->files, files->set_count) : 0;
}

void files_capture(struct files *files, struct recording_out *out, const struct recording_fields *fields)
{
	const struct file_entry *entry;
	char path[FILES_PATH_MAX + 1];
	size_t cursor = 0, place;

	if (!files->set_count)
		return;
	recording_begin(out, RECORDING_BY_FILE);
	while ((entry = next_entry(files, &cursor, &place))) {
		uint32_t flags = 0;

		/* Nobody asks for the path of one to which nothing came. */
		if (!files_copy_differs(files->copy, place, entry))
			continue;
		files_copy_put(files->copy, out, fields, place, entry,
			       read_path(files, place, entry->serial, path, &flags) ? NULL : path, flags);
	}
	recording_put(out, 0);
	recording_end(out);
}

int files_open_recorded(struct files **opened, struct kernel_copy *copy)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->copy = &copy->files;
	*opened = files;
	return 0;
}
