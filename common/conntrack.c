/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads the kernel's table of tracked connections by netlink. What a message of it holds is not trusted to
 * be whole.
 */
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include "file.h"

#define TIMEOUT_SECONDS 2
#define MESSAGE_MOST	(64 << 10)
#define MESSAGES_MOST	(1 << 17) /* some twenty connections each */

/* ---- Attributes ---------------------------------------------------------------------------------- */

struct bytes {
	const uint8_t *at;
	size_t length;
};

/* Takes the first attribute off `all`. False: there is no whole one. */
static bool take_attribute(struct bytes *all, uint16_t *type, struct bytes *value)
{
	struct nlattr head;
	size_t whole;

	if (all->length < sizeof(head))
		return false;
	memcpy(&head, all->at, sizeof(head));
	if (head.nla_len < sizeof(head) || head.nla_len > all->length)
		return false;
	*type = head.nla_type & NLA_TYPE_MASK;
	*value = (struct bytes){all->at + sizeof(head), head.nla_len - sizeof(head)};
	whole = NLA_ALIGN((size_t)head.nla_len);
	if (whole > all->length)
		whole = all->length;
	*all = (struct bytes){all->at + whole, all->length - whole};
	return true;
}

static bool find_attribute(struct bytes all, uint16_t wanted, struct bytes *value)
{
	uint16_t type;

	while (take_attribute(&all, &type, value))
		if (type == wanted)
			return true;
	return false;
}

static bool read_port(struct bytes protocol, uint16_t wanted, uint16_t *port)
{
	struct bytes value;

	if (!find_attribute(protocol, wanted, &value) || value.length != sizeof(*port))
		return false;
	memcpy(port, value.at, sizeof(*port));
	*port = ntohs(*port);
	return true;
}

static bool read_address(struct bytes ip, uint16_t four, uint16_t six, struct endpoint *end)
{
	struct bytes value;

	if (find_attribute(ip, four, &value) && value.length == 4)
		end->family = 4;
	else if (find_attribute(ip, six, &value) && value.length == 16)
		end->family = 6;
	else
		return false;
	memcpy(end->address, value.at, value.length);
	return true;
}

/* One end of a tuple. False: not of TCP or UDP, or not whole. */
static bool read_end(struct bytes tuple, bool source, struct endpoint *end)
{
	struct bytes ip, protocol, number;

	*end = (struct endpoint){0};
	if (!find_attribute(tuple, CTA_TUPLE_IP, &ip) || !find_attribute(tuple, CTA_TUPLE_PROTO, &protocol) ||
	    !find_attribute(protocol, CTA_PROTO_NUM, &number) || number.length != 1)
		return false;
	end->protocol = *number.at;
	if (end->protocol != IPPROTO_TCP && end->protocol != IPPROTO_UDP)
		return false;
	return read_address(ip, source ? CTA_IP_V4_SRC : CTA_IP_V4_DST,
			    source ? CTA_IP_V6_SRC : CTA_IP_V6_DST, end) &&
	       read_port(protocol, source ? CTA_PROTO_SRC_PORT : CTA_PROTO_DST_PORT, &end->port);
}

/* Whom the connection asked for, and who answers it. */
static void visit_connection(struct bytes attributes, conntrack_visitor *visit, void *user)
{
	struct bytes original, reply;
	struct endpoint asked, answers;

	if (!find_attribute(attributes, CTA_TUPLE_ORIG, &original) ||
	    !find_attribute(attributes, CTA_TUPLE_REPLY, &reply) || !read_end(original, false, &asked) ||
	    !read_end(reply, true, &answers) || asked.protocol != answers.protocol)
		return;
	if (endpoint_compare(&asked, &answers) != 0)
		visit(user, &asked, &answers);
}

/* ---- Messages ------------------------------------------------------------------------------------ */

static int error_of(struct bytes payload)
{
	int error;

	if (payload.length < sizeof(error))
		return -EPROTO;
	memcpy(&error, payload.at, sizeof(error));
	return error < 0 && error > -4096 ? error : -EPROTO;
}

int conntrack_parse(const void *bytes, size_t length, conntrack_visitor *visit, void *user)
{
	struct bytes all = {bytes, length};

	while (all.length) {
		struct nlmsghdr head;
		struct bytes payload;
		size_t whole;

		if (all.length < sizeof(head))
			return -EPROTO;
		memcpy(&head, all.at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > all.length)
			return -EPROTO;
		payload = (struct bytes){all.at + sizeof(head), head.nlmsg_len - sizeof(head)};
		if (head.nlmsg_type == NLMSG_DONE)
			return 0;
		if (head.nlmsg_type == NLMSG_ERROR)
			return error_of(payload);
		if (head.nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK &&
		    payload.length >= sizeof(struct nfgenmsg))
			visit_connection((struct bytes){payload.at + sizeof(struct nfgenmsg),
							payload.length - sizeof(struct nfgenmsg)},
					 visit, user);
		whole = NLMSG_ALIGN((size_t)head.nlmsg_len);
		if (whole > all.length)
			whole = all.length;
		all = (struct bytes){all.at + whole, all.length - whole};
	}
	return 1;
}

/* ---- The kernel ---------------------------------------------------------------------------------- */

/* Of those whose destination is translated: kernels before 6.0 pass over that, and send all. */
struct request {
	struct nlmsghdr head;
	struct nfgenmsg family;
	struct nlattr status_head;
	uint32_t status;
	struct nlattr mask_head;
	uint32_t mask;
};

static int ask(int fd)
{
	const uint16_t size = sizeof(struct nlattr) + sizeof(uint32_t);
	const struct request request = {
	    .head = {.nlmsg_len = sizeof(request),
		     .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	    .status_head = {size, CTA_STATUS},
	    .status = htonl(IPS_DST_NAT),
	    .mask_head = {size, CTA_STATUS_MASK},
	    .mask = htonl(IPS_DST_NAT),
	};

	return send(fd, &request, sizeof(request), 0) == sizeof(request) ? 0 : -errno;
}

static int receive_all(int fd, conntrack_visitor *visit, void *user)
{
	cleanup_free char *buffer = malloc(MESSAGE_MOST);

	if (!buffer)
		return -ENOMEM;
	for (unsigned i = 0; i < MESSAGES_MOST; i++) {
		ssize_t length = recv(fd, buffer, MESSAGE_MOST, 0);
		int r;

		if (length < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = conntrack_parse(buffer, (size_t)length, visit, user);
		if (r <= 0)
			return r;
	}
	return 0;
}

int conntrack_read(conntrack_visitor *visit, void *user)
{
	cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	int r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	r = ask(fd);
	return r ? r : receive_all(fd, visit, user);
}
