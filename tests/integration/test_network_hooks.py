# SPDX-License-Identifier: GPL-3.0-only
"""Where sends and receives are heard of. What each of the hooks counts is for tests/kernels, which has kernels
that take them all; here is what is said and left out where one is not to be had."""

import os
import socket
import time

from stage import host
from stage.cgroups import Cgroup

from support import execd
from test_network import settled, usage


def test_a_hook_that_is_not_to_be_had(t):
    """Asked for by name, nothing else is taken: no bytes are told, and connections are."""
    host.require_bpf()
    for hooks in ("fentry", "kprobes"):
        parent = execd(t, "--network", "on", "--network-hooks", hooks, interval=0.5)
        parent.wait_for_batches(1, 10)
        log = (t.state / "execd.log").read_text()
        if "left out" not in log:
            t.note(f"this kernel has {hooks}")
            continue
        t.true(f". {hooks}" in log, f"the log says why there are no {hooks}", log)
        group = t.enter(Cgroup())
        done = os.pipe()

        def talk(told=done[1]):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                with socket.create_connection(listener.getsockname()) as client:
                    connection, _ = listener.accept()
                    client.sendall(b"x" * 1000)
                    connection.close()
            os.write(told, b"x")
            time.sleep(30)

        group.run(talk)
        os.read(done[0], 1)
        settled(parent)
        figures = usage(parent, group)
        t.equal(figures.get("tcp_opened_active"), 1, "connections asked for")
        t.equal([name for name in figures if "bytes" in name or "messages" in name], [], "bytes and messages")


def test_a_connection_without_any_data(t):
    """Of a listener that was there before: whoever ends the connection had it."""
    host.require_bpf()
    group = t.enter(Cgroup())
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    done, count = os.pipe(), 20

    def serve():
        for _ in range(count):
            listener.accept()[0].close()
        os.write(done[1], b"x")
        time.sleep(30)

    group.run(serve)
    parent = execd(t, "--network", "on", interval=0.5)
    parent.wait_for_batches(1, 10)
    for _ in range(count):
        with socket.create_connection(listener.getsockname()) as client:
            client.recv(1)
    os.read(done[0], 1)
    settled(parent)
    figures = usage(parent, group)
    listener.close()
    t.equal([figures.get("tcp_opened_passive"), figures.get("tcp_closed")], [count, count], "opened and closed")
