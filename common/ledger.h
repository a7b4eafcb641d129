/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The arithmetic of attribution: pure, over plain numbers. No I/O, no clock, no globals.
 */
#ifndef DEEPMON_LEDGER_H
#define DEEPMON_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One party to a sharing. */
struct ledger_share {
	uint64_t weight;
	bool bears_idle;    /* takes part in idle energy where that is divided equally */
	uint64_t share;	    /* out */
	uint64_t remainder; /* scratch */
};

/* Who gets the energy that flows without any work. In the order of the option IdlePolicy's words. */
enum ledger_idle_policy {
	LEDGER_IDLE_SEPARATE,	  /* nobody: it is a line of its own */
	LEDGER_IDLE_PROPORTIONAL, /* everybody by weight, like the rest (DEEP-mon's way) */
	LEDGER_IDLE_EQUAL,	  /* those that bear it, each the same */
};

/*
 * Divides `whole` among `count` parties by weight, in whole units by the largest remainder (Hamilton's
 * method); between equal remainders the earlier party goes first. The shares add up to `whole` exactly,
 * none differs from the exact quotient by one unit or more, and a party without weight gets nothing.
 * Returns what could not be divided: `whole` if no party has weight, else 0. Any values are allowed as
 * long as the weights' sum fits 64 bits; past that the weights are halved until it does.
 */
uint64_t ledger_divide(uint64_t whole, struct ledger_share *shares, size_t count);

/*
 * Charges a counter's energy over an interval, of which `idle` flowed without any work (more than the whole
 * counts as the whole): the work's part by weight, the idle part by the policy. Returns what nobody is
 * charged with, which belongs to the idle line: idle energy under SEPARATE, and what had no taker. The
 * shares and it add up to `energy` exactly.
 */
uint64_t ledger_charge(uint64_t energy, uint64_t idle, enum ledger_idle_policy policy,
		       struct ledger_share *shares, size_t count);

#endif
