# SPDX-License-Identifier: GPL-3.0-only
"""What is mounted changes or hides things: hierarchies of cgroups that are unmounted and come back, a /proc that
shows less, or none. Each time in a mount namespace of deepmon's own."""

import contextlib
import os
import shutil
import subprocess
import tempfile

from stage import host
from stage.cgroups import Container, burn_ns, cpu_hierarchy, read_usage_ns
from stage.lineprotocol import find, parse, parse_line
from stage.mounts import mounts
from stage.process import Skip, find_program, open_files, wait_until

from support import execd
from test_capabilities import ALL, as_nobody

CGROUPS = "/sys/fs/cgroup"
BURN_NS = 100_000_000
TOLERANCE, TOLERANCE_NS = 0.1, 20_000_000  # a v1 hierarchy charges who is put in while it runs at ticks
PROPORTIONAL = ("--proportional-memory", "on", "--proportional-memory-interval", "0.2",
                "--proportional-memory-budget", "20")


def unshared(script="true"):
    """What comes before a command that is to have mounts of its own, after that script changed them."""
    unshare = find_program("unshare", None, "util-linux")
    return [unshare, "--mount", "--propagation", "private", "sh", "-ec", f'{script}; exec "$0" "$@"']


def inside(parent, *command):
    """Runs it among the mounts of that deepmon-execd."""
    nsenter = find_program("nsenter", None, "util-linux")
    done = subprocess.run([nsenter, "--mount", f"--target={parent.process.pid}", *command], capture_output=True,
                          check=False)
    if done.returncode:
        raise Skip(f"{' '.join(command)}: {done.stderr.decode().strip()}")


def mounting():
    """The commands that mount at CGROUPS what there is on this host."""
    for mount in mounts():
        if not mount.point.startswith(CGROUPS):
            continue
        if mount.point != CGROUPS:
            yield ["mkdir", "-p", mount.point]
        names = [word for word in mount.options if word not in ("rw", "ro")] if mount.kind == "cgroup" else []
        yield ["mount", "-t", mount.kind, *(["-o", ",".join(names)] if names else []), mount.kind, mount.point]


def seen_by(parent):
    """What there is at CGROUPS, for that deepmon-execd."""
    return os.listdir(f"/proc/{parent.process.pid}/root{CGROUPS}")


def told(parent, container):
    """{measurement without deepmon_container: fields} of what came last. Of the others there may be thousands."""
    points = [parse_line(line) for batch in parent.batches[-1:] for line in batch.lines if container.name in line]
    return {point.measurement.removeprefix("deepmon_container"): point.fields for point in points}


def check_account(t, parent, container, directory, what):
    """Its CPU time and memory are told, and the former is the kernel's."""
    container.run(burn_ns, BURN_NS)
    wait_until(lambda: read_usage_ns(directory) >= BURN_NS, 20, "some CPU time to be used")
    wait_until(lambda: told(parent, container).get("", {}).get("cpu_time_ns", 0) >= BURN_NS * (1 - TOLERANCE), 20,
               lambda: f"its CPU time in a report {what} ({told(parent, container)})")
    parent.wait_for_batches(len(parent.batches) + 2, 20)
    used, figures = read_usage_ns(directory), told(parent, container)
    t.between(figures[""]["cpu_time_ns"], used * (1 - TOLERANCE) - TOLERANCE_NS, used * (1 + TOLERANCE) + TOLERANCE_NS,
              f"ns of a container {what}, of which the kernel says {used}")
    t.true(figures.get("_memory", {}).get("usage_bytes", 0) > 0, f"memory of a container {what}", figures)


# ---- Hierarchies --------------------------------------------------------------------------------


def unmount_and_mount(t, hierarchy):
    """All of the host's hierarchies go from under a deepmon that runs, and come back."""
    host.require_bpf()
    roots = {"unified": [mount.point for mount in mounts() if mount.kind == "cgroup2"],
             "auto": [str(cpu_hierarchy()[0])]}[hierarchy]
    if not roots:
        raise Skip("no unified hierarchy is mounted")
    before = t.enter(Container())
    parent = execd(t, "--cgroup-hierarchy", hierarchy, interval=0.25, prefix=unshared())
    parent.wait_for_batches(2, 20)
    check_account(t, parent, before, before.directory, "from before")
    files, lines = open_files(parent.process.pid), list(parent.stderr_lines)

    inside(parent, "umount", "--lazy", "--recursive", CGROUPS)
    t.equal(seen_by(parent), [], f"what it sees at {CGROUPS}")
    meanwhile = t.enter(Container())
    check_account(t, parent, meanwhile, meanwhile.directory, "that came while nothing was mounted")
    check_account(t, parent, before, before.directory, "from before, while nothing was mounted")
    for command in mounting():
        inside(parent, *command)
    t.true(seen_by(parent), "hierarchies are there again")
    after = t.enter(Container())
    check_account(t, parent, after, after.directory, "that came after it was mounted again")
    for container in (before, meanwhile):
        with contextlib.suppress(OSError):
            container.remove()
    wait_until(lambda: not told(parent, meanwhile), 20, "no word of one that has ended")
    wait_until(lambda: open_files(parent.process.pid) <= files, 10, "as many open files as before")
    t.equal(parent.stderr_lines, lines, "lines of the log, before and after")


def test_v1_hierarchies_that_are_mounted_again(t):
    if not cpu_hierarchy()[1]:
        raise Skip("no v1 hierarchy accounts CPU time here")
    unmount_and_mount(t, "auto")


def test_a_unified_hierarchy_that_is_mounted_again(t):
    unmount_and_mount(t, "unified")


def test_no_hierarchy_is_mounted(t):
    """A line says so, and nothing is told of containers."""
    host.require_bpf()
    done = subprocess.run([*unshared(f"umount --lazy --recursive {CGROUPS}"), t.built("deepmon-execd"), "--once"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    lines = done.stderr.decode().splitlines()
    t.note(t.one_line(lines, "CgroupRoot", "is not mounted under", CGROUPS))
    t.true(b"deepmon_container," not in done.stdout, "no container is told of")


# ---- /proc --------------------------------------------------------------------------------------


def once(t, prefix, *arguments):
    """(report, lines) of a deepmon-execd that looks once."""
    done = subprocess.run([*map(str, prefix), t.built("deepmon-execd"), "--once", "--interval", "1", *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    lines = done.stderr.decode(errors="replace").splitlines()
    t.equal(done.returncode, 0, f"status ({lines})")
    return parse(done.stdout.decode()), lines


def check_told(t, report, container):
    """It is told apart, whatever of /proc is hidden: not in the unified hierarchy, where v1's has the time."""
    points = find(report, "deepmon_container", container_name=container.name)
    t.equal(len(points), 1, "points of the container")
    t.true(points[0].fields["cpu_time_ns"] > 0, "CPU time of it", points[0].fields)
    t.true(find(report, "deepmon_container_memory", container_name=container.name), "its memory is told")


def busy_container(t):
    container = t.enter(Container())
    container.run(lambda: [burn_ns(1_000_000_000) for _ in iter(int, 1)])
    return container


def test_a_proc_that_shows_processes_alone(t):
    """subset=pid: /proc/cgroups, /proc/cpuinfo and /proc/sys are hidden."""
    host.require_bpf()
    container = busy_container(t)
    report, lines = once(t, unshared("mount -t proc -o subset=pid proc /proc"), *PROPORTIONAL)
    check_told(t, report, container)
    t.true([p for p in find(report, "deepmon_container_memory", container_name=container.name)
            if p.fields.get("rss_bytes", 0) > 0], "RSS is told", report)
    t.equal([line for line in lines if "ProcRoot" in line or "CgroupRoot" in line], [], "lines about /proc and cgroups")


def test_no_proc_where_it_is_said_to_be(t):
    host.require_bpf()
    container = busy_container(t)
    report, lines = once(t, [], "--proc-root", "/nowhere", *PROPORTIONAL)
    check_told(t, report, container)
    t.equal([point for point in report if "rss_bytes" in point.fields], [], "points with RSS")
    t.note(t.one_line(lines, "ProcRoot", "/nowhere", "RSS, PSS and USS are left out"))


def test_processes_that_are_hidden(t):
    """hidepid=2, for one who is not root and may not look into others' processes."""
    host.require_bpf()
    container = busy_container(t)
    directory = t.enter(tempfile.TemporaryDirectory(prefix="deepmon-test-", dir="/tmp"))  # where others may look
    os.chmod(directory, 0o755)
    binary = shutil.copy(t.built("deepmon-execd"), directory)
    few = [name for name in ALL if name != "CAP_SYS_PTRACE"]
    command = [*unshared("mount -t proc -o hidepid=2 proc /proc"), *as_nobody(few)]
    done = subprocess.run([*map(str, command), binary, "--once", "--interval", "2", *PROPORTIONAL],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    lines = done.stderr.decode(errors="replace").splitlines()
    t.equal(done.returncode, 0, f"status ({lines})")
    report = parse(done.stdout.decode())
    check_told(t, report, container)
    t.equal([point for point in report if point.tags.get("container_name") == container.name
             and "rss_bytes" in point.fields], [], "RSS of another's processes: absent, and not 0")
    t.note(t.one_line(lines, "ProportionalMemory", "CAP_SYS_PTRACE"))
