/* SPDX-License-Identifier: GPL-3.0-only
 *
 * One process on one CPU that makes the same system call again and again. Each line on stdin asks for one of
 * them, and for how many milliseconds; one line on stdout says what came of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	    4096
#define BLOCKS	    256
#define BATCH	    100 /* calls timed together: shorter than the time that others get the CPU for */
#define BATCHES_MAX 262144
#define GAME_MS_MAX 60000

static double batch_ns[BATCHES_MAX];
static char block[BLOCK];
static int file;

static void fail(const char *what)
{
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now))
		fail("clock_gettime");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void stay_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned int)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("sched_setaffinity");
}

/* Small enough to stay in the page cache, and gone from its directory at once. */
static void make_file(const char *path)
{
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0 || unlink(path))
		fail(path);
	for (int i = 0; i < BLOCKS; i++)
		if (write(file, block, BLOCK) != BLOCK)
			fail("write");
}

static void read_batch(void)
{
	for (int i = 0; i < BATCH; i++)
		if (pread(file, block, BLOCK, (off_t)(i % BLOCKS) * BLOCK) != BLOCK)
			fail("pread");
}

static void ask_batch(void)
{
	for (int i = 0; i < BATCH; i++)
		syscall(SYS_getppid);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of the batches: one in which somebody else got the CPU does not count. */
static void play(void (*batch)(void), uint64_t milliseconds)
{
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t first = clock_ns(CLOCK_MONOTONIC), begin = first, end = begin + milliseconds * 1000000u;
	size_t batches = 0;

	while (begin < end && batches < BATCHES_MAX) {
		batch();

		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		batch_ns[batches++] = (double)(now - begin) / BATCH;
		begin = now;
	}
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	qsort(batch_ns, batches, sizeof(*batch_ns), compare);
	printf("%zu %.2f %.1f\n", batches * BATCH, batch_ns[batches / 2],
	       100.0 * (double)cpu_ns / (double)(begin - first));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[64], what[16];
	unsigned long milliseconds;

	if (argc != 3) {
		fprintf(stderr, "Usage: calls CPU FILE\n"
				"FILE is made, and removed at once. Each line on stdin is read4k or getppid "
				"and a number\n"
				"of milliseconds to play; the answer is: calls, ns per call, percent of the "
				"time that we\n"
				"had the CPU.\n");
		return 2;
	}
	stay_on(atoi(argv[1]));
	make_file(argv[2]);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %lu", what, &milliseconds) != 2 || milliseconds < 1 ||
		    milliseconds > GAME_MS_MAX) {
			fprintf(stderr, "calls: cannot play %s", line);
			return 2;
		}
		play(strcmp(what, "read4k") ? ask_batch : read_batch, milliseconds);
	}
	return 0;
}
