# SPDX-License-Identifier: GPL-3.0-only
"""RSS, PSS and USS: what is told is what the kernel says of the processes, and what it costs is what was allowed."""

import mmap
import os
import signal
import threading
import time
from pathlib import Path

from stage import host
from stage.cgroups import Container, pids_in
from stage.lineprotocol import find
from stage.process import Skip, find_program, wait_until

from support import SECOND, collectd, csv, execd, growth, one, reports_without_system

ALONE = "it holds what reading costs against what was allowed"

MIB = 1 << 20
SHARED = 64 * MIB
FIGURES = ("rss_bytes", "pss_bytes", "uss_bytes")
ON = ("--proportional-memory", "on", "--proportional-memory-interval", 0.3)
THREAD = "deepmon-survey"
MANY = 2000


def touch(memory, size=None):
    for offset in range(0, size or len(memory), mmap.PAGESIZE):
        memory[offset] = 1


def hold(memory, ready):
    """Maps what it is given, until the end; one byte says that it has all of it."""
    touch(memory)
    os.write(ready, b"x")
    signal.pause()


def run_holders(memory, *containers):
    """A process in each of them that has all of that memory when this returns."""
    done, ready = os.pipe()
    for container in containers:
        container.run(hold, memory, ready)
        os.read(done, 1)
    os.close(done)
    os.close(ready)


def rollup(pid):
    """(RSS, PSS, USS) of a process in bytes, by its smaps_rollup."""
    sizes = {words[0]: int(words[1]) * 1024 for words in
             map(str.split, Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()) if words[-1] == "kB"}
    return sizes["Rss:"], sizes["Pss:"], sizes["Private_Clean:"] + sizes["Private_Dirty:"]


def kernels_figures(container):
    """Their sums over the container's processes, by the names of our fields."""
    sums = map(sum, zip(*map(rollup, pids_in(container.directory))))
    return dict(zip(FIGURES, sums))


def told(report, container):
    """The fields of a report about the container's memory."""
    points = find(report, "deepmon_container_memory", container_name=container.name)
    return points[0].fields if points else {}


def last_told(parent, container):
    return told(parent.reports()[-1], container) if parent.batches else {}


def await_figures(parent, container, processes, seconds=20):
    """The fields once they tell of that many processes."""
    wait_until(lambda: last_told(parent, container).get("rss_processes") == processes, seconds,
               lambda: f"figures of {processes} processes (the last: {last_told(parent, container)})")
    return last_told(parent, container)


def rounds_later(parent, container, seconds=20):
    """The fields once those processes have been read anew, from now on."""
    now = time.time_ns()

    def fresh():
        report = parent.reports()[-1]
        fields = told(report, container)
        return fields if report[0].time_ns - fields.get("rss_age_seconds", 1e9) * SECOND > now else None

    return wait_until(fresh, seconds, "figures that are younger than now")


def besides(processes=1):
    """At most what so many processes have besides: what they were forked with, which is all of the tests' own."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return processes * (pages * mmap.PAGESIZE + 16 * MIB)


def shared_memory():
    """Memory that all who are forked from here on share."""
    return mmap.mmap(-1, SHARED, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)


def check_against_kernel(t, parent, container):
    """RSS is the kernel's, of processes that sleep; who shares a library with others on this host may change."""
    for _ in range(10):
        before = kernels_figures(container)
        fields = rounds_later(parent, container)
        after = kernels_figures(container)
        if before["rss_bytes"] == after["rss_bytes"]:
            break
    else:
        raise Skip("the container's memory never stood still")
    t.note(", ".join(f"{name} {fields[name] / MIB:.2f} MiB (kernel: {after[name] / MIB:.2f})" for name in FIGURES))
    t.equal(fields["rss_bytes"], after["rss_bytes"], "RSS, the sum over its processes")
    for name in ("pss_bytes", "uss_bytes"):
        least, most = sorted((before[name], after[name]))
        t.between(fields[name], least - 2 * MIB, most + 2 * MIB, name)
    return fields


# ---- The figures --------------------------------------------------------------------------------


def test_two_processes_that_share(t):
    """64 MiB that two processes map: RSS has them twice, PSS once, USS not at all."""
    host.require_bpf()
    container = t.enter(Container())
    run_holders(shared_memory(), container, container)
    parent = execd(t, *ON, interval=0.3)
    await_figures(parent, container, 2)
    fields = check_against_kernel(t, parent, container)
    t.between(fields["rss_bytes"], 2 * SHARED, 2 * SHARED + besides(2), "RSS")
    t.between(fields["pss_bytes"], SHARED, SHARED + besides(2), "PSS")
    t.between(fields["uss_bytes"], 0, besides(2), "USS")


def test_what_containers_share_is_divided(t):
    """Two processes of one and one of another: two thirds and one third, together the whole."""
    host.require_bpf()
    pair, single = t.enter(Container()), t.enter(Container())
    run_holders(shared_memory(), pair, pair, single)
    parent = execd(t, *ON, interval=0.3)
    await_figures(parent, pair, 2)
    await_figures(parent, single, 1)
    of_pair, of_single = (check_against_kernel(t, parent, container) for container in (pair, single))
    t.between(of_pair["pss_bytes"], SHARED * 2 // 3, SHARED * 2 // 3 + besides(2), "PSS of two")
    t.between(of_single["pss_bytes"], SHARED // 3, SHARED // 3 + besides(), "PSS of one")


def test_private_memory_is_in_all_three(t):
    host.require_bpf()
    container = t.enter(Container())
    run_holders(mmap.mmap(-1, SHARED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), container)
    parent = execd(t, *ON, interval=0.3)
    await_figures(parent, container, 1)
    fields = check_against_kernel(t, parent, container)
    for name in FIGURES:
        t.between(fields[name], SHARED, SHARED + besides(), name)


def test_nested_processes_and_threads(t):
    """A process with many threads is one, and what is nested is contained."""
    host.require_bpf()

    def with_threads():
        for _ in range(8):
            threading.Thread(target=signal.pause, daemon=True).start()
        signal.pause()

    container = t.enter(Container())
    container.run(with_threads)
    container.child("nested").run(signal.pause)
    parent = execd(t, *ON, interval=0.3)
    await_figures(parent, container, 2)


def test_threaded_cgroups(t):
    """Of cgroups that hold single threads the kernel tells no processes: they are told above."""
    host.require_bpf()
    container = t.enter(Container())
    if container.unified is None:
        raise Skip("the unified hierarchy is not mounted")
    threads = container.unified / "threads"

    def part_with_a_thread():
        thread = threading.Thread(target=signal.pause, daemon=True)
        thread.start()
        (threads / "cgroup.threads").write_text(str(thread.native_id))
        signal.pause()

    threads.mkdir()
    try:
        (threads / "cgroup.type").write_text("threaded")
        container.run(part_with_a_thread)
        wait_until(lambda: (threads / "cgroup.threads").read_text().split(), 10, "a thread in the threaded cgroup")
        parent = execd(t, *ON, "--cgroup-hierarchy", "unified", interval=0.3)
        await_figures(parent, container, 1)
        t.equal([line for line in parent.stderr_lines if "ProportionalMemory" in line], [], "complaints")
    finally:
        container.end_processes()
        threads.rmdir()


def test_ages_are_true(t):
    """Who grows is told as small by figures from before, and as large by figures from after."""
    host.require_bpf()
    container = t.enter(Container())
    grow = t.state / "grow"

    def grow_when_asked():
        memory = mmap.mmap(-1, SHARED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        while not grow.exists():
            time.sleep(0.01)
        touch(memory)
        (t.state / "grown").touch()
        signal.pause()

    container.run(grow_when_asked)
    parent = execd(t, "--proportional-memory", "on", "--proportional-memory-interval", 2, interval=0.3)
    await_figures(parent, container, 1)
    began = time.time_ns()
    grow.touch()
    wait_until((t.state / "grown").exists, 10, "its growth")
    ended = time.time_ns()
    wait_until(lambda: last_told(parent, container)["rss_bytes"] > SHARED, 20, "figures of after it")
    seen = {}
    for report in parent.reports():
        fields = told(report, container)
        if "rss_bytes" not in fields:
            continue
        moment = report[0].time_ns - round(fields["rss_age_seconds"] * SECOND)
        large = fields["rss_bytes"] >= SHARED
        # The moment is when reading began, as the report's clock has it.
        if moment > ended:
            t.true(large, "figures from after it has grown", fields)
        if report[0].time_ns < began:
            t.true(not large, "figures of a report from before", fields)
        if not large:
            t.true(moment <= ended, "small figures are from before", (moment - ended) / SECOND)
        seen.setdefault(fields["rss_bytes"] // MIB, []).append(fields["rss_age_seconds"])
    t.note(f"ages by MiB of RSS: { {size: [round(age, 2) for age in ages] for size, ages in seen.items()} }")
    t.true(len(seen) > 1, "figures from before and after", seen)


# ---- Two thousand processes ---------------------------------------------------------------------


def sleepers(count):
    """So many that do nothing, as cheap as they come."""
    os.execv("/bin/sh", ["sh", "-c", f"i=0; while [ $i -lt {count} ]; do sleep 1000 & i=$((i + 1)); done; wait"])


def survey_ns(parent):
    """CPU time of the thread that reads, by the scheduler."""
    for task in Path(f"/proc/{parent.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == THREAD:
            return int((task / "schedstat").read_text().split()[0])
    return None


def check_budget(t, reports, share):
    """Between any two reports it has used no more than its share, and what lies between two rests."""
    most = 0
    for first, before in enumerate(reports):
        for after in reports[first + 1:]:
            wall = after[0].time_ns - before[0].time_ns
            used = growth(before, after, "deepmon_self", "survey_cpu_time_ns")
            allowed = share * (wall + SECOND // 50) + 8_000_000
            t.true(used <= allowed, f"CPU time in {wall / SECOND:.2f} s", f"{used / 1e6:.2f} ms")
            most = max(most, used / wall)
    return most


def test_many_processes_within_the_budget(t):
    """A round takes longer than its interval then: figures get older, and no report waits for it."""
    host.require_bpf()
    share = 0.02
    container = t.enter(Container())
    container.run(sleepers, MANY)
    wait_until(lambda: len(pids_in(container.directory)) == MANY + 1, 60, f"{MANY} processes")
    parent = execd(t, "--proportional-memory", "on", "--proportional-memory-interval", 0.1,
                   "--proportional-memory-budget", share * 100, interval=0.5)
    fields = await_figures(parent, container, MANY + 1, 90)
    wall, thread = time.monotonic_ns(), survey_ns(parent)
    t.true(thread is not None, f"a thread named {THREAD}")
    fields = rounds_later(parent, container, 60)
    thread = survey_ns(parent) - thread
    wall = time.monotonic_ns() - wall
    reports = reports_without_system(parent)

    kernels = kernels_figures(container)
    t.equal(fields["rss_bytes"], kernels["rss_bytes"], "RSS of all of them")
    for name in ("pss_bytes", "uss_bytes"):
        t.within(fields[name], kernels[name], 0.05, name)

    most = check_budget(t, reports, share)
    t.note(f"{thread / 1e6:.1f} ms of CPU time in {wall / SECOND:.1f} s: {thread / wall:.2%} of a CPU by the "
           f"scheduler, {share:.2%} allowed; {most:.2%} between two reports at most")
    t.true(thread <= share * (wall + SECOND // 50) + 8_000_000, "CPU time by the scheduler", thread)

    # Each figure's moment stands in its age: where it jumps a round has ended.
    moments = sorted({round((report[0].time_ns - told(report, container)["rss_age_seconds"] * SECOND) / 1e7)
                      for report in reports if "rss_age_seconds" in told(report, container)})
    round_ns = min((after - before) * 1e7 for before, after in zip(moments, moments[1:]) if after - before > 1)
    oldest = max(told(report, container).get("rss_age_seconds", 0) for report in reports) * SECOND
    gaps = [after[0].time_ns - before[0].time_ns for before, after in zip(reports, reports[1:])]
    durations = [one(report, "deepmon_self").fields["sample_duration_ns"] for report in reports]
    t.note(f"a round of {round_ns / SECOND:.2f} s, figures up to {oldest / SECOND:.2f} s old; reports every "
           f"{min(gaps) / SECOND:.3f} to {max(gaps) / SECOND:.3f} s, samples of {max(durations) / 1e6:.2f} ms at most")
    t.true(oldest > round_ns * 0.9, "figures are as old as the last round's", oldest)
    t.true(max(gaps) < round_ns / 2, "no report waited for a round", (max(gaps), round_ns))
    t.true(max(durations) < round_ns / 4, "no sample waited for a round", (max(durations), round_ns))


# ---- What stands in the way ---------------------------------------------------------------------


def check_absent(t, parent, container, *words):
    """One line of that, and all but these figures goes on."""
    line = wait_until(lambda: [line for line in parent.stderr_lines if "ProportionalMemory" in line], 20,
                      "a line about it")
    parent.wait_for_batches(len(parent.batches) + 4, 20)
    t.note(t.one_line(parent.stderr_lines, "ProportionalMemory", *words))
    t.equal(len([line for line in parent.stderr_lines if "ProportionalMemory" in line]), 1, "lines about it")
    fields = last_told(parent, container)
    t.equal([name for name in fields if name in FIGURES or name.startswith("rss")], [], "figures that can't be had")
    t.true("usage_bytes" in fields, "the cgroup's own are told", fields)


def test_without_permission(t):
    """A proc file system that hides others' processes: newer kernels let us look at all that we see."""
    host.require_bpf()

    def as_nobody():
        os.setgid(65534)
        os.setuid(65534)
        signal.pause()

    container = t.enter(Container())
    container.run(as_nobody)
    proc = t.state / "proc"
    proc.mkdir()
    unshare, setpriv = (find_program(name, None, "util-linux") for name in ("unshare", "setpriv"))
    hidden = 'mount -t proc -o hidepid=2,gid=65534 proc "$0" && exec "$@"'
    parent = execd(t, *ON, "--proc-root", proc, interval=0.3,
                   prefix=[unshare, "--mount", "sh", "-c", hidden, proc,
                           setpriv, "--inh-caps", "-sys_ptrace", "--bounding-set", "-sys_ptrace"])
    check_absent(t, parent, container, "CAP_SYS_PTRACE")


def test_in_another_pid_namespace(t):
    """The numbers of processes are others there than in the host's /proc."""
    host.require_bpf()
    container = t.enter(Container())
    container.run(signal.pause)
    unshare = find_program("unshare", None, "util-linux")
    parent = execd(t, *ON, interval=0.3, prefix=[unshare, "--pid", "--fork", "--kill-child"])
    check_absent(t, parent, container, "hostPID")


def test_off(t):
    host.require_bpf()
    container = t.enter(Container())
    container.run(signal.pause)
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(4, 10)
    t.equal([name for name in last_told(parent, container) if name in FIGURES or name.startswith("rss")], [],
            "figures that nobody asked for")
    t.true("survey_cpu_time_ns" not in one(parent.reports()[-1], "deepmon_self").fields, "no CPU time for it")
    t.equal(survey_ns(parent), None, "a thread for it")


def test_collectd(t):
    host.require_bpf()
    container = t.enter(Container())
    container.run(signal.pause)
    more, directory = csv(t)
    collectd(t, {"ProportionalMemory": "on", "ProportionalMemoryInterval": 0.5}, interval=1, more=more)
    mine = f"*/deepmon-container-{container.name}"
    names = ("memory-rss", "memory-pss", "memory-uss", "count-rss_processes", "duration-rss_age")
    for name in names:
        wait_until(lambda: list(directory.glob(f"{mine}/{name}-*")), 15, f"{name} in collectd")
    value = next(iter(directory.glob(f"{mine}/memory-rss-*"))).read_text().splitlines()[-1].split(",")[1]
    t.within(float(value), kernels_figures(container)["rss_bytes"], 0.02, "RSS, in collectd")
