# SPDX-License-Identifier: GPL-3.0-only
"""Figures with their spread and goals; as rows, and as the tables of the terminal and of README.md."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path

# Shown beside those that have a goal.
ALSO_SHOWN = ("pingpong_loss_percent_empty", "pingpong_loss_percent_none", "switch_smt_vs_empty",
              "sample_vs_cgroups_plugin_1000", "http_cpu_loss_percent", "http_cpu_loss_percent_tcp")

BEGIN, END = "<!-- generated: bench -->", "<!-- end -->"


@dataclass
class Figure:
    """One value of each round. Without values it was not measured, and `why` says why."""
    name: str
    unit: str
    values: list = field(default_factory=list)
    most: float = None  # the goal: at most that
    why: str = "not measured"

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    @property
    def goal(self):
        return "" if self.most is None else f"<={self.most:g}"

    def verdict(self):
        if self.most is None:
            return ""
        if not self.values:
            return self.why
        return "met" if self.median <= self.most else "missed"

    def text(self):
        """Median, and from where to where it went."""
        if not self.values:
            return "-"
        least, most = min(self.values), max(self.values)
        if len(self.values) == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(least)}..{number(most)})"


def number(value):
    """Three digits or so."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


@dataclass
class Table:
    title: str
    head: list
    rows: list

    def plain(self):
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        return [self.title, *("  ".join(["", *map(str.ljust, line, widths)]).rstrip() for line in lines)]

    def markdown(self):
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return [self.title, "", *("| " + " | ".join(line) + " |" for line in lines)]


class Figures:
    """All figures of a run, in the order in which they were added."""

    def __init__(self):
        self.all = {}
        self.tables = []
        self.notes = []

    def figure(self, name, unit, most=None):
        return self.all.setdefault(name, Figure(name, unit, most=most))

    def text(self, name):
        return self.all[name].text() if name in self.all else "-"

    def add(self, name, unit, values, most=None, why="not measured"):
        """Adds what was measured of those values; None is what was not."""
        figure = self.figure(name, unit, most)
        figure.values += [value for value in values if value is not None]
        figure.why = why

    def summary(self):
        rows = [[f.name, f.text(), f.unit, f.goal, f.verdict()] for f in self.all.values()
                if f.most is not None or (f.values and f.name in ALSO_SHOWN)]
        return Table("Against the goals: median (least..most).",
                     ["figure", "value", "unit", "goal", ""], rows)

    def write_rows(self, path):
        """name, value, unit, goal, parted by tabs; what was not measured is left out."""
        rows = [f"{f.name}\t{f.median:.6g}\t{f.unit}\t{f.goal}" for f in self.all.values() if f.values]
        Path(path).write_text("\n".join(rows) + "\n")

    def plain(self):
        blocks = ["\n".join(table.plain()) for table in (*self.tables, self.summary())]
        return "\n\n".join([*blocks, *self.notes])

    def write_readme(self, path, intro):
        """Replaces what is between the markers."""
        text = Path(path).read_text()
        before, rest = text.split(BEGIN, 1)
        after = rest.split(END, 1)[1]
        tables = ["\n".join(table.markdown()) for table in (self.summary(), *self.tables)]
        blocks = "\n\n".join([intro, *tables, *self.notes])
        Path(path).write_text(f"{before}{BEGIN}\n{blocks}\n{END}{after}")
