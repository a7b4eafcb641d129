# SPDX-License-Identifier: GPL-3.0-only
"""What containers read and write by system calls, against the kernel's own count of their tasks."""

import os
import signal
from pathlib import Path

from stage import host
from stage.cgroups import Container, pids_in
from stage.lineprotocol import find
from stage.process import wait_until

from support import collectd, csv, execd

MIB = 1 << 20
FILE_BYTES = 48 * MIB
CHUNK = 64 * 1024
MESSAGES = 3000
# Joining its cgroups is a few bytes that a process writes before it is in them.
TOLERANCE = 0.001


def play(number, messages, done):
    """Two processes that pass messages to and fro, each a switch; and a file written and read again."""
    ours, theirs = os.pipe(), os.pipe()
    if os.fork() == 0:
        for _ in range(messages):
            os.write(theirs[1], os.read(ours[0], 100))
        signal.pause()
    for _ in range(messages):
        os.write(ours[1], b"x" * (number + 1))
        os.read(theirs[0], 100)
    fd = os.open(f"{done}.file", os.O_RDWR | os.O_CREAT)
    for offset in range(0, FILE_BYTES, CHUNK):
        os.pwrite(fd, bytes(CHUNK), offset)
    for offset in range(0, FILE_BYTES, CHUNK):
        os.pread(fd, CHUNK, offset)
    done.touch()
    signal.pause()


def kernels_count(container):
    """The sum of /proc/PID/io of its processes, by the names of our fields."""
    names = {"rchar": "read_bytes", "wchar": "written_bytes", "syscr": "read_calls", "syscw": "write_calls"}
    sums = dict.fromkeys(names.values(), 0)
    for pid in pids_in(container.directory):
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            name, value = line.split(": ")
            if name in names:
                sums[names[name]] += int(value)
    return sums


def told(report, container):
    points = find(report, "deepmon_container_file_io", container_name=container.name)
    return points[0].fields if points else {}


def test_counts_are_the_tasks_own(t):
    host.require_bpf()
    parent = execd(t, "--file-io", "counts", interval=0.5)
    parent.wait_for_batches(2, 10)
    containers = [t.enter(Container()) for _ in range(3)]
    for number, container in enumerate(containers):
        container.run(play, number, MESSAGES, t.state / f"done{number}")
    wait_until(lambda: all((t.state / f"done{number}").exists() for number in range(3)), 60, "the workloads")
    parent.wait_for_batches(len(parent.batches) + 3, 10)
    report = parent.reports()[-1]
    for container in containers:
        fields, kernel = told(report, container), kernels_count(container)
        t.true(kernel["written_bytes"] > FILE_BYTES and kernel["read_calls"] > 2 * MESSAGES, "a workload", kernel)
        for name, value in kernel.items():
            with t.apart():
                t.within(fields.get(name, 0), value, TOLERANCE, f"{container.name} {name}")
    total = find(report, "deepmon_total_file_io", kind="container")[0].fields
    for name in ("read_bytes", "written_bytes", "read_calls", "write_calls"):
        # Others of this host may have ended meanwhile.
        mine = sum(told(report, container)[name] for container in containers)
        t.true(total[name] >= mine, f"{name} of all containers are at least {mine}", total[name])


def test_what_was_before_is_not_counted(t):
    """A task that has read and written a lot when deepmon begins, and then runs on."""
    host.require_bpf()
    container = t.enter(Container())
    container.run(play, 0, 10, t.state / "done")
    wait_until((t.state / "done").exists, 30, "the workload")
    parent = execd(t, "--file-io", "counts", interval=0.3)
    parent.wait_for_batches(2, 10)
    for pid in pids_in(container.directory):
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = told(parent.reports()[-1], container)
    t.between(fields.get("read_bytes", 0), 0, 4096, "bytes read since deepmon began")


def test_off_by_default(t):
    host.require_bpf()
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(2, 10)
    t.equal([point for point in parent.points() if point.measurement.endswith("_file_io")], [], "points")


def test_collectd(t):
    host.require_bpf()
    more, directory = csv(t)
    collectd(t, {"FileIO": "counts"}, interval=1, more=more)
    expected = {f"total_{what}-file_{name}" for what in ("bytes", "operations") for name in ("read", "written")}
    wait_until(lambda: expected <= {path.name[:-len("-2000-01-01")]
                                    for path in directory.glob("*/deepmon-total-system/*")}, 30,
               f"all of {sorted(expected)}")
