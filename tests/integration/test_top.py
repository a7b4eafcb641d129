# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-top --batch: the figures that deepmon-execd writes, in three formats, live and of a recording."""

import csv
import io
import json
import subprocess
from datetime import datetime, timezone

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import by_time, find, parse
from stage.process import Skip, find_program

from support import SECOND, duty, two_cpus
from test_recording import play, record


def top(t, *arguments, status=0, **settings):
    done = subprocess.run([t.built("deepmon-top"), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False, **settings)
    t.equal(done.returncode, status, f"status of {' '.join(map(str, arguments))} ({done.stderr.decode().strip()})")
    return done.stdout.decode() if status == 0 else done.stderr.decode()


def time_ns(text):
    """Of a time as RFC 3339 has it, with nanoseconds."""
    seconds, fraction = text.removesuffix("Z").split(".")
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * SECOND + int(fraction)


def same(t, got, expected, what):
    """The same number, of which JSON has 15 digits, or absent in both."""
    t.true(got == expected or (None not in (got, expected) and abs(got - expected) <= 1e-14 * abs(expected)), what,
           f"{got}, where deepmon-execd writes {expected}")


def check_line(t, line, report, before, seconds):
    """A container's line of JSON against the points of the same sample."""
    tags = {"container_name": line["name"]}
    fields = find(report, "deepmon_container", **tags)[0].fields
    same(t, line.get("cpu_percent"), fields.get("cpu_usage_percent"), f"CPU % of {line['name']}")
    memory = find(report, "deepmon_container_memory", **tags)
    t.equal(line.get("working_set_bytes"), memory[0].fields.get("working_set_bytes") if memory else None,
            f"working_set_bytes of {line['name']}")
    for domain in ("package", "core", "dram"):
        energy = find(report, "deepmon_container_energy", domain=domain, **tags)
        for key, field in (("watts", "power_watts"), ("joules", "energy_joules")):
            told = energy[0].fields.get(field) if energy else None
            same(t, line.get(f"{domain}_{key}"), told, f"{key} of {domain} of {line['name']}")
    old = find(before, "deepmon_container_file_io", **tags) if before else []
    if old:
        new = find(report, "deepmon_container_file_io", **tags)[0].fields["written_bytes"]
        t.within(line["file_written"] + 1, (new - old[0].fields["written_bytes"]) / seconds + 1, 1e-9,
                 f"bytes written a second by {line['name']}")


def test_a_recording_in_three_formats(t):
    path, _ = record(t, seconds=2)
    reports = by_time(parse(play(t, path)[0]))
    objects = [json.loads(line) for line in top(t, "--batch", "json", "--replay", path).splitlines()]
    t.equal([time_ns(each["time"]) for each in objects], [report[0].time_ns for report in reports], "times")
    for index, (shown, report) in enumerate(zip(objects, reports)):
        before = reports[index - 1] if index else None
        seconds = (report[0].time_ns - before[0].time_ns) / SECOND if before else 0
        for line in shown["lines"]:
            check_line(t, line, report, before, seconds)
        t.equal(len(shown["lines"]), len(find(report, "deepmon_container")), "containers in a sample")
        watts = find(report, "deepmon_host_energy", domain="package")[0].fields.get("power_watts")
        same(t, shown["host"].get("package_watts"), watts, "W of the host")
    t.notes[:] = [f"{len(objects)} samples, {sum(len(each['lines']) for each in objects)} lines"]
    names = {line["name"] for each in objects for line in each["lines"]}
    t.true({"web one", "late"} <= names, "names", sorted(names))

    rows = list(csv.DictReader(io.StringIO(top(t, "--batch", "csv", "--replay", path))))
    lines = [(each["time"], line) for each in objects for line in each["lines"]]
    t.equal(len(rows), len(lines), "rows of CSV")
    for row, (moment, line) in zip(rows, lines):
        t.equal((row["time"], row["name"], row["image"]), (moment, line["name"], line["labels"].get("image", "")),
                "who a row of CSV is about")
        for key in ("cpu_percent", "package_joules", "working_set_bytes", "file_written"):
            t.equal(row[key] == "", key not in line, f"{key} of {line['name']} is absent in both")
            if row[key]:
                t.true(abs(float(row[key]) - line[key]) <= 1e-9 * abs(line[key]), f"{key} in CSV", (row[key], line))
    text = top(t, "--batch", "text", "--replay", path, "--page", "power", "--count", "3")
    t.equal(len(text.split("\n\n")), 3, "tables of text")
    t.true("web one" in text and "CORE W" in text, "the container and a column of the page", text[:300])


def test_pages_of_a_recording(t):
    """Transactions, their percentiles and files, as they were written live."""
    path, live = record(t, seconds=1)
    last = by_time(parse(live))[-1]
    objects = [json.loads(line) for line in top(t, "--batch", "json", "--replay", path).splitlines()]
    line = next(each for each in objects[-1]["lines"] if each["name"] == "web one")
    for protocol in ("tcp", "http"):
        fields = find(last, "deepmon_container_transactions", container_name="web one", protocol=protocol,
                      role="both")[0].fields
        for shown in ("mean", "p50", "p99_999"):
            same(t, line[f"{protocol}_{shown}_ms"], 1e3 * fields[f"latency_{shown}_seconds"],
                 f"{shown} of {protocol}")
        t.true(line[f"{protocol}_transactions"] > 0, f"{protocol.upper()} transactions a second", line)
    t.true(all(line[f"http_{status}xx"] > 0 for status in "2345"), "responses of each class", line)
    for page in ("tcp", "tcp-latency", "http", "http-latency", "files"):
        rows = top(t, "--batch", "text", "--replay", path, "--page", page).split("\n\n")[-1].splitlines()
        name = "late" if page == "files" else "web one"
        row = next(each for each in rows if each.startswith(name))[len(name):].split()
        t.true(len(row) > 5 and row.count("-") <= (1 if page == "tcp" else 0), f"the page {page}", rows)


def test_what_is_chosen(t):
    path, _ = record(t, seconds=1)

    def last(*arguments):
        return json.loads(top(t, "--batch", "json", "--replay", path, *arguments).splitlines()[-1])

    flat = last("--columns", "cpu_percent,package_watts", "--sort", "package_watts")
    watts = [line.get("package_watts", -1) for line in flat["lines"]]
    t.equal(watts, sorted(watts, reverse=True), "W in order")
    t.true(all(set(line) <= {"kind", "name", "id", "instance", "labels", "depth", "cpu_percent", "package_watts"}
               for line in flat["lines"]), "no other columns", flat["lines"][0])
    tree = last("--group", "image")
    groups = [line for line in tree["lines"] if line["kind"] == "group"]
    image = next(line for line in groups if line["name"] == "web")
    members = [line for line in flat["lines"] if line["labels"].get("image") == "web"]
    t.equal(image["members"], len(members), "containers of the image")
    t.within(image["cpu_percent"], sum(line["cpu_percent"] for line in members), 1e-9, "their CPU % in sum")
    some = last("--filter", "image:web cpu_percent>5")
    t.equal({line["name"] for line in some["lines"]},
            {line["name"] for line in members if line["cpu_percent"] > 5}, "who passes a filter")
    kinds = {line["kind"] for line in last("--show", "totals,system,processes,containers")["lines"]}
    t.equal(kinds, {"total", "system", "process", "container"}, "kinds shown")
    begun = [json.loads(line) for line in top(t, "--batch", "json", "--replay", path).splitlines()]
    later = [json.loads(line) for line in top(t, "--batch", "json", "--replay", path, "--from", "1").splitlines()]
    t.equal([each["time"] for each in later],
            [each["time"] for each in begun if time_ns(each["time"]) >= time_ns(begun[0]["time"]) + SECOND],
            "times from the first second on")


def test_live(t):
    host.require_bpf()
    container = t.enter(Container())
    container.run(duty, two_cpus()[0], 0.5)
    samples = [json.loads(line) for line in
               top(t, "--batch", "json", "--interval", "0.5", "--count", "3", "--network", "off").splitlines()]
    t.equal(len(samples), 3, "samples")
    for each in samples:
        line = next(line for line in each["lines"] if line["name"] == container.name)
        t.true(line["cpu_percent"] > 1, "CPU % of the container", line)
        t.true("tcp_sent" not in line, "no network where it is off")
        t.true("package_watts" in line or any("no energy" in note for note in each["notes"]),
               "why there is no energy", each["notes"])


def test_who_may_not_and_who_reads_no_more(t):
    host.require_bpf()
    setpriv = find_program("setpriv", None, "util-linux")
    user = [setpriv, "--reuid=65534", "--clear-groups", t.built("deepmon-top")]
    try:
        subprocess.run([*user, "--version"], check=True, capture_output=True, timeout=10)
    except subprocess.CalledProcessError as error:
        raise Skip("another user may not execute what was built here") from error
    done = subprocess.run([*user, "--batch", "text", "--count", "1"], capture_output=True, timeout=30, check=False)
    t.equal(done.returncode, 0, "status with CPU time from files alone")
    t.one_line([line for line in done.stdout.decode().splitlines() if line.startswith("# eBPF")], "root", "CAP_BPF")

    with subprocess.Popen([t.built("deepmon-top"), "--batch", "text", "--interval", "0.1"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        t.equal(process.wait(10), 0, "status once nobody reads")


def test_bad_usage(t):
    nothing = t.state / "nothing"
    nothing.write_text("nothing")
    for arguments, words in ((["--batch", "xml"], ("xml", "json")), ([], ("--batch",)),
                             (["--batch", "csv", "--sort", "bogus"], ("sort", "bogus")),
                             (["--batch", "csv", "--columns", "cpu_percent,bogus"], ("columns", "bogus")),
                             (["--batch", "csv", "--filter", "bogus>1"], ("filter", "bogus")),
                             (["--batch", "csv", "--group", "bogus"], ("group", "namespace")),
                             (["--batch", "csv", "--show", "bogus"], ("show", "bogus")),
                             (["--batch", "csv", "--interval", "0"], ("interval", "0.1")),
                             (["--batch", "csv", "--bogus", "1"], ("bogus",)), (["--batch"], ("value",)),
                             (["--batch", "csv", "--replay", str(nothing)], ("nothing", "no recording")),
                             (["--batch", "csv", "--replay", "/no/file"], ("/no/file", "No such file"))):
        t.one_line(top(t, *arguments, status=2).splitlines(), *words)
