/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The catalogue of options as a table, and the one way to set one from text. Pure.
 */
#include "deepmon.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counter_event.h"
#include "file.h"
#include "selection.h"

#define ROW(member, NAME, TYPE, preset, least, most, unit, help) \
	{#NAME,	 DEEPMON_OPTION_##TYPE, \
	 preset, least, \
	 most,	 unit, \
	 help,	 offsetof(struct deepmon_options, member)},

const struct deepmon_option deepmon_option_table[] = {DEEPMON_OPTION_ROWS(ROW)};
const size_t deepmon_option_count = sizeof(deepmon_option_table) / sizeof(deepmon_option_table[0]);

/* "SampleInterval", "sample-interval" and "sample_interval" are one name. */
static bool same_name(const char *name, const char *given)
{
	for (;;) {
		while (*given == '-' || *given == '_')
			given++;
		if (tolower((unsigned char)*name) != tolower((unsigned char)*given))
			return false;
		if (!*name)
			return true;
		name++;
		given++;
	}
}

const struct deepmon_option *deepmon_option_find(const char *name)
{
	for (size_t i = 0; i < deepmon_option_count; i++)
		if (same_name(deepmon_option_table[i].name, name))
			return &deepmon_option_table[i];
	return NULL;
}

static int set_text(const struct deepmon_option *option, char *text, const char *value, char *why,
		    size_t why_size)
{
	size_t length = strlen(value);

	if (length >= DEEPMON_TEXT_MAX) {
		snprintf(why, why_size, "%s: %zu bytes are too long; at most %d are accepted", option->name,
			 length, DEEPMON_TEXT_MAX - 1);
		return -ERANGE;
	}
	memcpy(text, value, length + 1);
	return 0;
}

static int set_event(const struct deepmon_option *option, char *text, const char *value, char *why,
		     size_t why_size)
{
	struct counter_event event;

	if (counter_event_parse(value, &event) != -EINVAL)
		return set_text(option, text, value, why, why_size);
	snprintf(why, why_size,
		 "%s: \"%.64s\" is no event; a name of `perf list` such as cache-misses, a raw code such as "
		 "r412e, or none is accepted",
		 option->name, value);
	return -EINVAL;
}

static int set_number(const struct deepmon_option *option, void *target, const char *value, char *why,
		      size_t why_size)
{
	bool whole = option->type == DEEPMON_OPTION_COUNT;
	const char *space = *option->unit ? " " : "";
	double number = 0;

	if (parse_double(value, &number) || (whole && number != floor(number))) {
		snprintf(why, why_size, "%s: \"%.64s\" is not a %s; a %s from %.15g to %.15g%s%s is accepted",
			 option->name, value, whole ? "whole number" : "number",
			 whole ? "whole number" : "number", option->least, option->most, space, option->unit);
		return -EINVAL;
	}
	if (number < option->least || number > option->most) {
		snprintf(why, why_size, "%s: %.64s is out of range; %.15g to %.15g%s%s is accepted",
			 option->name, value, option->least, option->most, space, option->unit);
		return -ERANGE;
	}
	if (whole)
		*(uint32_t *)target = (uint32_t)number;
	else
		*(double *)target = number;
	return 0;
}

/* As collectd's own configuration has it. -EINVAL: the word is neither. */
static int parse_bool(const char *value, bool *truth)
{
	static const char *const words[] = {"false", "no", "off", "0", "true", "yes", "on", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(words[i], value) == 0) {
			*truth = i >= 4;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_bool(const struct deepmon_option *option, bool *target, const char *value, char *why,
		    size_t why_size)
{
	if (parse_bool(value, target) == 0)
		return 0;
	snprintf(why, why_size, "%s: \"%.64s\" is neither true nor false", option->name, value);
	return -EINVAL;
}

/* To a list is added. */
static int set_list(const struct deepmon_option *option, struct deepmon_list *list, const char *value,
		    char *why, size_t why_size)
{
	char reason[192];
	int r = selection_add(list, value, reason, sizeof(reason));

	if (r)
		snprintf(why, why_size, "%s: %s", option->name, reason);
	return r;
}

static bool choose(const struct deepmon_option *option, uint32_t *choice, const char *value)
{
	size_t length = strlen(value);
	const char *word = option->preset;

	for (uint32_t index = 0; word; index++) {
		size_t word_length = strcspn(word, "|");

		if (word_length == length && strncasecmp(word, value, length) == 0) {
			*choice = index;
			return true;
		}
		word = word[word_length] ? word + word_length + 1 : NULL;
	}
	return false;
}

/* collectd makes of an on or off without quotation marks true or false. */
static int set_choice(const struct deepmon_option *option, uint32_t *choice, const char *value, char *why,
		      size_t why_size)
{
	bool truth;

	if (choose(option, choice, value) ||
	    (parse_bool(value, &truth) == 0 && choose(option, choice, truth ? "on" : "off")))
		return 0;
	snprintf(why, why_size, "%s: \"%.64s\" is not one of %s", option->name, value, option->preset);
	return -EINVAL;
}

static int set(struct deepmon_options *options, const struct deepmon_option *option, const char *value,
	       char *why, size_t why_size)
{
	void *target = (char *)options + option->offset;

	switch (option->type) {
	case DEEPMON_OPTION_TEXT:
		return set_text(option, target, value, why, why_size);
	case DEEPMON_OPTION_NUMBER:
	case DEEPMON_OPTION_COUNT:
		return set_number(option, target, value, why, why_size);
	case DEEPMON_OPTION_CHOICE:
		return set_choice(option, target, value, why, why_size);
	case DEEPMON_OPTION_BOOL:
		return set_bool(option, target, value, why, why_size);
	case DEEPMON_OPTION_LIST:
		return set_list(option, target, value, why, why_size);
	case DEEPMON_OPTION_EVENT:
		return set_event(option, target, value, why, why_size);
	}
	return -EINVAL;
}

/* Names and values come from anywhere; a message with them in it is to stay one line. */
static void make_one_line(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
}

int deepmon_options_set(struct deepmon_options *options, const char *name, const char *value, char *why,
			size_t why_size)
{
	const struct deepmon_option *option = deepmon_option_find(name);
	int r = -ENOENT;

	if (option)
		r = set(options, option, value, why, why_size);
	else
		snprintf(why, why_size, "%.64s: there is no option of that name; README.md lists them all",
			 name);
	if (r)
		make_one_line(why);
	return r;
}

/* As parse_double reads it, whatever the locale of the process is. */
static void print_number(double number, char *text, size_t size)
{
	locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL), before;

	before = c_locale ? uselocale(c_locale) : NULL;
	snprintf(text, size, "%.17g", number);
	if (!c_locale)
		return;
	uselocale(before);
	freelocale(c_locale);
}

/* The word of a CHOICE with that number. */
static void copy_word(const char *words, uint32_t number, char *text, size_t size)
{
	while (number-- && strchr(words, '|'))
		words = strchr(words, '|') + 1;
	snprintf(text, size, "%.*s", (int)strcspn(words, "|"), words);
}

bool deepmon_option_text(const struct deepmon_options *options, const struct deepmon_option *option,
			 uint32_t index, char *text, size_t size)
{
	const void *value = (const char *)options + option->offset;
	const char *listed = NULL;

	switch (option->type) {
	case DEEPMON_OPTION_TEXT:
	case DEEPMON_OPTION_EVENT:
		snprintf(text, size, "%s", (const char *)value);
		break;
	case DEEPMON_OPTION_NUMBER:
		print_number(*(const double *)value, text, size);
		break;
	case DEEPMON_OPTION_COUNT:
		snprintf(text, size, "%" PRIu32, *(const uint32_t *)value);
		break;
	case DEEPMON_OPTION_CHOICE:
		copy_word(option->preset, *(const uint32_t *)value, text, size);
		break;
	case DEEPMON_OPTION_BOOL:
		snprintf(text, size, "%s", *(const bool *)value ? "true" : "false");
		break;
	case DEEPMON_OPTION_LIST:
		for (uint32_t i = 0; i <= index; i++)
			if (!(listed = selection_next(value, listed)))
				return false;
		snprintf(text, size, "%s", listed);
		return true;
	}
	return index == 0;
}

void deepmon_options_init(struct deepmon_options *options)
{
	char why[64];

	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];

		/* Of a CHOICE the first word is the default: index 0, as it is already. */
		if (option->type != DEEPMON_OPTION_CHOICE)
			set(options, option, option->preset, why, sizeof(why));
	}
}
