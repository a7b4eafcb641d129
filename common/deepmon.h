/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon: what each container on this host costs, in energy and CPU time.
 *
 * The one public header of the core. A front end makes options, opens a collector, and at each of its
 * agent's intervals reads a sample and hands every metric in it on, by the names of the catalogue.
 *
 * Functions return 0 or a negative errno. The core never prints, exits or changes signal handlers; it
 * runs two threads of its own between deepmon_open and deepmon_close, and with Peers a third.
 */
#ifndef DEEPMON_H
#define DEEPMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalogue.h"

#define DEEPMON_VERSION "0.1.0"

/* ---- Options ---------------------------------------------------------------------------------- */

#define DEEPMON_TEXT_MAX 1024
#define DEEPMON_LIST_MAX 4096

/* Texts that an option was given, each ended by NUL, one behind the other. */
struct deepmon_list {
	uint32_t count, length;
	char texts[DEEPMON_LIST_MAX];
};

#define DEEPMON_MEMBER_TEXT(name)		       char name[DEEPMON_TEXT_MAX]
#define DEEPMON_MEMBER_NUMBER(name)		       double name
#define DEEPMON_MEMBER_COUNT(name)		       uint32_t name
#define DEEPMON_MEMBER_CHOICE(name)		       uint32_t name /* index into the row's words */
#define DEEPMON_MEMBER_BOOL(name)		       bool name
#define DEEPMON_MEMBER_LIST(name)		       struct deepmon_list name
#define DEEPMON_OPTION_MEMBER(member, NAME, TYPE, ...) DEEPMON_MEMBER_##TYPE(member);

/* One member for each row of DEEPMON_OPTION_ROWS. */
struct deepmon_options {
	DEEPMON_OPTION_ROWS(DEEPMON_OPTION_MEMBER)
};

enum deepmon_option_type {
	DEEPMON_OPTION_TEXT,
	DEEPMON_OPTION_NUMBER,
	DEEPMON_OPTION_COUNT,
	DEEPMON_OPTION_CHOICE,
	DEEPMON_OPTION_BOOL,
	DEEPMON_OPTION_LIST,
};

struct deepmon_option {
	const char *name; /* CamelCase */
	enum deepmon_option_type type;
	const char *preset; /* the default; of a CHOICE, the words to choose from, the default first */
	double least, most;
	const char *unit;
	const char *help;
	size_t offset; /* in struct deepmon_options */
};

extern const struct deepmon_option deepmon_option_table[];
extern const size_t deepmon_option_count;

/* NULL: there is none. Case, dashes and underscores in the name do not matter. */
const struct deepmon_option *deepmon_option_find(const char *name);

/* Every option at its default. */
void deepmon_options_init(struct deepmon_options *options);

/*
 * Sets the option that deepmon_option_find finds for that name; of a LIST, adds the names and /regexes/ of
 * the value, parted by commas. "true" and "false" also stand for a CHOICE's on and off. On failure the option
 * keeps its value and `why` gets one line (NUL-terminated, cut to why_size) that names the option, the value
 * and what is accepted. -ENOENT: there is no such option. -EINVAL: the value is no value of its type.
 * -ERANGE: out of range.
 */
int deepmon_options_set(struct deepmon_options *options, const char *name, const char *value, char *why,
			size_t why_size);

/* ---- Metrics ---------------------------------------------------------------------------------- */

#define DEEPMON_ENTITY_CONSTANT(CONSTANT, ...) DEEPMON_##CONSTANT,
enum deepmon_entity { DEEPMON_ENTITIES(DEEPMON_ENTITY_CONSTANT) DEEPMON_ENTITY_COUNT };

#define DEEPMON_SUBJECT_CONSTANT(CONSTANT, ...) DEEPMON_SUBJECT_##CONSTANT,
enum deepmon_subject { DEEPMON_SUBJECTS(DEEPMON_SUBJECT_CONSTANT) DEEPMON_SUBJECT_COUNT };

enum deepmon_metric_type {
	DEEPMON_U64,
	DEEPMON_F64,
	DEEPMON_MICRO, /* a uint64_t in millionths of the metric's unit */
};

enum deepmon_metric_kind {
	DEEPMON_GAUGE,
	DEEPMON_COUNTER, /* only grows, for as long as the collector is open */
};

struct deepmon_metric {
	enum deepmon_subject subject;
	const char *field; /* Telegraf's field; carries the unit */
	enum deepmon_metric_type type;
	enum deepmon_metric_kind kind;
	const char *unit; /* "" for a plain number */
	const char *collectd_type;
	const char *collectd_instance; /* begins the type instance; "" for none */
	const char *help;
	size_t offset;	/* in the subject's struct */
	uint64_t valid; /* its bit in deepmon_record.valid */
};

/* All metrics, those of one subject together. */
extern const struct deepmon_metric deepmon_metric_table[];
extern const size_t deepmon_metric_count;

/* The metrics of one subject; their number goes to *count. */
const struct deepmon_metric *deepmon_metrics_of(enum deepmon_subject subject, size_t *count);

/* Whether its collectd type is one that collectd's own types.db lacks. */
bool deepmon_metric_type_is_own(const struct deepmon_metric *metric);
/* What such a type is: a DERIVE for a counter of whole numbers, else a GAUGE. */
bool deepmon_metric_is_derive(const struct deepmon_metric *metric);

const char *deepmon_entity_name(enum deepmon_entity entity);	  /* "container" */
const char *deepmon_entity_help(enum deepmon_entity entity);	  /* one line */
const char *deepmon_subject_suffix(enum deepmon_subject subject); /* "_energy" */

/* ---- Samples ---------------------------------------------------------------------------------- */

#define DEEPMON_C_TYPE_U64				 uint64_t
#define DEEPMON_C_TYPE_F64				 double
#define DEEPMON_C_TYPE_MICRO				 uint64_t
#define DEEPMON_METRIC_MEMBER(SUBJECT, field, TYPE, ...) DEEPMON_C_TYPE_##TYPE field;
#define DEEPMON_METRIC_INDEX(SUBJECT, field, ...)	 DEEPMON_INDEX_##SUBJECT##_##field,

/* struct deepmon_cpu, struct deepmon_energy and so on, and the number of each metric among its own. */
#define DEEPMON_SUBJECT_STRUCT(SUBJECT, name, suffix)              \
	struct deepmon_##name {                                    \
		DEEPMON_##SUBJECT##_METRICS(DEEPMON_METRIC_MEMBER) \
	};                                                         \
	enum { DEEPMON_##SUBJECT##_METRICS(DEEPMON_METRIC_INDEX) DEEPMON_COUNT_OF_##SUBJECT };
DEEPMON_SUBJECTS(DEEPMON_SUBJECT_STRUCT)

#define DEEPMON_SUBJECT_MEMBER(SUBJECT, name, suffix) struct deepmon_##name name;

struct deepmon_label {
	const char *key;
	const char *value; /* never NULL or ""; any bytes, as the container's creator chose them */
	bool tag;	   /* false: tells more, but would make a series of its own (an id) */
};

#define DEEPMON_LABELS_MAX 24

/* What is told of one entity on one subject. */
struct deepmon_record {
	enum deepmon_entity entity;
	enum deepmon_subject subject;
	/* Which one of its entity, unique together with it: a container's name, "package-0". Or "". */
	const char *instance;
	/* Tells records of the same entity, instance and subject apart: "package-powercap". Or "". */
	const char *qualifier;
	struct deepmon_label labels[DEEPMON_LABELS_MAX]; /* sorted by key */
	unsigned label_count;
	uint64_t valid; /* a metric whose bit is clear was not measured and must not be reported */
	union {
		DEEPMON_SUBJECTS(DEEPMON_SUBJECT_MEMBER)
	} values;
};

struct deepmon_sample {
	uint64_t time_ns;     /* CLOCK_REALTIME of the sample: the one timestamp of all its records */
	uint64_t interval_ns; /* since the sample before, or of the first since deepmon_open */
	const struct deepmon_record *records;
	size_t record_count;
};

/*
 * The value of a metric in a record; false if it was not measured, or the record is about another subject.
 * Of a MICRO metric, the millionths; of an F64 metric, never.
 */
bool deepmon_value_u64(const struct deepmon_record *record, const struct deepmon_metric *metric,
		       uint64_t *value);
/* The same as a double, in the metric's unit, for each type of metric. */
bool deepmon_value_double(const struct deepmon_record *record, const struct deepmon_metric *metric,
			  double *value);

/* ---- The collector ---------------------------------------------------------------------------- */

enum deepmon_log_level { DEEPMON_ERROR, DEEPMON_WARNING, DEEPMON_INFO, DEEPMON_DEBUG };

/* Gets each message as one line without its end. May be called from the collector's own thread. */
struct deepmon_logger {
	void (*log)(void *user, enum deepmon_log_level level, const char *line);
	void *user;
};

struct deepmon;

/*
 * Starts to measure. What the host lacks is said to the logger, one line each, and left out; only a
 * collector that could measure nothing at all fails, with -ENODEV. Options and logger are copied.
 * Both eBPF and RAPL need privileges: see Requirements in README.md.
 */
int deepmon_open(struct deepmon **collector, const struct deepmon_options *options,
		 const struct deepmon_logger *logger);

/*
 * Takes a sample. It belongs to the collector and is good until the next read or close. Not to be
 * called by two threads at once. -EAGAIN: not this time; try again at the next interval.
 */
int deepmon_read(struct deepmon *collector, const struct deepmon_sample **sample);

/* Stops measuring and releases everything; takes NULL. */
void deepmon_close(struct deepmon *collector);

#endif
