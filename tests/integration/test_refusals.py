# SPDX-License-Identifier: GPL-3.0-only
"""Memory, BPF's memory and descriptors refused, one after the other: build/tests/faults/refusals does it, under
address sanitizer, and holds each outcome against what it knows: nothing leaks, the whole closes, a failure is said.

By hand, each refusal and not some: REFUSALS_STEP=1; with more switched on, each takes longer:
REFUSALS_OPTIONS="Network=on HTTP=on Peers=3 Processes=3 FileIO=full ContainerFiles=3 ProportionalMemory=on".
"""

import os
import subprocess

from stage import host
from stage.cgroups import Container

from support import CPUS, SECOND, execd, growth

COUNTERS = ("Cycles", "Instructions", "CacheReferences", "CacheMisses")



def refuse(t, what, step):
    """The 1st is refused, then one STEP later and so on, each in a collector of its own, until none is left."""
    host.require_bpf()
    done = subprocess.run([t.built("tests/faults/refusals"), what, "1", os.environ.get("REFUSALS_STEP", str(step)),
                           t.state / "sys", "MaxCgroups=64", *(f"{counter}Event=none" for counter in COUNTERS),
                           *os.environ.get("REFUSALS_OPTIONS", "").split()],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=1400, check=False)
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    t.true(done.returncode == 0, f"nothing is wrong while {what} is refused",
           "\n          ".join(lines[-40:] or [f"status {done.returncode}"]))
    t.note(lines[-1])


def test_memory(t):
    refuse(t, "memory", step=41)


def test_bpf(t):
    refuse(t, "bpf", step=6)


def test_descriptors(t):
    refuse(t, "files", step=5)


def test_memory_max(t):
    """The kernel itself has no memory for a map: its cgroup may use less than MaxCgroups asks for."""
    host.require_bpf()
    container = t.enter(Container())
    container.limit_memory(24 << 20)
    join_all = 'for directory in $0; do echo 0 > "$directory/cgroup.procs"; done; exec "$@"'
    parent = execd(t, "--max-cgroups", "262144", interval=0.5,
                   prefix=["sh", "-c", join_all, " ".join(map(str, (container.directory, *container.others)))])
    parent.wait_for_batches(4, 20)
    t.note(t.one_line(parent.stderr_lines, "CPU accounting", "MaxCgroups", "memory"))
    first, last = parent.reports()[1], parent.reports()[-1]
    told = sum(growth(first, last, "deepmon_total", "cpu_time_ns", kind=kind)
               for kind in ("container", "system", "idle"))
    # Cgroups' files are read one after the other.
    t.within(told / SECOND, CPUS * (last[0].time_ns - first[0].time_ns) / SECOND, 0.05,
             "CPU seconds of all kinds, from cgroups' files")
