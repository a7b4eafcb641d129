/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Serving an agent. Nothing in the loop waits for the agent but poll: one that reads slowly gets fewer
 * reports, and one that is gone is noticed at once, whatever else there is to wait for.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "line_protocol.h"
#include "modes.h"
#include "output.h"
#include "say.h"

#define LEFT_OUT_SECONDS 60
#define DRAIN_MS	 1000 /* of a batch that the agent is still reading when it asks for the end */

enum { STANDARD_INPUT, STANDARD_OUTPUT, SIGNALS, TIMER, DESCRIPTORS };

struct server {
	struct deepmon *collector;
	const struct settings *settings;
	const struct deepmon_logger *logger;
	struct pollfd fds[DESCRIPTORS];
	struct output output;
	uint64_t reports,
	    left_out;	      /* left out: asked for while the last was not read yet, and not told of yet */
	time_t left_out_said; /* CLOCK_MONOTONIC; 0: never */
	bool mismatch_said;
};

/* What a look at the descriptors comes to. */
struct asked {
	int reports;
	bool end;
};

/*
 * Blocks the signals that an agent sends, which end a process by default: before there are threads, and
 * before anything that takes time. A descriptor to read them from, or -errno.
 */
static int open_signals(void)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int open_timer(double seconds)
{
	struct timespec step = {.tv_sec = (time_t)seconds,
				.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	struct itimerspec timer = {step, step};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &timer, NULL)) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -errno : fd;
}

/* Once: an agent's setting and ours that differ look like an agent that gathers nothing. */
static void say_mismatch(struct server *server, const char *what)
{
	if (!server->mismatch_said)
		say(server->logger, DEEPMON_WARNING,
		    "%s came, which asks for no report here: --signal must be the same word as signal in "
		    "Telegraf's "
		    "configuration",
		    what);
	server->mismatch_said = true;
}

static void say_end(const struct server *server)
{
	if (!server->reports)
		say(server->logger, DEEPMON_INFO,
		    "standard input has ended before a report was due, and so does deepmon: an agent holds "
		    "it open; "
		    "--once reports without one");
}

/* Newlines ask where the mode says so; the end of standard input is the end in each mode. */
static void read_input(struct server *server, struct asked *asked)
{
	char bytes[256];
	ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (length < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (length <= 0) {
		asked->end = true;
		say_end(server);
	}
	if (length > 0 && server->settings->signal != SIGNAL_STDIN)
		say_mismatch(server, "a newline");
	for (ssize_t i = 0; i < length; i++)
		asked->reports += server->settings->signal == SIGNAL_STDIN && bytes[i] == '\n';
}

/* Of those that an agent can be told to send only that of the mode asks; the others do no harm. */
static void read_signals(struct server *server, struct asked *asked)
{
	static const uint32_t asking[] = {
	    [SIGNAL_HUP] = SIGHUP, [SIGNAL_USR1] = SIGUSR1, [SIGNAL_USR2] = SIGUSR2};
	struct signalfd_siginfo info;

	while (read(server->fds[SIGNALS].fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			asked->end = true;
		else if (info.ssi_signo == asking[server->settings->signal])
			asked->reports++;
		else
			say_mismatch(server, info.ssi_signo == SIGHUP	 ? "SIGHUP"
					     : info.ssi_signo == SIGUSR1 ? "SIGUSR1"
									 : "SIGUSR2");
	}
}

static void read_timer(const struct server *server, struct asked *asked)
{
	uint64_t expirations;

	if (read(server->fds[TIMER].fd, &expirations, sizeof(expirations)) > 0)
		asked->reports++;
}

/* The whole batch has been read, so what was left out meanwhile can be told: once a minute, and at the end.
 */
static void say_left_out(struct server *server, bool end)
{
	struct timespec now;

	if (!server->left_out || (output_pending(&server->output) && !end))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (server->left_out_said && now.tv_sec - server->left_out_said < LEFT_OUT_SECONDS && !end)
		return;
	server->left_out_said = now.tv_sec;
	say(server->logger, DEEPMON_WARNING,
	    "%" PRIu64 " reports were left out while the agent did not read or deepmon was held up; the next "
	    "ones cover their time",
	    server->left_out);
	server->left_out = 0;
}

static int report(struct server *server)
{
	const struct deepmon_sample *sample;

	if (output_pending(&server->output)) {
		server->left_out++;
		return 0;
	}
	if (deepmon_read(server->collector, &sample))
		return 0; /* a gap, and the next one covers it */
	server->reports++;
	line_protocol_write(output_begin(&server->output), sample);
	return output_end(&server->output);
}

/* Waits for something to do and does it. 0, 1: it was asked to end. -errno. */
static int turn(struct server *server)
{
	struct pollfd *fds = server->fds;
	struct asked asked = {0};
	int r = 0;

	/* Without any event asked for, an error is still told of: that its reader is gone. */
	fds[STANDARD_OUTPUT].events = output_pending(&server->output) ? POLLOUT : 0;
	if (poll(fds, DESCRIPTORS, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[STANDARD_INPUT].revents)
		read_input(server, &asked);
	if (fds[SIGNALS].revents)
		read_signals(server, &asked);
	if (fds[TIMER].revents)
		read_timer(server, &asked);
	if (asked.end)
		return 1;
	if (fds[STANDARD_OUTPUT].revents & (POLLERR | POLLHUP))
		return -EPIPE;
	if (fds[STANDARD_OUTPUT].revents)
		r = output_write(&server->output);
	say_left_out(server, false);
	if (r || !asked.reports)
		return r;
	/* Those that were asked for together are one: between two of one moment there is nothing to tell. */
	server->left_out += (uint64_t)asked.reports - 1;
	return report(server);
}

static int serve(struct server *server)
{
	int r = output_open(&server->output, STDOUT_FILENO);

	while (!r)
		r = turn(server);
	if (r > 0)
		r = output_drain(&server->output, DRAIN_MS);
	say_left_out(server, true);
	output_close(&server->output);
	return r == -EPIPE || r == -ETIMEDOUT ? 0 : r; /* nobody reads: there is nothing more to do */
}

int mode_serve(const struct settings *settings, const struct deepmon_logger *logger)
{
	struct server server = {.settings = settings, .logger = logger};
	int signal_fd = open_signals(), timer_fd = -1, r;

	if (deepmon_open(&server.collector, &settings->options, logger))
		return EXIT_FAILURE; /* the collector has said why */
	r = signal_fd < 0 ? signal_fd : 0;
	if (!r && settings->signal == SIGNAL_NONE) {
		timer_fd = open_timer(settings->interval);
		r = timer_fd < 0 ? timer_fd : 0;
	}
	server.fds[STANDARD_INPUT] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	server.fds[STANDARD_OUTPUT] = (struct pollfd){.fd = STDOUT_FILENO};
	server.fds[SIGNALS] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	server.fds[TIMER] = (struct pollfd){.fd = timer_fd, .events = POLLIN};
	if (!r)
		r = serve(&server);
	if (r)
		say(logger, DEEPMON_ERROR, "reports can't be written: %s", strerror(-r));
	deepmon_close(server.collector);
	if (timer_fd >= 0)
		close(timer_fd);
	if (signal_fd >= 0)
		close(signal_fd);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
