# SPDX-License-Identifier: GPL-3.0-only
"""A small test runner that speaks TAP 13.

A test is a function test_…(t) in a file test_….py. `t` is a Bench: a fresh directory, the build's
products, and context managers that end with the test. A test fails by raising.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from . import host
from .process import Skip, StageError, Stopped, stop_on_signals

TEST_SECONDS = 150


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
        start = time.monotonic()
        try:
            run_one(function, bench)
        except Skip as skip:
            self.skip(name, skip, bench)
        except Exception as error:  # pylint: disable=broad-except
            self.failed += 1
            known = isinstance(error, (Failure, Failures, StageError, TimedOut))
            text = str(error) if known else f"{type(error).__name__}: {error}"
            self.line(False, name, notes=[*bench.notes, text, *short_trace(error),
                                          f"state is kept in {bench.state}"])
        else:
            self.passed += 1
            self.line(True, name, f" # {time.monotonic() - start:.1f} s", bench.notes)

    def skip(self, name, skip, bench):
        if skip.needs in self.required:
            self.failed += 1
            self.line(False, name, notes=[*bench.notes, f"skipped: {skip}",
                                          f"DEEPMON_REQUIRE does not allow that for {skip.needs}"])
        else:
            self.skipped += 1
            self.line(True, name, f" # SKIP {skip}")

    def end(self):
        print(f"1..{self.number}")
        print(f"# {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def main(directory, arguments=None):
    parser = argparse.ArgumentParser(description="Runs the tests of a directory; prints TAP 13.")
    parser.add_argument("names", nargs="*", help="only tests that have one of these in module.name")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"), help="where the products are")
    parser.add_argument("--list", action="store_true", help="print the names and do nothing")
    options = parser.parse_args(arguments)

    tests = load_tests(directory, options.names)
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    return run(dict(tests), Path(options.build).absolute())


def run(tests, build):
    """Runs {name: function}; the status to exit with."""
    required = set(filter(None, os.environ.get("DEEPMON_REQUIRE", "").replace(",", " ").split()))
    report = Report(required)
    stop_on_signals()
    print("TAP version 13")
    try:
        for name, function in tests.items():
            state = build / "integration" / name
            shutil.rmtree(state, ignore_errors=True)
            state.mkdir(parents=True)
            report.test(name, function, Bench(state, build, contextlib.ExitStack()))
    except Stopped as stopped:
        print(f"Bail out! {stopped}")
        return 128 + stopped.number
    return report.end()
