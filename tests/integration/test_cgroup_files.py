# SPDX-License-Identifier: GPL-3.0-only
"""Without permission for eBPF: CPU time by cgroups' own files, and energy by that."""

import time

from stage import host
from stage.cgroups import Container, burn_ns
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.process import find_program, wait_until
from stage.rapl import PackageTree

from support import CPUS, SECOND, check_shared_by, duty, execd, growth, microjoules, one, sysroot_options, two_cpus

WITHOUT = "-bpf,-perfmon,-sys_admin"
PARTS = ("container", "system", "idle")


def without_bpf(t, *arguments, interval=0.5):
    """deepmon-execd that may not use eBPF, and one package of 10 W."""
    host.require_root()
    tree = t.enter(PackageTree(t.state / "sys", packages=1))
    setpriv = find_program("setpriv", None, "util-linux")
    return execd(t, *command_line(sysroot_options(tree.root)), *arguments, interval=interval,
                 prefix=[setpriv, "--inh-caps", WITHOUT, "--bounding-set", WITHOUT])


def told_ns(report, container):
    points = find(report, "deepmon_container", container_name=container.name)
    return points[0].fields["cpu_time_ns"] if points else 0


def test_each_container_has_what_its_cgroup_says(t):
    """One that was there, one that comes later, and a cgroup nested in it: to the nanosecond of the file."""
    there = t.enter(Container())
    parent = without_bpf(t)
    parent.wait_for_batches(2, 40)
    later = t.enter(Container())
    nested = later.child("nested")
    for cgroup, ns in ((there, 300_000_000), (later, 100_000_000), (nested, 200_000_000)):
        cgroup.run(burn_ns, ns)
    wait_until(lambda: [container for container in (there, later) if container.usage_ns() < 300_000_000] == [], 20,
               "the work")
    time.sleep(0.2)
    parent.wait_for_batches(len(parent.batches) + 2, 40)
    report = parent.reports()[-1]
    for container in (there, later):
        t.equal(told_ns(report, container), container.usage_ns(), "ns told, against the cgroup's file")


def test_all_parts_are_all_time_and_all_energy(t):
    """Containers, other cgroups and idle are the CPUs' time, and have the package's energy to the µJ."""
    first, second = two_cpus()
    containers = [t.enter(Container()) for _ in range(2)]
    for container, cpu, share in zip(containers, (first, second), (0.6, 0.3)):
        container.run(duty, cpu, share)
    parent = without_bpf(t, "--idle-policy", "proportional", "--sample-interval", "60")
    parent.wait_for_batches(8, 40)
    reports = parent.reports()[1:]
    for before, after in zip(reports, reports[1:]):
        check_shared_by(t, before, after, "package", ("", "energy_weight"))
    before, after = reports[0], reports[-1]
    # The files are read after the time of the report before was taken and before that of their own.
    times = [report[0].time_ns / SECOND for report in parent.reports()[:len(reports) + 1]]
    whole = sum(growth(before, after, "deepmon_total", "cpu_time_ns", kind=kind) for kind in PARTS)
    t.between(whole / SECOND, CPUS * (times[-2] - times[1]), CPUS * (times[-1] - times[0]), "CPU seconds of all parts")
    energy = sum(microjoules(one(after, "deepmon_total_energy", kind=kind, domain="package").fields["energy_joules"])
                 for kind in (*PARTS, "unattributed"))
    t.equal(energy, microjoules(one(after, "deepmon_host_energy", domain="package").fields["energy_joules"]),
            "µJ of all parts, against the host's")
    for kind in ("kernel", "other"):
        t.equal(find(after, "deepmon_total", kind=kind), [], f"lines of {kind}, which files do not tell apart")


def test_one_that_ended_keeps_what_was_seen_of_it(t):
    """Its counter stays, and the whole does not: what it did last is with the cgroup around it."""
    outer = t.enter(Container())
    parent = without_bpf(t, "--sample-interval", "0.1")
    parent.wait_for_batches(2, 40)
    brief = t.enter(Container())
    brief.run(burn_ns, 200_000_000)
    wait_until(lambda: brief.usage_ns() >= 200_000_000, 20, "the work")
    parent.wait_for_batches(len(parent.batches) + 1, 40)
    used = brief.usage_ns()  # its process has ended by then
    parent.wait_for_batches(len(parent.batches) + 2, 40)
    brief.remove()
    parent.wait_for_batches(len(parent.batches) + 1, 40)
    reports = [report for report in parent.reports() if told_ns(report, brief)]
    t.equal(told_ns(reports[-1], brief), used, "ns told of one that ended after it was seen")
    t.equal(told_ns(reports[-1], outer), 0, "ns told of one that did nothing")
