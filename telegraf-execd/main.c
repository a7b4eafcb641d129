/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd: writes samples as line protocol to a Telegraf that runs it as inputs.execd. It ends when
 * its agent closes standard input.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../common/deepmon.h"
#include "line_protocol.h"
#include "replay.h"
#include "run.h"
#include "settings.h"

static void write_log(void *user, enum deepmon_log_level level, const char *line)
{
	static const char prefixes[] = {'E', 'W', 'I', 'D'};
	const struct settings *settings = user;

	if (level == DEEPMON_DEBUG && !settings->debug)
		return;
	/* Telegraf reads the level from this prefix. */
	fprintf(stderr, "%c! deepmon: %s\n", prefixes[level], line);
}

/* -EPIPE and the like: nobody reads any more. */
static int report(struct deepmon *collector)
{
	const struct deepmon_sample *sample;

	if (deepmon_read(collector, &sample))
		return 0; /* a gap, and the next one covers it */
	line_protocol_write(stdout, sample);
	return fflush(stdout) == EOF ? -errno : 0;
}

/* Reads what came on standard input; how many newlines, or -1 at its end. */
static int count_newlines(void)
{
	char bytes[256];
	ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));
	int newlines = 0;

	if (length < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (length <= 0)
		return -1;
	for (ssize_t i = 0; i < length; i++)
		newlines += bytes[i] == '\n';
	return newlines;
}

/* Which signals ask for a sample, and which for the end. -errno. */
static int open_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return -errno;
	signal(SIGPIPE, SIG_IGN);

	int fd = signalfd(-1, &signals, SFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_timer(double seconds)
{
	struct timespec step = {.tv_sec = (time_t)seconds,
				.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	struct itimerspec timer = {step, step};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL))
		return -errno;
	return fd;
}

/* Samples to write for what a ready descriptor says; -1: the end. */
static int samples_asked(int signal_fd, int timer_fd, const struct pollfd *ready)
{
	struct signalfd_siginfo info;
	uint64_t expirations;

	if (ready->fd == STDIN_FILENO)
		return count_newlines();
	if (ready->fd == timer_fd)
		return read(timer_fd, &expirations, sizeof(expirations)) > 0 ? 1 : 0;
	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ? -1 : 1;
}

static int serve(struct deepmon *collector, const struct settings *settings, int signal_fd)
{
	int timer_fd = settings->signal == SIGNAL_NONE ? open_timer(settings->interval) : -1;
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = signal_fd, .events = POLLIN},
			       {.fd = timer_fd, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < 3; i++) {
			int asked = fds[i].revents ? samples_asked(signal_fd, timer_fd, &fds[i]) : 0;

			if (asked < 0)
				return 0;
			if (fds[i].fd == STDIN_FILENO && settings->signal == SIGNAL_NONE)
				asked = 0;
			while (asked-- > 0)
				if (report(collector))
					return 0;
		}
	}
}

static int once(struct deepmon *collector)
{
	struct timespec second = {.tv_sec = 1};

	nanosleep(&second, NULL);
	return report(collector);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct deepmon_logger logger = {write_log, &settings};
	struct deepmon *collector = NULL;
	int status;

	if (argc > 1 && !strcmp(argv[1], "run"))
		return run(argc - 1, argv + 1);
	status = settings_read(&settings, argc, argv);

	if (status != SETTINGS_GO_ON)
		return status;

	if (settings.replay)
		return replay(&settings, &logger);

	int signal_fd = settings.once ? -1 : open_signals();

	if (deepmon_open(&collector, &settings.options, &logger))
		return EXIT_FAILURE;

	int r = settings.once ? once(collector) : serve(collector, &settings, signal_fd);

	deepmon_close(collector);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
