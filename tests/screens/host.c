/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Writes the recording of a host that there is not, every time the same: what deepmon-top's kept screens are
 * of, and its picture. It has a processor with all counters and all of RAPL, which machines that tests run
 * on lack; containers of Docker Compose and of Kubernetes; and names as nobody should give them.
 *
 *   host FILE SECONDS
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../../bpf/cpu.h"
#include "../../bpf/file_io.h"
#include "../../bpf/net.h"
#include "../../common/network.h"
#include "../../common/recorder.h"
#include "../../common/topology.h"
#include "actors.h"

#define SECOND	  1000000000ull
#define BEGAN_NS  (1772366400ull * SECOND) /* 2026-03-01 12:00:00 UTC */
#define BOOTED_NS (1000ull * SECOND)	   /* what CLOCK_MONOTONIC was then */
#define CPUS	  8
#define DOMAINS	  4
#define MAX_SLOTS 64
#define FIRST_ID  4000 /* of cgroups */
#define KIB	  1024ull
#define MIB	  (1024 * KIB)
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define PARTS	  3
#define DIGITS	  64 /* of a container's id */

/* Somebody who runs: what it does a second, by and large. */
struct actor {
	const char *name,
	    *container;	     /* of a pod's: NAMESPACE/POD/CONTAINER, CONTAINER; of a unit: its path */
	const char *runtime; /* NULL: it is no container */
	const char *image, *version;
	struct {
		const char *key, *value;
	} labels[2]; /* sorted by their keys */
	const char *processes[PARTS];

	uint32_t cpu, busy;		  /* on which CPU, thousandths of it */
	uint32_t swing, over;		  /* by so many per cent more and less, over so many seconds */
	uint32_t mhz, ipc;		  /* instructions per 100 cycles */
	uint32_t misses;		  /* thousandths of its references */
	uint32_t resident;		  /* MiB */
	uint32_t limit;			  /* MiB; 0: none */
	uint32_t sent, received;	  /* TCP, KiB */
	uint32_t disk_read, disk_written; /* KiB */
	uint32_t file_read, file_written; /* KiB */
};

#define ACTOR(...) {__VA_ARGS__},
static const struct actor actors[] = {ACTORS(ACTOR)};

static const struct {
	enum energy_domain domain;
	uint32_t idle_mw, busy_mw; /* of a CPU's worth of work */
} domains[DOMAINS] = {{ENERGY_PACKAGE, 9400, 7300},
		      {ENERGY_CORE, 2100, 6200},
		      {ENERGY_DRAM, 3100, 900},
		      {ENERGY_PSYS, 31000, 9600}};

/* What has come together so far. */
static struct {
	struct cpu_usage used[COUNT(actors)], parts[COUNT(actors)][PARTS], idle[CPUS], kernel;
	struct net_usage network[COUNT(actors)];
	struct file_io_usage files[COUNT(actors)];
	uint64_t energy_uj[DOMAINS], busy_ns;
} now, last;

static struct recording_fields fields[RECORDING_FIGURES];

/* recorder_host asks whose host it is. */
int __wrap_uname(struct utsname *name);
int __wrap_uname(struct utsname *name)
{
	*name = (struct utsname){.nodename = "node1", .release = "6.12.0", .machine = "x86_64"};
	return 0;
}

/* ---- What goes on ------------------------------------------------------------------------------- */

/* From -1000 up to 1000 and down again. */
static int64_t wave(uint64_t second, uint64_t over, uint64_t begins)
{
	uint64_t place = over > 1 ? (second + begins) % over * 4000 / over : 1000;

	return place < 2000 ? (int64_t)place - 1000 : 3000 - (int64_t)place;
}

/* An actor's amount in a second, which swings with it. */
static uint64_t amount(const struct actor *actor, uint64_t a_second, uint64_t second)
{
	int64_t swing = wave(second, actor->over, actor->mhz) * actor->swing;

	return (uint64_t)((int64_t)a_second * (100000 + swing) / 100000);
}

static void add_usage(struct cpu_usage *usage, const struct actor *actor, uint64_t time_ns)
{
	uint64_t cycles = time_ns * actor->mhz / 1000, references = cycles / 40;

	usage->time_ns += time_ns;
	usage->overlap_ns += time_ns * (20 + actor->cpu * 5) / 100;
	usage->counter[CPU_COUNTER_CYCLES] += cycles;
	usage->counter[CPU_COUNTER_INSTRUCTIONS] += cycles * actor->ipc / 100;
	usage->counter[CPU_COUNTER_CACHE_REFERENCES] += references;
	usage->counter[CPU_COUNTER_CACHE_MISSES] += references * actor->misses / 1000;
	usage->switches += time_ns / 150000;
}

/* Most of it by the first process, half of the rest by each other. */
static void add_parts(size_t index, uint64_t time_ns)
{
	const struct actor *actor = &actors[index];

	for (int part = 0; part < PARTS && actor->processes[part]; part++) {
		uint64_t own_ns = part ? time_ns / 2 : time_ns * 9 / 10;

		add_usage(&now.parts[index][part], actor, own_ns);
		time_ns -= own_ns;
	}
}

static void add_network(struct net_usage *network, const struct actor *actor, uint64_t second)
{
	uint64_t sent = amount(actor, actor->sent * KIB, second),
		 received = amount(actor, actor->received * KIB, second);

	network->tcp_sent_bytes += sent;
	network->tcp_sent_messages += sent / 1200;
	network->tcp_received_bytes += received;
	network->tcp_received_messages += received / 1100;
	network->tcp_opened_active += sent / 200000;
	network->tcp_opened_passive += received / 300000;
	network->tcp_retransmits += second % 7 == 0 && sent;
	network->tcp_rtt_sum_us += received / 1100 * (180 + second % 20);
	network->tcp_rtt_readings += received / 1100;
	network->udp_sent_bytes += 90 * (sent > 0);
	network->udp_sent_messages += sent > 0;
	network->udp_received_bytes += 210 * (sent > 0);
	network->udp_received_messages += sent > 0;
}

static void add_files(struct file_io_usage *files, const struct actor *actor, uint64_t second)
{
	uint64_t read = amount(actor, actor->file_read * KIB, second),
		 written = amount(actor, actor->file_written * KIB, second);

	files->read_bytes += read;
	files->reads += read / 8192;
	files->written_bytes += written;
	files->writes += written / 4096;
}

static void go_on(uint64_t second)
{
	uint64_t busy_ns[CPUS] = {0}, all_ns = 0;

	for (size_t i = 0; i < COUNT(actors); i++) {
		const struct actor *actor = &actors[i];
		uint64_t time_ns = amount(actor, actor->busy * (SECOND / 1000), second);

		busy_ns[actor->cpu] += time_ns;
		add_usage(&now.used[i], actor, time_ns);
		add_parts(i, time_ns);
		add_network(&now.network[i], actor, second);
		add_files(&now.files[i], actor, second);
	}
	now.kernel.time_ns += 6000000;
	now.kernel.switches += 900;
	busy_ns[0] += 6000000;
	for (int cpu = 0; cpu < CPUS; cpu++) {
		now.idle[cpu].time_ns += SECOND - busy_ns[cpu];
		now.idle[cpu].switches += (SECOND - busy_ns[cpu]) / 400000;
		all_ns += busy_ns[cpu];
	}
	for (int i = 0; i < DOMAINS; i++)
		now.energy_uj[i] +=
		    domains[i].idle_mw * 1000 + domains[i].busy_mw * (all_ns / 1000000) / 1000 * 1000;
	now.busy_ns += all_ns;
}

/* ---- What is written down ----------------------------------------------------------------------- */

static uint32_t slot_of(size_t actor)
{
	return CPU_SLOT_FIRST + (uint32_t)actor;
}

/* The same digits for the same actor. */
static void make_id(size_t actor, char id[DIGITS + 1])
{
	uint64_t state = 0x9e3779b97f4a7c15u * (actor + 1);

	for (int i = 0; i < DIGITS; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		id[i] = "0123456789abcdef"[state >> 60];
	}
	id[DIGITS] = '\0';
}

static void put_setup(struct recorder *recorder, const struct deepmon_options *options)
{
	static uint8_t index_of_cpu[CPUS];
	const struct topology topology = {
	    .has_siblings = true, .socket_count = 1, .cpu_count = CPUS, .index_of_cpu = index_of_cpu};
	struct recording_out *out = recorder_notes(recorder);

	recorder_host(recorder, options);
	recorder_topology(recorder, &topology);
	for (int i = 0; i < DOMAINS; i++) {
		struct energy_zone zone = {.source = "powercap", .range_uj = 262143328850};

		energy_zone_identify(&zone, domains[i].domain, domains[i].domain == ENERGY_PSYS ? -1 : 0, -1);
		recorder_zone(recorder, &zone);
	}
	recording_begin(out, RECORDING_KERNEL);
	recording_put(out, MAX_SLOTS);
	recording_put(out, true);		      /* overlap */
	recording_put(out, (1u << CPU_COUNTERS) - 1); /* counters */
	recording_put(out, COUNT(actors) * PARTS);    /* processes */
	recording_end(out);
	recording_begin(out, RECORDING_NETWORKED);
	recording_put(out, NETWORK_TRAFFIC | NETWORK_CONNECTIONS | NETWORK_RETRANSMITS);
	recording_end(out);
	recording_begin(out, RECORDING_FILES);
	recording_end(out);
	recording_begin(out, RECORDING_FOOTPRINTS);
	recording_put(out, true); /* memory */
	recording_put(out, true); /* block devices */
	recording_end(out);
	recorder_frame(recorder, RECORDING_SETUP, BEGAN_NS);
}

static void put_actor(struct recorder *recorder, size_t index)
{
	const struct actor *actor = &actors[index];
	struct identity identity = {.kind = IDENTITY_CONTAINER, .named = true, .user = -1};
	char path[256], id[DIGITS + 1];

	if (!actor->runtime) {
		recorder_created(recorder, FIRST_ID + index, actor->name);
		return;
	}
	make_id(index, id);
	if (*actor->container)
		snprintf(
		    path, sizeof(path),
		    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%08zx_0000_4000_8000_"
		    "000000000000.slice/cri-containerd-%s.scope",
		    index, id);
	else
		snprintf(path, sizeof(path), "/system.slice/%s-%s.scope",
			 strcmp(actor->runtime, "podman") == 0 ? "libpod" : actor->runtime, id);
	recorder_created(recorder, FIRST_ID + index, path);
	identity.runtime = actor->runtime;
	snprintf(identity.id, sizeof(identity.id), "%s", id);
	snprintf(identity.name, sizeof(identity.name), "%s", actor->name);
	snprintf(identity.container, sizeof(identity.container), "%s", actor->container);
	snprintf(identity.image, sizeof(identity.image), "%s", actor->image);
	snprintf(identity.version, sizeof(identity.version), "%s", actor->version);
	for (size_t i = 0; i < COUNT(actor->labels) && actor->labels[i].key; i++)
		identity_set_label(&identity, actor->labels[i].key, actor->labels[i].value);
	recorder_name(recorder, id, &identity);
}

static void put_owners(struct recording_out *out)
{
	recording_begin(out, RECORDING_OWNERS);
	for (int i = 0; i < 4; i++)
		recording_put(out, 0); /* refused, failed, unseen, processes refused */
	for (size_t i = 0; i < COUNT(actors); i++) {
		recording_put(out, slot_of(i) + 1);
		recording_put(out, FIRST_ID + i);
	}
	recording_put(out, 0);
	recording_end(out);
}

/* Slots, CPUs and processes are written one higher, and a 0 ends their list. */
static void put_growth(struct recording_out *out, enum recording_figures of, uint32_t number, int cpu,
		       void *before, const void *after)
{
	if (!recording_has_growth(&fields[of], before, after))
		return;
	recording_put(out, number + 1);
	if (cpu >= 0)
		recording_put(out, (uint64_t)cpu);
	recording_put_growth(out, &fields[of], before, after);
}

static void put_processes(struct recording_out *out, size_t index)
{
	for (int part = 0; part < PARTS && actors[index].processes[part]; part++) {
		recording_begin(out, RECORDING_PROCESS);
		recording_put(out, BOOTED_NS + index * SECOND + (uint64_t)part);
		recording_put(out, 7000 + index * PARTS + (uint64_t)part);
		recording_put(out, slot_of(index));
		recording_put_text(out, actors[index].processes[part]);
		put_growth(out, RECORDING_OF_USAGE, actors[index].cpu, -1, &last.parts[index][part],
			   &now.parts[index][part]);
		recording_put(out, 0);
		recording_end(out);
	}
}

static void put_books(struct recording_out *out)
{
	for (size_t i = 0; i < COUNT(actors); i++)
		put_processes(out, i);
	recording_begin(out, RECORDING_USAGE);
	for (int cpu = 0; cpu < CPUS; cpu++)
		put_growth(out, RECORDING_OF_USAGE, CPU_SLOT_IDLE, cpu, &last.idle[cpu], &now.idle[cpu]);
	put_growth(out, RECORDING_OF_USAGE, CPU_SLOT_KERNEL, 0, &last.kernel, &now.kernel);
	for (size_t i = 0; i < COUNT(actors); i++)
		put_growth(out, RECORDING_OF_USAGE, slot_of(i), (int)actors[i].cpu, &last.used[i],
			   &now.used[i]);
	recording_put(out, 0);
	recording_end(out);
	recording_begin(out, RECORDING_NETWORK);
	for (size_t i = 0; i < COUNT(actors); i++)
		put_growth(out, RECORDING_OF_NETWORK, slot_of(i), -1, &last.network[i], &now.network[i]);
	recording_put(out, 0);
	recording_end(out);
	recording_begin(out, RECORDING_FILE_IO);
	for (size_t i = 0; i < COUNT(actors); i++)
		put_growth(out, RECORDING_OF_FILE_IO, slot_of(i), -1, &last.files[i], &now.files[i]);
	recording_put(out, 0);
	recording_end(out);
}

static void put_memory(struct recording_out *out, const struct actor *actor, uint64_t second)
{
	uint64_t resident = amount(actor, actor->resident * MIB, second / 10);
	struct deepmon_memory memory = {.usage_bytes = resident * 5 / 4,
					.working_set_bytes = resident,
					.anonymous_bytes = resident * 4 / 5,
					.page_cache_bytes = resident * 2 / 5,
					.kernel_bytes = resident / 20,
					.limit_bytes = actor->limit * MIB,
					.minor_faults = actor->busy * second * 3,
					.major_faults = actor->disk_read * second / 900,
					.oom_kills = actor->resident > 2500 && second > 20};
	uint64_t valid = 0;

#define HAS(field) (valid |= 1ull << DEEPMON_INDEX_MEMORY_##field)
	HAS(usage_bytes), HAS(working_set_bytes), HAS(anonymous_bytes), HAS(page_cache_bytes);
	HAS(kernel_bytes), HAS(minor_faults), HAS(major_faults), HAS(oom_kills);
	if (actor->limit) {
		memory.limit_percent = 100.0 * (double)resident / (double)memory.limit_bytes;
		HAS(limit_bytes), HAS(limit_percent);
	}
	recording_put(out, true);
	recording_put_figures(out, &fields[RECORDING_OF_MEMORY], &memory, valid);
}

static void put_device(struct recording_out *out, uint64_t major, const char *name, uint64_t read,
		       uint64_t written)
{
	const struct deepmon_block block = {.read_bytes = read,
					    .written_bytes = written,
					    .read_operations = read / 16384,
					    .write_operations = written / 8192};
	uint64_t valid = 0;

#undef HAS
#define HAS(field) (valid |= 1ull << DEEPMON_INDEX_BLOCK_##field)
	HAS(read_bytes), HAS(written_bytes), HAS(read_operations), HAS(write_operations);
	recording_put(out, major);
	recording_put(out, 0); /* minor */
	recording_put_text(out, name);
	recording_put_figures(out, &fields[RECORDING_OF_BLOCK], &block, valid);
}

static void put_footprint(struct recording_out *out, size_t index, uint64_t second)
{
	const struct actor *actor = &actors[index];
	uint64_t read = actor->disk_read * KIB * second, written = actor->disk_written * KIB * second;

	recording_begin(out, RECORDING_FOOTPRINT);
	recording_put(out, FIRST_ID + index);
	put_memory(out, actor, second);
	recording_put(out, read || written);
	recording_put(out, read || written ? 2 : 0);
	if (read || written) {
		put_device(out, 259, "nvme0n1", read * 3 / 4, written * 3 / 4);
		put_device(out, 253, "dm-0", read / 4, written / 4);
	}
	recording_end(out);
}

/* What deepmon measured of itself. */
static void put_end(struct recorder *recorder, uint64_t second)
{
	struct deepmon_self_cost self = {.process_cpu_time_ns = 9000000 * second,
					 .power_watts = 0.07,
					 .resident_bytes = 17 * MIB,
					 .samples = second};
	uint64_t valid = 0;

#undef HAS
#define HAS(field) (valid |= 1ull << DEEPMON_INDEX_SELF_COST_##field)
	HAS(process_cpu_time_ns), HAS(power_watts), HAS(resident_bytes), HAS(samples);
	recorder_tell(recorder, BOOTED_NS + second * SECOND, BEGAN_NS + second * SECOND, &self, valid);
	recorder_frame(recorder, RECORDING_REPORT, BEGAN_NS + second * SECOND);
}

static void put_second(struct recorder *recorder, uint64_t second)
{
	struct recording_out *out = recorder_notes(recorder);

	if (!second) {
		for (size_t i = 0; i < COUNT(actors); i++)
			put_actor(recorder, i);
		put_owners(out);
	}
	put_books(out);
	for (size_t i = 0; i < DOMAINS; i++) {
		const struct energy_reading reading = {.raw_uj = now.energy_uj[i],
						       .now_ns = BOOTED_NS + second * SECOND};

		recorder_energy(recorder, i, &reading);
	}
	recorder_charge(recorder, BOOTED_NS + second * SECOND, 0, 0);
	recorder_choose(recorder, BOOTED_NS + second * SECOND, !second);
	for (size_t i = 0; i < COUNT(actors); i++)
		put_footprint(out, i, second);
	if (second) {
		put_end(recorder, second);
		return;
	}
	recorder_begin(recorder, BOOTED_NS);
	recorder_frame(recorder, RECORDING_SAMPLE, BEGAN_NS);
}

static int set(struct deepmon_options *options, const char *name, const char *value)
{
	char why[256];
	int r = deepmon_options_set(options, name, value, why, sizeof(why));

	if (r)
		fprintf(stderr, "host: %s\n", why);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const settings[][2] = {
	    {"Network", "on"}, {"HTTP", "on"}, {"FileIO", "counts"}, {"Processes", "2"}, {"Record", "host"}};
	const struct deepmon_logger silent = {0};
	struct deepmon_options options;
	struct recorder *recorder;
	uint64_t seconds = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	int r = 0;

	if (!seconds) {
		fputs("Usage: host FILE SECONDS\n", stderr);
		return 2;
	}
	deepmon_options_init(&options);
	for (size_t i = 0; i < COUNT(settings) && !r; i++)
		r = set(&options, settings[i][0], settings[i][1]);
	remove(argv[1]);
	snprintf(options.record, sizeof(options.record), "%s", argv[1]);
	if (r || recorder_open(&recorder, &options, &silent))
		return EXIT_FAILURE;
	for (int i = 0; i < RECORDING_FIGURES; i++)
		recording_fields_own((enum recording_figures)i, &fields[i]);
	/* Where it was written is no part of it. */
	snprintf(options.record, sizeof(options.record), "%s", "host");
	put_setup(recorder, &options);
	for (uint64_t second = 0; second <= seconds; second++) {
		if (second)
			go_on(second);
		put_second(recorder, second);
	}
	recorder_close(recorder);
	return EXIT_SUCCESS;
}
