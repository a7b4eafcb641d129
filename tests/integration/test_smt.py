# SPDX-License-Identifier: GPL-3.0-only
"""Time beside a busy sibling hardware thread. Two CPUs are declared siblings by a /sys of our own: whether
they share a core in truth changes nothing of when they are busy."""

import os
import time

from stage import host
from stage.cgroups import Cgroup, UsagePoller, cpu_hierarchy
from stage.execd_parent import command_line
from stage.lineprotocol import find, parse
from stage.rapl import RaplSim

from support import (SECOND, check_shared_by, duty, execd, growth, one, spin, sysroot_options, system_name,
                     two_cpus)

ALONE = "how long two CPUs are busy together depends on all that runs"

WINDOW_SECONDS = 4
TOLERANCE = 0.02
# Beside the ratio, for what begins and ends just as a report is made.
TOLERANCE_NS = 20_000_000
RATIOS = (0, 0.3, 0.55, 1)
PERIOD = 0.04


# ---- The stage ----------------------------------------------------------------------------------


def pretend_siblings(root):
    """One package, in which our two CPUs are the threads of one core."""
    first, second = two_cpus()
    for cpu in (first, second):
        topology = root / f"devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True, exist_ok=True)
        (topology / "core_cpus_list").write_text(f"{first},{second}\n")
        (topology / "physical_package_id").write_text("0\n")
    return root


def metered(t, root, **options):
    """deepmon-execd that is asked for each report."""
    return execd(t, *command_line(sysroot_options(root) | {"SampleInterval": 60} | options), signal="STDIN",
                 ticking=False)


def report(*parents):
    """A report of each, at about the same moment."""
    counts = [len(parent.batches) for parent in parents]
    for parent in parents:
        parent.tick()
    for parent, count in zip(parents, counts):
        parent.wait_for_batches(count + 1, 10)
    return [parse("\n".join(line for batch in parent.batches[count:] for line in batch.lines))
            for parent, count in zip(parents, counts)]


def window(parent):
    """Two reports, WINDOW_SECONDS apart."""
    before, = report(parent)
    time.sleep(WINDOW_SECONDS)
    after, = report(parent)
    return before, after


def grown(before, after, cgroup, *fields):
    return [growth(before, after, "deepmon_system", field, cgroup=system_name(cgroup)) for field in fields]


def host_poller(t, **cgroups):
    """The kernel's account of those, and of all there is as `root`."""
    root, _ = cpu_hierarchy()
    return t.enter(UsagePoller({"root": root} | {name: cgroup.directory for name, cgroup in cgroups.items()}))


def others(poller, before, after, *names):
    """CPU time in ns that the host used but for those cgroups."""
    start, end = before[0].time_ns, after[0].time_ns
    return poller.between("root", start, end) - sum(poller.between(name, start, end) for name in names)


def unseen(before, after):
    """Switches that the kernel did not show: what they switched from seems to go on beside its sibling."""
    return growth(before, after, "deepmon_self", "switches_unseen")


# ---- Overlap ------------------------------------------------------------------------------------


def test_two_spinners_overlap_but_for_idle_time(t):
    host.require_bpf()
    top, cpus = t.enter(Cgroup()), two_cpus()
    groups = {"one": top.child("one"), "other": top.child("other")}
    for cgroup, cpu in zip(groups.values(), cpus):
        cgroup.run(spin, cpu)
    parent = metered(t, pretend_siblings(t.state / "sys"))
    before, after = window(parent)
    idle = growth(before, after, "deepmon_total", "cpu_time_ns", kind="idle")
    wall = after[0].time_ns - before[0].time_ns
    times = {name: grown(before, after, cgroup, "cpu_time_ns", "smt_overlap_ns")
             for name, cgroup in groups.items()}
    for name, (used, overlap) in times.items():
        beside = next(other for key, (other, _) in times.items() if key != name)
        # Of the other CPU is known: it did not idle longer than all did, nor than its spinner left.
        least = used - min(idle, wall - beside)
        t.note(f"{name}: {used / SECOND:.3f} s of CPU, {overlap / SECOND:.3f} s of them beside a busy sibling; "
               f"the CPUs idled for {idle / SECOND:.3f} s")
        with t.apart():
            t.between(overlap, least - TOLERANCE * used, used, f"overlap of {name} in ns")


def test_a_lone_spinner_overlaps_with_nothing_but_others(t):
    host.require_bpf()
    alone, cpu = t.enter(Cgroup()), two_cpus()[0]
    alone.run(spin, cpu)
    poller = host_poller(t, alone=alone)
    parent = metered(t, pretend_siblings(t.state / "sys"))
    before, after = window(parent)
    time.sleep(0.1)
    used, overlap = grown(before, after, alone, "cpu_time_ns", "smt_overlap_ns")
    most = others(poller, before, after, "alone")
    t.note(f"{used / SECOND:.3f} s of CPU, {overlap / SECOND:.3f} s of them beside a busy sibling; "
           f"all others used {most / SECOND:.3f} s; {unseen(before, after)} switches unseen")
    t.between(overlap, 0, most + TOLERANCE * used + TOLERANCE_NS, "overlap in ns, against all that others used")


def log_duty(cpu, begin, phase, share, path):
    """On for that share of each period from its phase on; logs (on, off, CPU time between) in ns."""
    os.sched_setaffinity(0, {cpu})
    turn = begin + phase * PERIOD
    with open(path, "w", encoding="ascii") as log:
        while True:
            time.sleep(max(0, turn - time.monotonic()))
            on, used = time.monotonic_ns(), time.thread_time_ns()
            while time.monotonic() < turn + share * PERIOD:
                pass
            used, off = time.thread_time_ns() - used, time.monotonic_ns()
            print(on, off, used, file=log, flush=True)
            turn += PERIOD


def read_log(path, start, end):
    """[(on, off, part of it that it really ran)] between two moments of CLOCK_MONOTONIC."""
    stretches = []
    for line in path.read_text().split("\n")[:-1]:
        on, off, used = map(int, line.split())
        if off > on and on < end and off > start:
            stretches.append((max(on, start), min(off, end), min(1, used / (off - on))))
    return stretches


def both_on(ones, others_):
    """ns during which both ran, taken to run evenly where they were put off."""
    total, second = 0, iter(others_)
    two = next(second, None)
    for one_ in ones:
        while two and two[1] <= one_[0]:
            two = next(second, None)
        while two and two[0] < one_[1]:
            total += max(0, min(one_[1], two[1]) - max(one_[0], two[0])) * one_[2] * two[2]
            if two[1] > one_[1]:
                break
            two = next(second, None)
    return total


def test_overlap_of_two_duty_cycles(t):
    """Each is on for half of a period, a quarter of it together; they log when."""
    host.require_bpf()
    top, cpus = t.enter(Cgroup()), two_cpus()
    groups = {"one": top.child("one"), "other": top.child("other")}
    logs = {name: t.state / f"{name}.log" for name in groups}
    begin = time.monotonic() + 0.2
    for (name, cgroup), cpu, phase in zip(groups.items(), cpus, (0, 0.25)):
        cgroup.run(log_duty, cpu, begin, phase, 0.5, logs[name])
    poller = host_poller(t, **groups)
    parent = metered(t, pretend_siblings(t.state / "sys"))
    before, after = window(parent)
    time.sleep(0.2)

    ahead = time.time_ns() - time.monotonic_ns()
    start, end = before[0].time_ns - ahead, after[0].time_ns - ahead
    together = both_on(*(read_log(log, start, end) for log in logs.values()))
    beside = others(poller, before, after, *groups)
    t.note(f"together for {together / SECOND:.4f} s by their logs; "
           f"others used {beside / SECOND:.3f} s meanwhile")
    for name, cgroup in groups.items():
        used, overlap = grown(before, after, cgroup, "cpu_time_ns", "smt_overlap_ns")
        t.note(f"{name}: {used / SECOND:.3f} s of CPU, {overlap / SECOND:.4f} s of them beside a busy sibling "
               f"({overlap / together - 1:+.2%} of the logs')")
        # What others do beside it is overlap, too.
        with t.apart():
            t.between(overlap, together * (1 - TOLERANCE), together * (1 + TOLERANCE) + beside + TOLERANCE_NS,
                      f"overlap of {name} in ns")


# ---- What it counts -----------------------------------------------------------------------------


def test_the_ratio_weighs_overlap_and_energy_follows(t):
    """deepmons with different ratios look at the same two cgroups; one is busy all the time, one half of it."""
    host.require_bpf()
    top, cpus = t.enter(Cgroup()), two_cpus()
    busy, half = top.child("busy"), top.child("half")
    busy.run(spin, cpus[0])
    half.run(duty, cpus[1], 0.5)
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), period_ms=10, domains="package"))
    pretend_siblings(simulator.root)
    parents = [metered(t, simulator.root, IdlePolicy="proportional", SmtOverlapRatio=ratio) for ratio in RATIOS]
    parents.append(metered(t, simulator.root, IdlePolicy="proportional", SmtOverlap="off"))
    rounds = [report(*parents)]
    for _ in range(4):
        time.sleep(1)
        rounds.append(report(*parents))

    *swept, off = zip(*rounds)
    for ratio, reports in zip(RATIOS, swept):
        for before, after in zip(reports, reports[1:]):
            check_weights(t, before, after, ratio)
            # With ratio 0, where others kept both busy all the time, nothing weighs anything.
            if ratio or any(growth(before, after, "deepmon_total", "energy_weight", kind=kind)
                            for kind in ("container", "system", "kernel", "other")):
                check_shared_by(t, before, after, "package", ("", "energy_weight"))
        weights = [grown(reports[0], reports[-1], cgroup, "cpu_time_ns", "smt_overlap_ns", "energy_weight")
                   for cgroup in (busy, half)]
        t.note(f"ratio {ratio}: weight per CPU time " + ", ".join(
            f"{weight / used:.4f} with {overlap / used:.1%} beside a busy sibling"
            for used, overlap, weight in weights))
    check_no_overlap(t, off)


def check_weights(t, before, after, ratio):
    """Weight is time, but for the overlap, which counts by the ratio."""
    known = {point.series: point.fields for point in before}
    for point in find(after, "deepmon_system") + find(after, "deepmon_total"):
        if "energy_weight" not in point.fields or point.series not in known:
            continue
        used, overlap, weight = (point.fields[field] - known[point.series][field]
                                 for field in ("cpu_time_ns", "smt_overlap_ns", "energy_weight"))
        t.between(overlap, 0, used, f"overlap of {point.tags}")
        expected = used - overlap + overlap * ratio
        # Each cgroup's weight is rounded to a ns.
        t.between(weight, expected * (1 - 1e-5) - 100, expected * (1 + 1e-5) + 100, f"weight of {point.tags}")


def check_no_overlap(t, reports):
    """No overlap is told, and weight is CPU time."""
    for each in reports:
        points = find(each, "deepmon_system") + find(each, "deepmon_total")
        t.equal([point for point in points if "smt_overlap_ns" in point.fields], [],
                "points with smt_overlap_ns")
        for point in points:
            if point.tags.get("kind") != "idle" and "cpu_time_ns" in point.fields:
                t.equal(point.fields["energy_weight"], point.fields["cpu_time_ns"], f"weight of {point.tags}")


def test_cores_of_one_thread_have_no_overlap(t):
    """As the simulator's tree has them. One CPU at least is busy, so that there is something to tell."""
    host.require_bpf()
    top, cpus = t.enter(Cgroup()), two_cpus()
    top.run(spin, cpus[0])
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim")))
    parent = metered(t, simulator.root)
    time.sleep(1)
    reports = report(parent)
    check_no_overlap(t, reports)
    t.true(one(reports[0], "deepmon_system", cgroup=system_name(top)).fields["energy_weight"], "a weight")
