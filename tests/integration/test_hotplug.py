# SPDX-License-Identifier: GPL-3.0-only
"""A CPU that goes away and comes back: the accounts close for those that are there."""

import os
import time
from pathlib import Path

from stage import host
from stage.cgroups import Cgroup, burn_ns
from stage.lineprotocol import find
from stage.process import Skip

from support import CPUS, SECOND, execd, growth, one

ALONE = "it takes a CPU away"

AWAY_SECONDS = 2.2
TOLERANCE = 0.01
COUNTERS = ("--cycles-event", "cpu-clock", "--instructions-event", "none",
            "--cache-references-event", "none", "--cache-misses-event", "none")


class Switch:
    """The last CPU's: off while it is entered, and on again whatever happens."""

    def __init__(self):
        self.file = Path(f"/sys/devices/system/cpu/cpu{CPUS - 1}/online")

    def __enter__(self):
        self.file.write_text("0")
        return self

    def __exit__(self, *_):
        self.file.write_text("1")


def siblings(root):
    """A /sys in which each two CPUs are one core, so that overlap is accounted too."""
    for cpu in range(CPUS):
        directory = root / f"devices/system/cpu/cpu{cpu}/topology"
        directory.mkdir(parents=True)
        (directory / "physical_package_id").write_text("0\n")
        (directory / "core_cpus_list").write_text(f"{cpu & ~1}-{cpu | 1}\n")
    return root


def cpu_time_ns(report):
    return sum(point.fields["cpu_time_ns"] for point in find(report, "deepmon_total")
               if "cpu_time_ns" in point.fields)


def cpus_between(before, after):
    """How many CPUs' time was accounted from one report to the next."""
    return (cpu_time_ns(after) - cpu_time_ns(before)) / (after[0].time_ns - before[0].time_ns)


def burn():
    while True:
        burn_ns(SECOND)


def test_a_cpu_goes_away_and_comes_back(t):
    host.require_bpf()
    switch = Switch()
    if CPUS < 2 or not switch.file.exists():
        raise Skip("no CPU of this host can be switched off")
    busy = t.enter(Cgroup())
    busy.run(burn)
    parent = execd(t, "--sys-root", siblings(t.state / "sys"), "--cgroup-root", "/sys/fs/cgroup", *COUNTERS,
                   interval=0.5)
    parent.wait_for_batches(3, 10)
    with switch:
        gone_ns = time.time_ns()
        time.sleep(AWAY_SECONDS)
        back_ns = time.time_ns()
    batches = len(parent.batches)
    parent.wait_for_batches(batches + 5, 10)

    reports = [report for report in parent.reports() if find(report, "deepmon_total")]
    pairs = list(zip(reports, reports[1:]))
    while_away = [cpus_between(a, b) for a, b in pairs
                  if a[0].time_ns > gone_ns + SECOND // 10 and b[0].time_ns < back_ns]
    t.true(len(while_away) >= 2, "reports while it was away", while_away)
    t.note(f"CPUs accounted while one of {CPUS} was away: {[round(cpus, 3) for cpus in while_away]}")
    for cpus in while_away:
        t.between(cpus, (CPUS - 1) * (1 - TOLERANCE), (CPUS - 1) * (1 + TOLERANCE), "CPUs accounted, one away")
    t.within(cpus_between(*pairs[-1]), CPUS, TOLERANCE, "CPUs accounted when it was back")

    first, last = ({key: point.fields[key] for point in find(report, "deepmon_system", cgroup=busy.path[1:])
                    for key in ("cpu_time_ns", "energy_weight", "smt_overlap_ns")} for report in pairs[-1])
    grown = {key: last[key] - first[key] for key in last}
    t.true(0 <= grown["smt_overlap_ns"] <= grown["cpu_time_ns"], "overlap is a part of CPU time", grown)
    failed = [find(report, "deepmon_self")[0].fields["counters_failed"] for report in reports]
    t.true(failed[-1] > failed[0], "the interval of its return is told as one of failed counters", failed)
    cycles = [find(report, "deepmon_system_perf", cgroup=busy.path[1:])[0].fields["cycles"] for report in pairs[-1]]
    t.within(cycles[1] - cycles[0], grown["cpu_time_ns"], 0.02, "cpu-clock against CPU time, its counter open again")


def pinned(cpu):
    os.sched_setaffinity(0, {cpu})
    burn()


def test_a_cpu_that_is_back_before_the_next_sample(t):
    """Nobody saw it go. Its counters went with it, and are opened again."""
    host.require_bpf()
    switch = Switch()
    if CPUS < 2 or not switch.file.exists():
        raise Skip("no CPU of this host can be switched off")
    parent = execd(t, "--sample-interval", "60", *COUNTERS, signal="STDIN", ticking=False)

    def report():
        batches = len(parent.batches)
        parent.tick()
        parent.wait_for_batches(batches + 1, 20)
        return parent.reports()[-1]

    failed = one(report(), "deepmon_self").fields["counters_failed"]
    with switch:
        pass
    report()
    busy = t.enter(Cgroup())
    busy.run(pinned, CPUS - 1)
    reports = []
    for _ in range(3):
        time.sleep(0.5)
        reports.append(report())
    ns, cycles = (growth(*reports[1:], measurement, field, cgroup=busy.path[1:]) for measurement, field in
                  (("deepmon_system", "cpu_time_ns"), ("deepmon_system_perf", "cycles")))
    t.true(ns > 0, "ns of CPU time of who runs there", ns)
    t.within(cycles, ns, 0.02, "cpu-clock against CPU time, its counter open again")
    t.true(one(reports[-1], "deepmon_self").fields["counters_failed"] > failed,
           "an interval of failed counters is told", failed)
