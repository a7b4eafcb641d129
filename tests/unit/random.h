/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Random numbers for property tests, the same everywhere for one seed, and how long to go on with seeds that
 * nobody has chosen. A failure names the seed: DEEPMON_SEED=1234 takes that one in place of the clock's, and
 * DEEPMON_SECONDS=600 goes on for longer.
 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t random_state, random_seed, random_step;

/* For loops of millions: Check's own assertions write a message each time. */
#define must(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s; seed %" PRIu64 ", step %" PRIu64, #condition, random_seed, \
				     random_step); \
	} while (0)

__attribute__((unused)) static void random_begin(uint64_t seed)
{
	random_state = random_seed = seed;
	random_step = 0;
}

/* splitmix64 */
__attribute__((unused)) static uint64_t random_number(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

__attribute__((unused)) static uint64_t random_below(uint64_t limit)
{
	return random_number() % limit;
}

/* Once in so many times. */
__attribute__((unused)) static bool random_once_in(uint64_t times)
{
	return random_number() % times == 0;
}

/* Of any size up to so many bits: as many of few bits as of many. */
__attribute__((unused)) static uint64_t random_sized(unsigned bits)
{
	unsigned size = (unsigned)random_below(bits + 1);

	return size ? random_number() >> (64 - size) : 0;
}

__attribute__((unused)) static double random_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Runs seeds that the clock chooses, for so long; the first is said, the others come after it. */
__attribute__((unused)) static void random_seeds(const char *test, void (*run)(uint64_t seed), double seconds)
{
	const char *wanted = getenv("DEEPMON_SEED"), *longer = getenv("DEEPMON_SECONDS");
	uint64_t seed = wanted ? strtoull(wanted, NULL, 10) : (uint64_t)time(NULL) * 1000000;
	double end = random_seconds() + (longer ? strtod(longer, NULL) : seconds);
	uint64_t first = seed;

	do
		run(seed++);
	while (!wanted && random_seconds() < end);
	printf("# %s: seeds %" PRIu64 " to %" PRIu64 "\n", test, first, seed - 1);
	fflush(stdout);
}

#endif
