/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A locale that writes 1,5: what a host's agent may run under. Made by localedef for the running test only.
 */
#ifndef TESTS_COMMA_LOCALE_H
#define TESTS_COMMA_LOCALE_H

#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tree.h"

static inline void use_comma_locale(void)
{
	struct tree tree;
	char command[256];

	ck_assert_int_eq(tree_open(&tree), 0);
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/usr/bin localedef --no-warnings=all -i de_DE -f UTF-8 %s/de_DE.UTF-8",
		 tree.root);

	int status = system(command);

	setenv("LOCPATH", tree.root, 1);

	const char *locale = setlocale(LC_ALL, "de_DE.UTF-8");

	tree_close(&tree);
	ck_assert_msg(locale != NULL, "no locale de_DE (status %d): Debian package locales",
		      WEXITSTATUS(status));
	ck_assert_str_eq(localeconv()->decimal_point, ",");
}

#endif
