# SPDX-License-Identifier: GPL-3.0-only
"""What collectd's stock writers make of our values: each is run for real, and what arrived is read back."""

import json
import re
import subprocess
import time
import urllib.request

from stage import host, lineprotocol, writers
from stage.collectd import Collectd
from stage.influxd import STOCK_TYPES
from stage.process import find_program, free_port, wait_until

from support import CPUS, TYPES, collectd, csv, influxd

# The CPU time of all that is no container: it is there on each host and grows.
SYSTEM = ("deepmon", "total-system", "deepmon_cpu_ns")
SECOND_NS = 1_000_000_000


def check_system(t, points, what):
    """[(seconds, ns)] of the total of kind system: it grows, and by no more than the CPUs have."""
    t.true(len(points) >= 2, f"{what}: two values of the total of kind system", points)
    (start, first), (end, last) = points[0], points[-1]
    rate = (last - first) / SECOND_NS / (end - start)
    t.note(f"{what}: {len(points)} values over {end - start:.1f} s, {rate:.2f} CPUs used")
    t.true(end > start and last > first, f"{what}: the CPU time grows", points)
    t.between(rate, 0, 1.1 * CPUS, f"{what}: CPUs used")


# ---- Files ------------------------------------------------------------------------------------------


def csv_points(path):
    return [(float(time_s), int(value)) for time_s, value in
            (line.split(",") for line in path.read_text().splitlines()[1:])]


def test_csv(t):
    host.require_bpf()
    more, directory = csv(t)
    collectd(t, interval=1, more=more)
    path = wait_until(lambda: next((path for path in directory.glob("*/deepmon-total-system/deepmon_cpu_ns-2*")
                                    if len(path.read_text().splitlines()) >= 4), None), 15, "values in a file")
    check_system(t, csv_points(path), "csv")


def test_rrdtool(t):
    host.require_bpf()
    rrdtool = find_program("rrdtool", "rrdtool", "rrdtool")
    directory = t.state / "rrd"
    daemon = collectd(t, interval=1, more=writers.configured("rrdtool", {"DataDir": str(directory), "CacheTimeout": 0,
                                                                         "CreateFilesAsync": False}))
    pattern = "*/deepmon-total-system/deepmon_cpu_ns.rrd"
    path = wait_until(lambda: next(iter(directory.glob(pattern)), None), 15, "a round robin database")
    points = []

    def enough():
        answer = subprocess.run([rrdtool, "lastupdate", path], capture_output=True, check=True).stdout.decode()
        found = re.search(r"^(\d+): (\d+)$", answer, re.MULTILINE)
        if found and (not points or int(found[1]) > points[-1][0]):
            points.append((int(found[1]), int(found[2])))
        return len(points) >= 3

    wait_until(enough, 20, "three updates")
    check_system(t, points, "rrdtool")
    info = subprocess.run([rrdtool, "info", path], capture_output=True, check=True).stdout.decode()
    t.true('ds[value].type = "DERIVE"' in info and "ds[value].min = 0" in info, "a DERIVE from 0 on", info[:400])
    t.equal([line for line in daemon.log() if "rrd" in line and "[error]" in line], [], "errors of rrdtool")


# ---- Network ----------------------------------------------------------------------------------------


def test_network_to_another_collectd(t):
    """The receiver does without our plugin: it needs types.db."""
    host.require_bpf()
    port = free_port()
    directory = t.state / "received"
    listen = (f'TypesDB "{STOCK_TYPES}" "{TYPES}"\nLoadPlugin csv\n<Plugin csv>\n  DataDir "{directory}"\n'
              f'</Plugin>\nLoadPlugin network\n<Plugin network>\n  Listen "127.0.0.1" "{port}"\n</Plugin>')
    t.enter(Collectd(t.state / "receiver", more=listen, hostname="receiver"))
    collectd(t, interval=1, network_port=port)
    path = wait_until(lambda: next((path for path in directory.glob("stage/deepmon-total-system/deepmon_cpu_ns-2*")
                                    if len(path.read_text().splitlines()) >= 4), None), 20, "values at the receiver")
    check_system(t, csv_points(path), "network")


def test_write_influxdb_udp(t):
    """Its lines go to an InfluxDB as they come. Of a counter that is its rate: as it is, it would be an integer
    beside the gauges' floats in the one field that this writer has, and InfluxDB refuses one of the two."""
    host.require_bpf()
    influx = influxd(t)
    with writers.udp_receiver() as receiver:
        collectd(t, interval=1, more=writers.write_influxdb_udp(receiver.getsockname()[1]))
        rates, rejected, deadline = [], [], time.monotonic() + 20
        while len(rates) < 3 and time.monotonic() < deadline:
            for line in receiver.recv(65536).decode(errors="surrogateescape").splitlines():
                result = influx.write_once(line.encode(errors="surrogateescape"), "deepmon")
                rejected += [(line, result.error)] if result.rejected else []
                if re.match("deepmon,.*instance=total-system,type=deepmon_cpu_ns ", line):
                    rates.append(lineprotocol.parse_line(line).fields["value"] / SECOND_NS)
    t.equal(rejected[:3], [], "lines that InfluxDB refused")
    t.note(f"CPUs used: {rates}")
    for rate in rates:
        t.between(rate, 0.0001, 1.5 * CPUS, "CPUs used")
    t.equal(len(influx.query("SHOW MEASUREMENTS")), 1, "measurements")


def test_write_http(t):
    host.require_bpf()
    server = t.enter(writers.http_receiver())
    collectd(t, interval=1, more=writers.write_http(server, "    StoreRates false"))

    def sent():
        lists = [each for body in list(server.bodies) for each in json.loads(body)]
        return [(each["time"], each["values"][0]) for each in lists
                if (each["plugin"], each["plugin_instance"], each["type"]) == SYSTEM and not each["type_instance"]]

    wait_until(lambda: len(sent()) >= 3, 20, "three values")
    check_system(t, sent(), "write_http")


def test_write_prometheus(t):
    host.require_bpf()
    port = free_port()
    collectd(t, interval=1, more=writers.configured("write_prometheus", {"Port": port, "Host": "127.0.0.1"}))
    line = re.compile(r'^collectd_deepmon_deepmon_cpu_ns_total\{deepmon="total-system",instance="stage"\} (\d+) (\d+)$',
                      re.MULTILINE)
    points = []

    def enough():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                found = line.search(answer.read().decode())
        except OSError:
            return False
        if found and (not points or int(found[2]) / 1000 > points[-1][0]):
            points.append((int(found[2]) / 1000, int(found[1])))
        return len(points) >= 3

    wait_until(enough, 20, "three values")
    check_system(t, points, "write_prometheus")
