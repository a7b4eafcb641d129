/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What a domain draws when nothing runs, learned from hosts of which the truth is known.
 */
#include "../../common/idle_power.h"

#include <math.h>

#include "random.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define SECOND	  1000000000ull

static struct idle_power idle;
static uint64_t now_ns;

static void set_up(void)
{
	idle = (struct idle_power){0};
	now_ns = 5000 * SECOND;
	random_begin(1);
}

/* One reading after a second. */
static void learn(double busy, double watts)
{
	now_ns += SECOND;
	idle_power_learn(&idle, busy, watts, now_ns);
}

static void assert_within(const char *what, double watts, double truth, double tolerance)
{
	ck_assert_msg(fabs(watts - truth) <= tolerance * truth, "%s: %g W, not %g W", what, watts, truth);
}

/* ---- Hosts ------------------------------------------------------------------------------------- */

/* How a host's use goes: from `least` to `most`, one after the other over so many readings, or at random. */
static const struct host {
	const char *what;
	double idle_watts, busy_watts; /* power is the first and, in full use, the second on top */
	double least, most;
	unsigned period; /* 0: at random */
	double noise;	 /* of each reading: up to this part of it more or less */
	unsigned readings;
	double tolerance;
} hosts[] = {
    {"idle", 40, 100, 0, 0, 1, 0, 1, 0},
    {"idle for long", 40, 100, 0, 0, 1, 0, 1000, 0},
    {"idle, noisy", 40, 100, 0, 0, 1, 0.02, 100, 0.02},
    {"idle now and then", 40, 100, 0, 0.9, 2, 0, 10, 1e-9},
    {"never quite idle", 40, 100, 0.1, 0.9, 10, 0, 20, 0.02},
    {"half in use at least", 40, 100, 0.5, 0.9, 10, 0, 40, 0.02},
    {"any use", 40, 100, 0, 1, 0, 0, 40, 0.02},
    {"any use of a large one", 180, 420, 0, 1, 0, 0, 40, 0.02},
    {"any use of a small one", 0.9, 14, 0, 1, 0, 0, 40, 0.02},
    {"up for ten minutes, a day long", 40, 100, 0.2, 0.8, 600, 0, 86400, 0.02},
    {"a slope of nearly nothing", 40, 0.5, 0.1, 0.9, 0, 0, 200, 0.02},
    {"any use, noisy", 40, 100, 0, 1, 0, 0.02, 200, 0.04},
    {"never quite idle, noisy", 40, 100, 0.1, 0.9, 0, 0.02, 500, 0.06},
};

/* How far it is, from 0 to 1, on the way from the least use to the most. */
static double phase_of(const struct host *host, unsigned reading)
{
	if (!host->period)
		return (double)random_below(10001) / 10000;
	if (host->period == 1)
		return 0;
	return (double)(reading % host->period) / (double)(host->period - 1);
}

START_TEST(a_linear_host)
{
	const struct host *host = &hosts[_i];

	for (unsigned i = 0; i < host->readings; i++) {
		double busy = host->least + phase_of(host, i) * (host->most - host->least);
		double noise = host->noise * ((double)random_below(2001) / 1000 - 1);

		learn(busy, (host->idle_watts + busy * host->busy_watts) * (1 + noise));
	}
	assert_within(host->what, idle_power_watts(&idle), host->idle_watts, host->tolerance);
}
END_TEST

/* ---- What can't be told ------------------------------------------------------------------------ */

START_TEST(never_read_is_nothing)
{
	ck_assert_double_eq(idle_power_watts(&idle), 0);
}
END_TEST

/* In steady use no slope is to be seen: the part of the power that the unused CPUs make up counts. */
START_TEST(steady_use_counts_by_its_idle_part)
{
	static const double uses[] = {0, 0.25, 0.5, 0.9, 1};

	for (size_t i = 0; i < COUNT(uses); i++) {
		set_up();
		for (int reading = 0; reading < 100; reading++)
			learn(uses[i], 80);
		ck_assert_double_eq_tol(idle_power_watts(&idle), 80 * (1 - uses[i]), 1e-9);
	}
}
END_TEST

/* Less power in more use: no line down to no use is to be trusted. */
START_TEST(a_slope_downwards_is_none)
{
	for (int reading = 0; reading < 100; reading++)
		learn(reading % 2 ? 0.8 : 0.2, reading % 2 ? 50 : 90);
	ck_assert_double_eq_tol(idle_power_watts(&idle), 90 * 0.8, 1e-9);
}
END_TEST

/* All that is drawn in much use, nothing in little: the line meets no use below nothing. */
START_TEST(never_below_nothing)
{
	for (int reading = 0; reading < 100; reading++)
		learn(reading % 2 ? 0.9 : 0.5, reading % 2 ? 100 : 1);
	ck_assert_double_eq(idle_power_watts(&idle), 0);
}
END_TEST

/* ---- Change ------------------------------------------------------------------------------------ */

/* The host draws `before`, then `after`; told only by readings that are idle once in so many. */
static void assert_change_is_followed(double before, double after, unsigned idle_once_in)
{
	uint64_t end;

	set_up();
	for (unsigned i = 0; now_ns < 10000 * SECOND; i++)
		learn(i % idle_once_in ? 0.7 : 0, before + (i % idle_once_in ? 70 : 0));
	assert_within("before", idle_power_watts(&idle), before, 0.02);
	end = now_ns + 2 * IDLE_POWER_WINDOW_NS;
	for (unsigned i = 0; now_ns <= end; i++)
		learn(i % idle_once_in ? 0.7 : 0, after + (i % idle_once_in ? 70 : 0));
	assert_within("after two windows", idle_power_watts(&idle), after, 0.02);
}

START_TEST(idle_power_that_changed_is_followed)
{
	assert_change_is_followed(40, 60, 1);
	assert_change_is_followed(60, 40, 1);
	assert_change_is_followed(40, 60, 10);
	assert_change_is_followed(60, 40, 10);
	assert_change_is_followed(40, 60, 300);
	assert_change_is_followed(60, 40, 300);
}
END_TEST

/* Idle in one window, busy in the next: what the first told still holds, and after that no more. */
START_TEST(a_quiet_reading_lasts_a_window_or_two)
{
	uint64_t quiet_ns;

	for (int reading = 0; reading < 20; reading++)
		learn(0, 40);
	quiet_ns = now_ns;
	for (; now_ns < quiet_ns + IDLE_POWER_WINDOW_NS; learn(0.5, 90))
		if (now_ns > quiet_ns)
			assert_within("in the next window", idle_power_watts(&idle), 40, 0.02);
	for (; now_ns < quiet_ns + 2 * IDLE_POWER_WINDOW_NS + 20 * SECOND;)
		learn(0.5, 90);
	assert_within("forgotten", idle_power_watts(&idle), 45, 0.02);
}
END_TEST

/* A clock that goes back, as only a mistake makes it, does no harm that lasts. */
START_TEST(time_that_goes_back)
{
	for (int reading = 0; reading < 100; reading++) {
		now_ns -= 3 * SECOND;
		learn(reading % 2 ? 0.5 : 0, reading % 2 ? 90 : 40);
		ck_assert_double_ge(idle_power_watts(&idle), 0);
		ck_assert_double_le(idle_power_watts(&idle), 90);
	}
	for (int reading = 0; reading < 1300; reading++)
		learn(reading % 2 ? 0.5 : 0, reading % 2 ? 90 : 40);
	assert_within("going on", idle_power_watts(&idle), 40, 0.02);
}
END_TEST

/* ---- Any readings ------------------------------------------------------------------------------ */

static double any_part(void)
{
	return random_once_in(8) ? (double)random_below(2) : (double)random_below(1000001) / 1e6;
}

static double quietest_watts(void)
{
	const struct idle_power_point *now = &idle.quiet, *before = &idle.quiet_before;

	return now->readings && (!before->readings || before->busy >= now->busy) ? now->watts : before->watts;
}

static void check_seed(uint64_t seed)
{
	random_begin(seed);
	idle = (struct idle_power){0};
	now_ns = random_sized(40);
	double most = (double)(1 + random_sized(24)), highest = 0;

	for (; random_step < 20000; random_step++) {
		double watts = random_once_in(16) ? 0 : any_part() * most;

		now_ns += random_once_in(100) ? random_sized(42) : random_sized(31);
		idle_power_learn(&idle, any_part(), watts, now_ns);
		highest = watts > highest ? watts : highest;

		double learned = idle_power_watts(&idle);

		must(learned >= 0);
		must(learned <= quietest_watts());
		must(learned <= highest * (1 + 1e-9));
		must(idle.quiet.readings > 0 && idle.mean.readings > 0);
	}
}

START_TEST(any_readings_at_all)
{
	check_seed((uint64_t)_i);
}
END_TEST

START_TEST(readings_of_other_seeds)
{
	random_seeds("idle_power", check_seed, 0.5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idle_power");
	TCase *truth = tcase_create("truth");
	TCase *any = tcase_create("any");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(truth, set_up, NULL);
	tcase_add_loop_test(truth, a_linear_host, 0, COUNT(hosts));
	tcase_add_test(truth, never_read_is_nothing);
	tcase_add_test(truth, steady_use_counts_by_its_idle_part);
	tcase_add_test(truth, a_slope_downwards_is_none);
	tcase_add_test(truth, never_below_nothing);
	tcase_add_test(truth, idle_power_that_changed_is_followed);
	tcase_add_test(truth, a_quiet_reading_lasts_a_window_or_two);
	tcase_add_test(truth, time_that_goes_back);
	tcase_add_loop_test(any, any_readings_at_all, 0, 20);
	tcase_add_test(any, readings_of_other_seeds);
	tcase_set_timeout(any, 120);
	suite_add_tcase(suite, truth);
	suite_add_tcase(suite, any);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
