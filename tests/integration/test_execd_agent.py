# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-execd under an agent that does what Telegraf is documented to do, and under one that does it badly."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

from stage import host
from stage.execd_parent import SIGNALS, command_line
from stage.lineprotocol import by_time, parse
from stage.process import wait_until
from stage.rapl import PackageTree

from support import execd, one, sysroot_options

PAGE = os.sysconf("SC_PAGE_SIZE")

PACKAGES = 40  # each of which is told of at most once a minute


def test_each_signal_gives_one_report(t):
    host.require_bpf()
    for mode in SIGNALS:
        parent = execd(t, signal=mode, ticking=False)
        time.sleep(1)
        t.equal(len(parent.batches), 0, f"{mode}: reports before the first signal")
        for count in (1, 2, 3):
            parent.tick()
            wait_until(lambda: len(parent.reports()) >= count, 5, f"{mode}: report {count}")
        # The other signals, and newlines, ask for nothing.
        for other in SIGNALS.values():
            if other != SIGNALS[mode]:
                parent.process.send_signal(other)
        parent.process.stdin.write(b"\n\n")
        time.sleep(0.5)
        ended = parent.stop()
        t.equal((len(parent.reports()), ended.status, ended.means), (3, 0, "stdin closed"),
                f"{mode}: reports, status and what it took to end it")


def test_it_is_started_again_whatever_ended_it(t):
    host.require_bpf()
    parent = execd(t, interval=0.3, restart_delay=0.3)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        parent.wait_for_batches(len(parent.batches) + 2, 10)
        starts = parent.starts
        parent.process.send_signal(number)
        wait_until(lambda: parent.starts > starts, 5, f"another start after {number.name}")
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    samples = [one(report, "deepmon_self").fields["samples"] for report in parent.reports()]
    t.note(f"samples taken: {samples}")
    t.equal(len([later for earlier, later in zip(samples, samples[1:]) if later < earlier]), 3,
            "times that the counters began again")
    t.equal((parent.stop().status, parent.starts), (0, 4), "status at last, and starts")


def test_a_signal_that_is_not_that_of_the_mode_is_told_of(t):
    """Otherwise it would look as if nothing were measured."""
    host.require_bpf()
    for mode, other in (("STDIN", "SIGUSR1"), ("SIGHUP", "newline"), ("none", "SIGHUP")):
        parent = execd(t, signal=mode, interval=60, ticking=False)
        time.sleep(1)
        for _ in range(3):
            if other == "newline":
                parent.process.stdin.write(b"\n")
            else:
                parent.process.send_signal(SIGNALS[other])
            time.sleep(0.1)
        parent.stop()
        t.equal(parent.batches, [], f"{mode}: reports")
        t.one_line(parent.stderr_lines, other, "--signal must be the same word")
        t.one_line(parent.stderr_lines, "standard input has ended before a report was due")


class Slow:
    """deepmon-execd with a pipe of one page to write reports or log lines to, which nobody reads until the test
    does: in such a one there is no room as soon as there is something."""

    def __init__(self, t, *arguments, small="stdout"):
        self.process = subprocess.Popen([t.built("deepmon-execd"), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        t.stack.callback(self.end)
        fcntl.fcntl(getattr(self.process, small), fcntl.F_SETPIPE_SZ, PAGE)

    def end(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def resident(self):
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE

    def read_until(self, text, pipe, seconds):
        """All that comes until a line has that text, and the rest of that line."""
        os.set_blocking(pipe.fileno(), False)
        read, deadline = b"", time.monotonic() + seconds
        while text not in read or not read.endswith(b"\n"):
            read += os.read(pipe.fileno(), 65536) if readable(pipe) else b""
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} did not come within {seconds} s, but {read[-500:]!r}")
        return read.decode()


def readable(pipe):
    time.sleep(0.01)
    try:
        return fcntl.ioctl(pipe, 0x541b, b"\0" * 4) != b"\0" * 4  # FIONREAD
    except OSError:
        return False


def test_an_agent_that_does_not_read(t):
    """Reports are left out and counted, memory does not grow, and what is read at last is whole."""
    host.require_bpf()
    # Many lines, so that one report is more than the pipe takes.
    slow = Slow(t, "--interval", "0.1", "--processes", "1000")
    time.sleep(2)
    before = slow.resident()
    time.sleep(4)
    t.between(slow.resident(), 0, before + (1 << 20), "bytes of memory after 4 s more without a reader")
    t.equal(slow.process.poll(), None, "exit status while nobody reads")

    end, text = time.monotonic() + 2, ""
    os.set_blocking(slow.process.stdout.fileno(), False)
    while time.monotonic() < end:
        text += os.read(slow.process.stdout.fileno(), 65536).decode() if readable(slow.process.stdout) else ""
    reports = by_time(parse(text[:text.rindex("\n") + 1]))
    steps = [(later[0].time_ns - earlier[0].time_ns) / 1e9 for earlier, later in zip(reports, reports[1:])]
    t.note(f"{len(reports)} reports, steps up to {max(steps):.1f} s")
    t.true(len(reports) >= 4 and max(steps) >= 3, "a gap, and reports after it", steps)
    # What was used in the gap is in the next report.
    system = [one(report, "deepmon_total", kind="system").fields["cpu_time_ns"] for report in reports[:-1]]
    t.equal(system, sorted(system), "counters only grow")
    said = slow.read_until(b"were left out while", slow.process.stderr, 5)
    t.note(next(line for line in said.splitlines() if "were left out" in line))


def test_an_agent_that_does_not_read_stops_it(t):
    """Telegraf closes stdin; SIGTERM would come after 5 s, SIGKILL after 10."""
    host.require_bpf()
    for stop in ("stdin", "SIGTERM"):
        slow = Slow(t, "--interval", "0.1", "--processes", "1000")
        time.sleep(2)
        if stop == "stdin":
            slow.process.stdin.close()
        else:
            slow.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        status = slow.process.wait(9)
        t.note(f"{stop}: ended after {time.monotonic() - start:.1f} s")
        t.equal(status, 0, f"status after {stop}")


def test_standard_error_that_nobody_reads(t):
    """Telegraf's reader ends at a line of 64 KiB: then the pipe fills. The reports go on."""
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys", PACKAGES))
    slow = Slow(t, "--interval", "0.2", "--sample-interval", "0.05", "--max-log-lines", "1000",
                *command_line(sysroot_options(tree.root)), small="stderr")
    slow.read_until(b"deepmon_self ", slow.process.stdout, 10)
    for package in range(1, PACKAGES - 1):
        tree.make_unreadable(package)
        time.sleep(0.15)
        tree.mend(package)
        if readable(slow.process.stdout):
            os.read(slow.process.stdout.fileno(), 65536)
    slow.read_until(b"deepmon_self ", slow.process.stdout, 10)
    slow.read_until(b"deepmon: ", slow.process.stderr, 5)
    tree.make_unreadable(PACKAGES - 1)
    said = slow.read_until(b"lines were lost", slow.process.stderr, 10)
    for line in said.splitlines():
        t.true(line.startswith(("E! ", "W! ", "I! ")) and len(line) < 4096, "lines with a level, and short", line)
    t.note(next(line for line in said.splitlines() if "were lost" in line))


def test_the_log_is_bounded(t):
    """Many counters that go: so many lines in a minute, and no more."""
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys", PACKAGES))
    parent = execd(t, *command_line(sysroot_options(tree.root)), "--sample-interval", "0.05", "--max-log-lines",
                   "10", interval=0.5)
    parent.wait_for_batches(1, 10)
    for package in range(1, PACKAGES):
        tree.make_unreadable(package)
    time.sleep(2)
    t.equal(len(parent.stderr_lines), 10, "lines of log, where MaxLogLines is 10")


def test_standard_output_that_cannot_be_written(t):
    host.require_bpf()
    for mode in ("--once", "--debug"):
        with open("/dev/full", "wb") as full, subprocess.Popen(
                [t.built("deepmon-execd"), mode, "--interval", "0.2"], stdin=subprocess.PIPE, stdout=full,
                stderr=subprocess.PIPE) as process:
            said = process.stderr.read().decode()
            t.equal(process.wait(10), 1, f"{mode}: status with a full disk")
            t.true("E! deepmon: " in said and "No space left" in said, f"{mode}: what is said", said)


def test_streams_that_are_closed(t):
    """None of them goes to a file that is opened later."""
    host.require_bpf()
    done = subprocess.run(f"exec '{t.built('deepmon-execd')}' --interval 0.2 <&- 2>&-", shell=True, timeout=10,
                          stdout=subprocess.PIPE, check=False)
    t.equal(done.returncode, 0, "status without standard input: it has ended")
    done = subprocess.run(f"exec '{t.built('deepmon-execd')}' --once >&-", shell=True, timeout=10, check=False,
                          stderr=subprocess.PIPE)
    t.equal(done.returncode, 0, "status of --once into nothing")
