# SPDX-License-Identifier: GPL-3.0-only
"""The memory of containers and units: what is told is what the kernel's own files say at that moment."""

import contextlib
import mmap
import os
import signal
import time
from pathlib import Path

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import find
from stage.process import Skip, wait_until

from support import collectd, csv, execd

MIB = 1 << 20
ANONYMOUS, CACHE, SHARED = 64 * MIB, 32 * MIB, 16 * MIB


def require_memory():
    host.require_bpf()
    if Container.controller("memory") is None:
        raise Skip("no cgroup hierarchy has the controller memory", needs="bpf")


def touch(memory, size):
    for offset in range(0, size, mmap.PAGESIZE):
        memory[offset] = 1


def use_memory(path):
    """Memory of each kind, in use until the end."""
    anonymous = mmap.mmap(-1, ANONYMOUS, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    shared = mmap.mmap(-1, SHARED, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    touch(anonymous, ANONYMOUS)
    touch(shared, SHARED)
    with open(path, "wb") as file:
        for _ in range(CACHE // MIB):
            file.write(bytes(MIB))
        file.flush()
        os.fsync(file.fileno())
    Path(f"{path}.done").touch()
    signal.pause()


def use_up(size):
    touch(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), size)


def pairs(text):
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) == 2}


def kernels_figures(container):
    """What the files of the container's cgroup say, by the names of our fields."""
    directory, v1 = Container.controller("memory")
    directory = directory / container.path.lstrip("/")

    def number(name):
        with contextlib.suppress(OSError, ValueError):
            return int((directory / name).read_text())
        return None

    stat = pairs((directory / "memory.stat").read_text())
    prefix = "total_" if v1 else ""
    names = (("total_rss", "total_cache") if v1 else ("anon", "file"))
    events = pairs((directory / ("memory.oom_control" if v1 else "memory.events")).read_text())
    usage = number("memory.usage_in_bytes" if v1 else "memory.current")
    limit = number("memory.limit_in_bytes" if v1 else "memory.max")
    if limit is not None and limit >= 1 << 62:
        limit = None
    figures = {
        "usage_bytes": usage,
        "working_set_bytes": usage - stat[prefix + "inactive_file"],
        "anonymous_bytes": stat[names[0]],
        "page_cache_bytes": stat[names[1]],
        "shared_bytes": stat[prefix + "shmem"],
        "kernel_bytes": number("memory.kmem.usage_in_bytes") if v1 else stat.get("kernel"),
        "swap_bytes": stat.get("total_swap") if v1 else number("memory.swap.current"),
        "limit_bytes": limit,
        "minor_faults": stat[prefix + "pgfault"] - stat[prefix + "pgmajfault"],
        "major_faults": stat[prefix + "pgmajfault"],
        "oom_kills": events.get("oom_kill"),
    }
    return {name: value for name, value in figures.items() if value is not None}


def told(report, container):
    """The fields of a report about the container's memory."""
    points = find(report, "deepmon_container_memory", container_name=container.name)
    return points[0].fields if points else {}


def last_told(parent, container):
    reports = parent.reports()
    return told(reports[-1], container) if reports else {}


def still_figures(t, parent, container):
    """(what was told, what the files say), of a report around which the files did not change."""
    for _ in range(20):
        batches = len(parent.batches)
        before = kernels_figures(container)
        parent.wait_for_batches(batches + 2, 10)
        fields = last_told(parent, container)
        after = kernels_figures(container)
        if before == after:
            return fields, after
    t.note(f"before {before}, after {after}")
    raise Skip("the container's memory never stood still")


def test_figures_are_the_kernels_own(t):
    require_memory()
    parent = execd(t, "--idle-reread", 0, interval=0.3)
    parent.wait_for_batches(1, 10)
    container = t.enter(Container())
    container.run(use_memory, t.state / "file")
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    fields, files = still_figures(t, parent, container)
    t.equal({name: fields.get(name) for name in files}, files, "what is told, and what the files say")
    t.equal([name for name in ("limit_bytes", "limit_percent") if name in fields], [],
            "a limit, where there is none")
    # The workload's, and what Python has besides.
    t.between(fields["anonymous_bytes"] / MIB, ANONYMOUS / MIB, ANONYMOUS / MIB + 24, "MiB of anonymous memory")
    t.between(fields["shared_bytes"] / MIB, SHARED / MIB, SHARED / MIB + 1, "MiB of shared memory")
    # The kernel takes clean pages back when it likes.
    t.between(fields["page_cache_bytes"] / MIB, 0.75 * (CACHE + SHARED) / MIB, (CACHE + SHARED) / MIB + 24,
              "MiB of page cache")
    t.true(fields["minor_faults"] >= (ANONYMOUS + SHARED) / mmap.PAGESIZE, "a fault for each page touched",
           fields["minor_faults"])
    t.note(", ".join(f"{name} {value}" for name, value in fields.items()))


def test_a_limit_and_per_cent_of_it(t):
    require_memory()
    container = t.enter(Container())
    container.limit_memory(256 * MIB)
    container.run(use_memory, t.state / "file")
    parent = execd(t, "--idle-reread", 0, interval=0.3)
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    fields, files = still_figures(t, parent, container)
    t.equal(fields["limit_bytes"], files["limit_bytes"], "the limit")
    t.within(fields["limit_percent"], 100 * files["working_set_bytes"] / (256 * MIB), 1e-9, "per cent of it")


def test_counters_begin_with_deepmon(t):
    """What a container did before is no part of its counters, as with energy; amounts are what they are."""
    require_memory()
    container = t.enter(Container())
    container.run(use_memory, t.state / "file")
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(3, 10)
    fields = last_told(parent, container)
    t.true(fields["usage_bytes"] > ANONYMOUS, "usage", fields)
    t.between(fields["minor_faults"], 0, 100, "page faults since deepmon began")


def test_an_oom_kill_is_counted(t):
    require_memory()
    container = t.enter(Container())
    container.limit_memory(24 * MIB)
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(2, 10)
    t.equal(last_told(parent, container).get("oom_kills"), 0, "OOM kills before")
    _, status = os.waitpid(container.run(use_up, 96 * MIB), 0)
    container.processes.clear()
    t.equal(os.WTERMSIG(status), signal.SIGKILL, "what ended a process that used more than the limit")
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = last_told(parent, container)
    t.equal(fields["oom_kills"], 1, "OOM kills after it")
    t.true(fields["minor_faults"] > 0, "its page faults are counted although it is gone", fields)


def test_what_is_nested_is_contained(t):
    require_memory()
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(1, 10)
    container = t.enter(Container())
    nested = container.child("nested")
    nested.run(use_memory, t.state / "file")
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    report = parent.reports()[-1]
    points = find(report, "deepmon_container_memory", container_name=container.name)
    t.equal(len(points), 1, "records of the container")
    t.true(points[0].fields["usage_bytes"] > ANONYMOUS, "what is nested is in it", points[0].fields)
    t.equal([point.tags for point in report if point.measurement == "deepmon_system_memory"
             and (point.tags["cgroup"] == "root" or "nested" in point.tags["cgroup"])], [],
            "records of what is above it and of what is nested")


def test_a_parent_does_not_repeat_what_has_ended(t):
    """Once its last container has gone it is a cgroup like others; what those did is not its own."""
    require_memory()
    pool = t.enter(Container(f"deepmon-test-pool-{os.getpid()}"))
    container = pool.child(f"docker-{os.urandom(32).hex()}.scope")
    container.run(use_memory, t.state / "file")
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(3, 10)
    t.equal(find(parent.reports()[-1], "deepmon_system_memory", cgroup=pool.directory.name), [],
            "figures of a parent")
    container.remove()
    parent.wait_for_batches(len(parent.batches) + 3, 10)
    points = find(parent.reports()[-1], "deepmon_system_memory", cgroup=pool.directory.name)
    t.equal(len(points), 1, "figures of it when it is one no more")
    t.note(f"{points[0].fields}")
    t.between(points[0].fields["minor_faults"], 0, 100, "its page faults")


def test_pressure(t):
    require_memory()
    container = t.enter(Container())
    pressure = container.unified / "memory.pressure" if container.unified else None
    if pressure is None or not pressure.exists():
        raise Skip("the kernel does not tell of pressure (PSI)")
    container.limit_memory(24 * MIB)
    big = t.state / "big"
    big.write_bytes(bytes(64 * MIB))
    os.sync()

    def thrash():
        with open(big, "rb", buffering=0) as file:
            # Its pages are the writer's until they are read anew.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while file.seek(0) == 0:
                while file.read(MIB):
                    pass

    parent = execd(t, interval=0.3)
    parent.wait_for_batches(2, 10)
    pid = container.run(thrash)
    time.sleep(3)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.3)
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = last_told(parent, container)
    lines = {line.split()[0]: int(line.rsplit("=", 1)[1]) for line in pressure.read_text().splitlines()}
    t.note(f"stalled for {lines['some'] / 1e3:.1f} ms (some), {lines['full'] / 1e3:.1f} ms (full); {fields}")
    t.true("pressure_some_percent" in fields and "pressure_full_percent" in fields, "averages", fields)
    for kind in ("some", "full"):
        t.between(fields[f"pressure_{kind}_ns"], 0, lines[kind] * 1000, f"ns of {kind}, by the file at most")
    t.true(fields["pressure_some_ns"] > 0, "time in which it waited for memory", fields)


def test_off(t):
    require_memory()
    t.enter(Container())
    parent = execd(t, "--memory", "off", interval=0.3)
    parent.wait_for_batches(2, 10)
    t.equal([point for point in parent.points() if point.measurement.endswith("_memory")], [], "points of memory")


def test_the_idle_are_read_less_often(t):
    """Without CPU time a container's figures stand; with it they are read for the next report."""
    require_memory()
    container = t.enter(Container())
    parent = execd(t, "--idle-reread", 3600, interval=0.3)
    parent.wait_for_batches(3, 10)
    container.limit_memory(256 * MIB)
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = last_told(parent, container)
    t.true("usage_bytes" in fields and "limit_bytes" not in fields, "its figures as they were read last", fields)
    container.run(use_memory, t.state / "file")
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    fields = last_told(parent, container)
    t.equal(fields["limit_bytes"], 256 * MIB, "the limit after it used CPU time")
    t.true(fields["anonymous_bytes"] >= ANONYMOUS, "all of its memory", fields)


def test_collectd(t):
    """The types that it gets are its own, as far as it has such."""
    require_memory()
    container = t.enter(Container())
    container.limit_memory(256 * MIB)
    container.run(use_memory, t.state / "file")
    wait_until((t.state / "file.done").exists, 20, "the workload's memory")
    more, directory = csv(t)
    collectd(t, {"IdleReread": 0}, interval=1, more=more)
    mine = f"*/deepmon-container-{container.name}"
    wait_until(lambda: list(directory.glob(f"{mine}/memory-used-*")), 15, "memory in collectd")
    time.sleep(1.5)
    names = {path.name[:-len("-2000-01-01")] for path in directory.glob(f"{mine}/*")}
    expected = {"memory-used", "memory-working_set", "memory-anonymous", "memory-page_cache", "memory-shared",
                "memory-limit", "percent-memory_limit", "vmpage_action-minor_faults",
                "vmpage_action-major_faults", "total_events-oom_kills"}
    t.equal(expected - names, set(), f"types that did not come, of {sorted(names)}")
    value = (next(iter(directory.glob(f"{mine}/memory-used-*")))).read_text().splitlines()[-1].split(",")[1]
    t.within(float(value), kernels_figures(container)["usage_bytes"], 0.02, "memory used, in collectd")
