/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Transactions, latencies, peers, files by name and RSS in recordings: what one writes down the other plays,
 * what is hostile is refused, and what was not recorded is absent.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/kernel_copy.h"
#include "../../common/network.h"
#include "../../common/peers.h"
#include "../../common/recorder.h"
#include "../../common/resident.h"
#include "../../common/topology.h"

#define SLOTS	  16
#define MAX_PAGES 8
#define MAX_PEERS 5
#define SETS	  2

static struct kernel_copy from, to;
static struct recording_out out;

static void make(struct kernel_copy *copy)
{
	ck_assert_int_eq(kernel_copy_init(copy, 2, SLOTS, 4), 0);
	ck_assert_int_eq(latency_copy_init(&copy->latency, MAX_PAGES, SLOTS), 0);
	ck_assert_int_eq(peers_copy_init(&copy->peers, MAX_PEERS), 0);
	ck_assert_int_eq(files_copy_init(&copy->files, SETS), 0);
}

static void set_up(void)
{
	make(&from);
	make(&to);
	out = (struct recording_out){0};
}

static void tear_down(void)
{
	kernel_copy_clear(&from);
	kernel_copy_clear(&to);
	free(out.bytes);
}

/* Ends what was put and plays it. */
static int play(enum recording_tag tag)
{
	struct recording_in in;
	int r;

	recording_put(&out, 0);
	in = (struct recording_in){out.bytes, out.bytes + out.length, false};
	r = kernel_copy_play(&to, tag, &in);
	ck_assert(r || in.at == in.end);
	out.length = 0;
	return r;
}

static int play_numbers(enum recording_tag tag, const uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		recording_put(&out, numbers[i]);
	return play(tag);
}

#define PLAY(tag, ...) \
	play_numbers(tag, (const uint64_t[]){__VA_ARGS__}, \
		     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* ---- Each of them -------------------------------------------------------------------------------- */

START_TEST(latencies)
{
	struct latency_fresh fresh = {.slot = 7, .kind = LATENCY_HTTP_SERVER, .octave = 31, .sum_ns = 1234};
	struct latency_fresh taken;
	uint32_t cursor = 0;

	fresh.buckets.counts[0] = 3;
	fresh.buckets.counts[63] = UINT64_MAX;
	for (int round = 0; round < 2; round++) {
		size_t key = out.length;

		latency_copy_put(&from.latency, &out, MAX_PAGES - 1, &fresh);
		ck_assert_uint_lt(out.length - key, 64);
		ck_assert_int_eq(play(RECORDING_LATENCIES), 0);
		cursor = 0;
		ck_assert(latency_copy_take(&to.latency, &cursor, &taken));
		ck_assert_uint_eq(taken.slot, 7);
		ck_assert_int_eq(taken.kind, LATENCY_HTTP_SERVER);
		ck_assert_uint_eq(taken.octave, 31);
		ck_assert_uint_eq(taken.sum_ns, 1234);
		ck_assert(!memcmp(&taken.buckets, &fresh.buckets, sizeof(fresh.buckets)));
		ck_assert(!latency_copy_take(&to.latency, &cursor, &taken));
	}
}
END_TEST

START_TEST(hostile_latencies)
{
	/* A page past the last; nobody's slot, one too high, a kind and an octave too high. */
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, MAX_PAGES + 1, 3, 0, 0, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 1, 0, 0, 0, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 1, SLOTS, 0, 0, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 1, 3, LATENCY_KINDS, 0, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 1, 3, 0, HISTOGRAM_OCTAVES, 1, 0), -EBADMSG);
	/* More buckets than the record has. */
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 1, 3, 0, 0, 1, UINT64_MAX, 1), -EBADMSG);
	/* The same page for ever, before anybody takes it. */
	for (uint32_t i = 0; i < MAX_PAGES; i++)
		ck_assert_int_eq(i ? PLAY(RECORDING_LATENCIES, 2, 9, 1, 1)
				   : PLAY(RECORDING_LATENCIES, 2, 3, 0, 0, 9, 1, 1),
				 0);
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 2, 9, 1, 1), -EBADMSG);
	ck_assert_uint_eq(to.latency.fresh_count, MAX_PAGES);
}
END_TEST

/* As a setup has them: another version may know other kinds, and order them otherwise. */
START_TEST(kinds_go_by_their_names)
{
	struct recording_in in;
	struct latency_copy copy;
	struct latency_fresh fresh;
	uint32_t cursor = 0;

	recording_put(&out, MAX_PAGES);
	recording_put(&out, HISTOGRAM_FIRST_POWER);
	recording_put(&out, HISTOGRAM_OCTAVES);
	recording_put(&out, HISTOGRAM_SUBS);
	recording_put(&out, 3);
	recording_put_text(&out, "of_tomorrow");
	recording_put_text(&out, "file_sync");
	recording_put_text(&out, "tcp_client");
	in = (struct recording_in){out.bytes, out.bytes + out.length, false};
	ck_assert_int_eq(latency_copy_take_setup(&copy, &in, SLOTS, 1u << LATENCY_FILE_SYNC), 0);
	latency_copy_clear(&to.latency);
	to.latency = copy;
	out.length = 0;
	ck_assert_int_eq(
	    PLAY(RECORDING_LATENCIES, 1, 3, 0, 0, 5, 1, 1, 2, 3, 1, 0, 6, 1, 1, 3, 3, 2, 0, 7, 1, 1), 0);
	ck_assert(latency_copy_take(&to.latency, &cursor, &fresh));
	ck_assert_int_eq(fresh.kind, LATENCY_FILE_SYNC);
	ck_assert_uint_eq(fresh.sum_ns, 6);
	/* The first is none of ours, and the last not wanted. */
	ck_assert(!latency_copy_take(&to.latency, &cursor, &fresh));
	ck_assert_int_eq(PLAY(RECORDING_LATENCIES, 4, 3, 3, 0, 5, 0), -EBADMSG);
}
END_TEST

START_TEST(histograms_of_another_shape)
{
	static const uint64_t shapes[][4] = {
	    {MAX_PAGES, HISTOGRAM_FIRST_POWER + 1, HISTOGRAM_OCTAVES, HISTOGRAM_SUBS},
	    {MAX_PAGES, HISTOGRAM_FIRST_POWER, HISTOGRAM_OCTAVES - 1, HISTOGRAM_SUBS},
	    {MAX_PAGES, HISTOGRAM_FIRST_POWER, HISTOGRAM_OCTAVES, HISTOGRAM_SUBS * 2},
	    {0, HISTOGRAM_FIRST_POWER, HISTOGRAM_OCTAVES, HISTOGRAM_SUBS},
	    {LATENCY_COPY_PAGES_MAX + 1, HISTOGRAM_FIRST_POWER, HISTOGRAM_OCTAVES, HISTOGRAM_SUBS},
	};

	for (size_t shape = 0; shape < 5; shape++) {
		struct latency_copy copy = {0};
		struct recording_in in;

		out.length = 0;
		for (size_t i = 0; i < 4; i++)
			recording_put(&out, shapes[shape][i]);
		recording_put(&out, 0);
		in = (struct recording_in){out.bytes, out.bytes + out.length, false};
		ck_assert_int_eq(latency_copy_take_setup(&copy, &in, SLOTS, UINT32_MAX),
				 shape < 3 ? -EPROTONOSUPPORT : -EBADMSG);
		ck_assert_ptr_null(copy.keys);
	}
}
END_TEST

static const struct peer_row six = {.key = {.cgroup_id = 1ull << 60,
					    .address = {0xfd, [15] = 9},
					    .port = 65535,
					    .family = 6,
					    .protocol = IPPROTO_UDP,
					    .role = PEER_AS_SERVER},
				    .other = PEER_SEVERAL,
				    .used = {.sent_bytes = 7, .closed = UINT64_MAX}};

static void put_row(uint32_t row, const struct peer_row *now)
{
	peers_copy_put(&from.peers, &out, &from.fields[RECORDING_OF_PEER], row, now);
}

START_TEST(peers)
{
	struct peer_row four = {.key = {.cgroup_id = 5, .address = {10, 0, 0, 7}, .port = 80, .family = 4}};

	put_row(MAX_PEERS, &six);
	put_row(1, &four);
	ck_assert_int_eq(play(RECORDING_PEERS), 0);
	ck_assert(!memcmp(&to.peers.rows[MAX_PEERS], &six, sizeof(six)));
	ck_assert(!memcmp(&to.peers.rows[1], &four, sizeof(four)));
	ck_assert_uint_eq(to.peers.rows_used, MAX_PEERS + 1);

	peers_copy_put_name(&from.peers, &out, 1, "web one", 8080);
	peers_copy_put_name(&from.peers, &out, MAX_PEERS, NULL, 65535);
	ck_assert_int_eq(play(RECORDING_PEER_NAMES), 0);
	ck_assert_str_eq(to.peers.known[1].name, "web one");
	ck_assert_uint_eq(to.peers.known[1].port, 8080);
	ck_assert_ptr_null(to.peers.known[MAX_PEERS].name);
	ck_assert(to.peers.names_changed);

	/* What is as it was is not written again. */
	put_row(1, &four);
	peers_copy_put_name(&from.peers, &out, 1, "web one", 8080);
	ck_assert_uint_eq(out.length, 0);
	four.used.sent_bytes = 200;
	put_row(1, &four);
	ck_assert_uint_lt(out.length, 8);
	ck_assert_int_eq(play(RECORDING_PEERS), 0);
	ck_assert(!memcmp(&to.peers.rows[1], &four, sizeof(four)));
	ck_assert_str_eq(to.peers.known[1].name, "web one");
	peers_copy_put_name(&from.peers, &out, 1, "", 0);
	ck_assert_int_eq(play(RECORDING_PEER_NAMES), 0);
	ck_assert_ptr_null(to.peers.known[1].name);

	/* Another has the row, and nobody: both without the name of whoever had it. */
	peers_copy_put_name(&from.peers, &out, 1, "again", 1);
	ck_assert_int_eq(play(RECORDING_PEER_NAMES), 0);
	four.key.port = 81;
	put_row(1, &four);
	put_row(MAX_PEERS, &(struct peer_row){.other = six.other, .used = six.used});
	ck_assert_int_eq(play(RECORDING_PEERS), 0);
	ck_assert_ptr_null(to.peers.known[1].name);
	ck_assert(!from.peers.known[1].looked_up);
	ck_assert_uint_eq(to.peers.rows[1].key.port, 81);
	ck_assert_uint_eq(to.peers.rows[MAX_PEERS].key.cgroup_id, 0);
}
END_TEST

START_TEST(hostile_peers)
{
	/* Nobody's row and one past the last; families, ports, protocols and roles that can't be. */
	ck_assert_int_eq(PLAY(RECORDING_PEERS, 1, 2, 5), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEERS, MAX_PEERS + 2, 2, 5), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEERS, 2, 1, 77, 5, 1, 2, 3, 4), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEERS, 2, 1, 77, 4, 1, 2, 3, 4, 65536, 6, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEERS, 2, 1, 77, 4, 1, 2, 3, 4, 80, 256, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEERS, 2, 1, 77, 4, 1, 2, 3, 4, 80, 6, 2), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEERS, 2, 1, 77, 4, 1), -EBADMSG);
	ck_assert_uint_eq(to.peers.rows_used, 1);
	/* A name of a row that nobody has; one too long. */
	ck_assert_int_eq(PLAY(RECORDING_PEER_NAMES, 2, 80, 1, 'x'), -EBADMSG);
	put_row(1, &six);
	ck_assert_int_eq(play(RECORDING_PEERS), 0);
	ck_assert_int_eq(PLAY(RECORDING_PEER_NAMES, 2, 80, 1, 'x'), 0);
	ck_assert_int_eq(PLAY(RECORDING_PEER_NAMES, 2, 80, PEER_NAME_MAX), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_PEER_NAMES, 2, 65536, 1, 'x'), -EBADMSG);
}
END_TEST

static void put_file(size_t place, const struct file_entry *now, const char *path, uint32_t flags)
{
	files_copy_put(&from.files, &out, &from.fields[RECORDING_OF_FILE], place, now, path, flags);
}

START_TEST(files)
{
	struct file_entry entry = {
	    .key = {.cgroup_id = 5, .inode = 1ull << 40, .device = 8 << 20, .generation = 9},
	    .serial = 3,
	    .counts = {.read_bytes = 100, .reads = 1},
	    .missed = 70};
	const struct file_entry *played;
	size_t cursor = 0, place;

	ck_assert(files_copy_differs(&from.files, 15, &entry));
	put_file(15, &entry, NULL, 0);
	ck_assert(!files_copy_differs(&from.files, 15, &entry));
	ck_assert_int_eq(play(RECORDING_BY_FILE), 0);
	played = files_copy_next(&to.files, &cursor, &place);
	ck_assert_uint_eq(place, 15);
	ck_assert(!memcmp(played, &entry, sizeof(entry)));
	ck_assert_ptr_null(to.files.files[15].path);
	ck_assert_ptr_null(files_copy_next(&to.files, &cursor, &place));

	/* Its path is known later. */
	entry.counts.writes = entry.counts.written_bytes = 300;
	put_file(15, &entry, "/a/path", FILE_PATH_DELETED);
	put_file(15, &entry, "/a/path", FILE_PATH_DELETED);
	ck_assert_int_eq(play(RECORDING_BY_FILE), 0);
	cursor = 0;
	played = files_copy_next(&to.files, &cursor, &place);
	ck_assert_uint_eq(played->counts.written_bytes, 300);
	ck_assert_str_eq(to.files.files[15].path, "/a/path");
	ck_assert_uint_eq(to.files.files[15].path_flags, FILE_PATH_DELETED);
	ck_assert_ptr_null(files_copy_next(&to.files, &cursor, &place));
	entry.counts.reads++;
	put_file(15, &entry, "/a/path", FILE_PATH_DELETED);
	ck_assert_uint_lt(out.length, 8);
	ck_assert_int_eq(play(RECORDING_BY_FILE), 0);

	/* Another takes the place: it begins with nothing, and without a path. */
	entry = (struct file_entry){.key = {.cgroup_id = 6}, .serial = 4, .counts = {.reads = 1}};
	put_file(15, &entry, NULL, 0);
	ck_assert_int_eq(play(RECORDING_BY_FILE), 0);
	ck_assert(!memcmp(&to.files.files[15].entry, &entry, sizeof(entry)));
	ck_assert_ptr_null(to.files.files[15].path);
}
END_TEST

START_TEST(hostile_files)
{
	ck_assert_int_eq(PLAY(RECORDING_BY_FILE, SETS * FILE_PLACES + 1, 1, 5, 6, 7, 8, 9, 0), -EBADMSG);
	/* Nobody's place, which a path or figures are told of. */
	ck_assert_int_eq(PLAY(RECORDING_BY_FILE, 1, 1, 5, 6, 7, 8, /* serial */ 0, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_BY_FILE, 1, 4, 1, 1), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_BY_FILE, 1, 2, 0, 1, 'x'), -EBADMSG);
	ck_assert_int_eq(PLAY(RECORDING_BY_FILE, 1, 3, 5, 6, 7, 8, 9, 0, 0, FILES_COPY_PATH_MAX + 1),
			 -EBADMSG);
	/* One that is told of over and over is one that changed. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(PLAY(RECORDING_BY_FILE, 1, 1, 5, 6, 7, 8, 9, 0), 0);
	ck_assert_uint_eq(to.files.changed_count, 1);
}
END_TEST

START_TEST(too_many_are_refused)
{
	struct kernel_copy copy = {0};

	ck_assert_int_eq(latency_copy_init(&copy.latency, LATENCY_COPY_PAGES_MAX + 1, SLOTS), -E2BIG);
	ck_assert_int_eq(peers_copy_init(&copy.peers, PEERS_COPY_ROWS_MAX + 1), -E2BIG);
	ck_assert_int_eq(files_copy_init(&copy.files, FILES_COPY_SETS_MAX + 1), -E2BIG);
	kernel_copy_clear(&copy);
}
END_TEST

/* What the options ask less of than was recorded is passed over, whatever it is. */
START_TEST(what_is_not_opened_is_passed_over)
{
	static const enum recording_tag tags[] = {RECORDING_LATENCIES, RECORDING_PEERS, RECORDING_PEER_NAMES,
						  RECORDING_BY_FILE};

	kernel_copy_clear(&to);
	ck_assert_int_eq(kernel_copy_init(&to, 2, SLOTS, 4), 0);
	for (size_t i = 0; i < 4; i++) {
		struct recording_in in = {(const uint8_t *)"\2\1\1", (const uint8_t *)"\2\1\1" + 3, false};

		ck_assert_int_eq(kernel_copy_play(&to, tags[i], &in), 0);
	}
}
END_TEST

/* ---- A host -------------------------------------------------------------------------------------- */

#define SECOND	  1000000000ull
#define CGROUP	  77
#define SLOT	  CPU_SLOT_FIRST
#define CONTAINER "/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char path[] = "/tmp/deepmon-books-XXXXXX";
static struct deepmon_options options;
static struct recorder *recorder;

static void set(const char *name, const char *value)
{
	char why[256];

	ck_assert_msg(deepmon_options_set(&options, name, value, why, sizeof(why)) == 0, "%s", why);
}

static void note(enum recording_tag tag, const uint64_t *numbers, size_t count)
{
	struct recording_out *notes = recorder_notes(recorder);

	recording_begin(notes, tag);
	for (size_t i = 0; i < count; i++)
		recording_put(notes, numbers[i]);
	recording_end(notes);
}

#define NOTE(tag, ...) \
	note(tag, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void note_setup(bool whole)
{
	static uint8_t index_of_cpu[2];
	const struct topology topology = {.socket_count = 1, .cpu_count = 2, .index_of_cpu = index_of_cpu};

	recorder_host(recorder, &options);
	recorder_topology(recorder, &topology);
	NOTE(RECORDING_KERNEL, SLOTS - CPU_SLOT_FIRST, 0, 0, 0);
	NOTE(RECORDING_NETWORKED, NETWORK_TRAFFIC | NETWORK_CONNECTIONS | NETWORK_TRANSACTIONS);
	note(RECORDING_FILES, NULL, 0);
	if (whole) {
		latency_copy_put_setup(&from.latency, recorder_notes(recorder));
		NOTE(RECORDING_PEER_ROWS, MAX_PEERS);
		NOTE(RECORDING_FILE_SETS, SETS);
	}
	recorder_frame(recorder, RECORDING_SETUP, SECOND);
}

/* A second's work: so many transactions, each of 100 us, with one endpoint and one file. */
static void note_work(uint64_t count, uint64_t second)
{
	struct recording_out *notes = recorder_notes(recorder);
	struct latency_fresh fresh = {.slot = SLOT, .kind = LATENCY_HTTP_CLIENT};
	struct histogram_bucket bucket = histogram_bucket_of(100000);
	struct peer_row row = {.key = {.cgroup_id = CGROUP,
				       .address = {10, 1, 2, 3},
				       .port = 80,
				       .family = 4,
				       .protocol = IPPROTO_TCP}};
	struct file_entry entry = {.key = {.cgroup_id = CGROUP, .inode = 5}, .serial = 1};
	struct net_dialogues dialogues = {0};
	static struct net_dialogues last;

	if (!second)
		last = dialogues;
	dialogues = last;
	dialogues.of[NET_HTTP][NET_AS_CLIENT].answered += count;
	dialogues.of[NET_HTTP][NET_AS_CLIENT].status[3] += count;
	recording_begin(notes, RECORDING_DIALOGUES);
	recording_put(notes, SLOT + 1);
	recording_put_growth(notes, &from.fields[RECORDING_OF_DIALOGUES], &last, &dialogues);
	recording_put(notes, 0);
	recording_end(notes);

	fresh.octave = bucket.octave;
	fresh.sum_ns = count * 100000;
	fresh.buckets.counts[bucket.sub] = count;
	recording_begin(notes, RECORDING_LATENCIES);
	latency_copy_put(&from.latency, notes, 3, &fresh);
	recording_put(notes, 0);
	recording_end(notes);

	row.used.sent_bytes = 10 * dialogues.of[NET_HTTP][NET_AS_CLIENT].answered;
	NOTE(RECORDING_NETWORK, SLOT + 1, /* tcp_sent_bytes */ 1, 10 * count, 0);
	recording_begin(notes, RECORDING_PEERS);
	peers_copy_put(&from.peers, notes, &from.fields[RECORDING_OF_PEER], 2, &row);
	recording_put(notes, 0);
	recording_end(notes);
	recording_begin(notes, RECORDING_PEER_NAMES);
	peers_copy_put_name(&from.peers, notes, 2, second > 1 ? "api" : NULL, 8080);
	recording_put(notes, 0);
	recording_end(notes);

	entry.counts.reads = entry.counts.read_bytes = dialogues.of[NET_HTTP][NET_AS_CLIENT].answered;
	NOTE(RECORDING_FILE_IO, SLOT + 1, /* read_bytes, reads, syncs */ 1 | 4 | 16, count, count, 1, 0);
	recording_begin(notes, RECORDING_BY_FILE);
	files_copy_put(&from.files, notes, &from.fields[RECORDING_OF_FILE], 0, &entry, "/var/data", 0);
	recording_put(notes, 0);
	recording_end(notes);
}

/* Two reports of a container; of a version that recorded less, if not `whole`. */
static void record_host(bool whole)
{
	const struct deepmon_logger silent = {0};
	const struct deepmon_self_cost self = {0};
	const struct resident resident = {.sum = {300, 200, 100}, .processes = 2, .read_ns = 5 * SECOND / 2};

	ck_assert_int_eq(recorder_open(&recorder, &options, &silent), 0);
	note_setup(whole);
	recorder_search(recorder, SECOND);
	recorder_found(recorder, CGROUP, CONTAINER);
	recorder_searched(recorder, true);
	for (uint64_t second = 0; second <= 2; second++) {
		uint64_t now = (second + 1) * SECOND;

		if (!second)
			NOTE(RECORDING_OWNERS, 0, 0, 0, 0, SLOT + 1, CGROUP, 0);
		NOTE(RECORDING_USAGE, SLOT + 1, 0, 1, SECOND / 2, 0);
		if (whole)
			note_work(second ? 50 * second : 1000, second);
		recorder_charge(recorder, now, 0, 0);
		recorder_frame(recorder, RECORDING_SAMPLE, now);
		recorder_choose(recorder, now, !second);
		if (whole && second == 2)
			recorder_resident(recorder, CGROUP, &resident);
		if (!second) {
			recorder_begin(recorder, now);
			recorder_frame(recorder, RECORDING_SAMPLE, now);
			continue;
		}
		recorder_tell(recorder, now, now, &self, 0);
		recorder_frame(recorder, RECORDING_REPORT, now);
	}
	recorder_close(recorder);
}

static void set_up_host(void)
{
	int fd;

	set_up();
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	unlink(path);
	deepmon_options_init(&options);
	set("Record", path);
	set("Network", "on");
	set("FileIO", "full");
	set("Peers", "3");
	set("ContainerFiles", "2");
	set("ProportionalMemory", "on");
}

static void tear_down_host(void)
{
	tear_down();
	unlink(path);
}

/* The container's record of a subject, whose qualifier is that if it is not NULL. */
static const struct deepmon_record *find(const struct deepmon_sample *sample, enum deepmon_entity entity,
					 enum deepmon_subject subject, const char *qualifier)
{
	for (size_t i = 0; i < sample->record_count; i++) {
		const struct deepmon_record *record = &sample->records[i];

		if (record->entity == entity && record->subject == subject &&
		    (!qualifier || !strcmp(record->qualifier, qualifier)))
			return record;
	}
	return NULL;
}

static double value(const struct deepmon_record *record, const char *field)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	double found = -1;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(metrics[i].field, field) && !deepmon_value_double(record, &metrics[i], &found))
			return -1;
	return found;
}

static struct deepmon *open_replay(void)
{
	struct deepmon_options own;
	struct deepmon *collector;

	ck_assert_int_eq(deepmon_recording_read(path, NULL, &own), 0);
	ck_assert_int_eq(deepmon_open_replay(&collector, path, &own, NULL), 0);
	return collector;
}

static void check_report(const struct deepmon_sample *sample, uint64_t report)
{
	double all = report == 1 ? 1050 : 1150;
	const struct deepmon_record *record =
	    find(sample, DEEPMON_CONTAINER, DEEPMON_SUBJECT_TRANSACTIONS, "http-client");

	ck_assert_ptr_nonnull(record);
	ck_assert_double_eq(value(record, "transactions"), all);
	ck_assert_double_eq(value(record, "responses_5xx"), all);
	ck_assert_double_eq_tol(value(record, "latency_p99_seconds"), 100e-6, 1e-6);
	ck_assert_double_eq_tol(value(record, "latency_mean_seconds"), 100e-6, 1e-6);
	record = find(sample, DEEPMON_PEER, DEEPMON_SUBJECT_TRAFFIC,
		      report == 1 ? "tcp-client-10.1.2.3:80" : "tcp-client-api:8080");
	ck_assert_ptr_nonnull(record);
	ck_assert_double_eq(value(record, "sent_bytes"), report == 1 ? 500 : 1000);
	record = find(sample, DEEPMON_CONTAINER_FILE, DEEPMON_SUBJECT_FILE_USE, "/var/data");
	ck_assert_ptr_nonnull(record);
	ck_assert_double_eq(value(record, "read_bytes"), report == 1 ? 50 : 150);
	record = find(sample, DEEPMON_CONTAINER, DEEPMON_SUBJECT_FILE_IO, NULL);
	ck_assert_double_eq(value(record, "sync_calls"), 1.0 + (double)report);
	record = find(sample, DEEPMON_CONTAINER, DEEPMON_SUBJECT_MEMORY, NULL);
	if (report == 1) {
		ck_assert_ptr_null(record);
		return;
	}
	ck_assert_double_eq(value(record, "rss_bytes"), 300);
	ck_assert_double_eq(value(record, "uss_bytes"), 100);
	ck_assert_double_eq(value(record, "rss_processes"), 2);
	ck_assert_double_eq(value(record, "rss_age_seconds"), 0.5);
}

START_TEST(a_host_is_played)
{
	struct deepmon *collector;
	const struct deepmon_sample *sample;

	record_host(true);
	collector = open_replay();
	/* Forth, and again from the beginning. */
	for (int round = 0; round < 2; round++) {
		for (uint64_t report = 1; report <= 2; report++) {
			ck_assert_int_eq(deepmon_read(collector, &sample), 0);
			check_report(sample, report);
		}
		ck_assert_int_eq(deepmon_read(collector, &sample), -ENODATA);
		ck_assert_int_eq(deepmon_replay_seek(collector, 0), 0);
	}
	deepmon_close(collector);
}
END_TEST

START_TEST(what_was_not_recorded_is_absent)
{
	struct deepmon *collector;
	const struct deepmon_sample *sample;

	record_host(false);
	collector = open_replay();
	for (int report = 0; report < 2; report++) {
		const struct deepmon_record *record;

		ck_assert_int_eq(deepmon_read(collector, &sample), 0);
		ck_assert_ptr_nonnull(find(sample, DEEPMON_CONTAINER, DEEPMON_SUBJECT_NETWORK, NULL));
		record = find(sample, DEEPMON_CONTAINER, DEEPMON_SUBJECT_FILE_IO, NULL);
		ck_assert_double_eq(value(record, "sync_calls"), -1);
		ck_assert_double_eq(value(record, "read_bytes"), 0);
		for (size_t i = 0; i < sample->record_count; i++) {
			enum deepmon_subject subject = sample->records[i].subject;

			ck_assert(subject != DEEPMON_SUBJECT_TRANSACTIONS &&
				  subject != DEEPMON_SUBJECT_TRAFFIC && subject != DEEPMON_SUBJECT_FILE_USE &&
				  subject != DEEPMON_SUBJECT_FILE_LATENCY &&
				  subject != DEEPMON_SUBJECT_MEMORY);
		}
	}
	deepmon_close(collector);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recorded books");
	TCase *parts = tcase_create("each of them"), *host = tcase_create("a host");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(parts, set_up, tear_down);
	tcase_add_test(parts, latencies);
	tcase_add_test(parts, hostile_latencies);
	tcase_add_test(parts, kinds_go_by_their_names);
	tcase_add_test(parts, histograms_of_another_shape);
	tcase_add_test(parts, peers);
	tcase_add_test(parts, hostile_peers);
	tcase_add_test(parts, files);
	tcase_add_test(parts, hostile_files);
	tcase_add_test(parts, too_many_are_refused);
	tcase_add_test(parts, what_is_not_opened_is_passed_over);
	tcase_add_checked_fixture(host, set_up_host, tear_down_host);
	tcase_add_test(host, a_host_is_played);
	tcase_add_test(host, what_was_not_recorded_is_absent);
	suite_add_tcase(suite, parts);
	suite_add_tcase(suite, host);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
