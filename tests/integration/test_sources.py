# SPDX-License-Identifier: GPL-3.0-only
"""Where energy comes from: which source serves, and what of it reaches the agent."""

from stage import host
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.rapl import PackageTree

from support import SECOND, execd, sysroot_options


def write(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n")


def watts_of(parent, measurement, **tags):
    """Average power from the first report to the last, by the energy; None if it has not grown."""
    points = [point for report in parent.reports() for point in find(report, measurement, **tags)]
    if len(points) < 2:
        return None
    joules = points[-1].fields["energy_joules"] - points[0].fields["energy_joules"]
    return joules / ((points[-1].time_ns - points[0].time_ns) / SECOND) if joules else None


def run(t, root, *options):
    host.require_bpf()
    parent = execd(t, *command_line(sysroot_options(root)), *options, "--sample-interval", "0.2", interval=0.5)
    parent.wait_for_batches(5, 10)
    return parent


def test_a_power_meter_tells_what_the_host_draws(t):
    """Beside RAPL, which goes on; as a zone alone, for it contains what RAPL counts."""
    tree = t.enter(PackageTree(t.state / "sys", packages=1))
    write(tree.root, {"class/hwmon/hwmon0/name": "power_meter",
                      "class/hwmon/hwmon0/power1_average": 250_000_000})
    parent = run(t, tree.root)
    t.within(watts_of(parent, "deepmon_zone_energy", zone="platform", domain="platform", source="hwmon"), 250, 0.05,
             "W of the platform")
    t.true(find(parent.reports()[-1], "deepmon_total_energy", domain="package", source="powercap"),
           "the package's energy is divided")
    t.equal([point for point in parent.points() if point.tags.get("domain") == "platform" and
             point.measurement not in ("deepmon_zone_energy", "deepmon_zone", "deepmon_host_energy")], [],
            "points that divide the platform's energy")


def test_perf_counts_where_powercap_is_absent(t):
    """A software event in place of RAPL's: the clock of a CPU as a package of 100 W, counted by the kernel."""
    host.require_root()
    pmu = "bus/event_source/devices/power"
    root = t.state / "sys"
    write(root, {f"{pmu}/type": 1, f"{pmu}/cpumask": 0, f"{pmu}/events/energy-pkg": "event=0x00",
                 f"{pmu}/events/energy-pkg.scale": "1e-7", f"{pmu}/events/energy-pkg.unit": "Joules",
                 "devices/system/cpu/cpu0/topology/physical_package_id": 0,
                 "devices/system/cpu/cpu1/topology/physical_package_id": 0})
    parent = run(t, root)
    if not find(parent.reports()[-1], "deepmon_zone"):
        t.note(t.one_line(parent.stderr_lines, "no energy", "perf_event_paranoid"))
        return
    t.within(watts_of(parent, "deepmon_zone_energy", zone="package-0", source="perf"), 100, 0.05, "W of package-0")
    t.true(find(parent.reports()[-1], "deepmon_total_energy", domain="package", source="perf"), "it is divided")
    t.note(t.one_line(parent.stderr_lines, "no energy from powercap"))
    t.note(t.one_line(parent.stderr_lines, "energy is read from perf", "package-0"))


def test_the_source_that_is_asked_for_alone(t):
    tree = t.enter(PackageTree(t.state / "sys", packages=1))
    parent = run(t, tree.root, "--energy-source", "hwmon")
    t.note(t.one_line(parent.stderr_lines, "no energy", "hwmon"))
    t.equal([point for point in parent.points() if point.measurement.endswith("_energy")], [], "points of energy")


def test_no_energy_is_asked_for(t):
    tree = t.enter(PackageTree(t.state / "sys", packages=1))
    parent = run(t, tree.root, "--energy-source", "none")
    t.equal([line for line in parent.stderr_lines if "no energy" in line or "energy is" in line and
             "CyclesEvent" not in line], [], "lines about energy")
    t.equal([point for point in parent.points() if point.measurement.endswith("_energy")], [], "points of energy")
    t.true(find(parent.reports()[-1], "deepmon_total"), "CPU time goes on")
