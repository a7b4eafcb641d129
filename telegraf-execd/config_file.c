/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads the syntax of collectd.conf. What collectd's parser skips without a word, such as a stray '=', is an
 * error here.
 */
#include "config_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum token {
	TOKEN_TEXT,   /* in quotation marks, or an address */
	TOKEN_WORD,   /* letters, digits and _: a name, or a text */
	TOKEN_NUMBER, /* or true, false and their like: no name */
	TOKEN_OPEN,
	TOKEN_SLASH,
	TOKEN_CLOSE,
	TOKEN_LINE_END,
	TOKEN_FILE_END,
	TOKEN_ERROR,
};

struct parser {
	const char *next, *end;
	unsigned line, token_line;
	char token[CONFIG_VALUE_MAX];
	char block[CONFIG_NAME_MAX]; /* "" outside of any */
	config_set *set;
	void *user;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3))) static enum token wrong(struct parser *parser, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(parser->why, parser->why_size, format, args);
	va_end(args);
	return TOKEN_ERROR;
}

/* ---- Tokens ----------------------------------------------------------------------------------- */

/* The length of a line's end at c; 0: it is none. */
static size_t line_end(const struct parser *parser, const char *c)
{
	if (c < parser->end && *c == '\n')
		return 1;
	return parser->end - c >= 2 && c[0] == '\r' && c[1] == '\n' ? 2 : 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\b';
}

/* White space, comments, and ends of lines with a backslash before them. */
static void skip_blank(struct parser *parser)
{
	for (;;) {
		size_t length;

		while (parser->next < parser->end && is_blank(*parser->next))
			parser->next++;
		if (parser->next < parser->end && *parser->next == '#')
			while (parser->next < parser->end && !line_end(parser, parser->next))
				parser->next++;
		if (parser->next == parser->end || *parser->next != '\\')
			return;
		length = line_end(parser, parser->next + 1);
		if (!length)
			return;
		parser->next += 1 + length;
		parser->line++;
	}
}

static enum token read_quoted(struct parser *parser)
{
	size_t length = 0;

	for (parser->next++; parser->next < parser->end; parser->next++) {
		size_t end;

		if (*parser->next == '"') {
			parser->token[length] = '\0';
			parser->next++;
			return TOKEN_TEXT;
		}
		if (*parser->next == '\\' && (end = line_end(parser, parser->next + 1)) > 0) {
			/* It goes on in the next line, where that is more than white space. */
			parser->line++;
			parser->next += end;
			while (parser->next + 1 < parser->end && is_blank(parser->next[1]))
				parser->next++;
			continue;
		}
		/* A backslash takes away the next one's meaning, and nothing more: \n is an n. */
		if (*parser->next == '\\' && ++parser->next == parser->end)
			break;
		parser->line += *parser->next == '\n';
		if (!*parser->next)
			return wrong(parser, "a NUL byte has no place in it");
		if (length == sizeof(parser->token) - 1)
			return wrong(parser, "a value is longer than %zu bytes", sizeof(parser->token) - 1);
		parser->token[length++] = *parser->next;
	}
	return wrong(parser, "a quotation mark has no second one to end the text");
}

static bool is_number(const char *word)
{
	size_t length = strlen(word), digits, fraction;

	if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X'))
		return length > 2 && strspn(word + 2, "0123456789abcdefABCDEF") == length - 2;
	word += *word == '+' || *word == '-';
	digits = strspn(word, "0123456789");
	if (!word[digits])
		return digits > 0;
	if (word[digits] != '.')
		return false;
	word += digits + 1;
	fraction = strspn(word, "0123456789");
	word += fraction;
	/* As collectd has it, the sign of an exponent must be there. */
	if ((*word == 'e' || *word == 'E') && (word[1] == '+' || word[1] == '-') && word[2])
		word += 2 + strspn(word + 2, "0123456789");
	return fraction > 0 && !*word;
}

/* Of a version 4 or 6, with a port or without; looked at no further, as no option takes one. */
static bool is_address(const char *word)
{
	return strpbrk(word, ".:") && strspn(word, "0123456789abcdefABCDEF.:[]") == strlen(word);
}

/* As collectd hands numbers on: 0x10 and 1.60e+1 are 16. */
static bool take_number(struct parser *parser)
{
	bool number = is_number(parser->token);

	if (number)
		snprintf(parser->token, sizeof(parser->token), "%.15g", strtod(parser->token, NULL));
	return number;
}

static bool take_truth(struct parser *parser)
{
	static const char *const words[] = {"true", "yes", "on", "false", "no", "off"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], parser->token) == 0) {
			strcpy(parser->token, i < 3 ? "true" : "false");
			return true;
		}
	}
	return false;
}

static enum token read_bare(struct parser *parser)
{
	size_t length = 0, letters = 0;

	while (parser->next < parser->end && *parser->next &&
	       (isalnum((unsigned char)*parser->next) || strchr("_.:+-[]", *parser->next))) {
		if (length == sizeof(parser->token) - 1)
			return wrong(parser, "a value is longer than %zu bytes", sizeof(parser->token) - 1);
		letters += isalnum((unsigned char)*parser->next) || *parser->next == '_';
		parser->token[length++] = *parser->next++;
	}
	parser->token[length] = '\0';
	if (!length)
		return wrong(parser, "near \"%.1s\": a line is a name and its values, as in collectd.conf",
			     *parser->next ? parser->next : "NUL");
	if (take_number(parser) || take_truth(parser))
		return TOKEN_NUMBER;
	if (letters == length)
		return TOKEN_WORD;
	if (is_address(parser->token))
		return TOKEN_TEXT;
	return wrong(parser, "near \"%.64s\": text belongs in quotation marks", parser->token);
}

static enum token read_token(struct parser *parser)
{
	size_t length;

	skip_blank(parser);
	parser->token_line = parser->line;
	if (parser->next == parser->end)
		return TOKEN_FILE_END;
	length = line_end(parser, parser->next);
	if (length) {
		parser->next += length;
		parser->line++;
		return TOKEN_LINE_END;
	}
	switch (*parser->next) {
	case '"':
		return read_quoted(parser);
	case '<':
		parser->next++;
		return TOKEN_OPEN;
	case '>':
		parser->next++;
		return TOKEN_CLOSE;
	case '/':
		parser->next++;
		return TOKEN_SLASH;
	default:
		return read_bare(parser);
	}
}

/* ---- Lines ------------------------------------------------------------------------------------ */

static bool is_value(enum token token)
{
	return token == TOKEN_TEXT || token == TOKEN_WORD || token == TOKEN_NUMBER;
}

static bool is_end(enum token token)
{
	return token == TOKEN_LINE_END || token == TOKEN_FILE_END;
}

/* The name at the beginning of a line, which is in parser->token. */
static enum token take_name(struct parser *parser, enum token token, char name[CONFIG_NAME_MAX])
{
	if (token == TOKEN_ERROR)
		return token;
	if (token != TOKEN_WORD)
		return wrong(parser, "a name was to stand here: letters, digits and _");
	if (strlen(parser->token) >= CONFIG_NAME_MAX)
		return wrong(parser, "%.64s…: there is no option of that name", parser->token);
	strcpy(name, parser->token);
	return token;
}

/* collectd's own line that loads the plugin may stand in the same file. */
static bool is_load(const char *name)
{
	return strcasecmp(name, "LoadPlugin") == 0;
}

static enum token read_values(struct parser *parser, const char *name)
{
	enum token token;
	unsigned nth = 0;

	while (is_value(token = read_token(parser))) {
		if (is_load(name) && strcmp(parser->token, "deepmon") == 0) {
			nth++;
			continue;
		}
		if (parser->set(parser->user, name, parser->token, nth++, parser->why, parser->why_size))
			return TOKEN_ERROR;
	}
	if (token == TOKEN_ERROR || (nth && is_end(token)))
		return token;
	if (is_end(token))
		return wrong(parser, "%.64s: a value must follow", name);
	return wrong(parser, "%.64s: the values of an option end with the line", name);
}

/* "<Plugin deepmon>" and "</Plugin>", behind the '<'. */
static enum token read_block_line(struct parser *parser)
{
	char name[CONFIG_NAME_MAX];
	enum token token = read_token(parser);
	bool ends = token == TOKEN_SLASH;

	token = take_name(parser, ends ? read_token(parser) : token, name);
	if (token == TOKEN_ERROR)
		return token;
	if (ends) {
		if (!*parser->block || strcmp(name, parser->block) != 0)
			return wrong(parser, "</%.64s>: no block of that name is open", name);
		parser->block[0] = '\0';
	} else {
		if (*parser->block)
			return wrong(parser, "<%.64s>: there are no blocks within <%.64s>", name,
				     parser->block);
		token = read_token(parser);
		if (token == TOKEN_ERROR)
			return token;
		if ((strcasecmp(name, "Plugin") != 0 && !is_load(name)) || !is_value(token) ||
		    strcmp(parser->token, "deepmon") != 0)
			return wrong(parser, "<%.64s …>: the one block there is is <Plugin deepmon>", name);
		strcpy(parser->block, name);
	}
	token = read_token(parser);
	if (token == TOKEN_CLOSE)
		token = read_token(parser);
	else if (token != TOKEN_ERROR)
		return wrong(parser, "<%.64s: a > must follow", name);
	if (token != TOKEN_ERROR && !is_end(token))
		return wrong(parser, "nothing more may stand in the line of <%s%.64s>", ends ? "/" : "",
			     name);
	return token;
}

static enum token read_line(struct parser *parser)
{
	char name[CONFIG_NAME_MAX];
	enum token token = read_token(parser);

	if (is_end(token))
		return token;
	if (token == TOKEN_OPEN)
		return read_block_line(parser);
	token = take_name(parser, token, name);
	return token == TOKEN_ERROR ? token : read_values(parser, name);
}

int config_file_parse(const char *text, size_t length, config_set *set, void *user, unsigned *line, char *why,
		      size_t why_size)
{
	struct parser parser = {.next = text,
				.end = text + length,
				.line = 1,
				.token_line = 1,
				.set = set,
				.user = user,
				.why = why,
				.why_size = why_size};
	enum token token;

	do
		token = read_line(&parser);
	while (token == TOKEN_LINE_END);
	if (token == TOKEN_FILE_END && *parser.block)
		token = wrong(&parser, "<%s deepmon> has no </%s>", parser.block, parser.block);
	*line = parser.token_line;
	return token == TOKEN_ERROR ? -EINVAL : 0;
}
