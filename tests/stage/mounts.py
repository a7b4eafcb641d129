# SPDX-License-Identifier: GPL-3.0-only
"""What is mounted, and unmounting what a daemon leaves behind."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Mount:
    point: str
    kind: str  # of the file system: "cgroup2"
    options: tuple  # of the super block: "cpuacct"


def unescape(text):
    """mountinfo writes space, tab, newline and backslash in octal."""
    for code in ("040", "011", "012", "134"):
        text = text.replace("\\" + code, chr(int(code, 8)))
    return text


def mounts():
    """In the order in which they were mounted."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ", 1)
        kind, _source, options = after.split(" ", 2)
        found.append(Mount(unescape(before.split(" ")[4]), kind, tuple(options.split(","))))
    return found


def unmount_below(*directories):
    """Unmounts everything in those directories, the newest first. Returns what could not be."""
    prefixes = tuple(str(Path(directory)) + "/" for directory in directories)
    mounted = [mount.point for mount in mounts() if (mount.point + "/").startswith(prefixes)]
    for point in reversed(mounted):
        if subprocess.run(["umount", point], stderr=subprocess.DEVNULL, check=False).returncode:
            subprocess.run(["umount", "--lazy", point], stderr=subprocess.DEVNULL, check=False)
    return [mount.point for mount in mounts() if (mount.point + "/").startswith(prefixes)]
