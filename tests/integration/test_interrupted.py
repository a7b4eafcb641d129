# SPDX-License-Identifier: GPL-3.0-only
"""Time that leaps or is lost: a clock that is set, a collector that is stopped while counters wrap, and processes
that are stopped while they are measured. Nothing is made up for it, and the accounts close across it."""

import contextlib
import mmap
import os
import signal
import struct
import time

from stage import host
from stage.cgroups import Cgroup, burn_ns, join, removed
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.process import find_program, open_files, resident_kib, wait_until
from stage.rapl import PackageTree

from support import CPUS, SECOND, execd, microjoules, one, sysroot_options, system_name

TOLERANCE = 0.01
WATTS = PackageTree.STEP_UJ / 1e6 / PackageTree.STEP_SECONDS
HOUR_NS = 3600 * SECOND


# ---- What holds of each interval ----------------------------------------------------------------


def cpu_ns(report):
    return sum(point.fields["cpu_time_ns"] for point in find(report, "deepmon_total") if "cpu_time_ns" in point.fields)


def seconds_between(before, after):
    """By deepmon's own account of CPU time, which knows no clock but the kernel's: all CPUs' time, by CPU."""
    return (cpu_ns(after) - cpu_ns(before)) / CPUS / SECOND


def zones(report, field="energy_joules"):
    return {point.tags["zone"]: point.fields[field] for point in find(report, "deepmon_zone_energy")
            if field in point.fields}


def check_rates(t, before, after):
    """Rates are what the counters grew by in the time that there really was."""
    seconds = seconds_between(before, after)
    percent = sum(point.fields.get("cpu_usage_percent", 0) for point in find(after, "deepmon_total"))
    t.between(percent, CPUS * 100 * (1 - TOLERANCE), CPUS * 100 * (1 + TOLERANCE), "percent of all kinds together")
    for zone, watts in zones(after, "power_watts").items():
        joules = zones(after)[zone] - zones(before)[zone]
        t.between(watts * seconds, joules * (1 - TOLERANCE) - 0.01, joules * (1 + TOLERANCE) + 0.01,
                  f"J that the power of {zone} comes to over {seconds:.3f} s")


def check_books(t, report):
    """Parts are the host's, to the µJ; and so are the zones, where none has a gap just then."""
    host_uj = microjoules(one(report, "deepmon_host_energy", domain="package").fields["energy_joules"])
    parts = [microjoules(point.fields["energy_joules"])
             for point in find(report, "deepmon_total_energy", domain="package")]
    t.equal(sum(parts), host_uj, f"uJ of all parts {parts}")
    if len(zones(report)) == len(find(report, "deepmon_zone")):
        t.equal(sum(map(microjoules, zones(report).values())), host_uj, "uJ of all zones")


def check_counters_grow(t, reports):
    last = {}
    for report in reports:
        for point in report:
            for field in ("cpu_time_ns", "energy_joules"):
                if field in point.fields:
                    key = point.series, field
                    t.true(point.fields[field] >= last.get(key, 0), f"{key} does not go back",
                           (last.get(key), point.fields[field]))
                    last[key] = point.fields[field]


# ---- A clock that is set ------------------------------------------------------------------------


class Clock:
    """CLOCK_REALTIME of one program, off by what a test says; see faults/clock.c."""

    def __init__(self, t):
        path = t.state / "clock"
        path.write_bytes(bytes(8))
        self.prefix = [find_program("env", None, "coreutils"), f"CLOCK_OFF_BY={path}",
                       f"LD_PRELOAD={t.built('tests/faults/clock.so')}"]
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)

    def set(self, off_by_ns):
        struct.pack_into("q", self.memory, 0, off_by_ns)


def test_a_clock_that_is_set_forwards_and_backwards(t):
    host.require_bpf()
    tree, clock, busy = t.enter(PackageTree(t.state / "sys")), Clock(t), t.enter(Cgroup())
    busy.run(lambda: [time.sleep(0.001) for _ in iter(lambda: burn_ns(1_000_000), 1)])
    parent = execd(t, *command_line(sysroot_options(tree.root)), "--sample-interval", "0.2", "--proportional-memory",
                   "on", "--proportional-memory-interval", "0.2", "--proportional-memory-budget", "20", interval=0.3,
                   prefix=clock.prefix)
    parent.wait_for_batches(4, 20)
    for off_by_ns in (HOUR_NS, -HOUR_NS, 0):
        clock.set(off_by_ns)
        parent.wait_for_batches(len(parent.batches) + 4, 20)

    reports = sorted((report for report in parent.reports() if find(report, "deepmon_total_energy")),
                     key=lambda report: cpu_ns(report))
    pairs = list(zip(reports, reports[1:]))
    hours = [round((after[0].time_ns - before[0].time_ns) / HOUR_NS) for before, after in pairs]
    t.equal([leap for leap in hours if leap], [1, -2, 1], "hours by which timestamps leapt, as the clock did")
    for before, after in pairs:
        check_rates(t, before, after)
        check_books(t, after)
    t.note(f"watts of package-0: {[round(zones(report, 'power_watts').get('package-0', 0), 1) for report in reports]}")
    ages = [point.fields["rss_age_seconds"] for report in reports for point in report
            if "rss_age_seconds" in point.fields]
    t.true(ages, "ages of RSS are told")
    t.true(sorted(ages)[len(ages) // 2] > 0, "most are more than 0: not all came just now", ages)
    t.between(max(ages), 0, 5, "seconds, the most of the ages of RSS")
    check_counters_grow(t, reports)
    parent.stop()
    t.equal([line for line in parent.stderr_lines if "clock" in line.lower()], [], "lines about a clock")


# ---- A collector that is stopped ----------------------------------------------------------------

STOPPED_SECONDS, TICK_SECONDS, WAIT_SECONDS = 2.5, 0.25, 0.25
# In that time a package may use more than such a range: then what a step back was can't be told.
NARROW_UJ = 2_000_000_000
BACK_UJ = -100_000_000
BRIEF = 20


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[0] == "T", 5,
               "the stop")


def live_briefly(directory):
    """A cgroup in which some CPU time is used; it is gone afterwards. CPU time by the kernel."""
    directory.mkdir()
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(wait, 1)
        burn_ns(2_000_000)
        os._exit(0)
    join(directory, pid)
    os.write(go, b"x")
    os.close(wait)
    os.close(go)
    os.waitpid(pid, 0)
    wait_until(lambda: removed(directory), 5, f"the end of {directory}", poll=0.001)


def anomalies(report):
    return {point.tags["zone"]: point.fields.get("anomalies", 0) for point in find(report, "deepmon_zone")}


def test_a_collector_stopped_while_a_counter_steps_back(t):
    """package-0's counter can't be followed over the time of the stop: that is a gap and no spike. package-1's can."""
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys", ranges_uj={0: NARROW_UJ}))
    top = t.enter(Cgroup())
    parent = execd(t, *command_line(sysroot_options(tree.root)), "--sample-interval", "0.2", "--report-system", "false",
                   signal="STDIN", interval=TICK_SECONDS)
    parent.wait_for_batches(5, 20)
    pid = parent.process.pid
    files, kib = open_files(pid), resident_kib(pid)
    used_ns = -top.usage_ns()
    stop(pid)
    try:
        batches = len(parent.batches)
        tree.jump(0, BACK_UJ)
        for number in range(BRIEF):
            live_briefly(top.directory / f"brief{number}")
        used_ns += top.usage_ns()
        time.sleep(STOPPED_SECONDS)
        t.equal(len(parent.batches), batches, "reports while it was stopped")
    finally:
        os.kill(pid, signal.SIGCONT)
    parent.wait_for_batches(batches + 5, 20)

    reports = [report for report in parent.reports() if find(report, "deepmon_total_energy")]
    pairs = list(zip(reports, reports[1:]))
    gap = max(range(len(pairs)), key=lambda index: seconds_between(*pairs[index]))
    before, after = pairs[gap]
    t.note(f"{seconds_between(before, after):.2f} s were between two reports; then "
           f"{[round(seconds_between(*pair), 2) for pair in pairs[gap + 1:]]}")
    t.true(seconds_between(before, after) >= STOPPED_SECONDS, "one interval has all of the stop")
    elapsed = (after[0].time_ns - before[0].time_ns) / SECOND
    # From the sample to the time that is on its report it may be kept waiting.
    t.between((cpu_ns(after) - cpu_ns(before)) / CPUS / SECOND, elapsed * (1 - TOLERANCE) - WAIT_SECONDS,
              elapsed * (1 + TOLERANCE) + WAIT_SECONDS, "seconds across it, by all parts' CPU time")
    for report in reports:
        check_books(t, report)
    check_counters_grow(t, reports)

    t.equal({zone: count - anomalies(before).get(zone, 0) for zone, count in anomalies(after).items()},
            {"package-0": 1, "package-1": 0}, "anomalies across the stop")
    t.note(t.one_line(parent.stderr_lines, "package-0", "does not tell the energy used", "left out"))
    # Where the gap ends with a report, package-0 is not in that one.
    known = next(report for report in reports[gap + 1:] if "package-0" in zones(report))
    grown = {zone: zones(known)[zone] - zones(before)[zone] for zone in zones(before)}
    t.note(f"J across the stop: {grown}")
    t.between(grown["package-0"], 0, WATTS * (1 + seconds_between(after, known)),
              "J of package-0, of which all but a sample's is a gap")
    t.between(grown["package-1"], WATTS * STOPPED_SECONDS * 0.5,
              WATTS * (elapsed + seconds_between(after, known)) * 1.2,
              "J of package-1, whose counter tells them")
    for report in reports[gap:]:
        for zone, watts in zones(report, "power_watts").items():
            t.between(watts, 0, 5 * WATTS, f"W of {zone}: no spike")
    t.true(zones(reports[-1])["package-0"] > zones(before)["package-0"], "package-0 goes on", grown)

    ended = [one(report, "deepmon_total_churn", kind="system").fields for report in (before, reports[-1])]
    t.true(ended[1]["ended_cgroups"] - ended[0]["ended_cgroups"] >= BRIEF, "those that lived during the stop", ended)
    t.true(ended[1]["ended_cpu_time_ns"] - ended[0]["ended_cpu_time_ns"] >= used_ns * 0.98, "and their CPU time",
           (ended, used_ns))
    t.true(open_files(pid) <= files, "open files", (files, open_files(pid)))
    # Of cgroups of others that came meanwhile it knows, too.
    t.true(resident_kib(pid) - kib < 8192, "resident memory grew by less than 8 MiB", (kib, resident_kib(pid)))
    parent.stop()
    # All that were asked for meanwhile are one report: of two at one moment the second has no time to tell of. The
    # next may be due at once.
    at_once = [seconds_between(*pair) for pair in pairs[gap + 1:]]
    t.true(len([seconds for seconds in at_once if seconds < TICK_SECONDS / 4]) <= 1,
           "reports that follow another at once", at_once)
    said = [line for line in parent.stderr_lines if "reports were left out while" in line and "held up" in line]
    t.true(sum(int(line.split()[2]) for line in said) >= STOPPED_SECONDS / TICK_SECONDS - 2,
           "as many as were asked for are said to be left out", said)


# ---- A process that is stopped ------------------------------------------------------------------


def test_a_measured_process_that_is_stopped(t):
    """It has used what the kernel says; nothing more while it is stopped, and goes on from there."""
    host.require_bpf()
    group = t.enter(Cgroup())
    pid = group.run(lambda: [burn_ns(SECOND) for _ in iter(int, 1)])
    parent = execd(t, interval=0.3)
    parent.wait_for_batches(3, 20)

    def told(report):
        points = find(report, "deepmon_system", cgroup=system_name(group))
        return points[0].fields if points else {"cpu_time_ns": 0}

    with contextlib.ExitStack() as stack:
        started = group.usage_ns() - told(parent.reports()[-1])["cpu_time_ns"]
        stop(pid)
        stack.callback(os.kill, pid, signal.SIGCONT)
        used = group.usage_ns()
        first = len(parent.batches) + 1
        parent.wait_for_batches(first + 4, 20)
        while_stopped = parent.reports()[first:first + 3]
        t.equal(group.usage_ns(), used, "ns by the kernel while it is stopped")
    figures = [told(report) for report in while_stopped]
    t.equal({each["cpu_time_ns"] for each in figures}, {figures[0]["cpu_time_ns"]}, "ns told while it is stopped")
    t.equal({each["cpu_usage_percent"] for each in figures[1:]}, {0.0}, "percent told while it is stopped")
    parent.wait_for_batches(len(parent.batches) + 2, 20)
    before = group.usage_ns()
    parent.wait_for_batches(len(parent.batches) + 2, 20)
    after = told(parent.reports()[-1])
    more_by_kernel = group.usage_ns() - used
    more = after["cpu_time_ns"] - figures[0]["cpu_time_ns"]
    t.note(f"{more / SECOND:.3f} s after it went on, by the kernel {(before - used) / SECOND:.3f} to "
           f"{more_by_kernel / SECOND:.3f} s; before it began to be looked at {started / SECOND:.3f} s")
    t.between(more, (before - used) * (1 - TOLERANCE) - 5e6, more_by_kernel * (1 + TOLERANCE) + 5e6,
              "ns told since it went on")
    reports = [report for report in parent.reports() if cpu_ns(report)]
    for one_report, following in zip(reports, reports[1:]):
        t.between((cpu_ns(following) - cpu_ns(one_report)) / (following[0].time_ns - one_report[0].time_ns),
                  CPUS * 0.98, CPUS * 1.02, "CPUs whose time is accounted")
