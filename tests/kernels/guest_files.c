/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What must hold of page faults and of file I/O.
 */
#include "guest.h"

#define OF_FILE_IO "deepmon_container_file_io,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_READ	   "deepmon_container_file_latency,container_name=aaaaaaaaaaaa,latency=file_read,runtime=docker"
#define OF_FILE	   "deepmon_container_file,container_name=aaaaaaaaaaaa,file=" WORKED

static void check_call(const char *what, double bytes, double number)
{
	/* A worker reads and writes a byte to be started. */
	note(bytes >= calls * 4096 && bytes <= calls * 4096 + 64, "bytes of calls that %s: %.0f, of %u", what,
	     bytes, calls * 4096);
	note(number >= calls && number <= calls + 4, "calls that %s: %.0f, of %u", what, number, calls);
}

/* A file is told of when something was done to it: its counters go on from where they were then. */
static double file_grown(const struct report *report, const char *name, double *before)
{
	double now = field(report, OF_FILE, name), more = now - *before;

	*before = now;
	return more;
}

static void check_file(const struct report *report)
{
	static double bytes[2], number[2];

	check_call("read in its file", file_grown(report, "read_bytes", &bytes[0]),
		   file_grown(report, "read_calls", &number[0]));
	check_call("wrote to its file", file_grown(report, "written_bytes", &bytes[1]),
		   file_grown(report, "write_calls", &number[1]));
	note(field(report, OF_READ, "latency_p50_seconds") > 0, "the latency of reads is told");
}

void check_files(const struct report reports[2], bool file_io, bool full)
{
	double faults = grown(reports, OF_MEMORY, "minor_faults");

	/* The kernel sums them up now and then. */
	note(faults >= PAGES_TOUCHED - 50 && faults < PAGES_TOUCHED + 400, "page faults: %.0f, of pages: %d",
	     faults, PAGES_TOUCHED);
	if (!file_io)
		return;
	check_call("read", grown(reports, OF_FILE_IO, "read_bytes"),
		   grown(reports, OF_FILE_IO, "read_calls"));
	check_call("wrote", grown(reports, OF_FILE_IO, "written_bytes"),
		   grown(reports, OF_FILE_IO, "write_calls"));
	if (full)
		check_file(&reports[1]);
}
