# SPDX-License-Identifier: GPL-3.0-only
"""An initramfs: the kernel's "newc" cpio archive, put together in memory."""

import subprocess
from pathlib import Path

from stage.process import StageError

DIRECTORY, FILE = 0o040755, 0o100755
TRAILER = "TRAILER!!!"


def libraries(program):
    """Those that a program loads, as {path in the guest: Path}."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if "not found" in line:
            raise StageError(f"{program} lacks a library: {line.strip()}")
        paths = [word for word in words if word.startswith("/")]
        if paths:
            # The dynamic linker is asked for by its whole name, the others by their last.
            path = words[0] if words[0].startswith("/") else f"/lib/{words[0]}"
            found[path] = Path(paths[-1])
    return found


class Archive:
    def __init__(self):
        self.parts = []
        self.directories = set()
        self.number = 1

    def entry(self, name, mode, content=b""):
        fields = [self.number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.number += 1
        for part in (header, content):
            self.parts += [part, b"\0" * (-len(part) % 4)]

    def add(self, path, source):
        """A file that may be run, with the directories that it needs."""
        name = path.lstrip("/")
        for parent in reversed(Path(name).parents[:-1]):
            if parent not in self.directories:
                self.directories.add(parent)
                self.entry(str(parent), DIRECTORY)
        self.entry(name, FILE, Path(source).read_bytes())

    def write(self, path):
        self.entry(TRAILER, 0)
        Path(path).write_bytes(b"".join(self.parts))


def write(path, init, programs):
    """An initramfs with that init, and programs in its root with all the libraries they load."""
    archive = Archive()
    archive.add("/init", init)
    files = {}
    for program in programs:
        files[f"/{Path(program).name}"] = program
        files |= libraries(program)
    for name, source in sorted(files.items()):
        archive.add(name, source)
    archive.write(path)
