# SPDX-License-Identifier: GPL-3.0-only
"""A containerd of our own and ctr: containers from a directory, with any annotations and cgroup."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import cgroups
from .dockerd import APPLETS, complaint
from .mounts import unmount_below
from .process import Daemon, Skip, StageError, end_pid, find_program, pids_mentioning, spawn, stop_process


class Containerd(Daemon):
    """containerd with its state in a directory of /run, as sockets have short paths."""

    name = "containerd"
    start_seconds = 60

    def __init__(self, state):
        super().__init__(state)
        self.runtime = None
        self.started = []
        self.attached = []
        self.left_cgroups = []

    @property
    def state_root(self):
        """What the option ContainerdRoot is to be."""
        return self.runtime / "state"

    def prepare(self):
        if os.geteuid() != 0:
            raise Skip("only root can start containerd", needs="containerd")
        for program in ("containerd", "ctr"):
            find_program(program, "containerd", "containerd")
        busybox = os.path.realpath(find_program("busybox", "containerd", "busybox-static"))
        self.runtime = Path(tempfile.mkdtemp(prefix="deepmon-", dir="/run"))
        bin_directory = self.state / "rootfs" / "bin"
        bin_directory.mkdir(parents=True)
        shutil.copy(busybox, bin_directory / "busybox")
        for applet in APPLETS:
            (bin_directory / applet).symlink_to("busybox")

    def command(self):
        return [find_program("containerd", "containerd", "containerd"), "--root", self.state / "data",
                "--state", self.state_root, "--address", self.runtime / "s", "--log-level", "warn"]

    def ctrs_words(self, *arguments):
        """The words of a command of ctr."""
        return [find_program("ctr", "containerd", "containerd"), "--address", self.runtime / "s", *map(str, arguments)]

    def ctr(self, *arguments, seconds=60):
        done = subprocess.run(self.ctrs_words(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=seconds, check=False)
        if done.returncode:
            raise StageError(f"ctr failed: {complaint(done)}")
        return done.stdout.decode(errors="replace").strip()

    def ready(self):
        try:
            self.ctr("version", seconds=10)
        except (StageError, subprocess.TimeoutExpired):
            return False
        return True

    def run(self, identifier, *command, namespace="default", annotations=None, cgroup=None):
        """Starts a container of that id."""
        more = [word for key, value in (annotations or {}).items()
                for word in ("--annotation", f"{key}={value}")]
        if cgroup:
            more += ["--cgroup", cgroup]
        self.expect(identifier, namespace, cgroup)
        self.ctr("--namespace", namespace, "run", "--detach", *more, "--rootfs", self.state / "rootfs",
                 identifier, *command)

    def expect(self, identifier, namespace, cgroup=None):
        """A container that is about to be started, to be ended with the daemon."""
        # runc leaves the cgroup of the namespace.
        self.left_cgroups += [place / namespace for place in cgroups.hierarchies()
                              if not cgroup and not (place / namespace).exists()]
        self.started.append((namespace, identifier))

    def run_image(self, identifier, image, *words, namespace="default", **streams):
        """Runs what an image has as its command, with more words for `ctr run`. Its output goes to those streams."""
        self.expect(identifier, namespace)
        self.attached.append(spawn(self.ctrs_words("--namespace", namespace, "run", *words, image, identifier),
                                   stdin=subprocess.DEVNULL, **streams))

    def stop(self):
        if self.runtime is None:
            return None
        for namespace, identifier in self.started:
            with contextlib.suppress(StageError, subprocess.TimeoutExpired):
                self.ctr("--namespace", namespace, "task", "rm", "--force", identifier)
        self.started.clear()
        for process in self.attached:
            stop_process(process)
        self.attached.clear()
        status = super().stop()
        for pid in pids_mentioning(str(self.runtime)):
            end_pid(pid, 5)
        unmount_below(self.runtime, self.state)
        shutil.rmtree(self.runtime, ignore_errors=True)
        for directory in self.left_cgroups:
            for path in reversed(cgroups.below(directory)):
                cgroups.removed(path)
        return status
