# SPDX-License-Identifier: GPL-3.0-only
"""A bare Debian of our own, from this machine's apt sources, to install a package into and run it there."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from .process import Skip, StageError, find_program

MAKE_SECONDS = 130
SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources",
           "/etc/apt/sources.list")

# In a mount namespace of its own, so that nothing stays mounted, whatever happens.
ENTER = """
set -e
mount -t proc proc "$0/proc"
mount --rbind /sys "$0/sys"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""


def dependencies(package):
    """The names of the packages that a .deb depends on."""
    listed = subprocess.run(["dpkg-deb", "-f", package, "Depends"], stdout=subprocess.PIPE, check=True, text=True)
    return [re.split(r"[ :]", name.strip())[0] for name in listed.stdout.split(",")]


def suite():
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise Skip("/etc/os-release tells no release", needs="chroot")


def make_base(archive, packages, seconds):
    """Essential packages and those named; kept from run to run."""
    program = find_program("mmdebstrap", "chroot", "mmdebstrap")
    sources = next((path for path in SOURCES if Path(path).exists() and Path(path).stat().st_size), None)
    if not sources:
        raise Skip("no apt sources of a distribution found", needs="chroot")
    archive.parent.mkdir(parents=True, exist_ok=True)
    aside = archive.with_suffix(".new.tar")
    try:
        done = subprocess.run([program, "--quiet", "--mode=root", "--variant=apt",
                               *(f"--include={name}" for name in packages), suite(), aside, sources],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        aside.unlink(missing_ok=True)
        raise Skip(f"a Debian of its own was not made within {seconds} s", needs="chroot") from error
    if done.returncode:
        aside.unlink(missing_ok=True)
        words = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise Skip(f"a Debian of its own can't be made: {' / '.join(words)}", needs="chroot")
    aside.rename(archive)


def kept_archive(build, packages, seconds=MAKE_SECONDS):
    """A bare Debian with those packages as a tar archive, made unless it is there."""
    packages = sorted(packages)
    key = hashlib.sha256(" ".join([suite(), *packages]).encode()).hexdigest()[:12]
    archive = Path(build) / "chroot" / f"{key}.tar"
    if not archive.exists():
        make_base(archive, packages, seconds)
    return archive


class Chroot:
    """Unpacked for one test. `packages` are what the one to be tested depends on, and what the test needs.

    It is made within `seconds`, or the test is skipped.
    """

    def __init__(self, state, build, packages, seconds=MAKE_SECONDS):
        self.build, self.packages, self.seconds = build, packages, seconds
        self.root = Path(state) / "root"

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("only root can make a Debian of its own", needs="chroot")
        archive = kept_archive(self.build, self.packages, self.seconds)
        self.root.mkdir(parents=True)
        try:
            subprocess.run(["tar", "-x", "-f", archive, "-C", self.root, "--exclude=./dev/*"],
                           stdin=subprocess.DEVNULL, timeout=60, check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, path):
        """Where a file of the chroot is, seen from outside."""
        return self.root / str(path).lstrip("/")

    def command(self, *words):
        """What becomes that command in it, as root unless it is prefixed with more.

        Nothing forks on the way, so that who is stopped is the command itself: a signal at the parent's death
        is forgotten when a process changes its user.
        """
        return [find_program("unshare", None, "util-linux"), "--mount", "sh", "-c", ENTER, str(self.root),
                *map(str, words)]

    def run(self, *words, seconds=60):
        """A finished process, its output as text."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                       "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=seconds, check=False, env=environment)
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        return done

    def ask(self, *words, seconds=60):
        """The output of a command that must succeed."""
        done = self.run(*words, seconds=seconds)
        if done.returncode:
            raise StageError(f"{' '.join(map(str, words))}: status {done.returncode}: "
                             f"{(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout
