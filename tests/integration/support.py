# SPDX-License-Identifier: GPL-3.0-only
"""deepmon on the stage: what several of the tests do."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from stage.collectd import Collectd
from stage.execd_parent import ExecdParent
from stage.influxd import Influxd
from stage.lineprotocol import by_time, find, parse_line
from stage.process import Skip, StageError, wait_until

SOURCE = Path(__file__).resolve().parent.parent.parent
TYPES = SOURCE / "collectd-plugin" / "types.db"
CPUS = os.sysconf("SC_NPROCESSORS_ONLN")
SECOND = 1_000_000_000  # ns

# The line protocol's `kind`s that make up all the CPU time there is.
KINDS = ("container", "system", "kernel", "idle", "other")


def influxd(t):
    return t.enter(Influxd(t.state / "influxd", TYPES))


def execd(t, *arguments, **settings):
    """deepmon-execd under a stand-in for its agent, until the test ends."""
    settings.setdefault("log", t.state / "execd.log")
    return t.enter(ExecdParent(t.built("deepmon-execd"), list(arguments), **settings))


def collectd(t, options=None, plugin=None, **settings):
    """collectd with our plugin, until the test ends."""
    return t.enter(Collectd(t.state / "collectd", plugin or t.built("deepmon.so"), options, **settings))


def sysroot_options(root):
    """Points deepmon at another /sys, and at this host's own cgroups still."""
    return {"SysRoot": str(root), "CgroupRoot": "/sys/fs/cgroup"}


def node_with(t, package):
    """node, and the directory in which make deps-npm has put that package; Skip says how to."""
    node = shutil.which("node")
    directory = Path(t.build) / "npm"
    if not node or not (directory / "node_modules" / package).exists():
        raise Skip(f"node or {package} is missing: make deps-npm", needs="npm")
    return node, directory


def csv(t):
    """collectd's csv plugin as `more` configuration, and the directory of what it writes."""
    directory = t.state / "csv"
    return f'LoadPlugin csv\n<Plugin csv>\n  DataDir "{directory}"\n</Plugin>', directory


# ---- Load ---------------------------------------------------------------------------------------


def two_cpus():
    """Two CPUs, of two sockets where the simulator makes them."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("one CPU only")
    return cpus[0], cpus[-1]


def spin(cpu):
    """Uses all of a CPU, for ever."""
    os.sched_setaffinity(0, {cpu})
    while True:
        pass


def duty(cpu, share, period=0.01):
    """Uses that share of a CPU, for ever: a stretch in each period."""
    os.sched_setaffinity(0, {cpu})
    begin = time.monotonic()
    while True:
        while time.monotonic() < begin + share * period:
            pass
        begin = max(begin + period, time.monotonic())  # who was kept waiting makes up for nothing
        time.sleep(max(0, begin - time.monotonic()))


# ---- Figures of reports -------------------------------------------------------------------------


def reports_without_system(parent):
    """The reports but for single system groups, of which a host with much going on has hundreds."""
    return by_time([parse_line(line) for batch in list(parent.batches) for line in batch.lines
                    if not line.startswith("deepmon_system")])


def one(report, measurement, **tags):
    """The point of a report with that measurement and those tags; there is exactly one."""
    points = find(report, measurement, **tags)
    if len(points) != 1:
        raise StageError(f"{len(points)} points of {measurement} with {tags} in a report of {len(report)}")
    return points[0]


def next_report(parent, count=1):
    """One that begins after now."""
    parent.wait_for_batches(len(parent.batches) + count + 1, 15)
    return parent.reports()[-1]


def report_now(parent, seconds=60):
    """One that is asked for now, of a parent that does not tick by itself: whole, however slowly it comes."""
    asked = time.time_ns()
    parent.tick()

    def whole():
        last = parent.batches[-1].lines[-1] if parent.batches else ""
        return last.startswith("deepmon_self") and int(last.rsplit(" ", 1)[1]) > asked

    wait_until(whole, seconds, "a report")
    return parent.reports()[-1]


def growth(before, after, measurement, field, **tags):
    """By how much that field grew from one report to another. A unit that has done nothing yet is not in one."""
    first = one(before, measurement, **tags).fields[field] if find(before, measurement, **tags) else 0
    return one(after, measurement, **tags).fields[field] - first


def system_name(cgroup):
    """The tag `cgroup` of a stage.cgroups.Cgroup that is no container's."""
    return cgroup.path.removeprefix("/")


def microjoules(joules):
    """A field of joules has six decimals, which a float holds up to a GJ."""
    return round(joules * 1_000_000)


def check_shared_by(t, before, after, domain, claim):
    """The domain's energy between two reports was divided in one go, by the claim, to the µJ.

    claim: (end of the measurement, field), as ("_perf", "cache_misses"). One socket, and nothing idles.
    """
    suffix, field = claim
    tags = {"container": "container_name", "system": "cgroup", "total": "kind"}

    def grown(measurement, name, **more):
        """{(entity, its tag): growth} of all that are in both reports; what is new began at nothing."""
        found = {}
        for entity, tag in tags.items():
            old = {point.tags[tag]: point.fields[name]
                   for point in find(before, f"deepmon_{entity}{measurement}", **more) if name in point.fields}
            for point in find(after, f"deepmon_{entity}{measurement}", **more):
                if name in point.fields and (entity == "total" or point.tags[tag] in old):
                    found[entity, point.tags[tag]] = point.fields[name] - old.get(point.tags[tag], 0)
        return found

    claims = grown(suffix, field)
    shares = grown("_energy", "energy_joules", domain=domain)
    whole = sum(claim for (entity, _), claim in claims.items() if entity == "total")
    energy_uj = microjoules(growth(before, after, "deepmon_host_energy", "energy_joules", domain=domain))
    t.true(whole and energy_uj, f"{field} and energy of {domain}", (whole, energy_uj))
    for who, claimed in claims.items():
        # A total is a sum of rounded shares.
        allowed = len(claims) if who[0] == "total" else 1
        expected = energy_uj * claimed / whole
        t.between(microjoules(shares[who]), expected - allowed, expected + allowed,
                  f"µJ of {domain} of {' '.join(who)}, by its part of {field} ({claimed} of {whole})")


def made_up_host(t, seconds):
    """A recording of it, every time the same."""
    path = t.state / "host.recording"
    subprocess.run([t.built("host"), path, str(seconds)], check=True, timeout=60)
    return path
