# SPDX-License-Identifier: GPL-3.0-only
"""Agents that are killed, again and again: nothing of deepmon is left behind. ENDINGS=5 for fewer of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from stage import host, leftovers
from stage.cgroups import hierarchies
from stage.collectd import Collectd
from stage.execd_parent import command_line
from stage.process import children_of, wait_until

ENDINGS = int(os.environ.get("ENDINGS") or 50)

# Where there are no counters of the hardware, this one is the kernel's own.
COUNTERS = {"CyclesEvent": "cpu-clock"}

MODES = ["none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2"]

# An agent that starts deepmon-execd as Telegraf does and reads what it writes.
AGENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
print(child.pid, flush=True)
while child.stdout.readline():
    pass
"""


def cgroups_of_ours():
    """Those that go by deepmon's name, but for what tests make."""
    return {path for root in hierarchies() for path in root.glob("**/deepmon*")
            if not path.name.startswith(("deepmon-test-", "deepmon-run-"))}


def check_all_gone(t, pid, held, what):
    t.true({kind for kind, _ in held} >= {"prog_id", "map_id", "link_id"}, f"{what}: what it held", held)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, f"{what}: the end of process {pid}")
    # The kernel frees them a little later.
    wait_until(lambda: not leftovers.remaining(held), 10,
               lambda: f"{what}: the end of {sorted(leftovers.remaining(held))}")


def test_collectd_is_killed(t):
    host.require_bpf()
    daemon = Collectd(t.state / "collectd", t.built("deepmon.so"), COUNTERS, interval=1)
    total, cgroups = 0, cgroups_of_ours()
    for turn in range(ENDINGS):
        with daemon:
            pid = daemon.process.pid
            held = wait_until(lambda: leftovers.held_by(pid), 10, "programs of deepmon in collectd")
            total += len(held)
            t.equal(children_of(pid), {}, "processes that it started")
            t.true(leftovers.perf_events_of(pid), "performance counters that it has open")
            daemon.process.kill()
            t.equal(daemon.process.wait(10), -signal.SIGKILL, "how it ended")
        check_all_gone(t, pid, held, f"end {turn + 1} of collectd")
    t.equal(cgroups_of_ours(), cgroups, "cgroups")
    t.note(f"{ENDINGS} times, {total} programs, maps and links")


def start_parent(t, mode):
    """An agent that has deepmon-execd running; and its process, the pid of the latter, and what that holds."""
    # The report that the agent waits for comes by itself in one mode only.
    agent = AGENT if mode == "none" else AGENT.replace("child.stdout.readline()\n", "", 1)
    parent = t.enter(subprocess.Popen([sys.executable, "-c", agent, t.built("deepmon-execd"), "--signal", mode,
                                       "--interval", "0.2", *command_line(COUNTERS)], stdout=subprocess.PIPE))
    t.stack.callback(parent.kill)
    return parent, int(parent.stdout.readline())


def held_by_execd(pid):
    def all_kinds():
        found = leftovers.held_by(pid)
        return {kind for kind, _ in found} >= set(leftovers.OPEN) and found

    return wait_until(all_kinds, 20, f"programs of process {pid}")


def test_the_parent_of_execd_is_killed(t):
    """One for each of Telegraf's signals at a time."""
    host.require_bpf()
    total, cgroups = 0, cgroups_of_ours()
    for _ in range(0, ENDINGS, len(MODES)):
        parents = {mode: start_parent(t, mode) for mode in MODES}
        held = {mode: held_by_execd(pid) for mode, (_, pid) in parents.items()}
        for mode, (parent, pid) in parents.items():
            total += len(held[mode])
            t.true(leftovers.perf_events_of(pid), f"{mode}: performance counters that it has open")
            parent.kill()
            parent.wait()
        for mode, (_, pid) in parents.items():
            check_all_gone(t, pid, held[mode], f"end with --signal {mode}")
    t.equal(cgroups_of_ours(), cgroups, "cgroups")
    t.note(f"{ENDINGS} times, {total} programs, maps and links")
