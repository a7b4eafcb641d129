/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Structs of figures in a recording: what their fields are called there, and which of them there are. Pure.
 */
#include <string.h>

#include "../bpf/cpu.h"
#include "../bpf/file_io.h"
#include "../bpf/net.h"
#include "../bpf/top_files.h"
#include "deepmon.h"
#include "recording.h"
#include "smaps.h"

struct field {
	const char *name;
	size_t offset;
};

#define FIELD(type, member) \
	{ \
#member, offsetof(struct type, member) \
	}

static const struct field usage_fields[] = {
    FIELD(cpu_usage, time_ns),
    FIELD(cpu_usage, overlap_ns),
    {"cycles", offsetof(struct cpu_usage, counter[CPU_COUNTER_CYCLES])},
    {"instructions", offsetof(struct cpu_usage, counter[CPU_COUNTER_INSTRUCTIONS])},
    {"cache_references", offsetof(struct cpu_usage, counter[CPU_COUNTER_CACHE_REFERENCES])},
    {"cache_misses", offsetof(struct cpu_usage, counter[CPU_COUNTER_CACHE_MISSES])},
    FIELD(cpu_usage, switches),
};

static const struct field network_fields[] = {
    FIELD(net_usage, tcp_sent_bytes),	  FIELD(net_usage, tcp_sent_messages),
    FIELD(net_usage, tcp_received_bytes), FIELD(net_usage, tcp_received_messages),
    FIELD(net_usage, udp_sent_bytes),	  FIELD(net_usage, udp_sent_messages),
    FIELD(net_usage, udp_received_bytes), FIELD(net_usage, udp_received_messages),
    FIELD(net_usage, tcp_opened_active),  FIELD(net_usage, tcp_opened_passive),
    FIELD(net_usage, tcp_failed),	  FIELD(net_usage, tcp_closed),
    FIELD(net_usage, tcp_resets_sent),	  FIELD(net_usage, tcp_resets_received),
    FIELD(net_usage, tcp_retransmits),	  FIELD(net_usage, tcp_rtt_sum_us),
    FIELD(net_usage, tcp_rtt_readings),
};

static const struct field file_io_fields[] = {
    FIELD(file_io_usage, read_bytes), FIELD(file_io_usage, written_bytes), FIELD(file_io_usage, reads),
    FIELD(file_io_usage, writes),     FIELD(file_io_usage, syncs),
};

#define OF_SIDE(name, PROTOCOL, SIDE, member) \
	{ \
#name "_" #member, offsetof(struct net_dialogues, of[PROTOCOL][SIDE].member) \
	}
#define OF_STATUS(name, PROTOCOL, SIDE, class) \
	{ \
#name "_" #class "xx", offsetof(struct net_dialogues, of[PROTOCOL][SIDE].status[class - 2]) \
	}
#define SIDE_FIELDS(name, PROTOCOL, SIDE) \
	OF_SIDE(name, PROTOCOL, SIDE, answered), OF_SIDE(name, PROTOCOL, SIDE, unanswered), \
	    OF_SIDE(name, PROTOCOL, SIDE, request_bytes), OF_SIDE(name, PROTOCOL, SIDE, answer_bytes), \
	    OF_STATUS(name, PROTOCOL, SIDE, 2), OF_STATUS(name, PROTOCOL, SIDE, 3), \
	    OF_STATUS(name, PROTOCOL, SIDE, 4), OF_STATUS(name, PROTOCOL, SIDE, 5), \
	    OF_SIDE(name, PROTOCOL, SIDE, latency_ns), OF_SIDE(name, PROTOCOL, SIDE, timed)

static const struct field dialogue_fields[] = {
    SIDE_FIELDS(tcp_client, NET_TCP, NET_AS_CLIENT),
    SIDE_FIELDS(tcp_server, NET_TCP, NET_AS_SERVER),
    SIDE_FIELDS(http_client, NET_HTTP, NET_AS_CLIENT),
    SIDE_FIELDS(http_server, NET_HTTP, NET_AS_SERVER),
};
_Static_assert(sizeof(dialogue_fields) / sizeof(dialogue_fields[0]) == sizeof(struct net_dialogues) / 8,
	       "every count has a name");

static const struct field peer_fields[] = {
    FIELD(peer_usage, sent_bytes),	 FIELD(peer_usage, sent_messages),
    FIELD(peer_usage, received_bytes),	 FIELD(peer_usage, received_messages),
    FIELD(peer_usage, opened),		 FIELD(peer_usage, failed),
    FIELD(peer_usage, closed),		 FIELD(peer_usage, tcp_answered),
    FIELD(peer_usage, tcp_latency_ns),	 FIELD(peer_usage, tcp_request_bytes),
    FIELD(peer_usage, tcp_answer_bytes), FIELD(peer_usage, http_answered),
    FIELD(peer_usage, http_latency_ns),	 FIELD(peer_usage, http_timed),
};

_Static_assert(sizeof(peer_fields) / sizeof(peer_fields[0]) == sizeof(struct peer_usage) / 8,
	       "every count has a name");

static const struct field file_fields[] = {
    FIELD(file_counts, read_bytes),
    FIELD(file_counts, written_bytes),
    FIELD(file_counts, reads),
    FIELD(file_counts, writes),
};

static const struct field resident_fields[] = {
    FIELD(smaps, rss_bytes),
    FIELD(smaps, pss_bytes),
    FIELD(smaps, uss_bytes),
};

/* A struct's own table, or the catalogue's subject. */
static const struct {
	const struct field *fields;
	uint32_t count;
	enum deepmon_subject subject;
} structs[RECORDING_FIGURES] = {
#define OWN(table) \
	{ \
		table, sizeof(table) / sizeof((table)[0]), 0 \
	}
    [RECORDING_OF_USAGE] = OWN(usage_fields),
    [RECORDING_OF_NETWORK] = OWN(network_fields),
    [RECORDING_OF_FILE_IO] = OWN(file_io_fields),
    [RECORDING_OF_DIALOGUES] = OWN(dialogue_fields),
    [RECORDING_OF_PEER] = OWN(peer_fields),
    [RECORDING_OF_FILE] = OWN(file_fields),
    [RECORDING_OF_RESIDENT] = OWN(resident_fields),
    [RECORDING_OF_MEMORY] = {.subject = DEEPMON_SUBJECT_MEMORY},
    [RECORDING_OF_BLOCK] = {.subject = DEEPMON_SUBJECT_BLOCK},
    [RECORDING_OF_SELF] = {.subject = DEEPMON_SUBJECT_SELF_COST},
};

_Static_assert(sizeof(usage_fields) / sizeof(usage_fields[0]) == 3 + CPU_COUNTERS,
	       "every counter has a name");

/* False: there are not that many. */
static bool own_field(enum recording_figures figures, uint32_t index, struct field *field, uint64_t *valid)
{
	const struct deepmon_metric *metrics;
	size_t count;

	*valid = 1ull << index;
	if (structs[figures].fields) {
		if (index >= structs[figures].count)
			return false;
		*field = structs[figures].fields[index];
		return true;
	}
	metrics = deepmon_metrics_of(structs[figures].subject, &count);
	if (index >= count)
		return false;
	*field = (struct field){metrics[index].field, metrics[index].offset};
	*valid = metrics[index].valid;
	return true;
}

const char *recording_field_name(enum recording_figures figures, uint32_t index)
{
	struct field field;
	uint64_t valid;

	return index < RECORDING_FIELDS_MAX && own_field(figures, index, &field, &valid) ? field.name : NULL;
}

void recording_fields_own(enum recording_figures figures, struct recording_fields *fields)
{
	struct field field;

	fields->count = 0;
	while (fields->count < RECORDING_FIELDS_MAX &&
	       own_field(figures, fields->count, &field, &fields->valid[fields->count]))
		fields->offsets[fields->count++] = (int32_t)field.offset;
}

bool recording_fields_have(const struct recording_fields *fields, size_t offset)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->offsets[i] == (int32_t)offset)
			return true;
	return false;
}

void recording_put_fields(struct recording_out *out, enum recording_figures figures)
{
	struct recording_fields own;

	recording_fields_own(figures, &own);
	recording_begin(out, RECORDING_FIELDS);
	recording_put(out, figures);
	recording_put(out, own.count);
	for (uint32_t i = 0; i < own.count; i++)
		recording_put_text(out, recording_field_name(figures, i));
	recording_end(out);
}

static void take_field(enum recording_figures figures, const char *name, int32_t *offset, uint64_t *valid)
{
	struct field field;

	*offset = -1;
	for (uint32_t i = 0; i < RECORDING_FIELDS_MAX && own_field(figures, i, &field, valid); i++) {
		if (strcmp(field.name, name) != 0)
			continue;
		*offset = (int32_t)field.offset;
		return;
	}
	*valid = 0;
}

void recording_take_fields(struct recording_in *in, enum recording_figures figures,
			   struct recording_fields *fields)
{
	uint64_t count = recording_take(in);
	char name[128];

	fields->count = 0;
	in->bad |= count > RECORDING_FIELDS_MAX;
	for (uint32_t i = 0; i < count && !in->bad; i++) {
		recording_take_text(in, name, sizeof(name));
		take_field(figures, name, &fields->offsets[i], &fields->valid[i]);
		fields->count = i + 1;
	}
}

static uint64_t get(const void *figures, int32_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)figures + offset, sizeof(value));
	return value;
}

static void set(void *figures, int32_t offset, uint64_t value)
{
	memcpy((char *)figures + offset, &value, sizeof(value));
}

void recording_put_figures(struct recording_out *out, const struct recording_fields *fields,
			   const void *figures, uint64_t valid)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < fields->count; i++)
		mask |= valid & fields->valid[i] ? 1ull << i : 0;
	recording_put(out, mask);
	for (uint32_t i = 0; i < fields->count; i++)
		if (mask & 1ull << i)
			recording_put(out, get(figures, fields->offsets[i]));
}

uint64_t recording_take_figures(struct recording_in *in, const struct recording_fields *fields, void *figures)
{
	uint64_t mask = recording_take(in), valid = 0;

	for (uint32_t i = 0; i < RECORDING_FIELDS_MAX && !in->bad; i++) {
		if (!(mask & 1ull << i))
			continue;

		uint64_t value = recording_take(in);

		in->bad |= i >= fields->count;
		if (in->bad || fields->offsets[i] < 0)
			continue;
		set(figures, fields->offsets[i], value);
		valid |= fields->valid[i];
	}
	return valid;
}

static uint64_t grown(const struct recording_fields *fields, const void *last, const void *now)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < fields->count; i++)
		mask |= get(now, fields->offsets[i]) != get(last, fields->offsets[i]) ? 1ull << i : 0;
	return mask;
}

bool recording_has_growth(const struct recording_fields *fields, const void *last, const void *now)
{
	return grown(fields, last, now) != 0;
}

bool recording_put_growth(struct recording_out *out, const struct recording_fields *fields, void *last,
			  const void *now)
{
	uint64_t mask = grown(fields, last, now);

	if (!mask)
		return false;
	recording_put(out, mask);
	for (uint32_t i = 0; i < fields->count; i++) {
		uint64_t value = get(now, fields->offsets[i]);

		if (!(mask & 1ull << i))
			continue;
		recording_put(out, value - get(last, fields->offsets[i]));
		set(last, fields->offsets[i], value);
	}
	return true;
}

void recording_take_growth(struct recording_in *in, const struct recording_fields *fields, void *sums)
{
	uint64_t mask = recording_take(in);

	for (uint32_t i = 0; i < RECORDING_FIELDS_MAX && !in->bad; i++) {
		if (!(mask & 1ull << i))
			continue;

		uint64_t more = recording_take(in);

		in->bad |= i >= fields->count;
		if (!in->bad && fields->offsets[i] >= 0)
			set(sums, fields->offsets[i], get(sums, fields->offsets[i]) + more);
	}
}
