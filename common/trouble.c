/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Things that failed alike. Pure.
 */
#include "trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void trouble_add(struct trouble *trouble, int error, const char *format, ...)
{
	va_list args;

	if (trouble->count++)
		return;
	trouble->error = error;
	va_start(args, format);
	vsnprintf(trouble->first, sizeof(trouble->first), format, args);
	va_end(args);
}

void trouble_text(const struct trouble *trouble, char *text, size_t size)
{
	char others[64] = "";

	if (trouble->count > 1)
		snprintf(others, sizeof(others), " (and %zu more like it)", trouble->count - 1);
	snprintf(text, size, "%s: %s%s", trouble->first, strerror(-trouble->error), others);
}
