# SPDX-License-Identifier: GPL-3.0-only
"""Performance counters by cgroup. Software events stand for the hardware's, for the kernel counts them too."""

import mmap
import os
import time
from pathlib import Path

from stage import host
from stage.cgroups import Cgroup, UsagePoller
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.process import Skip, wait_until

from support import CPUS, SECOND, duty, execd, growth, next_report, one, system_name, two_cpus

ALONE = "it holds all groups' events against the host's"

EVENTS = {"CyclesEvent": "cpu-clock", "InstructionsEvent": "task-clock",
          "CacheReferencesEvent": "page-faults", "CacheMissesEvent": "context-switches"}
COUNTERS = ("cycles", "instructions", "cache_references", "cache_misses")
PAGES = 20_000
ROUNDS = 5_000
TOLERANCE = 0.01
# A switch that the kernel does not show to BPF leaves what was counted to the one before.
TOLERANCE_EVENTS = 0.01


def faults(pid):
    """Page faults of a process so far, by the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[7]) + int(fields[9])


def switches(pid):
    """Times that it was switched away from, by the kernel."""
    return sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
               if "ctxt_switches" in line)


class Gate:
    """Holds workers until they may go."""

    def __init__(self):
        self.wait, self.go = os.pipe()

    def pass_through(self):
        os.read(self.wait, 1)

    def open(self, workers=1):
        os.write(self.go, b"x" * workers)


def touch(gate):
    area = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    gate.pass_through()
    for offset in range(0, len(area), mmap.PAGESIZE):
        area[offset] = 1
    gate.pass_through()


def ping(gate, cpu, inbox, outbox, first):
    """One of two that wake each other in turn, on one CPU: each turn is a switch."""
    os.sched_setaffinity(0, {cpu})
    gate.pass_through()
    for _ in range(ROUNDS):
        if first:
            os.write(outbox, b"x")
        os.read(inbox, 1)
        if not first:
            os.write(outbox, b"x")
    gate.pass_through()


def asleep(pids):
    return all(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S" for pid in pids)


def test_counters_against_the_kernel(t):
    """Events that a cgroup's processes made between two reports, of each of which they slept."""
    host.require_bpf()
    top = t.enter(Cgroup())
    faulting, switching = top.child("faulting"), top.child("switching")
    gate, cpu = Gate(), two_cpus()[0]
    (one_in, one_out), (other_in, other_out) = os.pipe(), os.pipe()
    toucher = faulting.run(touch, gate)
    players = [switching.run(ping, gate, cpu, one_in, other_out, True),
               switching.run(ping, gate, cpu, other_in, one_out, False)]
    everyone = [toucher, *players]
    parent = execd(t, *command_line(EVENTS), interval=0.5)
    wait_until(lambda: asleep(everyone), 5, "workers that wait")

    before = next_report(parent)
    kernel_before = faults(toucher), sum(map(switches, players))
    gate.open(3)
    wait_until(lambda: faults(toucher) - kernel_before[0] >= PAGES and
               sum(map(switches, players)) - kernel_before[1] >= 2 * ROUNDS and asleep(everyone), 15,
               "all pages touched and all turns taken", poll=0.2)
    kernel_after = faults(toucher), sum(map(switches, players))
    after = next_report(parent)

    made = kernel_after[0] - kernel_before[0]
    t.note(f"{PAGES} fresh pages made {made} faults; {2 * ROUNDS} turns made "
           f"{kernel_after[1] - kernel_before[1]} switches")
    grown = {cgroup: {name: growth(before, after, "deepmon_system_perf", name, cgroup=system_name(cgroup))
                      for name in COUNTERS} for cgroup in (faulting, switching)}
    with t.apart():
        t.within(grown[faulting]["cache_references"], made, TOLERANCE_EVENTS, "page faults")
    # It is counted after the switch is shown: so it is the one of who is switched to, which in sum is the same.
    with t.apart():
        t.within(grown[switching]["cache_misses"], kernel_after[1] - kernel_before[1], TOLERANCE_EVENTS,
                 "context switches")
    unseen = one(after, "deepmon_self").fields["switches_unseen"]
    t.note(f"switches that the kernel did not show: {unseen}")


def test_cycles_follow_cpu_time(t):
    """cpu-clock counts the ns that a CPU passes in a cgroup: cpuacct's by another way."""
    host.require_bpf()
    top = t.enter(Cgroup())
    groups = {"much": top.child("much"), "some": top.child("some")}
    first, second = two_cpus()
    groups["much"].run(duty, first, 0.8)
    groups["some"].run(duty, second, 0.3)
    poller = t.enter(UsagePoller({name: cgroup.directory for name, cgroup in groups.items()}))
    stolen = host.Stolen()
    parent = execd(t, *command_line(EVENTS), interval=0.5)
    parent.wait_for_batches(14, 20)
    time.sleep(0.1)
    whole = parent.reports()
    reports = whole[1:14]
    before, after, stolen = reports[0], reports[-1], stolen.seconds()
    t.note(f"{stolen:.2f} CPU seconds stolen")

    for name, cgroup in groups.items():
        cycles = growth(before, after, "deepmon_system_perf", "cycles", cgroup=system_name(cgroup))
        used = poller.between(name, before[0].time_ns, after[0].time_ns) / SECOND
        with t.apart():
            t.within(cycles / SECOND, used, TOLERANCE + stolen / used,
                     f"seconds of cpu-clock of {name}, against cpuacct")
    for earlier, later in zip(reports, reports[1:]):
        for cgroup in groups.values():
            check_rates(t, earlier, later, "deepmon_system", cgroup=system_name(cgroup))
        for kind in ("system", "kernel"):
            check_rates(t, earlier, later, "deepmon_total", kind=kind)
    t.equal({one(report, "deepmon_self").fields["counters_running_percent"] for report in reports}, {100.0},
            "counters_running_percent")
    t.equal(one(after, "deepmon_self").fields["counters_failed"], 0, "counters_failed")
    check_totals(t, whole, before, after)


def check_rates(t, before, after, entity, **tags):
    """Gauges are what the counters' growth makes them."""
    grown = {name: growth(before, after, f"{entity}_perf", name, **tags) for name in COUNTERS}
    cpu_ns = growth(before, after, entity, "cpu_time_ns", **tags)
    fields = one(after, f"{entity}_perf", **tags).fields
    expected = {}
    if grown["cycles"]:
        expected["instructions_per_cycle"] = grown["instructions"] / grown["cycles"]
    if grown["cache_references"]:
        expected["cache_miss_percent"] = 100 * grown["cache_misses"] / grown["cache_references"]
    if cpu_ns:
        expected["frequency_hertz"] = grown["cycles"] * SECOND / cpu_ns
    gauges = fields.keys() - set(COUNTERS)
    t.equal(gauges, expected.keys(), f"gauges of {tags}")
    for name in gauges:
        t.between(fields[name], expected[name] * (1 - 1e-9), expected[name] * (1 + 1e-9), f"{name} of {tags}")


def check_totals(t, reports, before, after):
    """System groups make the total of kind system; all kinds and idle make the CPUs' time."""
    last = {}  # an ended group stands in one report more, and its total still has it
    for report in reports:
        last |= {point.tags["cgroup"]: point.fields for point in find(report, "deepmon_system_perf")}
        if report is reports[0]:
            earlier = {name: fields["cycles"] for name, fields in last.items()}
    total = one(reports[-1], "deepmon_total_perf", kind="system").fields
    t.true(earlier, "system groups in the first report")
    for name in COUNTERS:
        t.equal(sum(fields[name] for fields in last.values()), total[name], f"{name} of all system groups")
    kinds = [point.tags["kind"] for point in find(after, "deepmon_total_perf")]
    cycles = sum(growth(before, after, "deepmon_total_perf", "cycles", kind=kind) for kind in kinds)
    idle = growth(before, after, "deepmon_total", "cpu_time_ns", kind="idle")
    with t.apart():
        t.within((cycles + idle) / SECOND, CPUS * (after[0].time_ns - before[0].time_ns) / SECOND, TOLERANCE,
                 "seconds of cpu-clock of all kinds, and idle time")


# ---- What can't be counted ----------------------------------------------------------------------


def refused(t, options, *words):
    """deepmon with that event: one line about events, which has those words; the rest goes on."""
    parent = execd(t, *command_line(options), interval=0.5)
    parent.wait_for_batches(2, 10)
    lines = [line for line in parent.stderr_lines if "Event:" in line]
    t.note(lines[0] if lines else "no line")
    t.equal(len(lines), 1, f"lines about events: {lines}")
    t.one_line(lines, *words)
    report = parent.reports()[-1]
    t.true(find(report, "deepmon_total", kind="idle"), "CPU time goes on", report)
    return parent


def no_perf(t, parent):
    t.equal([point.measurement for point in parent.points() if point.measurement.endswith("_perf")], [],
            "performance counters, where none counts")
    fields = one(parent.reports()[-1], "deepmon_self").fields
    t.equal([name for name in fields if name.startswith("counters_")], [], "what deepmon tells of its counters")


def test_without_a_pmu(t):
    host.require_bpf()
    if host.has_pmu():
        raise Skip("this CPU counts cycles")
    no_perf(t, refused(t, {}, "CyclesEvent", "cycles", "virtual machine"))


def test_a_raw_code_without_a_pmu(t):
    host.require_bpf()
    if host.has_pmu():
        raise Skip("this CPU counts cycles")
    others = {name: "none" for name in EVENTS if name != "InstructionsEvent"}
    no_perf(t, refused(t, others | {"InstructionsEvent": "r00c0"}, "InstructionsEvent", "r00c0"))
