# SPDX-License-Identifier: GPL-3.0-only
"""What a program at sched_switch costs: in itself, and to a ping-pong of context switches on one CPU."""

import contextlib
import os
import statistics
import subprocess
import time

from stage import cgroups, host
from stage.execd_parent import ExecdParent
from stage.process import StageError, spawn, stop_process

from . import bpf
from .figures import Table

PROGRAM = "cpu_switch"  # how the names of deepmon's programs at sched_switch begin
PAIRS = {"one": "one cgroup", "two": "two cgroups"}
ANSWER_SECONDS = 30
END_SECONDS = 5
OTHERS_SECONDS = 45
TRIES = 4
ENOUGH = 3  # undisturbed comparisons, to leave out the disturbed
UNDISTURBED_PERCENT = 96  # of a game's time, in which the ping-pong itself had the CPU


class NotAvailable(Exception):
    """This variant cannot be had; the message says why."""


def chosen_cpu():
    """The ping-pong's: the last one, as interrupts and other work tend to be on the first."""
    return max(os.sched_getaffinity(0))


def leave_cpu(cpu):
    """Everything else runs on the others, where there are any."""
    others = os.sched_getaffinity(0) - {cpu}
    if others:
        os.sched_setaffinity(0, others)


def end(process):
    """Both helpers end by themselves at the end of their input."""
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    stop_process(process)
    process.stdout.close()


class Pingpong:
    """build/tests/bench/pingpong, the same two processes for every game."""

    def __init__(self, build, cpu, first, second):
        self.command = [host.built(build, "tests/bench/pingpong"), cpu, first, second]
        self.process = None

    def __enter__(self):
        self.process = spawn(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        end(self.process)

    def play(self, seconds):
        """(switches, ns per round, percent of the time that the two had the CPU)."""
        self.process.stdin.write(f"{round(seconds * 1000)}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 4:
            raise StageError(f"pingpong ended with status {self.process.wait(ANSWER_SECONDS)}")
        return int(answer[1]), float(answer[2]), float(answer[3])


class Reference:
    """A reference program, attached for as long as the block lasts."""

    def __init__(self, build, name):
        self.command = [host.built(build, "tests/bench/attach"), name]
        self.process = None
        self.counted = None

    def __enter__(self):
        self.process = spawn(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            words = self.process.stderr.read().strip()
            self.__exit__()
            raise NotAvailable(words or "attach said nothing")
        self.counted = answer[1]
        self.ids = {int(answer[0])}
        return self

    def __exit__(self, *_):
        end(self.process)
        self.process.stderr.close()


class Nothing:
    """No program at all."""
    ids = frozenset()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Deepmon:
    """deepmon-execd itself, once it has written its first sample."""

    def __init__(self, build, arguments):
        self.execd = ExecdParent(host.built(build, "deepmon-execd"), list(arguments), signal="STDIN",
                                 ticking=False)

    def __enter__(self):
        self.execd.__enter__()
        try:
            self.execd.tick()
            self.execd.wait_for_batches(1, 20)
            self.ids = {number for number in bpf.ids_of_process(self.execd.process.pid)
                        if bpf.name_of(number).startswith(PROGRAM)}
            if not self.ids:
                raise StageError(f"deepmon-execd has no program {PROGRAM}: {self.execd.stderr_lines[-3:]}")
        except StageError as error:
            self.execd.stop()
            raise NotAvailable(self.execd.stderr_lines[-1] if self.execd.stderr_lines else error) from error
        return self

    def __exit__(self, *_):
        self.execd.stop()


class Others:
    """Another deepmon on this host, and the games that it spoils: where a program is attached already, one
    more costs less than the first. It is waited for to end, for a while in all."""

    def __init__(self):
        self.patience = OTHERS_SECONDS
        self.seen = 0

    def running(self, own):
        return any(number not in own and bpf.name_of(number).startswith(PROGRAM)
                   for number in bpf.program_ids())

    def wait(self, own):
        while self.patience > 0 and self.running(own):
            time.sleep(0.25)
            self.patience -= 0.25


class Games:
    """The two pairs of processes, and what is played with them."""

    def __init__(self, build, seconds):
        self.build = build
        self.seconds = seconds
        self.cpu = chosen_cpu()
        self.others = Others()
        self.own = frozenset()  # ids of the programs of what is running
        self.stack = contextlib.ExitStack()
        self.pairs = {}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            top = stack.enter_context(cgroups.Cgroup())
            first, second = (top.child(name).directory for name in ("first", "second"))
            self.pairs = {"one": stack.enter_context(Pingpong(self.build, self.cpu, first, first)),
                          "two": stack.enter_context(Pingpong(self.build, self.cpu, first, second))}
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    @contextlib.contextmanager
    def under(self, how, arguments):
        """Games in this block are played under that variant; gives the ids of its programs."""
        variant = {"none": lambda: Nothing(),
                   "reference": lambda: Reference(self.build, *arguments),
                   "deepmon": lambda: Deepmon(self.build, arguments)}[how]()
        with variant:
            self.own = variant.ids
            try:
                yield variant.ids
            finally:
                self.own = frozenset()

    def play(self, pair):
        """(switches, ns per round, whether it was free of others)."""
        self.others.wait(self.own)
        switches, ns, percent = self.pairs[pair].play(self.seconds)
        return switches, ns, percent > UNDISTURBED_PERCENT and not self.others.running(self.own)

    def best(self, play):
        """The first game that was free of others, or else the fastest: (ns, whether it was free).

        play() gives one such pair.
        """
        tries = []
        for _ in range(TRIES):
            tries.append(play())
            if tries[-1][1]:
                return tries[-1]
        self.others.seen += 1
        return min(tries)

    def speed(self, pair):
        """ns per round as they are, without statistics, and whether the game was free of others."""
        return self.best(lambda: self.play(pair)[1:])

    def event_ns(self, pair):
        """The same of the time in the variant's programs for each switch, by the kernel's statistics."""
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(bpf.Program(number)) for number in self.own]
            stack.enter_context(bpf.statistics())
            return self.best(lambda: self.play_timed(pair, programs))

    def play_timed(self, pair, programs):
        before = [program.runs() for program in programs]
        switches, _, free = self.play(pair)
        runs = [program.runs() - past for program, past in zip(programs, before)]
        count = max(run.count for run in runs)
        if count < switches * 0.9:
            raise StageError(f"the program ran {count} times in {switches} switches")
        return sum(run.time_ns for run in runs) / count, free


class SwitchBench:
    """All variants in turn, round after round, the order reversed each time."""

    def __init__(self, games, figures, variants):
        self.games = games
        self.figures = figures
        self.variants = variants
        self.missing = {}
        self.event = {}  # (round, variant, pair): ns
        self.speed = {}

    def run(self, rounds, say):
        for number in range(rounds):
            say(f"context switches, round {number + 1} of {rounds}")
            names = list(self.variants)
            for name in names if number % 2 == 0 else reversed(names):
                if name not in self.missing:
                    self.measure(number, name)
        self.report(range(rounds))

    def measure(self, number, name):
        how, arguments = self.variants[name]
        try:
            if isinstance(arguments, NotAvailable):
                raise arguments
            with self.games.under(how, arguments) as ids:
                for pair in PAIRS:
                    self.speed[number, name, pair] = self.games.speed(pair)[0]
                    if ids:
                        self.event[number, name, pair] = self.games.event_ns(pair)[0]
        except NotAvailable as reason:
            self.missing[name] = str(reason)

    def report(self, rounds):
        for name in self.variants:
            for pair in PAIRS:
                self.add_variant(rounds, name, pair)
        self.figures.tables.append(self.table())
        for name, reason in self.missing.items():
            self.figures.notes.append(f"{name}: not available: {reason}")
        self.compare(rounds)

    def add_variant(self, rounds, name, pair):
        add = self.figures.add
        add(f"switch_ns_{name}_{pair}", "ns", [self.event.get((r, name, pair)) for r in rounds])
        add(f"pingpong_ns_{name}_{pair}", "ns", [self.speed.get((r, name, pair)) for r in rounds])
        if name != "none":
            add(f"pingpong_slower_percent_{name}_{pair}", "%",
                [(self.speed[r, name, pair] / self.speed[r, "none", pair] - 1) * 100
                 for r in rounds if (r, name, pair) in self.speed])

    def table(self):
        columns = {"switch_ns": "ns per event", "pingpong_ns": "ns per round",
                   "pingpong_slower_percent": "slower by %"}
        head = ["at sched_switch",
                *(f"{what}, {words}" for what in columns.values() for words in PAIRS.values())]
        rows = [[name, *(self.figures.text(f"{kind}_{name}_{pair}") for kind in columns for pair in PAIRS)]
                for name in self.variants if name not in self.missing]
        return Table("Context switches: median (least..most). Events by the kernel's BPF statistics, their "
                     "two clock reads included; rounds of two switches, with the statistics off.", head, rows)

    def differences(self, rounds, pair, above, below=None):
        """above - below of each round that has both; without below, above alone."""
        found = {}
        for r in rounds:
            terms = [self.event.get((r, name, pair)) for name in (above, below) if name]
            if None not in terms:
                found[r] = terms[0] - sum(terms[1:])
        return found

    def ratios(self, rounds, above, below):
        """Within a round, so that what the machine did meanwhile is in both. Between two cgroups."""
        above, below = (self.differences(rounds, "two", *names) for names in (above, below))
        return [above[r] / below[r] for r in above if below.get(r)]

    def compare(self, rounds):
        for name, most, above, below in (
                ("switch_vs_empty", 2.5, ["deepmon"], ["empty"]),
                ("switch_vs_copy_shape", 0.25, ["deepmon"], ["copy_shape"]),
                ("switch_smt_vs_empty", None, ["deepmon_smt"], ["empty"]),
                ("switch_counters_vs_reads", 1.1, ["deepmon_counters", "deepmon"], ["four_reads", "empty"])):
            self.figures.add(name, "ratio", self.ratios(rounds, above, below), most, self.why(*above, *below))
        same = self.differences(rounds, "one", "deepmon_counters", "deepmon")
        self.figures.add("switch_counters_same_cgroup_vs_none", "ns", same.values(), 10,
                         self.why("deepmon_counters"))

    def why(self, *names):
        """Why a figure has no value."""
        missing = [name for name in names if name in self.missing]
        return f"{missing[0]} is not available" if missing else "not measured"


def measure_loss(games, figures, count, say):
    """How much longer a round takes: each game beside those before and after it that had no program.

    Under deepmon as it is without options; under an empty program, the floor of whatever is done in BPF; and
    under nothing, which is what the machine makes of two equal things.
    """
    turns = {"pingpong_loss_percent": ("deepmon", [], 4),
             "pingpong_loss_percent_empty": ("reference", ["empty"], None),
             "pingpong_loss_percent_none": ("none", [], None)}
    clean = {name: [] for name in turns}  # those of three games that were all free of others
    before = games.speed("two")
    for number in range(count):
        if number % 5 == 0:
            say(f"ping-pong without a program and with one, {number + 1} of {count}")
        for name, (how, arguments, most) in turns.items():
            figure = figures.figure(name, "%", most)
            try:
                with games.under(how, arguments):
                    under = games.speed("two")
            except NotAvailable as reason:
                figure.why = str(reason)
                continue
            after = games.speed("two")
            figure.values.append((under[0] / statistics.mean((before[0], after[0])) - 1) * 100)
            if before[1] and under[1] and after[1]:
                clean[name].append(figure.values[-1])
            before = after
    for name, values in clean.items():
        if len(values) >= ENOUGH:
            figures.figure(name, "%").values = values
