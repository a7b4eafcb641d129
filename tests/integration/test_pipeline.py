# SPDX-License-Identifier: GPL-3.0-only
"""From two real containers to InfluxDB on both paths, held against the kernel and the simulator."""

import time

from stage import host
from stage.cgroups import UsagePoller
from stage.dockerd import Dockerd, container_cgroup
from stage.execd_parent import command_line
from stage.process import wait_until
from stage.rapl import RaplSim

from support import SECOND, collectd, execd, influxd, sysroot_options

ALONE = "the simulated host's energy is shared by all that runs"

SPIN = ("sh", "-c", "while :; do :; done")
WINDOW_SECONDS = 14
CPU_TOLERANCE = 0.02
ENERGY_TOLERANCE = 0.03

# How a series of one container is asked for on each path: (database, query for "value").
QUERIES = {
    "execd": {
        "cpu": ("deepmon", "SELECT cpu_time_ns AS value FROM deepmon_container "
                           "WHERE container_name = '{0}'"),
        "joules": ("deepmon", "SELECT energy_joules AS value FROM deepmon_container_energy "
                              "WHERE container_name = '{0}' AND domain = 'package' AND source = 'simulated'"),
        "watts": ("deepmon", "SELECT power_watts AS value FROM deepmon_container_energy "
                             "WHERE container_name = '{0}' AND domain = 'package' AND source = 'simulated'"),
    },
    "collectd": {
        "cpu": ("collectd", "SELECT value FROM deepmon_value WHERE instance = 'container-{0}' "
                            "AND type = 'deepmon_cpu_ns' AND type_instance = ''"),
        "joules": ("collectd", "SELECT value FROM deepmon_value WHERE instance = 'container-{0}' "
                               "AND type = 'energy' AND type_instance = 'package-simulated'"),
        "watts": ("collectd", "SELECT value FROM deepmon_value WHERE instance = 'container-{0}' "
                              "AND type = 'power' AND type_instance = 'package-simulated'"),
    },
}


def series(influx, path, what, container):
    """[(time in ns, value)] as InfluxDB has it, the oldest first."""
    database, query = QUERIES[path][what]
    return [(row["time"], row["value"]) for row in influx.query(query.format(container), database)
            if row["value"] is not None]


def within_window(points, start_ns):
    return [point for point in points if point[0] >= start_ns]


def check_window(t, points, what):
    """The first and the last time of a series that must span 10 s."""
    t.true(len(points) >= 4, f"{what}: at least 4 points", f"{len(points)} points")
    start, end = points[0][0], points[-1][0]
    t.true(end - start >= 10 * SECOND, f"{what}: points over at least 10 s",
           f"{(end - start) / SECOND:.1f} s")
    return start, end


def check_cpu(t, what, points, poller, name):
    start, end = check_window(t, points, f"{what} CPU")
    t.within((points[-1][1] - points[0][1]) / SECOND, poller.between(name, start, end) / SECOND,
             CPU_TOLERANCE, f"{what}: CPU seconds against cpuacct over {(end - start) / SECOND:.1f} s")


def check_energy(t, what, joules, watts, truth, name):
    start, end = check_window(t, joules, f"{what} energy")
    seconds = (end - start) / SECOND
    true_watts = truth.between(start, end, "cgroups", name, "proportional_uj", "package") / 1e6 / seconds
    t.within((joules[-1][1] - joules[0][1]) / seconds, true_watts, ENERGY_TOLERANCE,
             f"{what}: joules per second against the model")
    mean = sum(value * (time_ns - before) for (before, _), (time_ns, value) in zip(watts, watts[1:]))
    t.within(mean / (watts[-1][0] - watts[0][0]), true_watts, ENERGY_TOLERANCE,
             f"{what}: mean of the watts against the model")


def check_labels(t, influx, name, identifier):
    """A container goes by its name; the id is a field."""
    rows = influx.query("SELECT last(container_id) AS id FROM deepmon_container "
                        f"WHERE container_name = '{name}' GROUP BY *")
    t.equal(len(rows), 1, f"series of the container {name}")
    t.equal({key: rows[0].get(key) for key in ("id", "container_image", "container_version", "runtime")},
            {"id": identifier, "container_image": "deepmon-test/busybox", "container_version": "1",
             "runtime": "docker"}, f"labels of {name}")


def test_two_containers_on_both_paths(t):
    host.require_bpf()
    influx = influxd(t)
    dockerd = t.enter(Dockerd(t.state / "dockerd"))
    ids = {"busy": dockerd.docker.run("busy", *SPIN), "half": dockerd.docker.run("half", *SPIN, cpus=0.5)}
    cgroups = {name: container_cgroup(identifier) for name, identifier in ids.items()}
    # A step as long as the period of --cpus: within it `half` uses an even share, as over a report.
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), cgroups=cgroups, period_ms=100))
    poller = t.enter(UsagePoller(cgroups))
    options = sysroot_options(simulator.root) | {"DockerRoot": str(dockerd.data_root),
                                                 "DockerSocket": str(dockerd.socket),
                                                 "IdlePolicy": "proportional"}
    parent = execd(t, *command_line(options), interval=1, forward=influx.write)
    collectd(t, options, interval=2, network_port=influx.collectd_port)

    wait_until(lambda: all(series(influx, path, "joules", name) for path in QUERIES for name in ids), 20,
               "the first energy of both containers on both paths")
    start_ns = time.time_ns()
    time.sleep(WINDOW_SECONDS + 2)
    truth = simulator.truth()

    t.equal(parent.errors, [], "what InfluxDB said of deepmon-execd's lines")
    for name, identifier in ids.items():
        with t.apart():
            check_labels(t, influx, name, identifier)
        for path in QUERIES:
            what = f"{path}, {name}"
            cpu, joules, watts = (within_window(series(influx, path, kind, name), start_ns)
                                  for kind in ("cpu", "joules", "watts"))
            # The truth ends at its last line, the reports may be younger.
            joules, watts = ([point for point in points if point[0] <= truth.times[-1]]
                             for points in (joules, watts))
            with t.apart():
                check_cpu(t, what, [p for p in cpu if p[0] <= poller.times[name][-1]], poller, name)
            with t.apart():
                check_energy(t, what, joules, watts, truth, name)
