# SPDX-License-Identifier: GPL-3.0-only
"""Block I/O of containers: what is told is what the kernel's own files say, and what the device itself counts."""

import contextlib
import mmap
import os
import subprocess
from pathlib import Path

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import find
from stage.process import Skip, find_program, wait_until

from support import collectd, csv, execd

MIB = 1 << 20
SECTOR = 512  # of /proc/diskstats
WRITTEN, READ = 8 * MIB, 4 * MIB
REQUEST = 64 * 1024


class LoopDevice:
    """A block device of our own, upon a file."""

    def __init__(self, file, size=16 * MIB):
        self.file = file
        self.size = size

    def __enter__(self):
        host.require_root()
        self.file.write_bytes(b"")
        os.truncate(self.file, self.size)
        losetup = find_program("losetup", None, "mount")
        done = subprocess.run([losetup, "--find", "--show", self.file], capture_output=True, text=True, timeout=10,
                              check=False)
        if done.returncode:
            raise Skip(f"no loop device can be had here: {done.stderr.strip()}")
        self.path = Path(done.stdout.strip())
        return self

    def __exit__(self, *_):
        subprocess.run(["losetup", "--detach", self.path], timeout=10, check=False)

    @property
    def name(self):
        return self.path.name

    @property
    def number(self):
        return Path(f"/sys/class/block/{self.name}/dev").read_text().strip()

    def diskstats(self):
        """(bytes read, bytes written) that the device counts itself."""
        for line in Path("/proc/diskstats").read_text().splitlines():
            words = line.split()
            if words[2] == self.name:
                return int(words[5]) * SECTOR, int(words[9]) * SECTOR
        raise AssertionError(f"{self.name} is not in /proc/diskstats")


def use_device(path, written, read):
    """Requests of REQUEST bytes each, past the page cache."""
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    buffer = mmap.mmap(-1, REQUEST)
    for offset in range(0, written, REQUEST):
        os.pwritev(fd, [buffer], offset)
    for offset in range(0, read, REQUEST):
        os.preadv(fd, [buffer], offset)


def read_mapped(path, size):
    """Touches each page by way of a mapping: no system call reads it."""
    with open(path, "rb", buffering=0) as file:
        memory = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset]


def count_on(device, cgroup):
    """Since Linux 6.10 v1 counts on devices alone that have had a rule: one that never holds anybody up."""
    root, v1 = Container.controller("io", "blkio")
    if v1:
        (root / cgroup / "blkio.throttle.read_bps_device").write_text(f"{device.number} 1000000000000")


def counting_container(t, device):
    """A container whose I/O to that device the kernel counts."""
    host.require_bpf()
    if Container.controller("io", "blkio") is None:
        raise Skip("no cgroup hierarchy has the controller io or blkio", needs="bpf")
    container = t.enter(Container())
    count_on(device, container.path.lstrip("/"))
    return container


def kernels_figures(container, device):
    """What the files of the container's cgroup say, by the names of our fields."""
    root, v1 = Container.controller("io", "blkio")
    directory = root / container.path.lstrip("/")
    if not v1:
        for line in (directory / "io.stat").read_text().splitlines():
            if line.startswith(device.number + " "):
                stat = dict(pair.split("=") for pair in line.split()[1:])
                return {"read_bytes": int(stat["rbytes"]), "written_bytes": int(stat["wbytes"]),
                        "read_operations": int(stat["rios"]), "write_operations": int(stat["wios"])}
        return {}
    found = {}
    for file, read, write in (("blkio.throttle.io_service_bytes_recursive", "read_bytes", "written_bytes"),
                              ("blkio.throttle.io_serviced_recursive", "read_operations", "write_operations")):
        for line in (directory / file).read_text().splitlines():
            with contextlib.suppress(ValueError):
                number, kind, value = line.split()
                if number == device.number and kind in ("Read", "Write"):
                    found[read if kind == "Read" else write] = int(value)
    return found


def told(parent, container, device):
    reports = parent.reports()
    points = find(reports[-1], "deepmon_container_block", container_name=container.name, device=device.name)
    return points[0].fields if points else {}


def use(container, device, written, read):
    os.waitpid(container.run(use_device, device.path, written, read), 0)
    container.processes.clear()


def test_figures_are_the_kernels_and_the_devices_own(t):
    device = t.enter(LoopDevice(t.state / "disk"))
    container = counting_container(t, device)
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(2, 10)
    t.equal(told(parent, container, device), {}, "figures of a device that is not used yet")
    before = device.diskstats()
    use(container, device, WRITTEN, READ)
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = told(parent, container, device)
    files = kernels_figures(container, device)
    t.note(f"{fields}")
    t.equal({name: fields.get(name) for name in files}, files, "what is told, and what the files say")
    t.equal((fields["read_bytes"], fields["written_bytes"]), (READ, WRITTEN), "bytes, as the workload knows them")
    t.equal((fields["read_operations"], fields["write_operations"]), (READ // REQUEST, WRITTEN // REQUEST),
            "operations")
    grown = tuple(after - first for after, first in zip(device.diskstats(), before))
    t.equal(grown, (READ, WRITTEN), "bytes read and written in /proc/diskstats")


def test_mapped_files_are_seen_here(t):
    """What is read by way of mmap is in no system call's count, and in the device's."""
    device = t.enter(LoopDevice(t.state / "disk"))
    container = counting_container(t, device)
    parent = execd(t, "--file-io", "counts", interval=0.3)
    parent.wait_for_batches(2, 10)
    before = device.diskstats()
    os.waitpid(container.run(read_mapped, device.path, READ), 0)
    container.processes.clear()
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields, files = told(parent, container, device), kernels_figures(container, device)
    t.equal({name: fields.get(name) for name in files}, files, "what is told, and what the files say")
    # The kernel reads ahead.
    t.between(fields["read_bytes"], READ, device.size, "bytes read from the device")
    t.equal(fields["read_bytes"], device.diskstats()[0] - before[0], "bytes read in /proc/diskstats")
    calls = find(parent.reports()[-1], "deepmon_container_file_io", container_name=container.name)
    t.equal(len(calls), 1, "records of its file I/O")
    read = calls[0].fields["read_bytes"]
    t.note(f"{fields['read_bytes']} bytes read from the device, {read} by system calls")
    t.between(read, 0, READ // 64, "bytes that system calls read")


def test_counters_begin_with_deepmon(t):
    device = t.enter(LoopDevice(t.state / "disk"))
    container = counting_container(t, device)
    use(container, device, WRITTEN, READ)
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(2, 10)
    use(container, device, MIB, 0)
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = told(parent, container, device)
    t.equal((fields["read_bytes"], fields["written_bytes"]), (0, MIB), "bytes since deepmon began")


def test_devices_past_the_limit_are_one(t):
    devices = [t.enter(LoopDevice(t.state / f"disk{number}")) for number in range(3)]
    container = counting_container(t, devices[0])
    rule = Container.controller("io", "blkio")
    parent = execd(t, "--block-devices", 1, interval=0.3)
    parent.wait_for_batches(2, 10)
    for device in devices:
        if rule[1]:
            (rule[0] / container.path.lstrip("/") / "blkio.throttle.read_bps_device").write_text(
                f"{device.number} 1000000000000")
        use(container, device, MIB, 0)
        parent.wait_for_batches(len(parent.batches) + 2, 10)
    points = find(parent.reports()[-1], "deepmon_container_block", container_name=container.name)
    t.equal({point.tags["device"]: point.fields["written_bytes"] for point in points},
            {devices[0].name: MIB, "(other)": 2 * MIB}, "bytes written, by device")


def test_off(t):
    device = t.enter(LoopDevice(t.state / "disk"))
    container = counting_container(t, device)
    parent = execd(t, "--block-devices", 0, interval=0.3)
    parent.wait_for_batches(1, 10)
    use(container, device, MIB, 0)
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    t.equal([point for point in parent.points() if point.measurement.endswith("_block")], [], "points of devices")


def test_collectd(t):
    device = t.enter(LoopDevice(t.state / "disk"))
    container = counting_container(t, device)
    more, directory = csv(t)
    collectd(t, interval=1, more=more)
    wait_until(lambda: list(directory.glob("*/deepmon-total-idle/deepmon_cpu_ns*")), 10, "values in collectd")
    use(container, device, WRITTEN, READ)
    mine = f"*/deepmon-container-{container.name}"
    expected = {f"total_{what}-{name}-{device.name}" for what, name in (
        ("bytes", "read"), ("bytes", "written"), ("operations", "read"), ("operations", "write"))}

    def missing():
        return expected - {path.name[:-len("-2000-01-01")] for path in directory.glob(f"{mine}/*")}

    # collectd writes a record's files one after the other.
    wait_until(lambda: not missing(), 15, lambda: f"types in collectd: {missing()}")
