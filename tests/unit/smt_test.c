/* SPDX-License-Identifier: GPL-3.0-only
 *
 * SMT overlap (bpf/smt.h): every short history of a core, against a reference that keeps all intervals; every
 * order in which late updates can come; threads that race; and what a cycle beside a sibling counts.
 * Reads the clock and nothing else.
 */
#include <check.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../bpf/smt.h"
#include "random.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define TIME_MASK ((1ULL << 60) - 1)
#define FOREVER	  UINT64_MAX

static uint64_t busy_threads(uint64_t core)
{
	return core & SMT_THREADS_MAX;
}

/* ---- Single words ------------------------------------------------------------------------------ */

START_TEST(two_threads_by_hand)
{
	__u64 core = 0;

	core = smt_core_after(core, true, 100);
	ck_assert_uint_eq(core, 1);
	core = smt_core_after(core, true, 130);
	ck_assert_uint_eq(core, 130 << 4 | 2);
	ck_assert_uint_eq(smt_shared_ns(core, 150), 20);
	core = smt_core_after(core, false, 190);
	ck_assert_uint_eq(core, 60 << 4 | 1);
	ck_assert_uint_eq(smt_shared_ns(core, 1000), 60);
	core = smt_core_after(core, true, 1000);
	ck_assert_uint_eq(core, 940 << 4 | 2);
	ck_assert_uint_eq(smt_shared_ns(core, 1001), 61);
	core = smt_core_after(core, true, 1005);
	ck_assert_uint_eq(core, 940 << 4 | 3);
	core = smt_core_after(core, false, 1007);
	core = smt_core_after(core, false, 1010);
	core = smt_core_after(core, false, 1020);
	ck_assert_uint_eq(core, 70 << 4);
}
END_TEST

START_TEST(a_transition_does_not_change_the_shared_time_of_its_moment)
{
	for (int i = 0; i < 1000000; i++) {
		__u64 core = random_number(), now = random_sized(64);
		bool busy = random_below(2);
		__u64 after = smt_core_after(core, busy, now);

		must(smt_shared_ns(core, now) <= TIME_MASK);
		must(smt_shared_ns(after, now) == smt_shared_ns(core, now));
		must(busy_threads(after) == busy_threads(core) + (busy ? 1 : -1) || after == core);
		must((after == core) == (busy_threads(core) == (busy ? 15 : 0)));
		must(after == core || smt_core_after(after, !busy, now) == core);
	}
}
END_TEST

START_TEST(a_thread_too_many_or_too_few_changes_nothing)
{
	__u64 core = 777 << 4;

	ck_assert_uint_eq(smt_core_after(core, false, 5000), core);
	for (unsigned int i = 1; i <= 15; i++)
		core = smt_core_after(core, true, 1000 * i);
	ck_assert_uint_eq(busy_threads(core), 15);
	ck_assert_uint_eq(smt_core_after(core, true, 16000), core);
	ck_assert_uint_eq(smt_shared_ns(core, 20000), 777 + 18000);
	for (unsigned int i = 1; i <= 15; i++)
		core = smt_core_after(core, false, 20000 + 1000 * i);
	ck_assert_uint_eq(core, (777 + 18000 + 14000) << 4);
	ck_assert_uint_eq(smt_core_after(core, false, 40000), core);
}
END_TEST

static const struct difference {
	const char *what;
	uint64_t before, after, ran, overlap;
} differences[] = {
    {"nothing", 0, 0, 100, 0},
    {"a part", 40, 90, 100, 50},
    {"all", 40, 140, 100, 100},
    {"more than it ran", 40, 141, 100, 100},
    {"it did not run", 40, 141, 0, 0},
    {"negative", 41, 40, 100, 0},
    {"negative, beyond zero", 0, TIME_MASK, 100, 0},
    {"over the end", TIME_MASK, 0, 100, 1},
    {"far over the end", TIME_MASK - 9, 40, 100, 50},
    {"over the end and more than it ran", TIME_MASK - 99, 1, 100, 100},
    {"the longest", 0, (1ULL << 59) - 1, UINT64_MAX, (1ULL << 59) - 1},
    {"the longest, over the end", TIME_MASK, (1ULL << 59) - 2, UINT64_MAX, (1ULL << 59) - 1},
    {"the most negative", 0, 1ULL << 59, UINT64_MAX, 0},
    {"bits above the 60 are nothing", 7ULL << 60 | 40, 3ULL << 60 | 90, 100, 50},
};

START_TEST(overlap_is_the_difference)
{
	const struct difference *d = &differences[_i];
	uint64_t overlap = smt_overlap_ns(d->before, d->after, d->ran);

	ck_assert_msg(overlap == d->overlap, "%s: %" PRIu64 ", expected %" PRIu64, d->what, overlap,
		      d->overlap);
}
END_TEST

/* ---- Every short history ----------------------------------------------------------------------- */

#define EVENTS_MAX  10
#define THREADS_MAX 4

/* Whatever pieces an overlap is put together of, no other set of these has the same sum. */
static const uint64_t powers[EVENTS_MAX] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
static const uint64_t uneven[EVENTS_MAX] = {1, 1000003,		 1ULL << 56, 17,	 86400000000011ULL,
					    3, (1ULL << 55) + 5, 999,	     1ULL << 33, 10};
static const uint64_t large[EVENTS_MAX] = {1ULL << 55,	     3, (1ULL << 54) + 1, 1ULL << 40, 7,
					   (1ULL << 55) - 9, 1, 4000000007ULL,	  1ULL << 53, 5};

static const struct history {
	int threads, events;
	const uint64_t *gaps; /* between events */
	uint64_t start_ns;
	uint64_t shared_ns; /* what the core begins with */
} histories[] = {
    {1, 10, powers, 1, TIME_MASK},
    {2, 10, powers, 1, 0},
    {2, 10, uneven, 123456789012345, 4242},
    {2, 10, powers, TIME_MASK - 100, TIME_MASK - 60},
    {2, 9, large, UINT64_MAX - 2, TIME_MASK},
    {3, 8, powers, TIME_MASK - 30, 0},
    {3, 7, uneven, UINT64_MAX - 500000, 1},
    {4, 7, powers, 1000, 0},
    {4, 7, large, UINT64_MAX - (1ULL << 55), TIME_MASK - (1ULL << 54)},
};

struct interval {
	uint64_t from, to;
};

/* Times are since the history's start. */
struct thread {
	bool busy;
	uint64_t since,
	    shared; /* what accounting keeps of it: when its stretch began, the shared time then */
	uint64_t overlap, expected;	       /* sums of its stretches */
	struct interval intervals[EVENTS_MAX]; /* when it was busy */
	int interval_count;
};

struct core {
	const struct history *history;
	__u64 word;
	struct thread threads[THREADS_MAX];
	uint64_t times[EVENTS_MAX + 1];
	int time_count;
	char path[EVENTS_MAX * 4 + 1]; /* the events so far, for a message */
};

static bool was_busy(const struct thread *thread, uint64_t time)
{
	for (int i = 0; i < thread->interval_count; i++)
		if (thread->intervals[i].from <= time && time < thread->intervals[i].to)
			return true;
	return false;
}

/* How much of the time between `from` and `to` a thread other than `self` was busy. */
static uint64_t measure(const struct core *core, int self, uint64_t from, uint64_t to)
{
	uint64_t sum = 0;

	for (int i = 0; i + 1 < core->time_count; i++) {
		bool shared = false;

		if (core->times[i] < from || core->times[i] >= to)
			continue;
		for (int other = 0; other < core->history->threads; other++)
			shared |= other != self && was_busy(&core->threads[other], core->times[i]);
		if (shared)
			sum += core->times[i + 1] - core->times[i];
	}
	return sum;
}

static void begin_busy(struct thread *thread, uint64_t time)
{
	thread->busy = true;
	thread->intervals[thread->interval_count++] = (struct interval){time, FOREVER};
}

static void end_busy(struct thread *thread, uint64_t time)
{
	thread->busy = false;
	thread->intervals[thread->interval_count - 1].to = time;
}

/* The overlap of a thread's stretch up to now, by the word and by the intervals. */
static uint64_t check_stretch(const struct core *core, int index, uint64_t time)
{
	const struct thread *thread = &core->threads[index];
	uint64_t shared = smt_shared_ns(core->word, core->history->start_ns + time);
	uint64_t overlap = smt_overlap_ns(thread->shared, shared, time - thread->since);
	uint64_t expected = measure(core, index, thread->since, time);

	if (overlap != expected)
		ck_abort_msg("%s: thread %d overlaps %" PRIu64 " ns, expected %" PRIu64, core->path, index,
			     overlap, expected);
	return overlap;
}

static void check_core(const struct core *core)
{
	uint64_t busy = 0;

	for (int i = 0; i < core->history->threads; i++) {
		busy += core->threads[i].busy;
		if (core->threads[i].overlap != core->threads[i].expected)
			ck_abort_msg("%s: thread %d has %" PRIu64 " ns, expected %" PRIu64, core->path, i,
				     core->threads[i].overlap, core->threads[i].expected);
	}
	if (busy_threads(core->word) != busy)
		ck_abort_msg("%s: %" PRIu64 " busy, expected %" PRIu64, core->path, busy_threads(core->word),
			     busy);
}

/* Ends the stretch of a busy thread, and begins the next unless it goes idle. */
static void step_thread(struct core *core, int index, bool to_busy, uint64_t time)
{
	struct thread *thread = &core->threads[index];
	uint64_t now = core->history->start_ns + time;

	if (thread->busy) {
		thread->overlap += check_stretch(core, index, time);
		thread->expected += measure(core, index, thread->since, time);
	}
	if (thread->busy != to_busy) {
		core->word = smt_core_after(core->word, to_busy, now);
		if (to_busy)
			begin_busy(thread, time);
		else
			end_busy(thread, time);
	}
	thread->since = time;
	thread->shared = smt_shared_ns(core->word, now);
}

static uint64_t walk(const struct core *before, int depth)
{
	int threads = before->history->threads;
	uint64_t walked = 0;

	/* Each thread goes busy or idle, or from one task to the next; and the last: all are sampled. */
	for (int event = 0; event <= 2 * threads; event++) {
		int index = event / 2;
		bool toggles = event % 2 == 0;

		if (index < threads && !toggles && !before->threads[index].busy)
			continue;

		struct core core = *before;
		uint64_t time = core.times[core.time_count - 1] + core.history->gaps[depth];

		core.times[core.time_count++] = time;
		if (index == threads)
			strcat(core.path, "s ");
		else
			sprintf(core.path + strlen(core.path), "%d%c ", index,
				!toggles		      ? '='
				: before->threads[index].busy ? '-'
							      : '+');
		if (index < threads)
			step_thread(&core, index, core.threads[index].busy != toggles, time);
		else
			for (int i = 0; i < threads; i++)
				if (core.threads[i].busy)
					check_stretch(&core, i, time);
		check_core(&core);
		walked++;
		if (depth + 1 < core.history->events)
			walked += walk(&core, depth + 1);
	}
	return walked;
}

START_TEST(every_short_history)
{
	const struct history *history = &histories[_i];
	struct core core = {.history = history, .word = history->shared_ns << 4, .time_count = 1};

	must(walk(&core, 0) > (uint64_t)history->events);
}
END_TEST

/* Long histories of up to 15 threads, against sums that grow by each piece of time. */
START_TEST(long_histories_of_many_threads)
{
	uint64_t overlap[15] = {0}, expected[15] = {0}, since[15], shared[15];
	bool busy[15] = {0};
	uint64_t threads = (uint64_t)_i, busy_count = 0, total = 0;

	random_begin((uint64_t)_i * 977);

	uint64_t now = random_number(), begin_shared = random_number() & TIME_MASK;
	__u64 core = begin_shared << 4;

	for (int i = 0; i < 100000; i++) {
		uint64_t gap = 1 + (random_number() >> (24 + random_below(40)));
		uint64_t t = random_below(threads);
		bool to_busy = random_below(2);

		now += gap;
		for (uint64_t k = 0; k < threads; k++)
			if (busy[k] && busy_count > 1)
				expected[k] += gap;
		total += busy_count > 1 ? gap : 0;
		if (busy[t])
			overlap[t] += smt_overlap_ns(shared[t], smt_shared_ns(core, now), now - since[t]);
		if (busy[t] != to_busy)
			core = smt_core_after(core, to_busy, now);
		busy_count = busy_count + to_busy - busy[t];
		busy[t] = to_busy;
		since[t] = now;
		shared[t] = smt_shared_ns(core, now);
		must(busy_threads(core) == busy_count);
		must(smt_shared_ns(core, now) == ((begin_shared + total) & TIME_MASK));
		must(busy[t] || overlap[t] == expected[t]);
	}
	must(threads > 1 || !total);
}
END_TEST

/* ---- Updates that come late -------------------------------------------------------------------- */

/*
 * A thread reads the clock, then updates the word; a sibling may come in between. So updates are made in an
 * order that is not that of their times. Call an event late by how far the latest event made before it is
 * ahead of it in time. In a core where each happened when it was not late any more, the overlap of a stretch
 * would differ by at most the sum of what those were late that touch it; and it would be read exactly if the
 * events were stamped so, from which it differs by as much again. So a stretch that no late event touches
 * is exact.
 */
#define LATE_EVENTS_MAX 8

struct late_event {
	int thread;
	bool was_busy, to_busy;
	uint64_t time;
	int begins; /* the event that began the stretch which this one ends; -1: it was idle */
	uint64_t expected;
};

struct late {
	struct core core; /* in the order of time: the reference */
	struct late_event events[LATE_EVENTS_MAX];
	int last[THREADS_MAX]; /* each thread's last event */
	int count;
	uint64_t orders;

	/* In one of the orders of updates. */
	int order[LATE_EVENTS_MAX], place[LATE_EVENTS_MAX];
	uint64_t shared[LATE_EVENTS_MAX]; /* what each read */
};

/* What inversions can do to a stretch: each pair that is inverted and not wholly outside, by its length. */
static uint64_t inversions(const struct late *late, int first, int last)
{
	uint64_t sum = 0;

	for (int i = 0; i <= last; i++)
		for (int j = i + 1; j < late->count; j++)
			if (j >= first && late->place[j] < late->place[i])
				sum += late->events[j].time - late->events[i].time;
	return sum;
}

static void check_order(const struct late *late)
{
	uint64_t until[LATE_EVENTS_MAX]; /* from its time until then, an event is late */
	uint64_t errors[THREADS_MAX] = {0}, late_sum = 0, latest = 0;

	for (int i = 0; i < late->count; i++) {
		uint64_t time = late->events[late->order[i]].time;

		latest = latest > time ? latest : time;
		until[late->order[i]] = latest;
		late_sum += latest - time;
	}
	for (int i = 0; i < late->count; i++) {
		const struct late_event *event = &late->events[i];
		uint64_t touching = 0;

		if (event->begins < 0)
			continue;

		uint64_t began = late->events[event->begins].time;
		uint64_t overlap =
		    smt_overlap_ns(late->shared[event->begins], late->shared[i], event->time - began);
		uint64_t error =
		    overlap > event->expected ? overlap - event->expected : event->expected - overlap;

		for (int k = 0; k < late->count; k++)
			if (late->events[k].time <= until[i] && until[k] >= began)
				touching += until[k] - late->events[k].time;
		must(overlap <= event->time - began);
		must(error <= inversions(late, event->begins, i));
		must(error <= 2 * touching);
		errors[event->thread] += error;
	}
	for (int i = 0; i < late->core.history->threads; i++)
		must(errors[i] <= 2 * late_sum);
}

/* Makes the updates in every order that keeps each thread's own. */
static void walk_orders(struct late *late, __u64 word, uint64_t busy, int made, unsigned int made_set)
{
	unsigned int passed = 0; /* threads of which an earlier event is still to be made */

	if (made == late->count) {
		late->orders++;
		check_order(late);
		return;
	}
	for (int i = 0; i < late->count; i++) {
		const struct late_event *event = &late->events[i];
		unsigned int thread = 1U << event->thread;

		if (made_set & 1U << i || passed & thread)
			continue;
		passed |= thread;

		uint64_t now = late->core.history->start_ns + event->time;
		uint64_t busy_after = busy + event->to_busy - event->was_busy;
		__u64 after =
		    event->was_busy == event->to_busy ? word : smt_core_after(word, event->to_busy, now);

		must(busy_threads(after) == busy_after);
		late->order[made] = i;
		late->place[i] = made;
		late->shared[i] = smt_shared_ns(after, now);
		walk_orders(late, after, busy_after, made + 1, made_set | 1U << i);
	}
}

static void walk_late(const struct late *before)
{
	const struct history *history = before->core.history;

	if (before->count == history->events) {
		struct late late = *before;

		walk_orders(&late, history->shared_ns << 4, 0, 0, 0);
		must(late.orders);
		return;
	}
	for (int kind = 0; kind < 2 * history->threads; kind++) {
		int index = kind / 2;
		bool was_busy = before->core.threads[index].busy, to_busy = kind % 2;

		if (!was_busy && !to_busy)
			continue;

		struct late late = *before;
		struct core *core = &late.core;
		struct late_event *event = &late.events[late.count];

		event->thread = index;
		event->time = core->times[core->time_count - 1] + history->gaps[late.count];
		event->was_busy = was_busy;
		event->to_busy = to_busy;
		core->times[core->time_count++] = event->time;
		event->begins = was_busy ? late.last[index] : -1;
		step_thread(core, index, to_busy, event->time);
		event->expected =
		    was_busy ? core->threads[index].expected - before->core.threads[index].expected : 0;
		late.last[index] = late.count++;
		walk_late(&late);
	}
}

/* Where times are the same, order must not matter: an inversion by 0 is an error of 0. */
static const uint64_t with_ties[EVENTS_MAX] = {5, 0, 0, 3, 0, 1, 0, 0};

static const struct history late_histories[] = {
    {2, 8, powers, 1, 0},
    {2, 7, with_ties, TIME_MASK - 3, 0},
    {2, 7, large, UINT64_MAX - (1ULL << 55), 10},
    {3, 6, powers, 100, TIME_MASK},
    {3, 5, with_ties, 100, TIME_MASK},
    {4, 5, powers, TIME_MASK, 5},
};

START_TEST(every_order_of_late_updates)
{
	const struct history *history = &late_histories[_i];
	struct late late = {.core = {.history = history, .word = history->shared_ns << 4, .time_count = 1}};

	walk_late(&late);
}
END_TEST

/* ---- Threads that race ------------------------------------------------------------------------- */

struct record {
	uint64_t time_ns;  /* what the event was stamped with */
	uint64_t after_ns; /* the clock once it was made */
	uint64_t overlap;  /* of the stretch that it ended */
	bool was_busy, to_busy;

	/* After the race. */
	uint64_t until_ns; /* from time_ns until then, it may be late */
	uint64_t expected;
};

struct racer {
	pthread_t thread;
	pthread_barrier_t *begin;
	__u64 *core;
	uint64_t threads, seed;
	struct record *records;
	size_t record_count;
	uint64_t wrong_counts;

	size_t merged; /* records, and what they left: */
	bool busy;
	uint64_t stretch_expected;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* As a CPU would: its own stretch in its own variables, the core by compare-and-exchange alone. */
static void *race(void *context)
{
	struct racer *racer = context;
	uint64_t state = racer->seed, since = 0, shared = 0;
	bool busy = false;

	pthread_barrier_wait(racer->begin);
	for (size_t i = 0; i < racer->record_count; i++) {
		struct record *record = &racer->records[i];

		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		for (uint64_t spin = state >> 52; spin; spin--)
			__asm__ volatile("");

		/* The last leaves it idle. */
		bool to_busy = i + 1 < racer->record_count && (!busy || state >> 40 & 1);
		uint64_t now = clock_ns();
		__u64 core = __atomic_load_n(racer->core, __ATOMIC_RELAXED), after = core;

		while (to_busy != busy) {
			after = smt_core_after(core, to_busy, now);

			__u64 seen = __sync_val_compare_and_swap(racer->core, core, after);

			if (seen == core)
				break;
			core = seen;
		}
		*record = (struct record){
		    .time_ns = now, .after_ns = clock_ns(), .was_busy = busy, .to_busy = to_busy};
		racer->wrong_counts += busy_threads(core) < busy || busy_threads(after) < to_busy ||
				       busy_threads(core) - busy >= racer->threads ||
				       busy_threads(after) - to_busy != busy_threads(core) - busy;
		if (busy)
			record->overlap = smt_overlap_ns(shared, smt_shared_ns(after, now), now - since);
		busy = to_busy;
		since = now;
		shared = smt_shared_ns(after, now);
	}
	return NULL;
}

/* The overlap by the records, in the order of their times; returns the time that two or more were busy. */
static uint64_t merge(struct racer *racers, size_t count)
{
	uint64_t last = 0, busy = 0, shared = 0;

	for (;;) {
		struct racer *first = NULL;

		for (size_t i = 0; i < count; i++) {
			struct racer *racer = &racers[i];

			if (racer->merged < racer->record_count &&
			    (!first ||
			     racer->records[racer->merged].time_ns < first->records[first->merged].time_ns))
				first = racer;
		}
		if (!first)
			return shared;

		struct record *record = &first->records[first->merged++];
		uint64_t both = busy > 1 ? record->time_ns - last : 0;

		for (size_t i = 0; i < count; i++)
			racers[i].stretch_expected += racers[i].busy ? both : 0;
		shared += both;
		last = record->time_ns;
		busy = busy + record->to_busy - record->was_busy;
		record->expected = first->stretch_expected;
		first->stretch_expected = 0;
		first->busy = record->to_busy;
	}
}

/* When one of the events, of all threads, begins or ceases to be late. */
struct late_edge {
	uint64_t time_ns, late_ns;
};

struct lateness {
	struct late_edge *begins, *ends; /* in the order of time */
	size_t count;
	uint64_t sum_ns;
};

static int compare_edges(const void *a, const void *b)
{
	const struct late_edge *left = a, *right = b;

	return (left->time_ns > right->time_ns) - (left->time_ns < right->time_ns);
}

/*
 * An event was made by after_ns, so it may have come after each that is stamped before then: where no other
 * thread came in between it is not late.
 */
static void measure_lateness(struct racer *racers, size_t count, struct lateness *late)
{
	for (size_t self = 0; self < count; self++) {
		size_t passed[THREADS_MAX] = {0}; /* of each thread, the events stamped before after_ns */

		for (size_t i = 0; i < racers[self].record_count; i++) {
			struct record *record = &racers[self].records[i];

			record->until_ns = record->time_ns;
			for (size_t k = 0; k < count; k++) {
				const struct record *others = racers[k].records;
				size_t *at = &passed[k];

				while (*at < racers[k].record_count &&
				       others[*at].time_ns <= record->after_ns)
					(*at)++;
				if (k != self && *at && others[*at - 1].time_ns > record->until_ns)
					record->until_ns = others[*at - 1].time_ns;
			}
			if (record->until_ns == record->time_ns)
				continue;

			uint64_t late_ns = record->until_ns - record->time_ns;

			late->begins[late->count] = (struct late_edge){record->time_ns, late_ns};
			late->ends[late->count++] = (struct late_edge){record->until_ns, late_ns};
			late->sum_ns += late_ns;
		}
	}
	qsort(late->begins, late->count, sizeof(*late->begins), compare_edges);
	qsort(late->ends, late->count, sizeof(*late->ends), compare_edges);
}

/* Each stretch by itself, and their sum. Returns how many no late event touched. */
static size_t check_racer(const struct racer *racer, const struct lateness *late)
{
	size_t begun = 0, ended = 0, untouched = 0;
	uint64_t overlap = 0, expected = 0, touching = 0;

	ck_assert_uint_eq(racer->wrong_counts, 0);
	for (size_t i = 1; i < racer->record_count; i++) {
		const struct record *record = &racer->records[i];
		uint64_t began = racer->records[i - 1].time_ns;

		while (begun < late->count && late->begins[begun].time_ns <= record->until_ns)
			touching += late->begins[begun++].late_ns;
		while (ended < late->count && late->ends[ended].time_ns < began)
			touching -= late->ends[ended++].late_ns;
		if (!record->was_busy)
			continue;
		if (record->overlap > record->time_ns - began ||
		    record->overlap > record->expected + 2 * touching ||
		    record->expected > record->overlap + 2 * touching)
			ck_abort_msg(
			    "event %zu: %" PRIu64 " ns of %" PRIu64 ", expected %" PRIu64 " within %" PRIu64,
			    i, record->overlap, record->time_ns - began, record->expected, 2 * touching);
		untouched += !touching;
		overlap += record->overlap;
		expected += record->expected;
	}
	ck_assert_msg(overlap <= expected + 4 * late->sum_ns && expected <= overlap + 4 * late->sum_ns,
		      "%" PRIu64 " ns, expected %" PRIu64 " within %" PRIu64, overlap, expected,
		      4 * late->sum_ns);
	return untouched;
}

#define RACE_EVENTS 1000000

START_TEST(threads_that_race)
{
	size_t count = 2 * (size_t)_i;
	struct racer racers[THREADS_MAX] = {0};
	struct lateness late = {.begins = calloc(RACE_EVENTS, sizeof(*late.begins)),
				.ends = calloc(RACE_EVENTS, sizeof(*late.ends))};
	uint64_t begin_shared = TIME_MASK - 1000000;
	__u64 core = begin_shared << 4;
	pthread_barrier_t begin;

	ck_assert(late.begins && late.ends);
	ck_assert_int_eq(pthread_barrier_init(&begin, NULL, (unsigned int)count), 0);
	for (size_t i = 0; i < count; i++) {
		racers[i] = (struct racer){.begin = &begin,
					   .core = &core,
					   .threads = count,
					   .seed = i + 1,
					   .record_count = RACE_EVENTS / count};
		racers[i].records = calloc(racers[i].record_count, sizeof(struct record));
		ck_assert_ptr_nonnull(racers[i].records);
	}
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(pthread_join(racers[i].thread, NULL), 0);
	pthread_barrier_destroy(&begin);
	ck_assert_uint_eq(busy_threads(core), 0);

	uint64_t expected = merge(racers, count);
	uint64_t shared = ((core >> 4) - begin_shared) & TIME_MASK;
	size_t untouched = 0;

	measure_lateness(racers, count, &late);
	for (size_t i = 0; i < count; i++)
		untouched += check_racer(&racers[i], &late);
	ck_assert_msg(shared <= expected + 2 * late.sum_ns && expected <= shared + 2 * late.sum_ns,
		      "%" PRIu64 " ns shared, expected %" PRIu64 " within %" PRIu64, shared, expected,
		      2 * late.sum_ns);
	ck_assert(untouched);
	for (size_t i = 0; i < count; i++)
		free(racers[i].records);
	free(late.begins);
	free(late.ends);
}
END_TEST

/* ---- Weights ----------------------------------------------------------------------------------- */

#define NS_PER_S 1000000000ULL

static const struct weight {
	const char *what;
	uint64_t amount, time, overlap;
	uint32_t ratio;
	uint64_t weight;
} weights[] = {
    {"alone", 3000, 1000, 0, 550000, 3000},
    {"beside a sibling", 3000, 1000, 1000, 550000, 1650},
    {"half of the time", 3000, 1000, 500, 550000, 2325},
    {"time itself", 1000, 1000, 400, 550000, 820},
    {"time, rounded down", 999, 999, 999, 550000, 549},
    {"a nanosecond", 1, 1, 1, 550000, 0},
    {"two nanoseconds", 2, 2, 2, 550000, 1},
    {"overlap beyond the time", 3000, 1000, 1001, 550000, 1650},
    {"overlap far beyond the time", 3000, 1000, UINT64_MAX, 550000, 1650},
    {"no time", 3000, 0, 0, 550000, 3000},
    {"no time but an overlap", 3000, 0, 10, 550000, 3000},
    {"nothing", 0, 1000, 500, 550000, 0},
    {"ratio 1", 3000, 1000, 1000, 1000000, 3000},
    {"ratio 0 is the part alone", 3000, 1000, 250, 0, 2250},
    {"ratio 0, never alone", 3000, 1000, 1000, 0, 0},
    {"a ratio above 1 is 1", 3000, 1000, 1000, UINT32_MAX, 3000},
    {"half", 3000, 1000, 1000, 500000, 1500},
    {"a millionth less", 3000000, 1000, 1000, 999999, 2999997},
    {"a second of cycles", 3700000000, NS_PER_S, 123456789, 550000, 3494444446},
    {"the most cycles, alone", UINT64_MAX, NS_PER_S, 0, 550000, UINT64_MAX},
    {"the most cycles, beside a sibling", UINT64_MAX, NS_PER_S, NS_PER_S, 550000, 10145709240540253388ULL},
    {"the most of all", UINT64_MAX, UINT64_MAX, UINT64_MAX, 550000, 10145709240540253388ULL},
    {"the longest time", 1000, UINT64_MAX, UINT64_MAX / 2, 550000, 775},
    {"a cycle in the longest time", 1, UINT64_MAX, 1, 999999, 0},
};

START_TEST(weight_by_table)
{
	const struct weight *w = &weights[_i];
	uint64_t weight = smt_weight(w->amount, w->time, w->overlap, w->ratio);

	ck_assert_msg(weight == w->weight, "%s: %" PRIu64 ", expected %" PRIu64, w->what, weight, w->weight);
}
END_TEST

/* Two siblings that are busy all the time cost 1.1 of one, to the nanosecond wherever that is a whole number.
 */
START_TEST(two_busy_siblings_cost_a_tenth_more_than_one)
{
	for (uint64_t time = 20; time < 40 * NS_PER_S; time += time / 3 / 20 * 20 + 20) {
		uint64_t one = smt_weight(time, time, time, SMT_RATIO_DEFAULT);

		ck_assert_uint_eq(2 * one, time / 10 * 11);
		ck_assert_uint_eq(smt_weight(3 * time, time, time, SMT_RATIO_DEFAULT), 3 * one);
	}
}
END_TEST

/* factor * number, factor below 2^84, as high * 2^64 + low. */
static void multiply(unsigned __int128 factor, uint64_t number, unsigned __int128 *high, uint64_t *low)
{
	unsigned __int128 below = (unsigned __int128)(uint64_t)factor * number;

	*high = (factor >> 64) * number + (below >> 64);
	*low = (uint64_t)below;
}

static bool at_most(unsigned __int128 factor, uint64_t number, unsigned __int128 other, uint64_t other_number)
{
	unsigned __int128 high, other_high;
	uint64_t low, other_low;

	multiply(factor, number, &high, &low);
	multiply(other, other_number, &other_high, &other_low);
	return high < other_high || (high == other_high && low <= other_low);
}

/* weight <= amount * counted / whole < weight + 1, by products alone. */
START_TEST(weight_is_exact_for_all_values)
{
	random_begin(11);
	for (int i = 0; i < 2000000; i++) {
		uint64_t amount = random_sized(64), time = random_sized(64);
		uint64_t overlap = random_below(8) ? random_sized(64) : time;
		uint32_t ratio = (uint32_t)(random_below(4) ? random_below(SMT_PPM + 1) : 550000);

		overlap = overlap > time ? time : overlap;

		unsigned __int128 whole = (unsigned __int128)time * SMT_PPM;
		unsigned __int128 counted = whole - (unsigned __int128)overlap * (SMT_PPM - ratio);
		uint64_t weight = smt_weight(amount, time, overlap, ratio);

		if (!time) {
			must(weight == amount);
			continue;
		}
		must(weight <= amount);
		must(at_most(whole, weight, counted, amount));
		must(weight == UINT64_MAX || !at_most(whole, weight + 1, counted, amount));
		if (amount == time || !random_below(4))
			must(smt_weight(time, time, overlap, ratio) ==
			     time - overlap + (uint64_t)((unsigned __int128)overlap * ratio / SMT_PPM));
		must(ratio != SMT_PPM || weight == amount);
	}
}
END_TEST

START_TEST(weight_is_monotone)
{
	random_begin(12);
	for (int i = 0; i < 1000000; i++) {
		uint64_t amount = random_sized(64), time = random_sized(64);
		uint64_t overlap = random_sized(64), step = random_sized(64) >> 32;
		uint32_t ratio = (uint32_t)random_below(SMT_PPM), more = (uint32_t)random_below(SMT_PPM);
		uint64_t weight = smt_weight(amount, time, overlap, ratio);

		if (overlap <= UINT64_MAX - step)
			must(smt_weight(amount, time, overlap + step, ratio) <= weight);
		if (amount <= UINT64_MAX - step)
			must(smt_weight(amount + step, time, overlap, ratio) >= weight);
		if (time && time <= UINT64_MAX - step)
			must(smt_weight(amount, time + step, overlap, ratio) >= weight);
		must(smt_weight(amount, time, overlap, ratio + more) >= weight);
		must(smt_weight(amount, time, overlap, SMT_PPM) == amount);
		must(smt_weight(amount, time, 0, ratio) == amount);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("smt");
	TCase *word = tcase_create("word");
	TCase *history = tcase_create("history");
	TCase *late = tcase_create("late");
	TCase *weight = tcase_create("weight");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(word, two_threads_by_hand);
	tcase_add_test(word, a_transition_does_not_change_the_shared_time_of_its_moment);
	tcase_add_test(word, a_thread_too_many_or_too_few_changes_nothing);
	tcase_add_loop_test(word, overlap_is_the_difference, 0, COUNT(differences));
	tcase_add_loop_test(history, every_short_history, 0, COUNT(histories));
	tcase_add_loop_test(history, long_histories_of_many_threads, 1, 16);
	tcase_add_loop_test(late, every_order_of_late_updates, 0, COUNT(late_histories));
	tcase_add_loop_test(late, threads_that_race, 1, 3);
	tcase_add_loop_test(weight, weight_by_table, 0, COUNT(weights));
	tcase_add_test(weight, two_busy_siblings_cost_a_tenth_more_than_one);
	tcase_add_test(weight, weight_is_exact_for_all_values);
	tcase_add_test(weight, weight_is_monotone);
	tcase_set_timeout(word, 60);
	tcase_set_timeout(history, 60);
	tcase_set_timeout(late, 60);
	tcase_set_timeout(weight, 60);
	suite_add_tcase(suite, word);
	suite_add_tcase(suite, history);
	suite_add_tcase(suite, late);
	suite_add_tcase(suite, weight);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
