# SPDX-License-Identifier: GPL-3.0-only
"""A recording measured again: the same lines with the same options, and the right ones with others."""

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field

from stage import host
from stage.cgroups import Cgroup, Container, burn_ns, removed
from stage.lineprotocol import by_time, find, parse
from stage.rapl import RaplSim

from support import SECOND, duty, execd, one, two_cpus

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


def talk(port):
    """Sends itself something, over and over, and writes files."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.connect(("127.0.0.1", port))
        while True:
            plug.send(b"x" * 100)
            burn_ns(1_000_000)
            with open("/dev/null", "wb") as file:
                file.write(b"y" * 5000)
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


def record(t, *options, seconds=4):
    """A few seconds of a host with all that is recorded; (the recording, what was written live)."""
    host.require_bpf()
    path = t.state / "host.recording"
    docker = DockerFiles(t.state / "docker")
    simulator = t.enter(RaplSim(t.state / "sim", t.built("rapl-sim"), period_ms=40, idle_watts=1500,
                               range_uj=3_000_000_000))
    first, late = t.enter(Container()), t.enter(Container())
    docker.name(first.identity, "web one")
    parent = execd(t, "--sys-root", simulator.root, "--cgroup-root", "/sys/fs/cgroup",
                   "--docker-root", docker.root, "--docker-socket", "", "--sample-interval", "0.1",
                   "--network", "on", "--file-io", "counts", "--processes", "3", "--idle-reread", "0",
                   "--max-units", "20", "--container", "/^web one$|^late$|^brief-/",
                   "--record", path, *options, interval=0.4)
    first.run(duty, two_cpus()[0], 0.3)
    late.run(talk, 9)
    parent.wait_for_batches(2, 10)
    docker.name(late.identity, "late")  # so the namer finds it
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
    # Transactions are not recorded.
    return path, "".join(line + "\n" for batch in parent.batches for line in batch.lines
                         if "_transactions," not in line.split(" ")[0])


def test_the_same_options_give_the_same_lines(t):
    path, live = record(t)
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
    lines, lines_again = live.splitlines(), again.splitlines()
    for number, (line, other) in enumerate(zip(lines, lines_again)):
        t.equal(other, line, f"line {number + 1} of the replay")
    t.equal(len(lines_again), len(lines), "lines")
    t.equal((path.stat().st_mode & 0o777), 0o600, "mode of the file")


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
    none = play(t, path, "--energy-source", "none", "--network", "off", "--memory", "off")[0]
    left = {point.measurement for point in parse(none)}
    t.true(not any("energy" in name or "network" in name or "memory" in name for name in left),
           "no energy, network and memory", sorted(left))
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


def test_bounds_and_refusals(t):
    host.require_bpf()
    top = t.enter(Cgroup())
    path = t.state / "bounded"
    parent = execd(t, "--record", path, "--record-max", "1", "--sample-interval", "0.05",
                   "--max-units", "20", interval=0.1)
    parent.wait_for_batches(2, 10)
    for number in range(6000):  # each is told with its path
        directory = top.directory / f"{number}-{'x' * 200}"
        directory.mkdir()
        t.true(removed(directory), "an empty cgroup goes at once")
        if any("RecordMax" in line for line in parent.stderr_lines):
            break
    batches = len(parent.batches)
    parent.wait_for_batches(batches + 12, 20)
    t.one_line(parent.stderr_lines, "RecordMax", "measuring goes on")
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
