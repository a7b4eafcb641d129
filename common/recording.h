/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The format of a recording: all that a collector heard of its host, so that it can be measured again.
 *
 * A file is a head of 16 bytes (RECORDING_MAGIC, version and head's size, 32 bits each) and frames. A frame
 * is its payload's length, its kind, CLOCK_REALTIME in ns, a CRC-32 of these and of the payload (32, 32, 64
 * and 32 bits), and the payload: records, each a tag (8 bits), its length (32 bits) and its fields. All
 * numbers of fixed size are little-endian; fields are numbers of 7 bits a byte, the lowest first (LEB128;
 * signed ones zigzag), and texts, their length before them. A reader passes over records whose tags it does
 * not know, and fields behind those it does.
 *
 * The first frame, RECORDING_SETUP, says what was measured and how: the host, every option, and the names of
 * the figures in each kind of struct in their order (RECORDING_FIELDS), by which a reader of another version
 * finds those that it knows. A frame is written whole or, where the writer was cut short, is the end.
 *
 * Figures that only grow are written as their growth, of those that grew.
 */
#ifndef DEEPMON_RECORDING_H
#define DEEPMON_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_MAGIC		  "deepmon\n" /* 8 bytes */
#define RECORDING_VERSION	  1
#define RECORDING_HEAD_SIZE	  16
#define RECORDING_FRAME_HEAD_SIZE 20
#define RECORDING_FRAME_MAX	  (64u << 20)

enum recording_frame {
	RECORDING_SETUP = 1,
	RECORDING_SAMPLE, /* what was heard up to a sample between reports, */
	RECORDING_REPORT, /* and up to a report */
};

/* What records tell of. Numbers are never used again. */
enum recording_tag {
	/* In the setup. */
	RECORDING_HOST = 1,   /* host name, kernel, machine, deepmon's version */
	RECORDING_OPTION,     /* name, value */
	RECORDING_FIELDS,     /* enum recording_figures; the names of its fields */
	RECORDING_TOPOLOGY,   /* also later: has_siblings, CPUs, sockets, id of each socket, index of each CPU
			       */
	RECORDING_KERNEL,     /* slots, overlap, mask of counters, processes */
	RECORDING_NETWORKED,  /* enum of network.h: what is counted */
	RECORDING_FILES,      /* file I/O is counted */
	RECORDING_ZONE,	      /* name, source, domain, socket, range, read within */
	RECORDING_FOOTPRINTS, /* memory, block devices: whether they are read */
	RECORDING_TIMED,      /* pages of histograms, their shape, the names of what took that long */
	RECORDING_PEER_ROWS,  /* endpoints that are told apart at a time */
	RECORDING_FILE_SETS,  /* operations on regular files are counted; sets of files told apart */

	/* What was heard, in its order. */
	RECORDING_CREATED = 32, /* id, path */
	RECORDING_REMOVED,	/* id, when */
	RECORDING_SEARCH,	/* when: the cgroups that there are follow, */
	RECORDING_FOUND,	/* id, path, */
	RECORDING_SEARCHED,	/* up to here; whether the search got to its end */
	RECORDING_NAME,		/* id; the identity that was there when it was asked for */
	RECORDING_RENAMED,	/* id; an identity that was found later */
	RECORDING_ENERGY,	/* zone, result, raw reading, when */
	RECORDING_OWNERS,	/* times refused and failed; slots and ids that own them */
	RECORDING_USAGE,	/* slots, CPUs and figures */
	RECORDING_NETWORK,	/* slots and figures */
	RECORDING_FILE_IO,	/* slots and figures */
	RECORDING_PROCESS,	/* key, name, CPUs and figures */
	RECORDING_CHARGE,	/* when: all that is above is charged; unseen, off */
	RECORDING_CHOOSE,	/* when, whether it is the first: a report begins */
	RECORDING_FOOTPRINT,	/* cgroup; figures of memory; devices and figures */
	RECORDING_BEGIN,	/* when: what is charged so far is before the first report */
	RECORDING_TELL,		/* when, CLOCK_REALTIME; figures of deepmon's own: the report is told */
	RECORDING_DIALOGUES,	/* slots and figures: transactions */
	RECORDING_LATENCIES,	/* pages of histograms; whose they are, once; what they grew by */
	RECORDING_PEERS,	/* rows; whose they are, if that changed, and figures */
	RECORDING_PEER_NAMES,	/* rows, ports and names by the tables of addresses; "": none */
	RECORDING_BY_FILE,	/* places; which file has it, if that changed, its path and figures */
	RECORDING_RESIDENT,	/* cgroup, when, processes and figures: of their page tables */
};

/* ---- Fields ------------------------------------------------------------------------------------- */

/* A growing payload. */
struct recording_out {
	uint8_t *bytes;
	size_t length, capacity;
	size_t record; /* where the one that is open begins */
	bool failed;   /* out of memory, or past RECORDING_FRAME_MAX */
};

void recording_begin(struct recording_out *out, enum recording_tag tag);
void recording_end(struct recording_out *out);
/* Takes the record that is open back. */
void recording_drop(struct recording_out *out);
void recording_put(struct recording_out *out, uint64_t value);
void recording_put_signed(struct recording_out *out, int64_t value);
void recording_put_text(struct recording_out *out, const char *text);
void recording_put_bytes(struct recording_out *out, const void *bytes, size_t length);

/* What is left of a record, or of a payload. Past its end all numbers are 0 and all texts "". */
struct recording_in {
	const uint8_t *at, *end;
	bool bad; /* something was not there */
};

uint64_t recording_take(struct recording_in *in);
int64_t recording_take_signed(struct recording_in *in);
/* Copies a text and ends it with NUL; longer than size - 1 is bad. */
void recording_take_text(struct recording_in *in, char *text, size_t size);
const uint8_t *recording_take_bytes(struct recording_in *in, size_t length);
/* The next record of a payload: its tag, and *record its fields. 0: there is none. */
unsigned recording_next(struct recording_in *payload, struct recording_in *record);

/* ---- Figures ------------------------------------------------------------------------------------ */

/* Structs of 64-bit figures. */
enum recording_figures {
	RECORDING_OF_USAGE,   /* struct cpu_usage */
	RECORDING_OF_NETWORK, /* struct net_usage */
	RECORDING_OF_FILE_IO, /* struct file_io_usage */
	RECORDING_OF_MEMORY,  /* struct deepmon_memory, by the catalogue */
	RECORDING_OF_BLOCK,
	RECORDING_OF_SELF,
	RECORDING_OF_DIALOGUES, /* struct net_dialogues */
	RECORDING_OF_PEER,	/* struct peer_usage */
	RECORDING_OF_FILE,	/* struct file_counts */
	RECORDING_OF_RESIDENT,	/* struct smaps */
	RECORDING_FIGURES,
};

#define RECORDING_FIELDS_MAX 64

/* The fields of a struct in the order in which a recording has them. */
struct recording_fields {
	uint32_t count;
	int32_t offsets[RECORDING_FIELDS_MAX]; /* -1: no figure of ours */
	uint64_t valid[RECORDING_FIELDS_MAX];  /* its bit in a mask of ours */
};

/* Those of this version. */
void recording_fields_own(enum recording_figures figures, struct recording_fields *fields);
/* Whether the one at an offset is among them. */
bool recording_fields_have(const struct recording_fields *fields, size_t offset);
/* The name of each; NULL past the last. */
const char *recording_field_name(enum recording_figures figures, uint32_t index);
/* Writes the names; reads names that may be another version's. */
void recording_put_fields(struct recording_out *out, enum recording_figures figures);
void recording_take_fields(struct recording_in *in, enum recording_figures figures,
			   struct recording_fields *fields);

/* The figures of a struct whose bits are in `valid`. */
void recording_put_figures(struct recording_out *out, const struct recording_fields *fields,
			   const void *figures, uint64_t valid);
/* Sets those that are there; returns their bits. */
uint64_t recording_take_figures(struct recording_in *in, const struct recording_fields *fields,
				void *figures);
/* What *now is more than *last, which becomes what *now is. False: nothing, and nothing was written. */
bool recording_put_growth(struct recording_out *out, const struct recording_fields *fields, void *last,
			  const void *now);
/* Whether recording_put_growth would write any. */
bool recording_has_growth(const struct recording_fields *fields, const void *last, const void *now);
void recording_take_growth(struct recording_in *in, const struct recording_fields *fields, void *sums);

/* ---- Frames ------------------------------------------------------------------------------------- */

struct recording_frame_head {
	uint32_t length, kind;
	uint64_t time_ns;
	uint32_t crc;
};

void recording_put_head(uint8_t bytes[RECORDING_HEAD_SIZE]);
/* -EBADMSG: it is no recording. -EPROTONOSUPPORT: of a later version. */
int recording_check_head(const uint8_t bytes[RECORDING_HEAD_SIZE]);
void recording_put_frame_head(uint8_t bytes[RECORDING_FRAME_HEAD_SIZE], uint32_t kind, uint64_t time_ns,
			      const void *payload, uint32_t length);
void recording_take_frame_head(const uint8_t bytes[RECORDING_FRAME_HEAD_SIZE],
			       struct recording_frame_head *head);
/* Whether head and payload are as they were written. */
bool recording_frame_is_whole(const uint8_t bytes[RECORDING_FRAME_HEAD_SIZE], const void *payload);

#endif
