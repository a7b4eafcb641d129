# SPDX-License-Identifier: GPL-3.0-only
"""What a process holds in the kernel, and what of it is still there when the process is gone."""

import os
import re
from pathlib import Path

from bench.bpf import call, words

# Commands of bpf() that open a thing by its number, by the name in /proc/PID/fdinfo.
OPEN = {"prog_id": 13, "map_id": 14, "link_id": 30}


def held_by(pid):
    """{(kind, number)} of the BPF programs, maps and links that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = entry.read_text()
        except OSError:
            continue
        found |= {(kind, int(number)) for kind, number in re.findall(r"^(\w+_id):\s+(\d+)$", lines, re.MULTILINE)
                  if kind in OPEN}
    return found


def perf_events_of(pid):
    """How many performance counters a process has open; they end with the last descriptor, or map that has them."""
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += os.readlink(entry) == "anon_inode:[perf_event]"
        except OSError:
            continue  # closed meanwhile
    return count


def exists(kind, number):
    try:
        os.close(call(OPEN[kind], words(number)))
    except FileNotFoundError:
        return False
    return True


def remaining(held):
    """Those that exist still. Numbers are not given again, so it is the same ones."""
    return {each for each in held if exists(*each)}
