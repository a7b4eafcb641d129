# SPDX-License-Identifier: GPL-3.0-only
"""Starting, awaiting and stopping processes, so that none is ever left behind."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


class StageError(Exception):
    """Something on the stage did not do what it should; the message says what, in one line."""


class Skip(Exception):
    """This host cannot do that. `needs` is the word that DEEPMON_REQUIRE would insist on."""

    def __init__(self, reason, needs=None):
        super().__init__(reason)
        self.needs = needs


class Stopped(BaseException):
    """A signal asked us to stop. Not an Exception, so that nothing on the way mistakes it for an error."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals():
    """Makes the first of the stop signals unwind the stack; later ones must not cut the cleaning short."""

    def stop(number, _frame):
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for each in STOP_SIGNALS:
        signal.signal(each, stop)


def find_program(name, needs, package):
    """The path of a program, also where only root's PATH would look; Skip names the package to install."""
    path = shutil.which(name) or shutil.which(name, path=ADMIN_PATH)
    if not path:
        raise Skip(f"{name} is not installed (Debian package {package})", needs=needs)
    return path


def wait_until(condition, seconds, what, poll=0.05):
    """Returns the first true value of condition(); StageError names `what` when it never comes.

    `what` may be a function, for words that are only known by then.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise StageError(f"{what() if callable(what) else what} did not happen within {seconds:g} s")
        time.sleep(poll)


def free_port():
    """A loopback port free for TCP and UDP, below the range that outgoing connections are given."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        if port_is_free(port, socket.SOCK_STREAM) and port_is_free(port, socket.SOCK_DGRAM):
            return port
    raise StageError("no free port found on 127.0.0.1 between 20000 and 32000")


def port_is_free(port, kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def children_of(pid):
    """The processes whose parent is pid, as {pid: command}; zombies that nobody awaits count too."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, rest = (entry / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except (OSError, IndexError):
            continue
        if int(rest.split()[1]) == pid:
            found[int(entry.name)] = name
    return found


def pids_mentioning(text):
    """Processes that have `text` in their command line: those of a daemon whose directory it names."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if text in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError(f"process {pid} has no VmRSS")


def end_pid(pid, seconds):
    """TERM, then KILL for a process that is not our own child."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not Path(f"/proc/{pid}").exists():
                return
            time.sleep(0.05)


def spawn(command, **options):
    """Popen for a child that dies with us and that a Ctrl-C at the terminal does not reach before us.

    setpriv sets the parent-death signal and then becomes the command, so the pid is the command's.
    """
    setpriv = find_program("setpriv", None, "util-linux")
    return subprocess.Popen([setpriv, "--pdeathsig", "TERM", *map(str, command)],
                            start_new_session=True, **options)


def stop_process(process, seconds=10):
    """TERM, wait, KILL. Returns the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class Daemon:
    """A child with a state directory and a log file of what it prints.

    A subclass gives `name`, command() and ready(), and prepare() to write its configuration.
    """

    name = "daemon"
    start_seconds = 20
    stop_seconds = 10

    def __init__(self, state):
        self.state = Path(state).absolute()
        self.output = self.state / f"{self.name}.out"
        self.process = None

    def prepare(self):
        pass

    def command(self):
        raise NotImplementedError

    def ready(self):
        return True

    def __enter__(self):
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self.output, "ab") as output:
            self.process = spawn(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 cwd=self.state)
        wait_until(self.alive_and_ready, self.start_seconds,
                   lambda: f"{self.name} getting ready ({self.last_words()})")

    def alive_and_ready(self):
        if self.process.poll() is not None:
            raise StageError(f"{self.name} ended with status {self.process.returncode} "
                             f"while starting: {self.last_words()}")
        return self.ready()

    def stop(self):
        """Returns the exit status, None if it never ran."""
        if self.process is None:
            return None
        return stop_process(self.process, self.stop_seconds)

    def last_words(self, lines=3):
        """The end of its output for an error message, and where the rest of it is."""
        try:
            text = self.output.read_text(errors="replace").strip().splitlines()
        except OSError:
            text = []
        return " / ".join(text[-lines:] + [f"see {self.output}"])
