/* SPDX-License-Identifier: GPL-3.0-only
 *
 * UTF-8.
 */
#ifndef DEEPMON_EXECD_UTF8_H
#define DEEPMON_EXECD_UTF8_H

#include <stddef.h>

/* The bytes of one character at c, in a text that ends with NUL; 0: it is none. */
size_t utf8_length(const unsigned char *c);

#endif
