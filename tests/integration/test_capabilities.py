# SPDX-License-Identifier: GPL-3.0-only
"""What deepmon measures with which capabilities, and which line says what is absent: the table in README.md is what
is seen here. README=1 writes it."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from stage import host
from stage.cgroups import Container, burn_ns
from stage.lineprotocol import find, parse_line
from stage.process import find_program
from stage.rapl import PackageTree

from support import SOURCE

BEGIN, END = "<!-- generated: capabilities -->", "<!-- end -->"
NOBODY = 65534
BPF = ("CAP_BPF", "CAP_PERFMON")
READ = (*BPF, "CAP_DAC_READ_SEARCH")
ALL = (*READ, "CAP_SYS_PTRACE")

# What is looked at, and the line that must say so where it is absent, or less than it could be.
COLUMNS = {
    "CPU time": "eBPF: the CPU accounting can't be …",
    "memory": "",
    "counters": "CyclesEvent: … can't be counted …",
    "network, file I/O, processes": "Network, FileIO, Processes: … left out …",
    "energy (RAPL)": "no energy: powercap: … Permission denied …",
    "names of Docker's": "containers go by the first digits of their ids … Permission denied …",
}
SAYS_SO = "the line that says so"


def says(line, pattern):
    return re.search(".*".join(map(re.escape, pattern.split("…"))), line)


class Host:
    """A container that Docker would have made, with its name where root alone may read it, and RAPL alike."""

    def __init__(self, t):
        self.t = t
        self.directory = Path(tempfile.mkdtemp(prefix="deepmon-test-", dir="/tmp"))  # where others may look

    def __enter__(self):
        self.directory.chmod(0o755)
        self.binary = shutil.copy(self.t.built("deepmon-execd"), self.directory / "deepmon-execd")
        tree = self.t.enter(PackageTree(self.directory / "sys"))
        for package in tree.energy_uj:
            tree.say(package, f"{tree.energy_uj[package]}\n")
            tree.energy_file(package).chmod(0o400)
        self.container = self.t.enter(Container())
        config = self.directory / "docker/containers" / self.container.identity / "config.v2.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"Name": "/web", "Config": {"Image": "nginx:1"}}))
        (self.directory / "docker").chmod(0o710)
        (self.directory / "docker/containers").chmod(0o710)
        self.container.run(burn_ns, 60_000_000_000)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def options(self, below=""):
        """Where things are, for a deepmon that has the host's root at `below`."""
        return ["--sys-root", f"{below}{self.directory}/sys", "--cgroup-root", f"{below}/sys/fs/cgroup",
                "--docker-root", f"{self.directory}/docker", "--docker-socket", "", "--network", "on",
                "--file-io", "counts", "--processes", "3", "--cycles-event", "cpu-clock",
                "--instructions-event", "none", "--cache-references-event", "none", "--cache-misses-event", "none"]


def as_nobody(capabilities):
    """setpriv for an ordinary user with these capabilities alone; the shell is where root's end."""
    words = ",".join(["-all", *("+" + name.lower().removeprefix("cap_") for name in capabilities)])
    return [find_program("setpriv", None, "util-linux"), f"--reuid={NOBODY}", f"--regid={NOBODY}",
            "--clear-groups", f"--bounding-set={words}", f"--inh-caps={words}", f"--ambient-caps={words}",
            "sh", "-c", 'exec "$0" "$@"']


def finish(command):
    return subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          check=False)


def look(t, container, report, lines):
    """{column: what was seen of it}."""
    named = find(report, "deepmon_container", container_name="web")
    points = named or find(report, "deepmon_container", container_name=container.name)
    seen = {
        "CPU time": "absent" if not points else
                    "eBPF" if find(report, "deepmon_total", kind="kernel") else "cgroups' files",
        "memory": "ok" if find(report, "deepmon_container_memory") else "absent",
        "counters": "ok" if find(report, "deepmon_container_perf") else "absent",
        "network, file I/O, processes":
            "ok" if all(find(report, f"deepmon_{name}") for name in
                        ("total_network", "total_file_io", "process")) else "absent",
        "energy (RAPL)": "ok" if find(report, "deepmon_zone") else "absent",
        "names of Docker's": "ok" if named else "ids",
    }
    for column, pattern in COLUMNS.items():
        said = [line for line in lines if pattern and says(line, pattern)]
        lacks = seen[column] not in ("ok", "eBPF")
        t.equal(len(said), 1 if lacks and pattern else 0,
                f"lines that say that there is no {column}, or less ({seen[column]}): {lines}")
    return seen


def check_time(t, container, report, used):
    """What is told of the container in a report of one second, against its cgroup from before to after."""
    points = [point for name in ("web", container.name)
              for point in find(report, "deepmon_container", container_name=name)]
    if points:
        told = points[0].fields["cpu_time_ns"]
        t.true(0 < told <= used * 1.02 + 1e6, "CPU time of the container in the report, and in all", (told, used))


def cells(words):
    return f"| {' | '.join(words)} |"


def check_table(t, name, seen):
    """The row of README.md is what was seen; so are its head and its last row, of the lines that say so."""
    path = SOURCE / "README.md"
    before, rest = path.read_text().split(BEGIN, 1)
    table, after = rest.split(END, 1)
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in table.strip().splitlines()[2:]}
    lines = [f"`{pattern}`" if pattern else "" for pattern in COLUMNS.values()]
    rows.pop(SAYS_SO, None)
    rows |= {name: cells([name, *(seen[column] for column in COLUMNS)])}
    rows |= {SAYS_SO: cells([SAYS_SO, *lines])}
    text = "\n".join([cells(["capabilities", *COLUMNS]), cells(["---"] * (len(COLUMNS) + 1)), *rows.values()])
    if os.environ.get("README", "") not in ("", "0"):
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
        return
    t.equal(table.strip(), text, "the table in README.md, and what was seen")


def measure(t, stage, name, command, run=finish):
    """One report by that command, and what the doctor says of the same."""
    before = stage.container.usage_ns()
    done = run([*command, "--once"])
    used = stage.container.usage_ns() - before
    lines = done.stderr.decode(errors="replace").splitlines()
    t.equal(done.returncode, 0, f"status of --once ({lines})")
    report = [parse_line(line) for line in done.stdout.decode().splitlines()]
    seen = look(t, stage.container, report, lines)
    check_time(t, stage.container, report, used)
    findings = run([*command, "--doctor=json"])
    check_doctor(t, seen, json.loads(findings.stdout), findings.returncode)
    check_table(t, name, seen)
    t.note(", ".join(f"{column}: {what}" for column, what in seen.items()))
    for line in lines:
        t.note(line[:160])


def check_doctor(t, seen, found, status):
    """It tells what a collector does: what is absent is missing there, with what mends it."""
    rows = {(row["subject"], row["name"]): row for row in found["findings"]}
    fully = all(what in ("ok", "eBPF") for what in seen.values())
    t.equal((status, found["verdict"]), (0, "ok") if fully else (1, "degraded"), "status and verdict of --doctor")
    expected = {
        ("eBPF", "CPU accounting"): "ok" if seen["CPU time"] == "eBPF" else "missing",
        ("eBPF", "network's accounting"): "ok" if seen["CPU time"] == "eBPF" else "missing",
        ("counter", "CyclesEvent"): "ok" if seen["counters"] == "ok" else "missing",
        ("energy", "powercap"): "ok" if seen["energy (RAPL)"] == "ok" else "missing",
        ("runtime", "docker"): "ok" if seen["names of Docker's"] == "ok" else "missing",
    }
    t.equal({key: rows[key]["state"] for key in expected}, expected, "states of --doctor")
    for key in (("eBPF", "CPU accounting"), ("counter", "CyclesEvent"), ("energy", "powercap"), ("runtime", "docker")):
        if expected[key] == "missing":
            t.true("CAP_" in rows[key]["remedy"].upper(), f"the remedy of {key} gives capabilities", rows[key])


def user_with(t, name, capabilities):
    host.require_bpf()
    stage = t.enter(Host(t))
    measure(t, stage, name, [*as_nobody(capabilities), stage.binary, *stage.options()])


def test_a_user_with_none(t):
    user_with(t, "a user with none", ())


def test_a_user_with_bpf_and_perfmon(t):
    user_with(t, "`CAP_BPF`, `CAP_PERFMON`", BPF)


def test_a_user_with_dac_read_search_too(t):
    user_with(t, "and `CAP_DAC_READ_SEARCH`", READ)


def test_a_user_with_sys_ptrace_too(t):
    user_with(t, "and `CAP_SYS_PTRACE`", ALL)


def libraries(binary):
    """The shared libraries of a binary, and the loader, where they are."""
    listed = subprocess.run(["ldd", binary], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def bundle(t, stage, command):
    """An OCI bundle as Kubernetes' runtimes make them: the binary and its libraries, and the host to read."""
    runc = find_program("runc", "docker", "runc")
    directory = t.state / "bundle"
    (directory / "rootfs").mkdir(parents=True)
    subprocess.run([runc, "spec", "--bundle", directory], check=True)
    config = json.loads((directory / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": [*map(str, command)], "noNewPrivileges": False,
                          "capabilities": {which: list(ALL) for which in ("bounding", "effective", "permitted")}}
    config["mounts"] += [{"destination": inside, "type": "bind", "source": str(outside),
                          "options": ["rbind" if outside == "/" else "bind", "ro"]}
                         for inside, outside in {"/host": "/", "/deepmon-execd": stage.binary}.items()]
    config["mounts"] += [{"destination": path, "type": "bind", "source": path, "options": ["bind", "ro"]}
                         for path in libraries(stage.binary)]
    config["root"]["readonly"] = False  # where mounts are put; what is run writes nothing
    (directory / "config.json").write_text(json.dumps(config))
    return directory


class Runc:
    """Runs commands in a container by runc, one at a time."""

    def __init__(self, t, stage):
        self.t, self.stage = t, stage
        self.count = 0

    def __call__(self, command):
        self.count += 1
        name = f"{self.stage.directory.name}-{self.count}"
        directory = bundle(self.t, self.stage, command)
        try:
            return finish(["runc", "--root", self.t.state / "runc", "run", "--bundle", directory, name])
        finally:
            finish(["runc", "--root", self.t.state / "runc", "delete", "--force", name])
            shutil.rmtree(directory)


def test_a_container_with_these_alone(t):
    """As in a DaemonSet: root in a container with these capabilities, and the host's files below /host to read."""
    host.require_bpf()
    stage = t.enter(Host(t))
    command = ["/deepmon-execd", "--host-root", "/host", *stage.options("/host")]
    measure(t, stage, "a container with these", command, Runc(t, stage))
