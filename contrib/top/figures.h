/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The figures of deepmon-top, each one row: where in a sample each is, and how those of several are one.
 * Columns show them, or the ratio of two; pages are columns.
 */
#ifndef DEEPMON_TOP_FIGURES_H
#define DEEPMON_TOP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../common/deepmon.h"

/* Those of what goes there and back; rows as below. */
#define TOP_TRANSACTION_FIGURES(X, NAME, which) \
	X(NAME##_TRANSACTIONS, TRANSACTIONS, transactions, which, RATE, SUM) \
	X(NAME##_UNANSWERED, TRANSACTIONS, unanswered, which, RATE, SUM) \
	X(NAME##_REQUESTED, TRANSACTIONS, request_bytes, which, RATE, SUM) \
	X(NAME##_RESPONDED, TRANSACTIONS, response_bytes, which, RATE, SUM) \
	X(NAME##_MEAN, TRANSACTIONS, latency_mean_seconds, which, VALUE, MOST) \
	X(NAME##_P50, TRANSACTIONS, latency_p50_seconds, which, VALUE, MOST) \
	X(NAME##_P75, TRANSACTIONS, latency_p75_seconds, which, VALUE, MOST) \
	X(NAME##_P90, TRANSACTIONS, latency_p90_seconds, which, VALUE, MOST) \
	X(NAME##_P99, TRANSACTIONS, latency_p99_seconds, which, VALUE, MOST) \
	X(NAME##_P99_9, TRANSACTIONS, latency_p99_9_seconds, which, VALUE, MOST) \
	X(NAME##_P99_99, TRANSACTIONS, latency_p99_99_seconds, which, VALUE, MOST) \
	X(NAME##_P99_999, TRANSACTIONS, latency_p99_999_seconds, which, VALUE, MOST)

/*
 * X(figure, subject, field of the catalogue, which of the subject's records: the domain of energy, protocol
 * and role of transactions, or what of files took so long; else "", RATE: its growth a second, or VALUE: as
 * it is, how a group has it: SUM or MOST)
 */
#define TOP_FIGURES(X) \
	X(CPU_PERCENT, CPU, cpu_usage_percent, "", VALUE, SUM) \
	X(CPU_NS, CPU, cpu_time_ns, "", VALUE, SUM) \
	X(CPU_RATE, CPU, cpu_time_ns, "", RATE, SUM) \
	X(SWITCHES, CPU, context_switches, "", RATE, SUM) \
	X(OVERLAP, CPU, smt_overlap_ns, "", RATE, SUM) \
	X(PACKAGE_WATTS, ENERGY, power_watts, "package", VALUE, SUM) \
	X(CORE_WATTS, ENERGY, power_watts, "core", VALUE, SUM) \
	X(UNCORE_WATTS, ENERGY, power_watts, "uncore", VALUE, SUM) \
	X(DRAM_WATTS, ENERGY, power_watts, "dram", VALUE, SUM) \
	X(PSYS_WATTS, ENERGY, power_watts, "psys", VALUE, SUM) \
	X(PLATFORM_WATTS, ENERGY, power_watts, "platform", VALUE, SUM) \
	X(PACKAGE_JOULES, ENERGY, energy_joules, "package", VALUE, SUM) \
	X(CORE_JOULES, ENERGY, energy_joules, "core", VALUE, SUM) \
	X(UNCORE_JOULES, ENERGY, energy_joules, "uncore", VALUE, SUM) \
	X(DRAM_JOULES, ENERGY, energy_joules, "dram", VALUE, SUM) \
	X(CYCLES, PERF, cycles, "", RATE, SUM) \
	X(INSTRUCTIONS, PERF, instructions, "", RATE, SUM) \
	X(REFERENCES, PERF, cache_references, "", RATE, SUM) \
	X(MISSES, PERF, cache_misses, "", RATE, SUM) \
	X(MEMORY, MEMORY, usage_bytes, "", VALUE, SUM) \
	X(WORKING_SET, MEMORY, working_set_bytes, "", VALUE, SUM) \
	X(ANONYMOUS, MEMORY, anonymous_bytes, "", VALUE, SUM) \
	X(PAGE_CACHE, MEMORY, page_cache_bytes, "", VALUE, SUM) \
	X(KERNEL_MEMORY, MEMORY, kernel_bytes, "", VALUE, SUM) \
	X(SWAP, MEMORY, swap_bytes, "", VALUE, SUM) \
	X(LIMIT_PERCENT, MEMORY, limit_percent, "", VALUE, MOST) \
	X(MINOR_FAULTS, MEMORY, minor_faults, "", RATE, SUM) \
	X(MAJOR_FAULTS, MEMORY, major_faults, "", RATE, SUM) \
	X(OOM_KILLS, MEMORY, oom_kills, "", VALUE, SUM) \
	X(PRESSURE, MEMORY, pressure_some_percent, "", VALUE, MOST) \
	X(DISK_READ, BLOCK, read_bytes, "", RATE, SUM) \
	X(DISK_WRITTEN, BLOCK, written_bytes, "", RATE, SUM) \
	X(DISK_READS, BLOCK, read_operations, "", RATE, SUM) \
	X(DISK_WRITES, BLOCK, write_operations, "", RATE, SUM) \
	X(FILE_READ, FILE_IO, read_bytes, "", RATE, SUM) \
	X(FILE_WRITTEN, FILE_IO, written_bytes, "", RATE, SUM) \
	X(FILE_READS, FILE_IO, read_calls, "", RATE, SUM) \
	X(FILE_WRITES, FILE_IO, write_calls, "", RATE, SUM) \
	X(TCP_SENT, NETWORK, tcp_sent_bytes, "", RATE, SUM) \
	X(TCP_RECEIVED, NETWORK, tcp_received_bytes, "", RATE, SUM) \
	X(TCP_MESSAGES_SENT, NETWORK, tcp_sent_messages, "", RATE, SUM) \
	X(TCP_MESSAGES_RECEIVED, NETWORK, tcp_received_messages, "", RATE, SUM) \
	X(UDP_SENT, NETWORK, udp_sent_bytes, "", RATE, SUM) \
	X(UDP_RECEIVED, NETWORK, udp_received_bytes, "", RATE, SUM) \
	X(TCP_OPENED, NETWORK, tcp_opened_active, "", RATE, SUM) \
	X(TCP_ACCEPTED, NETWORK, tcp_opened_passive, "", RATE, SUM) \
	X(TCP_FAILED, NETWORK, tcp_failed, "", RATE, SUM) \
	X(TCP_RETRANSMITS, NETWORK, tcp_retransmits, "", RATE, SUM) \
	X(TCP_RTT, NETWORK, tcp_rtt_seconds, "", VALUE, MOST) \
	TOP_TRANSACTION_FIGURES(X, TCP, "tcp-both") \
	TOP_TRANSACTION_FIGURES(X, HTTP, "http-both") \
	X(HTTP_SERVED, TRANSACTIONS, transactions, "http-server", RATE, SUM) \
	X(HTTP_2XX, TRANSACTIONS, responses_2xx, "http-both", RATE, SUM) \
	X(HTTP_3XX, TRANSACTIONS, responses_3xx, "http-both", RATE, SUM) \
	X(HTTP_4XX, TRANSACTIONS, responses_4xx, "http-both", RATE, SUM) \
	X(HTTP_5XX, TRANSACTIONS, responses_5xx, "http-both", RATE, SUM) \
	X(READ_P99, FILE_LATENCY, latency_p99_seconds, "file_read", VALUE, MOST) \
	X(WRITE_P99, FILE_LATENCY, latency_p99_seconds, "file_write", VALUE, MOST) \
	X(SYNC_P99, FILE_LATENCY, latency_p99_seconds, "file_sync", VALUE, MOST)

#define TOP_FIGURE_CONSTANT(FIGURE, ...) TOP_##FIGURE,
enum top_figure { TOP_FIGURES(TOP_FIGURE_CONSTANT) TOP_FIGURE_COUNT, TOP_NONE };

/* Figures of one row; those that it does not have were not measured. */
struct top_figures {
	double values[TOP_FIGURE_COUNT];
	bool has[TOP_FIGURE_COUNT];
};

bool top_figure_is_rate(enum top_figure figure);
enum deepmon_subject top_figure_subject(enum top_figure figure);
const struct deepmon_metric *top_figure_metric(enum top_figure figure);
/* Which of its subject's records it is in, as words of their labels parted by '-'; "": there is one alone. */
const char *top_figure_which(enum top_figure figure);

/* Adds what a record tells: as it stands there, counters as counters. Several devices are summed. */
void top_figures_read(struct top_figures *raw, const struct deepmon_record *record);
/* What raw figures say of a time: rates from their growth since `before` (NULL: absent), others as they are.
 */
void top_figures_make(struct top_figures *figures, const struct top_figures *raw,
		      const struct top_figures *before, double seconds);
/* Makes those of a group of its members'. */
void top_figures_join(struct top_figures *group, const struct top_figures *member);

/* ---- Columns ------------------------------------------------------------------------------------ */

/* How a column's values are written for people. */
enum top_unit {
	TOP_PLAIN,
	TOP_COUNT,
	TOP_PERCENT,
	TOP_WATTS,
	TOP_JOULES,
	TOP_BYTES,
	TOP_BYTES_RATE,
	TOP_PER_SECOND,
	TOP_SECONDS,
	TOP_MILLISECONDS
};

/* In which units people want them. */
enum top_units {
	TOP_UNITS_BINARY,  /* bytes by 1024; W, J */
	TOP_UNITS_DECIMAL, /* bytes by 1000; W, J */
	TOP_UNITS_HOURS,   /* bytes by 1024; mW, Wh */
	TOP_UNITS_EXACT,   /* whole, without K, M or G */
	TOP_UNITS
};

/* "binary". */
const char *top_units_name(enum top_units units);
/* -ENOENT: there are none of that name. */
int top_units_find(const char *name, enum top_units *units);
/* One line. */
const char *top_units_help(enum top_units units);
/* How many columns of a table a figure has room in, a blank before it among them. */
int top_units_width(enum top_units units);

struct top_column {
	const char *key;   /* "cpu_percent": in JSON, CSV and options */
	const char *title; /* "CPU%": in a table */
	enum top_unit unit;
	enum top_figure of;  /* the figure, */
	enum top_figure per; /* or its ratio to this one, times factor */
	double factor;
	const char *help; /* one line */
};

extern const struct top_column top_columns[];
extern const size_t top_column_count;

/* NULL: there is none. Case does not matter. */
const struct top_column *top_column_find(const char *key);
/* False: not measured. */
bool top_column_value(const struct top_column *column, const struct top_figures *figures, double *value);
/* As people read it, "-" if it was not measured. Returns text. */
const char *top_column_print(const struct top_column *column, const struct top_figures *figures,
			     enum top_units units, char *text, size_t size);
/* Its title, with the unit: "PKG mW". Returns text. */
const char *top_column_title(const struct top_column *column, enum top_units units, char *text, size_t size);
/* The unit of watts: "mW". */
const char *top_units_of_power(enum top_units units);

#define TOP_PAGE_COLUMNS_MAX 16

struct top_page {
	const char *name;			    /* "power" */
	const char *keys[TOP_PAGE_COLUMNS_MAX + 1]; /* of its columns; ends with NULL */
	const char *sort;			    /* by which at first */
	/* The kind of its rows, if not the containers or what else is chosen; else 0, which is CONTAINER */
	enum deepmon_entity kind;
	const char *group; /* how they are grouped at first; NULL: not */
};

extern const struct top_page top_pages[];
extern const size_t top_page_count;
const struct top_page *top_page_find(const char *name);

#endif
