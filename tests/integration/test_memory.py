# SPDX-License-Identifier: GPL-3.0-only
"""The whole collector under valgrind, in both front ends: no read of what was never written, no byte lost."""

import subprocess

from stage import host
from stage.collectd import Collectd
from stage.execd_parent import command_line
from stage.process import find_program, wait_until
from stage.rapl import RaplSim

from support import csv, sysroot_options

# libbpf sets those bytes of an attribute that its command uses; the kernel looks at no others.
LIBBPFS_OWN = "Syscall param bpf(attr->"


def valgrind(log):
    return [find_program("valgrind", "valgrind", "valgrind"), "--leak-check=full", "--num-callers=40",
            "--show-leak-kinds=definite,possible", f"--log-file={log}"]


def findings(log):
    """Each error and leak with its trace."""
    lines = [line.split("== ", 1)[-1] if "== " in line else "" for line in log.read_text().splitlines()]
    return [block for block in "\n".join(lines).split("\n\n")
            if " at 0x" in block and not block.startswith(LIBBPFS_OWN)]


def simulated_options(t):
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), domains="package,core,dram,psys"))
    return sysroot_options(simulator.root)


def test_execd_once(t):
    host.require_bpf()
    log = t.state / "valgrind.log"
    done = subprocess.run([*valgrind(log), t.built("deepmon-execd"), "--once",
                           *command_line(simulated_options(t))],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=100, check=False)
    t.equal(done.returncode, 0, f"its status ({done.stderr.decode(errors='replace')})")
    t.true(b"deepmon_zone_energy" in done.stdout, "it printed a sample")
    t.true("HEAP SUMMARY" in log.read_text(), f"valgrind came to its end: see {log}")
    t.equal(findings(log), [], "errors and leaks")


class CheckedCollectd(Collectd):
    """Under valgrind."""

    start_seconds = 60
    stop_seconds = 60

    @property
    def valgrind_log(self):
        return self.state / "valgrind.log"

    def command(self):
        return [*valgrind(self.valgrind_log), *super().command()]


def test_collectd_plugin(t):
    """What collectd itself leaves behind is not ours: only what has our plugin in its trace counts."""
    host.require_bpf()
    more, directory = csv(t)
    options = simulated_options(t) | {"ProportionalMemory": "on", "ProportionalMemoryInterval": 0.5}
    daemon = t.enter(CheckedCollectd(t.state / "collectd", t.built("deepmon.so"), options, interval=1, more=more))
    wait_until(lambda: list(directory.glob("*/deepmon-zone-package-0/power*")), 60, "values in collectd")
    t.equal(daemon.stop(), 0, "exit status of collectd")
    t.true("HEAP SUMMARY" in daemon.valgrind_log.read_text(), "valgrind came to its end")
    t.equal([block for block in findings(daemon.valgrind_log) if "deepmon" in block], [], "errors and leaks")
