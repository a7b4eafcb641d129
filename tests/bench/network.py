# SPDX-License-Identifier: GPL-3.0-only
"""What the network's accounting costs: wrk against nginx, and one stream over loopback, with it off and on in
turn."""

import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import time

from stage.cgroups import Cgroup
from stage.execd_parent import ExecdParent
from stage.nginx import Nginx
from stage.process import StageError, find_program

from .figures import Table

# The part off; without HTTP; all of it.
MODES = {"off": ["--network", "off"], "tcp": ["--network", "on"], "http": ["--network", "on", "--http", "on"]}
CONNECTIONS = 16
PIECE = 128 * 1024
STREAM_SECONDS = 0.5


def pinned(cpu):
    return [find_program("taskset", None, "util-linux"), "-c", str(cpu)]


def send_for(seconds, connection):
    piece, end, sent = bytes(PIECE), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        sent += connection.send(piece)
    return sent


class Stream:
    """A receiver in a cgroup of its own, to which this process sends."""

    def __init__(self, cgroup, cpu):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.pid = cgroup.run(self.receive, cpu)

    def receive(self, cpu):
        os.sched_setaffinity(0, {cpu})
        buffer = bytearray(PIECE)
        while True:
            connection, _ = self.listener.accept()
            while connection.recv_into(buffer):
                pass

    def rate(self, seconds):
        """Bytes per second."""
        with socket.create_connection(self.listener.getsockname()) as connection:
            began = time.monotonic()
            sent = send_for(seconds, connection)
            return sent / (time.monotonic() - began)

    def close(self):
        self.listener.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class NetworkBench:
    """Rounds of all modes, each in its turn first; a loss is that of a round."""

    def __init__(self, build, state, figures, say):
        self.build, self.state, self.figures, self.say = build, state, figures, say

    def run(self, rounds):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            self.figures.notes.append("The network is not measured: it takes two CPUs.")
            return
        with contextlib.ExitStack() as stack:
            self.server, self.client = (stack.enter_context(Cgroup()) for _ in range(2))
            self.cpus = cpus[0], cpus[-1]
            self.nginx = stack.enter_context(
                Nginx(self.state / "nginx", prefix=[*self.server.prefix(), *pinned(self.cpus[0])]))
            self.stream = stack.enter_context(contextlib.closing(Stream(self.server, self.cpus[0])))
            affinity = os.sched_getaffinity(0)
            found = [self.round(number) for number in range(rounds)]
            os.sched_setaffinity(0, affinity)
        self.tell(found)

    def round(self, number):
        names = list(MODES)
        names = names[number % len(names):] + names[:number % len(names)]
        found = {}
        for name in names:
            with ExecdParent(self.build / "deepmon-execd", MODES[name], interval=1) as parent:
                parent.wait_for_batches(1, 20)
                found[name] = *self.requests(), self.bytes()
        self.say("network: " + ", ".join(f"{name} {rate:.0f} requests/s {stream / 1e9:.2f} GB/s"
                                         for name, (rate, _, stream) in found.items()))
        return found

    def requests(self):
        """Requests per second, and per second of CPU time of both, which others on this host disturb less."""
        command = [*self.client.prefix(), *pinned(self.cpus[1]), find_program("wrk", None, "wrk"), "-t1",
                   f"-c{CONNECTIONS}", "-d1", self.nginx.url()]
        began = self.server.usage_ns() + self.client.usage_ns()
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        used = self.server.usage_ns() + self.client.usage_ns() - began
        rate, count = re.search(r"Requests/sec: *([0-9.]+)", said), re.search(r"(\d+) requests in", said)
        if not rate or not count:
            raise StageError(f"wrk said nothing of requests: {said[-200:]}")
        return float(rate.group(1)), int(count.group(1)) / used * 1e9

    def bytes(self):
        os.sched_setaffinity(0, {self.cpus[1]})
        return self.stream.rate(STREAM_SECONDS)

    def tell(self, found):
        rows = []
        for name in MODES:
            requests, by_cpu, stream = zip(*(one[name] for one in found))
            self.figures.add(f"http_rps_{name}", "1/s", requests)
            self.figures.add(f"http_requests_per_cpu_second_{name}", "1/s", by_cpu)
            self.figures.add(f"stream_rate_{name}", "B/s", stream)
            rows.append([name, f"{statistics.median(requests):.0f}", f"{statistics.median(by_cpu):.0f}",
                         f"{statistics.median(stream) / 1e9:.2f}"])
        for end, name in (("", "http"), ("_tcp", "tcp")):
            for which, figure, most in ((0, "http_rps_loss_percent", 3), (1, "http_cpu_loss_percent", None),
                                        (2, "stream_loss_percent", 2)):
                self.figures.add(f"{figure}{end}", "%",
                                 [100 * (1 - one[name][which] / one["off"][which]) for one in found], most=most)
        self.figures.tables.append(Table(
            "The network: wrk against nginx, one small file, and one stream over loopback; off, on with TCP "
            "transactions, and with HTTP.", ["Network", "requests/s", "requests/CPU s", "GB/s"], rows))
