/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Preloaded into a process, stands for a careless neighbour in it, such as another of collectd's plugins: for
 * each line that comes from the FIFO named by $CLOSER, closes all descriptors in whose /proc/self/fdinfo
 * the line stands, and says how many on the FIFO named by $CLOSED.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool says(int fd, const char *what)
{
	char path[64], text[4096];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (file) {
		length = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[length] = '\0';
	return strstr(text, what);
}

static unsigned close_all(const char *what)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned closed = 0;

	while (directory && (entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(directory) && says(fd, what))
			closed += close(fd) == 0;
	}
	if (directory)
		closedir(directory);
	return closed;
}

static void *listen_on(void *path)
{
	FILE *orders = fopen(path, "r"), *answers = fopen(getenv("CLOSED"), "w");
	char line[64];

	while (orders && answers && fgets(line, sizeof(line), orders)) {
		line[strcspn(line, "\n")] = '\0';
		fprintf(answers, "%u\n", close_all(line));
		fflush(answers);
	}
	return NULL;
}

__attribute__((constructor)) static void begin(void)
{
	pthread_t thread;
	sigset_t all, before;

	if (!getenv("CLOSER") || !getenv("CLOSED"))
		return;
	/* Signals are the others'. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (!pthread_create(&thread, NULL, listen_on, getenv("CLOSER")))
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
