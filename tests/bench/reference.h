/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What tests/bench/reference.bpf.c and attach.c share.
 */
#ifndef DEEPMON_BENCH_REFERENCE_H
#define DEEPMON_BENCH_REFERENCE_H

#define REFERENCE_COUNTERS 4

#endif
