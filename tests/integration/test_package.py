# SPDX-License-Identifier: GPL-3.0-only
"""The Debian package: lintian has nothing against it, and it works in a bare Debian as an ordinary user with the
capabilities that it gives, and no others."""

import json
import os
import re
import subprocess
from pathlib import Path

from stage import host
from stage.cgroups import Container, burn_ns
from stage.chroot import Chroot, dependencies
from stage.lineprotocol import find, parse_line
from stage.process import find_program, spawn, stop_process, wait_until
from stage.rapl import PackageTree

from support import SOURCE

ALONE = "it takes the Debian that the container image is made of"

CAPABILITIES = ("CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE")
DROP_IN = "/usr/share/deepmon/collectd.service.d/deepmon.conf"


def sources():
    return [path for part in ("bpf", "common", "collectd-plugin", "telegraf-execd", "contrib", "Makefile")
            for path in [SOURCE / part, *(SOURCE / part).rglob("*")] if path.is_file()]


def make_package(t):
    """make deb, unless what it made is newer than all that goes into it."""
    host.require_root()
    for program, package in (("dpkg-buildpackage", "dpkg-dev"), ("dh", "debhelper"), ("lintian", "lintian")):
        find_program(program, "chroot", package)
    made = list((Path(t.build) / "deb").glob("deepmon_*.deb"))
    newest = max(path.stat().st_mtime for path in sources())
    if not made or made[0].stat().st_mtime < newest:
        done = subprocess.run(["make", "-C", SOURCE, "deb", f"BUILD={t.build}"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=140, check=False)
        t.equal(done.returncode, 0, f"status of make deb ({(done.stdout + done.stderr).decode()[-2000:]})")
        made = list((Path(t.build) / "deb").glob("deepmon_*.deb"))
    t.equal(len(made), 1, "packages made")
    return made[0]


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], stdout=subprocess.PIPE, check=True,
                          text=True).stdout.strip()


def chroot_with(t, package):
    """A bare Debian with what the package depends on and collectd, and then the package itself."""
    debian = t.enter(Chroot(t.state, t.build, [*dependencies(package), "collectd-core"]))
    debian.path("/tmp/deepmon.deb").write_bytes(Path(package).read_bytes())
    debian.ask("dpkg", "-i", "/tmp/deepmon.deb")
    debian.ask("useradd", "--system", "--groups", "deepmon", "agent")
    debian.ask("useradd", "--system", "stranger")
    return debian


def only(capabilities):
    """setpriv's words for a bound of these capabilities."""
    return ",".join(["-all", *("+" + name.lower().removeprefix("cap_") for name in capabilities)])


def as_user(user, *words):
    """A user's process that can't have other capabilities than those of the package, and starts with none.

    The shell between them is what starts it with none: setpriv still has root's when it executes something.
    """
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--inh-caps=-all",
            f"--bounding-set={only(CAPABILITIES)}", "sh", "-c", 'exec "$0" "$@"', *words]


def test_make_deb_makes_a_package_of_this_version(t):
    package = make_package(t)
    version = re.search(r'DEEPMON_VERSION "(.*)"', (SOURCE / "common/deepmon.h").read_text())[1]
    t.equal(field(package, "Version"), version, "the package's version, against deepmon.h's")
    t.note(f"{Path(package).name}: depends on {field(package, 'Depends')}")


def findings_of(debian, *words):
    done = debian.run(*words)
    return done.returncode, {(row["subject"], row["name"]): row for row in json.loads(done.stdout)["findings"]}


def check_findings(t, debian):
    """What the doctor tells the agent's user: eBPF works, by these capabilities alone."""
    status, rows = findings_of(debian, *as_user("agent", "/usr/bin/deepmon-execd", "--doctor=json"))
    held = {name for (subject, name), row in rows.items() if subject == "capability" and row["state"] == "ok"}
    t.equal(held, set(CAPABILITIES), "capabilities held")
    for name in ("CPU accounting", "cgroup events"):
        t.equal(rows["eBPF", name]["state"], "ok", f"eBPF: {name} ({rows['eBPF', name]['reason']})")
    t.true(status in (0, 1), "exit status of --doctor", status)


def check_figures(t, debian):
    """CPU time of a container, against its cgroup's account; energy that only root may read."""
    tree = t.enter(PackageTree(debian.path("/tmp/sys")))
    for package in tree.energy_uj:
        tree.say(package, f"{tree.energy_uj[package]}\n")
        tree.energy_file(package).chmod(0o400)
    container = t.enter(Container())
    before = container.usage_ns()
    container.run(burn_ns, 20_000_000_000)
    done = debian.run(*as_user("agent", "/usr/bin/deepmon-execd", "--once", "--sys-root", "/tmp/sys",
                               "--cgroup-root", "/sys/fs/cgroup", "--network", "on", "--file-io", "counts"))
    used = container.usage_ns() - before
    t.equal(done.returncode, 0, f"status of --once ({done.stderr})")
    report = [parse_line(line) for line in done.stdout.splitlines()]
    points = find(report, "deepmon_container", container_name=container.name)
    t.equal(len(points), 1, "lines of the container")
    told = points[0].fields["cpu_time_ns"]
    t.true(0 < told <= used * 1.02, "CPU time of it, against its cgroup's account from before to after", (told, used))
    t.true(find(report, "deepmon_total", kind="kernel"), "kernel threads apart, which eBPF alone tells")
    t.equal(len(find(report, "deepmon_zone")), 2, f"zones, whose energy_uj are 0400 ({done.stderr})")
    t.true(find(report, "deepmon_total_network"), "network")
    t.true(find(report, "deepmon_total_file_io"), "file I/O")
    t.note(f"a container used {told / 1e6:.0f} ms, two zones of energy were read, by capabilities alone")


def test_it_works_for_an_ordinary_user_by_its_capabilities_alone(t):
    host.require_bpf()
    debian = chroot_with(t, make_package(t))
    binary = "/usr/bin/deepmon-execd"
    status = debian.ask("stat", "-c", "%a %U %G", binary).strip()
    t.equal(status, "750 root deepmon", "mode, owner and group of the binary")
    t.equal(set(re.findall(r"cap_\w+", debian.ask("getcap", binary))), {name.lower() for name in CAPABILITIES},
            "capabilities of the binary")
    check_findings(t, debian)
    check_figures(t, debian)
    refused = debian.run(*as_user("stranger", binary, "--version"))
    t.true(refused.returncode and "Permission denied" in refused.stderr, "who is not in the group may not run it",
           (refused.returncode, refused.stderr))

    debian.ask("dpkg", "-r", "deepmon")
    left = [path for path in debian.root.rglob("*deepmon*") if "var/lib/dpkg" not in str(path) and
            not str(path).endswith("deepmon.deb")]
    t.equal(left, [], "what is left after dpkg -r")


def capabilities_of(drop_in, setting):
    found = re.findall(rf"^{setting}=(.*)$", drop_in, re.MULTILINE)
    return found[0].split() if len(found) == 1 else found


COLLECTD = """\
Hostname "stage"
FQDNLookup false
BaseDir "/tmp/collectd"
Interval 1
LoadPlugin csv
<Plugin csv>
  DataDir "/tmp/collectd/csv"
</Plugin>
LoadPlugin logfile
<Plugin logfile>
  File "/tmp/collectd/log"
</Plugin>
LoadPlugin deepmon
"""


def test_collectd_works_by_the_capabilities_of_the_drop_in(t):
    """Debian's own unit with the drop-in: as root that is bound to them, and as a user that has no others."""
    host.require_bpf()
    debian = chroot_with(t, make_package(t))
    drop_in = debian.path(DROP_IN).read_text()
    bound = capabilities_of(drop_in, "CapabilityBoundingSet")
    t.equal((set(bound), set(capabilities_of(drop_in, "AmbientCapabilities"))), (set(CAPABILITIES),) * 2,
            "capabilities of the drop-in")
    debian.path("/etc/collectd").mkdir(exist_ok=True)
    debian.path("/etc/collectd/collectd.conf").write_text(COLLECTD)
    unit = next(path for path in ("/lib/systemd/system/collectd.service", "/usr/lib/systemd/system/collectd.service")
                if debian.path(path).exists())
    start = capabilities_of(debian.path(unit).read_text(), "ExecStart")
    users = {"root": [f"--bounding-set={only(bound)}", f"--inh-caps={only(bound)}"],
             "agent": ["--reuid=agent", "--regid=agent", "--init-groups", f"--bounding-set={only(bound)}",
                       f"--inh-caps={only(bound)}", f"--ambient-caps={only(bound)}"]}
    for user, words in users.items():
        debian.ask("rm", "-rf", "/tmp/collectd")
        debian.ask("install", "-d", "-o", user, "/tmp/collectd")
        daemon = spawn(debian.command("setpriv", *words, *start, "-f"), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            log = debian.path("/tmp/collectd/log")
            values = debian.path("/tmp/collectd/csv/stage")
            wait_until(lambda: list(values.glob("deepmon-total-kernel/deepmon_cpu_ns*")), 20,
                       lambda: f"values of eBPF as {user} ({log.read_text() if log.exists() else 'no log'})")
        finally:
            stop_process(daemon)
        inside = [pid for pid in Path("/proc").glob("[0-9]*/root") if str(debian.root) in os.path.realpath(pid)]
        t.equal(inside, [], f"processes left in the chroot by collectd as {user}")
        t.true("eBPF" not in log.read_text(), f"nothing is refused as {user}", log.read_text())
        t.note(f"{' '.join(start)} as {user}, bound to {' '.join(bound)}: values of eBPF")


def test_systemd_accepts_the_drop_in(t):
    analyze = find_program("systemd-analyze", None, "systemd")
    unit = t.state / "collectd.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    directory = t.state / "collectd.service.d"
    directory.mkdir()
    drop_in = SOURCE / "contrib/systemd/collectd.service.d/deepmon.conf"
    (directory / "deepmon.conf").write_text(drop_in.read_text())
    done = subprocess.run([analyze, "verify", unit], stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                          check=False)
    complaints = [line for line in done.stderr.decode().splitlines() if "deepmon.conf" in line or "collectd" in line]
    t.equal((done.returncode, complaints), (0, []), "status and complaints of systemd-analyze verify")
