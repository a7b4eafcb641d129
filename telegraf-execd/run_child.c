/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A command as a child.
 */
#include "run_child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

static void fill(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(signals, passed_on[i]);
}

void run_block_signals(sigset_t *before)
{
	sigset_t signals;

	fill(&signals);
	sigprocmask(SIG_BLOCK, &signals, before);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Noreturn static void become(char *const *command, const struct run_cgroup *cgroup, const sigset_t *before)
{
	int r = run_cgroup_join(cgroup);

	if (r) {
		fprintf(stderr, "E! deepmon: run: its cgroup %s can't be joined: %s\n", cgroup->name,
			strerror(-r));
		_exit(RUN_NOT_STARTED);
	}
	sigprocmask(SIG_SETMASK, before, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(command[0], command);
	r = errno;
	fprintf(stderr, "E! deepmon: run: %s: %s\n", command[0], strerror(r));
	_exit(r == ENOENT ? 127 : RUN_NOT_RUN);
}

/* What the terminal sends goes to the child as well; what somebody sends us alone is passed on. */
static void pass_on(pid_t child, const siginfo_t *info, struct run_outcome *outcome)
{
	if (info->si_signo == SIGINT || info->si_signo == SIGTERM || info->si_signo == SIGHUP ||
	    info->si_signo == SIGQUIT)
		outcome->interrupted = true;
	if (info->si_code != SI_KERNEL)
		kill(child, info->si_signo);
}

static void wait_for(pid_t child, struct run_outcome *outcome)
{
	sigset_t signals;
	siginfo_t info;
	int status = 0;
	pid_t ended = 0;

	fill(&signals);
	while (!ended) {
		if (sigwaitinfo(&signals, &info) < 0)
			continue;
		if (info.si_signo == SIGCHLD)
			ended = wait4(child, &status, WNOHANG, &outcome->usage);
		else
			pass_on(child, &info, outcome);
	}
	outcome->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int run_child(char *const *command, const struct run_cgroup *cgroup, const sigset_t *before,
	      struct run_outcome *outcome)
{
	uint64_t began = now_ns();
	pid_t child;

	*outcome = (struct run_outcome){0};
	fflush(NULL);
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		become(command, cgroup, before);
	wait_for(child, outcome);
	outcome->elapsed_ns = now_ns() - began;
	return 0;
}
