# SPDX-License-Identifier: GPL-3.0-only
"""What a sample costs in user space, by the number of containers, beside collectd's own cgroups plugin."""

import contextlib
import hashlib
import json
import os
import select
import statistics
import time
from pathlib import Path

from stage import cgroups, host
from stage.collectd import Collectd
from stage.execd_parent import ExecdParent
from stage.process import StageError
from stage.rapl import RaplSim
from stage.tmux import Terminal

from .figures import Table

ACTIVE = 50
BURN_NS = 1_000_000  # of each active container between two samples
SAMPLES = 8  # idle and active each, of one deepmon-execd
READS = 4  # of one collectd
SCREEN = (140, 45)  # columns and lines of deepmon-top's
REFRESHES = 12  # of it, one a second
ANSWER_SECONDS = 30


def cpu_ns(pid):
    """CPU time of all threads of a process."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise StageError(f"/proc/{pid}/status has no VmRSS")


def burn_when_asked(asked, done):
    while os.read(asked, 1):
        cgroups.burn_ns(BURN_NS)
        os.write(done, b".")


def visit(directories):
    for directory in directories:
        cgroups.join(directory)
        time.sleep(1e-6)


class Containers:
    """Cgroups as Docker with systemd makes them, with the files that name them, and processes in some."""

    def __init__(self, docker_root):
        self.docker_root = Path(docker_root)
        self.top = cgroups.Cgroup()
        self.children = []
        self.asked = []
        self.done = None

    def __enter__(self):
        self.top.__enter__()
        self.done = os.pipe()
        return self

    def __exit__(self, *_):
        for child in self.children[:len(self.asked)]:
            child.end_processes()
        self.top.remove()
        for fd in (*self.asked, *self.done):
            os.close(fd)

    def grow(self, count):
        """Up to that many; the first ACTIVE get a process each."""
        for number in range(len(self.children), count):
            self.children.append(self.make(number))
            if number < ACTIVE:
                self.asked.append(self.start(self.children[-1]))

    def make(self, number):
        identity = hashlib.sha256(f"{os.getpid()} {number}".encode()).hexdigest()
        directory = self.docker_root / "containers" / identity
        directory.mkdir(parents=True)
        (directory / "config.v2.json").write_text(json.dumps(
            {"ID": identity, "Name": f"/bench-{number}", "Config": {"Image": "registry.example/bench:1.2"}}))
        return self.top.child(f"docker-{identity}.scope")

    def start(self, child):
        read_end, write_end = os.pipe()

        def burn():
            os.close(write_end)
            burn_when_asked(read_end, self.done[1])

        child.run(burn)
        os.close(read_end)
        return write_end

    def visit_all(self):
        """A process runs in each for a moment, so that each has used something."""
        pid = self.top.run(visit, [child.directory for child in self.children])
        os.waitpid(pid, 0)
        self.top.processes.remove(pid)

    def burn(self):
        """Each active one uses its millisecond; returns when all have."""
        for fd in self.asked:
            os.write(fd, b".")
        missing = len(self.asked)
        while missing:
            if not select.select([self.done[0]], [], [], ANSWER_SECONDS)[0]:
                raise StageError(f"{missing} containers did not burn within {ANSWER_SECONDS} s")
            missing -= len(os.read(self.done[0], missing))


class Sampler:
    """deepmon-execd that takes a sample when it is asked to, and none besides."""

    def __init__(self, build, containers, arguments=()):
        self.containers = containers
        self.execd = ExecdParent(
            host.built(build, "deepmon-execd"),
            ["--sample-interval", "60", "--docker-root", containers.docker_root, "--max-containers", "65536",
             *arguments],
            signal="STDIN", ticking=False)

    def __enter__(self):
        self.execd.__enter__()
        try:
            self.sample()
            self.containers.visit_all()
            self.sample()
            self.check()
        except BaseException:
            self.execd.stop()
            raise
        return self

    def __exit__(self, *_):
        self.execd.stop()

    @property
    def pid(self):
        return self.execd.process.pid

    def check(self):
        named = sum(line.startswith("deepmon_container,") and "container_name=bench-" in line
                    for line in self.execd.batches[-1].lines)
        if named < len(self.containers.children):
            raise StageError(f"deepmon-execd names {named} of {len(self.containers.children)} containers")

    def sample(self):
        """Its CPU time for one sample and for writing it, in ms."""
        before = cpu_ns(self.pid)
        batches = len(self.execd.batches)
        self.execd.tick()
        self.execd.wait_for_batches(batches + 1, ANSWER_SECONDS)
        return (cpu_ns(self.pid) - before) / 1e6


class SampleBench:
    def __init__(self, build, state, figures, say):
        self.build = build
        self.state = Path(state)
        self.figures = figures
        self.say = say
        self.bare_ms = 0
        self.counts = []

    def run(self, rounds):
        """rounds: {number of containers: how many rounds}."""
        self.counts = list(rounds)
        with Containers(self.state / "docker") as containers:
            for count, times in rounds.items():
                containers.grow(count)
                for number in range(times):
                    self.say(f"samples of {count} containers, round {number + 1} of {times}")
                    self.measure_ours(containers)
                    self.measure_theirs(count)
                if count == 1000:
                    self.measure_with_energy(containers)
                    self.say(f"deepmon-top's screen of {count} containers")
                    self.measure_screen(containers)
        self.report()

    def measure_ours(self, containers, arguments=(), suffix="", samples=SAMPLES):
        count, active = len(containers.children), len(containers.asked)
        with Sampler(self.build, containers, arguments) as sampler:
            idle, busy = (self.figures.figure(f"sample_cpu_ms_{count}_{n}{suffix}", "ms",
                                              2 if (count, n, suffix) == (1000, ACTIVE, "") else None)
                          for n in (0, active))
            for _ in range(samples):
                idle.values.append(sampler.sample())
                containers.burn()
                busy.values.append(sampler.sample())
            if not suffix:
                name, most = ("rss_mib", 16) if count == 1000 else (f"rss_mib_{count}", None)
                self.figures.figure(name, "MiB", most).values.append(resident_mib(sampler.pid))

    def measure_with_energy(self, containers):
        """Where there is no RAPL every container has half of its figures only: simulated, it has all."""
        with RaplSim(self.state / "rapl", host.built(self.build, "rapl-sim"), domains="package,dram") as rapl:
            self.measure_ours(containers, ["--sys-root", str(rapl.root), "--cgroup-root", "/sys/fs/cgroup"],
                              "_energy")

    def measure_screen(self, containers):
        """What of a CPU deepmon-top takes at one refresh a second, the measuring included."""
        count = len(containers.children)
        percent = self.figures.figure(f"top_cpu_percent_{count}", "%", 3)
        command = [host.built(self.build, "deepmon-top"), "--interval", "1", "--docker-root", containers.docker_root,
                   "--max-containers", "65536", "--filter", "name:bench-"]
        with Terminal(command, *SCREEN) as terminal:
            terminal.wait_for("every 1 s", ANSWER_SECONDS)
            containers.visit_all()
            terminal.wait_for(f"Sum of {count} ", ANSWER_SECONDS)
            pid = terminal.pid("deepmon-top")
            for _ in range(REFRESHES):
                before, began = cpu_ns(pid), time.monotonic()
                containers.burn()
                time.sleep(max(0, began + 1 - time.monotonic()))
                percent.values.append((cpu_ns(pid) - before) / 1e7 / (time.monotonic() - began))
            self.figures.figure(f"top_rss_mib_{count}", "MiB").values.append(resident_mib(pid))

    def measure_theirs(self, count):
        """collectd with its cgroups plugin alone, less a collectd with no read plugin at all."""
        _, v1 = cgroups.cpu_hierarchy()
        figure = self.figures.figure(f"cgroups_plugin_cpu_ms_{count}", "ms")
        if not v1:
            figure.why = "collectd's cgroups plugin reads cpuacct of cgroup v1, which this host has not"
            return
        if not figure.values:
            self.bare_ms = statistics.median(self.collectd_ms(""))
        figure.values += [ms - self.bare_ms for ms in self.collectd_ms("LoadPlugin cgroups")]

    def collectd_ms(self, more):
        """CPU time in ms of each second, in which it reads once."""
        with Collectd(self.state / "collectd", interval=1, more=more) as collectd:
            pid = collectd.process.pid
            time.sleep(0.5)  # in the middle between two reads
            found, before = [], cpu_ns(pid)
            start = time.monotonic()
            for number in range(READS):
                time.sleep(max(0, start + number + 1 - time.monotonic()))
                now = cpu_ns(pid)
                found.append((now - before) / 1e6)
                before = now
            return found

    def ratios(self):
        """Of 1,000 containers' samples and the plugin's reads, the medians of each round."""
        ours, theirs = (self.figures.all[name].values if name in self.figures.all else []
                        for name in (f"sample_cpu_ms_1000_{ACTIVE}", "cgroups_plugin_cpu_ms_1000"))
        median = statistics.median
        return [median(ours[n * SAMPLES:][:SAMPLES]) / median(theirs[n * READS:][:READS])
                for n in range(len(theirs) // READS)]

    def report(self):
        figures = self.figures
        figures.add("sample_vs_cgroups_plugin_1000", "ratio", self.ratios())
        rows = []
        for count in self.counts:
            active = f"sample_cpu_ms_{count}_{min(count, ACTIVE)}"
            names = (f"sample_cpu_ms_{count}_0", active, f"{active}_energy", f"cgroups_plugin_cpu_ms_{count}",
                     "rss_mib" if count == 1000 else f"rss_mib_{count}")
            rows.append([str(count), *map(figures.text, names)])
        figures.tables.append(Table(
            "One sample: ms of CPU time, median (least..most). deepmon-execd writes it as line protocol; "
            "collectd hands it to no writer.",
            ["containers", "all idle", f"{ACTIVE} active", "with simulated energy",
             "collectd's cgroups plugin", "resident MiB"], rows))
