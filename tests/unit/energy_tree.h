/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the tests of energy sources share: a tree of files in place of the host's /sys, with proc/ and dev/ in
 * it, the energy that is read of it, and what is said.
 */
#ifndef TESTS_ENERGY_TREE_H
#define TESTS_ENERGY_TREE_H

#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../../common/energy.h"
#include "tree.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define HOST	  ENERGY_SOCKET_NONE
#define NOBODY	  65534

/* ---- What is said ------------------------------------------------------------------------------ */

static char said[16384];
static int warnings, infos;

static void keep_line(void *user, enum deepmon_log_level level, const char *line)
{
	size_t length = strlen(said);

	(void)user;
	if (level == DEEPMON_DEBUG)
		return;
	warnings += level <= DEEPMON_WARNING;
	infos += level == DEEPMON_INFO || level == DEEPMON_RECOVERED;
	snprintf(said + length, sizeof(said) - length, "%s\n", line);
}

static const struct deepmon_logger logger = {.log = keep_line};

__attribute__((unused)) static void forget_said(void)
{
	said[0] = '\0';
	warnings = infos = 0;
}

#define ck_assert_said(text) ck_assert_msg(strstr(said, text), "\"%s\" was not said, but:\n%s", text, said)

/* ---- A tree and what is read of it ------------------------------------------------------------- */

static struct tree tree;
static struct energy *energy;

static void setup(void)
{
	tree.root[0] = '\0';
	energy = NULL;
	forget_said();
}

static void teardown(void)
{
	energy_close(energy);
	if (tree.root[0])
		tree_close(&tree);
}

__attribute__((unused)) static void load_from(const char *directory, const char *fixture)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s.tree", directory, fixture);

	int error = tree_load(&tree, path);

	ck_assert_msg(!error, "%s: %s (tests run in the top directory)", path, strerror(-error));
}

__attribute__((unused, format(printf, 1, 2))) static void apply(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ck_assert_int_eq(tree_apply(&tree, text), 0);
}

/* By the number of a word of EnergySource. */
static int open_from(uint32_t from, const struct deepmon_logger *to)
{
	char proc[80], dev[80];
	struct energy_settings settings = {.roots = {.sys = tree.root, .proc = proc, .dev = dev},
					   .from = from};

	snprintf(proc, sizeof(proc), "%s/proc", tree.root);
	snprintf(dev, sizeof(dev), "%s/dev", tree.root);
	return energy_open(&energy, &settings, to);
}

static size_t zone_count(void)
{
	size_t count;

	energy_zones(energy, &count);
	return count;
}

/* As EnergySource auto does; there must be zones. */
__attribute__((unused)) static void open_tree(void)
{
	ck_assert_int_eq(open_from(ENERGY_FROM_AUTO, &logger), 0);
	ck_assert_msg(zone_count() > 0, "no zones:\n%s", said);
}

__attribute__((unused)) static const struct energy_zone *find_zone(const char *name)
{
	size_t count;
	const struct energy_zone *zones = energy_zones(energy, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(zones[i].name, name))
			return &zones[i];
	return NULL;
}

__attribute__((unused)) static const struct energy_zone *zone(const char *name)
{
	const struct energy_zone *found = find_zone(name);

	ck_assert_msg(found != NULL, "there is no zone %s", name);
	return found;
}

__attribute__((unused)) static const struct energy_verdict *verdict(const char *source)
{
	const struct energy_verdict *verdicts;
	size_t count = energy_verdicts(energy, &verdicts);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(verdicts[i].source, source))
			return &verdicts[i];
	ck_abort_msg("there is no verdict on %s", source);
	return NULL;
}

/* What a zone of a fixture must be after its first reading. */
struct expected {
	const char *fixture, *name, *source;
	enum energy_domain domain;
	int socket;
	uint64_t range, raw;
};

__attribute__((unused)) static void check_zone(const struct energy_zone *got, const struct expected *want)
{
	ck_assert_str_eq(got->name, want->name);
	ck_assert_str_eq(got->source, want->source);
	ck_assert_str_eq(energy_domain_name(got->domain), energy_domain_name(want->domain));
	ck_assert_msg(got->socket == want->socket, "%s: socket %d", got->name, got->socket);
	ck_assert_msg(got->range_uj == want->range, "%s: range %" PRIu64, got->name, got->range_uj);
	ck_assert_msg(got->raw_uj == want->raw, "%s: raw %" PRIu64, got->name, got->raw_uj);
	ck_assert_msg(got->has_reading && !got->valid && !got->failing, "%s: has a bad reading", got->name);
}

/* The zones are those that the rows for the fixture say, in their order. */
__attribute__((unused)) static void check_zones(const char *fixture, const struct expected *rows,
						size_t row_count)
{
	size_t found, expected = 0;
	const struct energy_zone *zones = energy_zones(energy, &found);

	for (size_t i = 0; i < row_count; i++) {
		if (strcmp(rows[i].fixture, fixture))
			continue;
		ck_assert_msg(expected < found, "%s: no zone %s", fixture, rows[i].name);
		check_zone(&zones[expected++], &rows[i]);
	}
	ck_assert_msg(found == expected, "%s: %zu zones, not %zu; the next is %s", fixture, found, expected,
		      zones[expected].name);
}

/* Runs as a user that no file belongs to; what it returns is the exit status. */
__attribute__((unused)) static int as_nobody(int (*work)(void))
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		if (!geteuid() && (setgid(NOBODY) || setuid(NOBODY)))
			_exit(100);
		_exit(work());
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

__attribute__((unused)) static void restrict_file(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", tree.root, path);
	/* 0400 as the kernel has it; for tests that are not run by root, nobody may read it. */
	ck_assert_int_eq(chmod(full, geteuid() ? 0 : 0400), 0);
}

__attribute__((unused)) static int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
