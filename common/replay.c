/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Plays a recording to the ledger: what the sources said to it then, in the same order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector.h"
#include "file.h"
#include "log.h"

/* Takes down what replay_setup opened. */
static void stop(struct deepmon *collector)
{
	collector_close_ledger(collector);
	told_close(&collector->told);
	footprints_close(&collector->footprints);
	energy_close(collector->energy);
	network_close(collector->network);
	file_io_close(collector->file_io);
	latency_close(collector->latency);
	kernel_close(collector->kernel);
	topology_clear(&collector->topology);
	collector->energy = NULL;
	collector->network = NULL;
	collector->file_io = NULL;
	collector->latency = NULL;
	collector->kernel = NULL;
}

static int start(struct deepmon *collector)
{
	int r = told_open(&collector->told, &collector->options);

	player_rewind(collector->player);
	return r ? r : replay_setup(collector);
}

static int open_player(struct player **player, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");

	if (!stream) {
		int r = -errno;

		file_close(&fd);
		return r;
	}
	return player_open(player, stream);
}

static const char *why_not(int error)
{
	if (error == -EBADMSG)
		return "it is no recording of deepmon, or it is damaged at its beginning";
	if (error == -EPROTONOSUPPORT)
		return "it is of a later version of deepmon";
	return strerror(-error);
}

int replay_open(struct deepmon **opened, struct player *player, const struct deepmon_options *options,
		const struct deepmon_logger *logger)
{
	struct deepmon *collector = collector_new(options, logger);
	int r;

	if (!collector) {
		player_close(player);
		return -ENOMEM;
	}
	collector->player = player;
	r = start(collector);
	if (r) {
		deepmon_close(collector);
		return r;
	}
	*opened = collector;
	return 0;
}

int deepmon_open_replay(struct deepmon **opened, const char *path, const struct deepmon_options *options,
			const struct deepmon_logger *logger)
{
	struct player *player = NULL;
	int r = open_player(&player, path);

	if (!r)
		r = replay_open(opened, player, options, logger);
	if (r)
		log_error(logger, "replay: %s can't be played (%s)", path, why_not(r));
	else if (player_about(player)->cut)
		log_warning(logger, "replay: %s was cut short: it is played up to its last whole frame",
			    path);
	return r;
}

/* They can be changed, but not taken back one by one. */
static void mark_lists(struct deepmon_options *options)
{
	for (size_t i = 0; i < deepmon_option_count; i++)
		if (deepmon_option_table[i].type == DEEPMON_OPTION_LIST)
			((struct deepmon_list *)((char *)options + deepmon_option_table[i].offset))
			    ->recorded = true;
}

static int play_options(struct player *player, struct deepmon_options *options)
{
	struct recording_in record;
	char name[64], value[DEEPMON_LIST_MAX], why[256];
	unsigned tag;
	bool bad;
	int r = player_next_frame(player);

	deepmon_options_init(options);
	while (!r && (tag = player_next(player, &record, &bad))) {
		if (tag != RECORDING_OPTION)
			continue;
		recording_take_text(&record, name, sizeof(name));
		recording_take_text(&record, value, sizeof(value));
		/* One that this version has no more, or not so, keeps its default. */
		if (!record.bad && strcmp(name, "Record") != 0)
			deepmon_options_set(options, name, value, why, sizeof(why));
	}
	mark_lists(options);
	return r;
}

int deepmon_recording_read(const char *path, struct deepmon_recording *recording,
			   struct deepmon_options *options)
{
	struct player *player = NULL;
	int r = open_player(&player, path);

	if (r)
		return r;
	if (recording)
		*recording = *player_about(player);
	if (options)
		r = play_options(player, options);
	player_close(player);
	return r;
}

/* ---- Records ------------------------------------------------------------------------------------ */

static int play_created(struct deepmon *collector, struct recording_in *record)
{
	uint64_t id = recording_take(record);
	char path[CGROUP_PATH_MAX];

	recording_take_text(record, path, sizeof(path));
	if (record->bad)
		return -EBADMSG;
	cgroups_add(&collector->cgroups, id, path);
	return 0;
}

static int play_removed(struct deepmon *collector, struct recording_in *record)
{
	uint64_t id = recording_take(record), now_ns = recording_take(record);

	cgroups_remove(&collector->cgroups, id, now_ns);
	return 0;
}

static int play_search(struct deepmon *collector, struct recording_in *record)
{
	cgroups_search(&collector->cgroups, recording_take(record));
	return 0;
}

static int play_renamed(struct deepmon *collector, struct recording_in *record)
{
	struct identity identity;
	char id[IDENTITY_ID_MAX];
	int r;

	recording_take_text(record, id, sizeof(id));
	r = player_take_identity(collector->player, record, &identity);
	if (!r)
		namer_take_up(&collector->groups, &collector->cgroups, &identity, id);
	return r;
}

static int play_energy(struct deepmon *collector, struct recording_in *record)
{
	uint64_t zone = recording_take(record);
	struct energy_reading reading = {.result = (int)recording_take_signed(record)};
	size_t zone_count;

	reading.raw_uj = recording_take(record);
	reading.now_ns = recording_take(record);
	if (record->bad)
		return -EBADMSG;
	collector_zones(collector, &zone_count);
	if (!collector->energy)
		return 0;
	if (zone >= zone_count)
		return -EBADMSG;
	energy_take(collector->energy, zone, &reading);
	return 0;
}

static int play_new_topology(struct deepmon *collector, struct recording_in *record)
{
	return replay_topology(&collector->topology, record, true);
}

static int play_charge(struct deepmon *collector, struct recording_in *record)
{
	uint64_t now_ns = recording_take(record);
	size_t zone_count;
	const struct energy_zone *zones = collector_zones(collector, &zone_count);

	/* Nothing may be forgotten while a report is under way. */
	if (collector->replay.choosing)
		return -EBADMSG;
	/* Older recordings end here. */
	if (record->at < record->end) {
		collector->attribution.unseen = (uint32_t)recording_take(record);
		collector->attribution.off = (uint32_t)recording_take(record);
	}
	attribution_charge(&collector->attribution, zones, now_ns);
	return 0;
}

static int play_choose(struct deepmon *collector, struct recording_in *record)
{
	uint64_t now_ns = recording_take(record);
	bool first = recording_take(record);
	bool cpu_known = collector->kernel && !kernel_slots_refused(collector->kernel);

	collector->replay.choosing = true;
	footprints_choose(&collector->footprints, &collector->cgroups, now_ns, cpu_known, first);
	return 0;
}

static int play_footprint(struct deepmon *collector, struct recording_in *record)
{
	return footprints_play(&collector->footprints, record, collector->replay.fields);
}

static int play_resident(struct deepmon *collector, struct recording_in *record)
{
	const struct cgroup *cgroup = cgroups_find(&collector->cgroups, recording_take(record));
	struct resident resident = {.read_ns = recording_take(record)};
	uint64_t processes = recording_take(record);

	recording_take_figures(record, &collector->replay.fields[RECORDING_OF_RESIDENT], &resident.sum);
	record->bad |= processes > UINT32_MAX;
	resident.processes = (uint32_t)processes;
	if (!record->bad && cgroup && !cgroup->removed_ns && surveyor_is_wanted(&collector->options))
		cgroup->group->resident = resident;
	return 0;
}

static int play_begin(struct deepmon *collector, struct recording_in *record)
{
	if (!collector->replay.choosing)
		return -EBADMSG;
	footprints_tell(&collector->footprints, &collector->groups);
	collector->replay.choosing = false;
	attribution_begin(&collector->attribution);
	collector->last_report_ns = recording_take(record);
	return 0;
}

static int play_tell(struct deepmon *collector, struct recording_in *record)
{
	uint64_t now_ns = recording_take(record);
	struct replay *replay = &collector->replay;
	struct sample_self self = {0};
	size_t zone_count;
	const struct energy_zone *zones = collector_zones(collector, &zone_count);

	if (!replay->choosing)
		return -EBADMSG;
	footprints_tell(&collector->footprints, &collector->groups);
	replay->choosing = false;
	collector->sample.taken_ns = recording_take(record);
	collector->sample.now_ns = now_ns;
	self.valid = recording_take_figures(record, &replay->fields[RECORDING_OF_SELF], &self.cost);
	if (record->bad)
		return -EBADMSG;
	if (collector->sample.taken_ns < replay->until_ns)
		return 0;
	replay->failed = sample_build(&collector->sample, &collector->attribution, zones,
				      now_ns - collector->last_report_ns, &self) != 0;
	replay->told = true;
	collector->last_report_ns = now_ns;
	return 0;
}

typedef int play(struct deepmon *collector, struct recording_in *record);

static play *const players[] = {
    [RECORDING_TOPOLOGY] = play_new_topology,
    [RECORDING_CREATED] = play_created,
    [RECORDING_REMOVED] = play_removed,
    [RECORDING_SEARCH] = play_search,
    [RECORDING_RENAMED] = play_renamed,
    [RECORDING_ENERGY] = play_energy,
    [RECORDING_CHARGE] = play_charge,
    [RECORDING_CHOOSE] = play_choose,
    [RECORDING_FOOTPRINT] = play_footprint,
    [RECORDING_BEGIN] = play_begin,
    [RECORDING_TELL] = play_tell,
    [RECORDING_RESIDENT] = play_resident,
};

static int play_record(struct deepmon *collector, unsigned tag, struct recording_in *record)
{
	int r = -ENOENT;

	if (tag < sizeof(players) / sizeof(players[0]) && players[tag])
		r = players[tag](collector, record);
	else if (collector->kernel)
		r = kernel_copy_play(kernel_copy_of(collector->kernel), tag, record);
	if (r == -ENOENT)
		return 0;
	return !r && record->bad ? -EBADMSG : r;
}

static int play_frame(struct deepmon *collector)
{
	struct recording_in record;
	unsigned tag;
	bool bad = false;
	int r = player_next_frame(collector->player);

	collector->replay.told = false;
	while (!r && (tag = player_next(collector->player, &record, &bad)))
		r = play_record(collector, tag, &record);
	if (!r && (bad || collector->replay.choosing))
		r = -EBADMSG;
	return r;
}

/* ---- Reading ------------------------------------------------------------------------------------ */

static int end_with(struct deepmon *collector, int error)
{
	struct replay *replay = &collector->replay;

	if (error != -ENODATA && !replay->damage)
		log_error(&collector->logger, "replay: the recording is damaged: it ends here (%s)",
			  why_not(error));
	replay->damage = error;
	return error;
}

int replay_read(struct deepmon *collector, uint64_t until_ns, const struct deepmon_sample **sample)
{
	struct replay *replay = &collector->replay;
	int r = replay->damage;

	replay->until_ns = until_ns;
	while (!r) {
		r = play_frame(collector);
		if (r || !replay->told)
			continue;
		*sample = &collector->sample.view;
		return replay->failed ? -EAGAIN : 0;
	}
	return end_with(collector, r);
}

int deepmon_read_at(struct deepmon *collector, uint64_t time_ns, const struct deepmon_sample **sample)
{
	return collector->player ? replay_read(collector, time_ns, sample) : -EINVAL;
}

int deepmon_replay_seek(struct deepmon *collector, uint64_t time_ns)
{
	struct recording_frame_head next;
	const struct deepmon_sample *sample;
	int r = 0;

	if (!collector->player)
		return -EINVAL;
	if (time_ns <= collector->sample.view.time_ns) {
		stop(collector);
		collector->sample.view = (struct deepmon_sample){0};
		r = start(collector);
	}
	while (!r && !(r = collector->replay.damage) && !(r = player_peek(collector->player, &next))) {
		if (next.kind == RECORDING_REPORT && next.time_ns >= time_ns)
			return 0;
		if (next.kind == RECORDING_REPORT)
			r = replay_read(collector, 0, &sample);
		else
			r = play_frame(collector);
		r = r == -EAGAIN ? 0 : r;
	}
	return r == -ENODATA ? r : end_with(collector, r);
}
