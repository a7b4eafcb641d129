/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The powercap source on any tree at all.
 */
#include "energy_tree_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t from[] = {ENERGY_FROM_FIRST};

	return fuzz_tree(data, size, from, 1);
}
