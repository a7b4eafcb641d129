/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The rule that makes events of a performance counter's readings (bpf/counter.h): by a table, and by random
 * counters of which the truth is known. Reads and writes nothing.
 */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/counter.h"
#include "random.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

/* As many small values as large ones, and often next to a power of two. */
static uint64_t random_of_any_size(void)
{
	uint64_t power = 1ULL << random_below(64);

	if (random_below(4))
		return random_number() & (power | (power - 1));
	return power + random_below(5) - 2;
}

/* ---- One step ---------------------------------------------------------------------------------- */

static const struct step {
	const char *what;
	struct counter_reading last, now;
	uint64_t events;
	bool taken;
} steps[] = {
    {"nothing at all", {5, 10, 10}, {5, 10, 10}, 0, true},
    {"first reading", {0, 0, 0}, {700, 100, 100}, 700, true},
    {"first reading of one that took turns", {0, 0, 0}, {700, 100, 50}, 1400, true},
    {"it ran all the time", {1000, 100, 100}, {4000, 1100, 1100}, 3000, true},
    {"it ran all the time, having missed some before", {1000, 900, 100}, {4000, 1900, 1100}, 3000, true},
    {"1:2", {1000, 100, 100}, {4000, 2100, 1100}, 6000, true},
    {"1:3", {1000, 100, 100}, {4000, 3100, 1100}, 9000, true},
    {"2:3", {1000, 100, 100}, {4000, 3100, 2100}, 4500, true},
    {"3:4", {0, 0, 0}, {9, 4, 3}, 12, true},
    {"a little below all", {0, 0, 0}, {1000000, 1000001, 1000000}, 1000001, true},
    {"to the nearest, down", {0, 0, 0}, {1, 4, 3}, 1, true},
    {"to the nearest, up", {0, 0, 0}, {2, 4, 3}, 3, true},
    {"a half is up", {0, 0, 0}, {1, 3, 2}, 2, true},
    {"no events", {70, 100, 100}, {70, 3100, 1100}, 0, true},
    {"no events in 1 ns of running", {70, 100, 100}, {70, 3100, 101}, 0, true},
    {"1 ns of running", {70, 0, 0}, {73, 1000000, 1}, 3000000, true},
    {"it did not run", {70, 100, 100}, {70, 200, 100}, 0, false},
    {"it did not run but counted", {70, 100, 100}, {80, 200, 100}, 0, false},
    {"counted in no time", {70, 100, 100}, {80, 100, 100}, 10, true},
    {"ran longer than enabled", {70, 100, 100}, {80, 110, 111}, 10, true},
    {"ran but was not enabled", {70, 100, 90}, {80, 100, 95}, 10, true},
    {"opened anew", {70000, 9000, 9000}, {30, 10, 10}, 0, true},
    {"opened anew, and did not run", {70000, 9000, 9000}, {0, 10, 0}, 0, true},
    {"value went backwards", {70, 100, 100}, {69, 200, 200}, 0, true},
    {"value went backwards, not run", {70, 100, 100}, {69, 200, 100}, 0, true},
    {"enabled went backwards", {70, 100, 100}, {80, 99, 200}, 0, true},
    {"running went backwards", {70, 100, 100}, {80, 200, 99}, 0, true},
    {"2^63 in a minute", {0, 0, 0}, {1ULL << 63, 60 * NS_PER_S, 60 * NS_PER_S}, 1ULL << 63, true},
    {"2^63 in a minute, 2:3", {0, 0, 0}, {1ULL << 63, 60 * NS_PER_S, 40 * NS_PER_S}, 3ULL << 62, true},
    {"2^62 in a minute, 1:3", {0, 0, 0}, {1ULL << 62, 60 * NS_PER_S, 20 * NS_PER_S}, 3ULL << 62, true},
    {"2^63 in 3 s, 3:4", {0, 0, 0}, {3ULL << 61, 4 * NS_PER_S, 3 * NS_PER_S}, 1ULL << 63, true},
    {"the most, 1 ns of turns", {0, 0, 0}, {UINT64_MAX, 1, 1}, UINT64_MAX, true},
    {"the most to the most",
     {UINT64_MAX - 10, UINT64_MAX - 6, UINT64_MAX - 3},
     {UINT64_MAX, UINT64_MAX, UINT64_MAX},
     20,
     true},
    {"3 GHz for an hour, 1:4",
     {0, 0, 0},
     {3600 * 3 * NS_PER_S, 4 * 3600 * NS_PER_S, 3600 * NS_PER_S},
     4 * 3600 * 3 * NS_PER_S,
     true},
};

static bool are_equal(const struct counter_reading *a, const struct counter_reading *b)
{
	return !memcmp(a, b, sizeof(*a));
}

START_TEST(one_step)
{
	const struct step *step = &steps[_i];
	struct counter_reading last = step->last;
	uint64_t events = counter_advance(&last, &step->now);

	ck_assert_msg(events == step->events, "%s: %" PRIu64 " events, expected %" PRIu64, step->what, events,
		      step->events);
	ck_assert_msg(are_equal(&last, step->taken ? &step->now : &step->last),
		      "%s: last is {%llu, %llu, %llu}", step->what, last.value, last.enabled_ns,
		      last.running_ns);
}
END_TEST

START_TEST(time_without_running_counts_with_the_next_stretch)
{
	struct counter_reading last = {100, 1000, 500}, now = last;

	for (int i = 0; i < 3; i++) {
		now.enabled_ns += 250;
		ck_assert_uint_eq(counter_advance(&last, &now), 0);
	}
	now.enabled_ns += 250;
	now.running_ns += 100;
	now.value += 40;
	ck_assert_uint_eq(counter_advance(&last, &now), 400);
	ck_assert(are_equal(&last, &now));
	now.enabled_ns += 50;
	now.running_ns += 50;
	now.value += 40;
	ck_assert_uint_eq(counter_advance(&last, &now), 40);
}
END_TEST

START_TEST(after_it_was_opened_anew_it_goes_on)
{
	struct counter_reading last = {100000, 1000, 500}, now = {10, 20, 20};

	ck_assert_uint_eq(counter_advance(&last, &now), 0);
	now = (struct counter_reading){30, 60, 40};
	ck_assert_uint_eq(counter_advance(&last, &now), 40);
}
END_TEST

/* ---- Many -------------------------------------------------------------------------------------- */

START_TEST(scaling_is_exact_to_4_seconds_and_nearly_so_beyond)
{
	random_begin(21);

	uint64_t exact = 0, nearly = 0;

	for (int i = 0; i < 3000000; i++) {
		uint64_t value = random_of_any_size(), enabled = random_of_any_size() | 1;
		uint64_t running =
		    random_below(2) ? random_of_any_size() : enabled - random_number() % enabled;

		if (!running || running >= enabled)
			continue;

		unsigned __int128 truth = ((unsigned __int128)value * enabled + running / 2) / running;
		uint64_t scaled = counter_scale(value, enabled, running);

		if (running >> 32 == 0) {
			/* Beyond 64 bits it is cut. */
			must(scaled == (uint64_t)truth);
			exact++;
			continue;
		}
		/* In between, the sum itself could be just beyond. */
		if (truth >= UINT64_MAX - (UINT64_MAX >> 30))
			continue;

		uint64_t slack = (uint64_t)truth / (1ULL << 31) + 1;

		must(scaled <= truth + slack && truth <= scaled + slack);
		nearly++;
	}
	must(exact > 100000 && nearly > 100000);
}
END_TEST

/* Where a bit shifted out too many would be seen: all that is lost of `enabled` is the part to scale by. */
START_TEST(scaling_keeps_32_bits)
{
	unsigned int shift = (unsigned int)_i;
	uint64_t value = 1ULL << 50, running = 1ULL << (31 + shift);
	uint64_t enabled = running + (1ULL << (shift + 1)) - 1;
	uint64_t truth = (uint64_t)((unsigned __int128)value * enabled / running);
	uint64_t scaled = counter_scale(value, enabled, running);

	ck_assert_uint_le(scaled, truth + 1);
	ck_assert_uint_ge(scaled + truth / (1ULL << 31) + 1, truth);
}
END_TEST

/* The sum of any steps is that of one, as long as it runs; and whatever is read, a step is never short. */
START_TEST(any_readings_at_all)
{
	random_begin(22);
	for (int round = 0; round < 5000; round++) {
		struct counter_reading last = {0}, now = {0};
		uint64_t sum = 0, begin = random_of_any_size() >> 1;
		bool turns = random_below(2);

		last.value = now.value = begin;
		for (int i = 0; i < 100; i++) {
			struct counter_reading before = last;
			uint64_t ran = random_below(1000), events, value;

			now.value += random_of_any_size() >> 10;
			now.running_ns += ran;
			now.enabled_ns += turns ? ran + random_below(3) * random_below(1000) : ran;
			value = now.value - last.value;
			events = counter_advance(&last, &now);
			must(are_equal(&last, &now) || (are_equal(&last, &before) && !ran && !events));
			must(are_equal(&last, &before) || events >= value);
			sum += events;
		}
		must(turns || sum == now.value - begin);
	}
}
END_TEST

/* How a counter takes turns in a stretch: in thousandths, how often it runs not at all, and how often all. */
static const struct turns {
	uint64_t never, always;
	uint64_t stretch_max_ns;
	long double per_ns; /* events */
} turns[] = {
    {0, 1000, 20 * NS_PER_MS, 3.7L}, {333, 333, 20 * NS_PER_MS, 3.7L}, {500, 400, 5 * NS_PER_MS, 3.1L},
    {900, 50, 2 * NS_PER_MS, 2.4L},  {100, 0, 500000, 5.0L},	       {300, 100, 10 * NS_PER_S, 4.2L},
};

/* A counter of constant rate has counted that rate by all the time it was enabled, whatever it missed. */
START_TEST(sum_of_small_stretches_is_the_truth)
{
	const struct turns *t = &turns[_i];
	struct counter_reading last = {0}, now = {0};
	long double scaled = 0;
	uint64_t sum = 0;

	random_begin(23 + (uint64_t)_i);
	for (int i = 0; i < 300000; i++) {
		uint64_t stretch = 1000 + random_below(t->stretch_max_ns);
		uint64_t kind = random_below(1000), ran = stretch;

		if (kind < t->never)
			ran = 0;
		else if (kind >= t->never + t->always)
			ran = stretch / 10 + random_below(stretch - stretch / 10 + 1);
		now.enabled_ns += stretch;
		now.running_ns += ran;
		now.value = (uint64_t)(t->per_ns * now.running_ns);
		if (ran)
			scaled += (long double)(now.value - last.value) * (now.enabled_ns - last.enabled_ns) /
				  (now.running_ns - last.running_ns);
		sum += counter_advance(&last, &now);
		must(last.enabled_ns == now.enabled_ns || !ran);
	}

	long double truth = t->per_ns * last.enabled_ns;

	ck_assert_msg(sum > scaled * (1 - 1e-6L) && sum < scaled * (1 + 1e-6L),
		      "%" PRIu64 " events, by each stretch %.0Lf", sum, scaled);
	ck_assert_msg(sum > truth * (1 - 1e-6L) && sum < truth * (1 + 1e-6L),
		      "%" PRIu64 " events, expected %.0Lf", sum, truth);
}
END_TEST

/* Few events in each stretch: rounding down would lose about a twentieth of these. */
START_TEST(sum_of_few_events_hardly_drifts)
{
	struct counter_reading last = {0}, now = {0};
	long double scaled = 0;
	uint64_t sum = 0;

	random_begin(24);
	for (int i = 0; i < 1000000; i++) {
		uint64_t enabled = 1000 + random_below(100000);
		uint64_t running = enabled / 2 + random_below(enabled / 2), value = random_below(15);

		now.enabled_ns += enabled;
		now.running_ns += running;
		now.value += value;
		scaled += (long double)value * enabled / running;
		sum += counter_advance(&last, &now);
	}
	ck_assert_msg(sum > scaled * 0.995L && sum < scaled * 1.005L, "%" PRIu64 " events, expected %.0Lf",
		      sum, scaled);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("counter");
	TCase *step = tcase_create("step");
	TCase *many = tcase_create("many");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(step, one_step, 0, COUNT(steps));
	tcase_add_test(step, time_without_running_counts_with_the_next_stretch);
	tcase_add_test(step, after_it_was_opened_anew_it_goes_on);
	tcase_add_test(many, scaling_is_exact_to_4_seconds_and_nearly_so_beyond);
	tcase_add_loop_test(many, scaling_keeps_32_bits, 1, 33);
	tcase_add_test(many, any_readings_at_all);
	tcase_add_loop_test(many, sum_of_small_stretches_is_the_truth, 0, COUNT(turns));
	tcase_add_test(many, sum_of_few_events_hardly_drifts);
	tcase_set_timeout(step, 60);
	tcase_set_timeout(many, 60);
	suite_add_tcase(suite, step);
	suite_add_tcase(suite, many);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
