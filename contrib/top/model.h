/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What deepmon-top knows of a host: a row for each container, unit, process and part of the whole, from
 * samples as they come. Apart from any screen; asks nothing of anybody.
 */
#ifndef DEEPMON_TOP_MODEL_H
#define DEEPMON_TOP_MODEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../common/deepmon.h"
#include "figures.h"

/* By which rows can be grouped, in words of options: what a row's labels say. */
enum top_key {
	TOP_BY_HOST, /* of a cluster */
	TOP_BY_NAMESPACE,
	TOP_BY_POD,
	TOP_BY_IMAGE,
	TOP_BY_PROJECT,
	TOP_BY_SERVICE,
	TOP_BY_RUNTIME,
	TOP_BY_CONTAINER, /* of processes and devices */
	TOP_BY_DEVICE,
	TOP_KEYS
};

/* "namespace"; and the label of a sample that it is. */
const char *top_key_name(enum top_key key);
/* -ENOENT: there is none of that name. */
int top_key_find(const char *name, size_t length, enum top_key *key);

/* What rows are: entities of the samples, and what a container or unit used of one block device. */
#define TOP_DEVICE DEEPMON_ENTITY_COUNT
#define TOP_KINDS  (DEEPMON_ENTITY_COUNT + 1)
const char *top_kind_name(enum deepmon_entity kind);

/* The last values of a column's figures, the newest last. */
struct top_history {
	float *values; /* [moment * TOP_FIGURE_COUNT + figure]; NaN: not measured */
	size_t count, next;
};

struct top_row {
	enum deepmon_entity entity; /* CONTAINER, SYSTEM, PROCESS, TOTAL or TOP_DEVICE */
	char *instance;		    /* the container's or unit's; unique with the entity and the part */
	char *name;		    /* to be shown: the container's, the unit's, the process's, the total's */
	char *part;		    /* the process, or the device; "": it is neither */
	char *id;		    /* the container's; "": it has none */
	char *labels[TOP_KEYS];	    /* "": it has none */
	struct top_figures figures;
	bool shown; /* it was in the last sample */

	struct top_figures raw, raw_before;
	uint64_t seen, seen_ns; /* the last sample that told of it, and when that was */
	bool measured;		/* raw_before holds */
	struct top_history history;
};

/* The host as a whole. */
struct top_host {
	uint64_t time_ns, interval_ns; /* of the last sample */
	struct top_figures figures;    /* power and energy of the host; CPU time in use */
	double idle_percent;	       /* of all CPUs; negative: not measured */
	struct deepmon_self_cost self;
	uint64_t self_valid;
	double
	    self_percent;  /* of a CPU, that its process used since the sample before; negative: not known */
	size_t containers; /* shown */
};

#define TOP_NOTES_MAX 16

struct top_model {
	pthread_mutex_t lock; /* of all but the notes, where samples come in another thread */
	struct top_row **rows;
	size_t count, capacity;
	void *by_key; /* tsearch tree of the same */
	struct top_host host;
	uint64_t samples;
	size_t history_most;	    /* moments kept of each row */
	char *notes[TOP_NOTES_MAX]; /* warnings heard: why something is missing; the oldest first */
	size_t note_count;
};

/* Rows keep the values of so many samples; 0: of none. */
void top_model_init(struct top_model *model, size_t history_most);
void top_model_clear(struct top_model *model);

/*
 * Takes a sample in. Rates of a row need two samples of it; of one that came after the first sample, they are
 * of what it did since. -ENOMEM: rows are missing.
 */
int top_model_update(struct top_model *model, const struct deepmon_sample *sample);
/*
 * Or what a cluster's hosts told, which are one sample: begins it, takes each row in with its figures as they
 * are, and ends it. A row's own are its entity to its figures; -ENOMEM: it is missing.
 */
void top_model_begin(struct top_model *model, uint64_t time_ns, uint64_t interval_ns);
int top_model_tell(struct top_model *model, const struct top_row *told);
void top_model_end(struct top_model *model);

/* Which row a record is about, as which kind: entity, instance and part are the record's texts. */
struct top_row top_row_of(const struct deepmon_record *record, enum deepmon_entity kind);
/* Which of a row's name, id and labels a record changes. */
enum top_labels {
	TOP_LABELS_ALL,	    /* what it has not, the row then has not either */
	TOP_LABELS_TOLD,    /* those that it has */
	TOP_LABELS_MISSING, /* those of them that the row has not */
};
/* False: out of memory. */
bool top_row_label(struct top_row *row, const struct deepmon_record *record, enum top_labels which);
/* Of a row that was not made by a model: its texts are copies, the figures none. NULL: out of memory. */
struct top_row *top_row_new(const struct top_row *wanted, size_t history_most);
void top_row_free(struct top_row *row);

/* Forgets what was seen, as after going to another place of a recording. Notes stay. */
void top_model_forget(struct top_model *model);

/* A line of the log that tells why something is missing, from any thread. The oldest makes room. */
void top_model_note(struct top_model *model, const char *line);
/* The newest of them; "": there is none. */
void top_model_last_note(const struct top_model *model, char *text, size_t size);

/* The value of a column `ago` samples ago (0: now). False: not measured, or not kept. */
bool top_history_value(const struct top_model *model, const struct top_row *row,
		       const struct top_column *column, size_t ago, double *value);

#endif
