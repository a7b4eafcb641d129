/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the files share that put a sample together.
 */
#ifndef DEEPMON_SAMPLE_PARTS_H
#define DEEPMON_SAMPLE_PARTS_H

#include "footprint.h"
#include "latencies.h"
#include "sample.h"

#define VALID(SUBJECT, field) (1ull << DEEPMON_INDEX_##SUBJECT##_##field)

/* Who a record is about: the instance, and the labels that tell it. */
struct subject_of {
	enum deepmon_entity entity;
	const char *instance;
	const char *kind; /* of a total */
	const struct group *group;
	const char *name, *id, *image, *version; /* the group's, kept */
	struct deepmon_label labels[IDENTITY_LABELS_MAX];
	unsigned label_count;
	const char *process;
	const char *device;
	const char *peer;
	const char *method, *path; /* of HTTP */
	const char *file;
	bool in_unit;			     /* the file: its name is a unit's, not a container's */
	const char *latency, *lower, *upper; /* of a bucket */
	const char *protocol, *role;	     /* of transactions, or of peers */
};

/* A container or unit as a whole. */
struct subject_of sample_subject_of(struct sample *sample, const struct group *group);
/* Whose process or file a record is about: the container, by what its name is nothing without. */
struct subject_of sample_part_of(enum deepmon_entity entity, const struct subject_of *container);

/* A copy of a text that is good as long as the sample. */
const char *sample_keep_text(struct sample *sample, const char *value);

/* A new record, or if it is not to be told, or on lack of memory, one that is thrown away. */
struct deepmon_record *sample_add_record(struct sample *sample, enum deepmon_entity entity,
					 enum deepmon_subject subject, const char *instance);

/* A label in its place among the others; past DEEPMON_LABELS_MAX it is left out. */
void sample_label_between(struct deepmon_record *record, const struct deepmon_label *added);

/* Labels are added in the order of their keys; one without a value is left out. */
void sample_label(struct deepmon_record *record, const char *key, const char *value, bool tag);
void sample_label_as(struct deepmon_record *record, const struct subject_of *of, const char *domain,
		     const char *source);

/* A new record, labelled. */
struct deepmon_record *sample_add_of(struct sample *sample, const struct subject_of *of,
				     enum deepmon_subject subject);

/* Whom a container talks with. To be called before its account is told. */
void sample_add_peers(struct sample *sample, const struct attribution *attribution,
		      const struct subject_of *container, struct group *group);

/* Its HTTP by path; likewise. */
void sample_add_paths(struct sample *sample, const struct attribution *attribution,
		      const struct subject_of *container, struct group *group);

/* What a group's cgroups' files tell, and its processes'. */
void sample_add_footprint(struct sample *sample, const struct subject_of *of);

/*
 * Fills in a record's DEEPMON_LATENCY_METRICS, of which the first is `mean`, its bit `mean_valid`, with those
 * of several kinds (a bit for each) together; without any there are no figures.
 */
void sample_tell_latencies(struct sample *sample, struct deepmon_record *record, double *mean,
			   uint64_t mean_valid, const struct latencies *latencies, uint32_t kinds);
#define SAMPLE_TELL_LATENCIES(sample, record, SUBJECT, name, latencies, kinds) \
	sample_tell_latencies((sample), (record), &(record)->values.name.latency_mean_seconds, \
			      VALID(SUBJECT, latency_mean_seconds), (latencies), (kinds))

/* The counts of transactions in a record. */
void sample_tell_transactions(struct deepmon_record *record, const struct net_transactions *sum,
			      enum net_protocol protocol);
/* Its transactions: by protocol, those as client, as server and both together. */
void sample_add_transactions(struct sample *sample, const struct subject_of *of,
			     const struct account *account);

/* What was read and written, and how long that took. */
void sample_add_file_io(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *whose, const struct account *account);

/* The files of a container, or of the host, on which most was read and written. */
void sample_add_files_of_group(struct sample *sample, const struct attribution *attribution,
			       const struct subject_of *container, struct group *group);
void sample_add_files_of_host(struct sample *sample, const struct attribution *attribution);

/* The histograms themselves, if they are to be told. */
void sample_add_buckets(struct sample *sample, const struct subject_of *of, const struct account *account);

#endif
