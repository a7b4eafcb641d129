/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A host as chance will have it: sockets and CPUs, energy counters, cgroups that come and go, are named late
 * or missed, and what its fake kernel counts meanwhile. All state is static: one host at a time.
 */
#ifndef TESTS_RANDOM_HOST_H
#define TESTS_RANDOM_HOST_H

#include "../../common/attribution.h"

#include <string.h>

#include "fake_kernel.h"
#include "random.h"

#define HOST_SOCKETS_MAX 8
#define HOST_CPUS_MAX	 16
#define HOST_CGROUPS_MAX 16 /* that get a slot */
#define HOST_ZONES_MAX	 64
#define MS		 1000000ull
#define UNKNOWN		 99 /* a socket that is none of the host's */
#define START_NS	 (5000000 * MS)
#define UJ_OF(ns, mW)	 ((ns) / 1000 * (mW) / 1000)

/* ---- The host ---------------------------------------------------------------------------------- */

static struct kernel *kernel; /* NULL: this host has none */
static struct topology topology;
static uint8_t index_of_cpu[HOST_CPUS_MAX];
static struct groups groups;
static struct cgroups cgroups;
static struct attribution attribution;
static struct energy_zone zones[HOST_ZONES_MAX];
static size_t zone_count;
static uint64_t now_ns, next_id;
static uint64_t all_ns; /* that the kernel counted */

static void make_topology(void)
{
	topology = (struct topology){.socket_count = 1 + random_below(HOST_SOCKETS_MAX),
				     .cpu_count = 1 + (uint32_t)random_below(HOST_CPUS_MAX),
				     .index_of_cpu = index_of_cpu};
	for (size_t i = 0; i < topology.socket_count; i++)
		topology.socket[i] = (int)(random_once_in(8) ? 10 + i : i);
	for (uint32_t cpu = 0; cpu < topology.cpu_count; cpu++)
		index_of_cpu[cpu] = (uint8_t)random_below(topology.socket_count);
}

static void add_zone(enum energy_domain domain, int socket)
{
	static const uint64_t ranges[] = {0, 65500000000, 262143328850, 4294967295000000, 500000000};
	struct energy_zone *zone = &zones[zone_count++];

	*zone = (struct energy_zone){.source = "fake", .domain = domain, .socket = socket};
	zone->range_uj = ranges[random_below(5)];
}

/* Sockets lack a domain here and there, have one of each die, or are none that has a CPU. */
static void make_zones(void)
{
	zone_count = 0;
	if (random_once_in(16))
		return;
	for (size_t i = 0; i < topology.socket_count; i++)
		for (int domain = 0; domain < ENERGY_PSYS; domain++)
			for (uint64_t dies = random_below(8) ? 1 : random_below(3); dies; dies--)
				add_zone((enum energy_domain)domain, topology.socket[i]);
	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++)
		if (random_once_in(4))
			add_zone((enum energy_domain)domain, energy_is_divided((enum energy_domain)domain)
								 ? UNKNOWN
								 : ENERGY_SOCKET_NONE);
}

static struct attribution_rules any_rules(void)
{
	static const uint32_t ratios[] = {550000, 0, SMT_PPM, 2 * SMT_PPM};
	struct attribution_rules rules = {.overlap_ratio_ppm = random_once_in(2)
								   ? ratios[random_below(4)]
								   : (uint32_t)random_below(SMT_PPM)};

	rules.idle_policy = (enum ledger_idle_policy)random_below(3);
	for (int domain = 0; domain < ENERGY_DOMAIN_COUNT; domain++)
		rules.idle_watts[domain] = random_below(3) ? -1 : (double)random_below(2001) / 8;
	return rules;
}

/* `before_reading` is told of each slot that is about to be charged; may be NULL. */
__attribute__((unused)) static void host_make(void (*before_reading)(uint32_t slot))
{
	uint32_t max_cgroups = 1 + (uint32_t)random_below(HOST_CGROUPS_MAX);
	struct attribution_rules rules = any_rules();

	make_topology();
	make_zones();
	now_ns = START_NS;
	all_ns = 0;
	kernel = random_once_in(16) ? NULL : fake_kernel_new(topology.cpu_count, max_cgroups);
	if (kernel) {
		kernel->before_reading = before_reading;
		kernel->overlap = random_once_in(2);
		kernel->counter_mask = random_once_in(2) ? (uint32_t)random_below(16) : 15;
	}
	memset(fake_cgroups, 0, sizeof(fake_cgroups));
	groups_init(&groups, topology.socket_count, random_below(6));
	cgroups_init(&cgroups, NULL, NULL, &groups,
		     random_once_in(4) ? 1 + random_below(8) : (size_t)max_cgroups * 2);
	must(attribution_init(&attribution, kernel, &topology, &cgroups, &groups, zone_count, &rules) == 0);
}

__attribute__((unused)) static void host_clear(void)
{
	attribution_clear(&attribution);
	cgroups_clear(&cgroups);
	groups_clear(&groups);
	kernel_close(kernel);
}

/* ---- What happens on it ------------------------------------------------------------------------ */

static void make_cgroup(struct fake_cgroup *cgroup)
{
	static const char *const paths[] = {"/", "/system.slice/one.service", "/system.slice/one.service/sub",
					    "/user.slice/two.scope"};
	unsigned name = (unsigned)random_below(12);

	cgroup->id = ++next_id;
	if (name < 4)
		snprintf(cgroup->path, sizeof(cgroup->path), "%s", paths[name]);
	else
		snprintf(cgroup->path, sizeof(cgroup->path), "/docker/%04x%08x%052x%s", name,
			 (unsigned)(next_id - random_below(2)), 0, random_once_in(4) ? "/nested" : "");
	if (random_below(4))
		cgroups_add(&cgroups, cgroup->id, cgroup->path);
}

/* Cgroups come and go; of some the collector hears nothing. Returns one that is gone and still runs. */
static uint64_t change_cgroups(void)
{
	uint64_t late = 0;

	fake_names_in_files = random_once_in(2);
	for (int changes = (int)random_below(4); changes; changes--) {
		struct fake_cgroup *cgroup = &fake_cgroups[random_below(1 + random_below(FAKE_CGROUPS))];

		if (!cgroup->id) {
			make_cgroup(cgroup);
			continue;
		}
		if (random_below(4))
			cgroups_remove(&cgroups, cgroup->id, now_ns);
		late = cgroup->id;
		cgroup->id = 0;
	}
	if (random_once_in(16))
		cgroups_search(&cgroups, now_ns);
	return random_once_in(2) ? late : 0;
}

static uint32_t any_slot(uint64_t late)
{
	const struct fake_cgroup *cgroup = &fake_cgroups[random_below(FAKE_CGROUPS)];
	uint64_t id = late && random_once_in(4) ? late : cgroup->id;

	if (random_once_in(6))
		return (uint32_t)random_below(CPU_SLOT_FIRST);
	return id ? fake_slot(kernel, id, random_once_in(8) ? topology.cpu_count : 0) : CPU_SLOT_IDLE;
}

/* Is told what ran where, if not NULL. */
static void (*host_ran)(uint32_t cpu, uint32_t slot, const struct cpu_usage *stretch);

static void run(uint32_t cpu, uint32_t slot, uint64_t time_ns)
{
	struct cpu_usage stretch = {.time_ns = time_ns};

	all_ns += time_ns;
	if (slot != CPU_SLOT_IDLE && kernel->overlap)
		stretch.overlap_ns = random_once_in(2) ? random_below(time_ns + 1) : time_ns;
	/* Also without time: a reader may see a count before the time that it took. */
	for (int i = 0; i < CPU_COUNTERS && slot != CPU_SLOT_IDLE; i++)
		if (kernel->counter_mask & 1u << i && random_below(8))
			stretch.counter[i] = random_below(4 * time_ns + 100);
	usage_add(fake_usage(kernel, cpu, slot), &stretch);
	if (host_ran)
		host_ran(cpu, slot, &stretch);
}

static void run_cpus(uint64_t elapsed_ns, uint64_t late)
{
	for (uint32_t cpu = 0; cpu < topology.cpu_count; cpu++) {
		uint64_t left = elapsed_ns;

		if (random_once_in(16))
			continue; /* offline */
		for (uint64_t stretches = random_below(5); stretches; stretches--) {
			uint64_t time_ns = random_once_in(8) ? 0 : random_below(left + 1);

			run(cpu, any_slot(late), time_ns);
			left -= time_ns;
		}
		run(cpu, random_once_in(4) ? any_slot(late) : CPU_SLOT_IDLE, left);
	}
	kernel->counters_failed += random_once_in(8) ? random_below(3) : 0;
}

/* One counter goes on, or is read as something else. */
static void read_zone(struct energy_zone *zone, uint64_t elapsed_ns)
{
	uint64_t raw_uj = zone->raw_uj + UJ_OF(elapsed_ns, random_sized(18));

	if (random_once_in(24)) {
		zone->valid = false; /* as energy_read leaves one that can't be read */
		zone->delta_uj = zone->elapsed_ns = 0;
		return;
	}
	if (zone->range_uj)
		raw_uj %= zone->range_uj;
	if (random_once_in(32))
		raw_uj = random_below(zone->range_uj + 1000);
	if (random_once_in(64))
		zone->has_reading = false; /* it counts anew */
	energy_advance(zone, raw_uj, now_ns + random_below(1000));
}

/* A container that waits for its name, or NULL. */
__attribute__((unused)) static struct group *host_nameless(void)
{
	struct group *group = groups.count ? groups.all[random_below(groups.count)] : NULL;

	return group && group->kind == IDENTITY_CONTAINER && !group->named && !group->ended_number ? group
												   : NULL;
}

/* As the collector does when a runtime has told a name: the group that it is then. */
__attribute__((unused)) static struct group *host_name(struct group *group)
{
	struct identity identity = {.kind = group->kind, .runtime = group->runtime};
	struct group *named;

	snprintf(identity.id, sizeof(identity.id), "%s", group->id);
	must(fake_name(&identity) == 0);
	named = groups_name(&groups, group, &identity);
	cgroups_regroup(&cgroups, group, named);
	return named;
}

/* An interval goes by, up to when it is charged. */
__attribute__((unused)) static void host_run(void)
{
	uint64_t elapsed_ns = random_once_in(64) ? random_below(900000) * MS : 1 + random_sized(31);
	uint64_t late = change_cgroups();

	now_ns += elapsed_ns;
	if (kernel)
		run_cpus(elapsed_ns, late);
	for (size_t i = 0; i < zone_count; i++)
		read_zone(&zones[i], elapsed_ns);
}

#endif
