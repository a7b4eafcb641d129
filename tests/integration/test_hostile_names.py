# SPDX-License-Identifier: GPL-3.0-only
"""Containers of names that no tool expects, through both agents into a real InfluxDB; and one that goes away."""

import json
import os
import re
import time
import urllib.request
from pathlib import Path

from stage import host, writers
from stage.cgroups import Container
from stage.execd_parent import command_line
from stage.influxd import STOCK_TYPES
from stage.process import free_port, wait_until

from support import collectd, csv, execd, influxd

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS") or 6)
PAGE = os.sysconf("SC_PAGE_SIZE")

# As Docker's file has them in JSON, and what is to become of them as a tag and as collectd's instance: None, the
# name as it is; text that ends in ~, a hash behind it. Those that become "a_b" must stay three.
NAMES = [
    (b"two words", None, None),
    (b"a,b", None, None),
    (b"a=b", None, None),
    (b"a\\\"b", 'a"b', 'a"b'),
    (b"'a'", None, None),
    (b"a\\\\b", "a\\b", "a\\b"),
    (b"end\\\\", "end_", "end_"),
    (b"a\\nb", "a_b", "a_b"),
    (b"a\\tb", "a_b", "a_b"),
    (b"a_b", None, None),
    (b"a/b/c", None, "a_b_c"),
    (b"inv\xff\xfealid", "inv__alid", "inv__alid"),
    (b"cut\xe2\x82", "cut__", "cut__"),
    ("größe-€-🐳".encode(), None, None),
    (b"x" * 200, None, "x" * 100 + "~"),
    (b"x" * 199 + b"y", None, "x" * 100 + "~"),
    (b"$(reboot) ; `id` | %s%n", None, None),
    (b'mix ,=\\"\\\\,', 'mix ,="\\,', 'mix ,="\\,'),
    (b"#web", None, None),
    (b"web {}[]<>", None, None),
]


def make_containers(t):
    """A cgroup and Docker's file for each name."""
    docker = t.state / "docker"
    for name, _, _ in NAMES:
        container = t.enter(Container())
        container.run(time.sleep, 600)
        config = docker / "containers" / container.identity / "config.v2.json"
        config.parent.mkdir(parents=True)
        config.write_bytes(b'{"Name": "/' + name + b'", "Config": {"Image": "team/web:1"}}')
    return {"DockerRoot": str(docker), "DockerSocket": ""}


def expected(tag_or_instance):
    found = []
    for name, *told in NAMES:
        text = told[tag_or_instance]
        found.append(name.decode() if text is None else text)
    return found


def fits(told, text):
    """Whether what InfluxDB has is what was to be told; a hash has 16 digits."""
    if text.endswith("~"):
        return re.fullmatch(re.escape(text[:-1]) + "x*" + "~[0-9a-f]{16}", told)
    # Of two containers of one name the later has a hash, too.
    return told == text or re.fullmatch(re.escape(text) + "~[0-9a-f]{8}", told)


def check_names(t, path, told, wanted):
    t.equal(len(told), len(wanted), f"{path}: different names ({sorted(told)})")
    for text in wanted:
        with t.apart():
            t.true(any(fits(each, text) for each in told), f"{path}: a name like {text!r}", sorted(told))


def test_hostile_names_on_both_paths(t):
    host.require_bpf()
    influx = influxd(t)
    options = make_containers(t)
    parent = execd(t, *command_line(options), "--image", "team/web", interval=1, forward=influx.write)
    more, directory = csv(t)
    daemon = collectd(t, options | {"Image": "team/web"}, interval=1, network_port=influx.collectd_port, more=more)

    def tags():
        rows = influx.query('SHOW TAG VALUES FROM deepmon_container WITH KEY = "container_name"')
        return {row["value"] for row in rows} - {"(other)"}

    def instances():
        rows = influx.query('SHOW TAG VALUES FROM deepmon_value WITH KEY = "instance"', "collectd")
        return {row["value"].removeprefix("container-") for row in rows
                if row["value"].startswith("container-")} - {"(other)"}

    for what in (tags, instances):
        wait_until(lambda: len(what()) >= len(NAMES), 30, lambda: f"{len(NAMES)} names, of which there are {what()}")
    time.sleep(2)
    parent.stop()
    t.equal((parent.rejected, parent.errors), (0, []), "points of execd that InfluxDB refused, and why")
    t.true(parent.accepted > 2 * len(NAMES), "points that it took", parent.accepted)
    check_names(t, "execd", tags(), expected(0))
    check_names(t, "collectd", instances(), expected(1))

    # collectd's input of InfluxDB says nothing of points that it drops: as many series as files of csv's.
    known = {path.parent.name for path in directory.glob("*/deepmon-container-*/*") if "other" not in path.parent.name}
    t.equal(len(known), len(instances()), f"identifiers in csv and in InfluxDB ({sorted(known)})")
    bad = [line for line in daemon.log() if re.search(r"\[(error|err)\]", line)]
    t.equal(bad, [], "errors in collectd's log")
    said = [line for line in influx.output.read_text(errors="replace").splitlines()
            if re.search("lvl=(error|warn)", line)]
    t.equal(said[:3], [], "what InfluxDB complains of")


def test_hostile_names_through_other_writers(t):
    """JSON stays JSON, Prometheus' text its text, and an InfluxDB takes the lines of write_influxdb_udp."""
    host.require_bpf()
    influx = influxd(t)
    options = make_containers(t) | {"Image": "team/web"}
    port = free_port()
    server, receiver = t.enter(writers.http_receiver()), t.enter(writers.udp_receiver())
    daemon = collectd(t, options, interval=1, more="\n".join([
        writers.write_http(server, "    StoreRates false"),
        writers.configured("write_prometheus", {"Port": port, "Host": "127.0.0.1"}),
        writers.write_influxdb_udp(receiver.getsockname()[1])]))

    def posted():
        lists = [each for body in list(server.bodies) for each in json.loads(body)]
        return {each["plugin_instance"].removeprefix("container-") for each in lists
                if each["plugin"] == "deepmon" and each["plugin_instance"].startswith("container-")} - {"(other)"}

    def scraped():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        label = r'[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"'
        lines = [line for line in text.splitlines() if line.startswith("collectd_deepmon")]
        strange = [line for line in lines if not re.fullmatch(rf"\w+{{{label}(?:,{label})*}} \S+ \d+", line)]
        t.equal(strange[:3], [], "lines that are not Prometheus' text")
        found = re.findall(r'deepmon="container-((?:[^"\\]|\\.)*)"', "\n".join(lines))
        return {re.sub(r"\\(.)", r"\1", each) for each in found} - {"(other)"}

    wait_until(lambda: len(posted()) >= len(NAMES) and len(scraped()) >= len(NAMES), 30,
               lambda: f"{len(NAMES)} names in write_http ({len(posted())}) and write_prometheus ({len(scraped())})")
    # This writer has a ? for each byte that is no ASCII, and the one below more backslashes than there are.
    ascii_only = [re.sub("[^\x00-\x7f]", lambda found: "?" * len(found[0].encode()), text) for text in expected(1)]
    check_names(t, "write_http", posted(), ascii_only)
    check_names(t, "write_prometheus", scraped(), expected(1))
    rejected, deadline = [], time.monotonic() + 3
    while time.monotonic() < deadline:
        for line in receiver.recv(65536).splitlines():
            result = influx.write_once(line, "deepmon")
            rejected += [(line, result.error)] if result.rejected else []
    t.equal(rejected[:3], [], "lines of write_influxdb_udp that InfluxDB refused")
    rows = influx.query('SHOW TAG VALUES FROM deepmon WITH KEY = "instance"')
    told = {row["value"].removeprefix("container-") for row in rows if row["value"].startswith("container-")}
    more_backslashes = [re.sub(r'(["\\])', r"\\\1", text) for text in expected(1)]
    check_names(t, "write_influxdb_udp", told - {"(other)"}, more_backslashes)
    # write_prometheus says of itself that its library's options are out of order.
    bad = [line for line in daemon.log() if re.search(r"\[(error|err)\]", line) and "MHD_OPTION" not in line]
    t.equal(bad, [], "errors in collectd's log")


def resident(process):
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE


def test_influxdb_goes_away_and_comes_back(t):
    """OUTAGE_SECONDS=60 for longer."""
    host.require_bpf()
    t.true(STOCK_TYPES.exists(), "collectd's types.db")
    influx = influxd(t)
    more, directory = csv(t)
    # What else comes and goes on this host would make memory grow on its own: collectd keeps what it has seen.
    options = {"Container": "/^none of this name$/", "ReportSystem": False}
    parent = execd(t, *command_line({name: str(value).lower() for name, value in options.items()}), interval=0.5,
                   forward=influx.write)
    daemon = collectd(t, options, interval=1, network_port=influx.collectd_port, more=more)

    def last(database, query):
        rows = influx.query(query, database)
        return rows[-1]["time"] if rows else 0

    def arrived():
        return (last("deepmon", "SELECT last(cpu_time_ns) FROM deepmon_total WHERE kind = 'system'"),
                last("collectd", "SELECT last(value) FROM deepmon_value WHERE instance = 'total-system'"))

    wait_until(lambda: all(arrived()), 20, "points on both paths")
    time.sleep(2)
    before = {"execd": resident(parent.process), "collectd": resident(daemon.process)}
    influx.stop()
    stopped_ns, batches = time.time_ns(), len(parent.batches)
    time.sleep(OUTAGE_SECONDS)
    grown = {"execd": resident(parent.process) - before["execd"],
             "collectd": resident(daemon.process) - before["collectd"]}
    reports = len(parent.batches) - batches
    path = next(directory.glob("*/deepmon-total-system/deepmon_cpu_ns-2*"))
    rows = [float(line.split(",")[0]) for line in path.read_text().splitlines()[1:]]
    rows = [row for row in rows if row > stopped_ns / 1e9]
    t.note(f"{OUTAGE_SECONDS:g} s without InfluxDB: {reports} reports of execd, {len(rows)} of collectd, memory "
           f"{ {name: f'{size:+d} B' for name, size in grown.items()} }")
    t.between(reports, OUTAGE_SECONDS / 0.5 * 0.6, OUTAGE_SECONDS / 0.5 * 1.4, "reports of execd, each 0.5 s")
    t.between(len(rows), OUTAGE_SECONDS * 0.5, OUTAGE_SECONDS * 1.4, "reports of collectd, each 1 s")
    for name, size in grown.items():
        t.between(size, -(1 << 30), 2 << 20, f"bytes that {name} grew by")
    influx.start()
    back_ns = time.time_ns()
    wait_until(lambda: min(arrived()) > back_ns, 20, "points of both paths after InfluxDB is back")
