# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-execd --doctor tells what the collector does on this host: held against one that runs."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from stage import host
from stage.execd_parent import command_line
from stage.process import find_program
from stage.rapl import PackageTree

from support import execd, sysroot_options


def doctor(t, *options, form="=json"):
    """(status, output) of --doctor."""
    done = subprocess.run([t.built("deepmon-execd"), f"--doctor{form}", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False, text=True)
    t.equal(done.stderr, "", "what is said beside the findings")
    return done.returncode, done.stdout


def findings(t, *options):
    status, output = doctor(t, *options)
    found = json.loads(output)
    rows = {(row["subject"], row["name"]): row for row in found["findings"]}
    t.equal(len(rows), len(found["findings"]), "rows that have a name of their own")
    return status, found, rows


def programs_of(pid):
    """The names of the BPF programs that a process holds, which the kernel cuts at 15 bytes."""
    bpftool = find_program("bpftool", None, "bpftool")
    names = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        number = re.search(r"^prog_id:\s*(\d+)", info.read_text(), re.MULTILINE)
        if number and "prog_tag" in info.read_text():
            shown = subprocess.run([bpftool, "--json", "prog", "show", "id", number[1]], stdout=subprocess.PIPE,
                                   check=True)
            names.add(json.loads(shown.stdout)["name"][:15])
    return names


def test_hooks_are_those_of_a_collector_that_runs(t):
    host.require_bpf()
    for options in ([], ["--network", "on", "--file-io", "counts", "--interrupts", "kernel"]):
        _, _, rows = findings(t, *options)
        told = {name[name.index("(") + 1:-1][:15] for (subject, name), row in rows.items()
                if subject == "hook" and row["state"] == "ok"}
        parent = execd(t, *options, interval=0.5)
        parent.wait_for_batches(1, 40)
        t.equal(told, programs_of(parent.process.pid), f"hooks used with {options}, against the process's programs")
        parent.stop()
        t.note(f"{len(told)} programs with {options}")


def test_what_is_lost_is_what_a_collector_logs(t):
    """Every line of warning has its row: no second set of checks."""
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys"))
    tree.make_unreadable(1)
    options = [*command_line(sysroot_options(tree.root)), "--cycles-event", "r999999"]
    status, found, rows = findings(t, *options)
    t.equal((status, found["verdict"]), (1, "degraded"), "status and verdict")
    missing = {key for key, row in rows.items() if row["state"] == "missing"}
    done = subprocess.run([t.built("deepmon-execd"), "--once", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False, text=True)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("W! ")]
    for words, key in ((("CyclesEvent",), ("counter", "CyclesEvent")), (("package-1",), ("zone", "package-1"))):
        t.one_line(warnings, *words)
        t.true(key in missing, f"{key} is missing, as the log says", missing)


def test_each_zone_is_taken_or_rejected_with_its_reason(t):
    host.require_root()
    tree = t.enter(PackageTree(t.state / "sys"))
    for entry, name in (("intel-rapl-mmio:0", "package-0"), ("intel-rapl:5", "strange")):
        zone = tree.root / "class/powercap" / entry
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n")
        (zone / "energy_uj").write_text("5\n")
        (zone / "max_energy_range_uj").write_text("1000000\n")
    _, _, rows = findings(t, *command_line(sysroot_options(tree.root)))
    states = {name: row["state"] for (subject, name), row in rows.items() if subject == "zone"}
    t.equal(states, {"package-0": "ok", "package-1": "ok", "intel-rapl-mmio:0": "off", "intel-rapl:5": "off"},
            "zones")
    t.true("strange" in rows["zone", "intel-rapl:5"]["reason"], "the name that is not known",
           rows["zone", "intel-rapl:5"])
    t.true("package-0" in rows["zone", "intel-rapl-mmio:0"]["reason"], "the zone that is the same",
           rows["zone", "intel-rapl-mmio:0"])
    sources = {name: row["state"] for (subject, name), row in rows.items() if subject == "energy"}
    t.equal(sources, {"powercap": "ok", "perf": "off", "msr": "off", "hwmon": "off"}, "sources of energy")


def user_binary(t):
    """The binary where an ordinary user may run it."""
    directory = Path(t.enter(tempfile.TemporaryDirectory(prefix="deepmon-test-", dir="/tmp")))
    directory.chmod(0o755)
    return shutil.copy(t.built("deepmon-execd"), directory)


def accounting(binary, *setpriv):
    """The row of the CPU accounting that an ordinary user gets, with more words for setpriv."""
    command = [find_program("setpriv", None, "util-linux"), "--reuid=65534", "--regid=65534", "--clear-groups",
               "--inh-caps=-all", *setpriv, "sh", "-c", 'exec "$0" "$@"', binary, "--doctor=json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return next(row for row in json.loads(done.stdout)["findings"] if row["name"] == "CPU accounting")


def test_what_it_says_mends_it(t):
    """The command that the doctor gives for an ordinary user's binary is run, and eBPF works."""
    host.require_bpf()
    find_program("setcap", None, "libcap2-bin")
    binary = user_binary(t)
    before = accounting(binary)
    t.equal((before["state"], before["remedy"].split()[0]), ("missing", "setcap"), f"before ({before})")
    t.note(before["remedy"])
    subprocess.run(["sh", "-c", before["remedy"]], check=True, timeout=10)
    after = accounting(binary)
    t.equal((after["state"], after["remedy"]), ("ok", ""), f"after ({after})")


def test_it_says_nothing_that_would_not_mend(t):
    """setcap has no effect where the file's capabilities count nothing, or what started it forbids them."""
    host.require_bpf()
    binary = user_binary(t)
    row = accounting(binary, "--no-new-privs")
    t.true(row["remedy"].startswith("AmbientCapabilities=CAP_BPF CAP_PERFMON"), "without new privileges", row)
    row = accounting(binary, "--bounding-set=-bpf")
    t.true("CAP_BPF:" in row["remedy"] and "CapabilityBoundingSet=" in row["remedy"], "bound to others", row)


def test_all_is_well_where_nothing_lacks(t):
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys"))
    status, found, rows = findings(t, *command_line(sysroot_options(tree.root)), "--cycles-event", "cpu-clock",
                                   "--instructions-event", "none", "--cache-references-event", "none",
                                   "--cache-misses-event", "page-faults")
    t.equal((status, found["verdict"], found["missing"], found["degraded"]), (0, "ok", 0, 0),
            f"status and verdict ({[row for row in rows.values() if row['state'] in ('missing', 'degraded')]})")


def test_nothing_can_be_measured(t):
    (t.state / "sys").mkdir()
    (t.state / "cgroup").mkdir()
    status, found, rows = findings(t, "--sys-root", str(t.state / "sys"), "--cgroup-root", str(t.state / "cgroup"))
    t.equal((status, found["verdict"]), (2, "nothing can be measured"), "status and verdict")
    t.equal(rows["cgroups", "hierarchy"]["state"], "missing", "the hierarchy")
    t.true("CgroupRoot" in rows["cgroups", "hierarchy"]["remedy"], "its remedy", rows["cgroups", "hierarchy"])


def test_text_has_the_same_rows(t):
    host.require_root()
    _, _, rows = findings(t)
    _, text = doctor(t, form="")
    lines = text.splitlines()
    subject = None
    told = {}
    for line in lines[1:]:
        if line and not line.startswith(" "):
            subject = line
        elif line.startswith("  ") and line[2] != " ":
            state, rest = line.split(None, 1)
            name = next((name for of, name in rows if of == subject and re.match(re.escape(name) + "  ", rest)), rest)
            told[subject, name] = state
    t.equal(told, {key: row["state"] for key, row in rows.items()}, "rows of the text, against those of JSON")
    commands = [line.split("-> ", 1)[1] for line in lines if line.strip().startswith("-> ")]
    t.equal(commands, [row["remedy"] for row in sorted_as(rows, told) if row["remedy"]], "remedies")


def sorted_as(rows, order):
    return [rows[key] for key in order]
