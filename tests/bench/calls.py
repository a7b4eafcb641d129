# SPDX-License-Identifier: GPL-3.0-only
"""What FileIO costs the system calls of others: 4 KiB reads from the page cache, and one that is no I/O."""

import statistics
import subprocess

from stage import host
from stage.process import StageError, spawn

from .figures import Table
from .switches import (ANSWER_SECONDS, ENOUGH, TRIES, UNDISTURBED_PERCENT, Deepmon, NotAvailable, Others,
                       chosen_cpu, end)

CALLS = {"read4k": "read of 4 KiB", "getppid": "getppid"}
# The goals, in percent, as far as there are any.
MODES = {"counts": {"read4k": 1, "getppid": 1}, "full": {"read4k": 5, "getppid": None}}


def figure_name(call, mode):
    return "getppid_loss_percent" if (call, mode) == ("getppid", "counts") else f"{call}_{mode}_loss_percent"


class Calls:
    """build/tests/bench/calls, the same process for every game."""

    def __init__(self, build, seconds):
        self.command = [host.built(build, "tests/bench/calls"), chosen_cpu(), build / "bench" / "read4k"]
        self.seconds = seconds
        self.others = Others()
        self.process = None

    def __enter__(self):
        self.process = spawn(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        end(self.process)

    def play(self, call):
        """(ns per call, percent of the time that the process had the CPU)."""
        self.process.stdin.write(f"{call} {round(self.seconds * 1000)}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 3:
            raise StageError(f"calls ended with status {self.process.wait(ANSWER_SECONDS)}")
        return float(answer[1]), float(answer[2])

    def best(self, call, own):
        """The first game that was free of others, or else the fastest: (ns, whether it was free)."""
        tries = []
        for _ in range(TRIES):
            self.others.wait(own)
            ns, percent = self.play(call)
            tries.append((ns, percent > UNDISTURBED_PERCENT and not self.others.running(own)))
            if tries[-1][1]:
                return tries[-1]
        return min(tries)

    def under(self, build, mode):
        """Every call's speed with a deepmon of that mode running: {call: (ns, free)}."""
        with Deepmon(build, ["--file-io", mode]) as deepmon:
            left_out = [line for line in deepmon.execd.stderr_lines if "File I/O is left out" in line]
            if left_out:
                raise NotAvailable(left_out[0])
            return {call: self.best(call, deepmon.ids) for call in CALLS}


def add_losses(figures, mode, before, under, after, clean):
    for call, most in MODES[mode].items():
        off = statistics.mean((before[call][0], after[call][0]))
        figure = figures.figure(figure_name(call, mode), "%", most)
        figure.values.append((under[call][0] / off - 1) * 100)
        figures.figure(f"{call}_ns_{mode}", "ns").values.append(under[call][0])
        figures.figure(f"{call}_ns_off", "ns").values.append(off)
        if before[call][1] and under[call][1] and after[call][1]:
            clean.setdefault(figure.name, []).append(figure.values[-1])


def table(figures):
    rows = [[words, figures.text(f"{call}_ns_off"),
             *(figures.text(name) for mode in MODES for name in (f"{call}_ns_{mode}", figure_name(call, mode)))]
            for call, words in CALLS.items()]
    return Table("System calls with FileIO off, counts and full: median (least..most).",
                 ["", "off, ns", "counts, ns", "slower by %", "full, ns", "slower by %"], rows)


def measure_calls(build, seconds, figures, count, say):
    """Each mode beside the runs before and after it with the part off, in turn."""
    clean = {}
    with Calls(build, seconds) as calls:
        try:
            before = calls.under(build, "off")
            for number in range(count):
                if number % 5 == 0:
                    say(f"system calls with FileIO and without, {number + 1} of {count}")
                for mode in MODES:
                    under = calls.under(build, mode)
                    after = calls.under(build, "off")
                    add_losses(figures, mode, before, under, after, clean)
                    before = after
        except NotAvailable as reason:
            figures.notes.append(f"FileIO: not available: {reason}")
    for name, values in clean.items():
        if len(values) >= ENOUGH:
            figures.figure(name, "%").values = values
    figures.tables.append(table(figures))
