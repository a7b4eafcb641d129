# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-top --influx: the figures that a real InfluxDB 1.x has of real agents, in both schemas, and that a stand-in for
2.x has of the same; many hosts; a server that goes, hangs, refuses or talks nonsense."""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from stage import host
from stage.cgroups import Container
from stage.execd_parent import command_line
from stage.flux import Flux
from stage.kubernetes import Authority, Server
from stage.lineprotocol import Point, parse
from stage.process import spawn, stop_process, wait_until
from stage.rapl import RaplSim
from stage.tmux import Terminal

from support import SECOND, collectd, execd, influxd, sysroot_options, two_cpus
from test_experiment import with_host
from test_top import same
from test_top_screen import PAGES, last_table, names, table

DATABASES = {"lines": "deepmon", "collectd": "collectd"}
REQUEST = b"GET / HTTP/1.1\r\nHost: busy\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# Column: (measurement, field, tags of it, collectd's type and type instance, factor), and whether it is a rate.
VALUES = {
    "cpu_percent": ("deepmon_container", "cpu_usage_percent", "", "deepmon_cpu_percent", "", 1),
    "cpu_seconds": ("deepmon_container", "cpu_time_ns", "", "deepmon_cpu_ns", "", 1e-9),
    "package_watts": ("deepmon_container_energy", "power_watts", "domain = 'package'", "power", "package-simulated", 1),
    "dram_joules": ("deepmon_container_energy", "energy_joules", "domain = 'dram'", "energy", "dram-simulated", 1),
    "working_set_bytes": ("deepmon_container_memory", "working_set_bytes", "", "memory", "working_set", 1),
    "page_cache_bytes": ("deepmon_container_memory", "page_cache_bytes", "", "memory", "page_cache", 1),
    "tcp_p99_ms": ("deepmon_container_transactions", "latency_p99_seconds", "protocol = 'tcp' AND role = 'both'",
                   "latency", "p99-tcp-both", 1e3),
    "http_mean_ms": ("deepmon_container_transactions", "latency_mean_seconds", "protocol = 'http' AND role = 'both'",
                     "latency", "mean-http-both", 1e3),
}
RATES = {
    "minor_faults": ("deepmon_container_memory", "minor_faults", "", "vmpage_action", "minor_faults", 1),
    "file_written": ("deepmon_container_file_io", "written_bytes", "", "total_bytes", "file_written", 1),
    "tcp_sent": ("deepmon_container_network", "tcp_sent_bytes", "", "total_bytes", "tcp_sent", 1),
    "tcp_transactions": ("deepmon_container_transactions", "transactions", "protocol = 'tcp' AND role = 'both'",
                         "total_requests", "tcp-both", 1),
    "http_2xx": ("deepmon_container_transactions", "responses_2xx", "protocol = 'http' AND role = 'both'",
                 "http_response_codes", "status_2xx-http-both", 1),
}


# ---- What is asked --------------------------------------------------------------------------------------


def url_of(influx):
    return f"http://127.0.0.1:{influx.http_port}"


def ask(t, url, *arguments, status=0, **environment):
    """One answer of deepmon-top's in JSON, or what it says."""
    done = subprocess.run([t.built("deepmon-top"), "--batch", "json", "--count", "1", "--influx", url, *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
                          env={**os.environ, **environment})
    t.equal(done.returncode, status, f"status of {' '.join(map(str, arguments))} ({done.stderr.decode().strip()})")
    return json.loads(done.stdout) if status == 0 else done.stderr.decode()


def screen(t, url, *arguments, columns=100, lines=24):
    return t.enter(Terminal([t.built("deepmon-top"), "--influx", url, *arguments], columns, lines))


# ---- Two hosts with real agents -------------------------------------------------------------------------


def serve(listener):
    while True:
        connection, _ = listener.accept()
        while connection.recv(4096):
            connection.sendall(RESPONSE)


def work(cpu, path):
    """Some CPU time, files, and HTTP with itself, for ever."""
    os.sched_setaffinity(0, {cpu})
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    client = socket.create_connection(listener.getsockname())
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
            file.seek(0)
            client.sendall(REQUEST)
            client.recv(4096)
            end = time.monotonic() + 0.002
            while time.monotonic() < end:
                pass
            time.sleep(0.01)


def two_hosts(t, influx, more=None):
    """An InfluxDB that deepmon-execd (host "one") and collectd (host "stage") filled, and fill no more; the containers'
    names, and deepmon-execd's lines."""
    host.require_bpf()
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), domains="package,core,dram"))
    containers = [t.enter(Container()) for _ in range(2)]
    for index, (container, cpu) in enumerate(zip(containers, two_cpus())):
        container.run(work, cpu, t.state / f"file{index}")
    options = sysroot_options(simulator.root) | {"Network": "on", "HTTP": "on", "FileIO": "counts", "Processes": "4"}
    lines = []
    forward = with_host(influx, "one")

    def keep(text):
        lines.append(text.decode())
        return forward(text)

    parent = execd(t, *command_line(options | (more or {})), interval=1, forward=keep)
    daemon = collectd(t, options, interval=1, network_port=influx.collectd_port)
    parent.wait_for_batches(5, 30)
    wait_until(lambda: len(influx.query("SELECT value FROM deepmon_value WHERE type = 'power' AND type_instance = "
                                        f"'package-simulated' AND instance = 'container-{containers[0].name}'",
                                        "collectd")) >= 4, 30, "four reports of collectd's")
    parent.stop()
    daemon.stop()
    t.equal(parent.errors, [], "what InfluxDB refused")
    settle(influx)
    return [container.name for container in containers], lines


def settle(influx):
    """What collectd sent as it ended has come, too."""
    counted = []

    def is_still():
        counted.append(influx.query("SELECT count(value) FROM deepmon_value", "collectd")[0]["count"])
        time.sleep(0.5)
        return len(counted) > 2 and counted[-1] == counted[-3]

    wait_until(is_still, 20, "an end of what collectd sends")


def points_of(influx, schema, container, what):
    """The newest points of a column's figure, as InfluxDB itself answers: [(time in ns, value)]."""
    measurement, field, tags, kind, instance, _ = what
    if schema == "lines":
        query = (f"SELECT {field} AS value FROM {measurement} WHERE container_name = '{container}'"
                 f"{' AND ' if tags else ''}{tags}")
    else:
        query = (f"SELECT value FROM deepmon_value WHERE instance = 'container-{container}' AND type = '{kind}' "
                 f"AND type_instance = '{instance}'")
    found = influx.query(f"{query} ORDER BY time DESC LIMIT 2", DATABASES[schema])
    return [(row["time"], row["value"]) for row in found]


def check_figures(t, influx, schema, line):
    """A container's line of JSON against InfluxDB's own answers."""
    for key, what in (VALUES | RATES).items():
        points = points_of(influx, schema, line["name"], what)
        t.true(len(points) == 2, f"points of {key} of {line['name']}", points)
        (newest, value), (before, old) = points
        if key in VALUES:
            same(t, line.get(key), value * what[-1], f"{key} of {line['name']} ({schema})")
        else:
            t.within(line[key], (value - old) / ((newest - before) / SECOND), 1e-9, f"{key} of {line['name']} ({schema})")


def test_figures_are_those_that_influxdb_has(t):
    influx = influxd(t)
    containers, _ = two_hosts(t, influx)
    for schema, database in DATABASES.items():
        shown = ask(t, url_of(influx), "--influx-database", database, "--influx-window", "600")
        lines = {line["name"]: line for line in shown["lines"]}
        for name in containers:
            t.true(name in lines, f"{name} in {schema}", sorted(lines))
            t.equal(lines[name]["labels"]["host"], {"lines": "one", "collectd": "stage"}[schema], f"host of {name}")
            check_figures(t, influx, schema, lines[name])
        busy = sum(line["cpu_percent"] for line in lines.values())
        t.true(shown["host"]["cpu_percent"] >= 0.99 * busy, "CPU % of all", (shown["host"], busy))
    t.note(f"{len(VALUES) + len(RATES)} figures of {len(containers)} containers in {len(DATABASES)} schemas")


def test_each_page_of_the_screen(t):
    """Has the containers, with the figures that --batch has of what InfluxDB holds."""
    influx = influxd(t)
    containers, _ = two_hosts(t, influx)
    for schema, database in DATABASES.items():
        source = ["--influx-database", database, "--influx-window", "600"]
        terminal = screen(t, url_of(influx), *source, "--group", "", columns=190, lines=60)
        measured = 0
        for page in PAGES:
            titles, expected = last_table(t, "--count", "1", "--influx", url_of(influx), *source, "--page", page)
            rows = dict(table(terminal.wait_for(
                lambda text: titles == table(text, len(titles))[0] and len(rows_of(text, titles)) == len(expected) and
                all(expected[name[:32]] == cells for name, cells in rows_of(text, titles))), len(titles))[1])
            for name in containers:
                full = f"{'one' if schema == 'lines' else 'stage'}/{name}"
                t.true(full in rows, f"{full} on {page}", sorted(rows))
                measured += sum(cell != "-" for cell in rows[full])
            terminal.keys("Right")
        t.true(measured > 80, f"figures of {schema} that were measured", measured)
        t.note(f"{measured} figures on {len(PAGES)} pages of {schema}")
        text = terminal.wait_for("python3")  # the page of processes
        t.true(any(name in text for name in containers), "processes under their container", text)
        terminal.keys("Right", "Right")
        terminal.wait_for(lambda text: "AGE" in text and any(line.endswith(("one", "stage")) for line in text.split("\n")))
        terminal.keys("q")
        t.true("status 0, terminal as it was" in terminal.wait_for_end(), "its end")


def rows_of(text, titles):
    return table(text, len(titles))[1]


def check_alike(t, got, expected, what):
    """The same lines with the same figures, whose sums may have been added up in another order. Of a series of one field
    the last point is older than what the last report lacks: such a figure may be there still."""
    def by_row(answer):
        return {(line["kind"], line.get("instance"), line["name"], str(line["labels"])): line for line in answer["lines"]}

    lines, others = by_row(got), by_row(expected)
    t.equal(sorted(map(str, lines)), sorted(map(str, others)), f"lines of {what}")
    lingering = []
    for row, line in [*lines.items(), ("host", got["host"])]:
        other = others[row] if row != "host" else expected["host"]
        t.equal(other.keys() - line.keys(), set(), f"what {row} of {what} lacks")
        lingering += line.keys() - other.keys()
        for key in other:
            if isinstance(other[key], (int, float)):
                t.true(abs(line[key] - other[key]) <= 1e-9 * abs(other[key]), f"{key} of {row} of {what}",
                       (line[key], other[key]))
            else:
                t.equal(line[key], other[key], f"{key} of {row} of {what}")
    t.equal({key for key in lingering if not key.endswith(("_ms", "_percent"))}, set(), f"lingering figures of {what}")
    t.note(f"{what}: {len(lines)} lines, {len(lingering)} figures of the report before the last")


def test_the_api_of_2x_by_a_stand_in(t):
    """The same lines and values, from an InfluxDB 1.x by InfluxQL and from the stand-in by Flux, give the same."""
    influx = influxd(t)
    _, lines = two_hosts(t, influx)
    flux = Flux("both", "secret", "cats & dogs")
    for point in parse("".join(lines[-3:])):  # more than the last two reports say nothing of what is shown
        point.tags["host"] = "one"
        flux.points.append(point)
    server = t.enter(Server({"/api/v2/query": flux}))
    options = ["--influx-window", "600", "--show", "containers,system,processes,totals"]
    expected = ask(t, url_of(influx), "--influx-database", "deepmon", *options)
    got = ask(t, server.url(), "--influx-database", "both", *options, INFLUX_TOKEN="secret", INFLUX_ORG="cats & dogs")
    t.true(len(flux.queries) > 10 and len(expected["lines"]) > 10, "questions and lines", len(flux.queries))
    check_alike(t, got, expected, "deepmon-execd's")

    flux.points = collectd_points(influx)
    expected = ask(t, url_of(influx), "--influx-database", "collectd", *options)
    got = ask(t, server.url(), "--influx-database", "both", *options, INFLUX_TOKEN="secret", INFLUX_ORG="cats & dogs")
    check_alike(t, got, expected, "collectd's")

    for arguments, environment, words in (
            (["--influx-org", "cats & dogs"], {"INFLUX_TOKEN": "wrong"}, ("401", "unauthorized access")),
            (["--influx-org", "birds"], {"INFLUX_TOKEN": "secret"}, ("404", "organization name not found")),
            (["--influx-org", "cats & dogs", "--influx-database", "none"], {"INFLUX_TOKEN": "secret"},
             ("404", 'could not find bucket "none"'))):
        t.one_line(ask(t, server.url(), "--influx-database", "both", *arguments, status=1, **environment).splitlines(),
                   *words)


def collectd_points(influx):
    """Those of its last reports, as points of line protocol."""
    rows = influx.query("SELECT value, host, instance, type, type_instance FROM deepmon_value "
                        f"WHERE time > {newest_ns(influx) - 4 * SECOND}", "collectd")
    return [Point("deepmon_value", {key: row[key] for key in ("host", "instance", "type", "type_instance") if row[key]},
                  {"value": float(row["value"])}, row["time"]) for row in rows]


def newest_ns(influx):
    return influx.query("SELECT value FROM deepmon_value ORDER BY time DESC LIMIT 1", "collectd")[0]["time"]


# ---- Many hosts -----------------------------------------------------------------------------------------


HOSTS, EACH = 300, 10


class Gate:
    """Between deepmon-top and an InfluxDB: hands questions on, or keeps them waiting."""

    def __init__(self, influx):
        self.influx = influx
        self.hangs = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.freed = threading.Event()

    def __call__(self, handler):
        if self.hangs.is_set():
            self.waiting.release()
            self.freed.wait(60)
        request = urllib.request.Request(f"{url_of(self.influx)}{handler.path}", data=handler.body)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                handler.reply(200, answer.read())
        except urllib.error.HTTPError as error:
            handler.reply(error.code, error.read())


def write_hosts(influx, time_ns, turn):
    """A report of each of many hosts, whose clocks and containers all differ."""
    lines = []
    for number in range(HOSTS):
        stamp = time_ns + number * 1_000_000
        lines.append(f"deepmon_host_energy,host=node{number},domain=package,source=powercap power_watts=50 {stamp}")
        lines.append(f"deepmon_total,host=node{number},kind=idle cpu_usage_percent=300 {stamp}")
        lines.append(f"deepmon_total,host=node{number},kind=container cpu_usage_percent=100 {stamp}")
        for container in range(EACH):
            tags = f"host=node{number},container_name=web{container},container_image=image{container}"
            lines.append(f"deepmon_container,{tags} cpu_usage_percent={container + number / 1000},"
                         f"cpu_time_ns={turn * 10 ** 9}i {stamp}")
            lines.append(f"deepmon_container_energy,{tags},domain=package,source=powercap power_watts=2.5,"
                         f"energy_joules={turn * 25} {stamp}")
            lines.append(f"deepmon_container_network,{tags} tcp_sent_bytes={turn * (number + 1) * 1000}i {stamp}")
    for first in range(0, len(lines), 5000):
        result = influx.write_once("\n".join(lines[first:first + 5000]).encode(), "deepmon")
        if result.rejected:
            raise AssertionError(result.error)


def test_many_hosts_and_no_stall(t):
    influx = influxd(t)
    begun_ns = time.time_ns()
    for turn in (0, 1):
        write_hosts(influx, begun_ns - (20 - 10 * turn) * SECOND, turn)
    source = ["--influx-database", "deepmon", "--influx-window", "600"]
    begun = time.monotonic()
    shown = ask(t, url_of(influx), *source)
    t.note(f"{HOSTS * EACH} containers of {HOSTS} hosts in {time.monotonic() - begun:.1f} s, all columns")
    t.equal((len(shown["lines"]), shown["host"]["containers"], shown["host"]["package_watts"]),
            (HOSTS * EACH, HOSTS * EACH, HOSTS * 50), "containers, and W of all hosts")
    t.within(sum(line["package_watts"] for line in shown["lines"]), HOSTS * EACH * 2.5, 1e-9, "W of all containers")
    t.within(shown["host"]["idle_percent"], 75, 1e-9, "% idle")
    for line in shown["lines"][::97]:
        number = int(line["labels"]["host"].removeprefix("node"))
        t.within(line["tcp_sent"], (number + 1) * 100, 1e-9, f"bytes a second of {line['instance']}")

    few = subprocess.run([t.built("deepmon-top"), "--batch", "json", "--count", "1", "--influx", url_of(influx), *source,
                          "--influx-rows", "2000"], capture_output=True, timeout=60, check=True)
    # Two totals and the host itself have theirs before.
    t.equal(len(json.loads(few.stdout)["lines"]), 2000 - 3 * HOSTS, "rows within --influx-rows")
    t.equal(json.loads(few.stdout)["host"]["package_watts"], HOSTS * 50, "W of all hosts still")
    t.one_line(few.stderr.decode().splitlines(), "more than 2000 rows", "--influx-rows")

    gate = Gate(influx)
    server = t.enter(Server({"/query": gate}))
    terminal = screen(t, server.url(), *source, "--interval", "0.5", columns=120)
    terminal.wait_for(lambda text: f"{HOSTS} hosts" in text and "Containers 3000" in text)
    gate.hangs.set()
    t.true(gate.waiting.acquire(timeout=20), "a question that hangs")  # pylint: disable=consider-using-with
    ages = []
    for filter_, count in (("host:node7 ", 110), ("web3 cpu_percent>3.1", 199), ("name:web9", 300)):
        terminal.type("/" + filter_)
        terminal.wait_for(f"Sum of {count} ")
        ages.append(oldest(terminal.text()))
        terminal.keys("Escape")
        terminal.wait_for(f"Sum of {HOSTS * EACH} ")
    terminal.keys("g")
    text = terminal.wait_for("Not grouped")
    t.true(all(name.startswith("node") and "/web" in name for name in names(text)), "hosts before names", text)
    terminal.wait_for(lambda text: oldest(text) >= ages[0] + 2)
    t.true(gate.hangs.is_set() and not gate.freed.is_set(), "it hung all the while")
    write_hosts(influx, time.time_ns() - SECOND, 2)
    gate.hangs.clear()
    gate.freed.set()
    terminal.wait_for(lambda text: oldest(text) is not None and oldest(text) < ages[0])
    t.note(f"keys were answered while a question hung; resident {resident_mib(terminal.pid('deepmon-top')):.0f} MiB")
    gate.freed.clear()
    gate.hangs.set()
    t.true(gate.waiting.acquire(timeout=20), "another that hangs")  # pylint: disable=consider-using-with
    terminal.keys("q")
    t.true("status 0, terminal as it was" in terminal.wait_for_end(10), "its end while a question hangs")
    gate.freed.set()


def oldest(text):
    """Seconds that the title says; None if it says none."""
    words = text.split("\n")[0].split()
    return int(words[words.index("old,") - 2]) if "old," in words else None


def resident_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.split("\n") if line.startswith("VmRSS")).split()[1]) / 1024


# ---- Servers that do not answer as they should ----------------------------------------------------------


def test_a_server_that_goes_and_comes_back(t):
    influx = influxd(t)
    write_hosts(influx, time.time_ns() - 2 * SECOND, 0)
    source = ["--influx-database", "deepmon", "--influx-window", "600"]
    terminal = screen(t, url_of(influx), *source, "--interval", "0.5")
    batch = spawn([t.built("deepmon-top"), "--batch", "json", "--influx", url_of(influx), *source, "--interval", "0.5"],
                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    t.stack.callback(stop_process, batch)
    t.equal(len(json.loads(batch.stdout.readline())["lines"]), HOSTS * EACH, "containers")
    threading.Thread(target=batch.stdout.read, daemon=True).start()  # no more of it is looked at
    terminal.wait_for(f"Sum of {HOSTS * EACH} ")
    influx.stop()
    text = terminal.wait_for("what it told last")
    t.true("STALE" in text and f"Sum of {HOSTS * EACH} " in text, "what it told last, and that it is that", text)
    said = next(line for line in batch.stderr if b"onnect" in line)  # an answer that was under way may be cut first
    t.true(said.startswith(b"E! deepmon-top: "), "what --batch says of it", said)
    influx.start()
    write_hosts(influx, time.time_ns() - SECOND, 1)
    text = terminal.wait_for(lambda text: "STALE" not in text and "told last" not in text)
    t.true(f"Sum of {HOSTS * EACH} " in text, "all rows again", text)
    t.equal(batch.poll(), None, "--batch goes on")


def endless(handler):
    """More than anybody takes."""
    handler.send_response(200)
    handler.end_headers()
    part = b'{"results":[{"statement_id":0}]}\n' * 2000
    try:
        while True:
            handler.wfile.write(part)
    except OSError:
        handler.close_connection = True


def one_line(handler):
    handler.reply(200, b'{"results":[' + b" " * (17 << 20))


def test_answers_of_all_kinds(t):
    server = t.enter(Server({}))

    def check(answer, *words, arguments=()):
        server.answers["/query"] = answer
        t.one_line(ask(t, server.url(), *arguments, status=1).splitlines(), *words)

    def refuse(handler):
        handler.reply(401, b'{"error":"authorization failed"}\n')

    check(refuse, "401", "authorization failed")
    check(404, "404")
    check(b'{"results":[{"statement_id":0,"error":"database not found: telegraf"}]}\n', "database not found: telegraf")
    check(b"<html>It works!</html>", "no JSON of InfluxDB's")
    check(b'{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","a"],"values":[[1,2]]}]}]}', "no points")
    check(b"", "nothing that deepmon told")
    check(b'{"results":[{"statement_id":0}]}\n', "telegraf", "nothing that deepmon told")
    check(endless, "longer than 1048576 bytes", arguments=("--influx-answer", "1"))
    check(one_line, "too long")
    check(lambda handler: handler.hang(), "imed out", arguments=("--influx-timeout", "1"))
    server.answers["/api/v2/query"] = b"<html>It works!</html>"
    t.one_line(ask(t, server.url(), "--influx-org", "o", status=1).splitlines(), "no annotated CSV")
    server.answers["/api/v2/query"] = (b"#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n"
                                       b",memory allocation limit reached,576\n")
    t.one_line(ask(t, server.url(), "--influx-org", "o", status=1).splitlines(), "memory allocation limit reached")


def test_who_asks(t):
    server = t.enter(Server({"/query": 401}))
    for environment, expected in (({}, None), ({"INFLUX_TOKEN": "abc"}, "Token abc"),
                                  ({"INFLUX_USERNAME": "me", "INFLUX_PASSWORD": "p:w"}, "Basic bWU6cDp3")):
        server.requests.clear()
        ask(t, server.url(), status=1, **environment)
        t.equal({authorization for _, authorization in server.requests}, {expected}, f"header with {environment}")


def test_by_https(t):
    """A server that its own authority vouches for is told the token, another is not."""
    ours, others = Authority(t.state / "ours", "ours"), Authority(t.state / "others", "others")
    server = t.enter(Server({"/query": b'{"results":[{"statement_id":0}]}\n'}, *ours.sign("influx", "IP:127.0.0.1")))
    said = ask(t, server.url(), "--influx-ca-file", str(ours.certificate), status=1, INFLUX_TOKEN="abc")
    t.one_line(said.splitlines(), "nothing that deepmon told")
    t.equal({authorization for _, authorization in server.requests}, {"Token abc"}, "what it was told")
    server.requests.clear()
    said = ask(t, server.url(), "--influx-ca-file", str(others.certificate), status=1, INFLUX_TOKEN="abc")
    t.one_line(said.splitlines(), "certificate")
    t.equal(server.requests, [], "what another was told")


def test_bad_usage(t):
    for arguments, words in ((["--influx", "ftp://there"], ("ftp://there", "http://")),
                             (["--influx", "http://there", "--influx-window", "0"], ("influx-window", "86400")),
                             (["--influx", "http://there", "--influx-bogus", "0"], ("influx-bogus",)),
                             (["--influx", "http://there", "--replay", "/dev/null"], ("replay", "cluster"))):
        done = subprocess.run([t.built("deepmon-top"), "--batch", "json", *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=30, check=False)
        t.true(done.returncode in (1, 2), f"status of {arguments}", done.returncode)
        t.one_line(done.stderr.decode().splitlines(), *words)
    done = subprocess.run([t.built("deepmon-top"), "--batch", "json", "--influx", "http://127.0.0.1:1"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    t.equal(done.returncode, 1, "status where nobody listens")
    t.one_line(done.stderr.decode().splitlines(), "onnect")
