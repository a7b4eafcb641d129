# SPDX-License-Identifier: GPL-3.0-only
"""Cgroups that appear faster than anybody should make them, against the kernel's own account of them.

DEEPMON_CGROUPS=10000 makes as many, in a minute; without it 2000, in as much less.
"""

import os
import time

from stage import host
from stage.cgroups import burn_ns, join
from stage.lineprotocol import find, parse_line

from support import SECOND, execd, one, system_name
from test_identity import Host, container_id, cpu_seconds, is_strangers, open_files, own_cost, resident_kib

CGROUPS = int(os.environ.get("DEEPMON_CGROUPS", "2000"))
PER_SECOND = 10_000 / 60
BURN_NS = 1_000_000
CONTAINERS = 5  # one of so many is a container
NARROW = 256  # cgroups that the second deepmon accounts one by one
TOLERANCE = 0.01
KINDS = ("container", "system", "other")


class Worker:
    """A process that uses some CPU time when it is told to, and sleeps while it is put somewhere else.

    cpuacct charges a running task's time at ticks, all of it to where the task is by then: only for a task
    that is moved while it does not run are its figures exact.
    """

    def __enter__(self):
        (go, self.go), (self.done, done) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.go)
            while os.read(go, 1):
                burn_ns(BURN_NS)
                os.write(done, b"x")
            os._exit(0)
        os.close(go)
        os.close(done)
        return self

    def work_in(self, directory):
        join(directory, self.pid)
        os.write(self.go, b"x")
        os.read(self.done, 1)

    def __exit__(self, *_):
        os.close(self.go)
        os.close(self.done)
        os.waitpid(self.pid, 0)


def appear(by_hand, worker, number):
    """One more cgroup that used some CPU time and stays."""
    if number % CONTAINERS:
        directory = by_hand.top.directory / f"unit{number}.service"
        directory.mkdir()
    else:
        identifier = container_id(f"{number:08x}")
        by_hand.write_docker(identifier, f"job-{number}")
        directory = by_hand.make(identifier)
    worker.work_in(directory)


def cpu_of(report, measurement, own):
    return sum(point.fields["cpu_time_ns"] for point in find(report, measurement) if own(point))


def check_against_the_kernel(t, by_hand, report):
    """All that was used in our cgroups, by the kernel's account of the one above them."""
    containers_ns = cpu_of(report, "deepmon_container", lambda point: point.tags["container_name"].startswith("job-"))
    units_ns = cpu_of(report, "deepmon_system", lambda point: point.tags["cgroup"].startswith(system_name(by_hand.top)))
    t.within((containers_ns + units_ns) / SECOND, by_hand.top.usage_ns() / SECOND, TOLERANCE,
             f"CPU seconds of {CGROUPS} cgroups, against the kernel's of the one above")


def check_lines_add_up(t, parent):
    """To the ns: what is not told one by one is in (other), and counters left out stand in an earlier report."""
    last = {}
    reports = parent.reports()
    for report in reports:
        for entity, tag in (("container", "container_name"), ("system", "cgroup")):
            for point in find(report, f"deepmon_{entity}"):
                last[entity, point.tags[tag]] = point.fields["cpu_time_ns"]
    for entity in ("container", "system"):
        t.equal(sum(value for (kind, _), value in last.items() if kind == entity),
                one(reports[-1], "deepmon_total", kind=entity).fields["cpu_time_ns"],
                f"CPU time of all lines of kind {entity}, against its total")


def used_since(before, after):
    return {kind: one(after, "deepmon_total", kind=kind).fields["cpu_time_ns"]
            - sum(point.fields["cpu_time_ns"] for point in find(before, "deepmon_total", kind=kind)) for kind in KINDS}


def reports_of_both(**parents):
    """A report of each at the same moment, while nothing else is waited for."""
    counts = {name: len(parent.batches) for name, parent in parents.items()}
    for parent in parents.values():
        parent.tick()
    for name, parent in parents.items():
        parent.wait_for_batches(counts[name] + 1, 60)
    # Of thousands of lines, parsed once.
    return {name: [parse_line(line) for line in parent.batches[counts[name]].lines]
            for name, parent in parents.items()}


def test_cgroups_that_appear_by_the_thousand(t):
    host.require_bpf()
    by_hand = Host(t)
    few = ["--memory", "off", "--block-devices", "0"]
    wide = execd(t, *by_hand.options(), *few, "--max-cgroups", "32768", "--max-units", "65536", "--max-containers",
                 "65536", signal="STDIN", ticking=False, log=t.state / "wide.log")
    narrow = execd(t, *by_hand.options(), *few, "--max-cgroups", str(NARROW), "--max-units", "20", "--max-containers",
                   "20", signal="STDIN", interval=1, log=t.state / "narrow.log")
    first = reports_of_both(wide=wide, narrow=narrow)
    pids = [parent.process.pid for parent in (wide, narrow)]
    before = [(cpu_seconds(pid), resident_kib(pid), open_files(pid)) for pid in pids]

    worker = t.enter(Worker())
    start = time.monotonic()
    for number in range(CGROUPS):
        appear(by_hand, worker, number)
        time.sleep(max(0, start + (number + 1) / PER_SECOND - time.monotonic()))
    t.note(f"{CGROUPS} cgroups in {time.monotonic() - start:.1f} s")
    last = reports_of_both(wide=wide, narrow=narrow)
    after = [(cpu_seconds(pid), resident_kib(pid), open_files(pid)) for pid in pids]

    report = last["wide"]
    told = [point for point in find(report, "deepmon_container") if not is_strangers(point)]
    t.equal(len([point for point in told if point.tags["container_name"].startswith("job-")]), CGROUPS // CONTAINERS,
            "containers told one by one, by their names")
    check_against_the_kernel(t, by_hand, report)

    check_lines_add_up(t, narrow)
    refused = own_cost(narrow)["slots_refused"]
    t.true(refused > 0, f"cgroups past {NARROW} were refused a slot", refused)
    sums = {name: used_since(first[name], last[name]) for name in first}
    t.note(f"CPU time by kind, ms: " + "; ".join(f"{name} " + ", ".join(
        f"{kind} {value / 1e6:.0f}" for kind, value in of.items()) for name, of in sums.items()))
    t.true(sums["narrow"]["other"] > 0, "what is past MaxCgroups is in the total of kind other", sums)
    t.within(sum(sums["narrow"].values()) / SECOND, sum(sums["wide"].values()) / SECOND, 2 * TOLERANCE,
             "CPU seconds of all groups where most found no slot, against where all did")

    for name, (cpu, kib, files), (cpu_before, kib_before, files_before), most in (
            ("wide", after[0], before[0], 2 + CGROUPS * 5 // 1024), ("narrow", after[1], before[1], 4)):
        t.note(f"{name}: {(cpu - cpu_before) / CGROUPS * 1e6:.0f} µs of CPU time for each cgroup, its reports "
               f"included; resident memory grew by {(kib - kib_before) / 1024:.1f} MiB")
        t.true((cpu - cpu_before) / CGROUPS < 0.002, f"{name}: less than 2 ms of CPU time for each", cpu - cpu_before)
        t.between((kib - kib_before) / 1024, -100, most, f"{name}: MiB by which resident memory grew")
        t.equal(files, files_before, f"{name}: open files")
