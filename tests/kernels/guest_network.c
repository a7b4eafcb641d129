/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What must hold of the network: deepmon's figures against what traffic.h's two sides did, and that nothing
 * is left behind where its hooks were.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "traffic.h"

#define OF_NETWORK	  "deepmon_container_network,container_name=aaaaaaaaaaaa,runtime=docker"
#define OF_NETWORK_STEADY "deepmon_system_network,cgroup=steady.service"
#define OF_PEER(address)  "deepmon_peer,container_name=aaaaaaaaaaaa,peer=" address ",protocol=tcp,role=server"

/* The container serves, another cgroup asks. */
void work_over_network(unsigned with)
{
	struct worker server, client;
	pid_t crowd[CROWD];

	start_crowd(crowd);
	memset(traffic, 0, sizeof(*traffic));
	traffic->splice = with & (FENTRY | KPROBES);
	server = start_process(HOUSED, "server", 0, serve, 0);
	client = start_process(STEADY, "client", 1, ask, 0);
	let_go(&server);
	while (!traffic->listening)
		rest_for(1e7);
	let_go(&client);
	await(&client);
	await(&server);
	end_crowd(crowd);
	note(traffic->side[SERVER].done && traffic->side[CLIENT].done,
	     "server and client came to their ends");
}

static void check_count(const struct report reports[2], const char *series, const char *name,
			uint64_t expected)
{
	double got = grown(reports, series, name);

	note(got == (double)expected && field(&reports[1], series, name) >= 0, "%s of %s: %.0f, of %llu",
	     name, strchr(series, '=') + 1, got, (unsigned long long)expected);
}

static void check_transfers(const struct report reports[2], const char *series, const struct traffic *done)
{
	check_count(reports, series, "tcp_sent_bytes", done->tcp_sent_bytes);
	check_count(reports, series, "tcp_sent_messages", done->tcp_sent_messages);
	check_count(reports, series, "tcp_received_bytes", done->tcp_received_bytes);
	check_count(reports, series, "tcp_received_messages", done->tcp_received_messages);
	check_count(reports, series, "udp_sent_bytes", done->udp_sent_bytes);
	check_count(reports, series, "udp_sent_messages", done->udp_sent_messages);
	check_count(reports, series, "udp_received_bytes", done->udp_received_bytes);
	check_count(reports, series, "udp_received_messages", done->udp_received_messages);
}

/* The server's clients: half of them came by each address. */
static void check_peers(const struct report reports[2])
{
	static const char *const series[] = {OF_PEER("127.0.0.1"), OF_PEER("::1")};
	const struct traffic *done = &traffic->side[SERVER];

	for (int i = 0; i < 2; i++) {
		check_count(reports, series[i], "sent_bytes", done->tcp_sent_bytes / 2);
		check_count(reports, series[i], "received_bytes", done->tcp_received_bytes / 2);
		check_count(reports, series[i], "opened_connections", CONNECTIONS + SILENT);
	}
}

void check_network(const struct report reports[2], bool transfers)
{
	const unsigned connections = 2 * (CONNECTIONS + SILENT);

	if (transfers) {
		check_transfers(reports, OF_NETWORK, &traffic->side[SERVER]);
		check_transfers(reports, OF_NETWORK_STEADY, &traffic->side[CLIENT]);
	} else
		note(field(&reports[1], OF_NETWORK_STEADY, "tcp_sent_bytes") < 0, "no bytes are told");
	if (transfers)
		check_peers(reports);
	check_count(reports, OF_NETWORK, "tcp_opened_active", 0);
	/* Without transfers, those that a socket's storage tells of; else nobody is seen to have them. */
	if (transfers)
		check_count(reports, OF_NETWORK, "tcp_opened_passive", connections);
	check_count(reports, OF_NETWORK_STEADY, "tcp_opened_active", connections);
	check_count(reports, OF_NETWORK_STEADY, "tcp_opened_passive", 0);
	check_count(reports, OF_NETWORK_STEADY, "tcp_failed", REFUSALS);
	check_count(reports, OF_NETWORK_STEADY, "tcp_closed", connections);
	if (transfers)
		check_count(reports, OF_NETWORK, "tcp_closed", connections);
	note(field(&reports[1], "deepmon_self", "sockets_refused") <= 0 &&
		 field(&reports[1], "deepmon_self", "calls_missed") <= 0,
	     "no socket and no call was lost");
}

/* As many as there were, of each protocol and at each end. */
void check_transactions(const struct report reports[2])
{
	static const char *const series[] = {
	    "deepmon_total_transactions,kind=system,protocol=tcp,role=client",
	    "deepmon_total_transactions,kind=system,protocol=tcp,role=server",
	    "deepmon_total_transactions,kind=system,protocol=http,role=client",
	    "deepmon_total_transactions,kind=system,protocol=http,role=server",
	};

	for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++)
		check_count(reports, series[i], "transactions", EXCHANGES);
}

struct waiter start_waiter(const struct execd *execd)
{
	int listener = bound_socket(AF_INET, SOCK_STREAM);
	struct waiter waiter;
	char byte;

	if (listen(listener, 1))
		give_up("listen");
	waiter.to = connected_socket(AF_INET);
	waiter.pid = fork();
	if (waiter.pid < 0)
		give_up("fork");
	if (!waiter.pid) {
		/* It ends when nobody has this end any more. */
		close(execd->to);

		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		_exit(recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, 0) == 1 ? 0 : 1);
	}
	close(listener);
	rest_for(2e8);
	return waiter;
}

bool end_waiter(const struct waiter *waiter)
{
	int status;
	char byte = 'x';

	/* The kernel frees what it has no more use for a while later. */
	rest_for(1.5e9);
	if (send(waiter->to, &byte, 1, 0) != 1 || recv(waiter->to, &byte, 1, 0) != 1)
		give_up("the waiting process is gone");
	close(waiter->to);
	return waitpid(waiter->pid, &status, 0) == waiter->pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

bool has_probes(void)
{
	char text[8192];

	read_text(PROBES, text, sizeof(text));
	return strstr(text, "deepmon_");
}
