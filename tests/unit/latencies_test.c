/* SPDX-License-Identifier: GPL-3.0-only
 *
 * How long things took, and transactions: whose they become, that they are told once, and what is told.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/attribution.h"
#include "fake_kernel.h"
#include "sample_look.h"

#define CGROUPS 8
#define MS	1000000ull
#define SECOND	1000000000ull
#define CLIENT	(1u << LATENCY_TCP_CLIENT)
#define SERVER	(1u << LATENCY_TCP_SERVER)

static struct deepmon_options options;
static struct kernel *kernel;
static struct topology topology;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct attribution attribution;
static struct told told;
static uint64_t now_ns;

static void set_up(void)
{
	const struct attribution_rules rules = {.overlap_ratio_ppm = SMT_RATIO_DEFAULT};

	now_ns = SECOND;
	kernel = fake_kernel_new(1, CGROUPS);
	topology = (struct topology){.cpu_count = 1, .socket_count = 1};
	topology.index_of_cpu = calloc(1, sizeof(*topology.index_of_cpu));
	groups_init(&groups, 1, 10);
	cgroups_init(&cgroups, NULL, &names, &groups, CGROUPS);
	ck_assert_int_eq(attribution_init(&attribution, kernel, &topology, &cgroups, &groups, 0, &rules), 0);
	attribution.latency = (struct latency *)fake_latencies;
	fake_latency_count = 0;
	attribution.network = (struct network *)fake_dialogues;
	fake_network_counted = NETWORK_TRAFFIC | NETWORK_TRANSACTIONS;
	memset(fake_dialogues, 0, sizeof(fake_dialogues));
	deepmon_options_init(&options);
	ck_assert_int_eq(told_open(&told, &options), 0);
	sample = (struct sample){.told = &told};
}

static void tear_down(void)
{
	sample_clear(&sample);
	told_close(&told);
	attribution_clear(&attribution);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	free(topology.index_of_cpu);
	kernel_close(kernel);
}

static void charge(void)
{
	now_ns += SECOND;
	attribution_charge(&attribution, NULL, now_ns);
}

static void report(void)
{
	const struct sample_self self = {.cost = {.samples = 7},
					 .valid = 1ull << DEEPMON_INDEX_SELF_COST_samples};

	charge();
	ck_assert_int_eq(sample_build(&sample, &attribution, NULL, SECOND, &self), 0);
	check_sample();
}

static uint32_t run(const char *path, uint64_t id)
{
	uint32_t slot;

	ck_assert(cgroups_add(&cgroups, id, path));
	slot = fake_slot(kernel, id, 0);
	fake_usage(kernel, 0, slot)->time_ns += MS;
	return slot;
}

static struct account *account_of(const char *name)
{
	for (size_t i = 0; i < groups.count; i++)
		if (!strcmp(groups.all[i]->name, name))
			return &groups.all[i]->account;
	ck_abort_msg("there is no group %s", name);
	return NULL;
}

static uint64_t count_in(const struct account *account, uint32_t kinds)
{
	static struct histogram sum;

	return latencies_sum(&sum, account->latencies, kinds);
}

START_TEST(they_go_to_the_group_and_its_part)
{
	uint32_t web = run("/lxc.payload.web", 5), nested = run("/lxc.payload.web/init", 6);
	uint32_t unit = run("/system.slice/nginx.service", 7);

	charge();
	fake_latency(web, LATENCY_TCP_SERVER, 3 * MS, 10);
	fake_latency(nested, LATENCY_TCP_SERVER, 3 * MS, 1);
	fake_latency(nested, LATENCY_TCP_CLIENT, 9 * MS, 2);
	fake_latency(unit, LATENCY_TCP_CLIENT, 5 * MS, 4);
	fake_latency(CPU_SLOT_KERNEL, LATENCY_TCP_CLIENT, 5 * MS, 5);
	fake_latency(CPU_SLOT_OTHER, LATENCY_TCP_CLIENT, 5 * MS, 6);
	charge();
	ck_assert_uint_eq(count_in(account_of("web"), SERVER), 11);
	ck_assert_uint_eq(count_in(account_of("web"), CLIENT), 2);
	ck_assert_uint_eq(count_in(account_of("web"), CLIENT | SERVER), 13);
	ck_assert_uint_eq(account_of("web")->latencies->of[LATENCY_TCP_CLIENT].sum_ns, 18 * MS);
	ck_assert_uint_eq(count_in(account_of("nginx.service"), CLIENT | SERVER), 4);
	ck_assert_uint_eq(count_in(&attribution.parts[PART_CONTAINER], CLIENT | SERVER), 13);
	ck_assert_uint_eq(count_in(&attribution.parts[PART_SYSTEM], CLIENT | SERVER), 4);
	ck_assert_uint_eq(count_in(&attribution.parts[PART_KERNEL], CLIENT), 5);
	ck_assert_uint_eq(count_in(&attribution.parts[PART_OTHER], CLIENT), 6);
	ck_assert_uint_eq(attribution.latencies_lost, 0);
}
END_TEST

START_TEST(a_report_has_those_since_the_one_before)
{
	uint32_t web = run("/lxc.payload.web", 5);

	charge();
	fake_latency(web, LATENCY_TCP_SERVER, 3 * MS, 10);
	charge();
	fake_latency(web, LATENCY_TCP_SERVER, 30 * MS, 1);
	charge();
	ck_assert_uint_eq(count_in(account_of("web"), SERVER), 11);
	report();
	ck_assert_uint_eq(count_in(account_of("web"), SERVER), 0);
	ck_assert_uint_eq(count_in(&attribution.parts[PART_CONTAINER], SERVER), 0);
	fake_latency(web, LATENCY_TCP_SERVER, 30 * MS, 2);
	charge();
	ck_assert_uint_eq(count_in(account_of("web"), SERVER), 2);
}
END_TEST

START_TEST(those_of_others_are_together)
{
	uint32_t web = run("/lxc.payload.web", 5), shop = run("/lxc.payload.shop", 6);

	told.most[IDENTITY_CONTAINER] = 1;
	sample.latency_buckets = true;
	report();
	for (int i = 0; i < 3; i++) {
		fake_usage(kernel, 0, web)->time_ns += 10 * MS;
		fake_usage(kernel, 0, shop)->time_ns += MS;
		fake_latency(web, LATENCY_TCP_SERVER, 3 * MS, 10);
		fake_latency(shop, LATENCY_TCP_SERVER, 3 * MS, 7);
		report();
		ck_assert_uint_eq(count_of(DEEPMON_CONTAINER, DEEPMON_SUBJECT_BUCKETS), 2);
		assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_BUCKETS, "web",
				 "tcp_server-0.002981888-0.003014656"),
			    "count", 10);
		assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_BUCKETS, "(other)",
				 "tcp_server-0.002981888-0.003014656"),
			    "count", 7);
		assert_told(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_BUCKETS, "container",
				 "tcp_server-0.002981888-0.003014656"),
			    "count", 17);
	}
}
END_TEST

START_TEST(ends_of_the_range)
{
	uint32_t web = run("/lxc.payload.web", 5);

	sample.latency_buckets = true;
	charge();
	fake_latency(web, LATENCY_TCP_CLIENT, 0, 1);
	fake_latency(web, LATENCY_TCP_CLIENT, 5000 * SECOND, 2);
	report();
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_BUCKETS, "web", "tcp_client-0-0.00000052"),
		    "count", 1);
	assert_told(find(DEEPMON_CONTAINER, DEEPMON_SUBJECT_BUCKETS, "web", "tcp_client-2181.843386368-+Inf"),
		    "count", 2);
	/* They are an option. */
	sample.latency_buckets = false;
	fake_latency(web, LATENCY_TCP_CLIENT, MS, 1);
	report();
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_BUCKETS), 0);
}
END_TEST

/* 100,000 latencies of which each is known: 1 µs, 2 µs, ... */
START_TEST(quantiles_are_of_every_one)
{
	static const double exact[] = {50000.5e-6, 50000e-6, 75000e-6, 90000e-6,
				       99000e-6,   99900e-6, 99990e-6, 99999e-6};
	static struct histogram sum;
	struct latencies *one = NULL, *both = NULL;
	double figures[LATENCY_FIGURES];

	for (uint64_t us = 1; us <= 100000; us++) {
		fake_latency_count = 0;
		fake_latency(5, us % 3 ? LATENCY_TCP_CLIENT : LATENCY_TCP_SERVER, us * 1000, 1);
		ck_assert_int_eq(latencies_add(us % 2 ? &one : &both, &fake_latencies[0]), 0);
	}
	ck_assert_int_eq(latencies_merge(&both, one), 0);
	ck_assert_int_eq(latencies_merge(&both, NULL), 0);
	ck_assert_uint_eq(latencies_sum(&sum, both, CLIENT | SERVER), 100000);
	latency_figures(&sum, 100000, figures);
	ck_assert_double_eq_tol(figures[0], exact[0], 1e-9);
	for (int i = 1; i < LATENCY_FIGURES; i++)
		ck_assert_msg(figures[i] > exact[i] * 0.992 && figures[i] < exact[i] * 1.008,
			      "figure %d is %.9g, not %.9g", i, figures[i], exact[i]);
	latencies_empty(both);
	ck_assert_uint_eq(latencies_sum(&sum, both, CLIENT | SERVER), 0);
	latencies_free(one);
	latencies_free(both);
	latencies_free(NULL);
}
END_TEST

/* So many, of 10 bytes each and 100 back; of HTTP one in ten is not found. */
static void transact(uint32_t slot, enum net_protocol protocol, enum net_side side, uint64_t count)
{
	struct net_transactions *of = &fake_dialogues[slot].of[protocol][side];

	of->answered += count;
	of->unanswered += 1;
	of->request_bytes += 10 * count;
	of->answer_bytes += 100 * count;
	if (protocol == NET_HTTP) {
		of->status[2] += count / 10;
		of->status[0] += count - count / 10;
	}
}

static const struct deepmon_record *transactions(enum deepmon_entity entity, const char *instance,
						 const char *which)
{
	return find(entity, DEEPMON_SUBJECT_TRANSACTIONS, instance, which);
}

START_TEST(transactions_by_role_and_both_together)
{
	uint32_t web = run("/lxc.payload.web", 5), shop = run("/lxc.payload.shop", 6);
	const struct deepmon_record *record;

	report();
	ck_assert_uint_eq(count_of_subject(DEEPMON_SUBJECT_TRANSACTIONS), 0);
	for (unsigned i = 1; i <= 3; i++) {
		transact(web, NET_TCP, NET_AS_SERVER, 60);
		transact(web, NET_TCP, NET_AS_CLIENT, 40);
		transact(web, NET_HTTP, NET_AS_SERVER, 50);
		transact(shop, NET_TCP, NET_AS_CLIENT, 7);
		fake_latency(web, LATENCY_TCP_SERVER, 10 * MS, 60);
		fake_latency(web, LATENCY_TCP_CLIENT, 1000 * MS, 40);
		fake_latency(web, LATENCY_HTTP_SERVER, 10 * MS, 50);
		report();
		record = transactions(DEEPMON_CONTAINER, "web", "tcp-both");
		assert_told(record, "transactions", 100 * i);
		assert_told(record, "unanswered", 2 * i);
		assert_told(record, "request_bytes", 1000 * i);
		assert_told(record, "response_bytes", 10000 * i);
		assert_told(record, "latency_mean_seconds", 0.406);
		ck_assert(fabs(value(record, "latency_p50_seconds") - 0.01) < 0.0001);
		ck_assert(fabs(value(record, "latency_p75_seconds") - 1) < 0.01);
		assert_untold(record, "responses_2xx");
		record = transactions(DEEPMON_CONTAINER, "web", "tcp-client");
		assert_told(record, "transactions", 40 * i);
		ck_assert(fabs(value(record, "latency_p50_seconds") - 1) < 0.01);
		record = transactions(DEEPMON_CONTAINER, "web", "http-server");
		assert_told(record, "responses_2xx", 45 * i);
		assert_told(record, "responses_4xx", 5 * i);
		assert_told(record, "responses_5xx", 0);
		ck_assert_ptr_null(transactions(DEEPMON_CONTAINER, "web", "http-client"));
		ck_assert_ptr_null(transactions(DEEPMON_CONTAINER, "shop", "tcp-server"));
		record = transactions(DEEPMON_CONTAINER, "shop", "tcp-client");
		assert_told(record, "transactions", 7 * i);
		assert_untold(record, "latency_p50_seconds");
		assert_told(transactions(DEEPMON_TOTAL, "container", "tcp-client"), "transactions", 47 * i);
	}
	/* Counters stay, and a quiet interval has no latency. */
	report();
	record = transactions(DEEPMON_CONTAINER, "web", "tcp-both");
	assert_told(record, "transactions", 300);
	assert_untold(record, "latency_mean_seconds");
	assert_untold(record, "latency_p99_999_seconds");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("latencies");
	TCase *tests = tcase_create("latencies");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, they_go_to_the_group_and_its_part);
	tcase_add_test(tests, a_report_has_those_since_the_one_before);
	tcase_add_test(tests, those_of_others_are_together);
	tcase_add_test(tests, ends_of_the_range);
	tcase_add_test(tests, quantiles_are_of_every_one);
	tcase_add_test(tests, transactions_by_role_and_both_together);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
