/* SPDX-License-Identifier: GPL-3.0-only
 *
 * This host, a recording, or a cluster.
 */
#include "source.h"

#include <errno.h>
#include <string.h>

int top_source_options(struct deepmon_options *options, const char *replay)
{
	static const char *const settings[][2] = {
	    {"Network", "on"}, {"HTTP", "on"}, {"FileIO", "counts"}, {"Processes", "16"}};
	char why[256];

	if (replay)
		return deepmon_recording_read(replay, NULL, options);
	deepmon_options_init(options);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		deepmon_options_set(options, settings[i][0], settings[i][1], why, sizeof(why));
	return 0;
}

static void hear(void *user, enum deepmon_log_level level, const char *line)
{
	if (level <= DEEPMON_WARNING)
		top_model_note(user, line);
}

int top_source_open(struct top_source *source, const struct deepmon_options *options, const char *replay,
		    struct top_model *model)
{
	const struct deepmon_logger logger = {hear, model};
	int r;

	*source = (struct top_source){.replay = replay};
	if (!replay)
		return deepmon_open(&source->collector, options, &logger);
	r = deepmon_recording_read(replay, &source->about, NULL);
	return r ? r : deepmon_open_replay(&source->collector, replay, options, &logger);
}

int top_source_open_cluster(struct top_source *source, const struct influx_settings *settings,
			    const struct influx_want *want, struct top_model *model)
{
	char why[INFLUX_WHY_MAX];
	int r;

	*source = (struct top_source){0};
	r = influx_open(&source->influx, settings, want, why, sizeof(why));
	if (r)
		top_model_note(model, why);
	return r;
}

void top_source_close(struct top_source *source)
{
	influx_close(source->influx);
	deepmon_close(source->collector);
	*source = (struct top_source){0};
}

int top_source_next(struct top_source *source, struct top_model *model, uint64_t step_ns)
{
	const struct deepmon_sample *sample;
	uint64_t next_ns = model->samples && step_ns ? model->host.time_ns + step_ns : 0;
	int r = 0;

	if (!source->influx)
		r = source->replay ? deepmon_read_at(source->collector, next_ns, &sample)
				   : deepmon_read(source->collector, &sample);
	if (r)
		return r;
	pthread_mutex_lock(&model->lock);
	r = source->influx ? influx_take(source->influx, model) : top_model_update(model, sample);
	pthread_mutex_unlock(&model->lock);
	return r;
}

int top_source_seek(struct top_source *source, uint64_t time_ns)
{
	return source->replay ? deepmon_replay_seek(source->collector, time_ns) : -EINVAL;
}

const struct deepmon_finding *top_source_findings(const struct top_source *source, size_t *count)
{
	*count = 0;
	return source->collector ? deepmon_findings(source->collector, count) : NULL;
}

/* ---- What a cluster is asked for ---------------------------------------------------------------- */

static void add(struct influx_want *want, enum deepmon_entity entity, const struct top_column *column)
{
	want->figures[entity][column->of] = true;
	if (column->per != TOP_NONE)
		want->figures[entity][column->per] = true;
}

/* The devices' rows are made of what containers and units used of them. */
static void add_column(struct influx_want *want, const struct top_settings *settings,
		       const struct top_column *column)
{
	for (int entity = 0; entity < DEEPMON_ENTITY_COUNT; entity++)
		if (settings->entities[entity] || (settings->entities[TOP_DEVICE] &&
						   (entity == DEEPMON_CONTAINER || entity == DEEPMON_SYSTEM)))
			add(want, (enum deepmon_entity)entity, column);
}

struct influx_want top_source_want(const struct top_settings *settings,
				   const struct top_column *const *columns, size_t count)
{
	/* Of the hosts themselves, and of all that is on them. */
	static const char *const sums[] = {"cpu_percent", "context_switches"};
	static const enum top_figure watts[] = {TOP_PACKAGE_WATTS, TOP_CORE_WATTS, TOP_DRAM_WATTS,
						TOP_PSYS_WATTS, TOP_PLATFORM_WATTS};
	struct influx_want want = {.devices = settings->entities[TOP_DEVICE]};

	for (size_t i = 0; i < sizeof(watts) / sizeof(watts[0]); i++)
		want.figures[DEEPMON_HOST][watts[i]] = true;
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		if (top_column_find(sums[i]))
			add(&want, DEEPMON_TOTAL, top_column_find(sums[i]));
	/* Their ids are told with this. */
	add_column(&want, settings, top_column_find("cpu_percent"));
	for (size_t i = 0; i < count; i++) {
		add_column(&want, settings, columns[i]);
		add(&want, DEEPMON_HOST, columns[i]);
	}
	if (settings->sort)
		add_column(&want, settings, settings->sort);
	for (size_t i = 0; i < top_column_count; i++)
		if (strcasestr(settings->filter, top_columns[i].key))
			add_column(&want, settings, &top_columns[i]);
	return want;
}
