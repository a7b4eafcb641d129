/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names and /regexes/ that an option lists. Pure.
 */
#include "selection.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	char *name; /* NULL: it is a regex */
	regex_t regex;
};

struct selection {
	size_t count;
	struct pattern patterns[];
};

const char *selection_next(const struct deepmon_list *list, const char *text)
{
	const char *next = text ? text + strlen(text) + 1 : list->texts;

	return next < list->texts + list->length ? next : NULL;
}

/* Of text between slashes, what is between them, to be freed; NULL: it is no such. */
static char *regex_of(const char *text)
{
	size_t length = strlen(text);

	return length >= 2 && *text == '/' && text[length - 1] == '/' ? strndup(text + 1, length - 2) : NULL;
}

/* How long the first of the value's texts is: up to a comma, which must follow a slash if it begins so. */
static size_t first_length(const char *value)
{
	size_t length = strcspn(value, ",");

	if (*value != '/')
		return length;
	for (size_t end = length; value[end]; end += strcspn(value + end + 1, ",") + 1)
		if (end > 1 && value[end - 1] == '/')
			return end;
	return strlen(value);
}

/* The C library takes memory by the product of all repetitions {N} that a regex asks for: gigabytes, if need
 * be. */
#define REPEATS_MOST 1024

static bool repeats_too_often(const char *expression)
{
	unsigned long product = 1;
	bool within = false;

	for (const char *c = expression; *c && product <= REPEATS_MOST; c++) {
		within = *c == '{' || (within && *c != '}');
		if (within && c[1] >= '0' && c[1] <= '9' && (*c < '0' || *c > '9')) {
			unsigned long count = strtoul(c + 1, NULL, 10);

			product = count > REPEATS_MOST ? count : count ? product * count : product;
		}
	}
	return product > REPEATS_MOST;
}

static int check(const char *text, char *why, size_t why_size)
{
	char *expression = regex_of(text);
	regex_t regex;
	char error[96];
	int r;

	if (!expression)
		return 0;
	r = repeats_too_often(expression) ? REG_ESPACE
					  : regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB);
	free(expression);
	if (!r) {
		regfree(&regex);
		return 0;
	}
	regerror(r, &regex, error, sizeof(error));
	snprintf(why, why_size, "\"%.64s\" is no regular expression (%s)", text, error);
	return -EINVAL;
}

static int add(struct deepmon_list *list, const char *value, size_t length, char *why, size_t why_size)
{
	if (length >= sizeof(list->texts) - list->length) {
		snprintf(why, why_size, "at most %zu bytes of names are accepted", sizeof(list->texts));
		return -ERANGE;
	}

	char *text = list->texts + list->length;

	memcpy(text, value, length);
	text[length] = '\0';
	list->length += (uint32_t)length + 1;
	list->count++;
	return check(text, why, why_size);
}

int selection_add(struct deepmon_list *list, const char *value, char *why, size_t why_size)
{
	const struct deepmon_list before = *list;
	int r = 0;

	if (list->recorded)
		list->count = list->length = 0;
	while (*value && !r) {
		size_t length = first_length(value);

		if (length)
			r = add(list, value, length, why, why_size);
		value += length + (value[length] == ',');
	}
	if (r)
		*list = before;
	else
		list->recorded = false;
	return r;
}

int selection_open(struct selection **opened, const struct deepmon_list *list)
{
	struct selection *selection = calloc(1, sizeof(*selection) + list->count * sizeof(struct pattern));

	if (!selection)
		return -ENOMEM;
	for (const char *text = selection_next(list, NULL); text; text = selection_next(list, text)) {
		struct pattern *pattern = &selection->patterns[selection->count];
		char *expression = regex_of(text);

		if (expression) {
			int r = regcomp(&pattern->regex, expression, REG_EXTENDED | REG_NOSUB);

			free(expression);
			selection->count += r == 0;
			continue;
		}
		pattern->name = strdup(text);
		selection->count += pattern->name != NULL;
	}
	*opened = selection;
	if (selection->count == list->count)
		return 0;
	selection_close(selection);
	*opened = NULL;
	return -ENOMEM;
}

void selection_close(struct selection *selection)
{
	if (!selection)
		return;
	for (size_t i = 0; i < selection->count; i++) {
		if (selection->patterns[i].name)
			free(selection->patterns[i].name);
		else
			regfree(&selection->patterns[i].regex);
	}
	free(selection);
}

bool selection_is_empty(const struct selection *selection)
{
	return !selection || selection->count == 0;
}

bool selection_has(const struct selection *selection, const char *text)
{
	for (size_t i = 0; selection && i < selection->count; i++) {
		const struct pattern *pattern = &selection->patterns[i];

		if (pattern->name ? !strcmp(pattern->name, text)
				  : regexec(&pattern->regex, text, 0, NULL, 0) == 0)
			return true;
	}
	return false;
}
