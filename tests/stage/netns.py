# SPDX-License-Identifier: GPL-3.0-only
"""Network namespaces for tests, and the links between them. Nothing of the host's own network is touched."""

import ctypes
import os
import subprocess
from pathlib import Path

from .process import Skip, find_program

CLONE_NEWNET = 0x40000000


class Namespace:
    """A network namespace with its loopback up; gone at the end, with all that is in it."""

    def __init__(self):
        self.name = f"deepmon-test-{os.getpid()}-{os.urandom(3).hex()}"
        self.path = Path("/run/netns", self.name)

    def __enter__(self):
        done = ip("netns", "add", self.name, check=False)
        if done.returncode:
            raise Skip(f"cannot make a network namespace: {done.stderr.strip()}", needs="netns")
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        ip("netns", "delete", self.name, check=False)

    def ip(self, *arguments):
        """ip, inside."""
        return ip("-netns", self.name, *arguments)

    def join(self):
        """Moves the calling process in; for a child."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(self.path, encoding="ascii") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def prefix(self):
        """Before a command that is to run inside; /sys stays the host's."""
        return [find_program("nsenter", "netns", "util-linux"), f"--net={self.path}"]

    def run(self, *command):
        """A command inside; Skip says what went wrong."""
        done = subprocess.run([*self.prefix(), *command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20, check=False)
        if done.returncode:
            raise Skip(f"{' '.join(map(str, command))}: {done.stderr.strip()}", needs="netns")

    def link(self, other, mine, others):
        """A veth pair with an address and prefix at each end. Its name here."""
        name = f"v{os.urandom(4).hex()}"
        self.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", other.name)
        for namespace, address in ((self, mine), (other, others)):
            namespace.ip("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
            namespace.ip("link", "set", name, "up")
        return name

    def add_address(self, name, address):
        self.ip("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))


def ip(*arguments, check=True):
    return subprocess.run([find_program("ip", "netns", "iproute2"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20, check=check)
