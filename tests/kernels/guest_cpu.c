/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What must hold of CPU time, its overlap, performance counters and processes.
 */
#include "guest.h"

#define TOLERANCE_WHOLE	 0.002 /* of all the CPU time there is, */
#define UPTIME_STEP_NS	 2e7   /* which is known by two readings of two decimals */
#define TOLERANCE_SHARED 0.05  /* of overlap, of which the kernel keeps no account */

#define OF_CONTAINER_PERF "deepmon_container_perf,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_PROCESS	  "deepmon_process,container_name=aaaaaaaaaaaa,process="

void check_between(const char *what, double got, double least, double most)
{
	note(got >= least && got <= most, "%s: %.3f ms, expected %.3f to %.3f", what, got / 1e6, least / 1e6,
	     most / 1e6);
}

void check_near(const char *what, double got, double expected, double allowed)
{
	check_between(what, got, expected - allowed, expected + allowed);
}

/* What a group lacks is in the kernel's part, where interrupts are charged there. */
void check_group(const struct report reports[2], int group, double used, double allowed, unsigned with)
{
	double kernels = with & INTERRUPTS ? grown(reports, OF_KERNEL, "cpu_time_ns") : 0;

	allowed += used * TOLERANCE;
	check_between(groups[group].path, grown(reports, groups[group].series, "cpu_time_ns"),
		      used - kernels - allowed, used + allowed);
}

void check_whole(const struct report reports[2], double away, double allowed)
{
	double parts = sum_of_fields(&reports[1], "deepmon_total,", "cpu_time_ns") -
		       sum_of_fields(&reports[0], "deepmon_total,", "cpu_time_ns");
	double least = CPUS * (reports[1].begun_ns - reports[0].done_ns) - away;
	double most = CPUS * (reports[1].done_ns - reports[0].begun_ns) - away;
	double middle = (least + most) / 2;

	check_near("the sum of all parts, against uptime", parts, middle,
		   (most - least) / 2 + CPUS * UPTIME_STEP_NS + middle * TOLERANCE_WHOLE + allowed);
}

static void check_overlap(const struct report reports[2], double shared)
{
	check_near("overlap of both", grown(reports, OF_CONTAINER, "smt_overlap_ns"), shared,
		   shared * TOLERANCE_SHARED + TOLERANCE_NS);
}

void check_counters(const struct report reports[2])
{
	double time = grown(reports, OF_CONTAINER, "cpu_time_ns");
	double faults = grown(reports, OF_CONTAINER_PERF, "instructions");

	check_near("cpu-clock", grown(reports, OF_CONTAINER_PERF, "cycles"), time,
		   time * TOLERANCE + TOLERANCE_NS);
	note(faults >= PAGES_TOUCHED && faults < PAGES_TOUCHED + 200, "page-faults: %.0f, of pages: %d",
	     faults, PAGES_TOUCHED);
}

/* Since deepmon began: a process that did not run is not told of, and goes on from where it was. */
static void check_processes(const struct report *report)
{
	double all = field(report, OF_CONTAINER, "cpu_time_ns");
	double parts = sum_of_fields(report, OF_PROCESS, "cpu_time_ns");

	check_near("process housed", field(report, OF_PROCESS "housed", "cpu_time_ns"), all, TOLERANCE_NS);
	note(parts == all, "processes of the container: %.0f ns, of %.0f", parts, all);
}

void check_all(const struct report reports[2], const double used[GROUPS], unsigned with)
{
	double moved = used[MOVED_FROM] + used[MOVED_TO], allowed = moved * TOLERANCE + TOLERANCE_NS;

	for (int group = 0; group < GROUPS; group++) {
		bool was_moved = group == MOVED_FROM || group == MOVED_TO;

		/* From one hierarchy's move to the next it takes the kernel some ms. */
		if (!was_moved || !(with & OTHER_HIERARCHY))
			check_group(reports, group, used[group], was_moved ? TOLERANCE_TICK : TOLERANCE_NS,
				    with);
	}
	/* Of which cgroup the tick around a move is, the kernel knows less well than of which task. */
	check_between("moved, both together",
		      grown(reports, groups[MOVED_FROM].series, "cpu_time_ns") +
			  grown(reports, groups[MOVED_TO].series, "cpu_time_ns"),
		      moved - (with & INTERRUPTS ? grown(reports, OF_KERNEL, "cpu_time_ns") : 0) - allowed,
		      moved + allowed);
	check_whole(reports, 0, 0);
	if (with & OVERLAP)
		check_overlap(reports, used[STEADY]);
	if (with & COUNTERS)
		check_counters(reports);
	if (with & PROCESSES)
		check_processes(&reports[1]);
	if (with & INTERRUPTS)
		note(grown(reports, OF_KERNEL, "cpu_time_ns") > 0, "kernel with its interrupts: %.3f ms",
		     grown(reports, OF_KERNEL, "cpu_time_ns") / 1e6);
}

/*
 * By cgroups' files: the kernel's own figures of them, but for what a cgroup did last before it ended, and
 * what they do not tell.
 */
void check_by_files(const struct report reports[2], const double used[GROUPS])
{
	for (int group = 0; group < BRIEF; group++)
		check_group(reports, group, used[group], TOLERANCE_NS, 0);
	check_whole(reports, 0, CPUS * TOLERANCE_TICK);
	note(field(&reports[1], OF_KERNEL, "cpu_time_ns") < 0, "no kernel threads are told");
}
