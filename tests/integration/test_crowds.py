# SPDX-License-Identifier: GPL-3.0-only
"""Too many at once: cgroups whose events nobody reads, cgroups in turn and side by side, processes and a fork bomb.

By hand: DEEPMON_IN_TURN=100000 cgroups in turn, DEEPMON_ALIVE=5000 side by side.
"""

import contextlib
import os
import signal
import time

from stage import host
from stage.cgroups import Cgroup, Container, burn_ns, join, pids_in, removed
from stage.lineprotocol import find
from stage.process import wait_until

from support import CPUS, KINDS, SECOND, execd, growth, one, report_now, system_name
from test_churn import churn
from test_many import Worker, open_files, own_cost, resident_kib

ALONE = "it holds what thousands of cgroups take against what deepmon had before"

FEW = ("--memory", "off", "--block-devices", "0")


def watched(t, *options):
    """deepmon that reports when it is told to, and its first report."""
    host.require_bpf()
    parent = execd(t, *FEW, *options, signal="STDIN", ticking=False)
    return parent, report_now(parent)


def check_time_closes(t, before, after):
    told = sum(growth(before, after, "deepmon_total", "cpu_time_ns", kind=kind) for kind in KINDS)
    t.within(told / SECOND, CPUS * (after[0].time_ns - before[0].time_ns) / SECOND, 0.01,
             "CPU seconds of all kinds, against all CPUs'")


def check_bounds(t, parent, files, kib, mib):
    grown = (resident_kib(parent.process.pid) - kib) / 1024
    t.note(f"open files {files}, {open_files(parent.process.pid)}; resident memory grew by {grown:.1f} MiB")
    t.equal(open_files(parent.process.pid), files, "open files")
    t.between(grown, -100, mib, "MiB by which resident memory grew")


# ---- Events that nobody reads -------------------------------------------------------------------

BURST = 6000  # events, of paths of 200 bytes: 1.2 MB, for which the buffer has 256 KiB


@contextlib.contextmanager
def held(parent):
    """While it hears of nothing."""
    parent.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        parent.process.send_signal(signal.SIGCONT)


def come_and_go(top, count, work=lambda directory: None):
    for number in range(count):
        directory = top.directory / f"{number:0200}"
        directory.mkdir()
        work(directory)
        directory.rmdir()


def check_dropped(t, parent):
    dropped = own_cost(parent)["events_dropped"]
    t.true(dropped > 0, "events dropped", dropped)
    t.note(f"{dropped} events were dropped")
    t.note(t.one_line(parent.stderr_lines, "dropped", "by search"))


def test_ends_that_are_not_heard_of(t):
    """None of those cgroups is known for ever: what is there is searched for.

    As many are known as can be, so that no cgroup that is new has them searched for, either.
    """
    parent, _ = watched(t, "--max-cgroups", "512")
    top = t.enter(Cgroup())
    known = [top.directory / f"known{number}" for number in range(1100)]
    for directory in known:
        directory.mkdir()
    before = report_now(parent)
    tracked = own_cost(parent)["cgroups_tracked"]
    t.between(tracked, 1000, 2 * 512, "cgroups known")
    with held(parent):
        come_and_go(top, BURST // 2)
        for directory in known:
            directory.rmdir()
    report_now(parent)
    time.sleep(1.2)
    after = report_now(parent)
    check_dropped(t, parent)
    left = own_cost(parent)["cgroups_tracked"]
    t.true(left <= tracked - 200, "cgroups known: not those whose end was not heard of", (tracked, left))
    check_time_closes(t, before, after)


def test_cgroups_come_faster_than_they_are_read(t):
    """Those that live are found afterwards, and what the ended ones used is in the totals."""
    parent, _ = watched(t)
    top = t.enter(Cgroup())
    before = report_now(parent)
    slots_before = own_cost(parent)["slots_used"]
    worker = t.enter(Worker())

    def work(directory):
        worker.work_in(directory)
        join(top.directory, worker.pid)

    with held(parent):
        come_and_go(top, BURST // 2)
        come_and_go(top, 20, work)
        living = top.directory / "living.service"
        living.mkdir()
        worker.work_in(living)
    report_now(parent)
    time.sleep(1.2)
    after = report_now(parent)
    check_dropped(t, parent)
    found = find(after, "deepmon_system", cgroup=system_name(top) + "/living.service")
    t.equal(len(found), 1, "lines of the cgroup that lives, whose event was dropped")
    gone = growth(before, after, "deepmon_system", "cpu_time_ns", cgroup="gone")
    # Others of the host's may be gone as well.
    t.true(gone + found[0].fields["cpu_time_ns"] >= 0.95 * top.usage_ns(),
           "CPU time of those that ended, and of the one that lives, against the kernel's of the one above",
           (gone, found[0].fields, top.usage_ns()))
    check_time_closes(t, before, after)
    slots = own_cost(parent)["slots_used"]
    t.true(slots <= slots_before + 10, "slots in use: those of the ended are free again", (slots_before, slots))


# ---- In turn ------------------------------------------------------------------------------------

IN_TURN = int(os.environ.get("DEEPMON_IN_TURN", "4000"))
AT_WORK = 20  # each of so many uses some CPU time


def test_cgroups_in_turn(t):
    """All of them are counted, what they used closes, and nothing is left of them."""
    parent, _ = watched(t, "--max-ended", "256")
    top = t.enter(Cgroup())
    worker = t.enter(Worker())
    before = report_now(parent)
    files, own = open_files(parent.process.pid), own_cost(parent)
    began, ticks = time.monotonic(), 1
    for number in range(IN_TURN):
        directory = top.directory / f"{number}.service"
        directory.mkdir()
        if number % AT_WORK == 0:
            worker.work_in(directory)
            join(top.directory, worker.pid)
        removed(directory)
        if number == IN_TURN // 2:
            report_now(parent)
            kib = resident_kib(parent.process.pid)  # with as many of the ended as are ever kept
        if time.monotonic() > began + ticks:
            parent.tick()
            ticks += 1
    t.note(f"{IN_TURN} cgroups in {time.monotonic() - began:.1f} s")
    time.sleep(1.2)
    report_now(parent)
    after = report_now(parent)
    cost = own_cost(parent)
    ended = churn(after)[0] - churn(before)[0]
    dropped = cost["events_dropped"] - own["events_dropped"]
    t.note(f"ended_cgroups grew by {ended}, events dropped {dropped}, slots {own['slots_used']}, {cost['slots_used']}")
    t.true(ended >= IN_TURN - dropped, f"{IN_TURN} cgroups ended, but for those not heard of", (ended, dropped))
    told = churn(after)[1] - churn(before)[1]
    t.true(told / SECOND >= 0.97 * top.usage_ns() / SECOND, "CPU time of the ended, against the kernel's",
           (told, top.usage_ns()))
    check_time_closes(t, before, after)
    t.true(abs(cost["slots_used"] - own["slots_used"]) <= 20, "slots in use", (own, cost))
    t.true(abs(cost["cgroups_tracked"] - own["cgroups_tracked"]) <= 50, "cgroups known", (own, cost))
    check_bounds(t, parent, files, kib, 4)  # 2 KiB for each of so many as come and go between two samples


# ---- Side by side -------------------------------------------------------------------------------

ALIVE = int(os.environ.get("DEEPMON_ALIVE", "800"))
KNOWN = 128  # MaxCgroups: as many have slots, and twice as many are known


def test_more_cgroups_at_once_than_are_known(t):
    """Those past it are in the total of kind other; when they are gone, there is room again."""
    parent, _ = watched(t, "--max-cgroups", str(KNOWN), "--max-units", "65536", "--network", "on")
    before = report_now(parent)
    files, kib = open_files(parent.process.pid), resident_kib(parent.process.pid)
    top = t.enter(Cgroup())
    worker = t.enter(Worker())
    directories = [top.directory / f"{number}.service" for number in range(ALIVE)]
    for directory in directories:
        directory.mkdir()
    for directory in directories:
        worker.work_in(directory)
    after = report_now(parent)
    check_time_closes(t, before, after)
    sums = {kind: growth(before, after, "deepmon_total", "cpu_time_ns", kind=kind) for kind in ("system", "other")}
    t.note(f"CPU time of {ALIVE} cgroups: {top.usage_ns() / 1e6:.0f} ms; of kinds: {sums}")
    t.true(sums["other"] > 0.5 * (1 - 2 * KNOWN / ALIVE) * top.usage_ns(),
           "the most of it is in the total of kind other", sums)
    t.note(t.one_line(parent.stderr_lines, "MaxCgroups", str(KNOWN), "kind other"))
    cost = own_cost(parent)
    t.true(cost["cgroups_tracked"] <= 2 * KNOWN and cost["slots_used"] <= KNOWN, "cgroups known and slots", cost)

    join(top.directory, worker.pid)
    for directory in directories:
        removed(directory)
    time.sleep(1.2)
    report_now(parent)
    late = t.enter(Cgroup())
    late.run(lambda: burn_ns(50_000_000))
    for _ in range(4):
        time.sleep(0.6)
        last = report_now(parent)
        found = find(last, "deepmon_system", cgroup=system_name(late))
        if found:
            break
    t.equal(len(found), 1, "lines of a cgroup that came when the others had gone")
    check_time_closes(t, before, last)
    check_bounds(t, parent, files, kib, 4)


# ---- Processes ----------------------------------------------------------------------------------

PIDS, TOLD_APART = 150, 64


def bomb():
    """Forks wherever it can, for ever."""
    while True:
        try:
            os.fork()
        except OSError:
            burn_ns(1_000_000)


def test_a_fork_bomb_held_by_pids_max(t):
    """More processes than are told apart: the rest is in (other), and all together is the container."""
    parent, _ = watched(t, "--processes", "5", "--max-processes", str(TOLD_APART))
    container = t.enter(Container())
    root, _ = container.controller("pids")
    pids = root / container.path.lstrip("/")
    (pids / "pids.max").write_text(str(PIDS))
    before = report_now(parent)
    files, kib = open_files(parent.process.pid), resident_kib(parent.process.pid)
    container.run(bomb)
    wait_until(lambda: int((pids / "pids.events").read_text().split()[1]) > 0, 30, "forks refused by pids.max")
    report_now(parent)
    (pids / "pids.max").write_text("0")
    container.end_processes()
    wait_until(lambda: not pids_in(container.directory), 20, "the end of all processes")
    after = report_now(parent)

    fields = one(after, "deepmon_container", container_name=container.name).fields
    t.within(fields["cpu_time_ns"] / SECOND, container.usage_ns() / SECOND, 0.05,
             "CPU seconds of the container, against the kernel's")
    of_processes = {}
    for report in parent.reports():
        for point in find(report, "deepmon_process", container_name=container.name):
            of_processes[point.tags["process"]] = point.fields["cpu_time_ns"]
    t.equal(sum(of_processes.values()), fields["cpu_time_ns"], "ns of its processes and (other)")
    refused = own_cost(parent)["processes_refused"]
    t.true(refused > 0, f"processes past {TOLD_APART} were refused", refused)
    t.note(t.one_line(parent.stderr_lines, "MaxProcesses", str(TOLD_APART), "(other)"))
    check_time_closes(t, before, after)
    check_bounds(t, parent, files, kib, 4)
