/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Who the cgroups are that runtimes make: each row of tests/fixtures/identity/layouts.txt as directories of a
 * host whose runtimes' files are those of host.tree, under v1, v2, and v2 beside v1.
 */
#include "../../common/cgroups.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

#define FIXTURES "tests/fixtures/identity/"
#define DIGITS	 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct tree tree;
static struct hierarchy hierarchy;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;

/* ---- The table ---------------------------------------------------------------------------------- */

enum column { KIND, RUNTIME, NAME, CGROUP, IMAGE, LABELS, COLUMNS };

static struct row {
	int line;
	char cell[COLUMNS][1024];
} rows[256];
static int row_count;

/* "<d1>" becomes 64 digits that begin so; <pod> and <pod_> a UID. */
static void expand(const char *text, char *cell, size_t size)
{
	size_t length = 0;

	while (*text && length < size - 80) {
		if (!strncmp(text, "<pod>", 5) || !strncmp(text, "<pod_>", 6)) {
			length += (size_t)sprintf(cell + length, "%s",
						  text[4] == '>' ? "0a1b2c3d-1111-2222-3333-444455556666"
								 : "0a1b2c3d_1111_2222_3333_444455556666");
			text = strchr(text, '>') + 1;
		} else if (*text == '<') {
			length += (size_t)sprintf(cell + length, "%.2s%.62s", text + 1, DIGITS);
			text += 4;
		} else {
			cell[length++] = *text++;
		}
	}
	cell[length] = '\0';
}

static void read_row(struct row *row, char *line)
{
	for (int column = 0; column < COLUMNS && line; column++) {
		char *bar = strstr(line, " | "), *next = bar ? bar + 3 : NULL;
		char *end = bar ? bar : line + strlen(line);

		while (end > line && strchr(" \n", end[-1]))
			end--;
		*end = '\0';
		expand(line + strspn(line, " "), row->cell[column], sizeof(row->cell[column]));
		line = next;
	}
	if (!strcmp(row->cell[RUNTIME], "-"))
		row->cell[RUNTIME][0] = '\0';
}

static void read_table(void)
{
	FILE *file = fopen(FIXTURES "layouts.txt", "re");
	char line[1024];

	for (int number = 1; file && fgets(line, sizeof(line), file); number++) {
		if (*line == '#' || *line == '\n' || row_count == sizeof(rows) / sizeof(rows[0]))
			continue;
		rows[row_count].line = number;
		read_row(&rows[row_count++], line);
	}
	if (file)
		fclose(file);
}

/* ---- The host ----------------------------------------------------------------------------------- */

static const char *const mounts[] = {"sys/fs/cgroup/cpuacct", "sys/fs/cgroup", "sys/fs/cgroup/unified"};

static void set_up(void)
{
	struct deepmon_options options;
	char why[256];

	ck_assert_int_eq(tree_load(&tree, FIXTURES "host.tree"), 0);
	deepmon_options_init(&options);
	strcpy(options.host_root, tree.root);
	ck_assert_int_eq(deepmon_options_set(&options, "ContainerLabel", "team", why, sizeof(why)), 0);
	ck_assert_int_eq(names_init(&names, &options), 0);
	groups_init(&groups, 1, 16);
}

static void tear_down(void)
{
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	names_clear(&names);
	close(hierarchy.root_fd);
	tree_close(&tree);
}

static void mount(const char *path)
{
	char root[PATH_MAX];

	snprintf(root, sizeof(root), "%s/%s", tree.root, path);
	ck_assert_int_eq(tree_make_directory(&tree, path), 0);
	hierarchy.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(hierarchy.root_fd, 0);
	cgroups_init(&cgroups, &hierarchy, &names, &groups, 64);
}

static const struct group *group_at(const char *mounted, const char *path)
{
	char full[PATH_MAX];
	struct stat status;

	snprintf(full, sizeof(full), "%s/%s%s", tree.root, mounted, path);
	ck_assert_int_eq(stat(full, &status), 0);

	const struct cgroup *cgroup = cgroups_find(&cgroups, status.st_ino);

	ck_assert_ptr_nonnull(cgroup);
	return cgroup->group;
}

/* What is slow to find is asked for, as the namer does. */
static void ask_for_name(const struct group *group, struct identity *identity)
{
	identity_from_path("", identity);
	identity->kind = group->kind;
	identity->runtime = group->runtime;
	identity->user = group->user;
	strcpy(identity->id, group->id);
	strcpy(identity->name, group->name);
	names_ask(&names, identity);
}

static void write_labels(const struct group *group, char *text, size_t size)
{
	size_t length = 0;

	*text = '\0';
	for (unsigned i = 0; i < group->label_count && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s=%s", i ? " " : "",
					   group->labels[i].key, group->labels[i].value);
}

static void check_row(const struct row *row, const struct group *group)
{
	const char *kind = group->kind == IDENTITY_CONTAINER ? "container" : "system";
	char image[1024], labels[1024];

	snprintf(image, sizeof(image), "%s%s%s", group->image, *group->version ? ":" : "", group->version);
	write_labels(group, labels, sizeof(labels));
	ck_assert_msg(!strcmp(kind, row->cell[KIND]) && !strcmp(group->name, row->cell[NAME]) &&
			  !strcmp(group->runtime ? group->runtime : "", row->cell[RUNTIME]) &&
			  !strcmp(image, row->cell[IMAGE]) && !strcmp(labels, row->cell[LABELS]),
		      "layouts.txt line %d, %s: it is %s | %s | %s | %s | %s", row->line, row->cell[CGROUP],
		      kind, group->runtime ? group->runtime : "", group->name, image, labels);
}

START_TEST(a_row)
{
	const struct row *row = &rows[_i / 3];
	const char *mounted = mounts[_i % 3];
	struct identity identity;
	char path[PATH_MAX];
	const struct group *group;

	snprintf(path, sizeof(path), "%s%s", mounted, row->cell[CGROUP]);
	mount(mounted);
	ck_assert_int_eq(tree_make_directory(&tree, path), 0);
	cgroups_search(&cgroups, 1);
	group = group_at(mounted, row->cell[CGROUP]);
	if (group->kind == IDENTITY_CONTAINER && !group->named) {
		ask_for_name(group, &identity);
		if (identity.named)
			group = groups_name(&groups, (struct group *)group, &identity);
	}
	check_row(row, group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layouts");
	TCase *all = tcase_create("rows");
	SRunner *runner = srunner_create(suite);

	read_table();
	if (row_count < 70) {
		fprintf(stderr, "layouts.txt has but %d rows\n", row_count);
		return EXIT_FAILURE;
	}
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_loop_test(all, a_row, 0, 3 * row_count);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
