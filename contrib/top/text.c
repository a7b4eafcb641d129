/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names as people are shown them.
 */
#include "text.h"

#include <string.h>

#include "../../common/deepmon.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static wchar_t decode(const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;
	unsigned value = length < 2 ? *bytes : *bytes & 0xffu >> (length + 1);

	for (size_t i = 1; i < length; i++)
		value = value << 6 | (bytes[i] & 0x3f);
	return (wchar_t)value;
}

/* What turns the order of its neighbours, ends a line, or is not there to be seen. */
static bool is_hidden(wchar_t character)
{
	static const wchar_t ranges[][2] = {{0x61c, 0x61c},   {0x200b, 0x200b}, {0x200e, 0x200f},
					    {0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff}};

	for (size_t i = 0; i < COUNT(ranges); i++)
		if (character >= ranges[i][0] && character <= ranges[i][1])
			return true;
	return false;
}

wchar_t top_text_next(const char **text, bool utf8, int *width)
{
	size_t length = deepmon_utf8_length(*text);
	wchar_t character = L'?';

	*width = 0;
	if (!**text)
		return 0;
	if (length == 1 || (length && utf8))
		character = decode(*text, length);
	*text += length ? length : 1;
	*width = character < 0x7f ? 1 : wcwidth(character);
	if (character >= 0x20 && *width >= 0 && !is_hidden(character))
		return character;
	*width = 1;
	return L'?';
}

int top_text_width(const char *text, bool utf8)
{
	int sum = 0, width;

	while (top_text_next(&text, utf8, &width))
		sum += width;
	return sum;
}

size_t top_text_cut(const char *text, bool utf8, int width, int spare, int *used)
{
	const char *at = text, *before = text;
	int room = top_text_width(text, utf8) > width ? width - spare : width, of_one;

	*used = 0;
	while (top_text_next(&at, utf8, &of_one) && *used + of_one <= room) {
		*used += of_one;
		before = at;
	}
	return (size_t)(before - text);
}
