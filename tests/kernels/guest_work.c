/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Known work on a CPU and on files, for guest.c's cgroups.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define AWAY_NS 1e9

unsigned calls;

static void burn_until(uint64_t cpu_ns)
{
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < cpu_ns)
		;
}

static void touch_pages(void)
{
	volatile char *pages = malloc(PAGES_TOUCHED * 4096);

	for (size_t i = 0; i < PAGES_TOUCHED; i++)
		pages[i * 4096] = 1;
}

static void read_and_write(void)
{
	char text[4096] = "";
	int file = open(WORKED, O_RDWR | O_CREAT, 0644);

	if (file < 0)
		give_up("a worker's file");
	for (unsigned i = 0; i < calls; i++)
		if (pwrite(file, text, sizeof(text), 0) != sizeof(text) ||
		    read(file, text, sizeof(text)) != sizeof(text) || lseek(file, 0, SEEK_SET))
			give_up("a worker's file");
	close(file);
}

static void burn(unsigned milliseconds)
{
	touch_pages();
	burn_until(milliseconds * 1000000ull);
}

static void read_write_and_burn(unsigned milliseconds)
{
	read_and_write();
	burn(milliseconds);
}

/*
 * A process of that name on that CPU, which is put into the cgroup while it sleeps: a v1 hierarchy charges a
 * running task's time at ticks, all of it to where it is by then.
 */
struct worker start_process(int group, const char *name, unsigned cpu, void (*body)(unsigned),
			    unsigned argument)
{
	struct worker worker;
	cpu_set_t cpus;
	int go[2], ready[2];
	char byte;

	if (pipe2(go, O_CLOEXEC) || pipe2(ready, O_CLOEXEC))
		give_up("pipe");
	worker = (struct worker){fork(), go[1]};
	if (worker.pid < 0)
		give_up("fork");
	if (worker.pid) {
		close(go[0]);
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			give_up("a worker is gone");
		close(ready[0]);
		join(group, worker.pid);
		return worker;
	}
	prctl(PR_SET_NAME, name);
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	if (write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 1)
		body(argument);
	_exit(0);
}

static struct worker start_worker(int group, const char *name, unsigned cpu, unsigned milliseconds)
{
	return start_process(group, name, cpu, group == HOUSED ? read_write_and_burn : burn, milliseconds);
}

void let_go(const struct worker *worker)
{
	if (write(worker->go, "x", 1) != 1)
		give_up("a worker is gone");
	close(worker->go);
}

void await(const struct worker *worker)
{
	if (waitpid(worker->pid, NULL, 0) != worker->pid)
		give_up("waitpid");
}

static void work(int group, const char *name, unsigned cpu, unsigned milliseconds)
{
	struct worker worker = start_worker(group, name, cpu, milliseconds);

	let_go(&worker);
	await(&worker);
}

/* Two CPUs busy together for 0.4 s, then one alone; a task moved while it runs; a cgroup's whole life. */
void work_in_all(double used[GROUPS])
{
	static unsigned number;
	struct worker housed = start_worker(HOUSED, "housed", 0, 700);
	struct worker steady = start_worker(STEADY, "steady", 1, 400);

	let_go(&housed);
	let_go(&steady);
	await(&steady);
	await(&housed);

	struct worker moved = start_worker(MOVED_FROM, "moved", 1, 300);

	let_go(&moved);
	rest_for(1.5e8);
	join(MOVED_TO, moved.pid);
	await(&moved);

	snprintf(brief_path, sizeof(brief_path), "brief%u.service", ++number);
	snprintf(brief_series, sizeof(brief_series), "deepmon_system,cgroup=%s", brief_path);
	make_group(BRIEF);
	work(BRIEF, "brief", 0, 50);
	used[BRIEF] = usage_ns(BRIEF);
	remove_group(BRIEF);
}

/* A CPU goes away, and is back and does work. For how long it was away, in ns. */
double work_around_hotplug(void)
{
	static const char *const switch_of_cpu = "/sys/devices/system/cpu/cpu1/online";
	uint64_t gone;
	double away;

	write_text(switch_of_cpu, "0");
	gone = clock_ns(CLOCK_MONOTONIC);
	work(STEADY, "steady", 0, 200);
	rest_for(AWAY_NS - 2e8);
	away = (double)(clock_ns(CLOCK_MONOTONIC) - gone);
	write_text(switch_of_cpu, "1");
	/* Its counters are opened again at the next sample. */
	rest_for(2 * SAMPLE_NS);
	work(HOUSED, "housed", 1, 200);
	return away;
}
