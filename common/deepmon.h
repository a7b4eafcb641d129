/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon: what each container on this host costs, in energy and CPU time.
 *
 * The one public header of the core. A front end makes options, opens a collector, and at each of its
 * agent's intervals reads a sample and hands every metric in it on, by the names of the catalogue.
 *
 * Functions return 0 or a negative errno. The core never prints, exits or changes signal handlers; it
 * runs two threads of its own between deepmon_open and deepmon_close; with ProportionalMemory one more, with
 * PeerNames another, and one where the kubelet is asked.
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
	bool recorded; /* a recording's: the next text that is set takes the place of all */
	char texts[DEEPMON_LIST_MAX];
};

#define DEEPMON_MEMBER_TEXT(name)		       char name[DEEPMON_TEXT_MAX]
#define DEEPMON_MEMBER_NUMBER(name)		       double name
#define DEEPMON_MEMBER_COUNT(name)		       uint32_t name
#define DEEPMON_MEMBER_CHOICE(name)		       uint32_t name /* index into the row's words */
#define DEEPMON_MEMBER_BOOL(name)		       bool name
#define DEEPMON_MEMBER_EVENT(name)		       char name[DEEPMON_TEXT_MAX]
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
	DEEPMON_OPTION_EVENT, /* a text that names what a performance counter counts */
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

/*
 * The value of an option as deepmon_options_set takes it, cut to size; of a LIST, the text with that index.
 * False: there is no such text; all others have index 0 alone.
 */
bool deepmon_option_text(const struct deepmon_options *options, const struct deepmon_option *option,
			 uint32_t index, char *text, size_t size);

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
/* The label that is its records' instance; "" for none. */
const char *deepmon_entity_instance(enum deepmon_entity entity);

/* What is reported of an entity on a subject: Telegraf's measurement deepmon_ENTITY_SUBJECT. */
struct deepmon_measurement {
	enum deepmon_entity entity;
	enum deepmon_subject subject;
	const char *labels;    /* beside the entity's, parted by ", " */
	const char *qualifier; /* labels that make up its records' qualifier, parted by '-'; or "" */
};

extern const struct deepmon_measurement deepmon_measurement_table[];
extern const size_t deepmon_measurement_count;

struct deepmon_label_kind {
	const char *key;
	const char *help; /* one line */
	bool tag;	  /* as in struct deepmon_label */
};

/* All labels but those that ContainerLabel makes. */
extern const struct deepmon_label_kind deepmon_label_table[];
extern const size_t deepmon_label_count;

bool deepmon_measurement_has(const struct deepmon_measurement *measurement,
			     const struct deepmon_label_kind *label);

/* ---- Samples ---------------------------------------------------------------------------------- */

#define DEEPMON_C_TYPE_U64				 uint64_t
#define DEEPMON_C_TYPE_F64				 double
#define DEEPMON_C_TYPE_MICRO				 uint64_t
#define DEEPMON_METRIC_MEMBER(SUBJECT, field, TYPE, ...) DEEPMON_C_TYPE_##TYPE field;
#define DEEPMON_METRIC_INDEX(SUBJECT, field, ...)	 DEEPMON_INDEX_##SUBJECT##_##field,

/* struct deepmon_cpu, struct deepmon_energy and so on, and the number of each metric among its own. */
#define DEEPMON_SUBJECT_STRUCT(SUBJECT, name, suffix) \
	struct deepmon_##name { \
		DEEPMON_##SUBJECT##_METRICS(DEEPMON_METRIC_MEMBER) \
	}; \
	enum { DEEPMON_##SUBJECT##_METRICS(DEEPMON_METRIC_INDEX) DEEPMON_COUNT_OF_##SUBJECT };
DEEPMON_SUBJECTS(DEEPMON_SUBJECT_STRUCT)

#define DEEPMON_SUBJECT_MEMBER(SUBJECT, name, suffix) struct deepmon_##name name;

struct deepmon_label {
	const char *key;
	const char *value; /* never NULL or ""; UTF-8 without control characters, as its creator chose it */
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

/* The bytes of the UTF-8 character that a text begins with; 0: it ends, or begins with a control character or
 * with what is no UTF-8. */
size_t deepmon_utf8_length(const char *text);

/* ---- The collector ---------------------------------------------------------------------------- */

enum deepmon_log_level {
	DEEPMON_ERROR,
	DEEPMON_WARNING,   /* something is not measured, or not as asked */
	DEEPMON_RECOVERED, /* what was warned of is well again */
	DEEPMON_INFO,
	DEEPMON_DEBUG,
};

/*
 * Gets each message as one line without its end; not more than MaxLogLines in a minute, debug aside. May be
 * called from the collector's own threads.
 */
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

/*
 * Whether the runtimes and the kubelet, if it is to be asked, were asked once for all that names the
 * containers that there are, whatever came of it. Waits for nobody; a report before that may lack names and
 * owners.
 */
bool deepmon_names_settled(struct deepmon *collector);

/* Stops measuring and releases everything; takes NULL. */
void deepmon_close(struct deepmon *collector);

/* ---- Findings: what a host offers and lacks --------------------------------------------------- */

enum deepmon_finding_state {
	DEEPMON_FOUND_WELL,    /* it is there and used, or held */
	DEEPMON_FOUND_LESS,    /* it is measured, but worse than it could be */
	DEEPMON_FOUND_MISSING, /* it was wanted and can't be had */
	DEEPMON_FOUND_OFF,     /* not used, and nothing lacks for it: by an option, or another serves */
	DEEPMON_FOUND_FACT,    /* to be known, with nothing to judge */
};

#define DEEPMON_REASON_MAX 1024

struct deepmon_finding {
	/* "host", "capability", "limit", "cgroups", "eBPF", "hook", "map", "counter", "energy", "zone",
	 * "runtime" */
	const char *subject;
	char *name; /* what of it: "CAP_BPF", "tp_btf/sched_switch"; unique within its subject */
	enum deepmon_finding_state state;
	char *reason; /* what it gives or is, or why it is not used: the error that the kernel gave */
	char *remedy; /* what mends it, a command where one does; "": nothing is to be mended, or can be */
};

const char *deepmon_finding_state_name(enum deepmon_finding_state state); /* "degraded" */

/*
 * What the collector found as it was opened, row by row as it tried: those of one subject need not stand
 * together. They belong to the collector and are good until its close.
 */
const struct deepmon_finding *deepmon_findings(const struct deepmon *collector, size_t *count);

struct deepmon_findings {
	struct deepmon_finding *rows;
	size_t count;
};

/*
 * Opens a collector, keeps what it found, and closes it: also when it could measure nothing at all, which is
 * -ENODEV. To be freed by deepmon_findings_clear, whatever this returns.
 */
int deepmon_examine(struct deepmon_findings *findings, const struct deepmon_options *options,
		    const struct deepmon_logger *logger);
void deepmon_findings_clear(struct deepmon_findings *findings);

/* ---- Recordings ------------------------------------------------------------------------------- */

#define DEEPMON_HOST_MAX 256

/* What a recording (see the option Record) is of. */
struct deepmon_recording {
	char host[DEEPMON_HOST_MAX], kernel[DEEPMON_HOST_MAX], machine[DEEPMON_HOST_MAX];
	char version[DEEPMON_HOST_MAX]; /* of the deepmon that recorded it */
	uint64_t samples;		/* that deepmon_read gave while it was made */
	uint64_t first_ns, last_ns; /* CLOCK_REALTIME of the first and the last of them; 0: there is none */
	bool cut; /* it ends in the middle: whoever wrote it was killed, or the disk was full */
};

/*
 * Tells of a recording, and sets the options as they were when it was made; what is then set of a LIST takes
 * the place of what was recorded of it. Either may be NULL. -errno if the file can't be read. -EBADMSG: it is
 * no recording. -EPROTONOSUPPORT: it is of a later deepmon.
 */
int deepmon_recording_read(const char *path, struct deepmon_recording *recording,
			   struct deepmon_options *options);

/*
 * Measures a recorded host again: each deepmon_read gives the next recorded sample, at once. With the options
 * of the recording it is what was told then, to the bit; others make of the same readings what they say.
 * Those that say where and how to read (CgroupRoot, EnergySource, MaxCgroups ...) do nothing more. It runs no
 * threads and asks nothing of this host. Errors are those of deepmon_recording_read.
 */
int deepmon_open_replay(struct deepmon **collector, const char *path, const struct deepmon_options *options,
			const struct deepmon_logger *logger);

/*
 * Of a replay: deepmon_read for the first sample at or after time_ns (CLOCK_REALTIME); all since the sample
 * that was read last is in it. -ENODATA: the recording has ended. -EBADMSG: it is damaged from here on.
 */
int deepmon_read_at(struct deepmon *collector, uint64_t time_ns, const struct deepmon_sample **sample);

/*
 * Of a replay: goes to where the next deepmon_read gives the first sample at or after time_ns, with the one
 * before it as the last that was read. Backward it plays from the start. 0, or as deepmon_read_at.
 */
int deepmon_replay_seek(struct deepmon *collector, uint64_t time_ns);

#endif
