/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The arithmetic of attribution: pure, over plain numbers. No I/O, no clock, no globals.
 */
#ifndef DEEPMON_LEDGER_H
#define DEEPMON_LEDGER_H

#include <stddef.h>
#include <stdint.h>

/* One party to a sharing. */
struct ledger_share {
	uint64_t weight;
	uint64_t share;	    /* out */
	uint64_t remainder; /* scratch */
};

/*
 * Divides `whole` among `count` parties by weight, in whole units by the largest remainder (Hamilton's
 * method); between equal remainders the earlier party goes first. The shares add up to `whole` exactly,
 * none differs from the exact quotient by one unit or more, and a party without weight gets nothing.
 * Returns what could not be divided: `whole` if no party has weight, else 0. Any values are allowed as
 * long as the weights' sum fits 64 bits; past that the weights are halved until it does.
 */
uint64_t ledger_divide(uint64_t whole, struct ledger_share *shares, size_t count);

#endif
