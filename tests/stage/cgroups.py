# SPDX-License-Identifier: GPL-3.0-only
"""Cgroups for tests, and the kernel's own account of their CPU time.

The account is cpuacct's on v1 and hybrid hosts, cpu.stat's where the unified hierarchy is the only one:
the same choice that deepmon makes.
"""

import bisect
import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from .mounts import mounts
from .process import Skip, StageError


def cpu_hierarchy():
    """(mount point, whether it is v1) of the hierarchy that accounts CPU time."""
    unified = None
    for mount in mounts():
        if mount.kind == "cgroup" and "cpuacct" in mount.options:
            return Path(mount.point), True
        if mount.kind == "cgroup2" and unified is None:
            unified = Path(mount.point)
    if unified is None:
        raise Skip("no cgroup hierarchy that accounts CPU time is mounted", needs="bpf")
    return unified, False


def hierarchies():
    """The mount points of all of them, v1 and v2."""
    return [Path(mount.point) for mount in mounts() if mount.kind in ("cgroup", "cgroup2")]


def read_usage_ns(directory):
    """CPU time of a cgroup and all below it so far."""
    directory = Path(directory)
    try:
        return int((directory / "cpuacct.usage").read_text())
    except FileNotFoundError:
        for line in (directory / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) * 1000
        raise


def join(directory, pid=0):
    """Moves a process (0: the caller) into a cgroup."""
    Path(directory, "cgroup.procs").write_text(str(pid))


def pids_in(directory):
    try:
        return [int(pid) for pid in Path(directory, "cgroup.procs").read_text().split()]
    except OSError:
        return []


class Cgroup:
    """A cgroup of the CPU hierarchy, removed at the end together with all that it holds.

    Without a parent it is a top one whose name no other run uses.
    """

    def __init__(self, name=None, parent=None):
        root, _ = cpu_hierarchy()
        unique = f"deepmon-test-{os.getpid()}-{os.urandom(3).hex()}"
        self.directory = (parent.directory if parent else root) / (name or unique)
        self.processes = []

    def __enter__(self):
        try:
            self.directory.mkdir()
        except PermissionError as error:
            raise Skip(f"cannot make a cgroup: {error}", needs="bpf") from error
        return self

    def __exit__(self, *_):
        self.remove()

    @property
    def path(self):
        """Relative to its hierarchy's root, as /proc/PID/cgroup has it."""
        root, _ = cpu_hierarchy()
        return "/" + str(self.directory.relative_to(root))

    def child(self, name):
        """A cgroup in this one, made at once and removed with it."""
        return Cgroup(name, self).__enter__()

    def usage_ns(self):
        return read_usage_ns(self.directory)

    def run(self, function, *arguments):
        """Forks a child that joins this cgroup and then calls function; it ends with the cgroup."""
        pid = os.fork()
        if pid == 0:
            try:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                join(self.directory)
                function(*arguments)
            finally:
                os._exit(0)
        self.processes.append(pid)
        return pid

    def prefix(self):
        """What comes before a command that is to run in it, and then is that command's process."""
        return ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', self.directory]

    def end_processes(self):
        """Kills what runs in it or below and takes in our own children."""
        for directory in below(self.directory):
            for pid in pids_in(directory):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for pid in self.processes:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self.processes.clear()

    def remove(self):
        if not self.directory.exists():
            return
        deadline = time.monotonic() + 10
        self.end_processes()
        for directory in reversed(below(self.directory)):
            while not removed(directory):
                if time.monotonic() > deadline:
                    raise StageError(f"{directory} could not be removed within 10 s")
                time.sleep(0.01)


class Container(Cgroup):
    """A cgroup that is one in all hierarchies, of a path that Docker would give it."""

    def __init__(self, name=None, parent=None):
        self.identity = os.urandom(32).hex()
        if not parent and name is None:
            name = f"docker-{self.identity}.scope"
        super().__init__(name, parent)
        self.others = []

    @property
    def name(self):
        """What deepmon calls it."""
        return self.identity[:12]

    @staticmethod
    def controller(name, v1_name=None):
        """(mount point, whether it is v1) of the hierarchy that has a controller; None: there is none."""
        unified = None
        for mount in mounts():
            if mount.kind == "cgroup" and (v1_name or name) in mount.options:
                return Path(mount.point), True
            if mount.kind == "cgroup2" and name in Path(mount.point, "cgroup.controllers").read_text().split():
                unified = Path(mount.point), False
        return unified

    @property
    def unified(self):
        """Its directory in the unified hierarchy, or None."""
        for mount in mounts():
            if mount.kind == "cgroup2":
                return Path(mount.point) / self.path.lstrip("/")
        return None

    def __enter__(self):
        super().__enter__()
        for root in hierarchies():
            directory = root / self.path.lstrip("/")
            try:
                directory.mkdir()
            except FileExistsError:
                continue
            except OSError:
                continue  # cpuset's wants to be filled in first
            self.others.append(directory)
        return self

    def child(self, name):
        return Container(name, self).__enter__()

    def run(self, function, *arguments):
        def in_all():
            for directory in self.others:
                with contextlib.suppress(OSError):
                    join(directory)
            function(*arguments)

        return super().run(in_all)

    def limit_memory(self, size):
        root, v1 = self.controller("memory")
        file = "memory.limit_in_bytes" if v1 else "memory.max"
        (root / self.path.lstrip("/") / file).write_text(str(size))

    def remove(self):
        paths = [str(directory.relative_to(self.directory)) for directory in below(self.directory)]
        super().remove()
        deadline = time.monotonic() + 10
        for other in self.others:
            for path in reversed(paths):
                while not removed(other / path) and time.monotonic() < deadline:
                    time.sleep(0.01)


def below(directory):
    """The cgroup and all in it, parents first."""
    return [Path(path) for path, _, _ in os.walk(directory)]


def removed(directory):
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def burn_ns(cpu_ns):
    """Uses about that much CPU time in this thread."""
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass


class UsagePoller:
    """Reads the kernel's account of some cgroups all the time, to know it at any moment later.

    A reading costs a few file reads; its moment is the middle of the reading, and one that took long
    (the poller was put off the CPU inside) is thrown away.
    """

    def __init__(self, directories, period=0.02):
        self.directories = {name: Path(path) for name, path in directories.items()}
        self.period = period
        self.times = {name: [] for name in directories}
        self.values = {name: [] for name in directories}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.poll, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def poll(self):
        while not self.ending.wait(self.period):
            for name, directory in self.directories.items():
                before = time.time_ns()
                try:
                    value = read_usage_ns(directory)
                except OSError:
                    continue
                after = time.time_ns()
                if after - before < 2_000_000:
                    self.times[name].append((before + after) // 2)
                    self.values[name].append(value)

    def at(self, name, time_ns):
        """CPU time of a cgroup at that moment, between the two readings around it."""
        times, values = self.times[name], self.values[name]
        right = bisect.bisect_left(times, time_ns)
        if right == 0 or right == len(times):
            raise StageError(f"no readings of {name} around {time_ns}")
        share = (time_ns - times[right - 1]) / (times[right] - times[right - 1])
        return values[right - 1] + share * (values[right] - values[right - 1])

    def between(self, name, start_ns, end_ns):
        return self.at(name, end_ns) - self.at(name, start_ns)
