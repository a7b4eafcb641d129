/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes replays. The input's first byte says what it is: 'F', a whole file, its frames' sums set right; 'S',
 * the payload of a setup after the part that every recording has; else frames that come after a good setup,
 * each a kind ('R': a report, else a sample), two bytes of length and its payload. What is played is read,
 * sought in both directions and read again: it must be the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../common/collector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#define SAMPLES_MAX 200

/* ---- Files -------------------------------------------------------------------------------------- */

static void put_head(struct recording_out *file)
{
	uint8_t head[RECORDING_HEAD_SIZE];

	recording_put_head(head);
	recording_put_bytes(file, head, sizeof(head));
}

static void put_frame(struct recording_out *file, uint32_t kind, uint64_t time_ns, const void *payload,
		      size_t length)
{
	uint8_t head[RECORDING_FRAME_HEAD_SIZE];

	recording_put_frame_head(head, kind, time_ns, payload, (uint32_t)length);
	recording_put_bytes(file, head, sizeof(head));
	recording_put_bytes(file, payload, length);
}

static void put_host(struct recording_out *setup)
{
	recording_begin(setup, RECORDING_HOST);
	for (int i = 0; i < 4; i++)
		recording_put_text(setup, "host");
	recording_end(setup);
	for (int figures = 0; figures < RECORDING_FIGURES; figures++)
		recording_put_fields(setup, figures);
}

static void put_zone(struct recording_out *setup, const char *name, const char *domain, int socket)
{
	recording_begin(setup, RECORDING_ZONE);
	recording_put_text(setup, name);
	recording_put_text(setup, "powercap");
	recording_put_text(setup, domain);
	recording_put_signed(setup, socket);
	recording_put(setup, 262143328850u);
	recording_put(setup, 0);
	recording_end(setup);
}

static void put_number(struct recording_out *setup, enum recording_tag tag, uint64_t number)
{
	recording_begin(setup, tag);
	recording_put(setup, number);
	recording_end(setup);
}

/* Two CPUs in two sockets, everything measured. */
static void put_setup(struct recording_out *setup)
{
	put_host(setup);
	recording_begin(setup, RECORDING_TOPOLOGY);
	for (int i = 0; i < 3; i++)
		recording_put(setup, i ? 2 : 1);
	recording_put_signed(setup, 0);
	recording_put_signed(setup, 1);
	recording_put_bytes(setup, "\0\1", 2);
	recording_end(setup);
	put_zone(setup, "package-0", "package", 0);
	put_zone(setup, "package-0-dram", "dram", 0);
	put_zone(setup, "package-1", "package", 1);
	put_zone(setup, "psys", "psys", ENERGY_SOCKET_NONE);
	recording_begin(setup, RECORDING_KERNEL);
	recording_put(setup, 64);
	recording_put(setup, 1);
	recording_put(setup, 15);
	recording_put(setup, 64);
	recording_end(setup);
	recording_begin(setup, RECORDING_FILES);
	recording_end(setup);
	put_number(setup, RECORDING_NETWORKED, 31);
	put_number(setup, RECORDING_PEER_ROWS, 8);
	put_number(setup, RECORDING_FILE_SETS, 2);
	latency_copy_put_setup(&(struct latency_copy){.page_count = 16}, setup);
	recording_begin(setup, RECORDING_FOOTPRINTS);
	recording_put(setup, 1);
	recording_put(setup, 1);
	recording_end(setup);
}

static void make_frames(struct recording_out *file, const uint8_t *data, size_t size)
{
	struct recording_out setup = {0};
	uint64_t time_ns = 1000000000;

	put_head(file);
	put_setup(&setup);
	put_frame(file, RECORDING_SETUP, time_ns, setup.bytes, setup.length);
	free(setup.bytes);
	while (size >= 3) {
		size_t length = data[1] | (size_t)data[2] << 8;

		length = length < size - 3 ? length : size - 3;
		time_ns += 1000000000;
		put_frame(file, *data == 'R' ? RECORDING_REPORT : RECORDING_SAMPLE, time_ns, data + 3,
			  length);
		data += 3 + length;
		size -= 3 + length;
	}
}

static void make_setup(struct recording_out *file, const uint8_t *data, size_t size)
{
	struct recording_out setup = {0};

	put_head(file);
	put_host(&setup);
	recording_put_bytes(&setup, data, size);
	put_frame(file, RECORDING_SETUP, 1, setup.bytes, setup.length);
	put_frame(file, RECORDING_SAMPLE, 2, data, size);
	free(setup.bytes);
}

static void make_file(struct recording_out *file, const uint8_t *data, size_t size)
{
	size_t at = RECORDING_HEAD_SIZE;

	recording_put_bytes(file, data, size);
	while (at + RECORDING_FRAME_HEAD_SIZE <= size) {
		struct recording_frame_head head;

		recording_take_frame_head(file->bytes + at, &head);
		if (head.length > size - at - RECORDING_FRAME_HEAD_SIZE)
			break;
		recording_put_frame_head(file->bytes + at, head.kind, head.time_ns,
					 file->bytes + at + RECORDING_FRAME_HEAD_SIZE, head.length);
		at += RECORDING_FRAME_HEAD_SIZE + head.length;
	}
}

/* ---- Playing ------------------------------------------------------------------------------------ */

static uint64_t add(uint64_t sum, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
	return sum;
}

/* All that a sample tells. Reads every text to its end. */
static uint64_t sum_of(const struct deepmon_sample *sample)
{
	uint64_t sum = sample->time_ns;

	for (size_t i = 0; i < sample->record_count; i++) {
		const struct deepmon_record *record = &sample->records[i];
		size_t count;
		const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
		double value;

		sum = add(sum, record->instance, strlen(record->instance));
		sum = add(sum, record->qualifier, strlen(record->qualifier));
		require(record->label_count <= DEEPMON_LABELS_MAX);
		for (unsigned label = 0; label < record->label_count; label++) {
			require(record->labels[label].value && *record->labels[label].value);
			sum = add(sum, record->labels[label].value, strlen(record->labels[label].value));
		}
		for (size_t metric = 0; metric < count; metric++)
			if (deepmon_value_double(record, &metrics[metric], &value))
				sum = add(sum, &value, sizeof(value));
	}
	return sum;
}

static size_t read_all(struct deepmon *collector, uint64_t *sums, uint64_t *times)
{
	const struct deepmon_sample *sample;
	size_t count = 0;

	while (count < SAMPLES_MAX && deepmon_read(collector, &sample) == 0) {
		times[count] = sample->time_ns;
		sums[count++] = sum_of(sample);
	}
	return count;
}

static void play(struct player *player)
{
	static uint64_t sums[SAMPLES_MAX], again[SAMPLES_MAX], times[SAMPLES_MAX], times_again[SAMPLES_MAX];
	struct deepmon_options options;
	struct deepmon *collector;
	size_t count;

	deepmon_options_init(&options);
	options.network = options.proportional_memory = 1;
	options.file_io = 2;
	options.latency_buckets = true;
	options.peers = options.top_files = 3;
	options.container_files = 1;
	options.processes = 2;
	options.max_containers = 3;
	options.max_cgroups = 64;
	options.max_ended = 16;
	if (replay_open(&collector, player, &options, NULL))
		return;
	count = read_all(collector, sums, times);
	if (count && deepmon_replay_seek(collector, 0) == 0) {
		require(read_all(collector, again, times_again) == count);
		require(!memcmp(sums, again, count * sizeof(*sums)));
	}
	deepmon_close(collector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording_out file = {0};
	struct player *player;
	FILE *stream;

	if (!size)
		return 0;
	if (*data == 'F')
		make_file(&file, data + 1, size - 1);
	else if (*data == 'S')
		make_setup(&file, data + 1, size - 1);
	else
		make_frames(&file, data, size);
	stream = file.length ? fmemopen(file.bytes, file.length, "r") : NULL;
	if (stream && player_open(&player, stream) == 0)
		play(player);
	free(file.bytes);
	return 0;
}
