/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/net.bpf.c, with as many of its programs as this kernel has hooks for, and reads its map.
 */
#include "network_inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf/net.skel.h"
#include "findings.h"
#include "log.h"

/* A hook of the kernel's: a tracepoint, and what can't be counted without it. */
struct hook {
	struct bpf_program *program;
	const char *tracepoint;
	uint32_t counts;
};

#define HOOK_COUNT	5
#define OF_TRANSACTIONS (NETWORK_TRANSACTIONS | NETWORK_HTTP)

static void list_hooks(const struct net_bpf *bpf, struct hook list[HOOK_COUNT])
{
	const struct hook hooks[HOOK_COUNT] = {
	    {bpf->progs.net_state, "inet_sock_set_state", NETWORK_CONNECTIONS | OF_TRANSACTIONS},
	    {bpf->progs.net_destroyed, "tcp_destroy_sock", OF_TRANSACTIONS},
	    {bpf->progs.net_retransmitted, "tcp_retransmit_skb", NETWORK_RETRANSMITS},
	    {bpf->progs.net_reset_sent, "tcp_send_reset", NETWORK_RESETS},
	    {bpf->progs.net_reset_received, "tcp_receive_reset", NETWORK_RESETS},
	};

	memcpy(list, hooks, sizeof(hooks));
}

/* What can be counted that way, as far as no other tracepoint is missing. */
static uint32_t counted_by(const struct network *network, const struct network_settings *settings)
{
	uint32_t counted = NETWORK_CONNECTIONS | NETWORK_RETRANSMITS | NETWORK_RESETS;

	if (network->way.hooks != NETWORK_HOOKS_NONE)
		counted |= NETWORK_TRAFFIC;
	if (network->follows != NETWORK_FOLLOWS_NONE && settings->latency)
		counted |= NETWORK_TRANSACTIONS;
	if (network->follows == NETWORK_FOLLOWS_HTTP && settings->latency && settings->http)
		counted |= NETWORK_HTTP;
	return counted;
}

/* Leaves out the programs that this kernel has no tracepoint for: one would fail them all. */
static void choose_programs(struct network *network, const struct network_settings *settings,
			    const struct btf *btf)
{
	struct hook hooks[HOOK_COUNT];

	list_hooks(network->bpf, hooks);
	network->follows = network_hooks_follow(&network->way, btf);
	network->counted = counted_by(network, settings);
	network_hooks_choose(network->bpf, network->way.hooks, network->counted & NETWORK_HTTP, btf);
	for (size_t i = 0; i < HOOK_COUNT; i++) {
		if (network_has_tracepoint(btf, hooks[i].tracepoint))
			continue;
		bpf_program__set_autoload(hooks[i].program, false);
		network->counted &= ~hooks[i].counts;
	}
	network->bpf->rodata->with_transactions = network->counted & NETWORK_TRANSACTIONS;
	network->bpf->rodata->with_http = network->counted & NETWORK_HTTP;
	if (!(network->counted & NETWORK_TRANSACTIONS))
		bpf_program__set_autoload(network->bpf->progs.net_destroyed, false);
}

static const char *follows_told(enum network_follows follows)
{
	static const char *const told[] = {"does not follow transactions",
					   "follows transactions of TCP, but not of HTTP",
					   "follows transactions as well"};

	return told[follows];
}

static void find_missing(const struct network *network, const struct btf *btf,
			 const struct deepmon_logger *logger)
{
	struct hook hooks[HOOK_COUNT];
	char hook[BPF_OBJECT_HOOK_MAX];

	list_hooks(network->bpf, hooks);
	for (size_t i = 0; i < HOOK_COUNT; i++) {
		if (network_has_tracepoint(btf, hooks[i].tracepoint))
			continue;
		bpf_object_hook(hooks[i].program, hook);
		finding_add(logger, DEEPMON_FOUND_MISSING, "hook", hook, "boot a kernel that has it built in",
			    "this kernel has no tracepoint %s: what it tells of the network is left out",
			    hooks[i].tracepoint);
	}
	if (!network_hooks_missing(NETWORK_HOOKS_TRACEPOINTS, btf))
		return;
	bpf_object_hook(network->bpf->progs.net_sent, hook);
	if (network->way.hooks == NETWORK_HOOKS_NONE)
		finding_add(logger, DEEPMON_FOUND_MISSING, "hook", hook,
			    "boot Linux 6.3 or later, where it is built in",
			    "sends and receives are heard of by nothing else: bytes, messages and "
			    "transactions are left out");
	else
		finding_add(logger, DEEPMON_FOUND_MISSING, "hook", hook,
			    "boot Linux 6.3 or later, where it is built in",
			    "sends and receives are heard of by %s, which %s",
			    network_hooks_name(network->way.hooks), follows_told(network->follows));
}

static int share_slots(const struct network *network, const struct kernel *kernel)
{
	const struct kernel_slot_maps maps = kernel_slot_maps(kernel);
	int r = bpf_map__reuse_fd(network->bpf->maps.cpus, maps.cpus);

	if (!r)
		r = bpf_map__reuse_fd(network->bpf->maps.slots, maps.slots);
	if (!r)
		r = bpf_map__reuse_fd(network->bpf->maps.slot_by_cgroup, maps.slot_by_cgroup);
	if (!r)
		r = bpf_map__reuse_fd(network->bpf->maps.free_slots, maps.free_slots);
	return r;
}

static int share_latency(const struct network *network, const struct latency *latency)
{
	const struct latency_maps maps = {.pages = network->bpf->maps.latency_pages,
					  .index = network->bpf->maps.latency_index,
					  .free = network->bpf->maps.latency_free,
					  .refused = network->bpf->maps.latency_refused};

	return latency ? latency_share(latency, &maps) : 0;
}

static void size_maps(const struct network *network, const struct network_settings *settings)
{
	const uint32_t slots = kernel_slot_count(settings->kernel);
	const struct net_bpf *bpf = network->bpf;

	bpf_map__set_max_entries(bpf->maps.net_usage, slots);
	if (network->counted & NETWORK_TRANSACTIONS)
		bpf_map__set_max_entries(bpf->maps.net_dialogues, slots);
	if (network->way.hashed)
		bpf_map__set_max_entries(bpf->maps.net_sockets_hashed, settings->max_sockets);
	if (settings->max_peers || network->bpf->rodata->with_paths)
		bpf_map__set_max_entries(bpf->maps.peer_slots, slots);
	if (settings->max_peers) {
		bpf_map__set_max_entries(bpf->maps.peer_rows, settings->max_peers + 1);
		bpf_map__set_max_entries(bpf->maps.row_by_peer, settings->max_peers);
		bpf_map__set_max_entries(bpf->maps.free_rows, settings->max_peers);
		bpf_map__set_max_entries(bpf->maps.peer_ends, settings->max_peers);
	}
	if (network->bpf->rodata->with_paths) {
		bpf_map__set_max_entries(bpf->maps.path_rows, settings->max_paths + 1);
		bpf_map__set_max_entries(bpf->maps.row_by_path, settings->max_paths);
		bpf_map__set_max_entries(bpf->maps.free_path_rows, settings->max_paths);
		bpf_map__set_key_size(bpf->maps.row_by_path, path_key_size(settings->path_most));
	}
	if (network->way.hooks == NETWORK_HOOKS_KPROBES)
		bpf_map__set_max_entries(bpf->maps.net_calls, settings->max_sockets);
}

static int map_values(struct network *network)
{
	int r = bpf_mapping_open(&network->usage, network->bpf->maps.net_usage);

	if (!r)
		r = bpf_mapping_open(&network->dialogues, network->bpf->maps.net_dialogues);
	if (!r)
		r = bpf_mapping_open(&network->peer_rows, network->bpf->maps.peer_rows);
	if (!r)
		r = bpf_mapping_open(&network->path_rows, network->bpf->maps.path_rows);
	return r ? r : bpf_mapping_open(&network->peer_slots, network->bpf->maps.peer_slots);
}

static int start(struct network *network, const struct network_settings *settings, const struct btf *btf,
		 const char **step)
{
	int r;

	*step = "opened";
	network->bpf = net_bpf__open();
	if (!network->bpf)
		return -errno;
	network->bpf->rodata->cgroup_subsys = settings->hierarchy->subsys;
	network->bpf->rodata->sockets_hashed = network->way.hashed;
	network->bpf->rodata->with_peers = settings->max_peers > 0;
	choose_programs(network, settings, btf);
	network->bpf->rodata->with_paths = network->counted & NETWORK_HTTP && settings->max_paths;
	network->bpf->rodata->path_most = settings->path_most;
	network->bpf->rodata->path_fold = settings->fold_paths;
	size_maps(network, settings);
	r = share_slots(network, settings->kernel);
	if (!r)
		r = share_latency(network, settings->latency);
	*step = "loaded";
	if (!r)
		r = bpf_object_loaded(net_bpf__load(network->bpf), network->bpf->bss);
	if (!r)
		r = map_values(network);
	if (r)
		return r;
	*step = "attached";
	r = net_bpf__attach(network->bpf);
	return r ? r : network_hooks_attach(&network->links, network->bpf, network->way.hooks);
}

static void stop(struct network *network)
{
	network_hooks_detach(&network->links);
	bpf_mapping_close(&network->peer_slots);
	bpf_mapping_close(&network->path_rows);
	bpf_mapping_close(&network->peer_rows);
	bpf_mapping_close(&network->dialogues);
	bpf_mapping_close(&network->usage);
	net_bpf__destroy(network->bpf);
	network->bpf = NULL;
}

/* What is said of the ways that were passed over: "fentry can't be loaded (Operation not permitted), ..." */
struct reasons {
	char text[512];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add_reason(struct reasons *reasons, const char *format, ...)
{
	size_t room = sizeof(reasons->text) - reasons->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(reasons->text + reasons->length, room, format, arguments);
	va_end(arguments);
	if (length > 0 && (size_t)length < room)
		reasons->length += (size_t)length;
}

/* The first way that this kernel takes. */
static int start_some(struct network *network, const struct network_settings *settings, const struct btf *btf,
		      struct reasons *reasons, const char **step)
{
	int r = -ENOENT;

	for (size_t i = 0; i < network_way_count; i++) {
		const struct network_way *way = &network_ways[i];
		const char *missing = network_hooks_missing(way->hooks, btf);
		const char *name = network_hooks_name(way->hooks), *before = reasons->length ? "; " : "";

		/* The option's first word is auto. */
		if (settings->hooks && way->hooks != NETWORK_HOOKS_NONE &&
		    settings->hooks != (uint32_t)way->hooks + 1)
			continue;
		if (missing) {
			if (!way->hashed)
				add_reason(reasons, "%s%s: %s", before, name, missing);
			continue;
		}
		network->way = *way;
		r = start(network, settings, btf, step);
		if (!r)
			return 0;
		stop(network);
		add_reason(reasons, "%s%s%s can't be %s (%s)", before, name,
			   way->hashed ? "" : " with the storage of sockets", *step, strerror(-r));
	}
	return r;
}

static void say_way(const struct network *network, const struct deepmon_logger *logger,
		    const struct reasons *reasons)
{
	static const char *const left_out[] = {"; transactions are left out",
					       "; HTTP's transactions are left out", ""};
	const char *name = network_hooks_name(network->way.hooks);

	if (network->way.hooks == NETWORK_HOOKS_NONE)
		log_warning(
		    logger,
		    "network: this kernel does not tell of each send and receive: bytes, messages and "
		    "transactions are left out. %s",
		    reasons->text);
	else if (reasons->length)
		log_info(logger, "network: sends and receives are heard of by %s%s%s. %s", name,
			 network->way.hashed ? ", MaxSockets sockets known at a time" : "",
			 left_out[network->follows], reasons->text);
	if (network->links.few)
		log_warning(
		    logger,
		    "network: /sys/kernel/tracing can't be written, and without it the kernel loses sight "
		    "of sends and receives where more than a few threads wait in them. Run as root, with "
		    "tracefs mounted");
}

int network_open(struct network **opened, const struct network_settings *settings,
		 const struct deepmon_logger *logger)
{
	struct network *network = calloc(1, sizeof(*network));
	struct btf *btf = btf__load_vmlinux_btf();
	const uint32_t slots = kernel_slot_count(settings->kernel);
	struct reasons reasons = {0};
	libbpf_print_fn_t print;
	const char *step = "opened";
	int r = btf ? -ENOMEM : -errno;

	print = bpf_object_silence();
	if (network) {
		network->max_peers = settings->max_peers;
		network->taken = calloc(slots, sizeof(*network->taken));
		network->dialogues_taken = calloc(slots, sizeof(*network->dialogues_taken));
	}
	if (network && network->taken && network->dialogues_taken && btf)
		r = start_some(network, settings, btf, &reasons, &step);
	if (!r)
		find_missing(network, btf, logger);
	libbpf_set_print(print);
	btf__free(btf);
	if (r || !network) {
		bpf_object_log_refusal(logger, "the network's accounting", step, r,
				       "The network is left out");
		network_close(network);
		return r ? r : -ENOMEM;
	}
	say_way(network, logger, &reasons);
	bpf_links_watch(&network->watched, network->bpf->skeleton);
	bpf_object_find(logger, "the network's accounting", network->bpf->obj);
	*opened = network;
	return 0;
}

void network_close(struct network *network)
{
	if (!network)
		return;
	stop(network);
	free(network->taken);
	free(network->dialogues_taken);
	free(network);
}

void network_mend(struct network *network, struct bpf_links_state *state)
{
	bpf_links_mend(&network->watched, state);
}

uint32_t network_counted(const struct network *network)
{
	return network->counted;
}

/* What counts that only grow have grown by. */
static void take(const void *memory, void *taken, void *used, size_t size)
{
	const any_sum *now = memory;
	any_sum *before = taken, *out = used;

	for (size_t i = 0; i < size / sizeof(*out); i++) {
		uint64_t value = __atomic_load_n(&now[i], __ATOMIC_RELAXED);

		out[i] = value - before[i];
		before[i] = value;
	}
}

int network_add_run_time(const struct network *network, uint64_t *run_time_ns, uint64_t *runs)
{
	return bpf_object_add_run_time(network->bpf->obj, run_time_ns, runs);
}

void network_take(struct network *network, uint32_t slot, struct net_usage *used)
{
	const struct net_usage *usage = network->copy ? network->copy->network : network->usage.memory;

	take(usage + slot, &network->taken[slot], used, sizeof(*used));
}

void network_take_dialogues(struct network *network, uint32_t slot, struct net_dialogues *used)
{
	const struct net_dialogues *dialogues =
	    network->copy ? network->copy->dialogues : network->dialogues.memory;

	take(dialogues + slot, &network->dialogues_taken[slot], used, sizeof(*used));
}

bool network_keeps_hash(const struct network *network)
{
	return network->way.hashed;
}

uint64_t network_sockets_refused(const struct network *network)
{
	return __atomic_load_n(&network->bpf->bss->sockets_refused, __ATOMIC_RELAXED);
}

bool network_has_kprobes(const struct network *network)
{
	return network->way.hooks == NETWORK_HOOKS_KPROBES;
}

uint64_t network_calls_missed(const struct network *network)
{
	return __atomic_load_n(&network->bpf->bss->calls_missed, __ATOMIC_RELAXED);
}

struct peer_maps network_peer_maps(const struct network *network)
{
	struct peer_maps maps = {.most = network->max_peers, .row_by_peer = -1, .free_rows = -1};

	if (network->copy)
		maps.copy = &network->copy->peers;
	if (!network->bpf)
		return maps;
	maps.rows = network->peer_rows.memory;
	maps.slots = network->peer_slots.memory;
	maps.ready = &network->bpf->bss->peers_ready;
	maps.row_by_peer = bpf_map__fd(network->bpf->maps.row_by_peer);
	maps.free_rows = bpf_map__fd(network->bpf->maps.free_rows);
	return maps;
}

uint64_t network_peers_refused(const struct network *network)
{
	return __atomic_load_n(&network->bpf->bss->peers_refused, __ATOMIC_RELAXED);
}

bool network_has_paths(const struct network *network)
{
	return network->bpf && network->bpf->rodata->with_paths;
}

struct path_maps network_path_maps(const struct network *network)
{
	return (struct path_maps){.rows = network->path_rows.memory,
				  .slots = network->peer_slots.memory,
				  .ready = &network->bpf->bss->paths_ready,
				  .row_by_path = bpf_map__fd(network->bpf->maps.row_by_path),
				  .free_rows = bpf_map__fd(network->bpf->maps.free_path_rows)};
}

uint64_t network_paths_refused(const struct network *network)
{
	return __atomic_load_n(&network->bpf->bss->paths_refused, __ATOMIC_RELAXED);
}
