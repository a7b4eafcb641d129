/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The records of file I/O in a sample. Memory only.
 */
#include "sample_parts.h"

static void add_latency(struct sample *sample, const struct subject_of *whose,
			const struct latencies *latencies, enum latency_kind kind)
{
	struct subject_of of = *whose;
	struct deepmon_record *record;

	/* One that nobody waited for has no figures. */
	if (!latencies_sum(&sample->histogram, latencies, 1u << kind))
		return;
	of.latency = latency_kind_name(kind);
	record = sample_add_of(sample, &of, DEEPMON_SUBJECT_FILE_LATENCY);
	record->qualifier = of.latency;
	SAMPLE_TELL_LATENCIES(sample, record, FILE_LATENCY, file_latency, latencies, 1u << kind);
}

void sample_add_file_io(struct sample *sample, const struct attribution *attribution,
			const struct subject_of *whose, const struct account *account)
{
	struct deepmon_record *record = sample_add_of(sample, whose, DEEPMON_SUBJECT_FILE_IO);
	const struct file_io_usage *used = &account->used.file_io;

	record->values.file_io = (struct deepmon_file_io){.read_bytes = used->read_bytes,
							  .written_bytes = used->written_bytes,
							  .read_calls = used->reads,
							  .write_calls = used->writes,
							  .sync_calls = used->syncs};
	record->valid = VALID(FILE_IO, read_bytes) | VALID(FILE_IO, written_bytes) |
			VALID(FILE_IO, read_calls) | VALID(FILE_IO, write_calls);
	if (!file_io_files(attribution->file_io))
		return;
	record->valid |= VALID(FILE_IO, sync_calls);
	for (int kind = LATENCY_FILE_READ; kind <= LATENCY_FILE_SYNC; kind++)
		add_latency(sample, whose, account->latencies, (enum latency_kind)kind);
}
