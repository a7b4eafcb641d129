#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""The whole way on real daemons: from what runs on this host to a table of its CPU, watts and joules.

Starts an InfluxDB, a collectd with our plugin and a deepmon-execd under a stand-in for Telegraf, and
shows what InfluxDB has of both paths. Environment: ROUNDS (0: until Ctrl-C), SIMULATE_RAPL=1,
WITH_DOCKER=1, BUILD (build).
"""

import contextlib
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests"))

from stage import host  # noqa: E402
from stage.collectd import Collectd  # noqa: E402
from stage.dockerd import Docker, Dockerd  # noqa: E402
from stage.execd_parent import ExecdParent, command_line  # noqa: E402
from stage.influxd import Influxd  # noqa: E402
from stage.process import Skip, StageError, Stopped, children_of, stop_on_signals  # noqa: E402
from stage.rapl import RaplSim  # noqa: E402

INTERVAL = 2  # seconds, of both agents and of the table
FIRST_ROWS_SECONDS = 20
RECENT = "8s"  # what is older than this has ended
ROWS = 15
NAME_WIDTH = 34
PATHS = ("execd", "collectd")
TOTALS = {"container": "all containers", "system": "all system services", "kernel": "kernel",
          "idle": "idle", "other": "other", "unattributed": "unattributed"}
SPIN = ("sh", "-c", "while :; do :; done")


@dataclass
class Settings:
    build: Path
    rounds: int
    simulate: bool
    docker: bool

    @classmethod
    def from_environment(cls):
        rounds = os.environ.get("ROUNDS") or "0"
        if not rounds.isdigit():
            raise StageError(f"ROUNDS={rounds}: a whole number is wanted, 0 to go on until Ctrl-C")
        return cls(Path(os.environ.get("BUILD") or SOURCE / "build").absolute(), int(rounds),
                   is_on("SIMULATE_RAPL"), is_on("WITH_DOCKER"))


def is_on(variable):
    return os.environ.get(variable, "") not in ("", "0", "no", "false")


# ---- What runs ----------------------------------------------------------------------------------


class Demo:
    """Everything that was started, all of it in one stack."""

    def __init__(self, settings, stack):
        self.settings = settings
        self.stack = stack
        self.state = settings.build / "demo"
        self.options = {}  # of deepmon, by their collectd names
        self.intro = []
        self.influx = self.collectd = self.execd = None

    def start(self):
        execd, plugin = (host.built(self.settings.build, name) for name in ("deepmon-execd", "deepmon.so"))
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        self.say(f"deepmon demo: state and logs are in {self.state}")
        self.say(f"It ends by itself after {self.settings.rounds} rounds." if self.settings.rounds
                 else "Ctrl-C stops everything that it started.")
        self.influx = self.stack.enter_context(
            Influxd(self.state / "influxd", SOURCE / "collectd-plugin" / "types.db"))
        self.start_energy()
        if self.settings.docker:
            self.start_containers()
        self.collectd = self.stack.enter_context(
            Collectd(self.state / "collectd", plugin, self.options, interval=INTERVAL,
                     network_port=self.influx.collectd_port, hostname="demo"))
        self.execd = self.stack.enter_context(
            ExecdParent(execd, command_line(self.options), interval=INTERVAL, forward=self.influx.write,
                        log=self.state / "execd.log"))
        self.say(f"InfluxDB listens on http://127.0.0.1:{self.influx.http_port} "
                 "(databases deepmon and collectd).")
        self.say(f"On a screen: {self.settings.build}/deepmon-top --influx http://127.0.0.1:{self.influx.http_port} "
                 "--influx-database deepmon")

    def say(self, line):
        self.intro.append(line)
        print(line, flush=True)

    def start_energy(self):
        if self.settings.simulate:
            simulator = self.stack.enter_context(
                RaplSim(self.state / "rapl", host.built(self.settings.build, "rapl-sim")))
            self.options |= {"SysRoot": str(simulator.root), "CgroupRoot": "/sys/fs/cgroup"}
        elif not host.has_rapl():
            self.say("This host has no RAPL that can be read (no zone under /sys/class/powercap): the energy "
                     "columns stay empty. SIMULATE_RAPL=1 shows simulated ones.")

    def start_containers(self):
        """Two small ones, by the Docker daemon that runs here or else by one of our own."""
        docker = Docker()
        if docker.running():
            self.stack.callback(docker.clean)
            docker.make_image()
            self.options |= {"DockerRoot": docker.cli("info", "--format", "{{.DockerRootDir}}")}
        else:
            daemon = self.stack.enter_context(Dockerd(self.state / "dockerd"))
            docker = daemon.docker
            self.options |= {"DockerRoot": str(daemon.data_root), "DockerSocket": str(daemon.socket)}
        docker.run("busy", *SPIN)
        docker.run("half", *SPIN, cpus=0.5)
        self.say("Two containers spin: busy with all of a CPU, half held to 50 % of one.")

    def check(self):
        """StageError if one of the two paths has ended."""
        for name, process, words in (
                ("deepmon-execd", self.execd.process, self.execd.stderr_lines[-3:]),
                ("collectd", self.collectd.process, self.collectd.log()[-3:])):
            if process.poll() is not None:
                raise StageError(f"{name} ended with status {process.returncode}: {' / '.join(words)}")


# ---- What InfluxDB has --------------------------------------------------------------------------


@dataclass
class Figures:
    """Of one group on one path; None is what was not measured."""
    percent: float = None
    watts: float = None
    joules: float = None


class Readings:
    """The latest figures of both paths: {(entity, name): {path: Figures}}."""

    def __init__(self, influx):
        self.groups = {}
        self.sources = set()  # of energy, as the tags say
        self.read_execd(influx)
        self.read_collectd(influx)

    def figures(self, path, entity, name):
        # collectd writes / as _ in its identifiers: the paths meet under that name.
        group = self.groups.setdefault((entity, name.replace("/", "_")), {})
        return group.setdefault(path, Figures())

    def read_execd(self, influx):
        for entity, tag in (("container", "container_name"), ("system", "cgroup"), ("total", "kind")):
            for row in influx.query(f"SELECT last(cpu_usage_percent) AS percent FROM deepmon_{entity} "
                                    f"WHERE time > now() - {RECENT} GROUP BY {tag}"):
                self.figures("execd", entity, row.get(tag) or "?").percent = row["percent"]
            for row in influx.query(f"SELECT last(power_watts) AS watts, last(energy_joules) AS joules "
                                    f"FROM deepmon_{entity}_energy WHERE time > now() - {RECENT} "
                                    f"AND domain = 'package' GROUP BY {tag}, source"):
                figures = self.figures("execd", entity, row.get(tag) or "?")
                figures.watts, figures.joules = row["watts"], row["joules"]
                self.sources.add(row["source"])

    def read_collectd(self, influx):
        types = {"deepmon_cpu_percent": "percent", "power": "watts", "energy": "joules"}
        for row in influx.query("SELECT last(value) AS value FROM deepmon_value "
                                f"WHERE time > now() - {RECENT} AND type =~ /^({'|'.join(types)})$/ "
                                "GROUP BY instance, type, type_instance",
                                "collectd"):
            entity, _, name = row["instance"].partition("-")
            domain, _, source = row.get("type_instance", "").partition("-")
            if entity not in ("container", "system", "total") or domain not in ("", "package"):
                continue
            setattr(self.figures("collectd", entity, name), types[row["type"]], row["value"])
            if source:
                self.sources.add(source)

    def has(self, path):
        """Whether that path has brought a percentage."""
        return any(path in group and group[path].percent is not None for group in self.groups.values())

    def top(self, count):
        """The groups that use most, busiest first."""
        def use(item):
            return max(figures.percent or 0 for figures in item[1].values())

        groups = [item for item in self.groups.items() if item[0][0] in ("container", "system")]
        return sorted(groups, key=use, reverse=True)[:count]


# ---- The table ----------------------------------------------------------------------------------


def cell(value, digits, width):
    return f"{value:{width}.{digits}f}" if value is not None else " " * width


def row(name, group):
    cells = []
    for path in PATHS:
        figures = group.get(path, Figures())
        cells.append(cell(figures.percent, 1, 8) + cell(figures.watts, 2, 9) + cell(figures.joules, 1, 11))
    if len(name) > NAME_WIDTH:
        name = name[:NAME_WIDTH - 1] + "…"
    return (name.ljust(NAME_WIDTH) + " |".join(cells)).rstrip()


def energy_line(sources):
    if not sources:
        return "Energy: none was measured."
    named = ", ".join(f'"{source}"' for source in sorted(sources))
    if "simulated" in sources:
        return f"Energy: SIMULATED, no watt or joule here was measured (source tag read back: {named})."
    return f"Energy: of the packages (source tag read back: {named})."


def table(readings, round_number, rows):
    """The lines of one round."""
    column = f"{'CPU %':>8}{'watts':>9}{'joules':>11}"
    lines = [f"Round {round_number}, read back from InfluxDB at {time.strftime('%H:%M:%S')}",
             energy_line(readings.sources),
             " " * NAME_WIDTH + " |".join(path.rjust(len(column)) for path in PATHS),
             "container, or system service".ljust(NAME_WIDTH) + " |".join([column] * len(PATHS))]
    lines += [row(name if entity == "container" else f"({name})", group)
              for (entity, name), group in readings.top(rows)]
    lines.append("-" * len(lines[3]))
    lines += [row(title, readings.groups[("total", kind)]) for kind, title in TOTALS.items()
              if ("total", kind) in readings.groups]
    return lines


class Screen:
    """Redraws on a terminal; elsewhere each round follows the one before."""

    def __init__(self, intro):
        self.intro = intro
        self.terminal = sys.stdout.isatty()

    def rows(self):
        """How many fit besides the intro, the header and the totals."""
        if not self.terminal:
            return ROWS
        height = shutil.get_terminal_size().lines
        return max(3, min(ROWS, height - len(self.intro) - len(TOTALS) - 7))

    def show(self, lines):
        if self.terminal:
            print("\x1b[H\x1b[J" + "\n".join([*self.intro, "", *lines]), flush=True)
        else:
            print("\n" + "\n".join(lines), flush=True)


def first_readings(demo):
    """Waits until both paths have brought something."""
    deadline = time.monotonic() + FIRST_ROWS_SECONDS
    while True:
        demo.check()
        readings = Readings(demo.influx)
        missing = [path for path in PATHS if not readings.has(path)]
        if not missing:
            return
        if time.monotonic() > deadline:
            raise StageError(f"nothing of {' and '.join(missing)} came to InfluxDB within "
                             f"{FIRST_ROWS_SECONDS} s: see the logs in {demo.state}")
        time.sleep(0.3)


def run(settings, stack):
    demo = Demo(settings, stack)
    demo.start()
    first_readings(demo)
    screen = Screen(demo.intro)
    number = 0
    while not settings.rounds or number < settings.rounds:
        if number:
            time.sleep(INTERVAL)
        number += 1
        demo.check()
        screen.show(table(Readings(demo.influx), number, screen.rows()))
    if demo.execd.rejected:
        raise StageError(f"InfluxDB rejected {demo.execd.rejected} lines of deepmon-execd: "
                         f"{demo.execd.errors[0]}")


def main():
    stop_on_signals()
    status = 0
    try:
        with contextlib.ExitStack() as stack:
            try:
                run(Settings.from_environment(), stack)
            finally:
                print("\nStopping everything...", flush=True)
    except Stopped:
        pass
    except (Skip, StageError, OSError) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        status = 1
    left = children_of(os.getpid())
    if left:
        print("demo: still running: " + ", ".join(f"{name} ({pid})" for pid, name in left.items()),
              file=sys.stderr)
        return 1
    print("Nothing is left running.")
    return status


if __name__ == "__main__":
    sys.exit(main())
