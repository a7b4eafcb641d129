/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Histograms (bpf/histogram.h): where every bucket begins and ends, and quantiles of random data against
 * those of the same data in order. Reads and writes nothing.
 */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/histogram.h"
#include "random.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define BUCKETS	  (HISTOGRAM_OCTAVES * HISTOGRAM_SUBS)
#define LEAST	  512ULL       /* below it values go to the first bucket */
#define BEYOND	  (1ULL << 41) /* from it on to the last */

/* Above 0, at most 1. */
static double random_share(void)
{
	return (double)((random_number() >> 11) + 1) / (double)(1ULL << 53);
}

static struct histogram_bucket bucket_number(uint32_t number)
{
	return (struct histogram_bucket){number / HISTOGRAM_SUBS, number % HISTOGRAM_SUBS};
}

static uint32_t number_of(uint64_t ns)
{
	struct histogram_bucket bucket = histogram_bucket_of(ns);

	must(bucket.octave < HISTOGRAM_OCTAVES && bucket.sub < HISTOGRAM_SUBS);
	return bucket.octave * HISTOGRAM_SUBS + bucket.sub;
}

/* ---- Buckets ----------------------------------------------------------------------------------- */

static const struct place {
	uint64_t ns;
	uint32_t octave, sub;
} places[] = {
    {0, 0, 0},
    {1, 0, 0},
    {511, 0, 0},
    {512, 0, 0},
    {519, 0, 0},
    {520, 0, 1},
    {1000, 0, 61},
    {1023, 0, 63},
    {1024, 1, 0},
    {1039, 1, 0},
    {1040, 1, 1},
    {1000000, 10, 58},	     /* 1 ms = 2^19 * (1 + 58.07 / 64) */
    {1000000000, 20, 55},    /* 1 s = 2^29 * (1 + 55.2 / 64) */
    {1000000000000, 30, 52}, /* 1,000 s = 2^39 * (1 + 52.4 / 64) */
    {(1ULL << 41) - 1, 31, 63},
    {1ULL << 41, 31, 63},
    {UINT64_MAX, 31, 63},
};

START_TEST(bucket_of_a_value)
{
	const struct place *p = &places[_i];
	struct histogram_bucket bucket = histogram_bucket_of(p->ns);

	ck_assert_msg(bucket.octave == p->octave && bucket.sub == p->sub,
		      "%" PRIu64 " ns: {%u, %u}, expected {%u, %u}", p->ns, bucket.octave, bucket.sub,
		      p->octave, p->sub);
}
END_TEST

START_TEST(buckets_meet_and_their_middle_is_within_a_128th)
{
	uint64_t end = LEAST;

	for (uint32_t i = 0; i < BUCKETS; i++) {
		struct histogram_bucket bucket = bucket_number(i);
		uint64_t low = histogram_low_ns(bucket), high = histogram_high_ns(bucket);
		uint64_t middle = histogram_middle_ns(bucket);

		must(low == end);
		must(number_of(low) == i);
		must(number_of(middle) == i);
		must(number_of(high - 1) == i);
		must(i == 0 || number_of(low - 1) == i - 1);
		must((middle - low) * 128 <= low);
		must((high - middle) * 128 <= low);
		end = high;
	}
	ck_assert_uint_eq(end, BEYOND);
}
END_TEST

START_TEST(any_value_is_in_its_bucket)
{
	for (int i = 0; i < 1000000; i++) {
		uint64_t ns = random_number() >> random_below(64);
		struct histogram_bucket bucket = histogram_bucket_of(ns);

		must(number_of(ns) < BUCKETS);
		must(ns < LEAST || histogram_low_ns(bucket) <= ns);
		must(ns >= BEYOND || ns < histogram_high_ns(bucket));
		must(ns >= LEAST || number_of(ns) == 0);
		must(ns < BEYOND || number_of(ns) == BUCKETS - 1);
	}
}
END_TEST

/* ---- Quantiles --------------------------------------------------------------------------------- */

static uint64_t clamp(double ns)
{
	return ns < LEAST ? LEAST : ns >= BEYOND ? BEYOND - 1 : (uint64_t)ns;
}

static uint64_t of_uniform(void)
{
	return clamp(1e3 + 1e9 * random_share());
}

static uint64_t of_exponential(void)
{
	return clamp(-2e6 * log(random_share()));
}

static uint64_t of_lognormal(void)
{
	double normal = sqrt(-2 * log(random_share())) * cos(2 * M_PI * random_share());

	return clamp(exp(log(5e6) + 2 * normal));
}

/* A fast way and, for one in a thousand, a slow one. */
static uint64_t of_two_modes(void)
{
	return random_below(1000) ? 100000 + random_below(2000) : 900000000000 + random_below(1000000000);
}

/* The first, second, last but one and last of a bucket, any bucket. */
static uint64_t of_edges(void)
{
	struct histogram_bucket bucket = bucket_number((uint32_t)random_below(BUCKETS));

	return random_below(2) ? histogram_low_ns(bucket) + random_below(2)
			       : histogram_high_ns(bucket) - 1 - random_below(2);
}

static uint64_t of_powers(void)
{
	return clamp((double)(1ULL << (HISTOGRAM_FIRST_POWER + random_below(32))) + (double)random_below(3) -
		     1);
}

static uint64_t of_one_value(void)
{
	return 1234567;
}

static const struct distribution {
	const char *name;
	uint64_t (*draw)(void);
} distributions[] = {
    {"uniform", of_uniform},	 {"exponential", of_exponential},
    {"lognormal", of_lognormal}, {"two modes", of_two_modes},
    {"edges", of_edges},	 {"powers of two", of_powers},
    {"one value", of_one_value},
};

static const uint32_t quantiles_ppm[] = {0,	 1,	 500000, 750000,  900000, 990000,
					 999000, 999900, 999990, 1000000, 1000001};
static const size_t sizes[] = {1, 2, 3, 7, 10, 99, 100, 101, 1000, 10000, 300000};

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static uint64_t values[300000];

/* By the definition, in the simplest way: the first that enough are not above. */
static uint64_t exact_quantile(size_t count, uint32_t ppm)
{
	size_t i = 0;

	while (i + 1 < count && (i + 1) * (uint64_t)HISTOGRAM_PPM < count * (uint64_t)ppm)
		i++;
	return values[i];
}

static void check_quantiles(const char *name, const struct histogram *histogram, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	for (size_t i = 0; i < COUNT(quantiles_ppm); i++) {
		uint64_t got = histogram_quantile_ns(histogram, count, quantiles_ppm[i]);
		uint64_t exact = exact_quantile(count, quantiles_ppm[i]);
		uint64_t off = got > exact ? got - exact : exact - got;

		ck_assert_msg(off * 128 <= exact,
			      "%s, %zu values: %u ppm is %" PRIu64 " ns, expected %" PRIu64, name, count,
			      quantiles_ppm[i], got, exact);
	}
}

START_TEST(quantiles_are_those_of_the_data)
{
	const struct distribution *distribution = &distributions[_i];
	static struct histogram histogram;

	for (size_t s = 0; s < COUNT(sizes); s++) {
		size_t count = sizes[s];
		uint64_t sum = 0;

		memset(&histogram, 0, sizeof(histogram));
		random_begin(77 + s);
		for (size_t i = 0; i < count; i++) {
			values[i] = distribution->draw();
			sum += values[i];
			histogram_add(&histogram, values[i]);
		}
		ck_assert_uint_eq(histogram_count(&histogram), count);
		ck_assert_uint_eq(histogram.sum_ns, sum);
		ck_assert_double_eq(histogram_mean_ns(&histogram, count), (double)sum / (double)count);
		check_quantiles(distribution->name, &histogram, count);
	}
}
END_TEST

/* One million and two values: the rank of each millionth is exact, where a float would be one off. */
START_TEST(ranks_are_exact)
{
	static struct histogram histogram;
	struct histogram_bucket first = {3, 4}, second = {9, 9}, third = {20, 1};

	histogram.pages[3].counts[4] = 999000;
	histogram.pages[9].counts[9] = 1;
	histogram.pages[20].counts[1] = 999;
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000000, 0), histogram_middle_ns(first));
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000000, 999000), histogram_middle_ns(first));
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000000, 999001), histogram_middle_ns(second));
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000000, 999002), histogram_middle_ns(third));
	histogram.pages[20].counts[1] = 1001;
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000002, 998998), histogram_middle_ns(first));
	/* 1000002 * 0.998999 = 999000.998: number 999001 */
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000002, 998999), histogram_middle_ns(second));
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, 1000002, 999000), histogram_middle_ns(third));
}
END_TEST

START_TEST(counts_may_be_huge)
{
	static struct histogram histogram;
	struct histogram_bucket first = {0, 0}, last = {31, 63};

	histogram.pages[0].counts[0] = 1ULL << 63;
	histogram.pages[31].counts[63] = (1ULL << 63) - 1;
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, UINT64_MAX, 500000), histogram_middle_ns(first));
	ck_assert_uint_eq(histogram_quantile_ns(&histogram, UINT64_MAX, 500001), histogram_middle_ns(last));
}
END_TEST

START_TEST(an_empty_one_has_no_quantile)
{
	static struct histogram histogram;

	for (size_t i = 0; i < COUNT(quantiles_ppm); i++)
		ck_assert_uint_eq(histogram_quantile_ns(&histogram, 0, quantiles_ppm[i]), 0);
	ck_assert_uint_eq(histogram_count(&histogram), 0);
	ck_assert_double_eq(histogram_mean_ns(&histogram, 0), 0);
}
END_TEST

/* ---- Put together ------------------------------------------------------------------------------ */

START_TEST(merged_is_the_histogram_of_all)
{
	static struct histogram all, one, other, again, paged;

	for (int i = 0; i < 100000; i++) {
		uint64_t ns = distributions[random_below(COUNT(distributions))].draw();

		if (!random_below(10))
			ns = random_number() >> random_below(64);
		histogram_add(&all, ns);
		histogram_add(random_below(2) ? &one : &other, ns);
	}
	again = one;
	histogram_merge(&again, &other);
	ck_assert_mem_eq(&again, &all, sizeof(all));
	histogram_subtract(&again, &one);
	ck_assert_mem_eq(&again, &other, sizeof(other));
	histogram_subtract(&again, &other);
	ck_assert_uint_eq(histogram_count(&again), 0);
	ck_assert_uint_eq(again.sum_ns, 0);
	paged.sum_ns = all.sum_ns;
	for (uint32_t octave = 0; octave < HISTOGRAM_OCTAVES; octave++) {
		histogram_add_page(&paged, octave, &one.pages[octave]);
		histogram_add_page(&paged, octave, &other.pages[octave]);
	}
	ck_assert_mem_eq(&paged, &all, sizeof(all));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *buckets = tcase_create("buckets");
	TCase *quantiles = tcase_create("quantiles");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(buckets, bucket_of_a_value, 0, COUNT(places));
	tcase_add_test(buckets, buckets_meet_and_their_middle_is_within_a_128th);
	tcase_add_test(buckets, any_value_is_in_its_bucket);
	tcase_add_loop_test(quantiles, quantiles_are_those_of_the_data, 0, COUNT(distributions));
	tcase_add_test(quantiles, ranks_are_exact);
	tcase_add_test(quantiles, counts_may_be_huge);
	tcase_add_test(quantiles, an_empty_one_has_no_quantile);
	tcase_add_test(quantiles, merged_is_the_histogram_of_all);
	tcase_set_timeout(buckets, 60);
	tcase_set_timeout(quantiles, 60);
	suite_add_tcase(suite, buckets);
	suite_add_tcase(suite, quantiles);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
