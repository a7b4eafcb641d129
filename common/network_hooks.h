/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Where the programs of bpf/net.bpf.c hear of sends and receives: the kinds of hooks, and which of them this
 * kernel takes.
 */
#ifndef DEEPMON_NETWORK_HOOKS_H
#define DEEPMON_NETWORK_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kretprobe.h"

struct net_bpf;

/* In the order of the words of the option NetworkHooks, behind auto. */
enum network_hooks {
	NETWORK_HOOKS_TRACEPOINTS, /* sock_send_length, sock_recv_length */
	NETWORK_HOOKS_FENTRY,	   /* fexit of inet_sendmsg and its like */
	NETWORK_HOOKS_KPROBES,	   /* kprobes and kretprobes of the same */
	NETWORK_HOOKS_NONE,
};

/* The best comes first. */
struct network_way {
	enum network_hooks hooks;
	bool hashed; /* sockets are kept in a hash, for want of storage of their own */
};
extern const struct network_way network_ways[];
extern const size_t network_way_count;

#define NETWORK_HOOKED_MAX 8

/* Kprobes, which stand behind several functions and so are no skeleton's. */
struct network_links {
	struct bpf_link *begins[NETWORK_HOOKED_MAX];
	struct kretprobe ends[NETWORK_HOOKED_MAX];
	size_t begin_count, end_count;
	bool few; /* calls that may be under way at a time */
};

const char *network_hooks_name(enum network_hooks hooks);

/* Which transactions are followed; each has those before it, too. */
enum network_follows { NETWORK_FOLLOWS_NONE, NETWORK_FOLLOWS_TCP, NETWORK_FOLLOWS_HTTP };

/* Those that can be, that way. */
enum network_follows network_hooks_follow(const struct network_way *way, const struct btf *btf);

/* NULL: this kernel may have them, which loading will show; else why it has not. */
const char *network_hooks_missing(enum network_hooks hooks, const struct btf *btf);

/* Between open and load: of all kinds of programs that hear of sends and receives, loads those. */
void network_hooks_choose(struct net_bpf *bpf, enum network_hooks hooks, bool http, const struct btf *btf);

/* After net_bpf__attach. -errno; then, too, network_hooks_detach must be called. */
int network_hooks_attach(struct network_links *links, struct net_bpf *bpf, enum network_hooks hooks);
void network_hooks_detach(struct network_links *links);

/* Whether a kernel whose types are these has the tracepoint. */
bool network_has_tracepoint(const struct btf *btf, const char *name);

#endif
