/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What more is told of a container: its labels, in order. Pure.
 */
#include "identity.h"

#include <string.h>

const char *identity_label(const struct identity *identity, const char *key)
{
	for (unsigned i = 0; i < identity->label_count; i++)
		if (strcmp(identity->labels[i].key, key) == 0)
			return identity->labels[i].value;
	return NULL;
}

void identity_set_label(struct identity *identity, const char *key, const char *value)
{
	struct identity_label *labels = identity->labels;
	unsigned at = 0;

	if (!*key || !*value || strlen(key) >= IDENTITY_KEY_MAX)
		return;
	while (at < identity->label_count && strcmp(labels[at].key, key) < 0)
		at++;
	if (at == identity->label_count || strcmp(labels[at].key, key) != 0) {
		if (identity->label_count == IDENTITY_LABELS_MAX)
			return;
		memmove(&labels[at + 1], &labels[at], (identity->label_count - at) * sizeof(*labels));
		identity->label_count++;
	}
	strcpy(labels[at].key, key);
	identity_text(labels[at].value, sizeof(labels[at].value), value, strlen(value));
}

void identity_drop_label(struct identity *identity, const char *key)
{
	struct identity_label *labels = identity->labels;
	unsigned at = 0;

	while (at < identity->label_count && strcmp(labels[at].key, key) != 0)
		at++;
	if (at == identity->label_count)
		return;
	identity->label_count--;
	memmove(&labels[at], &labels[at + 1], (identity->label_count - at) * sizeof(*labels));
}
