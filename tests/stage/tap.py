# SPDX-License-Identifier: GPL-3.0-only
"""A small test runner that speaks TAP 13.

A test is a function test_…(t) in a file test_….py. `t` is a Bench: a fresh directory, the build's
products, and context managers that end with the test. A test fails by raising.

Tests run side by side, each in a process of its own, but for those of a file that says ALONE = "why": such tests
look at what belongs to all of the host.
"""

import argparse
import contextlib
import importlib.util
import os
import pickle
import selectors
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from . import host
from .process import Skip, StageError, Stopped, stop_on_signals

TEST_SECONDS = 150
# Most of a test's time is waiting for the next report.
SIDE_BY_SIDE = 2


class Failure(Exception):
    """What was looked at, expected and got."""

    def __init__(self, what, expected, got):
        super().__init__(f"{what}\nexpected: {expected}\n     got: {got}")


class Failures(Exception):
    """Those that a test went on after."""

    def __init__(self, failures):
        super().__init__("\n".join(map(str, failures)))


class TimedOut(Exception):
    """Raised in the midst of a test that takes too long."""


class Bench:
    """What a test is given."""

    def __init__(self, state, build, stack):
        self.state = state
        self.build = build
        self.stack = stack
        self.notes = []
        self.failures = []

    @contextlib.contextmanager
    def apart(self):
        """What fails in this block fails the test, but only at its end: the other figures are shown too."""
        try:
            yield
        except Failure as failure:
            self.failures.append(failure)

    def enter(self, manager):
        """Enters a context manager that ends with the test, the last one first."""
        return self.stack.enter_context(manager)

    def built(self, name):
        return host.built(self.build, name)

    def note(self, text):
        """A line of the report, shown whether the test passes or not."""
        self.notes.append(text)

    def true(self, value, what, got=None):
        if not value:
            raise Failure(what, "true", value if got is None else got)

    def equal(self, got, expected, what):
        if got != expected:
            raise Failure(what, repr(expected), repr(got))

    def within(self, got, expected, ratio, what):
        """got is expected up to that ratio of it. What it was is noted, too."""
        off = (got - expected) / expected if expected else float("inf" if got else 0)
        self.note(f"{what}: {got:.6g}, expected {expected:.6g} ({off:+.3%}, allowed {ratio:.1%})")
        if not abs(off) <= ratio:
            raise Failure(what, f"{expected:.6g} within {ratio:.1%}", f"{got:.6g} ({off:+.3%})")

    def between(self, got, least, most, what):
        if not least <= got <= most:
            raise Failure(what, f"{least} to {most}", got)

    def one_line(self, lines, *words):
        """Exactly one of those lines has all the words (any case); returns it."""
        found = [line for line in lines if all(word.lower() in line.lower() for word in words)]
        if len(found) != 1:
            raise Failure(f"one line with {', '.join(map(repr, words))}", "1 line",
                          f"{len(found)}, of " + ("\n          ".join(lines[:20]) or "none at all"))
        return found[0]


def load_tests(directory, wanted):
    """(name, function) of each test, in the order of the files and of their text."""
    found = []
    for path in sorted(Path(directory).glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in vars(module).items():
            full = f"{path.stem[len('test_'):]}.{name[len('test_'):]}"
            if name.startswith("test_") and callable(function):
                function.alone = hasattr(module, "ALONE")
                if not wanted or any(word in full for word in wanted):
                    found.append((full, function))
    return found


def run_one(function, bench):
    """Runs a test within its time and ends all that it began."""

    def late(_number, _frame):
        raise TimedOut(f"not done within {TEST_SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    with bench.stack:
        signal.alarm(TEST_SECONDS)
        try:
            function(bench)
        finally:
            signal.alarm(0)
        if bench.failures:
            raise Failures(bench.failures)


def short_trace(error):
    """Where in the test it went wrong: its own frames, without the stage's."""
    stage = Path(__file__).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if Path(frame.filename).parent != stage]
    return [f"at {Path(frame.filename).name}:{frame.lineno}: {frame.line}" for frame in frames]


def outcome_of(function, bench):
    """(how it ended, what is said behind its name, notes), of a test run here and now: all of it can be sent."""
    start = time.monotonic()
    try:
        run_one(function, bench)
    except Skip as skip:
        return "skipped", (str(skip), skip.needs), bench.notes
    except Exception as error:  # pylint: disable=broad-except
        known = isinstance(error, (Failure, Failures, StageError, TimedOut))
        text = str(error) if known else f"{type(error).__name__}: {error}"
        return "failed", "", [*bench.notes, text, *short_trace(error), f"state is kept in {bench.state}"]
    return "passed", f" # {time.monotonic() - start:.1f} s", bench.notes


class Report:
    """Writes TAP and counts."""

    def __init__(self, required):
        self.required = required
        self.number = self.passed = self.failed = self.skipped = 0

    def line(self, ok, name, rest="", notes=()):
        self.number += 1
        print(f"{'ok' if ok else 'not ok'} {self.number} - {name}{rest}")
        for note in notes:
            for line in str(note).splitlines():
                print(f"# {line}")
        sys.stdout.flush()

    def test(self, name, function, bench):
        self.outcome(name, *outcome_of(function, bench))

    def outcome(self, name, ended, rest, notes):
        if ended == "skipped":
            self.skip(name, *rest, notes)
        else:
            self.passed += ended == "passed"
            self.failed += ended == "failed"
            self.line(ended == "passed", name, rest, notes)

    def skip(self, name, why, needs, notes=()):
        if needs in self.required:
            self.failed += 1
            self.line(False, name, notes=[*notes, f"skipped: {why}", f"DEEPMON_REQUIRE does not allow that for {needs}"])
        else:
            self.skipped += 1
            self.line(True, name, f" # SKIP {why}")

    def end(self):
        print(f"1..{self.number}")
        print(f"# {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def main(directory, arguments=None):
    parser = argparse.ArgumentParser(description="Runs the tests of a directory; prints TAP 13.")
    parser.add_argument("names", nargs="*", help="only tests that have one of these in module.name")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"), help="where the products are")
    parser.add_argument("--list", action="store_true", help="print the names and do nothing")
    parser.add_argument("--side-by-side", type=int, metavar="N", default=SIDE_BY_SIDE,
                        help="how many at a time, of those that allow it")
    options = parser.parse_args(arguments)

    tests = load_tests(directory, options.names)
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    return run(dict(tests), Path(options.build).absolute(), options.side_by_side)


def fresh_bench(name, build):
    state = build / "integration" / name
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    return Bench(state, build, contextlib.ExitStack())


class Running:
    """A test in a process of its own, which sends its outcome when it ends."""

    def __init__(self, name, function, build):
        self.name = name
        self.outcome, write_end = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.outcome)
            self.run(function, build, write_end)
        os.close(write_end)

    def run(self, function, build, write_end):
        """Never returns."""
        status = 1
        try:
            with os.fdopen(write_end, "wb") as pipe:
                pickle.dump(outcome_of(function, fresh_bench(self.name, build)), pipe)
            status = 0
        except Stopped:
            pass
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(status)

    def end(self):
        """Its outcome, once there is something to read."""
        with os.fdopen(self.outcome, "rb") as pipe:
            sent = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        return pickle.loads(sent) if sent and not status else \
            ("failed", "", [f"its process ended with status {os.waitstatus_to_exitcode(status)}"])

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


def run_side_by_side(tests, build, report, most):
    """Runs [(name, function)], `most` at a time, and reports each when it ends."""
    waiting, ends = list(reversed(tests)), selectors.DefaultSelector()
    try:
        while waiting or ends.get_map():
            while waiting and len(ends.get_map()) < most:
                running = Running(*waiting.pop(), build)
                ends.register(running.outcome, selectors.EVENT_READ, running)
            for key, _ in ends.select():
                ends.unregister(key.fd)
                report.outcome(key.data.name, *key.data.end())
    except Stopped:
        for key in ends.get_map().values():
            key.data.stop()
        raise


def run(tests, build, side_by_side=SIDE_BY_SIDE):
    """Runs {name: function}; the status to exit with."""
    required = set(filter(None, os.environ.get("DEEPMON_REQUIRE", "").replace(",", " ").split()))
    report = Report(required)
    stop_on_signals()
    print("TAP version 13")
    try:
        for alone, most in ((False, side_by_side), (True, 1)):
            run_side_by_side([(name, function) for name, function in tests.items() if getattr(function, "alone", True) == alone],
                             build, report, most)
    except Stopped as stopped:
        print(f"Bail out! {stopped}")
        return 128 + stopped.number
    return report.end()
