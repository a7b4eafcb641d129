/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Small file trees for tests, written as text. Makes a directory of its own in memory (/dev/shm) or /tmp,
 * and never writes outside it, whatever the text says. One statement a line:
 *
 *   # comment
 *   path = contents         a file with that line; the directories above it are made
 *   path =                  an empty file
 *   path += contents        that line behind what the file has
 *   path @0x611 = 0x1234    a register: eight bytes at that offset, in a file that has others elsewhere or
 * nothing path -> target          a symbolic link, relative and not above the tree's root path/ a directory
 *   [path]                  paths in the lines after this one are below that one; []: from the root again
 *
 * Functions return 0 or a negative errno. A later statement replaces what an earlier one made.
 */
#ifndef TESTS_TREE_H
#define TESTS_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef TREE_REGISTER_STEP
#define TREE_REGISTER_STEP 8 /* so that neighbours do not overlap */
#endif

struct tree {
	char root[64];
};

__attribute__((unused)) static int tree_open(struct tree *tree)
{
	snprintf(tree->root, sizeof(tree->root), "%s/deepmon-tree-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(tree->root))
		return -errno;
	/* Others may look: tests of permissions do so as another user. */
	return chmod(tree->root, 0755) ? -errno : 0;
}

__attribute__((unused)) static int tree_remove_one(const char *path, const struct stat *status, int type,
						   struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

/* Removes a path of the tree with all below it; "" is everything, the tree itself too. */
__attribute__((unused)) static int tree_remove(const struct tree *tree, const char *path)
{
	char full[PATH_MAX];

	if (snprintf(full, sizeof(full), "%s%s%s", tree->root, *path ? "/" : "", path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	return nftw(full, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS) ? -errno : 0;
}

__attribute__((unused)) static void tree_close(const struct tree *tree)
{
	tree_remove(tree, "");
}

/*
 * Opens the directory that `path` is in, making it, without following links; *last becomes the path's last
 * part, or "" if it ends with a slash. Returns a descriptor to close.
 */
__attribute__((unused)) static int tree_descend(const struct tree *tree, const char *path, const char **last)
{
	int fd = open(tree->root, O_DIRECTORY | O_PATH | O_CLOEXEC), next;
	char part[NAME_MAX + 1];
	const char *slash;

	for (; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1, fd = next) {
		size_t length = (size_t)(slash - path);

		if (!length || length > NAME_MAX || !strncmp(path, "..", length)) {
			close(fd);
			return -EINVAL; /* also "." */
		}
		memcpy(part, path, length);
		part[length] = '\0';
		next = openat(fd, part, O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC);
		if (next < 0 && errno == ENOENT && !mkdirat(fd, part, 0755))
			next = openat(fd, part, O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC);
		if (next < 0)
			next = -errno;
		close(fd);
	}
	if (fd >= 0 && (!strcmp(path, "..") || !strcmp(path, ".") || strlen(path) > NAME_MAX)) {
		close(fd);
		return -EINVAL;
	}
	*last = path;
	return fd;
}

__attribute__((unused)) static int tree_make_directory(const struct tree *tree, const char *path)
{
	const char *last;
	int fd = tree_descend(tree, path, &last), result = 0;

	if (fd < 0)
		return fd;
	if (*last && mkdirat(fd, last, 0755) && errno != EEXIST)
		result = -errno;
	close(fd);
	return result;
}

/* Writes contents as they are, by way of a new file that then takes the old one's place. */
__attribute__((unused)) static int tree_write(const struct tree *tree, const char *path, const char *contents)
{
	static const char temporary[] = ".new";
	size_t length = strlen(contents);
	const char *last;
	int directory = tree_descend(tree, path, &last), result = 0;

	if (directory < 0)
		return directory;

	int fd = *last ? openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;

	if (fd < 0) {
		result = *last ? -errno : -EISDIR;
		close(directory);
		return result;
	}
	if (write(fd, contents, length) != (ssize_t)length)
		result = -EIO;
	close(fd);
	if (!result && renameat(directory, temporary, directory, last))
		result = -errno;
	if (result)
		unlinkat(directory, temporary, 0);
	close(directory);
	return result;
}

/* A target that stays below the root, as far as its text tells. */
__attribute__((unused)) static bool tree_target_is_inside(const char *path, const char *target)
{
	int depth = 0;

	for (const char *c = path; *c; c++)
		depth += *c == '/';
	if (*target == '/' || !*target)
		return false;
	while (*target) {
		size_t length = strcspn(target, "/");

		if (length == 2 && !strncmp(target, "..", 2))
			depth--;
		else if (length)
			depth++;
		if (depth < 0)
			return false;
		target += length + (target[length] == '/');
	}
	return true;
}

__attribute__((unused)) static int tree_link(const struct tree *tree, const char *path, const char *target)
{
	const char *last;
	int fd, result = 0;

	if (!tree_target_is_inside(path, target))
		return -EINVAL;
	fd = tree_descend(tree, path, &last);
	if (fd < 0)
		return fd;
	unlinkat(fd, last, 0);
	if (symlinkat(target, fd, last))
		result = -errno;
	close(fd);
	return result;
}

/* The contents of "path = contents", with the end of the line; *equals is the " =". */
__attribute__((unused)) static int tree_write_line(const struct tree *tree, const char *path, char *equals)
{
	char *contents = equals + 2;
	size_t length = strlen(contents);

	if (length < 2)
		return tree_write(tree, path, "");
	/* The space before the text makes room for the end of the line after it. */
	memmove(contents, contents + 1, length - 1);
	contents[length - 1] = '\n';
	return tree_write(tree, path, contents);
}

/* Writes into a file as it is, or a new one: at an offset, or at its end if that is -1. */
__attribute__((unused)) static int tree_write_at(const struct tree *tree, const char *path, off_t offset,
						 const void *contents, size_t length)
{
	const char *last;
	int directory = tree_descend(tree, path, &last), result = 0;

	if (directory < 0)
		return directory;

	int fd = openat(directory, last, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

	if (fd < 0) {
		result = -errno;
	} else {
		if (offset < 0)
			offset = lseek(fd, 0, SEEK_END);
		if (pwrite(fd, contents, length, offset) != (ssize_t)length)
			result = -EIO;
		close(fd);
	}
	close(directory);
	return result;
}

/* "path += contents"; *plus is the " +=". */
__attribute__((unused)) static int tree_append_line(const struct tree *tree, const char *path, char *plus)
{
	char *contents = plus + 3;
	size_t length = strlen(contents);

	if (!length)
		return tree_write_at(tree, path, -1, "\n", 1);
	memmove(contents, contents + 1, length - 1);
	contents[length - 1] = '\n';
	return tree_write_at(tree, path, -1, contents, length);
}

/* "path @offset = value"; *at is the " @", its end the value's " =". */
__attribute__((unused)) static int tree_write_register(const struct tree *tree, const char *path,
						       const char *at, const char *equals)
{
	unsigned long long number = strtoull(at + 2, NULL, 0), value = strtoull(equals + 2, NULL, 0);

	/* Registers' numbers have 32 bits. */
	if (number > UINT32_MAX)
		return -EINVAL;
	return tree_write_at(tree, path, (off_t)number * TREE_REGISTER_STEP, &value, sizeof(value));
}

/* Does one statement below the directory of the last "[...]"; the line is changed. */
__attribute__((unused)) static int tree_statement(const struct tree *tree, const char *below, char *line)
{
	char *arrow = strstr(line, " -> "), *equals = strstr(line, " ="), *plus = strstr(line, " +=");
	char *at = strstr(line, " @0x");
	char path[PATH_MAX];

	if (equals && equals[2] && equals[2] != ' ')
		equals = NULL;
	if (plus && (!equals || plus < equals))
		*plus = '\0';
	else if (arrow && (!equals || arrow < equals))
		*arrow = '\0';
	else if (equals)
		*equals = '\0';
	if (at && equals && at < equals)
		*at = '\0';
	if (snprintf(path, sizeof(path), "%s%s%s", below, *below ? "/" : "", line) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (plus && !*plus)
		return tree_append_line(tree, path, plus);
	if (arrow && !*arrow)
		return tree_link(tree, path, arrow + 4);
	if (at && equals && !*at)
		return tree_write_register(tree, path, at, equals);
	if (equals)
		return tree_write_line(tree, path, equals);
	return path[strlen(path) - 1] == '/' ? tree_make_directory(tree, path) : -EINVAL;
}

/* Does all statements; goes on after a failing one and returns the first failure. The text is changed. */
__attribute__((unused)) static int tree_apply(const struct tree *tree, char *text)
{
	const char *below = "";
	int result = 0;

	while (text) {
		char *line = strsep(&text, "\n");
		size_t length = strlen(line);
		int error;

		if (!length || *line == '#')
			continue;
		if (*line == '[' && line[length - 1] == ']') {
			line[length - 1] = '\0';
			below = line + 1;
			continue;
		}
		error = tree_statement(tree, below, line);
		if (error && !result)
			result = error;
	}
	return result;
}

/* Opens a tree made from a description file. */
__attribute__((unused)) static int tree_load(struct tree *tree, const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "re");
	size_t length;
	int result;

	if (!file)
		return -errno;
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	if (length == sizeof(text) - 1)
		return -EFBIG;
	result = tree_open(tree);
	return result ? result : tree_apply(tree, text);
}

#endif
