/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The arithmetic of attribution: pure, over plain numbers.
 */
#include "ledger.h"

/* The weights' sum after as many halvings, to *shift, as it takes to fit 64 bits. */
static uint64_t sum_of_weights(const struct ledger_share *shares, size_t count, unsigned *shift)
{
	for (*shift = 0;; ++*shift) {
		uint64_t sum = 0;
		bool fits = true;

		for (size_t i = 0; i < count && fits; i++)
			fits = !__builtin_add_overflow(sum, shares[i].weight >> *shift, &sum);
		if (fits)
			return sum;
	}
}

/*
 * The *nth largest remainder, counted from 1, by its bytes from the highest down: each pass counts the
 * candidates by one byte and keeps those with the byte that the nth must have. What is left in *nth says
 * how many of those equal to it are among the n largest.
 */
static uint64_t nth_largest_remainder(const struct ledger_share *shares, size_t count, size_t *nth)
{
	uint64_t found = 0, known = 0;

	for (int shift = 56; shift >= 0; shift -= 8) {
		size_t candidates[256] = {0};
		unsigned byte = 255;

		for (size_t i = 0; i < count; i++)
			if ((shares[i].remainder & known) == found)
				candidates[shares[i].remainder >> shift & 255]++;
		while (candidates[byte] < *nth)
			*nth -= candidates[byte--];
		found |= (uint64_t)byte << shift;
		known |= 255ull << shift;
	}
	return found;
}

uint64_t ledger_divide(uint64_t whole, struct ledger_share *shares, size_t count)
{
	unsigned shift;
	uint64_t sum = sum_of_weights(shares, count, &shift);
	uint64_t divided = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned __int128 product = (unsigned __int128)whole * (shares[i].weight >> shift);

		shares[i].share = sum ? (uint64_t)(product / sum) : 0;
		shares[i].remainder = sum ? (uint64_t)(product % sum) : 0;
		divided += shares[i].share;
	}
	if (!sum)
		return whole;

	/* What is left is less than the number of remainders that are not 0: no party without weight gets
	 * any. */
	size_t left = (size_t)(whole - divided);

	if (!left)
		return 0;

	uint64_t least = nth_largest_remainder(shares, count, &left);

	for (size_t i = 0; i < count; i++) {
		if (shares[i].remainder > least)
			shares[i].share++;
		else if (shares[i].remainder == least && left) {
			shares[i].share++;
			left--;
		}
	}
	return 0;
}

/* To each that bears idle energy the same, the first some one unit more. Returns it all if there is none. */
static uint64_t divide_equally(uint64_t idle, struct ledger_share *shares, size_t count)
{
	uint64_t bearers = 0;

	for (size_t i = 0; i < count; i++)
		bearers += shares[i].bears_idle;
	if (!bearers)
		return idle;

	uint64_t left = idle % bearers;

	for (size_t i = 0; i < count; i++) {
		if (!shares[i].bears_idle)
			continue;
		shares[i].share += idle / bearers + (left > 0);
		left -= left > 0;
	}
	return 0;
}

uint64_t ledger_charge(uint64_t energy, uint64_t idle, enum ledger_idle_policy policy,
		       struct ledger_share *shares, size_t count)
{
	if (idle > energy)
		idle = energy;
	if (policy == LEDGER_IDLE_PROPORTIONAL)
		idle = 0;

	uint64_t untaken = ledger_divide(energy - idle, shares, count);

	return untaken + (policy == LEDGER_IDLE_EQUAL ? divide_equally(idle, shares, count) : idle);
}
