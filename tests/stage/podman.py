# SPDX-License-Identifier: GPL-3.0-only
"""podman with storage of its own and no daemon: containers without a network, from a static busybox."""

import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from . import cgroups
from .dockerd import APPLETS, complaint
from .mounts import unmount_below
from .process import ADMIN_PATH, Skip, StageError, end_pid, find_program, pids_mentioning, wait_until

IMAGE = "localhost/deepmon-test/busybox:2"

# What a build machine may set: podman asks for more by default.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")


class Podman:
    """The podman command. Its containers go with it, and the cgroups that it leaves if they were not there."""

    def __init__(self, state):
        self.state = Path(state).absolute()
        self.runtime = None  # podman wants a short path, so this is a directory of /run
        self.left_cgroups = []

    @property
    def storage(self):
        return self.state / "storage"

    def command(self, *arguments):
        program = find_program("podman", "podman", "podman")
        runtime = find_program("runc", "podman", "runc")  # crun refuses v2 beside v1
        return [program, "--root", self.storage, "--runroot", self.runtime / "run", "--tmpdir",
                self.runtime / "tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime",
                runtime, *map(str, arguments)]

    def environment(self):
        return None

    def cli(self, *arguments, seconds=60):
        """Runs a podman command; its output, or StageError with what it complained of."""
        done = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=seconds, check=False, env=self.environment(),
                              cwd="/")
        if done.returncode:
            raise StageError(f"podman {arguments[0]} failed: {complaint(done)}")
        return done.stdout.decode(errors="replace").strip()

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("only root's podman is tested", needs="podman")
        find_program("podman", "podman", "podman")
        self.state.mkdir(parents=True, exist_ok=True)
        self.runtime = Path(tempfile.mkdtemp(prefix="deepmon-", dir="/run"))
        self.left_cgroups = [place / "libpod_parent" for place in cgroups.hierarchies()
                             if not (place / "libpod_parent").exists()]
        try:
            self.make_image()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make_image(self):
        busybox = find_program("busybox", "podman", "busybox-static")
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            with tarfile.open(fileobj=archive, mode="w") as tree:
                tree.add(os.path.realpath(busybox), "bin/busybox")
                for applet in APPLETS:
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tree.addfile(link)
            archive.flush()
            os.chmod(archive.name, 0o644)
            self.cli("import", archive.name, IMAGE)

    def run(self, name, *command, labels=None):
        """Starts a container and returns its full id; Skip if this host lets podman start none."""
        chosen = [f"--label={key}={value}" for key, value in (labels or {}).items()]
        try:
            return self.cli("run", "--detach", "--network", "none", "--name", name, *chosen, *LIMITS, IMAGE,
                            *command)
        except StageError as error:
            raise Skip(f"podman can't start a container here: {error}", needs="podman") from error

    def processes(self):
        return pids_mentioning(str(self.runtime)) + pids_mentioning(str(self.state))

    def end_processes(self):
        """What conmon runs behind each container mounts once more, so it is awaited."""
        with contextlib.suppress(StageError):
            wait_until(lambda: not self.processes(), 10, "the end of podman's own processes")
        for pid in self.processes():
            end_pid(pid, 5)

    @property
    def socket(self):
        return self.runtime / "podman.sock"

    @contextlib.contextmanager
    def service(self):
        """What systemd starts when somebody asks at podman's socket."""
        service = subprocess.Popen(self.command("system", "service", "--time", "0", f"unix://{self.socket}"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self.socket.exists, 20, "the socket of podman's service")
            yield
        finally:
            service.terminate()
            service.wait(20)

    def __exit__(self, *_):
        with contextlib.suppress(StageError, Skip, subprocess.TimeoutExpired):
            self.cli("rm", "--all", "--force", "--time", "0")
        self.end_processes()
        unmount_below(self.runtime, self.state)
        shutil.rmtree(self.runtime, ignore_errors=True)
        for directory in self.left_cgroups:
            for path in reversed(cgroups.below(directory)):
                cgroups.removed(path)


class RootlessPodman(Podman):
    """podman as an ordinary user has it, below his home: a user of whom this host knows nothing but the number.

    Without systemd, and where v1's controllers are, its containers stay in the cgroup of who started them.
    """

    def __init__(self, home, user):
        super().__init__(home)
        self.user = user

    @property
    def storage(self):
        return self.state / ".local/share/containers/storage"

    def command(self, *arguments):
        setpriv = find_program("setpriv", "podman", "util-linux")
        return [setpriv, "--reuid", str(self.user), "--regid", str(self.user), "--clear-groups",
                find_program("podman", "podman", "podman"), "--cgroup-manager", "cgroupfs", "--events-backend",
                "file", "--runtime", find_program("runc", "podman", "runc"), *map(str, arguments)]

    def environment(self):
        return {"PATH": os.environ["PATH"] + ":" + ADMIN_PATH, "HOME": str(self.state), "USER": "ann",
                "XDG_RUNTIME_DIR": str(self.runtime)}

    def make_image(self):
        for directory in (self.state, self.runtime):
            os.chown(directory, self.user, self.user)
        try:
            super().make_image()
        except StageError as error:
            raise Skip(f"a user's own podman can't start here: {error}", needs="podman") from error

    def processes(self):
        """All of the user's: one of podman's stays for ever and keeps his namespaces."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid == self.user:
                    found.append(int(entry.name))
        return found

    def end_processes(self):
        for pid in self.processes():
            end_pid(pid, 5)
