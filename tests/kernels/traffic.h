/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Known transfers over loopback for guest_network.c: a server and a client, which count what their own calls
 * did.
 */
#ifndef TESTS_KERNELS_TRAFFIC_H
#define TESTS_KERNELS_TRAFFIC_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS   20 /* over each of IPv4 and IPv6 */
#define SILENT	      3	 /* on which nothing is sent, more of them */
#define REFUSALS      2
#define CROWD	      40
#define DATAGRAMS     30 /* over each of IPv4, IPv6 and IPv4 through an IPv6 socket */
#define REQUEST_BYTES 1000
#define ANSWER_BYTES  50000 /* and a page of a file by sendfile */
#define PAGE_BYTES    4096
#define PAGE_FILE     "/page"
#define EXCHANGES     50 /* of HTTP over one connection */
#define TRAFFIC_PORT  4711

/* What one side's calls did. */
struct traffic {
	uint64_t tcp_sent_bytes, tcp_sent_messages, tcp_received_bytes, tcp_received_messages;
	uint64_t udp_sent_bytes, udp_sent_messages, udp_received_bytes, udp_received_messages;
	bool done;
};

/* Shared by all: 0 is the server's, 1 the client's; and whether the server may use splice. */
static struct {
	struct traffic side[2];
	volatile bool listening;
	bool splice;
} * traffic;
enum { SERVER, CLIENT };

void traffic_init(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	traffic = mmap(NULL, sizeof(*traffic), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) || traffic == MAP_FAILED)
		give_up("the loopback interface");
	close(fd);
	fd = open(PAGE_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, PAGE_BYTES))
		give_up(PAGE_FILE);
	close(fd);
}

static socklen_t loopback_address(int family, bool mapped, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = htons(TRAFFIC_PORT);
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(TRAFFIC_PORT);
	inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : "::1", &six->sin6_addr);
	return sizeof(*six);
}

static int loopback_socket(int family, int type)
{
	const int one = 1, zero = 0;
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		give_up("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, type == SOCK_STREAM ? &one : &zero, sizeof(one));
	return fd;
}

static int bound_socket(int family, int type)
{
	struct sockaddr_storage address;
	socklen_t length = loopback_address(family, false, &address);
	int fd = loopback_socket(family, type);

	if (family == AF_INET6 && type == SOCK_DGRAM)
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_any;
	if (bind(fd, (struct sockaddr *)&address, length))
		give_up("bind");
	return fd;
}

static void send_bytes(struct traffic *own, int fd, size_t length)
{
	static char bytes[ANSWER_BYTES];

	while (length) {
		ssize_t sent = send(fd, bytes, length, 0);

		if (sent <= 0)
			give_up("send");
		own->tcp_sent_bytes += (uint64_t)sent;
		own->tcp_sent_messages++;
		length -= (size_t)sent;
	}
}

static void receive_bytes(struct traffic *own, int fd, size_t length)
{
	char bytes[8192];

	while (length) {
		ssize_t got = recv(fd, bytes, length < sizeof(bytes) ? length : sizeof(bytes), 0);

		if (got <= 0)
			give_up("recv");
		own->tcp_received_bytes += (uint64_t)got;
		own->tcp_received_messages++;
		length -= (size_t)got;
	}
}

/* From the socket into a pipe, without recv. */
static void splice_bytes(struct traffic *own, int fd, size_t length)
{
	char bytes[8192];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		give_up("pipe");
	while (length) {
		ssize_t got = splice(fd, NULL, ends[1], NULL, length, 0);

		if (got <= 0 || read(ends[0], bytes, sizeof(bytes)) != got)
			give_up("splice");
		own->tcp_received_bytes += (uint64_t)got;
		own->tcp_received_messages++;
		length -= (size_t)got;
	}
	close(ends[0]);
	close(ends[1]);
}

static void send_page(struct traffic *own, int fd)
{
	int page = open(PAGE_FILE, O_RDONLY | O_CLOEXEC);

	if (page < 0 || sendfile(fd, page, NULL, PAGE_BYTES) != PAGE_BYTES)
		give_up("sendfile");
	own->tcp_sent_bytes += PAGE_BYTES;
	own->tcp_sent_messages++;
	close(page);
}

static void serve_connection(struct traffic *own, int fd, unsigned number)
{
	char byte;

	/* To look is not to receive. */
	if (recv(fd, &byte, 1, MSG_PEEK) != 1)
		give_up("recv");
	if (traffic->splice && number % 2)
		splice_bytes(own, fd, REQUEST_BYTES);
	else
		receive_bytes(own, fd, REQUEST_BYTES);
	send_bytes(own, fd, ANSWER_BYTES);
	send_page(own, fd);
}

static void receive_datagrams(struct traffic *own, int fd, unsigned count)
{
	char bytes[2 * REQUEST_BYTES];

	for (unsigned i = 0; i < count; i++) {
		ssize_t got;

		if (recv(fd, bytes, sizeof(bytes), MSG_PEEK) != REQUEST_BYTES)
			give_up("recv");
		got = recv(fd, bytes, sizeof(bytes), 0);
		own->udp_received_bytes += (uint64_t)got;
		own->udp_received_messages++;
	}
}

static void serve(unsigned unused)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct traffic *own = &traffic->side[SERVER];
	int listeners[2], receivers[2];

	(void)unused;
	for (int i = 0; i < 2; i++) {
		const int all = 1 << 20; /* datagrams wait until their turn comes */

		receivers[i] = bound_socket(families[i], SOCK_DGRAM);
		setsockopt(receivers[i], SOL_SOCKET, SO_RCVBUFFORCE, &all, sizeof(all));
		listeners[i] = bound_socket(families[i], SOCK_STREAM);
		if (listen(listeners[i], 64))
			give_up("listen");
	}
	traffic->listening = true;
	for (int i = 0; i < 2; i++) {
		for (unsigned n = 0; n < CONNECTIONS + SILENT; n++) {
			int fd = accept4(listeners[i], NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0)
				give_up("accept");
			if (n < CONNECTIONS)
				serve_connection(own, fd, n);
			close(fd);
		}
		close(listeners[i]);
	}
	receive_datagrams(own, receivers[0], 2 * DATAGRAMS);
	receive_datagrams(own, receivers[1], DATAGRAMS);
	own->done = true;
}

static int connected_socket(int family)
{
	struct sockaddr_storage address;
	socklen_t length = loopback_address(family, false, &address);
	int fd = loopback_socket(family, SOCK_STREAM);

	if (connect(fd, (struct sockaddr *)&address, length))
		give_up("connect");
	return fd;
}

static void send_datagrams(struct traffic *own, int family, bool mapped)
{
	char bytes[REQUEST_BYTES] = "";
	struct sockaddr_storage address;
	socklen_t length = loopback_address(family, mapped, &address);
	int fd = loopback_socket(family, SOCK_DGRAM);

	for (unsigned i = 0; i < DATAGRAMS; i++) {
		if (sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&address, length) != sizeof(bytes))
			give_up("sendto");
		own->udp_sent_bytes += sizeof(bytes);
		own->udp_sent_messages++;
	}
	close(fd);
}

/* Processes that wait to receive, more than the kernel keeps places for at return probes of its own accord.
 */
static void start_crowd(pid_t crowd[CROWD])
{
	char byte;

	for (int i = 0; i < CROWD; i++) {
		int fd = loopback_socket(AF_INET, SOCK_DGRAM);

		crowd[i] = fork();
		if (crowd[i] < 0)
			give_up("fork");
		if (!crowd[i]) {
			recv(fd, &byte, 1, 0);
			_exit(1);
		}
		close(fd);
	}
}

static void end_crowd(const pid_t crowd[CROWD])
{
	for (int i = 0; i < CROWD; i++) {
		kill(crowd[i], SIGKILL);
		waitpid(crowd[i], NULL, 0);
	}
}

static void be_refused(void)
{
	struct sockaddr_storage address;
	socklen_t length = loopback_address(AF_INET, false, &address);

	((struct sockaddr_in *)&address)->sin_port = htons(TRAFFIC_PORT + 1);
	for (unsigned i = 0; i < REFUSALS; i++) {
		int fd = loopback_socket(AF_INET, SOCK_STREAM);

		if (connect(fd, (struct sockaddr *)&address, length) == 0)
			give_up("somebody listens at port %d", TRAFFIC_PORT + 1);
		close(fd);
	}
}

static void ask(unsigned unused)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct traffic *own = &traffic->side[CLIENT];
	char byte;

	(void)unused;
	send_datagrams(own, AF_INET, false);
	send_datagrams(own, AF_INET6, true);
	send_datagrams(own, AF_INET6, false);
	be_refused();
	for (int i = 0; i < 2; i++) {
		for (unsigned n = 0; n < CONNECTIONS + SILENT; n++) {
			int fd = connected_socket(families[i]);

			if (n < CONNECTIONS) {
				send_bytes(own, fd, REQUEST_BYTES);
				receive_bytes(own, fd, ANSWER_BYTES + PAGE_BYTES);
			}
			/* Until the server has closed. */
			if (recv(fd, &byte, 1, 0) != 0)
				give_up("recv");
			close(fd);
		}
	}
	own->done = true;
}

/* Requests and responses over one connection, of which this is both ends. */
void exchange_messages(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int listener = bound_socket(AF_INET, SOCK_STREAM), client, server;
	char buffer[256];

	if (listen(listener, 1))
		give_up("listen");
	client = connected_socket(AF_INET);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	for (int i = 0; i < EXCHANGES; i++)
		if (send(client, request, sizeof(request) - 1, 0) < 0 ||
		    recv(server, buffer, sizeof(buffer), 0) <= 0 ||
		    send(server, response, sizeof(response) - 1, 0) < 0 ||
		    recv(client, buffer, sizeof(buffer), 0) <= 0)
			give_up("an exchange");
	close(client);
	close(server);
	close(listener);
}

#endif
