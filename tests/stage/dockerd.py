# SPDX-License-Identifier: GPL-3.0-only
"""A real Docker daemon of our own, with an image made from a static busybox: no network is needed."""

import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from . import cgroups
from .mounts import unmount_below
from .process import Daemon, Skip, StageError, end_pid, find_program, pids_mentioning

IMAGE = "deepmon-test/busybox:1"
APPLETS = ("sh", "true", "sleep", "echo", "cat")


class Docker:
    """The docker command, speaking to one daemon. `socket` None: the default of this host."""

    def __init__(self, socket=None):
        self.socket = socket
        self.containers = []
        self.made_image = False

    def command(self, *arguments):
        """The words of a docker command."""
        program = find_program("docker", "docker", "docker.io")
        host = ["-H", f"unix://{self.socket}"] if self.socket else []
        return [program, *host, *map(str, arguments)]

    def cli(self, *arguments, seconds=60, stdin=None):
        """Runs a docker command; its output, or StageError with what it complained of."""
        done = subprocess.run(self.command(*arguments), stdin=stdin or subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, check=False)
        if done.returncode:
            raise StageError(f"docker {arguments[0]} failed: {complaint(done)}")
        return done.stdout.decode(errors="replace").strip()

    def running(self):
        """Whether the daemon answers."""
        try:
            self.cli("info", "--format", "{{.ID}}", seconds=10)
        except (StageError, Skip, subprocess.TimeoutExpired):
            return False
        return True

    def make_image(self):
        """Imports a tree of one static busybox as IMAGE, unless it is there."""
        if IMAGE in self.cli("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
            return
        busybox = find_program("busybox", "docker", "busybox-static")
        with tempfile.TemporaryFile() as archive:
            with tarfile.open(fileobj=archive, mode="w") as tree:
                tree.add(os.path.realpath(busybox), "bin/busybox")
                for applet in APPLETS:
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tree.addfile(link)
            archive.seek(0)
            self.cli("import", "-", IMAGE, stdin=archive)
        self.made_image = True

    def run(self, name, *command, cpus=None):
        """Starts a container without a network and returns its full id."""
        limit = ["--cpus", cpus] if cpus else []
        identifier = self.cli("create", "--network", "none", "--name", name, *limit, IMAGE, *command)
        self.containers.append(name)  # ours from here on; another of that name would have been refused
        self.cli("start", name)
        return identifier

    def remove(self, name):
        self.cli("rm", "--force", "--volumes", name)
        if name in self.containers:
            self.containers.remove(name)

    def clean(self):
        """Removes the containers made here, and the image if it was."""
        for name in list(self.containers):
            with contextlib.suppress(StageError, subprocess.TimeoutExpired):
                self.remove(name)
        if self.made_image:
            with contextlib.suppress(StageError, subprocess.TimeoutExpired):
                self.cli("rmi", IMAGE)


def complaint(done):
    """The line of a failed docker command that says why, without its hints about help."""
    lines = [line for line in done.stderr.decode(errors="replace").splitlines()
             if line.strip() and not line.startswith(("Run 'docker", "See 'docker"))]
    return lines[0] if lines else f"status {done.returncode}"


def container_cgroup(identifier):
    """A container's directory in the hierarchy that accounts CPU time, of either cgroup driver."""
    root, _ = cgroups.cpu_hierarchy()
    for place in (f"docker/{identifier}", f"system.slice/docker-{identifier}.scope"):
        if (root / place).is_dir():
            return root / place
    raise StageError(f"no cgroup of container {identifier[:12]} found under {root}")


class Dockerd(Daemon):
    """dockerd with its own containerd, data and socket; `docker` speaks to it."""

    name = "dockerd"
    start_seconds = 60
    stop_seconds = 30

    def __init__(self, state):
        super().__init__(state)
        self.data_root = self.state / "data"
        self.runtime = None  # sockets have short paths, so these go into a directory of /run
        self.docker = Docker()
        self.left_cgroups = []

    @property
    def socket(self):
        return self.runtime / "docker.sock"

    def prepare(self):
        if os.geteuid() != 0:
            raise Skip("only root can start a Docker daemon", needs="docker")
        find_program("docker", "docker", "docker.io")
        for program, package in (("dockerd", "docker.io"), ("containerd", "containerd"), ("runc", "runc")):
            find_program(program, "docker", package)
        self.runtime = Path(tempfile.mkdtemp(prefix="deepmon-", dir="/run"))
        self.docker = Docker(self.socket)
        self.left_cgroups = [place / "docker" for place in cgroups.hierarchies()
                             if not (place / "docker").exists()]

    def command(self):
        return [find_program("dockerd", "docker", "docker.io"), "--bridge=none", "--iptables=false",
                "--ip6tables=false", "--config-file", self.state / "daemon.json",
                "--data-root", self.data_root, "--exec-root", self.runtime / "exec",
                "--pidfile", self.runtime / "docker.pid", "--host", f"unix://{self.socket}"]

    def start(self):
        (self.state / "daemon.json").write_text("{}\n")
        super().start()
        self.docker.make_image()

    def ready(self):
        return self.socket.exists() and self.docker.running()

    def stop(self):
        if self.runtime is None:
            return None
        if self.process and self.process.poll() is None:
            self.docker.made_image = False  # goes with the data
            self.docker.clean()
        status = super().stop()
        self.end_leftovers()
        return status

    def end_leftovers(self):
        """What a dockerd that was killed leaves: its containerd, shims, mounts and empty cgroups."""
        for pid in pids_mentioning(str(self.runtime)):
            end_pid(pid, 5)
        stuck = unmount_below(self.runtime, self.state)
        if stuck:
            raise StageError(f"still mounted: {', '.join(stuck)}")
        shutil.rmtree(self.runtime, ignore_errors=True)
        shutil.rmtree(self.data_root, ignore_errors=True)
        for directory in self.left_cgroups:
            for path in reversed(cgroups.below(directory)):
                cgroups.removed(path)
