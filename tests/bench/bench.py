#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""What deepmon costs, beside what it is compared with: all in one run, in turn, medians and spread.

Not a test: it ends with 0 whatever the figures are. They go to build/bench.tsv, a row each: name, value,
unit, goal. Environment: BENCH_SECONDS (0.3, of each ping-pong), ROUNDS (5), README=1 (writes the tables into
README.md), BUILD (build).
"""

import os
import shutil
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests"))

from bench.calls import measure_calls  # noqa: E402
from bench.figures import Figures  # noqa: E402
from bench.network import NetworkBench  # noqa: E402
from bench.samples import SampleBench  # noqa: E402
from bench.switches import Games, Reference, SwitchBench, leave_cpu, measure_loss  # noqa: E402
from stage import host  # noqa: E402
from stage.process import Skip, StageError, Stopped, children_of, stop_on_signals  # noqa: E402

# What is at sched_switch: how it comes there, and its arguments. {siblings} is a /sys in which every two
# CPUs are one core, {cgroups} this host's cgroups.
NO_COUNTERS = ["--cycles-event", "none", "--instructions-event", "none",
               "--cache-references-event", "none", "--cache-misses-event", "none"]
VARIANTS = {
    "none": ("none", []),
    "empty": ("reference", ["empty"]),
    "copy_shape": ("reference", ["copy_shape"]),
    "four_reads": ("reference", ["four_reads"]),
    "deepmon": ("deepmon", ["--smt-overlap", "off", *NO_COUNTERS]),
    "deepmon_smt": ("deepmon", ["--sys-root", "{siblings}", "--cgroup-root", "{cgroups}", *NO_COUNTERS]),
    "deepmon_counters": ("deepmon", ["--smt-overlap", "off"]),
}
# Where the host has no PMU these are counted in place of the hardware's four.
SOFTWARE_COUNTERS = ["--cycles-event", "cpu-clock", "--instructions-event", "task-clock",
                     "--cache-references-event", "page-faults", "--cache-misses-event", "context-switches"]

SAMPLE_ROUNDS = {10: 1, 100: 1, 1000: 3, 5000: 1}  # containers: rounds
LOSS_GAMES_PER_ROUND = 2
NETWORK_ROUNDS_PER_ROUND = 2


def setting(name, preset, convert):
    text = os.environ.get(name) or preset
    try:
        value = convert(text)
    except ValueError:
        value = 0
    if not 0 < value <= 60:
        raise StageError(f"{name}={text}: a number above 0 and up to 60 is wanted")
    return value


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def make_siblings(root):
    """A /sys whose CPUs are two to a core, for a host that has no SMT."""
    for cpu in range(os.cpu_count()):
        directory = root / f"devices/system/cpu/cpu{cpu}/topology"
        directory.mkdir(parents=True)
        pair = f"{cpu & ~1}-{cpu | 1}\n"
        for name, text in (("physical_package_id", "0\n"), ("core_id", f"{cpu // 2}\n"),
                           ("thread_siblings_list", pair), ("core_cpus_list", pair)):
            (directory / name).write_text(text)
    for name in ("online", "possible", "present"):
        (root / "devices/system/cpu" / name).write_text(f"0-{os.cpu_count() - 1}\n")
    return root


def has_pmu(build):
    with Reference(build, "four_reads") as reference:
        return reference.counted == "hardware"


def variants(build, state):
    """Those of the table above, made for this host."""
    places = {"siblings": make_siblings(state / "siblings"), "cgroups": "/sys/fs/cgroup"}
    found = {name: (how, [word.format(**places) for word in arguments])
             for name, (how, arguments) in VARIANTS.items()}
    if not has_pmu(build):
        found["deepmon_counters"][1].extend(SOFTWARE_COUNTERS)
    return found


def machine():
    """One line: what this ran on, and when."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    virtual = any(line.startswith("flags") and " hypervisor" in line for line in lines)
    model = models[0] if models else os.uname().machine
    return (f"{time.strftime('%Y-%m-%d')}, {model}, {os.cpu_count()} {'virtual ' if virtual else ''}CPUs, "
            f"Linux {os.uname().release}")


def run(build, seconds, rounds):
    state = build / "bench"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    figures = Figures()
    cpus = os.sched_getaffinity(0)
    with Games(build, seconds) as games:
        leave_cpu(games.cpu)
        SwitchBench(games, figures, variants(build, state)).run(rounds, say)
        measure_loss(games, figures, rounds * LOSS_GAMES_PER_ROUND, say)
        measure_calls(build, seconds, figures, rounds, say)
        if games.others.seen:
            figures.notes.append(f"{games.others.seen} ping-pongs of this run were disturbed by other work "
                                 "on this host.")
    os.sched_setaffinity(0, cpus)
    NetworkBench(build, state, figures, say).run(rounds * NETWORK_ROUNDS_PER_ROUND)
    SampleBench(build, state, figures, say).run(SAMPLE_ROUNDS)
    return figures


def main():
    stop_on_signals()
    start = time.monotonic()
    try:
        build = Path(os.environ.get("BUILD") or SOURCE / "build").absolute()
        seconds, rounds = setting("BENCH_SECONDS", "0.3", float), setting("ROUNDS", "5", int)
        host.require_bpf()
        figures = run(build, seconds, rounds)
    except Stopped as stopped:
        say(f"stopped by {stopped}")
        return 128 + stopped.number
    except (Skip, StageError, OSError) as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    intro = f"`make bench` of {machine()}; {rounds} rounds."
    print(f"{intro}\n\n{figures.plain()}")
    figures.write_rows(build / "bench.tsv")
    if os.environ.get("README", "") not in ("", "0"):
        figures.write_readme(SOURCE / "README.md", intro)
    say(f"took {time.monotonic() - start:.0f} s; every figure is in {build / 'bench.tsv'}")
    left = children_of(os.getpid())
    if left:
        print("bench: still running: " + ", ".join(f"{name} ({pid})" for pid, name in left.items()),
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
