/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Loads bpf/net.bpf.c, with as many of its programs as this kernel has hooks for, and reads its map.
 */
#include "network.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "account.h"
#include "bpf/net.skel.h"
#include "bpf_object.h"
#include "findings.h"
#include "log.h"

struct network {
	struct net_bpf *bpf;
	uint32_t counted;
	struct bpf_mapping usage, dialogues;
	struct net_usage *taken;	       /* [slot] */
	struct net_dialogues *dialogues_taken; /* [slot] */
	struct kernel_copy *copy;	       /* read in place of the maps; NULL: they are read */
};

/* A hook of the kernel's: a tracepoint, and what can't be counted without it. */
struct hook {
	struct bpf_program *program;
	const char *tracepoint;
	uint32_t counts;
};

static bool has_tracepoint(const struct btf *btf, const char *name)
{
	char type[64];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* Leaves out the programs that this kernel has no tracepoint for: one would fail them all. */
static int choose_programs(struct network *network, bool timed, const struct deepmon_logger *logger)
{
	const struct hook hooks[] = {
	    {network->bpf->progs.net_sent, "sock_send_length", NETWORK_TRAFFIC | NETWORK_TRANSACTIONS},
	    {network->bpf->progs.net_received, "sock_recv_length", NETWORK_TRAFFIC | NETWORK_TRANSACTIONS},
	    {network->bpf->progs.net_state, "inet_sock_set_state",
	     NETWORK_CONNECTIONS | NETWORK_TRANSACTIONS},
	    {network->bpf->progs.net_destroyed, "tcp_destroy_sock", NETWORK_TRANSACTIONS},
	    {network->bpf->progs.net_retransmitted, "tcp_retransmit_skb", NETWORK_RETRANSMITS},
	    {network->bpf->progs.net_reset_sent, "tcp_send_reset", NETWORK_RESETS},
	    {network->bpf->progs.net_reset_received, "tcp_receive_reset", NETWORK_RESETS},
	};
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return -errno;
	network->counted = NETWORK_TRAFFIC | NETWORK_CONNECTIONS | NETWORK_RETRANSMITS | NETWORK_RESETS |
			   (timed ? NETWORK_TRANSACTIONS : 0);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		char hook[BPF_OBJECT_HOOK_MAX];

		if (has_tracepoint(btf, hooks[i].tracepoint))
			continue;
		bpf_object_hook(hooks[i].program, hook);
		finding_add(logger, DEEPMON_FOUND_MISSING, "hook", hook,
			    hooks[i].counts == NETWORK_TRAFFIC
				? "boot Linux 6.3 or later, where it is built in"
				: "boot a kernel that has it built in",
			    "this kernel has no tracepoint %s: what it tells of the network is left out",
			    hooks[i].tracepoint);
		bpf_program__set_autoload(hooks[i].program, false);
		network->counted &= ~hooks[i].counts;
	}
	btf__free(btf);
	network->bpf->rodata->with_transactions = network->counted & NETWORK_TRANSACTIONS;
	if (!(network->counted & NETWORK_TRANSACTIONS))
		bpf_program__set_autoload(network->bpf->progs.net_destroyed, false);
	if (!(network->counted & NETWORK_TRAFFIC))
		log_warning(logger,
			    "network: this kernel does not tell of each send and receive (sock_send_length, "
			    "from Linux 6.3 on where it is built in): bytes, messages and transactions are "
			    "left out");
	return 0;
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

static int start(struct network *network, const struct network_settings *settings,
		 const struct deepmon_logger *logger, const char **step)
{
	uint32_t slots = kernel_slot_count(settings->kernel);
	int r;

	*step = "opened";
	network->bpf = net_bpf__open();
	network->taken = calloc(slots, sizeof(*network->taken));
	network->dialogues_taken = calloc(slots, sizeof(*network->dialogues_taken));
	if (!network->bpf || !network->taken || !network->dialogues_taken)
		return -errno;
	network->bpf->rodata->with_http = settings->http;
	network->bpf->rodata->cgroup_subsys = settings->hierarchy->subsys;
	bpf_map__set_max_entries(network->bpf->maps.net_usage, slots);
	r = share_slots(network, settings->kernel);
	if (!r)
		r = share_latency(network, settings->latency);
	if (!r)
		r = choose_programs(network, settings->latency != NULL, logger);
	if (!r && network->counted & NETWORK_TRANSACTIONS)
		r = bpf_map__set_max_entries(network->bpf->maps.net_dialogues, slots);
	*step = "loaded";
	if (!r)
		r = net_bpf__load(network->bpf);
	if (!r)
		r = bpf_mapping_open(&network->usage, network->bpf->maps.net_usage);
	if (!r)
		r = bpf_mapping_open(&network->dialogues, network->bpf->maps.net_dialogues);
	*step = "attached";
	return r ? r : net_bpf__attach(network->bpf);
}

int network_open(struct network **opened, const struct network_settings *settings,
		 const struct deepmon_logger *logger)
{
	struct network *network = calloc(1, sizeof(*network));
	libbpf_print_fn_t print;
	const char *step;
	int r;

	if (!network)
		return -ENOMEM;
	print = bpf_object_silence();
	r = start(network, settings, logger, &step);
	libbpf_set_print(print);
	if (r) {
		bpf_object_log_refusal(logger, "the network's accounting", step, r,
				       "The network is left out");
		network_close(network);
		return r;
	}
	bpf_object_find(logger, "the network's accounting", network->bpf->obj);
	*opened = network;
	return 0;
}

void network_close(struct network *network)
{
	if (!network)
		return;
	bpf_mapping_close(&network->usage);
	bpf_mapping_close(&network->dialogues);
	net_bpf__destroy(network->bpf);
	free(network->taken);
	free(network->dialogues_taken);
	free(network);
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
	take((const struct net_dialogues *)network->dialogues.memory + slot, &network->dialogues_taken[slot],
	     used, sizeof(*used));
}

void network_keep_copy(struct network *network, const struct kernel *kernel)
{
	network->copy = kernel_copy_of(kernel);
}

void network_capture(struct network *network, struct recording_out *out)
{
	struct kernel_copy *copy = network->copy;

	recording_begin(out, RECORDING_NETWORK);
	for (uint32_t slot = 0; slot < copy->slots; slot++) {
		const __u64 *counts = (const __u64 *)((const struct net_usage *)network->usage.memory + slot);
		struct net_usage now;

		for (size_t i = 0; i < sizeof(now) / sizeof(*counts); i++)
			((__u64 *)&now)[i] = __atomic_load_n(&counts[i], __ATOMIC_RELAXED);
		if (!recording_has_growth(&copy->fields[RECORDING_OF_NETWORK], &copy->network[slot], &now))
			continue;
		recording_put(out, slot + 1);
		recording_put_growth(out, &copy->fields[RECORDING_OF_NETWORK], &copy->network[slot], &now);
	}
	recording_put(out, 0);
	recording_end(out);
}

int network_open_recorded(struct network **opened, uint32_t counted, const struct kernel *kernel)
{
	struct network *network = calloc(1, sizeof(*network));

	if (network)
		network->taken = calloc(kernel_slot_count(kernel), sizeof(*network->taken));
	if (!network || !network->taken) {
		free(network);
		return -ENOMEM;
	}
	network->counted = counted & ~(uint32_t)NETWORK_TRANSACTIONS; /* which are not recorded */
	network->copy = kernel_copy_of(kernel);
	*opened = network;
	return 0;
}
