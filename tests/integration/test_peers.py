# SPDX-License-Identifier: GPL-3.0-only
"""Whom containers talk with, held against what the programs at both ends did themselves."""

import os
import socket
import struct
import subprocess
import time

from stage import host
from stage.cgroups import Cgroup
from stage.lineprotocol import find
from stage.netns import Namespace
from stage.nginx import Nginx
from stage.process import find_program, wait_until

from support import execd
from test_network import read_exactly, settled

REQUEST, ANSWER = b"r" * 700, b"a" * 30_000
TRANSACTIONS = ("transactions", "request_bytes", "response_bytes")
SUMS = {  # field of a peer: fields of the container's network
    "sent_bytes": ("tcp_sent_bytes", "udp_sent_bytes"),
    "received_bytes": ("tcp_received_bytes", "udp_received_bytes"),
    "sent_messages": ("tcp_sent_messages", "udp_sent_messages"),
    "received_messages": ("tcp_received_messages", "udp_received_messages"),
    "opened_connections": ("tcp_opened_active", "tcp_opened_passive"),
    "failed_connections": ("tcp_failed",),
    "closed_connections": ("tcp_closed",),
}


class Container:
    """A cgroup that deepmon takes for one of Docker's; what runs in it stays until the test ends."""

    def __init__(self, docker, namespace=None):
        self.id = os.urandom(32).hex()
        self.name = self.id[:12]
        self.cgroup = docker.child(self.id)
        self.namespace = namespace
        if namespace:
            self.start(lambda tell: None)  # somebody who has its addresses

    def start(self, function, *arguments):
        """Runs it there; what its result(tell) tells can be read from what is returned."""
        told, tell = os.pipe()

        def body():
            socket.setdefaulttimeout(60)  # who waits for ever says nothing of why
            if self.namespace:
                self.namespace.join()
            function(lambda *numbers: os.write(tell, struct.pack(f"{len(numbers)}q", *numbers)), *arguments)
            time.sleep(60)

        self.cgroup.run(body)
        os.close(tell)
        return told

    def run(self, function, *arguments):
        """Waits for what it tells."""
        told = self.start(function, *arguments)
        numbers = hear(told)
        os.close(told)
        return numbers

    def peers(self, parent):
        """{(protocol, role, peer): the last fields that were told of it}"""
        found = {}
        for report in parent.reports():
            for point in find(report, "deepmon_peer", container_name=self.name):
                key = tuple(point.tags.get(tag, "") for tag in ("protocol", "role", "peer"))
                found[key] = point.fields
        return found

    def network(self, parent):
        points = find(parent.reports()[-1], "deepmon_container_network", container_name=self.name)
        return points[0].fields if points else {}


def hear(pipe):
    data = os.read(pipe, 4096)
    return struct.unpack(f"{len(data) // 8}q", data)


def containers(t, count=2, namespaces=None):
    docker = t.enter(Cgroup()).child("docker")
    return [Container(docker, namespace) for namespace in namespaces or [None] * count]


def start(t, *arguments, peers=20, names=False):
    """Peers go by their addresses, if names are not what the test is about."""
    host.require_bpf()
    parent = execd(t, "--network", "on", "--peers", str(peers), "--peer-names", str(names).lower(), *arguments,
                   interval=0.5)
    parent.wait_for_batches(1, 10)
    return parent


def check_closes(t, parent, container):
    """All that was ever told of peers and (other) is what the container did, exactly, in each report."""
    last, network = {}, {}
    for report in parent.reports():
        for point in find(report, "deepmon_peer", container_name=container.name):
            last[tuple(sorted(point.tags.items()))] = point.fields
        found = find(report, "deepmon_container_network", container_name=container.name)
        if not found:
            continue
        network = found[0].fields
        sums = {field: sum(fields.get(field, 0) for fields in last.values()) for field in SUMS}
        expected = {field: sum(network[each] for each in parts) for field, parts in SUMS.items()}
        sums.update((field, sum(fields.get(field, 0) for fields in last.values())) for field in TRANSACTIONS)
        found = find(report, "deepmon_container_transactions", container_name=container.name, protocol="tcp",
                     role="both")
        expected.update((field, found[0].fields[field] if found else 0) for field in TRANSACTIONS)
        t.equal(sums, expected, f"peers and (other) of {container.name}, together")
    t.true(network, "a report of the container's network", network)


def check_peer(t, fields, expected, what):
    with t.apart():
        t.equal({key: (fields or {}).get(key) for key in expected}, expected, what)


def serve(tell, family, address, listeners):
    """Listens at so many ports, tells them, and answers each connection's one request."""
    sockets = [socket.create_server((address, 0), family=family, backlog=64) for _ in range(listeners)]
    tell(*(each.getsockname()[1] for each in sockets))
    for listener in sockets:
        if os.fork() == 0:
            while True:
                connection, _ = listener.accept()
                if connection.recv(1, socket.MSG_PEEK):
                    read_exactly(connection, len(REQUEST))
                    connection.sendall(ANSWER)
                connection.close()


def ask(tell, address, port, connections):
    for _ in range(connections):
        with socket.create_connection((address, port)) as connection:
            connection.sendall(REQUEST)
            read_exactly(connection, len(ANSWER))
            connection.recv(1)
    tell(1)


def exchanged(connections, client):
    sent, received = connections * len(REQUEST), connections * len(ANSWER)
    if not client:
        sent, received = received, sent
    return {"sent_bytes": sent, "received_bytes": received, "opened_connections": connections,
            "closed_connections": connections, "failed_connections": 0, "transactions": connections,
            "request_bytes": connections * len(REQUEST), "response_bytes": connections * len(ANSWER)}


def both_ends(t, family, listening, asked, shown):
    parent = start(t)
    server, client = containers(t)
    ports = server.run(serve, family, listening, 2)
    for port, connections in zip(ports, (30, 7)):
        client.run(ask, asked, port, connections)
    settled(parent)
    peers = client.peers(parent)
    for port, connections in zip(ports, (30, 7)):
        endpoint = f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"
        check_peer(t, peers.get(("tcp", "client", endpoint)), exchanged(connections, True),
                   f"the client's with {endpoint}, of {sorted(peers)}")
    t.equal(len(peers), 3, f"lines of the client: two endpoints and (other): {sorted(peers)}")
    peers = server.peers(parent)
    check_peer(t, peers.get(("tcp", "server", shown)), exchanged(37, False),
               f"the server's with {shown}, all ports of its clients together, of {sorted(peers)}")
    for container in (server, client):
        check_closes(t, parent, container)
        check_peer(t, container.peers(parent).get(("", "", "(other)")), exchanged(0, True), "(other)")


def test_both_ends_over_ipv4(t):
    both_ends(t, socket.AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1")


def test_both_ends_over_ipv6(t):
    both_ends(t, socket.AF_INET6, "::1", "::1", "::1")


def test_ipv4_through_ipv6_sockets_is_ipv4(t):
    both_ends(t, socket.AF_INET, "127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1")


def test_connections_that_were_open_before(t):
    """Which end each is comes from its socket: who was accepted serves."""
    host.require_bpf()
    server, client = containers(t)
    go, done = os.pipe(), os.pipe()

    def be_server(tell):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            tell(listener.getsockname()[1])
            connection, _ = listener.accept()
        for _ in range(10):
            read_exactly(connection, len(REQUEST))
            connection.sendall(ANSWER)

    def be_client(tell, port):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            tell(0)
            os.read(go[0], 1)
            for _ in range(10):
                connection.sendall(REQUEST)
                read_exactly(connection, len(ANSWER))
            os.write(done[1], b"x")
            time.sleep(60)

    port, = server.run(be_server)
    client.run(be_client, port)
    parent = start(t)
    os.write(go[1], b"x")
    os.read(done[0], 1)
    settled(parent)
    bytes_of = {"sent_bytes": 10 * len(REQUEST), "received_bytes": 10 * len(ANSWER)}
    check_peer(t, client.peers(parent).get(("tcp", "client", f"127.0.0.1:{port}")), bytes_of, "the client's")
    bytes_of = {"sent_bytes": 10 * len(ANSWER), "received_bytes": 10 * len(REQUEST)}
    check_peer(t, server.peers(parent).get(("tcp", "server", "127.0.0.1")), bytes_of, "the server's")


def ask_on(tell, address, port):
    """One connection after another, for as long as the test takes."""
    tell(1)
    while True:
        ask(lambda _: None, address, port, 1)


def test_those_that_talk_while_deepmon_starts(t):
    """Rows that were taken while they were still being made free would be seen by nobody."""
    server, client = containers(t)
    port, = server.run(serve, socket.AF_INET, "127.0.0.1", 1)
    client.run(ask_on, "127.0.0.1", port)
    parent = start(t)
    parent.wait_for_batches(4, 10)
    for container, key in ((client, ("tcp", "client", f"127.0.0.1:{port}")), (server, ("tcp", "server", "127.0.0.1"))):
        found = container.peers(parent)
        t.true(found.get(key, {}).get("opened_connections", 0) > 0, f"{key} among the peers", sorted(found))


def test_udp_of_connected_sockets(t):
    """A socket that is not connected has no peer: what it does is in (other)."""
    parent = start(t)
    server, client = containers(t)

    def be_server(tell):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 0))
        tell(receiver.getsockname()[1])
        for _ in range(50):
            data, sender = receiver.recvfrom(2000)
            receiver.sendto(data * 2, sender)

    def be_client(tell, port):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(("127.0.0.1", port))
        for _ in range(50):
            sender.send(b"u" * 400)
            sender.recv(2000)
        tell(1)

    port, = server.run(be_server)
    client.run(be_client, port)
    settled(parent)
    expected = {"sent_bytes": 20_000, "sent_messages": 50, "received_bytes": 40_000, "received_messages": 50,
                "opened_connections": None}
    check_peer(t, client.peers(parent).get(("udp", "client", f"127.0.0.1:{port}")), expected, "the client's")
    expected = {"sent_bytes": 40_000, "received_bytes": 20_000}
    check_peer(t, server.peers(parent).get(("", "", "(other)")), expected, "the server's, in (other)")
    for container in (server, client):
        check_closes(t, parent, container)


def test_who_is_refused(t):
    parent = start(t)
    client, = containers(t, 1)

    def be_refused(tell):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for _ in range(9):
            try:
                socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                pass
        tell(port)

    port, = client.run(be_refused)
    settled(parent)
    expected = {"sent_bytes": 0, "opened_connections": 0, "failed_connections": 9}
    check_peer(t, client.peers(parent).get(("tcp", "client", f"127.0.0.1:{port}")), expected, "the refused one's")
    check_closes(t, parent, client)


def ask_many(tell, port, count):
    """One connection to each of so many addresses, to the first ones some more."""
    for number in range(count):
        for _ in range(10 - min(number, 9)):
            with socket.create_connection((f"127.0.{1 + number // 250}.{1 + number % 250}", port)) as connection:
                connection.sendall(REQUEST)
                read_exactly(connection, len(ANSWER))
    tell(1)


def test_those_that_had_most_are_told(t):
    parent = start(t, peers=3)
    server, client = containers(t)
    port, = server.run(serve, socket.AF_INET, "0.0.0.0", 1)
    client.run(ask_many, port, 8)
    settled(parent)
    check_closes(t, parent, client)
    most = max(len(find(report, "deepmon_peer", container_name=client.name)) for report in parent.reports())
    t.between(most, 2, 4, "lines of one report: at most three peers and (other)")


class Told:
    """What was told so far, read once."""

    def __init__(self, reports):
        self.all = reports

    def reports(self):
        return self.all


def test_transactions_with_each(t):
    """Of nginx's clients, and of their servers: as many as nginx logged, and they took as long as all did."""
    parent = start(t, "--http", "on")
    server, client = containers(t)
    nginxes = [t.enter(Nginx(t.state / f"nginx{i}", prefix=server.cgroup.prefix())) for i in range(2)]
    ab = find_program("ab", None, "apache2-utils")
    for nginx, options in zip(nginxes, (["-n", "500"], ["-k", "-n", "2000"])):
        subprocess.run([*client.cgroup.prefix(), ab, "-q", "-c", "4", *options, nginx.url()], check=True,
                       stdout=subprocess.DEVNULL)
    settled(parent)
    parent = Told(parent.reports())
    counts = [len(nginx.served()) for nginx in nginxes]
    peers = {**client.peers(parent), "served": server.peers(parent).get(("tcp", "server", "127.0.0.1"))}
    asked = [peers.get(("tcp", "client", f"127.0.0.1:{nginx.port}")) for nginx in nginxes]
    for fields, count in zip([*asked, peers["served"]], [*counts, sum(counts)]):
        check_peer(t, fields, {"transactions": count, "http_transactions": count}, f"of {sorted(map(str, peers))}")
        t.true(0 < fields["http_transaction_time_ns"] <= fields["transaction_time_ns"] * 1.001, "time", fields)
    for container, role in ((client, "client"), (server, "server")):
        check_closes(t, parent, container)
        with t.apart():
            check_means(t, parent, container, role)


def check_means(t, parent, container, role):
    """The mean latency of all of its peers is that of the container, over all reports."""
    for protocol, prefix in (("tcp", ""), ("http", "http_")):
        took = of_all = before = 0
        for report in parent.reports():
            for point in find(report, "deepmon_container_transactions", container_name=container.name,
                              protocol=protocol, role=role):
                of_all += point.fields.get("latency_mean_seconds", 0) * (point.fields["transactions"] - before)
                before = point.fields["transactions"]
        for fields in container.peers(parent).values():
            took += fields.get(f"{prefix}transaction_time_ns", 0) / 1e9
        t.between(took, of_all * 0.999, of_all * 1.001, f"s that all transactions of {protocol} took, as {role}")


def test_past_the_bound_of_the_kernel(t):
    """What finds no room is in (other), and all together is still exact."""
    parent = start(t, "--max-peers", "64", peers=1000)
    server, client = containers(t)
    port, = server.run(serve, socket.AF_INET, "0.0.0.0", 1)
    client.run(ask_many, port, 300)
    settled(parent)
    for container in (server, client):
        check_closes(t, parent, container)
    peers = client.peers(parent)
    t.between(len(peers), 40, 65, "lines of the client")
    t.true(peers["", "", "(other)"]["sent_bytes"] > 200 * len(REQUEST), "what is in (other)", peers)
    refused = find(parent.reports()[-1], "deepmon_self")[0].fields["peers_refused"]
    t.true(refused >= 230, "peers refused", refused)
    t.note(t.one_line(parent.stderr_lines, "MaxPeers", "64", "(other)"))


def test_system_groups_take_no_room(t):
    """Peers are told of containers; a unit with many keeps none of them out."""
    parent = start(t, "--max-peers", "64", peers=50)
    server, client = containers(t)
    unit = t.enter(Cgroup())
    port, = server.run(serve, socket.AF_INET, "0.0.0.0", 1)
    done = os.pipe()

    def be_unit():
        ask(lambda _: None, "127.0.0.1", port, 1)
        time.sleep(2)  # until it is seen what it is
        ask_many(lambda _: os.write(done[1], b"x"), port, 200)
        time.sleep(60)

    unit.run(be_unit)
    os.read(done[0], 1)
    client.run(ask_many, port, 20)
    settled(parent)
    t.equal(len(client.peers(parent)), 21, f"lines of the container: {sorted(client.peers(parent))}")
    check_closes(t, parent, client)


def test_off_by_default(t):
    host.require_bpf()
    parent = execd(t, "--network", "on", interval=0.5)
    parent.wait_for_batches(2, 10)
    t.equal(find(parent.points(), "deepmon_peer"), [], "points")


# ---- Names --------------------------------------------------------------------------------------


NAMED_SECONDS = 20  # until what a peer is called is known


def two_linked(t):
    """Two network namespaces with a link between them, by IPv4 and IPv6."""
    first, second = t.enter(Namespace()), t.enter(Namespace())
    name = first.link(second, "10.123.7.1/24", "10.123.7.2/24")
    first.add_address(name, "fd00:7::1/64")
    second.add_address(name, "fd00:7::2/64")
    return first, second


def ask_again(tell, address, port):
    """One connection each tenth of a second, for as long as the test takes."""
    tell(1)
    while True:
        ask(lambda _: None, address, port, 1)
        time.sleep(0.1)


def await_peer(parent, container, key):
    """Waits until the container has a peer that is called so, and returns its figures."""
    return wait_until(lambda: container.peers(parent).get(key), NAMED_SECONDS,
                      lambda: f"{key} among the peers of {container.name}: {sorted(container.peers(parent))}")


def test_containers_of_this_host_go_by_their_names(t):
    """By IPv4 and IPv6, at both ends; the two addresses of one are one peer."""
    server, client = containers(t, namespaces=two_linked(t)[::-1])
    parent = start(t, names=True)
    port, = server.run(serve_all)
    for address in ("10.123.7.2", "fd00:7::2"):
        client.start(ask_again, address, port)
    await_peer(parent, client, ("tcp", "client", f"{server.name}:{port}"))
    await_peer(parent, server, ("tcp", "server", client.name))
    settled(parent)
    for container in (server, client):
        check_closes(t, parent, container)
    addresses = {"10.123.7.2", "fd00:7::2", "10.123.7.1", "fd00:7::1"}
    last = [point.tags["peer"] for point in find(parent.reports()[-1], "deepmon_peer")
            if point.tags["container_name"] in (server.name, client.name)]
    t.equal([peer for peer in last if any(address in peer for address in addresses)], [],
            "peers that are still called by their addresses")


def serve_all(tell):
    """Serves IPv4 and IPv6 by one port."""
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    tell(listener.getsockname()[1])
    if os.fork() == 0:
        while True:
            connection, _ = listener.accept()
            read_exactly(connection, len(REQUEST))
            connection.sendall(ANSWER)
            connection.close()


def test_within_one_network(t):
    """As in a pod, where addresses tell nothing: each end is seen by the other, by whatever address they meet."""
    server, client = containers(t, namespaces=[t.enter(Namespace())] * 2)
    parent = start(t, names=True)
    port, = server.run(serve_all)
    for address, connections in (("127.0.0.1", 5), ("::1", 6), ("::ffff:127.0.0.1", 7), ("127.0.0.9", 8)):
        client.run(ask, address, port, connections)
    settled(parent)
    for container in (server, client):
        check_closes(t, parent, container)
    check_peer(t, client.peers(parent).get(("tcp", "client", f"{server.name}:{port}")), exchanged(26, True),
               f"the client's, of {sorted(client.peers(parent))}")
    check_peer(t, server.peers(parent).get(("tcp", "server", client.name)), exchanged(26, False),
               f"the server's, of {sorted(server.peers(parent))}")


def test_several_at_the_other_end(t):
    """Clients of two containers come from one address: it is called by neither."""
    network = t.enter(Namespace())
    server, one, other = containers(t, namespaces=[network] * 3)
    parent = start(t, names=True)
    port, = server.run(serve_all)
    for client in (one, other):
        client.run(ask, "127.0.0.1", port, 10)
    settled(parent)
    one.run(ask, "127.0.0.1", port, 10)
    settled(parent)
    last = [point.tags["peer"] for point in find(parent.reports()[-1], "deepmon_peer", container_name=server.name)]
    t.true(not {one.name, other.name} & set(last), "the server's last peers", last)
    for container in (server, one, other):
        check_closes(t, parent, container)
    for client, connections in ((one, 20), (other, 10)):
        check_peer(t, client.peers(parent).get(("tcp", "client", f"{server.name}:{port}")),
                   exchanged(connections, True), f"a client's, of {sorted(client.peers(parent))}")


def test_names_are_optional(t):
    server, client = containers(t, namespaces=two_linked(t)[::-1])
    parent = start(t)
    port, = server.run(serve, socket.AF_INET, "0.0.0.0", 1)
    client.run(ask, "10.123.7.2", port, 5)
    time.sleep(3)
    settled(parent)
    t.true(("tcp", "client", f"10.123.7.2:{port}") in client.peers(parent), "the address", client.peers(parent))
    t.equal([key for key in client.peers(parent) if server.name in key[2]], [], "names")


def routed(t, count):
    """A router and so many namespaces behind it, each with an address of its own."""
    router = t.enter(Namespace())
    behind = [t.enter(Namespace()) for _ in range(count)]
    for number, namespace in enumerate(behind):
        router.link(namespace, f"10.123.{number}.1/24", f"10.123.{number}.2/24")
        namespace.ip("route", "add", "default", "via", f"10.123.{number}.1")
    router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    return router, behind


def translate(router, *rule):
    """A rule of NAT in the router's own tables."""
    router.run(find_program("iptables", "netns", "iptables"), "-t", "nat", "-A", "PREROUTING", "-p", "tcp", *rule)


def test_who_answers_behind_a_translated_address(t):
    """As a published port of Docker's, or a service of Kubernetes: the kernel's connection tracking knows."""
    router, (first, second, third) = routed(t, 3)
    server, other, client = containers(t, namespaces=(first, second, third))
    port, = server.run(serve, socket.AF_INET, "0.0.0.0", 1)
    other_port, = other.run(serve, socket.AF_INET, "0.0.0.0", 1)
    translate(router, "-d", "10.99.0.1", "--dport", "8080", "-j", "DNAT", "--to-destination", f"10.123.0.2:{port}")
    # One address for two that have nothing in common, in turn.
    translate(router, "-d", "10.99.0.2", "--dport", "80", "-m", "statistic", "--mode", "nth", "--every", "2",
              "--packet", "0", "-j", "DNAT", "--to-destination", f"10.123.0.2:{port}")
    translate(router, "-d", "10.99.0.2", "--dport", "80", "-j", "DNAT", "--to-destination",
              f"10.123.1.2:{other_port}")
    host.require_bpf()
    parent = execd(t, "--network", "on", "--peers", "20", interval=0.5, prefix=router.prefix())
    parent.wait_for_batches(1, 10)
    client.start(ask_again, "10.99.0.1", 8080)
    client.start(ask_again, "10.99.0.2", 80)
    await_peer(parent, client, ("tcp", "client", f"{server.name}:{port}"))
    await_peer(parent, server, ("tcp", "server", client.name))
    time.sleep(3)
    settled(parent)
    last = sorted(point.tags["peer"] for point in find(parent.reports()[-1], "deepmon_peer",
                                                       container_name=client.name))
    t.equal(last, sorted(["(other)", "10.99.0.2:80", f"{server.name}:{port}"]),
            "the client's peers: who answers, and an address behind which there are two")
    for container in (server, other, client):
        check_closes(t, parent, container)
