# SPDX-License-Identifier: GPL-3.0-only
"""What a soak found, and when that is well."""

from dataclasses import dataclass, field

HEAP_BYTES = 64 << 10  # more than at the beginning
HEAP_SHARE = 0.02
HISTOGRAM_BYTES = 600  # of one octave, with what AddressSanitizer puts around it
RESIDENT_SHARE, RESIDENT_BYTES = 0.1, 1 << 20
ENTRIES = 64  # of a map: others on this host come and go, too
STAY = "latency_index"  # histograms: with their slot, for whoever has that next: as many as there were slots at a time
CPU_SHARE, CPU_NS = 0.02, 20_000_000
ENERGY_SHARE = 0.001


@dataclass
class Figures:
    """At one moment. None: not known."""
    resident: int  # bytes
    heap: int  # bytes
    descriptors: int
    entries: dict  # of BPF maps: name: how many, with "slots"
    most: dict = field(default_factory=dict)  # name: how many it takes


@dataclass
class Drift:
    """What grew since the beginning by deepmon, and the least and the most that it can be by who knows."""
    told: float
    least: float
    most: float

    @property
    def off(self):
        """How far outside; 0: not at all."""
        return self.told - min(max(self.told, self.least), self.most)

    @property
    def share(self):
        return self.off / self.most if self.most else 0


@dataclass
class Found:
    """From the quiet before the load to the quiet after it."""
    first: Figures
    last: Figures
    host_cpu: Drift  # ns, of all that is not idle, against the root cgroup's
    own_cpu: Drift  # ns, of the load's containers and units, against the cgroup's above them
    stolen: float  # by a hypervisor, of all CPU time there was: deepmon charges it to who was kept waiting
    unreported: int  # cgroups whose end was past MaxEnded: they are in totals alone, and may have been ours
    energy: Drift  # uJ
    unclosed: list  # reports whose parts were not the whole, in words
    lines: list  # of the log, after the beginning
    bad: list  # of a checker of memory
    status: int  # deepmon-execd's
    load_well: bool


def check_growth(what, first, last, allowed):
    if first is None or last is None or last - first <= allowed:
        return []
    return [f"{what} grew from {first} to {last}, by more than {allowed:.0f}"]


def verdict(found, kept=0, resident_counts=True):
    """What is not as it should be, a line each; none: all is well. `kept`: entries that a map may have still."""
    first, last = found.first, found.last
    histograms = last.entries.get(STAY, 0) - first.entries.get(STAY, 0)
    wrong = check_growth("heap, bytes:", first.heap, last.heap,
                         HEAP_BYTES + HEAP_SHARE * (first.heap or 0) + HISTOGRAM_BYTES * histograms)
    if resident_counts:
        wrong += check_growth("resident memory, bytes:", first.resident, last.resident,
                              RESIDENT_BYTES + RESIDENT_SHARE * first.resident)
    wrong += check_growth("descriptors", first.descriptors, last.descriptors, 0)
    for name, entries in last.entries.items():
        if name != STAY:
            wrong += check_growth(f"entries of {name}", first.entries.get(name, 0), entries, ENTRIES + kept)
        if entries >= last.most.get(name, entries + 1):
            wrong.append(f"{name} is full: {entries} entries")
    for whose, cpu in (("host", found.host_cpu), ("load", found.own_cpu)):
        if whose == "load" and found.unreported:
            continue
        if abs(cpu.off) > (CPU_SHARE + 2 * found.stolen) * cpu.most + CPU_NS:
            wrong.append(f"CPU time of the {whose} is off by {cpu.off / 1e6:.1f} ms, {cpu.share:+.3%}")
    if abs(found.energy.off) > ENERGY_SHARE * found.energy.most:
        wrong.append(f"energy is off by {found.energy.off / 1e6:.3f} J, {found.energy.share:+.3%}")
    wrong += found.unclosed[:3] + [f"said: {line}" for line in found.lines[:10]] + found.bad[:5]
    if found.status:
        wrong.append(f"deepmon-execd ended with status {found.status}")
    if not found.load_well:
        wrong.append("the load did not come to its end: nothing is known")
    return wrong
