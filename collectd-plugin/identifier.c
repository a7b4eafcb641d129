/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names as parts of identifiers. Knows nothing of collectd but what it forbids.
 */
#include "identifier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_LENGTH 17 /* with its '~' */

/* FNV-1a. */
static uint64_t hash_on(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	return hash;
}

static uint64_t hash_of(const char *first, const char *second)
{
	return hash_on(hash_on(0xcbf29ce484222325, first) ^ '-', second);
}

/* Adds a part; what there is no place for becomes '_'. False: not all of it has room. */
static bool add(char *name, size_t *length, size_t room, const char *text)
{
	while (*text) {
		size_t character = *text == '/' ? 0 : deepmon_utf8_length(text);
		size_t bytes = character ? character : 1;

		if (*length + bytes > room)
			return false;
		if (character)
			memcpy(name + *length, text, character);
		else
			name[*length] = '_';
		*length += bytes;
		text += bytes;
	}
	name[*length] = '\0';
	return true;
}

static bool join(char *name, size_t *length, size_t room, const char *first, const char *second)
{
	*length = 0;
	name[0] = '\0';
	return add(name, length, room, first) && (!*first || !*second || add(name, length, room, "-")) &&
	       add(name, length, room, second);
}

static bool is_text(const char *text)
{
	size_t length = 1;

	for (; *text && length; text += length)
		length = deepmon_utf8_length(text);
	return length > 0;
}

void identifier_join(char *name, size_t size, const char *first, const char *second, bool hashed)
{
	size_t length;

	if (join(name, &length, size - 1, first, second) && !hashed && is_text(first) && is_text(second))
		return;
	join(name, &length, size - 1 - HASH_LENGTH, first, second);
	snprintf(name + length, size - length, "~%016llx", (unsigned long long)hash_of(first, second));
}

/* Of others in the report nothing is known here, so a '_' may be mistaken for a '/'. */
void identifier_type_instance(const struct deepmon_record *record, const struct deepmon_metric *metric,
			      char *name, size_t size)
{
	bool mistakable = strchr(record->qualifier, '/') && strchr(record->qualifier, '_');

	identifier_join(name, size, metric->collectd_instance, record->qualifier, mistakable);
}

/* ---- Those of one report ---------------------------------------------------------------------- */

/* As an instance is told: compares '/' as '_'. */
static int compare_told(const char *a, const char *b)
{
	for (;; a++, b++) {
		unsigned char left = *a == '/' ? '_' : (unsigned char)*a;
		unsigned char right = *b == '/' ? '_' : (unsigned char)*b;

		if (left != right || !left)
			return left - right;
	}
}

static int compare(const void *a, const void *b)
{
	const struct deepmon_record *left = *(const struct deepmon_record *const *)a;
	const struct deepmon_record *right = *(const struct deepmon_record *const *)b;

	if (left->entity != right->entity)
		return (int)left->entity - (int)right->entity;
	return compare_told(left->instance, right->instance);
}

/* Of those told alike, what has a '_' where the other has a '/' comes first. */
static int compare_all(const void *a, const void *b)
{
	int order = compare(a, b);

	if (order)
		return order;
	return strcmp((*(const struct deepmon_record *const *)b)->instance,
		      (*(const struct deepmon_record *const *)a)->instance);
}

static void drop_repeated(struct identifiers *identifiers)
{
	size_t kept = 0;

	for (size_t i = 0; i < identifiers->count; i++)
		if (!kept || compare_all(&identifiers->told[kept - 1], &identifiers->told[i]))
			identifiers->told[kept++] = identifiers->told[i];
	identifiers->count = kept;
}

int identifiers_take(struct identifiers *identifiers, const struct deepmon_sample *sample)
{
	identifiers->count = 0;
	if (sample->record_count > identifiers->room) {
		const struct deepmon_record **told =
		    realloc(identifiers->told, sample->record_count * sizeof(const struct deepmon_record *));

		if (!told)
			return -ENOMEM;
		identifiers->told = told;
		identifiers->room = sample->record_count;
	}
	for (size_t i = 0; i < sample->record_count; i++)
		if (strpbrk(sample->records[i].instance, "/_"))
			identifiers->told[identifiers->count++] = &sample->records[i];
	if (identifiers->count)
		qsort(identifiers->told, identifiers->count, sizeof(*identifiers->told), compare_all);
	drop_repeated(identifiers);
	return 0;
}

void identifiers_clear(struct identifiers *identifiers)
{
	free(identifiers->told);
	*identifiers = (struct identifiers){0};
}

#define OF_WHAT_MAX 512 /* of which a name in collectd keeps 127 bytes */

/* An identifier has no room for a label: an experiment's name comes before the entity's. */
static const char *of_what(const struct deepmon_record *record, char name[OF_WHAT_MAX])
{
	const char *entity = deepmon_entity_name(record->entity);

	for (unsigned i = 0; i < record->label_count; i++) {
		if (strcmp(record->labels[i].key, "experiment") != 0)
			continue;
		snprintf(name, OF_WHAT_MAX, "%s-%s", record->labels[i].value, entity);
		return name;
	}
	return entity;
}

/* Whether another is told by the name that this one would have. */
static bool is_taken(const struct identifiers *identifiers, const struct deepmon_record *record)
{
	const struct deepmon_record **found;

	if (!identifiers->count || !strchr(record->instance, '/'))
		return false;
	found = bsearch(&record, identifiers->told, identifiers->count, sizeof(*identifiers->told), compare);
	while (found && found > identifiers->told && compare(found - 1, found) == 0)
		found--;
	return found && strcmp((*found)->instance, record->instance) != 0;
}

void identifier_instance(const struct identifiers *identifiers, const struct deepmon_record *record,
			 char *name, size_t size)
{
	char what[OF_WHAT_MAX];

	identifier_join(name, size, of_what(record, what), record->instance, is_taken(identifiers, record));
}
