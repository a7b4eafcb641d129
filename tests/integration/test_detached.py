# SPDX-License-Identifier: GPL-3.0-only
"""Programs that come off their hooks while deepmon runs.

The kernel itself lets nobody take away links like ours (BPF_LINK_DETACH is refused for tracing programs): they end
with their last descriptor. Whoever shares the process may close that, so tests/faults/closer.c does, from within.
"""

import os
import time

from stage import host
from stage.cgroups import Cgroup, Container, burn_ns
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.process import wait_until
from stage.rapl import PackageTree

from support import (CPUS, KINDS, SECOND, execd, growth, microjoules, next_report, one, report_now, sysroot_options,
                     system_name)
from test_recording import play

LINKS, PROGRAMS = "link_type", "prog_tag"


class Closer:
    """deepmon-execd with a careless neighbour."""

    def __init__(self, t, *arguments, **settings):
        self.paths = {name: t.state / name for name in ("CLOSER", "CLOSED")}
        for path in self.paths.values():
            os.mkfifo(path)
        environment = [f"{name}={path}" for name, path in self.paths.items()]
        self.parent = execd(t, *arguments, prefix=["env", f"LD_PRELOAD={t.built('tests/faults/closer.so')}",
                                                   *environment], **settings)
        self.orders = t.enter(open(self.paths["CLOSER"], "w", encoding="ascii"))
        self.answers = t.enter(open(self.paths["CLOSED"], encoding="ascii"))

    def close(self, what):
        """How many descriptors it closed."""
        self.orders.write(what + "\n")
        self.orders.flush()
        return int(self.answers.readline())


def open_files(parent):
    return len(os.listdir(f"/proc/{parent.process.pid}/fd"))


def spin():
    while True:
        burn_ns(SECOND)


def cpu_seconds(before, after):
    return sum(growth(before, after, "deepmon_total", "cpu_time_ns", kind=kind) for kind in KINDS) / SECOND


def elapsed(before, after):
    return (after[0].time_ns - before[0].time_ns) / SECOND


def check_energy_closes(t, report):
    parts = sum(microjoules(point.fields["energy_joules"]) for point in find(report, "deepmon_total_energy"))
    t.equal(parts, microjoules(one(report, "deepmon_host_energy").fields["energy_joules"]),
            "µJ of all parts, against the host's")


def unattributed(report):
    return one(report, "deepmon_total_energy", kind="unattributed").fields["energy_joules"]


def test_programs_that_come_off_hang_again(t):
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys", packages=1))
    group = t.enter(Cgroup())
    group.run(spin)
    closer = Closer(t, *command_line(sysroot_options(tree.root)), "--network", "on", "--file-io", "counts",
                    "--record", t.state / "recording", "--sample-interval", "60", signal="STDIN", ticking=False)
    parent = closer.parent

    def report():
        """One more, of half a second."""
        time.sleep(0.5)
        return report_now(parent)

    report()
    before = report()
    files = open_files(parent)
    closed = closer.close(LINKS)
    t.true(closed >= 5, "links closed", closed)
    blind, after, last = report(), report(), report()

    self = one(blind, "deepmon_self").fields
    t.equal(self["programs_lost"], closed, "programs_lost")
    for what in ("CPU accounting", "cgroup events", "network's accounting", "accounting of file I/O"):
        t.note(t.one_line(parent.stderr_lines, what, "hang there again"))
    t.equal(open_files(parent), files, "open files, of which as many are links again")

    # A gap is a gap: what was not seen is nobody's, and no rate is told of it.
    t.true(cpu_seconds(before, blind) < 0.9 * CPUS * elapsed(before, blind), "CPU time that was not seen is not told")
    name = system_name(group)
    t.true("cpu_usage_percent" not in one(blind, "deepmon_system", cgroup=name).fields,
           "no usage of a part of the time")
    t.true("power_watts" not in one(blind, "deepmon_total_energy", kind="system").fields, "no power of it")
    t.true(unattributed(blind) > unattributed(before), "its energy is nobody's", unattributed(blind))
    t.true("power_watts" in one(blind, "deepmon_host_energy").fields, "the host's power is known all the same")
    for each in (before, blind, after, last):
        check_energy_closes(t, each)

    t.within(cpu_seconds(after, last), CPUS * elapsed(after, last), 0.01, "CPU seconds of all kinds afterwards")
    t.true("cpu_usage_percent" in one(last, "deepmon_system", cgroup=name).fields, "usage afterwards")
    t.equal(unattributed(last), unattributed(after), "energy of nobody afterwards")
    t.equal(one(last, "deepmon_self").fields["programs_lost"], closed, "programs_lost afterwards")
    lines = [line for batch in parent.batches for line in batch.lines]
    container = t.enter(Container())
    container.run(spin)
    wait_until(lambda: find(report(), "deepmon_container", container_name=container.name), 10,
               "a container that came afterwards")
    parent.stop()
    replayed = set(play(t, t.state / "recording")[0].splitlines())
    whole = [line for line in lines if line.startswith(("deepmon_total,", "deepmon_total_energy,"))]
    t.true(len(whole) > 20, "lines of totals", len(whole))
    t.equal([line for line in whole if line not in replayed], [], "lines that a replay of it tells otherwise")


def test_programs_that_can_not_hang_again(t):
    """Their own descriptors are closed as well: what they told is left out, and not zero."""
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys", packages=1))
    group = t.enter(Cgroup())
    group.run(spin)
    closer = Closer(t, *command_line(sysroot_options(tree.root)), "--network", "on", "--file-io", "counts",
                    interval=0.5)
    parent = closer.parent
    parent.wait_for_batches(2, 10)
    t.true(closer.close(PROGRAMS) > 5, "programs closed")
    closer.close(LINKS)
    report, later = next_report(parent), None
    for what in ("CPU accounting", "cgroup events", "network's accounting", "accounting of file I/O"):
        t.note(t.one_line(parent.stderr_lines, what, "can't be attached again", "start deepmon again"))
    for _ in range(2):
        report, later = next_report(parent), report
    for measurement in ("deepmon_total", "deepmon_system", "deepmon_total_network", "deepmon_total_file_io"):
        t.equal(find(report, measurement), [], f"points of {measurement}, which nobody counts")
    check_energy_closes(t, report)
    t.true(unattributed(report) > unattributed(later), "energy is nobody's", unattributed(report))
    t.equal(len([line for line in parent.stderr_lines if "can't be attached again" in line]), 4, "lines, one for each")
