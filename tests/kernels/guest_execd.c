/* SPDX-License-Identifier: GPL-3.0-only
 *
 * deepmon-execd with the options of a method, and the reports that it gives.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define REPORT_SECONDS 40

/* No root any more, but with these capabilities. */
static void keep_capabilities_only(bool little_memlock)
{
	static const unsigned kept[] = {CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH};
	/* What Telegraf's unit gives, and what Linux gives by default before 5.16. */
	const rlim_t memlock = little_memlock ? 64 << 10 : 8 << 20;
	/* What a user's eBPF took is still charged to it for a while after its end. */
	const uid_t uid = little_memlock ? 1001 : 1000;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct __user_cap_data_struct *word = &data[CAP_TO_INDEX(kept[i])];

		word->effective = word->permitted = word->inheritable |= CAP_TO_MASK(kept[i]);
	}
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){memlock, memlock}) || prctl(PR_SET_KEEPCAPS, 1) ||
	    setresuid(uid, uid, uid) || syscall(SYS_capset, &header, data))
		_exit(126);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0))
			_exit(126);
}

struct execd start_execd(unsigned with)
{
	const char *arguments[44] = {"/deepmon-execd", "--signal", "STDIN", "--energy-source", "none"};
	const char **next = arguments + 5;
	const bool counters = with & COUNTERS;
	const char *more[][2] = {
	    {"--smt-overlap", with & OVERLAP ? "auto" : "off"},
	    {with & OVERLAP ? "--sys-root" : NULL, FIXTURE},
	    {with & OVERLAP ? "--cgroup-root" : NULL, CGROUPS},
	    {"--cycles-event", counters ? "cpu-clock" : "none"},
	    {"--instructions-event", counters ? "page-faults" : "none"},
	    {"--cache-references-event", counters ? "context-switches" : "none"},
	    {"--cache-misses-event", "none"},
	    {with & PROCESSES ? "--processes" : NULL, "5"},
	    {with & INTERRUPTS ? "--interrupts" : NULL, "kernel"},
	    {with & HOTPLUG ? "--sample-interval" : NULL, "0.2"},
	    {with & FILES ? "--file-io" : NULL, with & FULL ? "full" : "counts"},
	    {with & FULL ? "--container-files" : NULL, "3"},
	    {with & (FILES | MEMORY | BLOCK) ? "--idle-reread" : NULL, "0"},
	    {with & MEMORY ? "--proportional-memory" : NULL, "on"},
	    {with & MEMORY ? "--proportional-memory-interval" : NULL, "0.2"},
	    {with & MEMORY ? "--proportional-memory-budget" : NULL, "20"},
	    {with & (NETWORK | TRANSACTIONS) ? "--network" : NULL, "on"},
	    {with & TRANSACTIONS ? "--http" : NULL, "on"},
	    {with & TRANSACTIONS ? "--http-paths" : NULL, "8"},
	    {with & OTHER_HIERARCHY ? "--cgroup-hierarchy" : NULL, layout->other},
	    {with & NETWORK ? "--peers" : NULL, "10"},
	    {with & FENTRY ? "--network-hooks" : NULL, "fentry"},
	    {with & KPROBES ? "--network-hooks" : NULL, "kprobes"},
	};
	int to[2], from[2];
	struct execd execd;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		if (!more[i][0])
			continue;
		*next++ = more[i][0];
		*next++ = more[i][1];
	}
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		give_up("pipe");
	execd = (struct execd){fork(), to[1], from[0]};
	if (execd.pid < 0)
		give_up("fork");
	if (!execd.pid) {
		int log = open(LOG, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		if (with & CAPABILITIES)
			keep_capabilities_only(with & LITTLE_MEMLOCK);
		execv(arguments[0], (char **)arguments);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	return execd;
}

/* deepmon_self is its last line. */
static bool is_whole(const char *text, size_t length)
{
	const char *last = strstr(text, "\ndeepmon_self ");

	return last && length && text[length - 1] == '\n';
}

bool take_report(const struct execd *execd, struct report *report)
{
	struct pollfd ready = {.fd = execd->from, .events = POLLIN};
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + REPORT_SECONDS * 1000000000ull;
	size_t length = 0;

	report->text[0] = '\0';
	report->begun_ns = uptime_ns();
	if (write(execd->to, "\n", 1) != 1)
		return false;
	while (!is_whole(report->text, length)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now > deadline || poll(&ready, 1, (int)((deadline - now) / 1000000)) <= 0)
			return false;

		ssize_t got = read(execd->from, report->text + length, sizeof(report->text) - 1 - length);

		if (got <= 0)
			return false;
		length += (size_t)got;
		report->text[length] = '\0';
	}
	report->done_ns = uptime_ns();
	return true;
}

bool stop_execd(const struct execd *execd)
{
	int status;

	close(execd->to);
	close(execd->from);
	if (waitpid(execd->pid, &status, 0) != execd->pid)
		give_up("waitpid");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A field of the series of exactly that name; -1: it is not there. */
double field(const struct report *report, const char *series, const char *name)
{
	size_t series_length = strlen(series), name_length = strlen(name);

	for (const char *line = report->text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, series, series_length) != 0 || line[series_length] != ' ')
			continue;
		for (const char *f = line + series_length; *f && *f != '\n'; f++)
			if ((*f == ' ' || *f == ',') && strncmp(f + 1, name, name_length) == 0 &&
			    f[1 + name_length] == '=')
				return strtod(f + 2 + name_length, NULL);
	}
	return -1;
}

double grown(const struct report reports[2], const char *series, const char *name)
{
	double first = field(&reports[0], series, name), last = field(&reports[1], series, name);

	return last - (first > 0 ? first : 0);
}

/* The sum of all the series that begin so. */
double sum_of_fields(const struct report *report, const char *prefix, const char *name)
{
	double sum = 0;
	char series[256];

	for (const char *line = report->text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(series, sizeof(series), "%.*s", (int)strcspn(line, " \n"), line);

		double value = field(report, series, name);

		sum += value > 0 ? value : 0;
	}
	return sum;
}

/* All that deepmon had to say, in one line. run.py knows what it may. */
const char *read_log(unsigned with, bool heard)
{
	static char text[8192], all[3 * sizeof(text)];
	char *rest = NULL;

	read_text(LOG, text, sizeof(text));
	all[0] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		/* Which hooks were chosen is no loss, but of transactions. */
		if (strstr(line, "sends and receives are heard of by") &&
		    !(with & TRANSACTIONS && strstr(line, "transactions are left out"))) {
			if (heard)
				note(true, "%s", line);
			continue;
		}
		if (all[0])
			strcat(all, " / ");
		strcat(all, line);
	}
	return all;
}
