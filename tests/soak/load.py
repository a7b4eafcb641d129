# SPDX-License-Identifier: GPL-3.0-only
"""What the soak lets happen: containers and units that come and go, with forks, files and HTTP over loopback.

All of it is below one cgroup, so that the kernel's account of that one is the whole of it. What a worker does,
it does where it was put while it slept: a v1 hierarchy charges a running task's time at ticks.
"""

import contextlib
import mmap
import os
import random
import socket
import struct
import time

from stage.cgroups import burn_ns, join, removed

NAMES = 10  # under which containers come back again and again
KEPT = 100  # lives for which the runtime's file of one outlives it
BURN_NS = 1_000_000
FILES, FILE_BYTES = 3, 16384
REQUESTS = 3
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + b"a" * 4096
REQUEST = b"GET /%d HTTP/1.1\r\nHost: soak\r\n\r\n"


class Counts:
    """Shared with the processes of the load."""

    FIELDS = ("containers", "units", "requests", "failed", "stop")

    def __init__(self):
        self.memory = mmap.mmap(-1, 8 * len(self.FIELDS))

    def __getitem__(self, name):
        return struct.unpack_from("q", self.memory, 8 * self.FIELDS.index(name))[0]

    def __setitem__(self, name, value):
        struct.pack_into("q", self.memory, 8 * self.FIELDS.index(name), value)

    def add(self, name, number=1):
        """By one process alone for each name."""
        self[name] += number


def in_cgroup(directory, function, *arguments):
    """A child that is put in while it sleeps, and then does that; its pid."""
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(go)
            os.read(wait, 1)
            function(*arguments)
            status = 0
        finally:
            os._exit(status)
    os.close(wait)
    join(directory, pid)
    os.write(go, b"x")
    os.close(go)
    return pid


def serve(listener, counts):
    """One connection after the other, until each closes."""
    while True:
        connection, _ = listener.accept()
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            while connection.recv(4096):
                connection.sendall(ANSWER)
                counts.add("requests")


def ask(port, number):
    """From an address of its own, so that the server has many peers."""
    own = f"127.0.{1 + number // 250 % 200}.{1 + number % 250}"
    with socket.create_connection(("127.0.0.1", port), 5, (own, 0)) as connection:
        for request in range(REQUESTS):
            connection.sendall(REQUEST % request)
            left = len(ANSWER)
            while left:
                left -= len(connection.recv(left)) or left


def live(port, directory, number):
    """What a container does: burns, forks, writes and reads files, asks the server."""
    burn_ns(BURN_NS)
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            burn_ns(BURN_NS // 4)
            os._exit(0)
        os.waitpid(pid, 0)
    for file in range(FILES):
        path = directory / f"file{number % 50}.{file}"
        path.write_bytes(b"s" * FILE_BYTES)
        path.read_bytes()
        path.unlink()
    ask(port, number)


class Load:
    """Below by_hand.top; `files` is a directory to write in."""

    def __init__(self, by_hand, files, per_second):
        self.by_hand = by_hand
        self.files = files
        self.period = 1 / per_second
        self.counts = Counts()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.mark = os.urandom(24).hex()
        self.pid = None

    def identity(self, number):
        """An id with the mark in it, by which ours are told from those of others on this host."""
        return f"{number:08x}{self.mark}{number:08x}"

    def __enter__(self):
        """The server, a container that stays, is there for as long as this is."""
        self.files.mkdir(parents=True)
        identity = self.identity(0xffffffff)
        self.by_hand.write_docker(identity, "soak-server")
        directory = self.by_hand.make(identity)
        self.server = in_cgroup(directory, serve, self.listener, self.counts)
        return self

    def __exit__(self, *_):
        self.stop()
        os.kill(self.server, 9)
        os.waitpid(self.server, 0)
        self.listener.close()

    def fill(self, count):
        """So many units that were and are no more, for whoever remembers the last of them."""
        for number in range(count):
            directory = self.by_hand.top.directory / f"past{number}.service"
            directory.mkdir()
            os.waitpid(in_cgroup(directory, burn_ns, BURN_NS), 0)
            self.end(directory)

    def start(self):
        """It goes on by itself until stop()."""
        self.counts["stop"] = 0
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self.run()
                status = 0
            finally:
                os._exit(status)

    def stop(self):
        """True: it came to its end as it should."""
        if self.pid is None:
            return True
        self.counts["stop"] = 1
        status = os.waitpid(self.pid, 0)[1]
        self.pid = None
        return status == 0

    def run(self):
        number = self.counts["containers"]
        following = time.monotonic()
        while not self.counts["stop"]:
            self.container(number)
            if number % 4 == 0:
                self.unit(number)
            number += 1
            following = max(following + self.period * random.uniform(0.5, 1.5), time.monotonic() - 1)
            time.sleep(max(0, following - time.monotonic()))

    def container(self, number):
        identity = self.identity(number)
        self.by_hand.write_docker(identity, f"soak-{number % NAMES}")
        directory = self.by_hand.make(identity)
        status = os.waitpid(in_cgroup(directory, live, self.port, self.files, number), 0)[1]
        self.counts.add("failed", status != 0)
        self.counts.add("containers")
        self.end(directory)
        with contextlib.suppress(FileNotFoundError):
            path = self.by_hand.docker_config(self.identity(number - KEPT))
            path.unlink()
            path.parent.rmdir()

    def unit(self, number):
        directory = self.by_hand.top.directory / f"soak{number % 20}.service"
        directory.mkdir()
        os.waitpid(in_cgroup(directory, burn_ns, BURN_NS), 0)
        self.counts.add("units")
        self.end(directory)

    @staticmethod
    def end(directory):
        deadline = time.monotonic() + 10
        while not removed(directory) and time.monotonic() < deadline:
            time.sleep(0.001)
