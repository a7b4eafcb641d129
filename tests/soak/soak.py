#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-execd with all that it can, for long, under churn: what grows, and how far its totals drift.

make soak SOAK_MINUTES=15. A line a minute, and at the end what is wrong, or that nothing is. Environment: SOAK_MINUTES
(5), SOAK_UNDER (nothing, asan: BUILD is built with it, valgrind), SOAK_PER_SECOND (10, containers that come
and go), README=1 (writes the table into README.md), BUILD (build).
"""

import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests/integration")]

from soak.judge import Drift, Figures, Found, verdict  # noqa: E402
from soak.load import Load  # noqa: E402
from stage import bpf_maps, host, tap  # noqa: E402
from stage.cgroups import below, cpu_hierarchy, read_usage_ns  # noqa: E402
from stage.execd_parent import ExecdParent  # noqa: E402
from stage.lineprotocol import find, parse_line  # noqa: E402
from stage.process import Skip, StageError, Stopped, find_program, open_files, resident_kib  # noqa: E402
from stage.process import stop_on_signals, wait_until  # noqa: E402
from stage.rapl import RaplSim  # noqa: E402
from support import one  # noqa: E402
from test_identity import Host  # noqa: E402
from test_memory import findings, valgrind  # noqa: E402

UNDER = ("nothing", "asan", "valgrind")
REPORT_SECONDS = 300  # for one, the first under valgrind
KEPT_SECONDS = 35  # a peer that is not used for 30 is let go
KEPT_EACH = 3  # entries of a map that one container leaves for so long
BEGIN, END = "<!-- generated: soak -->", "<!-- end -->"

ENDED = 64  # that are remembered

# All that it has, and bounds that are reached within seconds.
OPTIONS = ["--energy-source", "powercap", "--sample-interval", "0.5", "--processes", "5", "--max-processes", "1024",
           "--network", "on", "--http", "on", "--peers", "5", "--max-peers", "1024", "--file-io", "full",
           "--top-files", "5", "--container-files", "3", "--max-files", "256", "--max-ended", str(ENDED),
           "--proportional-memory", "on", "--proportional-memory-interval", "1", "--latency-buckets", "true",
           "--max-containers", "2048", "--max-units", "2048"]
# Zones that wrap every two minutes; under valgrind a sample may come seconds late.
WATTS = {"idle_watts": 40, "busy_watts": 60}
RANGE_UJ = 10_000_000_000
ASAN = "quarantine_size_mb=1:verify_asan_link_order=0"


def setting(name, preset, least, most):
    text = os.environ.get(name) or preset
    with contextlib.suppress(ValueError):
        if least <= float(text) <= most:
            return float(text)
    raise StageError(f"{name}={text}: a number from {least} to {most} is wanted")


@dataclass
class Plan:
    seconds: float
    under: str
    per_second: float
    period: float = 60  # from one line to the next
    quiet: float = KEPT_SECONDS  # after the load: what has ended is told of, and let go
    leak: int = 0  # bytes to lose, five times a second: for the test of this

    @property
    def warm_up(self):
        return min(60, max(4, self.seconds / 5))

    @property
    def kept(self):
        """Entries of a map that may be kept still after the quiet."""
        return KEPT_EACH * self.per_second * (KEPT_SECONDS - self.quiet)


def host_uj(points, domain):
    return sum(round(point.fields["energy_joules"] * 1e6) for point in find(points, "deepmon_host_energy", domain=domain))


class Soak:
    """deepmon-execd, its load, the simulator, and what is asked of them."""

    def __init__(self, t, plan):
        self.t = t
        self.plan = plan
        self.by_hand = Host(t)
        self.simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), period_ms=100,
                                         range_uj=None if plan.under == "valgrind" else RANGE_UJ, **WATTS))
        self.load = t.enter(Load(self.by_hand, t.state / "files", plan.per_second))
        self.heap_file = t.state / "heap"
        self.valgrind_log = t.state / "valgrind.log"
        options = [*self.by_hand.options(), "--sys-root", str(self.simulator.root), "--cgroup-root", "/sys/fs/cgroup"]
        self.parent = t.enter(ExecdParent(t.built("deepmon-execd"), [*options, *OPTIONS], signal="STDIN",
                                          ticking=False, log=t.state / "execd.log", prefix=self.prefix()))
        self.last_ns = {}  # by series: what was told last
        self.cpu_ns = 0  # what all of them have grown by
        self.root = cpu_hierarchy()[0]
        self.unclosed = []
        self.totals = {}

    def prefix(self):
        if self.plan.under == "valgrind":
            return valgrind(self.valgrind_log)
        return [find_program("env", None, "coreutils"), f"SOAK_HEAP={self.heap_file}", f"SOAK_LEAK={self.plan.leak}",
                f"ASAN_OPTIONS={ASAN}", f"LD_PRELOAD={self.t.built('tests/soak/heap.so')}"]

    @property
    def pid(self):
        return self.parent.process.pid

    # What deepmon tells.

    def report(self):
        """Asks for one and takes it in; its points."""
        del self.parent.batches[:]
        self.parent.tick()

        def whole():
            if self.parent.process.poll() is not None:
                raise StageError(f"deepmon-execd ended with status {self.parent.process.returncode}: "
                                 f"{' / '.join(self.parent.stderr_lines[-5:])}")
            lines = [line for batch in list(self.parent.batches) for line in batch.lines]
            return lines if lines and lines[-1].startswith("deepmon_self ") else None

        points = [parse_line(line) for line in wait_until(whole, REPORT_SECONDS, "a report", poll=0.01)]
        self.take_cpu(points)
        self.check_books(points)
        return points

    def take_cpu(self, points):
        for point in points:
            if point.measurement == "deepmon_container":
                ours = self.load.mark in point.fields.get("container_id", "")
            else:
                ours = (point.measurement == "deepmon_system"
                        and point.tags["cgroup"].startswith(self.by_hand.top.path[1:]))
            if ours and "cpu_time_ns" in point.fields:
                now, before = point.fields["cpu_time_ns"], self.last_ns.get(point.series, 0)
                self.last_ns[point.series] = now
                # Past MaxEnded one that has ended is forgotten, and begins anew when it comes back.
                self.cpu_ns += now - before if now >= before else now

    def check_books(self, points):
        """Parts are the whole, to the µJ; and no total goes back."""
        for domain in ("package", "core", "dram"):
            parts = {point.tags["kind"]: round(point.fields["energy_joules"] * 1e6)
                     for point in find(points, "deepmon_total_energy", domain=domain)}
            whole = host_uj(points, domain)
            if sum(parts.values()) != whole:
                self.unclosed.append(f"parts of {domain} are {sum(parts.values())} uJ, the host's {whole}: {parts}")
        for point in find(points, "deepmon_total"):
            now, before = point.fields.get("cpu_time_ns", 0), self.totals.get(point.series, 0)
            if now < before:
                self.unclosed.append(f"{point.series} went back from {before} to {now} ns")
            self.totals[point.series] = now

    # What others know.

    def truth_uj(self):
        """Of all packages, by the last line that the simulator wrote; and when that was."""
        with open(self.simulator.truth_file, "rb") as file:
            file.seek(max(0, self.simulator.truth_file.stat().st_size - 8192))
            line = json.loads(file.read().split(b"\n")[-2])
        return sum(uj for name, uj in line["zones"].items() if re.fullmatch(r"package-\d+", name)), line["time_ns"]

    def look(self):
        """One report between two readings of who knows: what each has by then."""
        energy_before, _ = self.truth_uj()
        all_before, own_before = read_usage_ns(self.root), self.by_hand.top.usage_ns()
        points = self.report()
        taken = time.time_ns()
        own_after, all_after = self.by_hand.top.usage_ns(), read_usage_ns(self.root)
        wait_until(lambda: self.truth_uj()[1] > taken, 10, "the simulator's next line")
        all_ns = sum(point.fields.get("cpu_time_ns", 0) for point in find(points, "deepmon_total")
                     if point.tags["kind"] != "idle")
        looked = {"own": (self.cpu_ns, own_before, own_after), "all": (all_ns, all_before, all_after),
                  "energy": (host_uj(points, "package"), energy_before, self.truth_uj()[0]),
                  "unreported": one(points, "deepmon_self").fields["ended_unreported"]}
        with open(self.t.state / "looks.jsonl", "a", encoding="utf-8") as file:
            series = {" ".join(map(str, key)): ns for key, ns in self.last_ns.items()}
            file.write(json.dumps({"time": time.time(), **looked, "series": series}) + "\n")
        return looked | {"points": points}

    @staticmethod
    def drift(first, last, of):
        told, before, after = last[of]
        told_first, before_first, after_first = first[of]
        return Drift(told - told_first, before - after_first, after - before_first)

    def heap(self):
        """Bytes that are allocated now."""
        if self.plan.under != "valgrind":
            return int.from_bytes(self.heap_file.read_bytes(), sys.byteorder)
        done = subprocess.run([find_program("vgdb", None, "valgrind"), f"--pid={self.pid}", "leak_check", "summary",
                               "reachable", "any"], capture_output=True, text=True, timeout=120, check=False)
        found = [int(number.replace(",", "")) for number in re.findall(r"(?:lost|reachable): ([\d,]+)", done.stdout)]
        return sum(found) if found else None

    def figures(self, points):
        hashes = bpf_maps.hashes_of(self.pid)
        own = find(points, "deepmon_self")[0].fields
        entries = {name: each.entries for name, each in hashes.items()}
        return Figures(resident_kib(self.pid) * 1024, self.heap(), open_files(self.pid),
                       entries | {"slots": own["slots_used"]}, {name: each.most for name, each in hashes.items()})

    # How it goes.

    @staticmethod
    def stolen(begun, stolen):
        """Of all CPU time that there was since then, by a hypervisor."""
        return stolen.seconds() / (max(time.monotonic() - begun, 1) * os.cpu_count())

    def settle(self):
        """The quiet after a load: figures of it."""
        ends = time.monotonic() + self.plan.quiet
        while time.monotonic() < ends:
            time.sleep(1)
            looked = self.look()
        return looked, self.figures(looked["points"])

    def line(self, begun, stolen, first, figures, looked):
        entries = [str(figures.entries.get(name, "")) for name in ("slots", "processes", "row_by_peer", "latency_index")]
        off = {of: self.drift(first, looked, of).share for of in ("all", "own", "energy")}
        cells = [f"{(time.monotonic() - begun) / 60:.1f}", str(self.load.counts["containers"]),
                 str(self.load.counts["requests"]), f"{figures.resident / 2**20:.1f}",
                 "" if figures.heap is None else f"{figures.heap / 1024:.0f}", str(figures.descriptors),
                 *entries, f"{self.stolen(begun, stolen):.1%}", f"{off['all']:+.3%}", f"{off['own']:+.3%}",
                 f"{off['energy']:+.4%}"]
        print("| " + " | ".join(cells) + " |", flush=True)
        return cells

    def run(self):
        """(Found, the table's lines)"""
        plan, rows = self.plan, [self.HEAD]
        self.look()
        self.load.fill(ENDED)
        self.load.start()
        time.sleep(plan.warm_up)
        self.report()
        well = self.load.stop()
        first, before = self.settle()
        said = len(self.parent.stderr_lines)
        print("| " + " | ".join(self.HEAD) + " |\n|" + " ---: |" * len(self.HEAD), flush=True)
        begun, stolen = time.monotonic(), host.Stolen()
        rows.append(self.line(begun, stolen, first, before, first))
        self.load.start()
        while (left := begun + plan.seconds - time.monotonic()) > 0:
            ends = time.monotonic() + min(plan.period, left)
            while time.monotonic() < ends:
                time.sleep(min(5, max(0, ends - time.monotonic())))
                looked = self.look()
            rows.append(self.line(begun, stolen, first, self.figures(looked["points"]), looked))
        well = self.load.stop() and well and not self.load.counts["failed"]
        last, after = self.settle()
        # A file of a name may be open just now.
        with contextlib.suppress(StageError):
            wait_until(lambda: open_files(self.pid) <= before.descriptors, 5, "files closed")
        after.descriptors = open_files(self.pid)
        rows.append(self.line(begun, stolen, first, after, last))
        stop = self.parent.stop()
        lines = self.parent.stderr_lines[said:]
        bad = findings(self.valgrind_log) if plan.under == "valgrind" else []
        return Found(first=before, last=after, host_cpu=self.drift(first, last, "all"),
                     own_cpu=self.drift(first, last, "own"), stolen=self.stolen(begun, stolen),
                     unreported=last["unreported"] - first["unreported"], energy=self.drift(first, last, "energy"),
                     unclosed=self.unclosed, lines=lines, bad=bad, status=stop.status, load_well=well), rows

    HEAD = ("minute", "containers", "requests", "resident MiB", "heap KiB", "descriptors", "slots", "processes", "peers",
            "histograms", "stolen", "host's CPU time off", "containers' off", "energy off")


def soak(t, plan):
    """(what is wrong, the table's rows)"""
    found, rows = Soak(t, plan).run()
    print(f"# {len(below(cpu_hierarchy()[0]))} cgroups on this host at the end; a hypervisor took "
          f"{found.stolen:.1%} of the CPUs", flush=True)
    return verdict(found, plan.kept, resident_counts=plan.under == "nothing"), rows


def write_readme(path, plan, rows, wrong):
    """Replaces what is between the markers."""
    before, rest = path.read_text().split(BEGIN, 1)
    about = (f"`make soak SOAK_MINUTES={plan.seconds / 60:g} SOAK_UNDER={plan.under}` of {datetime.date.today()}, Linux "
             f"{platform.release()}, {os.cpu_count()} CPUs: {'; '.join(wrong) or 'all well'}.")
    head, *lines = ["| " + " | ".join(row) + " |" for row in rows]
    table = "\n".join([about, "", head, "|" + " ---: |" * len(rows[0]), *lines])
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END, 1)[1]}")


def main():
    stop_on_signals()
    try:
        plan = Plan(60 * setting("SOAK_MINUTES", "5", 0.1, 10_000), os.environ.get("SOAK_UNDER") or "nothing",
                    setting("SOAK_PER_SECOND", "10", 0.1, 100))
        if plan.under not in UNDER:
            raise StageError(f"SOAK_UNDER={plan.under}: one of {', '.join(UNDER)} is wanted")
        host.require_bpf()
        build = Path(os.environ.get("BUILD") or SOURCE / "build").absolute()
        state = build / "soak" / plan.under
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            wrong, rows = soak(tap.Bench(state, build, stack), plan)
    except (StageError, Skip) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        return 128 + stopped.number
    print("\n".join(["# not well:", *wrong]) if wrong else "# all well")
    if os.environ.get("README", "") not in ("", "0"):
        write_readme(SOURCE / "README.md", plan, rows, wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
