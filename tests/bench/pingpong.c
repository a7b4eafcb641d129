/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Two processes on one CPU that pass a byte back and forth through pipes: two context switches a round.
 * Each line on stdin asks for a game of that many milliseconds; one line on stdout says what came of it.
 * The same two processes play every game, so that games under A and under B differ in A and B alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH	    50 /* rounds timed together: shorter than the time that others get the CPU for */
#define BATCHES_MAX 262144
#define GAME_MS_MAX 60000

static double batch_ns[BATCHES_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now))
		fail("clock_gettime");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t switches_away(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		fail("getrusage");
	return (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}

/* Moves this process into a cgroup; "-": it stays where it is. */
static void join(const char *directory)
{
	char path[4096];
	int fd;

	if (strcmp(directory, "-") == 0)
		return;
	if (snprintf(path, sizeof(path), "%s/cgroup.procs", directory) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		fail(directory);
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static void stay_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned int)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("sched_setaffinity");
}

static void echo(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1)
		if (write(to, &byte, 1) != 1)
			break;
}

static void play_batch(int from, int to)
{
	char byte = 'x';

	for (int round = 0; round < BATCH; round++)
		if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1) {
			fprintf(stderr, "pingpong: the other side is gone\n");
			exit(EXIT_FAILURE);
		}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of the batches: one in which somebody else got the CPU does not count. */
static void play(int from, int to, clockid_t other_cpu_time, uint64_t milliseconds)
{
	uint64_t switches = switches_away();
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + clock_ns(other_cpu_time);
	uint64_t first = clock_ns(CLOCK_MONOTONIC), begin = first, end = begin + milliseconds * 1000000u;
	size_t batches = 0;

	while (begin < end && batches < BATCHES_MAX) {
		play_batch(from, to);

		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		batch_ns[batches++] = (double)(now - begin) / BATCH;
		begin = now;
	}
	switches = switches_away() - switches;
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + clock_ns(other_cpu_time) - cpu_ns;
	qsort(batch_ns, batches, sizeof(*batch_ns), compare);
	printf("%zu %llu %.1f %.1f\n", batches * BATCH, 2ull * switches, batch_ns[batches / 2],
	       100.0 * (double)cpu_ns / (double)(begin - first));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int there[2], back[2];
	char line[64];
	clockid_t child_cpu_time;
	pid_t child;

	if (argc != 4) {
		fprintf(stderr,
			"Usage: pingpong CPU CGROUP CGROUP\n"
			"The cgroups are directories that hold cgroup.procs, or -. Each line on stdin is a\n"
			"number of milliseconds to play; the answer is: rounds, switches, ns per round,\n"
			"percent of the time that the two had the CPU.\n");
		return 2;
	}
	stay_on(atoi(argv[1]));
	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
		fail("pipe");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(there[1]);
		close(back[0]);
		join(argv[3]);
		echo(there[0], back[1]);
		_exit(0);
	}
	if (clock_getcpuclockid(child, &child_cpu_time))
		fail("clock_getcpuclockid");
	close(there[0]);
	close(back[1]);
	join(argv[2]);
	play_batch(back[0], there[1]); /* the other side has joined its cgroup */
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long milliseconds = strtoul(line, NULL, 10);

		if (milliseconds < 1 || milliseconds > GAME_MS_MAX) {
			fprintf(stderr, "pingpong: 1 to %d ms can be played, not %s", GAME_MS_MAX, line);
			return 2;
		}
		play(back[0], there[1], child_cpu_time, milliseconds);
	}
	close(there[1]);
	waitpid(child, NULL, 0);
	return 0;
}
