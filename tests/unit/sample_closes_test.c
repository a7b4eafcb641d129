/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The ledger closes in what is told: random hosts with processes, and in each report the parts are the whole,
 * a container's processes are the container, and power is of the report's time or absent.
 */
#include "sample_look.h"

#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../common/processes.h"
#include "random_host.h"

#define REPORTS	    60		/* of one seed */
#define SEEDS	    40		/* of one fixed test */
#define ENTRIES_MAX 256		/* of the kernel's map */
#define NOBODY	    0x7ffffff0u /* no process has that id */
#define JITTER_NS   2000	/* between readings and now_ns */

static struct processes processes;
static struct sample_self self;
static bool all_told; /* nothing keeps any process from being told of */
static uint64_t reported_ns, reports;
static uint64_t measured_ns[HOST_ZONES_MAX]; /* since the last report, by each zone's own deltas */

/* ---- The kernel's map of processes ------------------------------------------------------------- */

static struct entry {
	bool used;
	struct process_key key;
	struct process_usage of_cpu[HOST_CPUS_MAX];
} entries[ENTRIES_MAX];

/* As many as the host could have, of which it has some. */
int libbpf_num_possible_cpus(void)
{
	return HOST_CPUS_MAX;
}

int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	size_t size = sizeof(entries[0].of_cpu);
	uint32_t place = in_batch ? *(const uint32_t *)in_batch : 0, found = 0, most = *count;

	(void)fd, (void)opts;
	most = most < 7 ? most : 7;
	for (; place < ENTRIES_MAX && found < most; place++) {
		if (!entries[place].used)
			continue;
		((struct process_key *)keys)[found] = entries[place].key;
		memcpy((char *)values + found++ * size, entries[place].of_cpu, size);
	}
	*(uint32_t *)out_batch = place;
	*count = found;
	return place < ENTRIES_MAX ? 0 : -ENOENT;
}

int bpf_map_delete_elem(int fd, const void *key)
{
	(void)fd;
	for (size_t i = 0; i < ENTRIES_MAX; i++)
		if (entries[i].used && !memcmp(&entries[i].key, key, sizeof(entries[i].key)))
			entries[i].used = false;
	return 0;
}

static struct entry *find_or_add(const struct process_key *key)
{
	struct entry *entry = NULL;

	for (size_t i = 0; i < ENTRIES_MAX; i++) {
		if (entries[i].used && !memcmp(&entries[i].key, key, sizeof(*key)))
			return &entries[i];
		if (!entries[i].used)
			entry = &entries[i];
	}
	if (entry)
		*entry = (struct entry){.used = true, .key = *key};
	return entry;
}

/* What ran was some process of the slot's cgroup, or of none; it may have been in another cgroup before. */
static void ran(uint32_t cpu, uint32_t slot, const struct cpu_usage *stretch)
{
	unsigned which = (unsigned)random_below(5);
	struct process_key key = {
	    .start_ns = 1 + which, .tgid = which ? NOBODY : (uint32_t)getpid(), .slot = slot};
	struct entry *entry;

	if (slot < CPU_SLOT_FIRST || (!all_told && random_once_in(8)))
		return;
	if (all_told)
		key.start_ns += kernel->owners[slot] * 8;
	entry = find_or_add(&key);
	must(entry);
	usage_add(&entry->of_cpu[cpu].used, stretch);
	for (uint32_t other = 0; other < topology.cpu_count; other++)
		if (*entry->of_cpu[other].name)
			return;
	snprintf(entry->of_cpu[cpu].name, PROCESS_NAME_MAX, "%s",
		 which == 4 && !all_told ? PROCESS_UNTOLD : &"aaaaa"[which]);
}

/* ---- What must hold ---------------------------------------------------------------------------- */

/* Counts as they are; of a metric that is not told, 0. */
static uint64_t whole_number(const struct deepmon_record *record, const char *field)
{
	size_t count;
	uint64_t told = 0;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(metrics[i].field, field))
			deepmon_value_u64(record, &metrics[i], &told);
	must(told >> 62 == 0);
	return told;
}

static bool is_of(const struct deepmon_record *record, enum deepmon_entity entity,
		  enum deepmon_subject subject)
{
	return record->entity == entity && record->subject == subject;
}

/* All parts together are what the host used. */
static void check_totals(void)
{
	uint64_t time_ns = 0;

	for (size_t i = 0; i < sample.view.record_count; i++) {
		const struct deepmon_record *record = &sample.view.records[i];
		uint64_t parts = 0;

		if (is_of(record, DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU))
			time_ns += whole_number(record, "cpu_time_ns");
		if (!is_of(record, DEEPMON_HOST, DEEPMON_SUBJECT_ENERGY))
			continue;
		for (size_t j = 0; j < sample.view.record_count; j++) {
			const struct deepmon_record *total = &sample.view.records[j];

			if (is_of(total, DEEPMON_TOTAL, DEEPMON_SUBJECT_ENERGY) &&
			    !strcmp(total->qualifier, record->qualifier))
				parts += whole_number(total, "energy_joules");
		}
		if (!strcmp(record->labels[0].value, "psys") || !strcmp(record->labels[0].value, "platform"))
			must(!parts);
		else
			must(parts == whole_number(record, "energy_joules"));
	}
	must(time_ns == (kernel ? all_ns : 0));
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), of_end = strlen(end);

	return length >= of_end && !strcmp(text + length - of_end, end);
}

/* Since the last report a container's processes, "(other)" among them, used what it used. */
static void check_processes(const struct deepmon_record *container, const char *rate)
{
	double all = value(container, rate), sum = 0;
	char end[64] = "";

	if (*container->qualifier)
		snprintf(end, sizeof(end), "-%s", container->qualifier);
	for (size_t i = 0; i < sample.view.record_count; i++) {
		const struct deepmon_record *record = &sample.view.records[i];

		if (!is_of(record, DEEPMON_PROCESS, container->subject) ||
		    strcmp(record->instance, container->instance) != 0 || !ends_with(record->qualifier, end))
			continue;
		must(isnan(value(record, rate)) == isnan(all));
		must(!all_told || record->subject != DEEPMON_SUBJECT_CPU || isnan(all) ||
		     strcmp(record->qualifier, PROCESS_UNTOLD) != 0 || value(record, rate) <= 0);
		sum += isnan(all) ? 0 : value(record, rate);
	}
	must(isnan(all) || fabs(sum - all) <= 1e-6 * (1 + all));
}

static void check_containers(void)
{
	uint64_t containers = 0;
	double percent = 0;
	const struct deepmon_record *churn = find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CHURN, "container", "");

	for (size_t i = 0; i < sample.view.record_count; i++) {
		const struct deepmon_record *record = &sample.view.records[i];

		containers += is_of(record, DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU);
		if (is_of(record, DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU))
			percent += value(record, "cpu_usage_percent");
		if (attribution.processes && is_of(record, DEEPMON_CONTAINER, DEEPMON_SUBJECT_CPU))
			check_processes(record, "cpu_usage_percent");
		if (attribution.processes && is_of(record, DEEPMON_CONTAINER, DEEPMON_SUBJECT_ENERGY))
			check_processes(record, "power_watts");
	}
	/* Less, if some ended and were dropped before they were told. */
	if (kernel)
		must(percent <= 1e-9 + value(find(DEEPMON_TOTAL, DEEPMON_SUBJECT_CPU, "container", ""),
					     "cpu_usage_percent") *
					   (1 + 1e-9));
	must(containers == (churn ? whole_number(churn, "reported") : 0));
}

/* Power is told if each zone's energy is of the report's time and no other. */
static void check_power(uint64_t interval_ns)
{
	for (size_t i = 0; i < zone_count; i++) {
		const struct deepmon_record *record =
		    find(DEEPMON_ZONE, DEEPMON_SUBJECT_ENERGY, zones[i].name, zones[i].source);

		if (record && !isnan(value(record, "power_watts")))
			must(measured_ns[i] + JITTER_NS > interval_ns &&
			     measured_ns[i] < interval_ns + JITTER_NS);
		measured_ns[i] = 0;
	}
}

/* ---- Reports ----------------------------------------------------------------------------------- */

static void charge(void)
{
	struct group *nameless;

	host_run();
	attribution_charge(&attribution, zones, now_ns);
	for (size_t i = 0; i < zone_count; i++)
		measured_ns[i] += zones[i].valid ? zones[i].elapsed_ns : 0;
	nameless = host_nameless();
	if (nameless && random_once_in(4))
		host_name(nameless);
}

static void report(void)
{
	uint64_t interval_ns = now_ns - reported_ns;

	must(sample_build(&sample, &attribution, zones, interval_ns, &self) == 0);
	check_sample();
	check_totals();
	check_containers();
	check_power(interval_ns);
	for (size_t i = 0; i < groups.count; i++)
		must(groups.all[i]->reported == (groups.all[i]->ended_number != 0));
	reported_ns = now_ns;
	reports++;
}

static void check_seed(uint64_t seed)
{
	random_begin(seed);
	host_make(NULL);
	host_ran = NULL;
	all_told = false;
	self = (struct sample_self){.valid = 1};
	memset(entries, 0, sizeof(entries));
	memset(measured_ns, 0, sizeof(measured_ns));
	for (size_t i = 0; i < zone_count; i++)
		snprintf(zones[i].name, sizeof(zones[i].name), "zone-%zu", i);
	if (kernel && random_below(4)) {
		all_told = random_once_in(2);
		must(processes_init(&processes, kernel, &topology, all_told ? 1000 : 1 + random_below(40)) ==
		     0);
		attribution.processes = &processes;
		host_ran = ran;
		attribution.rules.processes_told = all_told ? 5 : (uint32_t)random_below(5);
	}
	charge();
	attribution_begin(&attribution);
	reported_ns = now_ns;
	memset(measured_ns, 0, sizeof(measured_ns));
	for (; random_step < REPORTS; random_step++) {
		for (uint64_t charges = 1 + random_below(4); charges; charges--)
			charge();
		report();
	}
	processes_clear(&processes);
	sample_clear(&sample);
	host_clear();
}

START_TEST(any_host_is_told_whole)
{
	for (int i = 0; i < SEEDS; i++)
		check_seed((uint64_t)_i * SEEDS + i);
	ck_assert_uint_ge(reports, SEEDS * REPORTS);
}
END_TEST

START_TEST(hosts_of_other_seeds_are_told_whole)
{
	random_seeds("sample_closes", check_seed, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sample_closes");
	TCase *any = tcase_create("any");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(any, any_host_is_told_whole, 0, 4);
	tcase_add_test(any, hosts_of_other_seeds_are_told_whole);
	tcase_set_timeout(any, 120);
	suite_add_tcase(suite, any);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
