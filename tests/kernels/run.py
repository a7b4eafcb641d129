#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""deepmon on other kernels: tests/kernels/run.py [series]...

Boots each under QEMU's software emulation, once for each layout of cgroups; guest.c is the init. Every
method of deepmon's is a test: SERIES.LAYOUT.METHOD. A guest that does not say its last line has failed.
"""

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import energy  # noqa: E402
import images  # noqa: E402
import initramfs  # noqa: E402
from stage import host, tap  # noqa: E402
from stage.process import Skip, Stopped, find_program, spawn, stop_on_signals, stop_process  # noqa: E402

LAYOUTS = {"5.10": ("v2", "v1", "hybrid"), "6.1": ("v2", "v1", "hybrid"), "6.12": ("v2",), "newest": ("v2",)}
METHODS = ("plain", "overlap", "counters", "processes", "interrupts", "all", "hotplug", "capabilities",
           "memlock", "files", "memory", "full", "block", "network", "network_fentry", "network_kprobes",
           "network_capabilities", "transactions", "transactions_fentry")
METHODS_V1 = ("hierarchy",)  # beside v1's there are others to choose from
# What a kernel can't do, and words of each line that deepmon then says. Any other line is a failure.
NO_OVERLAP = "SmtOverlap: this kernel can't account the overlap"
NO_TRANSACTIONS = "transactions are left out"
NO_NETWORK = "LimitMEMLOCK=infinity"
REFUSED = {
    ("5.10", "overlap"): [NO_OVERLAP],
    ("5.10", "all"): [NO_OVERLAP],
    ("5.10", "capabilities"): [NO_OVERLAP],
    ("5.10", "files"): ["File I/O is left out"],
    ("5.10", "full"): ["File I/O is left out"],
    ("5.10", "network_capabilities"): [NO_NETWORK],
    ("5.10", "transactions"): [NO_TRANSACTIONS],
    ("5.10", "transactions_fentry"): [NO_TRANSACTIONS],
    ("5.10", "memlock"): ["LimitMEMLOCK"],
}
# Where the network's sends and receives are heard of, if it is not the first choice.
HEARD = {("5.10", "network"): "by fentry, MaxSockets", ("6.1", "network"): "by fentry",
         ("6.1", "transactions"): "by fentry"}
GUEST_SECONDS = 120
DISK_BYTES = 16 << 20
NOT_OURS = re.compile(r"\[ *\d+\.\d+\] |qemu-system")

ENERGY_SERIES = "6.1"  # whose modules this distribution's compiler builds

QEMU = "qemu-system-x86_64"

KERNEL_LINE = "console=ttyS0 quiet panic=-1 tsc=reliable"
V2_ONLY = "cgroup_no_v1=all"
BEGIN, END = "<!-- generated: kernels -->", "<!-- end -->"


class Guest:
    """One boot, and what it said."""

    def __init__(self, state, kernel, archive, layout):
        self.log = state / "console"
        self.disk = state / "disk"
        self.disk.write_bytes(b"")
        os.truncate(self.disk, DISK_BYTES)
        self.layout = layout
        self.release = "unknown"
        self.results = {}  # method: (word, why, notes)
        line = f"{KERNEL_LINE} layout={layout} {V2_ONLY if layout == 'v2' else ''}"
        for setting in ("show_reports", "only"):
            if os.environ.get(setting.upper()):
                line += f" {setting}={os.environ[setting.upper()]}"
        self.command = [
            find_program("nice", None, "coreutils"), "-n", "10",
            find_program(QEMU, "kernels", "qemu-system-x86"),
            "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", "512", "-net", "none",
            "-drive", f"file={self.disk},if=none,id=disk,format=raw", "-device", "nvme,drive=disk,serial=1",
            "-nographic", "-no-reboot", "-kernel", kernel, "-initrd", archive, "-append", line.strip()]

    def run(self):
        """Boots it and waits for its end. Why it is not as it should be, or None."""
        with open(self.log, "wb") as log:
            machine = spawn(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            late = False
            try:
                machine.wait(GUEST_SECONDS)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                stop_process(machine)
        last = self.read()
        if last == f"guest done {len(self.results)}":
            return None
        return (f"the guest {f'took more than {GUEST_SECONDS} s' if late else 'did not come to its end'}; "
                f"its last line: {last}; all of them are in {self.log}")

    def read(self):
        """Takes in what is on the console. Returns the last line that is not the kernel's or QEMU's."""
        notes, last = [], "nothing at all"
        for line in self.log.read_text(errors="replace").replace("\r", "").splitlines():
            if line.startswith("# "):
                notes.append(line[2:])
            elif found := re.match(r"(ok|not ok|refused) - (\w+) # ?(.*)", line):
                self.results[found[2]] = (found[1], found[3], notes)
                notes = []
            elif found := re.match(r"guest begins: Linux (\S+)", line):
                self.release = found[1]
            if line.strip() and not NOT_OURS.match(line):
                last = line
        return last


def as_expected(lines, words):
    return len(lines) == len(words) and all(word in line for line, word in zip(lines, words))


class Run:
    """All guests of a run, and what was seen."""

    def __init__(self, build):
        self.build = build
        self.report = tap.Report(set(os.environ.get("DEEPMON_REQUIRE", "").replace(",", " ").split()))
        self.seen = {}  # (release, layout): {method: word}
        self.archive = build / "kernels" / "initramfs"

    def judge(self, guest, series, method):
        """The word for the table; one test of the report."""
        name = f"{series}.{guest.layout}.{method}"
        word, why, notes = guest.results.get(method, ("not ok", "the guest did not come to it", []))
        if word == "refused" and not as_expected(why.split(" / "), REFUSED.get((series, method), [])):
            word = "not ok"
        if HEARD.get((series, method), "") not in "\n".join(notes):
            word = "not ok"
        if word == "refused":
            self.report.skip(name, why, None)
            return "refused"
        self.report.passed += word == "ok"
        self.report.failed += word != "ok"
        self.report.line(word == "ok", name, notes=[*notes, why] if why else notes)
        return word

    def guest(self, series, kernel, layout):
        start = time.monotonic()
        state = self.build / "kernels" / "runs" / f"{series}.{layout}"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        guest = Guest(state, kernel, self.archive, layout)
        problem = guest.run()
        methods = METHODS + (() if layout == "v2" else METHODS_V1)
        if os.environ.get("ONLY"):
            methods = (os.environ["ONLY"],)
        self.seen[guest.release, layout] = {method: self.judge(guest, series, method) for method in methods}
        seconds = f"Linux {guest.release}, {time.monotonic() - start:.0f} s"
        self.report.passed += not problem
        self.report.failed += bool(problem)
        self.report.line(not problem, f"{series}.{layout}", f" # {seconds}", [problem] if problem else [])

    def series(self, series):
        try:
            if platform.machine() != "x86_64":
                raise Skip("the kernels are those of amd64", needs="kernels")
            find_program(QEMU, "kernels", "qemu-system-x86")
            kernel = images.fetch(self.build / "kernels", series)
        except Skip as skip:
            self.report.skip(series, skip, skip.needs)
            return
        for layout in LAYOUTS[series]:
            self.guest(series, kernel, layout)
        if series == ENERGY_SERIES and os.environ.get("ONLY", "energy") == "energy":
            self.energy(series)

    def energy(self, series):
        state = self.build / "kernels" / "runs" / f"{series}.energy"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            self.report.test(f"{series}.energy", lambda t: energy.test_powercap(t, series),
                             tap.Bench(state, self.build, stack))

    def table(self):
        """README's: when it was, a row for each guest, a column for each method."""
        methods = METHODS + METHODS_V1
        lines = [["kernel", "cgroups", *methods], ["---"] * (len(methods) + 2)]
        lines += [[*guest, *(seen.get(method, "") for method in methods)] for guest, seen in self.seen.items()]
        rows = ["| " + " | ".join(line) + " |" for line in lines]
        return "\n".join([f"`make test-kernels` of {time.strftime('%Y-%m-%d')}:", "", *rows])


def write_readme(path, table):
    """Replaces what is between the markers."""
    before, rest = path.read_text().split(BEGIN, 1)
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END, 1)[1]}")


def main():
    wanted = sys.argv[1:] or list(LAYOUTS)
    strange = [series for series in wanted if series not in LAYOUTS]
    if strange:
        print(f"KERNELS: {strange[0]!r} is none of {', '.join(LAYOUTS)}", file=sys.stderr)
        return 2
    build = Path(os.environ.get("BUILD") or SOURCE / "build").absolute()
    run = Run(build)
    stop_on_signals()
    print("TAP version 13")
    try:
        run.archive.parent.mkdir(parents=True, exist_ok=True)
        initramfs.write(run.archive, host.built(build, "tests/kernels/guest"),
                        [host.built(build, "deepmon-execd")])
        for series in wanted:
            run.series(series)
    except Stopped as stopped:
        print(f"Bail out! {stopped}")
        return 128 + stopped.number
    if os.environ.get("README", "") not in ("", "0"):
        if wanted == list(LAYOUTS) and not os.environ.get("ONLY"):
            write_readme(SOURCE / "README.md", run.table())
        else:
            print("# only a run of all kernels and methods writes README.md")
    return run.report.end()


if __name__ == "__main__":
    sys.exit(main())
