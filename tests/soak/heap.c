/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Preloaded into deepmon-execd by the soak: writes five times a second, into the file that SOAK_HEAP names,
 * how many bytes are allocated, by the word of whoever allocates them. SOAK_LEAK is a number of bytes to lose
 * each time, for the test that the soak notices.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* AddressSanitizer's, where the program has it. */
size_t __attribute__((weak)) __sanitizer_get_current_allocated_bytes(void);

static size_t leak_size;

static uint64_t allocated(void)
{
	struct mallinfo2 info;

	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static void *run(void *argument)
{
	const struct timespec rest = {.tv_nsec = 200000000};
	static void *volatile lost;
	volatile uint64_t *told = argument;

	for (;;) {
		*told = allocated();
		nanosleep(&rest, NULL);
		if (!leak_size)
			continue;
		lost = malloc(leak_size);
		if (lost)
			memset(lost, 1, leak_size);
	}
	return NULL;
}

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv("SOAK_HEAP"), *leak = getenv("SOAK_LEAK");
	sigset_t all, before;
	pthread_t thread;
	void *told;
	int fd;

	if (!path)
		return;
	leak_size = leak ? strtoul(leak, NULL, 10) : 0;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)))
		_exit(126);
	told = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (told == MAP_FAILED)
		_exit(126);
	/* Signals are the program's own. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, run, told))
		_exit(126);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
