/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory the processes of a group map. Pure.
 */
#include "resident.h"

void resident_absorb(struct resident *to, const struct resident *from)
{
	if (!from->processes)
		return;
	if (!to->processes) {
		*to = *from;
		return;
	}
	if (smaps_add(&to->sum, &from->sum)) {
		to->processes = 0;
		return;
	}
	to->processes += from->processes;
	if (from->read_ns < to->read_ns)
		to->read_ns = from->read_ns;
}
