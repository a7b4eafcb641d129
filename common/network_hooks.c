/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where sends and receives are heard of. Whether a hook is there is read from the kernel's types; whether it
 * may be used only loading and attaching can tell.
 */
#include "network_hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpf/net.skel.h"

/* What no kprobe may use, nor any tracing program before Linux 5.11, is the storage of sockets. */
const struct network_way network_ways[] = {
    {NETWORK_HOOKS_TRACEPOINTS, false}, {NETWORK_HOOKS_FENTRY, false}, {NETWORK_HOOKS_FENTRY, true},
    {NETWORK_HOOKS_KPROBES, true},	{NETWORK_HOOKS_NONE, false},   {NETWORK_HOOKS_NONE, true},
};
const size_t network_way_count = sizeof(network_ways) / sizeof(network_ways[0]);

/* A function of the kernel's, and our programs behind it. */
struct hooked {
	const char *function;
	bool needed; /* without it the kind of hooks is none */
	struct bpf_program *fexit, *fexit_http, *begins, *ends;
};

#define HOOKED_COUNT 6
_Static_assert(HOOKED_COUNT <= NETWORK_HOOKED_MAX, "a kprobe and a kretprobe for each");

#define FEXIT(function) bpf->progs.net_fexit_##function, bpf->progs.net_http_##function

static void list_hooked(const struct net_bpf *bpf, struct hooked list[HOOKED_COUNT])
{
	struct bpf_program *call = bpf->progs.net_call_begins, *receive = bpf->progs.net_receive_begins;
	struct bpf_program *sent = bpf->progs.net_send_ends, *received = bpf->progs.net_receive_ends;
	const struct hooked hooked[HOOKED_COUNT] = {
	    {"inet_sendmsg", true, FEXIT(inet_sendmsg), call, sent},
	    {"inet_recvmsg", true, FEXIT(inet_recvmsg), receive, received},
	    {"inet6_sendmsg", false, FEXIT(inet6_sendmsg), call, sent},
	    {"inet6_recvmsg", false, FEXIT(inet6_recvmsg), receive, received},
	    {"inet_sendpage", false, FEXIT(inet_sendpage), bpf->progs.net_sendpage_begins, sent},
	    {"tcp_splice_read", false, FEXIT(tcp_splice_read), call, received},
	};

	for (size_t i = 0; i < HOOKED_COUNT; i++)
		list[i] = hooked[i];
}

bool network_has_tracepoint(const struct btf *btf, const char *name)
{
	char type[64];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

static bool has_helper(const struct btf *btf, const char *name)
{
	const struct btf_type *type;
	int id = btf__find_by_name_kind(btf, "bpf_func_id", BTF_KIND_ENUM);

	if (id < 0)
		return false;
	type = btf__type_by_id(btf, (__u32)id);
	for (__u32 i = 0; i < btf_vlen(type); i++)
		if (strcmp(btf__name_by_offset(btf, btf_enum(type)[i].name_off), name) == 0)
			return true;
	return false;
}

/* Where the program was when it made the call is known from Linux 5.15 on, and loops from 5.17. */
enum network_follows network_hooks_follow(const struct network_way *way, const struct btf *btf)
{
	if (way->hashed || (way->hooks != NETWORK_HOOKS_TRACEPOINTS && way->hooks != NETWORK_HOOKS_FENTRY))
		return NETWORK_FOLLOWS_NONE;
	return has_helper(btf, "BPF_FUNC_task_pt_regs") && has_helper(btf, "BPF_FUNC_loop")
		   ? NETWORK_FOLLOWS_HTTP
		   : NETWORK_FOLLOWS_TCP;
}

const char *network_hooks_name(enum network_hooks hooks)
{
	static const char *const names[] = {"tracepoints", "fentry", "kprobes", "none"};

	return names[hooks];
}

const char *network_hooks_missing(enum network_hooks hooks, const struct btf *btf)
{
	if (hooks == NETWORK_HOOKS_TRACEPOINTS && !(network_has_tracepoint(btf, "sock_send_length") &&
						    network_has_tracepoint(btf, "sock_recv_length")))
		return "sock_send_length is not in this kernel (Linux 6.3)";
	if (hooks == NETWORK_HOOKS_FENTRY &&
	    !(has_function(btf, "inet_sendmsg") && has_function(btf, "inet_recvmsg")))
		return "inet_sendmsg is not among this kernel's types";
	/*
	 * Kernel commit e21aa341785c, Linux 5.12, which brought that type. Before it a thread that waits in
	 * recvmsg as we leave comes back to memory that is free.
	 */
	if (hooks == NETWORK_HOOKS_FENTRY &&
	    btf__find_by_name_kind(btf, "bpf_tramp_image", BTF_KIND_STRUCT) <= 0)
		return "this kernel can't take them from functions that wait (Linux 5.12)";
#if !defined(__x86_64__) && !defined(__aarch64__)
	if (hooks == NETWORK_HOOKS_KPROBES)
		return "deepmon knows the registers of x86-64 and arm64 alone";
#endif
	return NULL;
}

void network_hooks_choose(struct net_bpf *bpf, enum network_hooks hooks, bool http, const struct btf *btf)
{
	struct hooked list[HOOKED_COUNT];
	bool fexit;

	list_hooked(bpf, list);
	bpf_program__set_autoload(bpf->progs.net_sent, hooks == NETWORK_HOOKS_TRACEPOINTS);
	bpf_program__set_autoload(bpf->progs.net_received, hooks == NETWORK_HOOKS_TRACEPOINTS);
	for (size_t i = 0; i < HOOKED_COUNT; i++) {
		fexit = hooks == NETWORK_HOOKS_FENTRY && has_function(btf, list[i].function);
		bpf_program__set_autoload(list[i].fexit, fexit && !http);
		bpf_program__set_autoload(list[i].fexit_http, fexit && http);
		bpf_program__set_autoload(list[i].begins, hooks == NETWORK_HOOKS_KPROBES);
		bpf_program__set_autoload(list[i].ends, hooks == NETWORK_HOOKS_KPROBES);
	}
}

static int attach_end(struct network_links *links, const struct hooked *hooked)
{
	struct kretprobe *probe = &links->ends[links->end_count];
	int r = kretprobe_attach(probe, hooked->ends, hooked->function);

	if (r)
		return hooked->needed ? r : 0;
	links->few |= !probe->event[0];
	links->end_count++;
	return 0;
}

static int attach_begin(struct network_links *links, const struct hooked *hooked)
{
	struct bpf_link *link = bpf_program__attach_kprobe(hooked->begins, false, hooked->function);

	if (!link)
		return hooked->needed ? -errno : 0;
	links->begins[links->begin_count++] = link;
	return 0;
}

/* Ends first: of a call that is under way then there is no beginning, and its end is passed over. */
int network_hooks_attach(struct network_links *links, struct net_bpf *bpf, enum network_hooks hooks)
{
	struct hooked list[HOOKED_COUNT];
	int r = 0;

	if (hooks != NETWORK_HOOKS_KPROBES)
		return 0;
	kretprobe_sweep();
	list_hooked(bpf, list);
	for (size_t i = 0; i < HOOKED_COUNT && !r; i++)
		r = attach_end(links, &list[i]);
	for (size_t i = 0; i < HOOKED_COUNT && !r; i++)
		r = attach_begin(links, &list[i]);
	return r;
}

void network_hooks_detach(struct network_links *links)
{
	while (links->begin_count)
		bpf_link__destroy(links->begins[--links->begin_count]);
	while (links->end_count)
		kretprobe_detach(&links->ends[--links->end_count]);
}
