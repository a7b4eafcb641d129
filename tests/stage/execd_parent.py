# SPDX-License-Identifier: GPL-3.0-only
"""A stand-in for Telegraf's execd input: what it does to the process that it starts, and no more.

Signals and newlines at each interval; a process that ends is started again after a delay, if the test gives
one; a line of stderr over 64 KiB ends the reading of stderr for good;
to stop, stdin is closed, SIGTERM follows 5 s later and SIGKILL 5 s after that. Lines are handed on as
they are; only the host tag that the agent would add is left out.
"""

import os
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import lineprotocol
from .process import StageError, spawn, wait_until

STDERR_LINE_MAX = 64 * 1024
SIGNALS = {"SIGHUP": signal.SIGHUP, "SIGUSR1": signal.SIGUSR1, "SIGUSR2": signal.SIGUSR2}
QUIET_SECONDS = 0.05  # a batch is flushed at once: silence is its end


@dataclass
class Batch:
    """Lines that came together, and when."""
    received_ns: int
    lines: list


@dataclass
class Stop:
    """How it ended: the exit status, how long it took and what was needed."""
    status: int
    seconds: float
    means: str  # "exited before", "stdin closed", "SIGTERM" or "SIGKILL"


@dataclass
class ExecdParent:
    """Runs deepmon-execd. `forward` gets each batch's text and returns an influxd.WriteResult.

    `signal` is the plugin's setting and is told to the child, too; `prefix` comes before the command.
    """
    program: Path
    arguments: list = field(default_factory=list)
    signal: str = "none"
    interval: float = 1
    forward: object = None
    prefix: list = field(default_factory=list)
    ticking: bool = True  # False: the test itself calls tick()
    log: Path = None  # where stderr is kept, too
    restart_delay: float = None  # seconds; None: one that has ended is not started again

    def __post_init__(self):
        self.process = None
        self.starts = 0
        self.batches = []
        self.stderr_lines = []
        self.stderr_ended = False  # by a line too long, as Telegraf's reader
        self.accepted = self.rejected = 0
        self.errors = []
        self.stopped = None
        self.threads = []
        self.ending = threading.Event()

    def command(self):
        options = ["--signal", self.signal]
        if self.signal == "none":
            options += ["--interval", f"{self.interval:g}"]
        return [*self.prefix, self.program, *options, *self.arguments]

    def __enter__(self):
        if not Path(self.program).exists():
            raise StageError(f"{self.program} is missing: build it first (make)")
        self.start()
        if self.signal != "none" and self.ticking:
            self.work(self.tick_on)
        if self.restart_delay is not None:
            self.work(self.restart_on)
        return self

    def start(self):
        self.process = spawn(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, bufsize=0)
        self.starts += 1
        self.work(self.read_stdout)
        self.work(self.read_stderr)

    def work(self, function):
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        self.threads.append(thread)

    def restart_on(self):
        """Telegraf looks at the exit and not at its status."""
        while not self.ending.wait(0.05):
            if self.process.poll() is not None and not self.ending.wait(self.restart_delay):
                self.start()

    def __exit__(self, *_):
        self.stop()

    # What the agent sends.

    def tick(self):
        """What happens at an interval."""
        if self.signal == "STDIN":
            try:
                self.process.stdin.write(b"\n")
            except (BrokenPipeError, ValueError):
                pass
        elif self.signal in SIGNALS and self.process.poll() is None:
            self.process.send_signal(SIGNALS[self.signal])

    def tick_on(self):
        while not self.ending.wait(self.interval):
            self.tick()

    # What it reads.

    def read_stdout(self):
        pipe, rest, lines = self.process.stdout.fileno(), b"", []
        while True:
            wait = QUIET_SECONDS if lines or rest else None
            if not select.select([pipe], [], [], wait)[0]:
                self.take_batch(lines)
                lines = []
                if not rest:
                    continue
                select.select([pipe], [], [])
            data = os.read(pipe, 65536)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            lines += [line.decode(errors="surrogateescape") for line in whole if line]
        self.take_batch(lines + ([rest.decode(errors="surrogateescape")] if rest else []))

    def take_batch(self, lines):
        if not lines:
            return
        self.batches.append(Batch(time.time_ns(), lines))
        if not self.forward:
            return
        body = ("\n".join(lines) + "\n").encode(errors="surrogateescape")
        try:
            result = self.forward(body)
        except OSError as error:
            self.errors.append(f"writing a batch failed: {error}")
            return
        self.rejected += result.rejected
        self.accepted += len(lines) - result.rejected
        if result.error:
            self.errors.append(result.error)

    def read_stderr(self):
        pipe, rest = self.process.stderr.fileno(), b""
        while True:
            data = os.read(pipe, 65536)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            if any(len(line) > STDERR_LINE_MAX for line in (*whole, rest)):
                self.stderr_ended = True
                return
            self.keep_stderr(whole)
        if rest:
            self.keep_stderr([rest])

    def keep_stderr(self, lines):
        lines = [line.decode(errors="replace") for line in lines]
        self.stderr_lines += lines
        if self.log:
            with open(self.log, "a", encoding="utf-8") as log:
                log.writelines(line + "\n" for line in lines)

    # How it ends.

    def stop(self):
        """As the agent stops it. Returns how that went; again and again the same."""
        if self.stopped or self.process is None:
            return self.stopped
        start = time.monotonic()
        self.ending.set()
        means = "exited before" if self.process.poll() is not None else "stdin closed"
        try:
            self.process.stdin.close()
        except OSError:
            pass
        for following in ("SIGTERM", "SIGKILL"):
            try:
                self.process.wait(5)
                break
            except subprocess.TimeoutExpired:
                means = following
                self.process.send_signal(getattr(signal, following))
        status = self.process.wait()
        self.stopped = Stop(status, time.monotonic() - start, means)
        self.finish_reading()
        return self.stopped

    def wait(self, seconds):
        """Waits for it to end by itself; returns how it did."""
        start = time.monotonic()
        status = wait_until(lambda: (self.process.poll() is not None) and (self.process.returncode,), seconds,
                            "the end of deepmon-execd", poll=0.005)[0]
        self.ending.set()
        self.stopped = Stop(status, time.monotonic() - start, "exited before")
        self.finish_reading()
        return self.stopped

    def finish_reading(self):
        for thread in self.threads:
            thread.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except OSError:
                pass

    # What the tests ask.

    def points(self):
        """All points so far; ValueError for a line that is not line protocol."""
        return [lineprotocol.parse_line(line) for batch in list(self.batches) for line in batch.lines]

    def reports(self):
        """The points of each timestamp."""
        return lineprotocol.by_time(self.points())

    def wait_for_batches(self, count, seconds):
        def there():
            if len(self.batches) < count and self.process.poll() is not None:
                raise StageError(f"deepmon-execd ended with status {self.process.returncode} after "
                                 f"{len(self.batches)} batches: {' / '.join(self.stderr_lines[-3:])}")
            return len(self.batches) >= count

        wait_until(there, seconds,
                   lambda: f"batch {count} of deepmon-execd (stderr: {self.stderr_lines[-3:]})")


def command_line(options):
    """Options by their collectd names, as the command line has them: SysRoot is --sys-root."""
    arguments = []
    for name, value in options.items():
        dashed = "".join("-" + char.lower() if char.isupper() else char for char in name)
        arguments += [f"-{dashed}", str(value)]
    return arguments
