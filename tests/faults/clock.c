/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Preloaded into a program whose clock a test sets: CLOCK_REALTIME is off by as many nanoseconds as are in
 * the file that CLOCK_OFF_BY names, at each moment. All other clocks, and all other programs, are left alone.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000

static const volatile int64_t *off_by;

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv("CLOCK_OFF_BY");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *told = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*off_by), PROT_READ, MAP_SHARED, fd, 0);

	if (told == MAP_FAILED)
		_exit(126);
	close(fd);
	off_by = told;
}

int __attribute__((visibility("default"))) clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t nsec;

	if (syscall(SYS_clock_gettime, clock, now))
		return -1;
	if (clock != CLOCK_REALTIME || !off_by)
		return 0;
	nsec = now->tv_nsec + *off_by;
	now->tv_sec += nsec / SECOND - (nsec % SECOND < 0);
	now->tv_nsec = nsec % SECOND + (nsec % SECOND < 0 ? SECOND : 0);
	return 0;
}
