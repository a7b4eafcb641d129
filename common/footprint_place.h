/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What footprint.c, which reads cgroups' files, and footprint_recorded.c, which plays what was read, share.
 */
#ifndef DEEPMON_FOOTPRINT_PLACE_H
#define DEEPMON_FOOTPRINT_PLACE_H

#include "footprint.h"

/* The words of the option Memory, in its order. */
enum { MEMORY_ON, MEMORY_OFF };

/* Of a device that was recorded. */
struct footprint_name {
	uint32_t major, minor;
	char name[BLOCK_NAME_MAX];
};

struct footprint_place {
	uint64_t read_ns; /* when it was read; 0: never */
	uint64_t cpu_ns;  /* what its group had used by then */
	bool settled;	  /* it was read again after that */
	bool from_zero;	  /* it was made since we look: all that its counters say is growth */
	struct memory_reading memory;
	struct deepmon_memory counted; /* what its group's counters have of it */
	uint64_t counted_valid;
	struct block_readings block;
	bool has_block;		     /* it was read */
	struct block_readings fresh; /* not counted yet */
	bool has_fresh;
};

#endif
