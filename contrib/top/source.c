/* SPDX-License-Identifier: GPL-3.0-only
 *
 * This host, or a recording.
 */
#include "source.h"

#include <errno.h>

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

void top_source_close(struct top_source *source)
{
	deepmon_close(source->collector);
	*source = (struct top_source){0};
}

int top_source_next(struct top_source *source, struct top_model *model, uint64_t step_ns)
{
	const struct deepmon_sample *sample;
	uint64_t next_ns = model->samples && step_ns ? model->host.time_ns + step_ns : 0;
	int r = source->replay ? deepmon_read_at(source->collector, next_ns, &sample)
			       : deepmon_read(source->collector, &sample);

	if (r)
		return r;
	pthread_mutex_lock(&model->lock);
	r = top_model_update(model, sample);
	pthread_mutex_unlock(&model->lock);
	return r;
}

int top_source_seek(struct top_source *source, uint64_t time_ns)
{
	return source->replay ? deepmon_replay_seek(source->collector, time_ns) : -EINVAL;
}
