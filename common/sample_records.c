/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of a sample and their labels. Memory only.
 */
#include "sample_parts.h"

#include <stdlib.h>
#include <string.h>

const char *sample_keep_text(struct sample *sample, const char *value)
{
	const char *kept = texts_keep(&sample->texts, value);

	sample->failed |= !kept;
	return kept ? kept : "?";
}

struct deepmon_record *sample_add_record(struct sample *sample, enum deepmon_entity entity,
					 enum deepmon_subject subject, const char *instance)
{
	static struct deepmon_record nowhere;
	struct deepmon_record *record = &nowhere;
	size_t *count = &sample->view.record_count;

	if (sample->told && !sample->told->tells[entity][subject])
		return memset(record, 0, sizeof(*record));
	if (*count == sample->capacity) {
		size_t capacity = sample->capacity ? sample->capacity * 2 : 256;
		struct deepmon_record *records = reallocarray(sample->records, capacity, sizeof(*records));

		if (!records) {
			sample->failed = true;
			return memset(record, 0, sizeof(*record));
		}
		sample->records = records;
		sample->capacity = capacity;
	}
	record = &sample->records[(*count)++];
	memset(record, 0, sizeof(*record));
	record->entity = entity;
	record->subject = subject;
	record->instance = instance;
	record->qualifier = "";
	return record;
}

void sample_label(struct deepmon_record *record, const char *key, const char *value, bool tag)
{
	if (value && *value)
		record->labels[record->label_count++] = (struct deepmon_label){key, value, tag};
}

void sample_label_between(struct deepmon_record *record, const struct deepmon_label *added)
{
	unsigned at = record->label_count;

	if (at == DEEPMON_LABELS_MAX)
		return;
	for (; at > 0 && strcmp(record->labels[at - 1].key, added->key) > 0; at--)
		record->labels[at] = record->labels[at - 1];
	record->labels[at] = *added;
	record->label_count++;
}

void sample_label_as(struct deepmon_record *record, const struct subject_of *of, const char *domain,
		     const char *source)
{
	if (of->entity == DEEPMON_SYSTEM)
		sample_label(record, "cgroup", of->name, true);
	if (of->entity == DEEPMON_PROCESS || of->entity == DEEPMON_CONTAINER_FILE ||
	    of->entity == DEEPMON_PEER || of->entity == DEEPMON_HTTP_PATH)
		sample_label(record, "container_name", of->name, true);
	if (of->entity == DEEPMON_FILE)
		sample_label(record, of->in_unit ? "cgroup" : "container_name", of->name, true);
	if (of->entity == DEEPMON_CONTAINER) {
		sample_label(record, "container_id", of->id, false);
		sample_label(record, "container_image", of->image, true);
		sample_label(record, "container_name", of->name, true);
		sample_label(record, "container_version", of->version, true);
	}
	sample_label(record, "device", of->device, true);
	sample_label(record, "domain", domain, true);
	sample_label(record, "file", of->file, true);
	sample_label(record, "gt", of->lower, true);
	sample_label(record, "kind", of->kind, true);
	sample_label(record, "latency", of->latency, true);
	sample_label(record, "le", of->upper, true);
	sample_label(record, "method", of->method, true);
	sample_label(record, "path", of->path, true);
	sample_label(record, "peer", of->peer, true);
	sample_label(record, "process", of->process, true);
	sample_label(record, "protocol", of->protocol, true);
	sample_label(record, "role", of->role, true);
	if (of->group)
		sample_label(record, "runtime", of->group->runtime, true);
	sample_label(record, "source", source, true);
	for (unsigned i = 0; i < of->label_count; i++)
		sample_label_between(record, &of->labels[i]);
}

struct subject_of sample_subject_of(struct sample *sample, const struct group *group)
{
	struct subject_of of = {
	    .entity = group->kind == IDENTITY_CONTAINER ? DEEPMON_CONTAINER : DEEPMON_SYSTEM,
	    .instance = sample_keep_text(sample, group->name),
	    .group = group,
	    .id = sample_keep_text(sample, group->id),
	    .image = sample_keep_text(sample, group->image),
	    .version = sample_keep_text(sample, group->version),
	    .label_count = group->label_count,
	};

	of.name = *group->container ? sample_keep_text(sample, group->container) : of.instance;
	for (unsigned i = 0; i < group->label_count; i++)
		of.labels[i] = (struct deepmon_label){sample_keep_text(sample, group->labels[i].key),
						      sample_keep_text(sample, group->labels[i].value), true};
	return of;
}

struct subject_of sample_part_of(enum deepmon_entity entity, const struct subject_of *container)
{
	struct subject_of of = {.entity = entity, .instance = container->instance, .name = container->name};

	for (unsigned i = 0; i < container->label_count; i++)
		if (!strcmp(container->labels[i].key, "namespace") ||
		    !strcmp(container->labels[i].key, "pod_name"))
			of.labels[of.label_count++] = container->labels[i];
	return of;
}

struct deepmon_record *sample_add_of(struct sample *sample, const struct subject_of *of,
				     enum deepmon_subject subject)
{
	struct deepmon_record *record = sample_add_record(sample, of->entity, subject, of->instance);

	if (of->process)
		record->qualifier = of->process;
	if (of->file)
		record->qualifier = of->file;
	sample_label_as(record, of, "", "");
	return record;
}
