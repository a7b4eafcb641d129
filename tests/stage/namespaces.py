# SPDX-License-Identifier: GPL-3.0-only
"""Network namespaces of a test's own, with a pair of virtual interfaces between two of them."""

import os
import subprocess

from .process import Skip, find_program


class LinkedNamespaces:
    """Two namespaces, .left at 10.99.0.1 and .right at 10.99.0.2; gone at the end."""

    addresses = ("10.99.0.1", "10.99.0.2")

    def __init__(self):
        unique = f"dm{os.getpid()}"
        self.left, self.right = f"{unique}l", f"{unique}r"
        self.ip = find_program("ip", None, "iproute2")

    def __enter__(self):
        try:
            self.make()
        except subprocess.CalledProcessError as error:
            self.__exit__()
            raise Skip(f"no network namespaces here: {error.stderr.decode().strip()}") from error
        return self

    def __exit__(self, *_):
        for name in (self.left, self.right):
            subprocess.run([self.ip, "netns", "del", name], check=False, capture_output=True)

    def make(self):
        for name in (self.left, self.right):
            self.run("netns", "add", name)
        self.run("-n", self.left, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns",
                 self.right)
        for name, address in zip((self.left, self.right), self.addresses):
            self.run("-n", name, "addr", "add", f"{address}/24", "dev", "veth0")
            self.run("-n", name, "link", "set", "veth0", "up")
            self.run("-n", name, "link", "set", "lo", "up")

    def run(self, *words):
        subprocess.run([self.ip, *words], check=True, capture_output=True)

    def prefix(self, name):
        """What comes before a command that is to run in it."""
        return [self.ip, "netns", "exec", name]
