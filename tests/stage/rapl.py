# SPDX-License-Identifier: GPL-3.0-only
"""Simulated RAPL: build/rapl-sim, and the truth that it writes beside its counters."""

import bisect
import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from .process import Daemon, StageError


@dataclass
class RaplSim(Daemon):
    """A powercap tree in `root` that stands for /sys. `cgroups`: name -> directory, told of in the truth."""

    name = "rapl-sim"

    state: Path
    program: Path
    sockets: int = 1
    domains: str = "package,core,dram"
    idle_watts: float = 10
    busy_watts: float = 20
    period_ms: int = 50
    range_uj: int = None
    cgroups: dict = field(default_factory=dict)

    def __post_init__(self):
        super().__init__(self.state)
        self.root = self.state / "sys"
        self.truth_file = self.state / "truth.jsonl"

    def command(self):
        command = [self.program, "--root", self.root, "--truth", self.truth_file,
                   "--sockets", self.sockets, "--domains", self.domains,
                   "--idle-watts", self.idle_watts, "--busy-watts", self.busy_watts,
                   "--period-ms", self.period_ms]
        if self.range_uj is not None:
            command += ["--range-uj", self.range_uj]
        for name, directory in self.cgroups.items():
            command += ["--cgroup", f"{name}={directory}"]
        return command

    def prepare(self):
        if not Path(self.program).exists():
            raise StageError(f"{self.program} is missing: build it first (make)")
        self.output.unlink(missing_ok=True)

    def ready(self):
        return "ready" in self.output.read_text(errors="replace").split()

    def truth(self):
        """All that it has told so far."""
        return Truth.read(self.truth_file)


class Truth:
    """Totals over time, and what they were in between."""

    def __init__(self, records):
        self.records = records
        self.times = [record["time_ns"] for record in records]

    @classmethod
    def read(cls, path):
        lines = Path(path).read_text().split("\n")
        return cls([json.loads(line) for line in lines[:-1]])  # the last may be half written

    def at(self, time_ns, *path):
        """The total of records[path] at a CLOCK_REALTIME in ns, between the two lines around it."""
        right = bisect.bisect_left(self.times, time_ns)
        if right == 0 or right == len(self.times):
            raise StageError(f"the simulator's truth does not reach {time_ns}")
        before, after = (descend(self.records[index], path) for index in (right - 1, right))
        share = (time_ns - self.times[right - 1]) / (self.times[right] - self.times[right - 1])
        return before + share * (after - before)

    def between(self, start_ns, end_ns, *path):
        return self.at(end_ns, *path) - self.at(start_ns, *path)


def descend(record, path):
    for key in path:
        record = record[key]
    return record


class PackageTree:
    """A powercap tree of packages that each use 10 W, written by hand, so that a test can damage it."""

    STEP_SECONDS = 0.05
    STEP_UJ = 500_000
    RANGE_UJ = 262_143_328_850

    def __init__(self, root, packages=2, ranges_uj=None):
        """ranges_uj: {package: where its counter wraps}, of those that do not have RANGE_UJ."""
        self.root = Path(root)
        self.ranges_uj = dict.fromkeys(range(packages), self.RANGE_UJ) | (ranges_uj or {})
        self.energy_uj = dict.fromkeys(range(packages), 1_000_000_000)
        self.damaged = set()
        self.lock = threading.Lock()  # held while a counter is written
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def zone(self, package):
        return self.root / "class/powercap" / f"intel-rapl:{package}"

    def energy_file(self, package):
        return self.zone(package) / "energy_uj"

    def __enter__(self):
        for package, energy_uj in self.energy_uj.items():
            self.zone(package).mkdir(parents=True)
            (self.zone(package) / "name").write_text(f"package-{package}\n")
            (self.zone(package) / "max_energy_range_uj").write_text(f"{self.ranges_uj[package]}\n")
            self.energy_file(package).write_text(f"{energy_uj}\n")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def run(self):
        while not self.ending.wait(self.STEP_SECONDS):
            for package in self.energy_uj:
                with self.lock:
                    if package not in self.damaged:
                        self.energy_uj[package] += self.STEP_UJ
                        self.replace(package, f"{self.energy_uj[package]}\n")

    def jump(self, package, microjoules):
        """The counter is off by that from now on, and counts."""
        with self.lock:
            self.energy_uj[package] += microjoules
            self.replace(package, f"{self.energy_uj[package]}\n")

    def replace(self, package, text):
        """Readers see the old text or the new, never half of it."""
        aside = self.zone(package) / "aside"
        aside.write_text(text)
        os.replace(aside, self.energy_file(package))

    def say(self, package, text):
        """The counter says that from now on and counts no more."""
        self.stop_counting(package)
        self.replace(package, text)

    def make_unreadable(self, package):
        """A directory in its place: mode bits would not keep root out."""
        self.stop_counting(package)
        self.energy_file(package).unlink()
        self.energy_file(package).mkdir()

    def mend(self, package):
        if self.energy_file(package).is_dir():
            shutil.rmtree(self.energy_file(package))
        self.replace(package, f"{self.energy_uj[package]}\n")
        self.damaged.discard(package)

    def stop_counting(self, package):
        with self.lock:
            self.damaged.add(package)
