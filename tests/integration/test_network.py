# SPDX-License-Identifier: GPL-3.0-only
"""Bytes, messages and connections, held against what the programs at both ends did themselves."""

import os
import socket
import struct
import time

from stage import host
from stage.cgroups import Cgroup
from stage.lineprotocol import find

from support import execd

CONNECTIONS = 200
REQUEST, ANSWER = b"r" * 1000, b"a" * 70_000
ADDRESSES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def read_exactly(connection, length):
    """Reads that much; in how many pieces it came."""
    pieces = 0
    while length:
        got = connection.recv(min(length, 65536))
        if not got:
            raise EOFError(f"{length} bytes are missing")
        length -= len(got)
        pieces += 1
    return pieces


def serve(listener, told, connections):
    """Answers one request on each connection, and tells in how many receives they came."""
    pieces = 0
    for _ in range(connections):
        connection, _ = listener.accept()
        pieces += read_exactly(connection, len(REQUEST))
        connection.sendall(ANSWER)
        connection.close()
    os.write(told, struct.pack("q", pieces))


def ask(family, port, told, connections):
    pieces = 0
    for _ in range(connections):
        with socket.create_connection((ADDRESSES[family], port)) as connection:
            connection.sendall(REQUEST)
            pieces += read_exactly(connection, len(ANSWER))
            connection.recv(1)  # until the server has closed
    os.write(told, struct.pack("q", pieces))


def usage(parent, cgroup):
    """The last network figures of a cgroup; those of a cgroup not told of yet are empty."""
    points = find(parent.reports()[-1], "deepmon_system_network", cgroup=cgroup.path[1:])
    return points[0].fields if points else {}


def settled(parent):
    batches = len(parent.batches)
    parent.wait_for_batches(batches + 3, 10)


def start(t):
    host.require_bpf()
    parent = execd(t, "--network", "on", interval=0.5)
    parent.wait_for_batches(1, 10)
    return parent


def run_pair(t, parent, family):
    """A server and a client, each in a cgroup of its own: their figures, and in how many pieces they read."""
    server, client = t.enter(Cgroup()), t.enter(Cgroup())
    pipes = os.pipe(), os.pipe()

    def be_server(ready):
        listener = socket.create_server((ADDRESSES[family], 0), family=family, backlog=64)
        os.write(ready, struct.pack("q", listener.getsockname()[1]))
        serve(listener, pipes[0][1], CONNECTIONS)
        time.sleep(30)

    def be_client(port):
        ask(family, port, pipes[1][1], CONNECTIONS)
        time.sleep(30)

    port_pipe = os.pipe()
    server.run(be_server, port_pipe[1])
    port = struct.unpack("q", os.read(port_pipe[0], 8))[0]
    client.run(be_client, port)
    pieces = [struct.unpack("q", os.read(pipe[0], 8))[0] for pipe in pipes]
    for pipe in (*pipes, port_pipe):
        os.close(pipe[0])
        os.close(pipe[1])
    settled(parent)
    return usage(parent, server), usage(parent, client), pieces


def check_pair(t, server, client, pieces):
    sent, received = CONNECTIONS * len(REQUEST), CONNECTIONS * len(ANSWER)
    expected = {"tcp_sent_bytes": sent, "tcp_received_bytes": received, "tcp_sent_messages": CONNECTIONS,
                "tcp_received_messages": pieces[1], "tcp_opened_active": CONNECTIONS, "tcp_opened_passive": 0,
                "tcp_failed": 0, "tcp_closed": CONNECTIONS, "udp_sent_bytes": 0}
    with t.apart():
        t.equal({key: client.get(key) for key in expected}, expected, "the client's figures")
    expected = {"tcp_sent_bytes": received, "tcp_received_bytes": sent, "tcp_received_messages": pieces[0],
                "tcp_opened_active": 0, "tcp_opened_passive": CONNECTIONS, "tcp_failed": 0,
                "tcp_closed": CONNECTIONS}
    with t.apart():
        t.equal({key: server.get(key) for key in expected}, expected, "the server's figures")


def test_tcp_by_role_over_ipv4(t):
    check_pair(t, *run_pair(t, start(t), socket.AF_INET))


def test_tcp_by_role_over_ipv6(t):
    check_pair(t, *run_pair(t, start(t), socket.AF_INET6))


def test_a_listener_that_was_there_before(t):
    """Its connections are charged to whoever takes them, from the first byte on."""
    host.require_bpf()
    server, client = t.enter(Cgroup()), t.enter(Cgroup())
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    told, asked = os.pipe(), os.pipe()
    server.run(lambda: (serve(listener, told[1], CONNECTIONS), time.sleep(30)))
    parent = start(t)
    client.run(lambda: (ask(socket.AF_INET, listener.getsockname()[1], asked[1], CONNECTIONS), time.sleep(30)))
    pieces = [struct.unpack("q", os.read(pipe[0], 8))[0] for pipe in (told, asked)]
    settled(parent)
    check_pair(t, usage(parent, server), usage(parent, client), pieces)
    listener.close()


def test_what_fails_and_what_is_reset(t):
    parent = start(t)
    group = t.enter(Cgroup())
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    done = os.pipe()

    def be_refused_and_reset():
        for _ in range(20):
            try:
                socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                pass
        listener = socket.create_server(("127.0.0.1", 0))
        for _ in range(10):
            with socket.create_connection(listener.getsockname()) as client:
                connection, _ = listener.accept()
                # Closed without lingering: a reset in place of an end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                try:
                    client.recv(1)
                except ConnectionResetError:
                    pass
        os.write(done[1], b"x")
        time.sleep(30)

    group.run(be_refused_and_reset)
    os.read(done[0], 1)
    settled(parent)
    figures = usage(parent, group)
    t.equal(figures.get("tcp_failed"), 20, "connections refused")
    t.equal(figures.get("tcp_opened_active"), 10, "connections got")
    t.equal(figures.get("tcp_opened_passive"), 10, "connections taken")
    t.equal(figures.get("tcp_closed"), 20, "ends of connections, of both sides")
    t.note(f"resets sent {figures.get('tcp_resets_sent')}, received {figures.get('tcp_resets_received')}")
    t.true(figures.get("tcp_resets_received", 0) >= 10, "resets received", figures)


def test_udp_counts_and_unix_sockets_do_not(t):
    parent = start(t)
    group = t.enter(Cgroup())
    done = os.pipe()

    def talk():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 0))
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        left, right = socket.socketpair()
        for _ in range(100):
            sender.sendto(b"u" * 500, receiver.getsockname())
            receiver.recv(2000, socket.MSG_PEEK)  # looking is not receiving
            receiver.recv(2000)
            left.sendall(b"x" * 10_000)
            read_exactly(right, 10_000)
        os.write(done[1], b"x")
        time.sleep(30)

    group.run(talk)
    os.read(done[0], 1)
    settled(parent)
    figures = usage(parent, group)
    expected = {"udp_sent_bytes": 50_000, "udp_sent_messages": 100, "udp_received_bytes": 50_000,
                "udp_received_messages": 100, "tcp_sent_bytes": 0, "tcp_received_bytes": 0}
    t.equal({key: figures.get(key) for key in expected}, expected, "figures")


def test_off_by_default(t):
    host.require_bpf()
    parent = execd(t, interval=0.5)
    parent.wait_for_batches(2, 10)
    t.equal([point for point in parent.points() if point.measurement.endswith("_network")], [], "points")


def test_totals_are_what_the_groups_did(t):
    """Those that end are in the totals, and the sum of all groups is the total's growth."""
    parent = start(t)
    run_pair(t, parent, socket.AF_INET)
    reports = parent.reports()
    for field in ("tcp_sent_bytes", "tcp_received_bytes", "tcp_opened_active", "tcp_closed"):
        groups = sum(point.fields[field] for point in find(reports[-1], "deepmon_system_network"))
        total = find(reports[-1], "deepmon_total_network", kind="system")[0].fields[field]
        t.equal(groups, total, f"{field} of all groups")
