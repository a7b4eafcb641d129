/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where deepmon-top has its samples from: this host, a recording, or a cluster's InfluxDB.
 */
#ifndef DEEPMON_TOP_SOURCE_H
#define DEEPMON_TOP_SOURCE_H

#include "../../common/deepmon.h"
#include "influx.h"
#include "view.h"

struct top_source {
	struct deepmon *collector;
	const char *replay;		/* NULL: this host */
	struct deepmon_recording about; /* the recording */
	struct influx *influx;		/* NULL: no cluster */
};

/*
 * Options as they are to begin with: for this host with all that the columns show; for a recording (NULL:
 * none) its own. -errno of deepmon_recording_read.
 */
int top_source_options(struct deepmon_options *options, const char *replay);

/* What the log tells is noted in the model. -errno as deepmon_open and deepmon_open_replay. */
int top_source_open(struct top_source *source, const struct deepmon_options *options, const char *replay,
		    struct top_model *model);
/* A cluster: what is shown first is what is asked for first. The model gets a note of why it can't be. */
int top_source_open_cluster(struct top_source *source, const struct influx_settings *settings,
			    const struct influx_want *want, struct top_model *model);
void top_source_close(struct top_source *source);

/* Of a cluster: what rows and columns take. */
struct influx_want top_source_want(const struct top_settings *settings,
				   const struct top_column *const *columns, size_t count);

/* What the collector found as it was opened; of others nothing. */
const struct deepmon_finding *top_source_findings(const struct top_source *source, size_t *count);

/*
 * Takes the next sample into the model, whose lock it takes for that alone: of this host at once; of a
 * recording the next one that is step_ns after the last, or the very next for 0; of a cluster what was told
 * since. -ENODATA: the recording has
 * ended. -EAGAIN: not this time.
 */
int top_source_next(struct top_source *source, struct top_model *model, uint64_t step_ns);

/* Of a recording: goes to that moment (CLOCK_REALTIME), of which a model that saw others is to forget them.
 */
int top_source_seek(struct top_source *source, uint64_t time_ns);

#endif
