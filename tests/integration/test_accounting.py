# SPDX-License-Identifier: GPL-3.0-only
"""The parts make the whole: all groups' CPU time and idle are all the CPU time there is."""

import time

from stage import host
from stage.cgroups import Cgroup, UsagePoller, burn_ns, cpu_hierarchy, join, read_usage_ns
from stage.lineprotocol import find
from stage.mounts import mounts
from stage.process import Skip

from support import CPUS, KINDS, SECOND, duty, execd, growth, next_report, system_name, two_cpus

ALONE = "it holds the CPU time of all groups against that of all CPUs"

GROUPS = 200
TURN_SECONDS = 0.04
CPUS_BURNT = 1.5
TOLERANCE = 0.002
TOLERANCE_KERNEL = 0.02


def turns(number):
    """Sleeps and burns for ever; all of them together use about CPUS_BURNT CPUs."""
    burn = int(TURN_SECONDS * CPUS_BURNT / GROUPS * SECOND)
    time.sleep(TURN_SECONDS * number / GROUPS)
    while True:
        burn_ns(burn)
        time.sleep(TURN_SECONDS)


def totals(report):
    """{kind: CPU time in ns} of a report."""
    return {point.tags["kind"]: point.fields["cpu_time_ns"] for point in find(report, "deepmon_total")
            if "cpu_time_ns" in point.fields}


def grown(first, last):
    """By how much each kind grew; a kind that came later began at nothing."""
    before, after = totals(first), totals(last)
    return {kind: after[kind] - before.get(kind, 0) for kind in after}


def off_by(first, last):
    """How far the parts are from CPUs x elapsed, as a part of it."""
    whole = CPUS * (last[0].time_ns - first[0].time_ns)
    return sum(grown(first, last).values()) / whole - 1


def test_all_groups_and_idle_make_the_whole(t):
    host.require_bpf()
    root, _ = cpu_hierarchy()
    top = t.enter(Cgroup())
    for number in range(GROUPS):
        top.child(f"group{number}").run(turns, number)
    poller = t.enter(UsagePoller({"root": root, "groups": top.directory}))
    parent = execd(t, interval=1)
    parent.wait_for_batches(13, 30)
    time.sleep(0.1)  # the poller must be past the last report

    reports = [report for report in parent.reports() if totals(report)]
    first, last = reports[1], reports[12]
    seconds = (last[0].time_ns - first[0].time_ns) / SECOND
    t.true(seconds >= 10, "a window of at least 10 s", f"{seconds:.1f} s")
    parts = grown(first, last)
    t.equal(sorted(parts.keys() - set(KINDS)), [], "kinds of CPU time that are not known")
    t.note(f"over {seconds:.2f} s on {CPUS} CPUs: "
           + ", ".join(f"{kind} {value / SECOND:.3f} s" for kind, value in parts.items()))
    worst = max(zip(reports[1:], reports[2:]), key=lambda pair: abs(off_by(*pair)))
    t.note(f"the worst of {len(reports) - 2} reports is off by {off_by(*worst):+.3%}")
    with t.apart():
        t.within(sum(parts.values()) / SECOND, CPUS * seconds, TOLERANCE, "CPU seconds, idle and all groups")
    start_ns, end_ns = first[0].time_ns, last[0].time_ns
    used = sum(value for kind, value in parts.items() if kind != "idle")
    t.note(f"the {GROUPS} groups used {poller.between('groups', start_ns, end_ns) / SECOND:.3f} CPU seconds")
    # The root's cpuacct is where the unified hierarchy has none.
    with t.apart():
        t.within(used / SECOND, poller.between("root", start_ns, end_ns) / SECOND, TOLERANCE_KERNEL,
                 "CPU seconds used, against the root's cpuacct")


def kernel_switches():
    """Context switches since the host was started, by its own count."""
    with open("/proc/stat", encoding="ascii") as stat:
        return next(int(line.split()[1]) for line in stat if line.startswith("ctxt "))


def test_context_switches_are_the_hosts(t):
    host.require_bpf()
    group = t.enter(Cgroup())
    for number in range(20):
        group.run(turns, number)
    parent = execd(t, interval=0.2)
    counts = []
    for number in range(4):
        before = kernel_switches()
        next_report(parent, 10 if number == 2 else 2)
        report = parent.reports()[-1]
        counts.append((before, report, kernel_switches()))
    (begun, first, least_from), (most_to, last, ended) = counts[1], counts[3]
    switches = growth(first, last, "deepmon_system", "context_switches", cgroup=system_name(group))
    told = sum(point.fields["context_switches"] for point in find(last, "deepmon_total")
               if "context_switches" in point.fields)
    told -= sum(point.fields["context_switches"] for point in find(first, "deepmon_total")
                if "context_switches" in point.fields)
    t.note(f"{told} switches in all parts, {switches} of them of the group; by the kernel's count from "
           f"{most_to - least_from} to {ended - begun}")
    t.between(told, most_to - least_from, ended - begun, "context switches of all parts")
    t.between(switches, 1, told, "those of a group that sleeps and wakes")


def test_tasks_of_the_unified_root(t):
    """The root of cgroup v2 has 0 as its serial number: who ran there was once taken for idle."""
    host.require_bpf()
    roots = [mount.point for mount in mounts() if mount.kind == "cgroup2"]
    if not roots or not cpu_hierarchy()[1]:
        raise Skip("only where v1 is beside v2 can a task of v2's root have an account of its own")
    group = t.enter(Cgroup())
    join(roots[0], group.run(duty, two_cpus()[0], 0.5))
    parent = execd(t, "--cgroup-hierarchy", "unified", interval=0.5)
    before = next_report(parent)
    least = -read_usage_ns(group.directory)
    time.sleep(2)
    least += read_usage_ns(group.directory)
    after = next_report(parent)
    used = growth(before, after, "deepmon_system", "cpu_time_ns", cgroup="root")
    t.note(f"{used / SECOND:.3f} s of the root, {least / SECOND:.3f} s of them of a task whose time is known")
    t.between(used, least, CPUS * (after[0].time_ns - before[0].time_ns), "CPU time of the root")
