# SPDX-License-Identifier: GPL-3.0-only
"""A recording measured again: the same lines with the same options, and the right ones with others."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from stage import host
from stage.cgroups import Cgroup, Container, burn_ns, removed
from stage.lineprotocol import by_time, find, parse
from stage.netns import Namespace
from stage.process import wait_until
from stage.rapl import RaplSim

from support import SECOND, duty, execd, one, two_cpus

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "recordings"
HEAD, FRAME_HEAD = 16, 20  # bytes; see common/recording.h


def play(t, path, *arguments, status=0):
    """What --replay prints, as text; and what it said."""
    done = subprocess.run([t.built("deepmon-execd"), "--replay", path, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False)
    said = done.stderr.decode(errors="replace")
    t.equal(done.returncode, status, f"status of --replay {' '.join(map(str, arguments))} ({said.strip()})")
    return done.stdout.decode(), said


def reports_of(text):
    return by_time(parse(text))


def frames(data):
    """(offset, length of the payload, kind) of each."""
    offset = HEAD
    while offset < len(data):
        length, kind = (int.from_bytes(data[offset + at:offset + at + 4], "little") for at in (0, 4))
        yield offset, length, kind
        offset += FRAME_HEAD + length


REPORT = 3  # the kind of a frame at whose end there is a sample


STATUSES = {"ok": 200, "moved": 302, "missing": 404, "broken": 503}
PORT = 8080  # in a network namespace of its own


def answer(connection):
    while request := connection.recv(4096):
        path = request.split(b" ", 2)[1].decode().strip("/")
        body = b"b" * (100 + len(path))
        connection.sendall(b"HTTP/1.1 %d Well\r\nContent-Length: %d\r\n\r\n%s" % (STATUSES[path], len(body), body))
    connection.close()


def work(namespace, cpu):
    """Busy for a part of the time."""
    namespace.join()
    duty(cpu, 0.3)


def serve(namespace):
    """HTTP, to one client at a time."""
    namespace.join()
    listener = socket.create_server(("0.0.0.0", PORT))
    while True:
        answer(listener.accept()[0])


def answers(address):
    try:
        socket.create_connection((address, PORT)).close()
    except OSError:
        return False
    return True


def use_files(directory, number):
    """One file that grows, one that is read and synced, and one that another takes the place of."""
    with open(directory / "log", "ab") as file:
        file.write(b"y" * 5000)
    with open(directory / "data", "wb") as file:
        file.write(b"z" * 300)
        os.fsync(file.fileno())
    (directory / "data").read_bytes()
    (directory / f"new {number % 3}").write_bytes(b"n" * 100)
    os.replace(directory / f"new {number % 3}", directory / "put in place")


def talk(namespace, directory, address="10.123.7.2"):
    """Asks a server, sends datagrams that nobody reads, and uses files, over and over."""
    namespace.join()
    wait_until(lambda: answers(address), 20, "a server")
    number = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.connect(("127.0.0.1", 9))
        while True:
            with socket.create_connection((address, PORT)) as connection:
                for path in STATUSES:
                    connection.sendall(b"GET /%s HTTP/1.1\r\nHost: web\r\n\r\n" % path.encode())
                    connection.recv(4096)
            with contextlib.suppress(ConnectionRefusedError):
                plug.send(b"x" * 100)
            burn_ns(1_000_000)
            use_files(directory, number)
            number += 1
            time.sleep(0.005)


@dataclass
class DockerFiles:
    """Docker's files of a container, under a root of our own."""
    root: object
    names: dict = field(default_factory=dict)

    def name(self, identity, name):
        directory = self.root / "containers" / identity
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.v2.json").write_text(
            json.dumps({"ID": identity, "Name": f"/{name}", "Config": {"Image": "web:1.2", "Labels": {}}}))


def named(parent):
    """Whether a peer goes by the name that the table of addresses has."""
    reports = parent.reports()
    return reports and find(reports[-1], "deepmon_peer", container_name="late", peer=f"web one:{PORT}")


def record(t, *options, seconds=4, names=False):
    """A few seconds of a host with all that is recorded; (the recording, what was written live)."""
    host.require_bpf()
    path = t.state / "host.recording"
    docker = DockerFiles(t.state / "docker")
    simulator = t.enter(RaplSim(t.state / "sim", t.built("rapl-sim"), period_ms=40, idle_watts=1500,
                               range_uj=3_000_000_000))
    server, client = t.enter(Namespace()), t.enter(Namespace())
    server.link(client, "10.123.7.2/24", "10.123.7.1/24")
    first, late = t.enter(Container()), t.enter(Container())
    docker.name(first.identity, "web one")
    directory = t.state / "files"
    directory.mkdir()
    parent = execd(t, "--sys-root", simulator.root, "--cgroup-root", "/sys/fs/cgroup",
                   "--docker-root", docker.root, "--docker-socket", "", "--sample-interval", "0.1",
                   "--network", "on", "--http", "on", "--peers", "6", "--file-io", "full", "--top-files", "5",
                   "--container-files", "3", "--processes", "3", "--idle-reread", "0",
                   "--proportional-memory", "on", "--proportional-memory-interval", "1",
                   "--max-units", "20", "--container", "/^web one$|^late$|^brief-/",
                   "--record", path, *options, interval=0.4)
    first.run(work, server, two_cpus()[0])
    first.run(serve, server)
    late.run(talk, client, directory)
    parent.wait_for_batches(2, 10)
    docker.name(late.identity, "late")  # so the namer finds it
    if names:
        wait_until(lambda: named(parent), 30, "the server's name as its client's peer")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with Cgroup() as short:
            short.run(burn_ns, 2_000_000)
            time.sleep(0.02)
        brief = Container()
        docker.name(brief.identity, f"brief-{os.urandom(2).hex()}")
        with brief:
            brief.run(burn_ns, 2_000_000)
            time.sleep(0.02)
    parent.stop()
    return path, "".join(line + "\n" for batch in parent.batches for line in batch.lines)


def check_same(t, text, live):
    lines, again = live.splitlines(), text.splitlines()
    for number, (line, other) in enumerate(zip(lines, again)):
        t.equal(other, line, f"line {number + 1} of the replay")
    t.equal(len(again), len(lines), "lines")


def test_the_same_options_give_the_same_lines(t):
    path, live = record(t, "--latency-buckets", "true", names=True, seconds=2)
    again, said = play(t, path)
    reports = reports_of(live)
    kinds = {point.measurement for report in reports for point in report}
    t.note(f"{len(reports)} reports of {sum(map(len, reports))} lines; recorded in "
           f"{path.stat().st_size // 1024} KiB; measurements: {', '.join(sorted(kinds))}")
    told_live = (t.state / "execd.log").read_text().splitlines()
    t.equal([line for line in said.splitlines() if line not in told_live], [],
            "what --replay said and was not said live")
    for needed in ("deepmon_container_energy", "deepmon_container_network", "deepmon_container_file_io",
                   "deepmon_container_memory", "deepmon_process", "deepmon_zone", "deepmon_self"):
        t.true(any(kind.startswith(needed) for kind in kinds), f"{needed} was recorded", sorted(kinds))
    names = {point.tags.get("container_name") for report in reports for point in report}
    t.true({"web one", "late"} <= names, "names that were there at once and that came late", sorted(map(str, names)))
    t.true(any(str(name).startswith("brief-") for name in names), "containers that lived briefly", names)
    wrapped = sum(point.fields["wraps"] for point in find(reports[-1], "deepmon_zone"))
    t.true(wrapped > 0, "counters that wrapped", wrapped)
    t.within(sum(point.fields["cpu_usage_percent"] for point in find(reports[0], "deepmon_total")),
             100 * os.sysconf("SC_NPROCESSORS_ONLN"), 0.05, "per cent of CPU time of all parts, in the first report")
    check_rich(t, reports)
    check_same(t, again, live)
    t.equal((path.stat().st_mode & 0o777), 0o600, "mode of the file")


def check_rich(t, reports):
    """That there was something to record of each kind, by whatever it can be known."""
    last = reports[-1]
    for name, role in (("web one", "server"), ("late", "client")):
        served = one(last, "deepmon_container_transactions", container_name=name, protocol="http", role=role).fields
        t.true(served["latency_p50_seconds"] > 0, f"a median of {name}'s answers", served)
        of_class = [served[f"responses_{first}xx"] for first in (2, 3, 4, 5)]
        t.true(min(of_class) > 0, f"{name}'s answers of each class of status", served)
        t.equal(sum(of_class), served["transactions"], f"{name}'s answers of all classes")
    peers = {point.tags["peer"] for point in find(last, "deepmon_peer", container_name="late")}
    t.true(f"web one:{PORT}" in peers, "a peer that goes by a container's name", sorted(peers))
    files = {point.tags["file"].rsplit("/", 1)[-1] for report in reports
             for point in find(report, "deepmon_container_file", container_name="late")}
    t.true({"log", "data", "(other)"} <= files, "files of a container", sorted(files))
    t.true(find(last, "deepmon_file"), "files of the host")
    synced = one(last, "deepmon_container_file_latency", container_name="late", latency="file_sync").fields
    t.true(synced["latency_p99_seconds"] > 0, "how long syncing a file took", synced)
    buckets = find(last, "deepmon_container_buckets", container_name="late")
    t.true(len({point.tags["latency"] for point in buckets}) >= 4, "histograms", len(buckets))
    resident = one(last, "deepmon_container_memory", container_name="web one").fields
    t.true(resident["rss_processes"] == 2 and resident["rss_bytes"] > resident["pss_bytes"] > resident["uss_bytes"] > 0,
           "RSS, PSS and USS of two processes", resident)
    t.true(resident["rss_age_seconds"] > 0, "and their age", resident)


def test_counts_of_calls(t):
    """File I/O by every call, no peers, no HTTP: what is not measured is in neither."""
    path, live = record(t, "--file-io", "counts", "--peers", "0", "--http", "off", "--proportional-memory", "off",
                        seconds=1)
    kinds = {point.measurement for point in parse(live)}
    t.true("deepmon_container_file_io" in kinds and "deepmon_container_transactions" in kinds, "is measured", kinds)
    t.true(not kinds & {"deepmon_peer", "deepmon_file", "deepmon_container_file_latency"}, "is not", kinds)
    check_same(t, play(t, path)[0], live)
    more = play(t, path, "--peers", "5", "--top-files", "3", "--file-io", "full", "--proportional-memory", "on")[0]
    check_same(t, more, live)  # what was off is in no recording


def test_one_of_before(t):
    """A recording of a version that recorded less: what it lacks is absent."""
    for path in sorted(FIXTURES.glob("*.recording")):
        text, said = play(t, path)
        t.equal(said, "", f"what is said of {path.name}")
        check_same(t, text, path.with_suffix(".lines").read_text())


def test_other_options(t):
    path, live = record(t, seconds=2)
    as_it_was = reports_of(live)[-1]

    def joules(report, kind):
        return one(report, "deepmon_total_energy", kind=kind, domain="package").fields["energy_joules"]

    separate = reports_of(play(t, path, "--idle-policy", "separate", "--idle-package-watts", "10")[0])[-1]
    shared = reports_of(play(t, path, "--idle-policy", "proportional", "--idle-package-watts", "10")[0])[-1]
    host_uj = one(as_it_was, "deepmon_host_energy", domain="package").fields["energy_joules"]
    t.true(joules(separate, "idle") > 0, "idle energy where it is told apart", joules(separate, "idle"))
    for report, what in ((separate, "separate"), (shared, "proportional")):
        whole = sum(round(point.fields["energy_joules"] * 1e6)
                    for point in find(report, "deepmon_total_energy", domain="package"))
        t.equal(whole, round(host_uj * 1e6), f"µJ of all parts with IdlePolicy {what}: the host's")
    t.true(joules(shared, "container") > joules(separate, "container"),
           "containers bear more where they share what idles",
           (joules(shared, "container"), joules(separate, "container")))

    chosen = play(t, path, "--container", "web one", "--report-self", "false", "--report-system", "false")[0]
    names = {point.tags["container_name"] for point in parse(chosen) if "container_name" in point.tags}
    t.equal(names, {"web one", "(other)"}, "containers told of where one is chosen")
    none = play(t, path, "--energy-source", "none", "--network", "off", "--memory", "off",
                "--proportional-memory", "off")[0]
    left = {point.measurement for point in parse(none)}
    t.true(not any("energy" in name or "network" in name or "memory" in name for name in left),
           "no energy, network and memory", sorted(left))
    check_less(t, path, live)
    one_by_one = reports_of(play(t, path, "--container", "/./", "--max-containers", "1")[0])[-1]
    t.equal(len({point.tags["container_name"] for point in find(one_by_one, "deepmon_container")}), 2,
            "containers with MaxContainers 1: it and (other)")

    coarse = reports_of(play(t, path, "--interval", "1")[0])
    times = [report[0].time_ns for report in coarse]
    for earlier, later in zip(times, times[1:]):
        t.between((later - earlier) / SECOND, 1, 1.6, "seconds between samples, told each second at least")
    fine = {report[0].time_ns: report for report in reports_of(live)}
    for report in coarse:
        for point in find(report, "deepmon_total"):
            same = one(fine[report[0].time_ns], "deepmon_total", kind=point.tags["kind"])
            t.equal(point.fields["cpu_time_ns"], same.fields["cpu_time_ns"],
                    f"CPU time of {point.tags['kind']} at a moment, however often it is told")


def check_less(t, path, live):
    """What is asked for is what there was, and nothing else comes."""
    def last(*options):
        return reports_of(play(t, path, *options)[0])[-1]

    fewer = last("--peer-names", "false", "--peers", "2", "--top-files", "2", "--container-files", "0",
                 "--file-path-max", "16", "--proportional-memory", "off")
    peers = find(fewer, "deepmon_peer", container_name="late")
    t.equal({point.tags["peer"] for point in peers}, {f"10.123.7.2:{PORT}", "127.0.0.1:9", "(other)"},
            "peers by their addresses")
    network = one(fewer, "deepmon_container_network", container_name="late").fields
    t.equal(sum(point.fields["sent_messages"] for point in peers),
            network["tcp_sent_messages"] + network["udp_sent_messages"], "what was sent to all of them")
    t.equal(find(fewer, "deepmon_container_file"), [], "files of containers where none are asked for")
    told = [point.tags["file"] for point in find(fewer, "deepmon_file")]
    t.true(1 < len(told) and "(other)" in told, "files of the host", told)
    t.true(all(len(name.removesuffix(" (deleted)")) <= 19 for name in told if "(inode" not in name),
           "paths of 16 bytes and dots", told)
    t.true("rss_bytes" not in one(fewer, "deepmon_container_memory", container_name="web one").fields, "no RSS")

    counts = last("--file-io", "counts", "--peers", "0")
    t.true(not any(point.measurement.endswith(("_file", "file_latency", "_peer")) for point in counts), "nothing by name")
    t.true(not any("sync_calls" in point.fields for point in counts), "no calls of fsync")
    quiet = {point.tags["latency"] for point in last("--network", "off", "--latency-buckets", "true")
             if "latency" in point.tags}
    t.true(quiet and all(kind.startswith("file_") for kind in quiet), "latencies without the network's", quiet)

    tags = {"container_name": "web one", "protocol": "http", "role": "server"}
    coarse, fine = last("--interval", "1"), {report[0].time_ns: report for report in reports_of(live)}
    t.equal(one(coarse, "deepmon_container_transactions", **tags).fields["transactions"],
            one(fine[coarse[0].time_ns], "deepmon_container_transactions", **tags).fields["transactions"],
            "transactions at a moment, however often they are told")


def test_at_its_own_pace(t):
    path, live = record(t, seconds=1.5)
    times = [report[0].time_ns for report in reports_of(live)]
    span = (times[-1] - times[0]) / SECOND
    begin = time.monotonic()
    text, _ = play(t, path, "--speed", "2")
    lasted = time.monotonic() - begin
    t.equal(text, live, "lines")
    t.note(f"{span:.2f} s recorded, replayed at double speed in {lasted:.2f} s")
    t.true(lasted >= span / 2, "seconds at double speed are half of those recorded at least", lasted)


def test_what_is_cut_or_damaged(t):
    path, live = record(t, seconds=1)
    data = path.read_bytes()
    reports = reports_of(live)
    ends = [offset + FRAME_HEAD + length for offset, length, kind in frames(data) if kind == REPORT]
    t.equal(len(ends), len(reports), "frames of reports")
    t.equal(list(frames(data))[-1][0] + list(frames(data))[-1][1] + FRAME_HEAD, len(data), "the last frame's end")

    cut = t.state / "cut"
    for keep in (ends[2], ends[2] + 7, ends[2] - 1, len(data) - 1):
        cut.write_bytes(data[:keep])
        whole = sum(end <= keep for end in ends)
        text, said = play(t, cut)
        t.equal(len(reports_of(text)), whole, f"samples of the first {keep} bytes of {len(data)}")
        t.true(live.startswith(text), "they are those that were written live")
        t.equal("cut short" in said, keep not in ends, "whether it is said that it was cut")
    damaged = bytearray(data)
    damaged[ends[2] - 5] ^= 4
    cut.write_bytes(damaged)
    text, said = play(t, cut, status=1)
    t.equal(len(reports_of(text)), 2, "samples before the damage")
    t.one_line(said.splitlines(), "damaged")
    for bytes_, word in ((b"", "no recording"), (b"nonsense" * 10, "no recording"), (data[:60], "no recording"),
                         (data[:8] + b"\7" + data[9:], "later version")):
        cut.write_bytes(bytes_)
        _, said = play(t, cut, status=2)
        t.one_line(said.splitlines(), word)
    cut.unlink()
    t.one_line(play(t, cut, status=2)[1].splitlines(), "No such file")


def test_a_killed_recorder(t):
    """SIGKILL: what was whole by then is played."""
    host.require_bpf()
    path = t.state / "killed"
    parent = execd(t, "--record", path, interval=0.2)
    parent.wait_for_batches(4, 10)
    parent.process.kill()
    parent.process.wait()
    text, _ = play(t, path)
    live = "".join(line + "\n" for batch in parent.batches for line in batch.lines)
    t.true(len(reports_of(text)) >= 4, "samples recorded before the kill", len(reports_of(text)))
    t.true(text.startswith(live), "they begin with those that were written live")


def exchange(requests):
    """So many, with itself."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: answer(listener.accept()[0]), daemon=True).start()
    with socket.create_connection(listener.getsockname()) as connection:
        for _ in range(requests):
            connection.sendall(b"GET /ok HTTP/1.1\r\nHost: web\r\n\r\n")
            connection.recv(4096)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def told_requests(parent, container):
    """What was told last of its HTTP as a server, and of its only peer's connections."""
    tags = {"container_name": container.name, "role": "server"}
    told = [0, 0]
    for report in parent.reports():
        for point in find(report, "deepmon_container_transactions", protocol="http", **tags):
            told[0] = point.fields["transactions"]
        for point in find(report, "deepmon_peer", **tags):
            told[1] = point.fields["opened_connections"]
    return told


def test_bounds_and_refusals(t):
    host.require_bpf()
    top, talker = t.enter(Cgroup()), t.enter(Container())
    path = t.state / "bounded"
    parent = execd(t, "--record", path, "--record-max", "1", "--sample-interval", "0.05", "--network", "on",
                   "--http", "on", "--peers", "4", "--file-io", "full", "--top-files", "3",
                   "--max-units", "20", interval=0.1)
    parent.wait_for_batches(2, 10)
    os.waitpid(talker.run(exchange, 20), 0)
    wait_until(lambda: told_requests(parent, talker) == [20, 1], 10,
               lambda: f"20 requests, while it records: {told_requests(parent, talker)}")
    for number in range(6000):  # each is told with its path
        directory = top.directory / f"{number}-{'x' * 200}"
        directory.mkdir()
        t.true(removed(directory), "an empty cgroup goes at once")
        if any("RecordMax" in line for line in parent.stderr_lines):
            break
    batches = len(parent.batches)
    parent.wait_for_batches(batches + 12, 20)
    t.one_line(parent.stderr_lines, "RecordMax", "measuring goes on")
    os.waitpid(talker.run(exchange, 30), 0)
    wait_until(lambda: told_requests(parent, talker) == [50, 2], 10,
               lambda: f"30 more, after its end: {told_requests(parent, talker)}")
    first, last = parent.reports()[batches + 1], parent.reports()[-1]
    elapsed = (last[0].time_ns - first[0].time_ns) * os.sysconf("SC_NPROCESSORS_ONLN")
    t.within(sum(point.fields["cpu_time_ns"] for point in find(last, "deepmon_total")) -
             sum(point.fields["cpu_time_ns"] for point in find(first, "deepmon_total")), elapsed, 0.02,
             "ns of all CPUs' time after the recording's end")
    t.between(path.stat().st_size, 500_000, 1 << 20, "bytes of a recording of 1 MiB at most")
    text, said = play(t, path)
    t.true(parse(text) and not said, "it is played to its end", said)
    parent.stop()

    again = execd(t, "--record", path, interval=0.2)
    again.wait_for_batches(2, 10)
    again.stop()
    t.equal(path.with_name("bounded.old").stat().st_size > 500_000, True, "the one before has another name")
    elsewhere = execd(t, "--record", "/nowhere/at/all", interval=0.2)
    elsewhere.wait_for_batches(2, 10)
    t.one_line(elsewhere.stderr_lines, "Record", "/nowhere/at/all", "No such file")
