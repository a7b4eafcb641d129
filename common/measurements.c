/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The catalogue of what is reported of whom, and by which labels, as tables. Pure.
 */
#include "deepmon.h"

#include <string.h>

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

#define ENTITY_ROW(CONSTANT, name, help, labels, instance) {labels, instance},
static const struct {
	const char *labels, *instance;
} entities[] = {DEEPMON_ENTITIES(ENTITY_ROW)};

#define MEASUREMENT_ROW(ENTITY, SUBJECT, labels, qualifier) \
	{DEEPMON_##ENTITY, DEEPMON_SUBJECT_##SUBJECT, labels, qualifier},
const struct deepmon_measurement deepmon_measurement_table[] = {DEEPMON_MEASUREMENTS(MEASUREMENT_ROW)};
const size_t deepmon_measurement_count = COUNT(deepmon_measurement_table);

enum { FIELD, TAG };

#define LABEL_ROW(key, KIND, help) {#key, help, KIND},
const struct deepmon_label_kind deepmon_label_table[] = {DEEPMON_LABEL_ROWS(LABEL_ROW)};
const size_t deepmon_label_count = COUNT(deepmon_label_table);

/* Whether a list parted by ", " has a word. */
static bool has_word(const char *list, const char *word)
{
	while (*list) {
		size_t length = strcspn(list, ",");

		if (strlen(word) == length && !strncmp(list, word, length))
			return true;
		list += length;
		list += strspn(list, ", ");
	}
	return false;
}

bool deepmon_measurement_has(const struct deepmon_measurement *measurement,
			     const struct deepmon_label_kind *label)
{
	return has_word(entities[measurement->entity].labels, label->key) ||
	       has_word(measurement->labels, label->key);
}

const char *deepmon_entity_instance(enum deepmon_entity entity)
{
	return entities[entity].instance;
}
