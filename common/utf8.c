/* SPDX-License-Identifier: GPL-3.0-only
 *
 * UTF-8. Pure.
 */
#include "deepmon.h"

size_t deepmon_utf8_length(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t length = c[0] < 0x80		      ? 1
			: c[0] >= 0xc2 && c[0] < 0xe0 ? 2
			: c[0] >= 0xe0 && c[0] < 0xf0 ? 3
			: c[0] >= 0xf0 && c[0] < 0xf5 ? 4
						      : 0;

	for (size_t i = 1; i < length; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if (length == 3 && ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f)))
		return 0; /* longer than need be, or half of a surrogate pair */
	if (length == 4 && ((c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f)))
		return 0;
	return length;
}
