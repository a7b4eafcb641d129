/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Which rows pass a filter.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "view.h"

/* A word of a filter, in parts. */
struct word {
	bool not ;
	char text[TOP_FILTER_MAX];
	char *value; /* behind ':', '<' or '>'; NULL: the word has none */
	char how;    /* which of these */
};

/* The next word; *filter moves on. False: there is none. */
static bool next_word(const char **filter, struct word *word)
{
	size_t length;

	*filter += strspn(*filter, " \t");
	*word = (struct word){.not = **filter == '!'};
	*filter += word->not ;
	length = strcspn(*filter, " \t");
	if (!length && !word->not )
		return false;
	if (length >= sizeof(word->text))
		length = sizeof(word->text) - 1;
	memcpy(word->text, *filter, length);
	*filter += length;
	word->value = strpbrk(word->text, ":<>");
	if (word->value) {
		word->how = *word->value;
		*word->value++ = '\0';
	}
	return true;
}

/* What of a row goes by that name. False: nothing does. */
static bool text_of(const struct top_row *row, const char *name, const char **text)
{
	enum top_key key;

	if (!strcasecmp(name, "name"))
		*text = row->name;
	else if (!strcasecmp(name, "id"))
		*text = row->id;
	else if (top_key_find(name, strlen(name), &key) == 0)
		*text = row->labels[key];
	else
		return false;
	return true;
}

/* The whole word, which is none of a kind of its own, somewhere in the row. */
static bool is_in(const struct top_row *row, const char *text)
{
	if (strcasestr(row->name, text) || strcasestr(row->instance, text) || strcasestr(row->id, text))
		return true;
	for (int key = 0; key < TOP_KEYS; key++)
		if (strcasestr(row->labels[key], text))
			return true;
	return false;
}

static bool compares(const struct top_row *row, const struct word *word)
{
	const struct top_column *column = top_column_find(word->text);
	double value, limit = strtod(word->value, NULL);

	if (!column || !top_column_value(column, &row->figures, &value))
		return false;
	return word->how == '>' ? value > limit : value < limit;
}

static bool holds(const struct top_row *row, struct word *word)
{
	const char *text;

	if (!word->value)
		return is_in(row, word->text);
	if (word->how != ':')
		return compares(row, word);
	if (text_of(row, word->text, &text))
		return strcasestr(text, word->value) != NULL;
	word->value[-1] = ':'; /* an image's name may have one */
	return is_in(row, word->text);
}

bool top_filter_passes(const char *filter, const struct top_row *row)
{
	struct word word;

	while (next_word(&filter, &word))
		if (holds(row, &word) == word.not )
			return false;
	return true;
}

int top_filter_check(const char *filter, char *why, size_t why_size)
{
	struct word word;
	char *end;

	while (next_word(&filter, &word)) {
		if (!word.value || word.how == ':')
			continue;
		if (!top_column_find(word.text)) {
			snprintf(why, why_size, "filter: there is no column %.64s", word.text);
			return -EINVAL;
		}
		strtod(word.value, &end);
		if (end == word.value || *end) {
			snprintf(why, why_size, "filter: \"%.64s\" is no number", word.value);
			return -EINVAL;
		}
	}
	return 0;
}
