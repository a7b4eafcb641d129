# SPDX-License-Identifier: GPL-3.0-only
"""What README.md says of many hosts: how many lines a report has, and what is kept for years."""

import re

from stage import host
from stage.cgroups import Container
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.rapl import RaplSim

from support import SOURCE, duty, execd, influxd, sysroot_options, two_cpus

README = (SOURCE / "README.md").read_text()


def busy_host(t, more=None, **settings):
    """deepmon-execd on a host with two busy containers and simulated counters."""
    host.require_bpf()
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), domains="package,core,dram"))
    for _ in range(2):
        t.enter(Container()).run(duty, two_cpus()[0], 0.2)
    parent = execd(t, *command_line(sysroot_options(simulator.root) | (more or {})), interval=0.5, **settings)
    parent.wait_for_batches(5, 20)
    parent.stop()
    return parent


def formula(report):
    """The README's, with the numbers of a report in their places."""
    (text,) = re.findall(r"^    lines = ([\w+* ()]+)$", README, re.MULTILINE)
    numbers = {"domains": len(find(report, "deepmon_host_energy")), "zones": len(find(report, "deepmon_zone")),
               "containers": len(find(report, "deepmon_container")), "units": len(find(report, "deepmon_system"))}
    assert all(numbers.values()), numbers
    for name, number in numbers.items():
        text = text.replace(name, str(number))
    return eval(text), numbers  # pylint: disable=eval-used


def check_lines(t, more, added=lambda groups: 0):
    """No more than the formula and what is on besides, and less only by the memory of those that have none of their own."""
    off = {"BlockDevices": 0, "CyclesEvent": "none", "InstructionsEvent": "none", "CacheReferencesEvent": "none",
           "CacheMissesEvent": "none"}
    report = busy_host(t, off | more).reports()[-2]
    most, numbers = formula(report)
    groups = numbers["containers"] + numbers["units"]
    memory = find(report, "deepmon_container_memory") + find(report, "deepmon_system_memory")
    t.true(len(memory) >= 2, "memory of the two containers", memory)
    t.note(f"{len(report)} lines, {numbers}, memory of {len(memory)}")
    t.equal(len(report), most + added(groups) - (groups - len(memory)), "lines of a report")


def test_lines_of_a_report(t):
    check_lines(t, {})


def test_lines_with_file_io(t):
    check_lines(t, {"FileIO": "counts"}, lambda groups: groups + 4)


def test_lines_with_counters(t):
    """One more of each that has some: of the totals, what no counter is for has none."""
    check_lines(t, {"CyclesEvent": "cpu-clock"}, lambda groups: groups + 4)


def test_what_is_kept_for_years(t):
    """The continuous query, which InfluxDB takes as it is, and what it does once an hour."""
    influx = influxd(t)
    busy_host(t, forward=influx.write)
    statements = re.findall(r"^    (CREATE .*)$", README, re.MULTILINE)
    t.equal(len(statements), 2, "statements in README.md")
    for statement in statements:
        influx.query(statement)
    (query,) = re.findall(r"BEGIN (.*) END", statements[1])
    influx.query(query.replace("GROUP BY", "WHERE time > now() - 1h GROUP BY"))
    for measurement in ("deepmon_container_energy", "deepmon_total_energy", "deepmon_host_energy"):
        kept, all_there = (influx.query(f'SELECT last(energy_joules) FROM "{policy}".{measurement} GROUP BY *')
                           for policy in ("years", "autogen"))
        t.true(kept, f"{measurement} that is kept")
        t.equal([row["last"] for row in kept], [row["last"] for row in all_there], f"joules of {measurement}")
