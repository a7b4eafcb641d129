# SPDX-License-Identifier: GPL-3.0-only
"""The soak itself: that it finds what grows and what drifts, and nothing where nothing does. For long: make soak."""

from dataclasses import replace

from soak.judge import Drift, Figures, Found, verdict
from soak.soak import Plan, soak
from stage import host

LEAK = 65536  # bytes, five times a second


def well():
    """As at the end of a soak without fault."""
    figures = Figures(resident=40 << 20, heap=12 << 20, descriptors=100, entries={"slots": 5, "processes": 40},
                      most={"processes": 1024})
    return Found(first=figures, last=figures, host_cpu=Drift(10e9, 9.9e9, 10.1e9), own_cpu=Drift(2e9, 1.9e9, 2.1e9),
                 stolen=0, unreported=0, energy=Drift(5e9, 4.99e9, 5.01e9), unclosed=[], lines=[], bad=[], status=0, load_well=True)


def test_each_fault_is_found_by_its_own_words(t):
    good = well()
    t.equal(verdict(good), [], "what is wrong with one that is well")
    for changed, words in (
            ({"last": replace(good.last, heap=13 << 20)}, "heap"),
            ({"last": replace(good.last, resident=60 << 20)}, "resident memory"),
            ({"last": replace(good.last, descriptors=101)}, "descriptors"),
            ({"last": replace(good.last, entries={"slots": 5, "processes": 200})}, "entries of processes"),
            ({"last": replace(good.last, entries={"slots": 5, "processes": 90}, most={"processes": 90})},
             "is full"),
            ({"host_cpu": Drift(10.5e9, 9.9e9, 10.1e9)}, "CPU time of the host is off"),
            ({"host_cpu": Drift(9.6e9, 9.9e9, 10.1e9)}, "CPU time of the host is off"),
            ({"own_cpu": Drift(2.2e9, 1.9e9, 2.1e9)}, "CPU time of the load is off"),
            ({"energy": Drift(5.1e9, 4.99e9, 5.01e9)}, "energy is off"),
            ({"unclosed": ["parts of package are 1 uJ"]}, "parts of package"),
            ({"lines": ["W! deepmon: something"]}, "said: W!"),
            ({"bad": ["definitely lost"]}, "definitely lost"),
            ({"status": -11}, "status -11"),
            ({"load_well": False}, "nothing is known")):
        wrong = verdict(replace(good, **changed))
        t.equal(len(wrong), 1, f"lines of the verdict with {changed}: {wrong}")
        t.true(words in wrong[0], f"{words!r} is in its words", wrong)


def test_a_leak_is_found_and_nothing_else(t):
    """A soak of seconds in which some memory is lost five times a second."""
    host.require_bpf()
    wrong, rows = soak(t, Plan(seconds=4, under="nothing", per_second=20, quiet=2, leak=LEAK))
    for row in rows:
        t.note(" | ".join(row))
    t.true(int(rows[-1][1]) > 40, "containers came and went", rows[-1])
    t.equal([line.split(" grew")[0] for line in wrong if not line.startswith("resident memory")], ["heap, bytes:"],
            f"what is found: {wrong}")
