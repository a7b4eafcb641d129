/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Memory of each kind that processes of a cgroup hold and leave alone, and what the kernel says of it: by the
 * cgroup's own files, of v1 or v2, and by the processes'. For guest_gauges.c.
 */
#ifndef TESTS_HELD_MEMORY_H
#define TESTS_HELD_MEMORY_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HELD_ANONYMOUS (16 << 20)
#define HELD_SHARED    (8 << 20) /* by both of them */
#define HELD_FILE      (4 << 20)
#define HELD_PROCESSES 2

/* deepmon's fields, and where the kernel has the same. A word is one of the file's; NULL: the file is a
 * number. */
static const struct {
	const char *field;
	const char *v1_file, *v1_word;
	const char *v2_file, *v2_word;
} held_figures[] = {
    {"usage_bytes", "memory.usage_in_bytes", NULL, "memory.current", NULL},
    {"anonymous_bytes", "memory.stat", "total_rss", "memory.stat", "anon"},
    {"page_cache_bytes", "memory.stat", "total_cache", "memory.stat", "file"},
    {"shared_bytes", "memory.stat", "total_shmem", "memory.stat", "shmem"},
    {"kernel_bytes", "memory.kmem.usage_in_bytes", NULL, "memory.stat", "kernel"}, /* v2: since 5.18 */
    {"swap_bytes", "memory.stat", "total_swap", "memory.swap.current", NULL},
    {"limit_bytes", "memory.limit_in_bytes", NULL, "memory.max", NULL},
    {"oom_kills", "memory.oom_control", "oom_kill", "memory.events", "oom_kill"},
};
#define HELD_FIGURES (sizeof(held_figures) / sizeof(held_figures[0]))

struct held {
	double figures[HELD_FIGURES]; /* -1: this kernel has no such figure */
	double inactive_file;
	double rss, pss, uss; /* of the processes */
};

/* The number behind a word at the beginning of a line, or that is all of the text; -1: it is not there. */
static double held_number(const char *path, const char *word)
{
	char line[256];
	double number = -1;
	FILE *file = fopen(path, "r");

	while (file && number < 0 && fgets(line, sizeof(line), file)) {
		size_t length = word ? strlen(word) : 0;

		if (!word ||
		    (strncmp(line, word, length) == 0 && (line[length] == ' ' || line[length] == ':')))
			number = strtod(line + length + (word != NULL), NULL);
	}
	if (file)
		fclose(file);
	return number;
}

static double held_of_process(pid_t pid, const char *word)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	return held_number(path, word) * 1024;
}

/* What the kernel says now of the cgroup in that directory, and of those processes. */
static void held_read(struct held *held, const char *directory, bool v2, const pid_t pids[HELD_PROCESSES])
{
	char path[256];

	memset(held, 0, sizeof(*held));
	for (size_t i = 0; i < HELD_FIGURES; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory,
			 v2 ? held_figures[i].v2_file : held_figures[i].v1_file);
		held->figures[i] = held_number(path, v2 ? held_figures[i].v2_word : held_figures[i].v1_word);
	}
	snprintf(path, sizeof(path), "%s/memory.stat", directory);
	held->inactive_file = held_number(path, v2 ? "inactive_file" : "total_inactive_file");
	for (int i = 0; i < HELD_PROCESSES; i++) {
		held->rss += held_of_process(pids[i], "Rss");
		held->pss += held_of_process(pids[i], "Pss");
		held->uss +=
		    held_of_process(pids[i], "Private_Clean") + held_of_process(pids[i], "Private_Dirty");
	}
}

static void held_touch(volatile char *memory, size_t size)
{
	for (size_t i = 0; i < size; i += 4096)
		memory[i] = 1;
}

static void held_hold(char *shared, bool first)
{
	static char text[4096] = "held";
	FILE *file;

	held_touch(shared, HELD_SHARED);
	if (!first)
		return;
	held_touch(malloc(HELD_ANONYMOUS), HELD_ANONYMOUS);
	file = fopen("/held", "w");
	for (int i = 0; i < HELD_FILE / (int)sizeof(text); i++)
		if (!file || fwrite(text, sizeof(text), 1, file) != 1)
			_exit(1);
	fclose(file);
}

/*
 * A process that waits for a byte to `go`, takes its memory, sends one from `ready` and rests for the
 * remainder of its life. -1: it can't be made.
 */
static pid_t held_start(char *shared, bool first, int *go, int *ready)
{
	int to[2], from[2];
	char byte;
	pid_t pid;

	if (pipe(to) || pipe(from))
		return -1;
	pid = fork();
	if (pid == 0) {
		if (read(to[0], &byte, 1) != 1)
			_exit(1);
		held_hold(shared, first);
		if (write(from[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(to[0]);
	close(from[1]);
	*go = to[1];
	*ready = from[0];
	return pid;
}

static char *held_shared(void)
{
	return mmap(NULL, HELD_SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

#endif
