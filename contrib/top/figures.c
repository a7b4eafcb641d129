/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The figures of deepmon-top, its columns and pages. Pure.
 */
#include "model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { VALUE, RATE, SUM, MOST };

static const struct {
	enum deepmon_subject subject;
	unsigned metric; /* its number among its subject's */
	const char *which;
	int how, join;
} figures_of[TOP_FIGURE_COUNT] = {
#define FIGURE(FIGURE, SUBJECT, field, which, HOW, JOIN) \
	[TOP_##FIGURE] = {DEEPMON_SUBJECT_##SUBJECT, DEEPMON_INDEX_##SUBJECT##_##field, which, HOW, JOIN},
    TOP_FIGURES(FIGURE)};

bool top_figure_is_rate(enum top_figure figure)
{
	return figures_of[figure].how == RATE;
}

enum deepmon_subject top_figure_subject(enum top_figure figure)
{
	return figures_of[figure].subject;
}

const struct deepmon_metric *top_figure_metric(enum top_figure figure)
{
	size_t count;

	return deepmon_metrics_of(figures_of[figure].subject, &count) + figures_of[figure].metric;
}

const char *top_figure_which(enum top_figure figure)
{
	return figures_of[figure].which;
}

static const char *label_of(const struct deepmon_record *record, const char *key)
{
	for (unsigned i = 0; i < record->label_count; i++)
		if (!strcmp(record->labels[i].key, key))
			return record->labels[i].value;
	return "";
}

/* As a figure says which of the records of its subject it is in. */
static const char *which_of(const struct deepmon_record *record, char *text, size_t size)
{
	switch (record->subject) {
	case DEEPMON_SUBJECT_ENERGY:
		return label_of(record, "domain");
	case DEEPMON_SUBJECT_FILE_LATENCY:
		return label_of(record, "latency");
	case DEEPMON_SUBJECT_TRANSACTIONS:
		snprintf(text, size, "%s-%s", label_of(record, "protocol"), label_of(record, "role"));
		return text;
	default:
		return "";
	}
}

void top_figures_read(struct top_figures *raw, const struct deepmon_record *record)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	char text[64];
	const char *which = which_of(record, text, sizeof(text));
	double value;

	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		if (figures_of[figure].subject != record->subject ||
		    strcmp(figures_of[figure].which, which) != 0 ||
		    !deepmon_value_double(record, &metrics[figures_of[figure].metric], &value))
			continue;
		raw->values[figure] = raw->has[figure] ? raw->values[figure] + value : value;
		raw->has[figure] = true;
	}
}

void top_figures_make(struct top_figures *figures, const struct top_figures *raw,
		      const struct top_figures *before, double seconds)
{
	*figures = (struct top_figures){0};
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		double value = raw->values[figure];

		if (!raw->has[figure])
			continue;
		if (figures_of[figure].how == RATE) {
			if (!before || seconds <= 0)
				continue;
			/* What it had not been told of began at nothing. */
			value -= before->has[figure] ? before->values[figure] : 0;
			if (value < 0)
				continue; /* it began anew */
			value /= seconds;
		}
		figures->values[figure] = value;
		figures->has[figure] = true;
	}
}

void top_figures_join(struct top_figures *group, const struct top_figures *member)
{
	for (int figure = 0; figure < TOP_FIGURE_COUNT; figure++) {
		double *value = &group->values[figure];

		if (!member->has[figure])
			continue;
		if (!group->has[figure])
			*value = member->values[figure];
		else if (figures_of[figure].join == SUM)
			*value += member->values[figure];
		else
			*value = fmax(*value, member->values[figure]);
		group->has[figure] = true;
	}
}

/* ---- Columns ------------------------------------------------------------------------------------ */

#define IS(figure)	       TOP_##figure, TOP_NONE, 1
#define TIMES(figure, factor)  TOP_##figure, TOP_NONE, factor
#define PER(figure, by, times) TOP_##figure, TOP_##by, times

/* Columns of what goes there and back. */
#define LATENCY(protocol, NAME, key, title, PART, help) \
	{ \
		protocol "_" key "_ms", title, TOP_MILLISECONDS, TIMES(NAME##_##PART, 1e3), help \
	}
#define TRANSACTIONS(protocol, NAME, help) \
	{protocol "_transactions", "TRANS/s", TOP_PER_SECOND, IS(NAME##_TRANSACTIONS), help}, \
	    {protocol "_unanswered", "UNANS/s", TOP_PER_SECOND, IS(NAME##_UNANSWERED), \
	     "Those without an answer a second"}, \
	    {protocol "_request_bytes", "REQ B", TOP_BYTES_RATE, IS(NAME##_REQUESTED), \
	     "Bytes of the requests a second"}, \
	    {protocol "_response_bytes", "RESP B", TOP_BYTES_RATE, IS(NAME##_RESPONDED), \
	     "Bytes of the answers a second"}, \
	    LATENCY(protocol, NAME, "mean", "MEAN ms", MEAN, "Mean latency, in ms"), \
	    LATENCY(protocol, NAME, "p50", "P50", P50, "50 % of the latencies are below, in ms"), \
	    LATENCY(protocol, NAME, "p75", "P75", P75, "The same of 75 %, in ms"), \
	    LATENCY(protocol, NAME, "p90", "P90", P90, "The same of 90 %, in ms"), \
	    LATENCY(protocol, NAME, "p99", "P99", P99, "The same of 99 %, in ms"), \
	    LATENCY(protocol, NAME, "p99_9", "P99.9", P99_9, "The same of 99.9 %, in ms"), \
	    LATENCY(protocol, NAME, "p99_99", "P99.99", P99_99, "The same of 99.99 %, in ms"), \
	    LATENCY(protocol, NAME, "p99_999", "P99.999", P99_999, "The same of 99.999 %, in ms")

const struct top_column top_columns[] = {
    {"cpu_percent", "CPU%", TOP_PERCENT, IS(CPU_PERCENT), "CPU time; 100 is one CPU"},
    {"cpu_seconds", "CPU s", TOP_SECONDS, TIMES(CPU_NS, 1e-9), "CPU time used so far"},
    {"context_switches", "CSW/s", TOP_PER_SECOND, IS(SWITCHES),
     "Times a second that one of its tasks left a CPU to another"},
    {"overlap_percent", "SMT%", TOP_PERCENT, PER(OVERLAP, CPU_RATE, 100),
     "Part of the CPU time beside a busy sibling"},
    {"package_watts", "PKG W", TOP_WATTS, IS(PACKAGE_WATTS), "Power of the processor package"},
    {"core_watts", "CORE W", TOP_WATTS, IS(CORE_WATTS), "Power of the cores"},
    {"uncore_watts", "UNC W", TOP_WATTS, IS(UNCORE_WATTS), "Power of the uncore"},
    {"dram_watts", "DRAM W", TOP_WATTS, IS(DRAM_WATTS), "Power of the memory"},
    {"package_joules", "PKG J", TOP_JOULES, IS(PACKAGE_JOULES), "Energy of the package so far"},
    {"core_joules", "CORE J", TOP_JOULES, IS(CORE_JOULES), "Energy of the cores so far"},
    {"dram_joules", "DRAM J", TOP_JOULES, IS(DRAM_JOULES), "Energy of the memory so far"},
    {"nanojoules_per_instruction", "nJ/INST", TOP_PLAIN, PER(PACKAGE_WATTS, INSTRUCTIONS, 1e9),
     "Energy of the package per instruction"},
    {"joules_per_request", "J/REQ", TOP_PLAIN, PER(PACKAGE_WATTS, HTTP_SERVED, 1),
     "Energy of the package per HTTP request served"},
    {"cycles", "CYC/s", TOP_PER_SECOND, IS(CYCLES), "Cycles a second"},
    {"instructions", "INST/s", TOP_PER_SECOND, IS(INSTRUCTIONS), "Instructions a second"},
    {"ipc", "IPC", TOP_PLAIN, PER(INSTRUCTIONS, CYCLES, 1), "Instructions per cycle"},
    {"cache_miss_percent", "MISS%", TOP_PERCENT, PER(MISSES, REFERENCES, 100), "Cache misses per reference"},
    {"gigahertz", "GHz", TOP_PLAIN, PER(CYCLES, CPU_RATE, 1), "Effective frequency: cycles per CPU time"},
    {"memory_bytes", "MEM", TOP_BYTES, IS(MEMORY), "Memory charged, page cache included"},
    {"working_set_bytes", "WSET", TOP_BYTES, IS(WORKING_SET), "Memory less inactive page cache"},
    {"anonymous_bytes", "ANON", TOP_BYTES, IS(ANONYMOUS), "Anonymous memory"},
    {"page_cache_bytes", "CACHE", TOP_BYTES, IS(PAGE_CACHE), "Page cache"},
    {"kernel_bytes", "KERN", TOP_BYTES, IS(KERNEL_MEMORY), "Kernel memory"},
    {"swap_bytes", "SWAP", TOP_BYTES, IS(SWAP), "Swap used"},
    {"limit_percent", "LIM%", TOP_PERCENT, IS(LIMIT_PERCENT), "Working set per limit"},
    {"minor_faults", "MINFL/s", TOP_PER_SECOND, IS(MINOR_FAULTS), "Minor page faults a second"},
    {"major_faults", "MAJFL/s", TOP_PER_SECOND, IS(MAJOR_FAULTS), "Major page faults a second"},
    {"oom_kills", "OOM", TOP_COUNT, IS(OOM_KILLS), "Processes killed for want of memory"},
    {"pressure_percent", "PSI%", TOP_PERCENT, IS(PRESSURE), "Time that some task waited for memory"},
    {"disk_read", "DISK R", TOP_BYTES_RATE, IS(DISK_READ), "Bytes read from block devices a second"},
    {"disk_written", "DISK W", TOP_BYTES_RATE, IS(DISK_WRITTEN), "Bytes written to them"},
    {"disk_reads", "RD/s", TOP_PER_SECOND, IS(DISK_READS), "Requests to read a second"},
    {"disk_writes", "WR/s", TOP_PER_SECOND, IS(DISK_WRITES), "Requests to write a second"},
    {"file_read", "FILE R", TOP_BYTES_RATE, IS(FILE_READ), "Bytes read by system calls a second"},
    {"file_written", "FILE W", TOP_BYTES_RATE, IS(FILE_WRITTEN), "Bytes written by system calls a second"},
    {"file_reads", "READ/s", TOP_PER_SECOND, IS(FILE_READS), "Calls that read a second"},
    {"file_writes", "WRITE/s", TOP_PER_SECOND, IS(FILE_WRITES), "Calls that wrote a second"},
    {"tcp_sent", "TCP TX", TOP_BYTES_RATE, IS(TCP_SENT), "Bytes sent over TCP a second"},
    {"tcp_received", "TCP RX", TOP_BYTES_RATE, IS(TCP_RECEIVED), "Bytes received over TCP a second"},
    {"tcp_messages_sent", "TX/s", TOP_PER_SECOND, IS(TCP_MESSAGES_SENT), "Calls that sent over TCP a second"},
    {"tcp_messages_received", "RX/s", TOP_PER_SECOND, IS(TCP_MESSAGES_RECEIVED),
     "Calls that received over TCP a second"},
    {"udp_sent", "UDP TX", TOP_BYTES_RATE, IS(UDP_SENT), "Bytes sent over UDP a second"},
    {"udp_received", "UDP RX", TOP_BYTES_RATE, IS(UDP_RECEIVED), "Bytes received over UDP a second"},
    {"tcp_opened", "OPEN/s", TOP_PER_SECOND, IS(TCP_OPENED), "TCP connections asked for a second"},
    {"tcp_accepted", "ACC/s", TOP_PER_SECOND, IS(TCP_ACCEPTED), "TCP connections accepted a second"},
    {"tcp_failed", "FAIL/s", TOP_PER_SECOND, IS(TCP_FAILED), "TCP connections that failed a second"},
    {"tcp_retransmits", "RETR/s", TOP_PER_SECOND, IS(TCP_RETRANSMITS), "TCP segments sent again a second"},
    {"tcp_rtt_ms", "RTT ms", TOP_PLAIN, TIMES(TCP_RTT, 1e3), "TCP's mean round-trip time"},
    {"file_read_p99_ms", "R P99", TOP_MILLISECONDS, TIMES(READ_P99, 1e3),
     "99 % of the reads of files took less (FileIO full)"},
    {"file_write_p99_ms", "W P99", TOP_MILLISECONDS, TIMES(WRITE_P99, 1e3), "The same of writes"},
    {"file_sync_p99_ms", "S P99", TOP_MILLISECONDS, TIMES(SYNC_P99, 1e3), "The same of syncs"},
    TRANSACTIONS("tcp", TCP, "Transactions over TCP a second"),
    TRANSACTIONS("http", HTTP, "HTTP requests answered a second"),
    {"http_2xx", "2xx/s", TOP_PER_SECOND, IS(HTTP_2XX), "Responses of status 200 to 299 a second"},
    {"http_3xx", "3xx/s", TOP_PER_SECOND, IS(HTTP_3XX), "Of 300 to 399"},
    {"http_4xx", "4xx/s", TOP_PER_SECOND, IS(HTTP_4XX), "Of 400 to 499"},
    {"http_5xx", "5xx/s", TOP_PER_SECOND, IS(HTTP_5XX), "Of 500 to 599"},
};
const size_t top_column_count = sizeof(top_columns) / sizeof(top_columns[0]);

const struct top_page top_pages[] = {
    {"overview",
     {"cpu_percent", "package_watts", "dram_watts", "ipc", "working_set_bytes", "disk_read", "disk_written",
      "tcp_sent", "tcp_received"},
     "cpu_percent",
     DEEPMON_CONTAINER,
     NULL},
    {"power",
     {"cpu_percent", "package_watts", "core_watts", "uncore_watts", "dram_watts", "cycles", "instructions",
      "ipc", "cache_miss_percent", "gigahertz", "context_switches", "overlap_percent"},
     "package_watts",
     DEEPMON_CONTAINER,
     NULL},
    {"energy",
     {"package_joules", "core_joules", "dram_joules", "package_watts", "cpu_seconds", "joules_per_request",
      "nanojoules_per_instruction"},
     "package_joules",
     DEEPMON_CONTAINER,
     NULL},
    {"memory",
     {"memory_bytes", "working_set_bytes", "anonymous_bytes", "page_cache_bytes", "kernel_bytes",
      "swap_bytes", "limit_percent", "minor_faults", "major_faults", "oom_kills", "pressure_percent"},
     "working_set_bytes",
     DEEPMON_CONTAINER,
     NULL},
    {"disk",
     {"disk_read", "disk_written", "disk_reads", "disk_writes"},
     "disk_written",
     DEEPMON_CONTAINER,
     NULL},
    {"files",
     {"file_read", "file_written", "file_reads", "file_writes", "file_read_p99_ms", "file_write_p99_ms",
      "file_sync_p99_ms"},
     "file_written",
     DEEPMON_CONTAINER,
     NULL},
    {"tcp",
     {"tcp_sent", "tcp_received", "tcp_messages_sent", "tcp_messages_received", "tcp_opened", "tcp_accepted",
      "tcp_failed", "tcp_retransmits", "tcp_rtt_ms", "udp_sent", "udp_received"},
     "tcp_sent",
     DEEPMON_CONTAINER,
     NULL},
    {"tcp-latency",
     {"tcp_transactions", "tcp_mean_ms", "tcp_p50_ms", "tcp_p75_ms", "tcp_p90_ms", "tcp_p99_ms",
      "tcp_p99_9_ms", "tcp_p99_99_ms", "tcp_p99_999_ms"},
     "tcp_p99_ms",
     DEEPMON_CONTAINER,
     NULL},
    {"http",
     {"http_transactions", "http_unanswered", "http_request_bytes", "http_response_bytes", "http_mean_ms",
      "http_2xx", "http_3xx", "http_4xx", "http_5xx"},
     "http_transactions",
     DEEPMON_CONTAINER,
     NULL},
    {"http-latency",
     {"http_transactions", "http_mean_ms", "http_p50_ms", "http_p75_ms", "http_p90_ms", "http_p99_ms",
      "http_p99_9_ms", "http_p99_99_ms", "http_p99_999_ms"},
     "http_p99_ms",
     DEEPMON_CONTAINER,
     NULL},
    {"processes",
     {"cpu_percent", "package_watts", "core_watts", "dram_watts", "package_joules", "cpu_seconds", "ipc",
      "cache_miss_percent", "instructions", "context_switches"},
     "cpu_percent",
     DEEPMON_PROCESS,
     "container"},
    {"devices",
     {"disk_read", "disk_written", "disk_reads", "disk_writes"},
     "disk_written",
     TOP_DEVICE,
     "device"},
};
const size_t top_page_count = sizeof(top_pages) / sizeof(top_pages[0]);

const struct top_column *top_column_find(const char *key)
{
	for (size_t i = 0; i < top_column_count; i++)
		if (!strcasecmp(top_columns[i].key, key))
			return &top_columns[i];
	return NULL;
}

const struct top_page *top_page_find(const char *name)
{
	for (size_t i = 0; i < top_page_count; i++)
		if (!strcasecmp(top_pages[i].name, name))
			return &top_pages[i];
	return NULL;
}

bool top_column_value(const struct top_column *column, const struct top_figures *figures, double *value)
{
	if (!figures->has[column->of])
		return false;
	*value = figures->values[column->of] * column->factor;
	if (column->per == TOP_NONE)
		return true;
	if (!figures->has[column->per] || figures->values[column->per] <= 0)
		return false;
	*value /= figures->values[column->per];
	return true;
}

/* ---- As people read them ------------------------------------------------------------------------ */

static const struct {
	const char *name, *help;
	double step; /* from one prefix of bytes to the next; 0: there are none */
	const char *power, *energy;
	double watts, joules; /* of one unit */
	int width;
} units_of[TOP_UNITS] = {
    [TOP_UNITS_BINARY] = {"binary", "bytes by 1024 (K, M, G); W and J", 1024, "W", "J", 1, 1, 8},
    [TOP_UNITS_DECIMAL] = {"decimal", "bytes by 1000 (K, M, G); W and J", 1000, "W", "J", 1, 1, 8},
    [TOP_UNITS_HOURS] = {"hours", "bytes by 1024 (K, M, G); mW and Wh", 1024, "mW", "Wh", 1e-3, 3600, 8},
    [TOP_UNITS_EXACT] = {"exact", "whole bytes and counts, no K, M or G; W and J", 0, "W", "J", 1, 1, 16},
};

const char *top_units_name(enum top_units units)
{
	return units_of[units].name;
}

int top_units_find(const char *name, enum top_units *units)
{
	for (int i = 0; i < TOP_UNITS; i++) {
		if (strcasecmp(units_of[i].name, name) != 0)
			continue;
		*units = (enum top_units)i;
		return 0;
	}
	return -ENOENT;
}

const char *top_units_help(enum top_units units)
{
	return units_of[units].help;
}

int top_units_width(enum top_units units)
{
	return units_of[units].width;
}

const char *top_units_of_power(enum top_units units)
{
	return units_of[units].power;
}

/* 1234567 -> "1.2M": at most 5 characters up to 999 of the last prefix. Without steps: 1234567. */
static void print_scaled(double value, double step, char *text, size_t size)
{
	static const char prefixes[] = " KMGTPE";
	size_t prefix = 0;

	while (step > 0 && fabs(value) >= step * 0.9995 && prefix + 2 < sizeof(prefixes)) {
		value /= step;
		prefix++;
	}
	if (!prefix)
		snprintf(text, size, value == floor(value) || fabs(value) >= 100 ? "%.0f" : "%.1f", value);
	else
		snprintf(text, size, fabs(value) < 99.95 ? "%.1f%c" : "%.0f%c", value, prefixes[prefix]);
}

const char *top_column_print(const struct top_column *column, const struct top_figures *figures,
			     enum top_units units, char *text, size_t size)
{
	double value;

	if (!top_column_value(column, figures, &value)) {
		snprintf(text, size, "-");
		return text;
	}
	switch (column->unit) {
	case TOP_BYTES:
	case TOP_BYTES_RATE:
		print_scaled(value, units_of[units].step, text, size);
		break;
	case TOP_PER_SECOND:
		print_scaled(value, units_of[units].step > 0 ? 1000 : 0, text, size);
		break;
	case TOP_JOULES:
		snprintf(text, size, units_of[units].joules > 1 ? "%.4f" : "%.1f",
			 value / units_of[units].joules);
		break;
	case TOP_PERCENT:
	case TOP_SECONDS:
		snprintf(text, size, "%.1f", value);
		break;
	case TOP_MILLISECONDS:
		snprintf(text, size, value < 99.995 ? "%.2f" : "%.0f", value);
		break;
	case TOP_WATTS:
		snprintf(text, size, units_of[units].watts < 1 ? "%.0f" : "%.2f",
			 value / units_of[units].watts);
		break;
	case TOP_PLAIN:
		snprintf(text, size, "%.2f", value);
		break;
	case TOP_COUNT:
		snprintf(text, size, "%.0f", value);
		break;
	}
	return text;
}

const char *top_column_title(const struct top_column *column, enum top_units units, char *text, size_t size)
{
	const char *unit = column->unit == TOP_WATTS	? units_of[units].power
			   : column->unit == TOP_JOULES ? units_of[units].energy
							: NULL;

	/* The unit is its last letter. */
	snprintf(text, size, "%.*s%s", (int)strlen(column->title) - (unit != NULL), column->title,
		 unit ? unit : "");
	return text;
}
