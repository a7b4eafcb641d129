/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Writes a recording. What is noted waits in memory, so that a slow disk holds up nobody; a disk that does
 * not come along at all ends the recording, and not the measuring.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "block.h"
#include "file.h"
#include "log.h"
#include "memory.h"
#include "resident.h"
#include "topology.h"

#define WAITING_MAX (64u << 20)

struct recorder {
	struct deepmon_logger logger;
	char path[DEEPMON_TEXT_MAX];
	int fd;
	pthread_mutex_t writing; /* fd, size and what is written */
	uint64_t size, size_most;

	/* Under the collector's lock. */
	struct recording_out notes;   /* of the frame that is being made */
	struct recording_out waiting; /* whole frames */
	struct recording_fields fields[RECORDING_FIGURES];
	uint64_t topology_sum;
	bool ended;	      /* nothing more is noted */
	const char *ended_by; /* what is to be said of that; NULL: nothing */
	int error;	      /* with it */
};

/* ---- The file ----------------------------------------------------------------------------------- */

/* Nobody else's file, and nobody's at the end of a link, is written to. */
static int make_file(struct recorder *recorder)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	char old[DEEPMON_TEXT_MAX + 8];
	uint8_t head[RECORDING_HEAD_SIZE];

	recorder->fd = open(recorder->path, flags, 0600);
	if (recorder->fd < 0 && errno == EEXIST) {
		snprintf(old, sizeof(old), "%s.old", recorder->path);
		if (rename(recorder->path, old))
			return -errno;
		recorder->fd = open(recorder->path, flags, 0600);
	}
	if (recorder->fd < 0)
		return -errno;
	recording_put_head(head);
	recorder->size = sizeof(head);
	return write(recorder->fd, head, sizeof(head)) == sizeof(head) ? 0 : -EIO;
}

int recorder_open(struct recorder **opened, const struct deepmon_options *options,
		  const struct deepmon_logger *logger)
{
	struct recorder *recorder;
	int r;

	*opened = NULL;
	if (!*options->record)
		return 0;
	recorder = calloc(1, sizeof(*recorder));
	if (!recorder)
		return -ENOMEM;
	recorder->logger = *logger;
	recorder->size_most = (uint64_t)options->record_max << 20;
	snprintf(recorder->path, sizeof(recorder->path), "%s", options->record);
	pthread_mutex_init(&recorder->writing, NULL);
	for (int figures = 0; figures < RECORDING_FIGURES; figures++)
		recording_fields_own(figures, &recorder->fields[figures]);
	r = make_file(recorder);
	if (r) {
		log_error(logger,
			  "Record: %s can't be written (%s): give a path in a directory that deepmon "
			  "may write to",
			  recorder->path, strerror(-r));
		recorder_close(recorder);
		return r;
	}
	log_info(logger, "Record: recording into %s, up to %u MiB", recorder->path, options->record_max);
	*opened = recorder;
	return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			bytes += written;
			length -= (size_t)written;
		}
	}
	return 0;
}

static void lock_if(pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_lock(lock);
}

static void unlock_if(pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_unlock(lock);
}

static void end(struct recorder *recorder, const char *by, int error)
{
	if (recorder->ended)
		return;
	recorder->ended = true;
	recorder->ended_by = by;
	recorder->error = error;
	free(recorder->notes.bytes);
	recorder->notes = (struct recording_out){0};
}

void recorder_write(struct recorder *recorder, pthread_mutex_t *lock)
{
	struct recording_out frames;
	const char *by;
	int r;

	if (!recorder)
		return;
	pthread_mutex_lock(&recorder->writing);
	lock_if(lock);
	frames = recorder->waiting;
	recorder->waiting = (struct recording_out){0};
	unlock_if(lock);
	r = write_all(recorder->fd, frames.bytes, frames.length);
	free(frames.bytes);
	lock_if(lock);
	if (r)
		end(recorder, "it can't be written", r);
	by = recorder->ended_by;
	recorder->ended_by = NULL;
	unlock_if(lock);
	pthread_mutex_unlock(&recorder->writing);
	if (by)
		log_warning(&recorder->logger, "Record: %s ends here: %s%s%s. Measuring goes on",
			    recorder->path, by, recorder->error ? ": " : "",
			    recorder->error ? strerror(-recorder->error) : "");
}

void recorder_close(struct recorder *recorder)
{
	if (!recorder)
		return;
	recorder_write(recorder, NULL);
	file_close(&recorder->fd);
	pthread_mutex_destroy(&recorder->writing);
	free(recorder->notes.bytes);
	free(recorder->waiting.bytes);
	free(recorder);
}

void recorder_frame(struct recorder *recorder, enum recording_frame kind, uint64_t time_ns)
{
	uint8_t head[RECORDING_FRAME_HEAD_SIZE];
	struct recording_out *notes;
	size_t size;

	if (!recorder || recorder->ended)
		return;
	notes = &recorder->notes;
	size = sizeof(head) + notes->length;
	if (notes->failed || recorder->waiting.failed) {
		end(recorder, "a frame is too large", 0);
		return;
	}
	if (recorder->waiting.length + size > WAITING_MAX) {
		end(recorder, "the disk does not come along", 0);
		return;
	}
	if (recorder->size + size > recorder->size_most) {
		end(recorder, "it has reached RecordMax", 0);
		return;
	}
	recorder->size += size;
	recording_put_frame_head(head, kind, time_ns, notes->bytes, (uint32_t)notes->length);
	recording_put_bytes(&recorder->waiting, head, sizeof(head));
	recording_put_bytes(&recorder->waiting, notes->bytes, notes->length);
	notes->length = 0;
}

/* ---- The setup ---------------------------------------------------------------------------------- */

struct recording_out *recorder_notes(struct recorder *recorder)
{
	return recorder && !recorder->ended ? &recorder->notes : NULL;
}

static void put_option(struct recording_out *out, const struct deepmon_option *option,
		       const struct deepmon_options *options)
{
	char text[DEEPMON_LIST_MAX];

	for (uint32_t i = 0; deepmon_option_text(options, option, i, text, sizeof(text)); i++) {
		recording_begin(out, RECORDING_OPTION);
		recording_put_text(out, option->name);
		recording_put_text(out, text);
		recording_end(out);
	}
}

void recorder_host(struct recorder *recorder, const struct deepmon_options *options)
{
	struct recording_out *out = recorder_notes(recorder);
	struct utsname host = {0};

	if (!out)
		return;
	uname(&host);
	recording_begin(out, RECORDING_HOST);
	recording_put_text(out, host.nodename);
	recording_put_text(out, host.release);
	recording_put_text(out, host.machine);
	recording_put_text(out, DEEPMON_VERSION);
	recording_end(out);
	for (size_t i = 0; i < deepmon_option_count; i++)
		put_option(out, &deepmon_option_table[i], options);
	for (int figures = 0; figures < RECORDING_FIGURES; figures++)
		recording_put_fields(out, figures);
}

void recorder_zone(struct recorder *recorder, const struct energy_zone *zone)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, RECORDING_ZONE);
	recording_put_text(out, zone->name);
	recording_put_text(out, zone->source);
	recording_put_text(out, energy_domain_name(zone->domain));
	recording_put_signed(out, zone->socket);
	recording_put(out, zone->range_uj);
	recording_put(out, zone->read_within_ns);
	recording_end(out);
}

/* Which socket each CPU belongs to may change as it goes and comes back. */
static uint64_t sum_topology(const struct topology *topology)
{
	uint64_t sum = 1;

	for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
		sum = sum * 0x9e3779b97f4a7c15u + topology->index_of_cpu[cpu] + 1;
	return sum;
}

void recorder_topology(struct recorder *recorder, const struct topology *topology)
{
	struct recording_out *out = recorder_notes(recorder);
	uint64_t sum = out ? sum_topology(topology) : 0;

	if (!out || sum == recorder->topology_sum)
		return;
	recorder->topology_sum = sum;
	recording_begin(out, RECORDING_TOPOLOGY);
	recording_put(out, topology->has_siblings);
	recording_put(out, topology->cpu_count);
	recording_put(out, topology->socket_count);
	for (size_t i = 0; i < topology->socket_count; i++)
		recording_put_signed(out, topology->socket[i]);
	recording_put_bytes(out, topology->index_of_cpu, topology->cpu_count);
	recording_end(out);
}

/* ---- What is heard ------------------------------------------------------------------------------ */

static void note_path(struct recorder *recorder, enum recording_tag tag, uint64_t cgroup_id, const char *path)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, tag);
	recording_put(out, cgroup_id);
	recording_put_text(out, path);
	recording_end(out);
}

static void note_numbers(struct recorder *recorder, enum recording_tag tag, const uint64_t *numbers,
			 size_t count)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, tag);
	for (size_t i = 0; i < count; i++)
		recording_put(out, numbers[i]);
	recording_end(out);
}

#define NOTE(recorder, tag, ...) \
	note_numbers(recorder, tag, (const uint64_t[]){__VA_ARGS__}, \
		     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

void recorder_created(struct recorder *recorder, uint64_t cgroup_id, const char *path)
{
	note_path(recorder, RECORDING_CREATED, cgroup_id, path);
}

void recorder_removed(struct recorder *recorder, uint64_t cgroup_id, uint64_t now_ns)
{
	NOTE(recorder, RECORDING_REMOVED, cgroup_id, now_ns);
}

void recorder_search(struct recorder *recorder, uint64_t now_ns)
{
	NOTE(recorder, RECORDING_SEARCH, now_ns);
}

void recorder_found(struct recorder *recorder, uint64_t cgroup_id, const char *path)
{
	note_path(recorder, RECORDING_FOUND, cgroup_id, path);
}

void recorder_searched(struct recorder *recorder, bool whole)
{
	NOTE(recorder, RECORDING_SEARCHED, whole);
}

static void put_identity(struct recording_out *out, const struct identity *identity)
{
	recording_put(out, identity->kind);
	recording_put_text(out, identity->runtime ? identity->runtime : "");
	recording_put_text(out, identity->id);
	recording_put_text(out, identity->name);
	recording_put_text(out, identity->container);
	recording_put_text(out, identity->image);
	recording_put_text(out, identity->version);
	recording_put(out, identity->named);
	recording_put_signed(out, identity->user);
	recording_put(out, identity->label_count);
	for (unsigned i = 0; i < identity->label_count; i++) {
		recording_put_text(out, identity->labels[i].key);
		recording_put_text(out, identity->labels[i].value);
	}
}

static void note_identity(struct recorder *recorder, enum recording_tag tag, const char *id,
			  const struct identity *identity)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, tag);
	recording_put_text(out, id);
	put_identity(out, identity);
	recording_end(out);
}

void recorder_name(struct recorder *recorder, const char *id, const struct identity *identity)
{
	note_identity(recorder, RECORDING_NAME, id, identity);
}

void recorder_renamed(struct recorder *recorder, const char *id, const struct identity *identity)
{
	note_identity(recorder, RECORDING_RENAMED, id, identity);
}

void recorder_energy(void *user, size_t zone, const struct energy_reading *reading)
{
	struct recording_out *out = recorder_notes(user);

	if (!out)
		return;
	recording_begin(out, RECORDING_ENERGY);
	recording_put(out, zone);
	recording_put_signed(out, reading->result);
	recording_put(out, reading->raw_uj);
	recording_put(out, reading->now_ns);
	recording_end(out);
}

void recorder_charge(struct recorder *recorder, uint64_t now_ns, uint32_t unseen, uint32_t off)
{
	NOTE(recorder, RECORDING_CHARGE, now_ns, unseen, off);
}

void recorder_choose(struct recorder *recorder, uint64_t now_ns, bool first)
{
	NOTE(recorder, RECORDING_CHOOSE, now_ns, first);
}

static void put_block(struct recorder *recorder, struct recording_out *out,
		      const struct block_reading *reading, const struct block *block)
{
	char name[BLOCK_NAME_MAX];

	block_name(block, reading->major, reading->minor, name);
	recording_put(out, reading->major);
	recording_put(out, reading->minor);
	recording_put_text(out, name);
	recording_put_figures(out, &recorder->fields[RECORDING_OF_BLOCK], &reading->figures, reading->valid);
}

void recorder_footprint(struct recorder *recorder, uint64_t cgroup_id, const struct memory_reading *memory,
			const struct block_readings *readings, const struct block *block)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, RECORDING_FOOTPRINT);
	recording_put(out, cgroup_id);
	recording_put(out, memory != NULL);
	if (memory)
		recording_put_figures(out, &recorder->fields[RECORDING_OF_MEMORY], &memory->figures,
				      memory->valid);
	recording_put(out, readings != NULL);
	recording_put(out, readings ? readings->count : 0);
	for (size_t i = 0; readings && i < readings->count; i++)
		put_block(recorder, out, &readings->all[i], block);
	recording_end(out);
}

void recorder_resident(struct recorder *recorder, uint64_t cgroup_id, const struct resident *resident)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, RECORDING_RESIDENT);
	recording_put(out, cgroup_id);
	recording_put(out, resident->read_ns);
	recording_put(out, resident->processes);
	recording_put_figures(out, &recorder->fields[RECORDING_OF_RESIDENT], &resident->sum, UINT64_MAX);
	recording_end(out);
}

void recorder_begin(struct recorder *recorder, uint64_t now_ns)
{
	NOTE(recorder, RECORDING_BEGIN, now_ns);
}

void recorder_tell(struct recorder *recorder, uint64_t now_ns, uint64_t time_ns,
		   const struct deepmon_self_cost *self, uint64_t valid)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!out)
		return;
	recording_begin(out, RECORDING_TELL);
	recording_put(out, now_ns);
	recording_put(out, time_ns);
	recording_put_figures(out, &recorder->fields[RECORDING_OF_SELF], self, valid);
	recording_end(out);
}
